"""torchvision's families, unmodified: every ledger closes, and LRP-0 is right, not only conserved.

Random weights, but no net at its tame initial state: batch norms have statistics of their own and
every bias is drawn. The oracle is gradient x input of a copy in which hooks hold constant what LRP
holds constant: the factors of smooth activations, the gates of squeeze-and-excitation, the standard
deviations of layer norms.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import models
from torchvision.models.convnext import LayerNorm2d
from torchvision.ops.misc import SqueezeExcitation

from explainrec_lab import lrp

LIMIT = {torch.float32: 1e-5, torch.float64: 1e-10}
QUICK = ["resnet18", "squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5"]
SLOW = [
    "alexnet", "vgg11", "vgg11_bn", "densenet121", "googlenet", "mobilenet_v2", "efficientnet_b0",
    "convnext_tiny", "regnet_y_400mf", "regnet_x_400mf", "inception_v3", "mnasnet0_5",
]  # fmt: skip
FAMILIES = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
SIZE = {"inception_v3": 96}
WITHOUT_SLOW_INIT = {"googlenet", "inception_v3"}


def alive(name: str, seed: int = 0) -> nn.Module:
    """A family with He's weights, drawn biases, and batch norms near their layers' statistics."""
    torch.manual_seed(seed)
    options = {"init_weights": False} if name in WITHOUT_SLOW_INIT else {}
    model = getattr(models, name)(weights=None, num_classes=10, **options).double().eval()
    for layer in model.modules():
        for key, values in [*layer.named_parameters(recurse=False)]:
            draw(key, values.data)
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    for norm in norms:
        norm.train().momentum = 1.0
    if norms:
        with torch.no_grad():
            model(image(name, 16))  # every norm now knows its layer's statistics
    for norm in norms:
        norm.eval().momentum = 0.1
        norm.running_mean += 0.1 * torch.randn_like(norm.running_mean) * norm.running_var.sqrt()
        norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.7, 1.4)
    logits = [p for p in model.parameters() if p.dim() > 1 and len(p) == 10][-1]
    logits.data.abs_()  # features speak for a class, as after training: no logit out of noise
    return model


def draw(key: str, values: Tensor) -> None:
    if key == "bias":
        nn.init.normal_(values, std=0.1)
    elif values.dim() > 1 and key == "weight":
        few = torch.randn(min(values.numel(), 999_983), dtype=values.dtype)  # VGG's head: repeated
        values.copy_(few.repeat(-(-values.numel() // len(few)))[: values.numel()].view_as(values))
        values *= (2 / values[0].numel()) ** 0.5
    else:  # scales of norms, and ConvNeXt's layer scale
        nn.init.uniform_(values, 0.5, 1.5)


def image(name: str, samples: int = 1) -> Tensor:
    size = SIZE.get(name, 64)
    generator = torch.Generator().manual_seed(1)
    return torch.randn(samples, 3, size, size, generator=generator, dtype=torch.float64)


def largest_logit(model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model(x).abs().argmax(1)


# --------------------------------------------------------------------------- the oracle


def twin(model: nn.Module) -> nn.Module:
    """A copy whose gradient x input is LRP-0."""
    model = copy.deepcopy(model).requires_grad_(False)
    for layer in model.modules():
        if hasattr(layer, "inplace"):
            layer.inplace = False
    for layer in model.modules():
        for kinds, hook in HOOKS.items():
            if isinstance(layer, kinds):
                layer.register_forward_hook(hook)
    return model


def hold_factor(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
    z = inputs[0]
    slope = torch.where(z == 0, 0.0, output / torch.where(z == 0, 1.0, z))
    return z * slope.detach()


def hold_gate(layer: SqueezeExcitation, inputs: tuple[Tensor], output: Tensor) -> Tensor:
    return inputs[0] * layer._scale(inputs[0]).detach()


def hold_deviation(layer: nn.LayerNorm, inputs: tuple[Tensor], output: Tensor) -> Tensor:
    x = inputs[0].permute(0, 2, 3, 1) if isinstance(layer, LayerNorm2d) else inputs[0]
    deviation = (x.var(-1, unbiased=False, keepdim=True) + layer.eps).sqrt().detach()
    y = (x - x.mean(-1, keepdim=True)) / deviation * layer.weight + layer.bias
    return y.permute(0, 3, 1, 2) if isinstance(layer, LayerNorm2d) else y


HOOKS: dict[Any, Any] = {
    (nn.SiLU, nn.Hardswish, nn.GELU, nn.ReLU6): hold_factor,
    SqueezeExcitation: hold_gate,
    nn.LayerNorm: hold_deviation,
}


def gradient_times_input(model: nn.Module, x: Tensor, index: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    value = model(leaf).gather(1, index[:, None]).sum()
    return x * torch.autograd.grad(value, leaf)[0]


# --------------------------------------------------------------------------- the claims


@pytest.mark.parametrize("name", FAMILIES)
def test_family_runs_unmodified_and_its_ledger_closes(name: str) -> None:
    """With the paper's epsilon, a relative one, and the composite for pictures."""
    model = alive(name)
    rules = {
        "epsilon": lrp.Epsilon(1e-6),
        "relative": lrp.Epsilon(1e-3, relative=True),
        "composite": lrp.epsilon_gamma_box(-4.0, 4.0),
    }
    for dtype in (torch.float64, torch.float32):
        model, x = model.to(dtype), image(name).to(dtype)
        index = largest_logit(model, x)
        for rule in rules.values():
            relevance, ledger = lrp.relevance(model, x, index, rule, ledger=True)
            assert relevance.shape == x.shape
            assert bool(relevance.isfinite().all())
            assert abs(ledger.gap) <= LIMIT[dtype] * abs(ledger.output)


@pytest.mark.parametrize("name", FAMILIES)
def test_lrp_0_of_a_family_is_right(name: str) -> None:
    model, x = alive(name), image(name)
    index = largest_logit(model, x)
    other = twin(model)
    assert torch.allclose(other(x), model(x), rtol=1e-9)
    ours = lrp.relevance(model, x, index, lrp.Epsilon(0.0))
    oracle = gradient_times_input(other, x, index)
    assert float((ours - oracle).abs().max()) <= 1e-8 * float(oracle.abs().max())


def test_images_of_a_batch_are_explained_one_by_one() -> None:
    model, x = alive("resnet18"), image("resnet18", 3)
    index = largest_logit(model, x)
    together = lrp.relevance(model, x, index, lrp.epsilon_gamma_box(-4.0, 4.0))
    for sample in range(3):
        rows = slice(sample, sample + 1)
        one = lrp.relevance(model, x[rows], index[rows], lrp.epsilon_gamma_box(-4.0, 4.0))
        assert F.cosine_similarity(together[rows].flatten(), one.flatten(), 0) > 1 - 1e-9
