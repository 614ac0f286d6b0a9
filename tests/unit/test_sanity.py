"""Claims about random weights: what is forgotten, what stays, and how alike two maps are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from explainrec_lab.evaluate import faithfulness


class Net(nn.Module):
    """Layers that know how to start afresh, and a matrix of its own that does not."""

    def __init__(self) -> None:
        super().__init__()
        self.low = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.high = nn.Linear(4, 5)
        self.metric = Metric()

    def forward(self, x: Tensor) -> Tensor:
        return self.metric(self.high(self.norm(self.low(x)).relu().mean(dim=(2, 3))))


class Metric(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.arange(15.0).reshape(5, 3))

    def forward(self, x: Tensor) -> Tensor:
        return ((x @ self.factor) ** 2).sum(dim=1)


# The layers of `Net` that own parameters, from the input up.
WEIGHTED = ["low", "norm", "high", "metric"]


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    net = Net()
    nn.init.normal_(net.norm.weight)
    return net.eval()


def changed(net: nn.Module, other: nn.Module) -> list[str]:
    theirs = dict(other.named_parameters())
    return [name for name, p in net.named_parameters() if not torch.equal(p, theirs[name])]


def test_a_randomised_model_has_forgotten_every_layer_and_the_model_itself_nothing(net):
    before = {name: value.clone() for name, value in net.state_dict().items()}
    forgetful = faithfulness.randomised(net)
    for layer in WEIGHTED:
        assert any(name.startswith(layer) for name in changed(net, forgetful))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not forgetful.training


def test_parameters_without_a_recipe_are_shuffled(net):
    shuffled = faithfulness.randomised(net).metric.factor.detach()
    assert shuffled.flatten().sort().values.tolist() == list(range(15))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_a_cascade_forgets_from_the_output_down(net, count):
    forgotten = {
        name.split(".")[0] for name in changed(net, faithfulness.randomised(net, cascade=count))
    }
    assert forgotten == set(WEIGHTED[len(WEIGHTED) - count :])


def test_a_longer_cascade_goes_on_from_a_shorter_one(net):
    two, three = (faithfulness.randomised(net, 5, cascade=n) for n in (2, 3))
    assert torch.equal(two.high.weight, three.high.weight)
    assert not torch.equal(two.norm.weight, three.norm.weight)


def test_one_seed_gives_one_model_and_torchs_own_state_is_left_alone(net):
    state = torch.get_rng_state()
    one, same, other = (faithfulness.randomised(net, seed) for seed in (1, 1, 2))
    assert not changed(one, same) and changed(one, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_cascade_longer_than_the_model_is_named(net):
    with pytest.raises(ValueError, match=r"cascade: 5 is outside 0\.\.4"):
        faithfulness.randomised(net, cascade=5)


def test_layers_may_be_named_in_the_order_of_their_use(net):
    order = ["metric", "low", "norm", "high"]
    forgotten = changed(net, faithfulness.randomised(net, cascade=2, layers=order))
    assert {name.split(".")[0] for name in forgotten} == {"norm", "high"}
    with pytest.raises(ValueError, match="layers: 'lower' has no weights"):
        faithfulness.randomised(net, layers=["lower"])


def test_similarity_is_spearmans_of_each_event():
    rng = np.random.default_rng(0)
    a, b = np.round(rng.normal(size=(2, 4, 3, 5, 6)), 1)  # with ties
    found = faithfulness.similarity(torch.tensor(a), b)
    for n in range(4):
        assert found[n] == pytest.approx(spearmanr(a[n].ravel(), b[n].ravel()).statistic)
    assert faithfulness.similarity(a, np.exp(a)) == pytest.approx(1)
    assert faithfulness.similarity(a, -a) == pytest.approx(-1)
    assert faithfulness.similarity(np.abs(a), np.abs(-a)) == pytest.approx(1)


def test_a_constant_map_is_like_nothing():
    assert np.isnan(faithfulness.similarity(np.ones((2, 4)), np.arange(8.0).reshape(2, 4))).all()


def test_maps_that_cannot_be_compared_are_named():
    with pytest.raises(ValueError, match="first and second: shapes"):
        faithfulness.similarity(np.ones((2, 4)), np.ones((2, 5)))
    with pytest.raises(ValueError, match="second: nan"):
        faithfulness.similarity(np.ones((2, 4)), np.full((2, 4), np.nan))
