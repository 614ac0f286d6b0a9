"""Claims about the health check: what it calls dead is dead, wherever the ReLU comes from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from explainrec_lab.evaluate.faithfulness import health

X = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))


class Way(nn.Module):
    """Four hidden units and one output; the hidden ones are cut off in some way."""

    def __init__(self, relu, bias: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)) -> None:
        super().__init__()
        self.low, self.high, self.relu = nn.Linear(3, 4), nn.Linear(4, 1), relu
        with torch.no_grad():
            weight = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, 0, 1]])
            self.low.weight.copy_(weight)
            self.low.bias.copy_(torch.tensor(bias))
            self.high.weight.fill_(1.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.high(self.relu(self.low(x)))


RELUS = {
    "module": nn.ReLU(),
    "in place": nn.ReLU(inplace=True),
    "function": F.relu,
    "method": Tensor.relu,
    "clamp": lambda x: x.clamp(min=0),
    "lower clamp": lambda x: x.clamp_min(0.0),
    "squared": lambda x: F.relu(x).square(),
}


@pytest.mark.parametrize("way", RELUS)
def test_a_unit_that_never_fires_is_dead_however_it_is_cut_off(way: str) -> None:
    living, half = health(Way(RELUS[way]), X), health(Way(RELUS[way], (0, 0, -99.0, -99.0)), X)
    assert living["dead units"] == 0
    assert half["dead units"] == 0.5
    # where both signs of the first input have a unit, one of them fires in every place
    assert living["dead places"] == half["dead places"] == 0


def test_a_place_is_dead_where_no_unit_fires() -> None:
    """Units may all be alive, each in an example of its own."""
    model = Way(F.relu, (-0.5, -0.5, -99.0, -99.0))
    found = health(model, X)
    assert found["dead places"] == pytest.approx(float((X[:, 0].abs() <= 0.5).float().mean()))
    assert 0 < found["dead places"] < 1
    assert found["dead units"] == 0.5


def test_gradients_reach_what_living_units_use_and_nothing_else() -> None:
    assert health(Way(F.relu), X)["gradient reach"] == (4 * 3 + 4 + 4 + 1) / 21
    dead = health(Way(F.relu, (-99.0,) * 4), X)
    assert dead["dead units"] == dead["dead places"] == 1
    assert dead["gradient reach"] == 1 / 21  # the last bias
    frozen = Way(F.relu, (-99.0,) * 4)
    frozen.low.requires_grad_(False)
    assert health(frozen, X)["gradient reach"] == 1 / 5


def test_nothing_of_the_model_moves() -> None:
    model = Way(F.relu)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        health(model, X)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(each.grad is None for each in model.parameters())


def test_channels_are_the_units_of_a_feature_map_and_the_worst_layer_speaks() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 1), nn.ReLU())
    with torch.no_grad():
        for layer, bias in ((model[0], (0.0, 0.0)), (model[2], (0.5, -99.0))):
            layer.weight.copy_(
                torch.tensor([1.0, -1.0] if layer is model[0] else [[1, 1], [1, 1]]).view_as(
                    layer.weight
                )
            )
            layer.bias.copy_(torch.tensor(bias))
    found = health(model, torch.randn(2, 1, 5, 5))
    assert found["dead units"] == 0.5
    assert found["dead places"] == 0


def test_other_clamps_are_no_units() -> None:
    class Bounded(Way):
        def forward(self, x: Tensor) -> Tensor:
            length = x.square().sum(dim=1).clamp(min=0)  # no layer: it has no units
            return super().forward(x) / (length[:, None] + 1).clamp(min=50)

    assert health(Bounded(F.relu), X)["dead units"] == 0


def test_only_places_that_count_are_asked() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(2))

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(x) @ self.w

    x = torch.tensor([[[1.0, -1.0], [-1.0, -1.0]], [[-1.0, 1.0], [-1.0, -1.0]]])
    assert health(Attention(), x, axis=-1)["dead places"] == 0.5
    there = torch.tensor([[True, False], [True, False]])
    assert health(Attention(), x, axis=-1, places=there)["dead places"] == 0
    assert health(Attention(), x, axis=-1, places=~there)["dead units"] == 1


def test_a_model_without_relus_has_none_that_are_dead() -> None:
    found = health(nn.Linear(3, 2), X)
    assert found["dead units"] == found["dead places"] == 0
    assert found["gradient reach"] == 1
    assert set(found.index) == {"dead units", "dead places", "gradient reach"}


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=6))
def test_entropy_is_one_for_equal_weights_and_less_for_others(values: list[float]) -> None:
    shares = np.array(values) / sum(values)
    padded = np.append(shares, np.nan)
    lonely = np.append(1.0, np.full(len(values), np.nan))  # one weight is always 1: left out
    found = health(nn.Linear(3, 1), X, weights=np.stack([padded, lonely]))["entropy"]
    by_hand = -sum(p * np.log(p) for p in shares) / np.log(len(shares))
    assert found == pytest.approx(by_hand)
    assert found <= 1 + 1e-9
    equal = np.where(np.isnan(padded), np.nan, 1 / len(values))[None]
    assert health(nn.Linear(3, 1), X, weights=equal)["entropy"] == pytest.approx(1)


def test_a_weight_of_zero_applies_and_counts() -> None:
    assert health(nn.Linear(3, 1), X, weights=np.array([[1.0, 0.0]]))["entropy"] == 0


@pytest.mark.parametrize("weights", [[[0.5, 0.2]], [[1.5, -0.5]]])
def test_weights_that_are_no_shares_are_refused(weights: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="weights: not shares"):
        health(nn.Linear(3, 1), X, weights=np.array(weights))


def test_the_spread_over_seeds_is_a_standard_deviation() -> None:
    found = health(nn.Linear(3, 1), X, scores=[0.7, 0.8, 0.9])["seed spread"]
    assert found == pytest.approx(np.std([0.7, 0.8, 0.9]))
