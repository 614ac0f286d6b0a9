"""Relevance of a pair against gradients, closed forms and other ways to the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from explainrec_lab import lrp
from explainrec_lab.relation import NEW_USER, RelationModel
from explainrec_lab.relation.explain import OF, Closeness, _personal_M, explain
from explainrec_lab.relation.model import METRICS, Projection
from explainrec_lab.vision.backbone import _normalise, backbone

EXACT = lrp.Epsilon(0.0)
USERS, KINDS = [0, 2, 1], [3, 0, 1]


def model(metric: str = "low rank", biases: bool = False, seed: int = 0) -> RelationModel:
    """A small model without biases, or with biases everywhere."""
    network = backbone("vgg11", width=0.05, grid=2, norm="batch" if biases else None, seed=seed)
    head = Projection(network.size, 7, biases, seed)
    made = RelationModel(network, head, 3, metric=metric, rank=3, seed=seed).double()
    if biases:
        generator = torch.Generator().manual_seed(seed)
        for name, values in [*made.named_parameters(), *made.named_buffers()]:
            if name.endswith(("bias", "running_mean")):
                values.data = 0.1 * torch.randn(values.shape, generator=generator).double()
    return made.eval()


def pictures(seed: int, pairs: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(pairs, 3, 32, 32, dtype=torch.float64, generator=generator)


A, B, C = pictures(1), pictures(2), pictures(3)
REFERENCES = torch.rand(2, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
MORE = {"contrast": {"rivals": C}, "closeness": {"references": REFERENCES}}
"""What some questions need beside two pictures."""


def maps(*asked: Any, **options: Any) -> tuple[Tensor, ...]:
    return explain(*asked, **options).maps


def logits(own: RelationModel, images_i: Tensor, images_j: Tensor) -> Tensor:
    return own(images_i, images_j, USERS, KINDS).detach()


def distances(own: RelationModel, images_i: Tensor, images_j: Tensor) -> Tensor:
    return own.q.detach()[KINDS] - logits(own, images_i, images_j)


def sums(*relevance: Tensor) -> Tensor:
    return sum(R.sum((1, 2, 3)) for R in relevance)  # type: ignore[return-value]


def by_gradient(own: RelationModel, image: Tensor, R_x: Tensor) -> Tensor:
    """LRP-0 of a network without biases: normalised pixels times the gradient started at R / x."""
    pixels = _normalise(image, own.network.mean, own.network.std).requires_grad_()
    x = own.head(own.network.pool(own.network.convolutions(pixels)).flatten(1))
    start = torch.where(x > 0, R_x / x, 0.0).detach()
    return pixels.detach() * torch.autograd.grad(x, pixels, start)[0]


@pytest.mark.parametrize("metric", METRICS)
def test_relevance_of_both_pictures_sums_to_the_distance(metric: str) -> None:
    own = model(metric)
    R_i, R_j = maps(own, A, B, USERS, KINDS, rule=EXACT)
    assert R_i.shape == R_j.shape == A.shape
    assert torch.allclose(sums(R_i, R_j), distances(own, A, B), rtol=1e-9)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("split", ["proportional", "one-sided"])
def test_relevance_is_the_share_of_each_component_carried_to_the_pixels(
    metric: str, split: str
) -> None:
    own = model(metric)
    x_i, x_j = own.features(A).detach(), own.features(B).detach()
    delta = x_i - x_j
    M = torch.stack([own.M(u, k) for u, k in zip(USERS, KINDS, strict=True)]).detach()
    R_delta = delta * torch.einsum("nab,nb->na", M, delta)
    share = {"one-sided": (delta > 0).double(), "proportional": x_i / (x_i + x_j)}[split]
    share = share.nan_to_num(0.5)
    found = maps(own, A, B, USERS, KINDS, rule=EXACT, split=split)
    for R, image, R_x in zip(found, (A, B), (share * R_delta, (1 - share) * R_delta), strict=True):
        assert torch.allclose(R, by_gradient(own, image, R_x), rtol=1e-7, atol=1e-12)


def test_the_signed_split_is_half_of_gradient_times_input() -> None:
    own = model()
    pixels = [_normalise(x, own.network.mean, own.network.std).requires_grad_() for x in (A, B)]
    flat = [own.network.pool(own.network.convolutions(x)).flatten(1) for x in pixels]
    d = own.distance(own.head(flat[0]), own.head(flat[1]), USERS, KINDS)
    gradients = torch.autograd.grad(d.sum(), pixels)
    found = maps(own, A, B, USERS, KINDS, rule=EXACT, split="signed")
    for R, x, g in zip(found, pixels, gradients, strict=True):
        assert torch.allclose(R, x.detach() * g / 2, rtol=1e-8, atol=1e-12)


def test_a_logit_gives_the_pictures_minus_the_distance_and_the_sink_q_the_rest() -> None:
    own = model(biases=True)
    apart = maps(own, A, B, USERS, KINDS)
    near = explain(own, A, B, USERS, KINDS, of="logit")
    ledger = near.ledger
    for R, minus in zip(near.maps, apart, strict=True):
        assert torch.allclose(R, -minus, rtol=1e-9, atol=1e-15)
    assert ledger.output == pytest.approx(float(logits(own, A, B).sum()))
    assert ledger.sinks["q"] == pytest.approx(float(own.q.detach()[KINDS].sum()))


@pytest.mark.parametrize("metric", METRICS)
def test_personal_relevance_is_the_users_minus_the_mean_over_users(metric: str) -> None:
    own = model(metric, biases=True)
    found = maps(own, A, B, USERS, KINDS, of="personal")
    mine = maps(own, A, B, USERS, KINDS)
    everyone = [maps(own, A, B, user, KINDS) for user in range(own.n_users)]
    for side in (0, 1):
        mean = torch.stack([each[side] for each in everyone]).mean(dim=0)
        assert torch.allclose(found[side], mine[side] - mean, rtol=1e-8, atol=1e-12)


def test_the_mean_metric_is_no_new_user() -> None:
    own = model()
    mean = torch.stack([own.M(u, 1) for u in range(3)]).mean(0)
    subtracted = own.M(2, 1) - _personal_M(own, 2, 1, 1)[0]
    assert torch.allclose(subtracted, mean)
    assert not torch.allclose(subtracted, own.M(NEW_USER, 1))


def test_a_contrast_is_the_difference_of_two_distances() -> None:
    own = model(biases=True)
    rather = explain(own, A, B, USERS, KINDS, of="contrast", rivals=C)
    (R_i, R_j, R_n), ledger = rather.maps, rather.ledger
    farther = maps(own, A, C, USERS, KINDS)
    nearer = maps(own, A, B, USERS, KINDS)
    close = {"rtol": 1e-8, "atol": 1e-13}
    assert torch.allclose(R_i, farther[0] - nearer[0], **close)
    assert torch.allclose(R_n, farther[1], **close)
    assert torch.allclose(R_j, -nearer[1], **close)
    gain = logits(own, A, B) - logits(own, A, C)
    assert ledger.output == pytest.approx(float(gain.sum()))
    assert "q" not in ledger.sinks


def test_a_contrast_of_three_pictures_conserves_exactly() -> None:
    own = model()
    found = maps(own, A, B, USERS, KINDS, of="contrast", rivals=C, rule=EXACT)
    gain = logits(own, A, B) - logits(own, A, C)
    assert torch.allclose(sums(*found), gain, rtol=1e-8)


def test_a_contrast_of_a_picture_with_itself_is_nothing() -> None:
    R_i, R_j, R_n = maps(model(), A, B, USERS, KINDS, of="contrast", rivals=B)
    assert float(R_i.abs().max()) < 1e-12
    assert torch.allclose(R_n, -R_j)


@pytest.mark.parametrize("split", lrp.SPLITS)
def test_a_picture_and_itself_are_apart_by_nothing(split: str) -> None:
    for R in maps(model(), A, A, USERS, KINDS, split=split):
        assert float(R.abs().max()) == 0.0


@pytest.mark.parametrize("of", [of for of in OF if of != "contrast"])
def test_swapping_the_pictures_swaps_their_relevance(of: str) -> None:
    own = model(biases=True)
    R_i, R_j = maps(own, A, B, USERS, KINDS, of=of, **MORE.get(of, {}))
    S_j, S_i = maps(own, B, A, USERS, KINDS, of=of, **MORE.get(of, {}))
    assert torch.allclose(R_i, S_i, atol=1e-12) and torch.allclose(R_j, S_j, atol=1e-12)


@pytest.mark.parametrize("of", OF)
def test_pairs_do_not_see_each_other(of: str) -> None:
    own = model(biases=True)
    more = MORE.get(of, {})
    together = maps(own, A, B, USERS, KINDS, of=of, **more)
    for n in range(3):
        here = slice(n, n + 1)
        own_rival = {"rivals": C[here]} if "rivals" in more else more
        alone = maps(own, A[here], B[here], USERS[n], KINDS[n], of=of, **own_rival)
        for R, S in zip(together, alone, strict=True):
            assert torch.allclose(R[here], S, rtol=1e-8, atol=1e-13)


@pytest.mark.parametrize("of", OF)
@pytest.mark.parametrize("split", lrp.SPLITS)
def test_the_ledger_closes_with_biases(of: str, split: str) -> None:
    own = model(biases=True).float()
    more = {name: tensor.float() for name, tensor in MORE.get(of, {}).items()}
    ledger = explain(own, A.float(), B.float(), USERS, KINDS, of=of, split=split, **more).ledger
    assert abs(ledger.gap) < 1e-4 * max(abs(ledger.output), 1)
    assert ledger.biases != 0


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"of": "probability"}, "of: 'probability'.*explain the logit"),
    (
        {"of": "nothing"},
        "of: 'nothing'; choose from distance, logit, closeness, personal, contrast",
    ),
    ({"of": "personal", "user": NEW_USER}, "user: NEW_USER"),
    ({"user": 3}, "user: 3 is not in 0..2"),
    ({"user": [0, 1]}, "user: 2 of them for 3 pairs"),
    ({"user": [0, 1], "of": "personal"}, "user: 2 of them for 3 pairs"),
    ({"kind": "friends"}, "kind: 'friends'"),
    ({"kind": [0, 1], "of": "logit"}, "kind: 2 of them for 3 pairs"),
    ({"split": "fair"}, "split: 'fair'"),
    ({"level": "words"}, "level: 'words'; choose from pixels, units"),
    ({"only": "neckline"}, r"only: 'neckline' is no question of this model \(none: its units"),
    ({"level": "units", "only": "neckline"}, "only: 'neckline' is followed to the pixels; leave"),
    ({"rule": "epsilon"}, "rule: 'epsilon'"),
    ({"images_i": A[:2]}, "images_i, images_j: different shapes"),
    ({"images_i": (A * 255).to(torch.uint8)}, "images_i: dtype torch.uint8"),
    ({"images_j": B[0]}, "images_j: shape"),
    ({"images_i": A[:0], "images_j": B[:0]}, "images_i, images_j: no pictures"),
    ({"of": "contrast"}, "rivals: of='contrast' without rivals"),
    ({"rivals": C}, "rivals: of='distance' with rivals"),
    ({"of": "closeness"}, "references: none, but closeness needs them"),
    ({"of": "contrast", "rivals": C[:1]}, "images_i, images_j, rivals: different shapes"),
    ({"of": "contrast", "rivals": C, "user": 9}, "user: 9"),
    ({"of": "contrast", "rivals": C, "model": model().train()}, "model: .*training mode"),
    ({"images_j": B * torch.nan}, "inputs: input 1 has NaN"),
    ({"model": model().train()}, "model: .*training mode"),
]


@pytest.mark.parametrize(("wrong", "message"), REFUSED)
def test_bad_input_is_named(wrong: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"model": model(), "images_i": A, "images_j": B, "user": 0, "kind": 0}
    with pytest.raises(ValueError, match=message):
        explain(**(given | wrong))


def test_closeness_is_explained_by_what_the_pictures_have_in_common() -> None:
    own = model()
    found = explain(own, A, B, USERS, KINDS, of="closeness", references=REFERENCES, rule=EXACT)
    close = Closeness(own, REFERENCES)(A, B, USERS, KINDS).detach()
    assert found.ledger.output == pytest.approx(float(close.sum()))
    by_hand = lrp.relevance(
        lambda i, j: Closeness(own, REFERENCES)(i, j, USERS, KINDS), (A, B), rule=EXACT
    )
    for R, expected in zip(found.maps, by_hand, strict=True):
        assert torch.allclose(R, expected, rtol=1e-9)


# --------------------------------------------------------------------------- the level of units


def units_of(own: RelationModel, of: str, **more: Any) -> tuple[Tensor, ...]:
    return explain(own, A, B, USERS, KINDS, of=of, level="units", **more).maps


def M_of(own: RelationModel) -> Tensor:
    return torch.stack([own.M(u, k) for u, k in zip(USERS, KINDS, strict=True)]).detach()


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("metric", METRICS)
def test_units_hold_their_component_of_the_distance_in_proportion(
    metric: str, biases: bool
) -> None:
    """R_a = delta_a (M delta)_a, shared by |x_ia| and |x_ja|; biases lie below the units."""
    own = model(metric, biases)
    x_i, x_j, M = own.features(A).detach(), own.features(B).detach(), M_of(own)
    for n, found in enumerate(zip(*units_of(own, "distance"), strict=True)):
        delta = (x_i[n] - x_j[n]).numpy()
        R = delta * (M[n].numpy() @ delta)
        total = np.abs(x_i[n].numpy()) + np.abs(x_j[n].numpy())
        for mine, x in zip(found, (x_i, x_j), strict=True):
            expected = np.divide(R * np.abs(x[n].numpy()), total, np.zeros(7), where=total > 0)
            np.testing.assert_allclose(mine.numpy(), expected, rtol=1e-7, atol=1e-12)


def test_units_of_closeness_have_half_each_and_are_products_of_departures() -> None:
    """(x_i - r_i)_a (M (x_j - r_j))_a, with the nearest references found by a loop."""
    own = model()
    x, M = [own.features(side).detach() for side in (A, B)], M_of(own)
    away = []
    for side in x:
        nearest = [min(REFERENCES, key=lambda r: float((r - one).square().sum())) for one in side]
        away.append(side - torch.stack(nearest))
    R_i, R_j = units_of(own, "closeness", references=REFERENCES)
    for n in range(3):
        assert torch.allclose(R_i[n], away[0][n] * (M[n] @ away[1][n]))
        assert torch.allclose(R_j[n], away[1][n] * (M[n] @ away[0][n]))
    close = Closeness(own, REFERENCES)(A, B, USERS, KINDS).detach()
    for half in (R_i.sum(1), R_j.sum(1)):
        assert torch.allclose(half, close / 2)


def test_references_keep_their_share_of_the_pixels_under_their_own_name() -> None:
    """Unit a of i hands (M (x_j - r_j))_a times x_ia to the pixels, and times -r_ia to nobody."""
    own = model()
    found = explain(own, A, B, USERS, KINDS, of="closeness", references=REFERENCES, rule=EXACT)
    close, M = Closeness(own, REFERENCES), M_of(own)
    x = [own.features(side).detach() for side in (A, B)]
    a, b = (close.units(each) for each in x)
    per_unit = (torch.einsum("nab,nb->na", M, other) for other in (b, a))
    held = sum(float((own * slope).sum()) for own, slope in zip(x, per_unit, strict=True))
    assert found.ledger.inputs == pytest.approx(held)
    assert found.ledger.sinks["references"] == pytest.approx(found.ledger.output - held)
    assert found.ledger.biases == 0


def test_numbers_arrays_and_tensors_ask_alike() -> None:
    own = model()
    plain = maps(own, A, B, USERS, KINDS)
    for ask in (torch.tensor, np.array):
        for R, S in zip(plain, maps(own, A, B, ask(USERS), ask(KINDS)), strict=True):
            assert torch.allclose(R, S, rtol=1e-9)


def test_explaining_leaves_the_model_as_it_was() -> None:
    own = model(biases=True)
    before = {name: value.clone() for name, value in own.state_dict().items()}
    explain(own, A, B, 0, 0, of="logit")
    explain(own, A, B, 0, 0, of="contrast", rivals=C)
    assert all(torch.equal(value, before[name]) for name, value in own.state_dict().items())
    assert all(parameter.grad is None for parameter in own.parameters())
    assert own.q.requires_grad and not own.training
