"""Chapter 3's preferences: triples, rankers, what they refuse, and what they do when alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from saers_toys import (
    N_ITEMS,
    N_USERS,
    WITHOUT,
    A,
    D,
    M,
    model_of,
    toy_extracted,
    toy_features,
)
from toys import interactions, shop

from explainrec_lab.baselines.collaborative import Popularity
from explainrec_lab.baselines.visual import (
    BPRMF,
    JRL,
    VBPR,
    DeepStyle,
    Ranker,
    Untrained,
)
from explainrec_lab.data import Interactions, Split
from explainrec_lab.saers import (
    EXPLAINERS,
    LinearFeature,
    SiameseFeature,
    answers,
    explain,
    recommend,
    train,
)
from explainrec_lab.saers.model import SAERS
from explainrec_lab.saers.regions import standardised
from explainrec_lab.saers.train import _Triples
from explainrec_lab.vision.backbone import backbone, flat_vectors

few = settings(max_examples=10, deadline=None)
seeds = st.integers(0, 30)


def bought(pairs: list[tuple[int, int]], users: int = N_USERS) -> Interactions:
    events = pd.DataFrame(pairs, columns=["user", "item"])
    return interactions(events, users, N_ITEMS)


# --------------------------------------------------------------------------- recommendation


def parts(train: list[tuple[int, int]], development: list[tuple[int, int]]) -> Split:
    return Split(bought(train), bought(development), bought([]))


def test_a_list_holds_no_item_that_she_has_whatever_the_scores() -> None:
    own = [(user, item) for user in range(N_USERS) for item in (0, 3)]
    split = parts(own, [(user, 5) for user in range(N_USERS)])
    for level in (0.0, -torch.inf):
        model = Untrained(torch.full((N_USERS, N_ITEMS), level))
        lists = recommend(model, split, k=N_ITEMS - 3)
        assert (np.sort(lists) == np.setdiff1d(np.arange(N_ITEMS), [0, 3, 5])).all()
        np.testing.assert_array_equal(recommend(model, split, k=2), lists[:, :2])


def test_lists_that_nothing_is_known_for_are_refused() -> None:
    split = parts([(user, 0) for user in range(N_USERS)], [])
    model = Untrained(Popularity().scores(split.train))
    with pytest.raises(ValueError, match=r"k: 11 is outside 1\.\.10, the items left in row 0"):
        recommend(model, split, k=11)
    everything = parts([(user, item) for user in range(N_USERS) for item in range(N_ITEMS)], [])
    with pytest.raises(ValueError, match=r"k: 1 is outside 1\.\.0, the items left in row 0"):
        recommend(model, everything, k=1)
    with pytest.raises(ValueError, match="split: user 2 has none to train on, the model knows"):
        recommend(model, parts([(0, 0), (1, 1), (3, 3), (4, 0), (5, 1)], [(2, 1)]), k=1)


# --------------------------------------------------------------------------- triples


@few
@given(seeds)
def test_a_triple_is_a_user_an_item_she_bought_and_one_she_did_not(seed: int) -> None:
    train = shop(seed).interactions
    taken = train.matrix.toarray() > 0
    batches = list(_Triples(train, 7, seed)(0))
    users = torch.cat([batch.users for batch in batches]).numpy()
    items = torch.cat([batch.items for batch in batches]).numpy()
    assert len(users) == len(train)
    assert taken[users, items[:, 0]].all()
    assert not taken[users, items[:, 1]].any()


def test_users_positives_and_negatives_are_drawn_uniformly() -> None:
    train = bought([(0, 0), (0, 1), (0, 2), (1, 3)], users=2)
    drawn = [batch for epoch in range(3000) for batch in _Triples(train, 9)(epoch)]
    users = torch.cat([batch.users for batch in drawn])
    items = torch.cat([batch.items for batch in drawn])
    assert 0.47 < float((users == 0).double().mean()) < 0.53
    of_first = torch.bincount(items[users == 0, 0], minlength=N_ITEMS)[:3]
    assert (of_first / of_first.sum() - 1 / 3).abs().max() < 0.03
    of_second = torch.bincount(items[users == 1, 1], minlength=N_ITEMS)
    assert of_second[3] == 0
    free = of_second[torch.arange(N_ITEMS) != 3]
    assert (free / free.sum() - 1 / (N_ITEMS - 1)).abs().max() < 0.02


def test_epochs_differ_and_can_be_repeated() -> None:
    triples = _Triples(shop().interactions, 1000, seed=3)
    (first,), (again,), (second,) = triples(0), triples(0), triples(1)
    assert torch.equal(first.items, again.items)
    assert not torch.equal(first.items, second.items)


def test_the_parts_of_a_batch_are_the_batch() -> None:
    (batch,) = _Triples(shop().interactions, 1000)(0)
    parts = [batch.part(index, 3) for index in range(3)]
    dealt = torch.cat([part.items for part in parts]).tolist()
    assert sorted(dealt) == sorted(batch.items.tolist())
    assert len(batch.to("cpu")) == len(batch)


def test_a_user_without_purchases_is_never_drawn() -> None:
    (batch,) = _Triples(bought([(2, 1), (2, 5), (4, 5)]), 100)(0)
    assert set(batch.users.tolist()) <= {2, 4}


def test_what_cannot_be_sampled_is_named() -> None:
    with pytest.raises(ValueError, match="batch_size: 0 must be at least 1"):
        _Triples(shop().interactions, 0)
    with pytest.raises(ValueError, match="train: no purchases"):
        _Triples(bought([]))
    with pytest.raises(ValueError, match="train: user 1 bought all 11 items"):
        _Triples(bought([(1, item) for item in range(N_ITEMS)]))


# --------------------------------------------------------------------------- rankers


VECTORS = torch.randn(N_ITEMS, M, generator=torch.Generator().manual_seed(0))
RANKERS = {
    "popular": lambda: Untrained(Popularity().scores(bought([(0, 1), (1, 1), (2, 4)]))),
    "BPR-MF": lambda: BPRMF(N_USERS, N_ITEMS, D),
    "VBPR": lambda: VBPR(N_USERS, VECTORS, D),
    "DeepStyle": lambda: DeepStyle(N_USERS, VECTORS, torch.arange(N_ITEMS) % 3, D),
    "JRL": lambda: JRL(N_USERS, VECTORS, D),
    "SAERS": lambda: model_of().float(),
}


@pytest.mark.parametrize("name", RANKERS)
def test_scores_of_everything_are_those_of_pairs(name: str) -> None:
    model = RANKERS[name]()
    everything = model.scores()
    assert everything.shape == (N_USERS, N_ITEMS)
    users, items = torch.tensor([4, 0]), torch.tensor([[3, 7, 1], [0, 10, 2]])
    torch.testing.assert_close(model(users, items), everything[users[:, None], items])
    torch.testing.assert_close(model.scores([4, 0]), everything[[4, 0]])


@pytest.mark.parametrize("name", RANKERS)
@pytest.mark.parametrize("bad", [-1, N_USERS])
def test_an_unknown_user_is_named(name: str, bad: int) -> None:
    with pytest.raises(ValueError, match=rf"users: user {bad} is not in this dataset \(0\.\.5\)"):
        RANKERS[name]().scores([bad])


@pytest.mark.parametrize("name", [name for name in RANKERS if name not in ("random", "popular")])
def test_training_puts_what_was_bought_first(name: str) -> None:
    purchases = bought(
        [(user, (user + step) % N_ITEMS) for user in range(N_USERS) for step in (0, 4)]
    )
    model: Ranker = RANKERS[name]()
    history = train(model, purchases, epochs=60, learning_rate=0.05, regularizer=0.0)
    assert history.loss[-1] < history.loss[0]
    scores, taken = model.scores(), purchases.matrix.toarray() > 0
    inside = scores[torch.from_numpy(taken)].view(N_USERS, -1).mean(dim=1)
    outside = scores[torch.from_numpy(~taken)].view(N_USERS, -1).mean(dim=1)
    assert (inside > outside).all()


def test_the_same_seed_trains_the_same_model() -> None:
    purchases = bought([(0, 1), (1, 2), (2, 3), (3, 3)])
    runs = []
    for _ in range(2):
        model = BPRMF(N_USERS, N_ITEMS, D, seed=1)
        train(model, purchases, epochs=3, learning_rate=0.01, regularizer=1e-3, seed=2)
        runs.append(model.scores())
    assert torch.equal(*runs)


def test_popularity_is_what_it_says() -> None:
    popular = RANKERS["popular"]().scores()
    assert popular[0].tolist() == [0, 2, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    assert torch.equal(popular[0], popular[5])


def test_vbpr_is_its_formula() -> None:
    model, y = VBPR(N_USERS, VECTORS, 4), 0.0
    with torch.no_grad():
        for theta in model.parameters():
            theta.normal_()
        f = VECTORS[3]
        y = model.bias[3] + model.user[2] @ model.item[3]
        y = y + model.visual_user[2] @ (model.E @ f) + model.visual_bias @ f
    assert float(model.scores([2])[0, 3]) == pytest.approx(float(y), rel=1e-5)


def test_deepstyle_takes_the_category_away() -> None:
    category = torch.arange(N_ITEMS) % 3
    model = DeepStyle(N_USERS, VECTORS, category, D)
    with torch.no_grad():
        style = model.E @ VECTORS[4] - model.of_category[1]
        y = model.user[2] @ (style + model.item[4])
    assert float(model.scores([2])[0, 4]) == pytest.approx(float(y), rel=1e-5)


def test_jrl_pays_for_what_it_cannot_redraw() -> None:
    model, items = JRL(N_USERS, VECTORS, D), torch.tensor([[1, 2], [3, 4]])
    F = torch.nn.functional
    with torch.no_grad():
        for row, loss in zip(items, model.auxiliary(items), strict=True):
            errors = []
            for item in row:
                redrawn = F.elu(model.W2 @ F.elu(model.W1 @ model.item[item]))
                errors.append(float((redrawn - VECTORS[item]).square().sum()))
            assert float(loss) == pytest.approx(np.mean(errors), rel=1e-5)


# --------------------------------------------------------------------------- bad input


def test_an_item_without_attributes_has_only_its_whole_picture() -> None:
    for options in ({}, {"fusion": "sum"}, {"fusion": "average"}):
        model = model_of(**options)
        whole = model.whole(torch.tensor([[WITHOUT]]))[0, 0]
        expected = (model.user @ whole).detach()
        torch.testing.assert_close(model.scores()[:, WITHOUT], expected)
        assert np.isnan(answers(model, [0], [WITHOUT], "contribution")).all()
        assert not len(explain(model, 0, WITHOUT, toy_extracted()).attribute)
        assert float(model_of(whole=False, **options).scores()[0, WITHOUT]) == 0


def test_an_item_without_attributes_teaches_without_nan() -> None:
    model = model_of().float()
    purchases = bought([(0, WITHOUT), (1, WITHOUT), (2, 3)])
    train(model, purchases, epochs=3, learning_rate=0.01, regularizer=0.0)
    assert all(torch.isfinite(theta).all() for theta in model.parameters())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d": 0}, "d: 0 must be at least 1"),
        ({"fusion": "product"}, "fusion: 'product'; choose from attention, average, sum, none"),
        ({"features": torch.zeros(N_ITEMS, A)}, r"features: torch.float32 of shape \(11, 5\)"),
        ({"applies": torch.ones(3, A, dtype=torch.bool)}, r"applies: .* of shape \(3, 5\); needs"),
        ({"applies": torch.ones(N_ITEMS, A)}, r"applies: torch.float32 .* needs bool"),
        ({"features": torch.full((N_ITEMS, A, M), torch.nan)}, "features: not all finite"),
        ({"whole": LinearFeature(torch.ones(4, 2), D)}, "whole: 4 items and 3 dim.* needs 11"),
        ({"whole": LinearFeature(VECTORS, D + 1)}, "whole: 11 items and 4 dim.* needs 11 and 3"),
    ],
)
def test_a_model_that_cannot_be_is_named(change: dict, message: str) -> None:
    features, applies = toy_features()
    own = {"features": features.float(), "applies": applies, "d": D} | change
    with pytest.raises(ValueError, match=message):
        SAERS(N_USERS, **own)


@pytest.mark.parametrize("name", EXPLAINERS)
def test_what_cannot_be_explained_is_named(name: str) -> None:
    def ask(model: SAERS, users: list[int], items: list[int]) -> np.ndarray:
        return answers(model, users, items, name)

    with pytest.raises(ValueError, match=r"users: user 6 is not in this dataset \(0\.\.5\)"):
        ask(model_of(), [6], [0])
    with pytest.raises(ValueError, match=r"items: item -1 is not in this dataset \(0\.\.10\)"):
        ask(model_of(), [0], [-1])
    with pytest.raises(ValueError, match="users and items: 2 and 1; needs one item a user"):
        ask(model_of(), [0, 1], [0])
    with pytest.raises(ValueError, match="fusion='none' has no attribute features"):
        ask(model_of(fusion="none"), [0], [0])


def test_an_explanation_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="how: 'gut'; choose from attention, contribution, swap"):
        explain(model_of(), 0, 0, toy_extracted(), how="gut")
    other = SAERS(N_USERS, torch.zeros(4, A, M), torch.ones(4, A, dtype=torch.bool), d=D)
    with pytest.raises(ValueError, match=r"found: \(11, 5\) items and attributes; the model has"):
        explain(other, 0, 0, toy_extracted())


def test_training_on_another_shop_or_with_a_negative_regularizer_is_refused() -> None:
    purchases = bought([(0, 1)], users=3)
    with pytest.raises(ValueError, match="purchases: 3 users and 11 items, but the model has 6"):
        train(model_of(), purchases, epochs=1, learning_rate=0.1, regularizer=0)
    with pytest.raises(ValueError, match=r"regularizer: -0\.1 must not be negative"):
        train(model_of(), purchases, epochs=1, learning_rate=0.1, regularizer=-0.1)


def test_bad_baselines_are_named() -> None:
    with pytest.raises(ValueError, match="d: 0 must be at least 1"):
        BPRMF(2, 2, 0)
    with pytest.raises(ValueError, match="d: 1 must be at least 2"):
        VBPR(2, VECTORS, 1)
    with pytest.raises(ValueError, match=r"category: shape \(3,\); needs one a picture, \(11,\)"):
        DeepStyle(2, VECTORS, torch.zeros(3, dtype=torch.long), D)
    with pytest.raises(ValueError, match=r"features: shape \(11,\); needs \[item, m\]"):
        JRL(2, VECTORS[:, 0], D)
    with pytest.raises(ValueError, match="features: not all finite"):
        VBPR(2, VECTORS * torch.inf, D)


# --------------------------------------------------------------------------- whole pictures


def test_a_siamese_network_sees_each_picture_of_a_batch_once_and_learns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("explainrec_lab.saers.model.BATCH", 4)
    images = np.random.default_rng(0).integers(0, 255, (N_ITEMS, 3, 64, 64), dtype=np.uint8)
    whole = SiameseFeature(images, backbone("alexnet", grid=1), D)
    seen: list[int] = []
    whole.network.register_forward_hook(lambda _, inputs, out: seen.append(len(inputs[0])))
    features, applies = toy_features()
    model = SAERS(N_USERS, features.float(), applies, whole, D)
    before = next(whole.network.parameters()).clone()
    purchases = bought([(0, 1), (1, 2), (2, 2)])
    train(model, purchases, epochs=1, learning_rate=0.01, regularizer=0.0)
    assert seen == [len(set(next(_Triples(purchases)(0)).items.flatten().tolist()))]
    assert not torch.equal(before, next(whole.network.parameters()))
    seen.clear()
    model.scores()
    assert seen == [4, 4, 3]


def test_a_siamese_network_starts_where_its_standardised_vectors_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In float32, as on a processor without bfloat16: that one rounds each batch its own way."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    images = np.random.default_rng(0).integers(0, 255, (N_ITEMS, 3, 64, 64), dtype=np.uint8)
    network = backbone("alexnet", grid=1)
    whole = SiameseFeature(images, network, D).eval()
    kept = LinearFeature(standardised(flat_vectors(network.eval(), torch.from_numpy(images))), D)
    items = torch.arange(N_ITEMS)[None]
    torch.testing.assert_close(whole(items), kept(items), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("purchases", [0, 1])
def test_a_shopper_with_hardly_any_purchases_has_scores_and_reasons(purchases: int) -> None:
    model = model_of().float()
    purchases = bought([(0, 1), (0, 2), (2, 3), *([(1, 4)] * purchases)])
    train(model, purchases, epochs=3, learning_rate=0.01, regularizer=1e-4)
    assert torch.isfinite(model.scores([1])).all()
    told = explain(model, 1, 2, toy_extracted())
    assert len(told.attribute) == toy_extracted().applies[2].sum()
    assert np.isfinite(told.weight).all()


def test_a_shopper_in_no_triple_fades_and_one_with_a_purchase_does_not() -> None:
    length = []
    for purchases in (0, 1):
        model = model_of(fusion="sum", bias=True, whole=False).float()
        purchases = bought([(0, 1), (0, 2), (2, 3), *([(1, 4)] * purchases)])
        train(model, purchases, epochs=300, learning_rate=0.2, regularizer=1e-3)
        length.append(float(model.user[1].detach().norm()))
    assert length[0] < 0.01 * length[1]


def test_standardised_vectors_have_length_one_on_average() -> None:
    vectors = standardised(torch.randn(500, 7) * torch.arange(7) + 3)
    assert float(vectors[:, 0].abs().max()) == 0  # a constant stays without influence
    assert float(vectors.square().sum(dim=1).mean()) == pytest.approx(6 / 7, rel=1e-3)
