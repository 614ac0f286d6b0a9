"""BiLRP against numbers worked by hand, plain loops and the engine's own first-order relevance."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor, nn

from explainrec_lab import lrp
from explainrec_lab.baselines.bilrp import _component_relevance, bilrp, pool

EXACT = lrp.Epsilon(0.0)


def convolutional(bias: bool = False, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    layers = [
        nn.Conv2d(3, 6, 3, padding=1, bias=bias),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1, bias=bias),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 16, 5, bias=bias),
    ]
    return nn.Sequential(*layers).double().eval()


def pictures(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, 8, 8, dtype=torch.float64, generator=generator)


def test_a_linear_embedding_by_hand() -> None:
    """Pixels (1, 2) and (3, 1), z = x [[1, 2], [-1, 1]]: R_1 = x * (1, -1), R_2 = x * (2, 1)."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False)).eval()
    net[1].weight.data = torch.tensor([[1.0, -1.0], [2.0, 1.0]])
    i, j = torch.tensor([1.0, 2.0]).view(1, 1, 1, 2), torch.tensor([3.0, 1.0]).view(1, 1, 1, 2)
    found = bilrp(net, i, j, EXACT, patch=1)
    # by pairs: (1*3 + 2*6, 1*-1 + 2*1), (-2*3 + 2*6, -2*-1 + 2*1)
    assert found[0, 0, :, 0].tolist() == [[15.0, 1.0], [6.0, 4.0]]
    assert float(found.sum()) == float((net(i) * net(j)).detach().sum()) == 26.0


def test_pairs_sum_to_the_dot_product_without_biases() -> None:
    net, i, j = convolutional(), pictures(3, 1), pictures(3, 2)
    found = bilrp(net, i, j, EXACT, patch=2)
    assert found.shape == (3, 4, 4, 4, 4)
    dot = (net(i) * net(j)).sum(1)
    assert torch.allclose(found.sum((1, 2, 3, 4)), dot, rtol=1e-10)


def test_pairs_are_sums_over_pixels_and_components_by_loops() -> None:
    net, i, j = convolutional(), pictures(1, 3), pictures(1, 4)
    found = bilrp(net, i, j, lrp.Gamma(0.25), patch=4)
    one = [lrp.relevance(net, i, k, lrp.Gamma(0.25))[0].sum(0) for k in range(5)]
    other = [lrp.relevance(net, j, k, lrp.Gamma(0.25))[0].sum(0) for k in range(5)]
    cells = [(slice(a, a + 4), slice(b, b + 4)) for a in (0, 4) for b in (0, 4)]
    for n, p in enumerate(cells):
        for m, q in enumerate(cells):
            total = sum(float(a[p].sum() * b[q].sum()) for a, b in zip(one, other, strict=True))
            value = float(found[0, n // 2, n % 2, m // 2, m % 2])
            assert value == pytest.approx(total, rel=1e-9)


def test_swapping_the_pictures_transposes_the_pairs() -> None:
    net, i, j = convolutional(bias=True), pictures(2, 5), pictures(2, 6)
    there, back = bilrp(net, i, j, patch=4), bilrp(net, j, i, patch=4)
    assert torch.allclose(there, back.permute(0, 3, 4, 1, 2), rtol=1e-12)


def test_how_copies_are_batched_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    net, i = convolutional(bias=True), pictures(3, 7)
    all_at_once = _component_relevance(net, i, EXACT)
    monkeypatch.setattr(sys.modules["explainrec_lab.baselines.bilrp"], "AT_ONCE", 4)
    assert torch.allclose(_component_relevance(net, i, EXACT), all_at_once, rtol=1e-12)


def test_the_marginal_of_a_distance_is_the_signed_relevance_of_each_picture() -> None:
    """Own terms minus cross terms, summed over the other patch: LRP-0 of |z_i - z_j|^2."""
    net, i, j = convolutional(), pictures(2, 8), pictures(2, 9)

    @lrp.homogeneous(2)
    def squared(delta: Tensor) -> Tensor:
        return delta.square().sum(1)

    def distance(i: Tensor, j: Tensor) -> Tensor:
        return squared(lrp.difference(net(i), net(j)))

    signed = lrp.relevance(distance, (i, j), rule=EXACT, split="signed")
    cross = bilrp(net, i, j, EXACT, patch=2)
    for R, image, other in zip(signed, (i, j), (cross.sum((3, 4)), cross.sum((1, 2))), strict=True):
        own = bilrp(net, image, image, EXACT, patch=2).sum((3, 4))
        assert torch.allclose(own - other, pool(R, 2), rtol=1e-8, atol=1e-12)


def test_pooling_sums_the_pixels_of_a_patch() -> None:
    values = torch.arange(2 * 4 * 6.0).view(2, 4, 6)
    found = pool(values, 2)
    assert found.shape == (2, 3)
    assert float(found[1, 2]) == float(values[:, 2:4, 4:6].sum())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patch": 3}, "patch: 3 does not divide 8 x 8"),
        ({"patch": 0}, "patch: 0"),
        ({"images_j": pictures(2, 0)}, "images_i and images_j: 1 and 2"),
        ({"images_i": pictures(1, 0)[0]}, "images"),
        ({"embed": nn.Identity().eval()}, "embed"),
        ({"embed": convolutional().train()}, "model: .* in training mode"),
    ],
)
def test_bad_input_is_named(arguments: dict, message: str) -> None:
    given = {"embed": convolutional(), "images_i": pictures(1, 0), "images_j": pictures(1, 1)}
    given |= arguments
    with pytest.raises(ValueError, match=message):
        bilrp(**given)
