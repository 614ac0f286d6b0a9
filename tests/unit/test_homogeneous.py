"""Networks without additive terms: norms by hand, folded networks compute the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from explainrec_lab import vision
from explainrec_lab.lrp.rules import Epsilon, Gamma, Layer, WSquare
from explainrec_lab.relation.model import Projection, RelationModel, Shares
from explainrec_lab.settings import Network
from explainrec_lab.vision import naming
from explainrec_lab.vision.homogeneous import (
    ScaledConv2d,
    ScaleNorm,
    default_rule,
    has_additive_terms,
)

NORMS = ["weights", "batch", None]
OWN = {norm: Network(40, 32, width=0.25, norm=norm, hidden=16, epochs=2) for norm in NORMS}


def pictures(count: int = 4) -> Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def a_few_steps(model: nn.Module, *inputs: Tensor | int) -> None:
    """Training that moves all weights, and norms that have seen batches."""
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    model.train()
    for _ in range(3):
        optimiser.zero_grad()
        model(*inputs).square().mean().backward()
        optimiser.step()


# --------------------------------------------------------------------------- by hand


def test_a_filter_has_mean_zero_and_the_length_of_its_gain() -> None:
    layer = ScaledConv2d(2, 3, 3, free=1)
    torch.nn.init.uniform_(layer.weight, 0.5, 2.0)
    layer.gain.data = torch.tensor([1.0, 2.0, 0.5])
    filters = layer.standardised().detach().flatten(1)
    variance = (1 - 1 / math.pi) / 2  # of a standard normal variable behind a ReLU
    lengths = [gain / math.sqrt(variance) for gain in (1.0, 2.0, 0.5)]
    assert filters.norm(dim=1).tolist() == pytest.approx(lengths, rel=1e-5)
    assert filters[1:].mean(dim=1).tolist() == pytest.approx([0, 0], abs=1e-6)
    raw = layer.weight.detach()[0].flatten()
    torch.testing.assert_close(filters[0] / filters[0].norm(), raw / raw.norm())


def test_a_scale_norm_divides_by_the_root_mean_square_of_the_channel() -> None:
    layer, x = ScaleNorm(2, momentum=0.25), torch.randn(60, 2) * 3 + 1
    layer.gain.data = torch.tensor([1.0, 2.0])
    found = layer.train()(x)
    squares = [np.mean(np.square(x[:, c].numpy())) for c in (0, 1)]
    for channel, gain in enumerate((1.0, 2.0)):
        expected = gain * x[:, channel] / (math.sqrt(squares[channel]) + 1e-5)
        torch.testing.assert_close(found[:, channel], expected)
    running = [0.75 + 0.25 * math.sqrt(square) for square in squares]
    assert layer.rms.tolist() == pytest.approx(running, rel=1e-5)
    later = layer.eval()(x).detach()
    for channel, gain in enumerate((1.0, 2.0)):
        expected = gain * x[:, channel] / (running[channel] + 1e-5)
        torch.testing.assert_close(later[:, channel], expected)


@pytest.mark.parametrize(("norm", "adds"), [("weights", 0), ("batch", 1), (None, 1)])
def test_what_adds_is_found_and_the_head_follows_its_network(norm: str | None, adds: bool) -> None:
    model = naming.untrained(OWN[norm])
    assert has_additive_terms(model) == has_additive_terms(model.network) == adds
    assert has_additive_terms(model.head) == adds
    assert has_additive_terms(Projection(8, 4, additive=bool(adds))) == adds


def test_a_layer_norm_adds_even_without_a_bias() -> None:
    assert has_additive_terms(nn.Sequential(nn.LayerNorm(4, elementwise_affine=False)))
    assert not has_additive_terms(nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU()))


# --------------------------------------------------------------------------- folded


def same(model: nn.Module, *inputs: Tensor | int) -> nn.Module:
    """The folded model, after it was seen to compute what the model computes."""
    plain = vision.folded(model)
    with torch.no_grad():
        own, other = model.eval()(*inputs), plain(*inputs)
    torch.testing.assert_close(other, own, rtol=1e-5, atol=1e-5 * float(own.abs().max()))
    return plain


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("norm", NORMS)
def test_a_folded_network_names_the_same_before_and_after_training(
    norm: str | None, dtype: torch.dtype
) -> None:
    model, images = naming.untrained(OWN[norm]).to(dtype), pictures().to(dtype)
    same(model, images)
    before = model(images).detach()
    a_few_steps(model, images)
    plain = same(model, images)
    assert not torch.allclose(plain(images), before, rtol=0.1)
    assert not any(isinstance(part, ScaledConv2d | ScaleNorm) for part in plain.modules())
    assert {each.dtype for each in plain.parameters()} == {dtype}
    assert not plain.training


@pytest.mark.parametrize("features", ["classes", "projection"])
def test_a_folded_relation_model_relates_the_same(features: str) -> None:
    named = naming.untrained(OWN["weights"])
    size = named.network.size
    head = Shares(named) if features == "classes" else Projection(size, 6, additive=False)
    model = RelationModel(named.network, head, n_users=3, rank=4)
    inputs = (pictures(), pictures().flip(0), 1, 2)
    same(model, *inputs)
    a_few_steps(model, *inputs)
    plain = same(model, *inputs)
    assert not any(isinstance(part, ScaleNorm) for part in plain.modules())


def test_folding_leaves_the_model_as_it_was() -> None:
    model = naming.untrained(OWN["weights"])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    vision.folded(model)
    assert model.training
    assert before.keys() == model.state_dict().keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_gamma_reaches_up_to_half_of_the_convolutions() -> None:
    rule = default_rule(naming.untrained(OWN["weights"]))  # seven of them
    found = [type(rule.rule_of(Layer("convolution", depth))) for depth in range(7)]
    assert found == [WSquare, Gamma, Gamma, Gamma, Epsilon, Epsilon, Epsilon]
    assert rule.rule_of(Layer("linear", 8)) == rule.rule_of(Layer("pooling", 2)) == rule.rest
