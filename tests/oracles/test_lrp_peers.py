"""The engine against zennit and captum, wherever they are right: same rule, same stabiliser.

Zennit needs a canonizer for batch norms and residual additions. It keeps a batch norm's eps after
folding it, which shifts its outputs by a few 1e-6; the nets here have a batch-norm eps of 1e-12.
Captum's gamma and alpha1-beta0 rules keep the bias as it is; those nets have none.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from explainrec_lab import lrp

zennit = pytest.importorskip("zennit")
from captum.attr import LRP as CaptumLRP  # noqa: E402
from captum.attr._utils import lrp_rules as captum_rules  # noqa: E402
from zennit import canonizers, composites, rules, types  # noqa: E402
from zennit.torchvision import ResNetCanonizer  # noqa: E402

TOLERANCE = 1e-6


def assert_close(ours: Tensor, peer: Tensor, relative: float = TOLERANCE) -> None:
    """The largest difference, relative to the largest value."""
    assert ours.shape == peer.shape
    assert float(peer.abs().max()) > 0
    assert float((ours - peer).abs().max()) <= relative * float(peer.abs().max())


def alive(model: nn.Module, biases: bool = True) -> nn.Module:
    """He's weights, small biases, batch norms with statistics of their own."""
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight)
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps = 1e-12
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
            nn.init.normal_(layer.running_mean, std=0.1)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
        if getattr(layer, "bias", None) is not None:
            nn.init.normal_(layer.bias, std=0.1 * biases)
    return model.double().eval()


class SmallVGG(nn.Module):
    """VGG's plan, narrower and with a small head; `flatten` is a function, as in torchvision."""

    def __init__(self, batch_norm: bool = False, inplace: bool = True) -> None:
        super().__init__()
        plan: list[str | int] = [8, "M", 16, "M", 24, 24, "M", 32, 32, "M"]
        self.features = models.vgg.make_layers(plan, batch_norm)
        self.avgpool = nn.AdaptiveAvgPool2d((2, 2))
        self.classifier = nn.Sequential(
            nn.Linear(128, 32), nn.ReLU(True), nn.Dropout(), nn.Linear(32, 10)
        )
        for layer in self.modules():
            if isinstance(layer, nn.ReLU):
                layer.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def alexnet() -> nn.Module:
    """torchvision's AlexNet, but for a head that is small."""
    with torch.device("meta"):  # 58 million weights that nobody needs
        model = models.AlexNet(num_classes=10)
    model.classifier = nn.Sequential(
        nn.Dropout(), nn.Linear(256 * 36, 64), nn.ReLU(True), nn.Linear(64, 10)
    )
    model.features.to_empty(device="cpu")
    return model


NETS: dict[str, Callable[[], nn.Module]] = {
    "vgg": SmallVGG,
    "vgg with batch norm": lambda: SmallVGG(batch_norm=True),
    "alexnet": alexnet,
    "resnet18": lambda: models.resnet18(num_classes=10),
}
LOW, HIGH = -2.5, 2.5


def image(size: int = 64) -> Tensor:
    return torch.rand(2, 3, size, size, dtype=torch.float64) * (HIGH - LOW) + LOW


def by_zennit(model: nn.Module, x: Tensor, index: int, composite: Any) -> Tensor:
    """On a copy: zennit 1.0.0 leaves folded weights behind in a model whose batch norms it folds
    (0.5.1 puts them back), and the next explanation would be of that model."""
    model = copy.deepcopy(model)
    output = model(x).detach()
    seed = torch.zeros_like(output)
    seed[:, index] = output[:, index]
    pixels = x.clone().requires_grad_()
    with composite.context(model) as hooked:
        (relevance,) = torch.autograd.grad(hooked(pixels), pixels, seed)
    return relevance


def folding(name: str) -> list[Any]:
    return [ResNetCanonizer() if name == "resnet18" else canonizers.SequentialMergeBatchNorm()]


def everywhere(rule: Any, name: str) -> Any:
    """A zennit composite: one rule in every weighted layer."""
    layers = [*composites.layer_map_base(1e-6), (types.Linear, rule)]
    return composites.LayerMapComposite(layers, canonizers=folding(name))


SINGLE: dict[str, tuple[Any, Callable[[], Any]]] = {
    "epsilon 1e-6": (lrp.Epsilon(1e-6), lambda: rules.Epsilon(1e-6)),
    "gamma": (lrp.Gamma(0.25), lambda: rules.Gamma(0.25)),
    "z plus": (lrp.ZPlus(), rules.ZPlus),
    "alpha 2 beta 1": (lrp.AlphaBeta(2.0, 1.0), lambda: rules.AlphaBeta(2.0, 1.0)),
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("rule", SINGLE)
def test_one_rule_everywhere_is_zennit_s(name: str, rule: str) -> None:
    torch.manual_seed(0)
    model, x = alive(NETS[name]()), image()
    ours, peer = SINGLE[rule]
    assert_close(lrp.relevance(model, x, 3, ours), by_zennit(model, x, 3, everywhere(peer(), name)))


def w_squared_then(convolution: Any) -> Any:
    return lrp.Composite(
        [
            (lrp.first_layer, lrp.WSquare()),
            (lrp.kind("convolution"), convolution),
            (lrp.kind("linear"), lrp.Epsilon(1e-6)),
        ]
    )


def w_squared_first(convolution: Any, **settings: Any) -> Any:
    rule = rules.WSquare(zero_params="bias")
    layers = [*composites.layer_map_base(1e-6), (types.Convolution, convolution),
              (nn.Linear, rules.Epsilon(1e-6))]  # fmt: skip
    return composites.SpecialFirstLayerMapComposite(
        layer_map=layers, first_map=[(types.Linear, rule)], **settings
    )


COMPOSITES: dict[str, tuple[Any, Callable[..., Any]]] = {
    "epsilon gamma box": (
        lrp.epsilon_gamma_box(LOW, HIGH),
        lambda **settings: composites.EpsilonGammaBox(LOW, HIGH, **settings),
    ),
    "w squared, z plus, epsilon": (
        w_squared_then(lrp.ZPlus()),
        lambda **settings: w_squared_first(rules.ZPlus(), **settings),
    ),
    "w squared, alpha 2 beta 1, epsilon": (
        w_squared_then(lrp.AlphaBeta(2.0, 1.0)),
        lambda **settings: w_squared_first(rules.AlphaBeta(2.0, 1.0), **settings),
    ),
    "w squared, gamma, epsilon": (
        w_squared_then(lrp.Gamma(0.25)),
        lambda **settings: w_squared_first(rules.Gamma(0.25), **settings),
    ),
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("composite", COMPOSITES)
def test_composite_is_zennit_s(name: str, composite: str) -> None:
    torch.manual_seed(0)
    model, x = alive(NETS[name]()), image()
    ours, peer = COMPOSITES[composite]
    oracle = by_zennit(model, x, 3, peer(canonizers=folding(name)))
    assert_close(lrp.relevance(model, x, 3, ours), oracle)


@pytest.mark.parametrize("batch_norm", [False, True], ids=["plain", "batch norm"])
def test_epsilon_rule_is_captum_s(batch_norm: bool) -> None:
    torch.manual_seed(0)
    model, x = alive(SmallVGG(batch_norm, inplace=False)), image()
    for layer in model.modules():  # captum stabilises a batch norm by itself: so little of it
        if isinstance(layer, (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.MaxPool2d)):
            layer.rule = captum_rules.EpsilonRule(1e-12)
    model.avgpool.rule = captum_rules.EpsilonRule(1e-12)
    peer = CaptumLRP(model).attribute(x.clone(), target=3).detach()
    assert_close(lrp.relevance(model, x, 3, lrp.Epsilon(1e-12)), peer)


CAPTUM = {
    "gamma": (lrp.Gamma(0.25, epsilon=1e-9), lambda: captum_rules.GammaRule(0.25)),
    "z plus": (lrp.ZPlus(1e-9), captum_rules.Alpha1_Beta0_Rule),
}


@pytest.mark.parametrize("rule", CAPTUM)
def test_rule_is_captum_s_on_positive_images_and_nets_without_biases(rule: str) -> None:
    torch.manual_seed(0)
    model, x = alive(SmallVGG(inplace=False), biases=False), image().abs()
    ours, peer = CAPTUM[rule]
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.rule = peer()
    oracle = CaptumLRP(model).attribute(x.clone(), target=3).detach()
    composite = lrp.Composite(
        [(lrp.kind("convolution"), ours), (lrp.kind("linear"), lrp.Epsilon(1e-9))]
    )
    assert_close(lrp.relevance(model, x, 3, composite), oracle)
