"""Claims about random weights: what is forgotten, and what stays."""

from __future__ import annotations

import pytest
import torch
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
    for layer in ("low", "norm", "high", "metric"):
        assert any(name.startswith(layer) for name in changed(net, forgetful))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not forgetful.training


def test_parameters_without_a_recipe_are_shuffled(net):
    shuffled = faithfulness.randomised(net).metric.factor.detach()
    assert shuffled.flatten().sort().values.tolist() == list(range(15))


def test_one_seed_gives_one_model_and_torchs_own_state_is_left_alone(net):
    state = torch.get_rng_state()
    one, same, other = (faithfulness.randomised(net, seed) for seed in (1, 1, 2))
    assert not changed(one, same) and changed(one, other)
    assert torch.equal(torch.get_rng_state(), state)
