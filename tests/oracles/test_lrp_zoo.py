"""torchvision's families, unmodified: every ledger closes, and LRP-0 is right, not only conserved.

Random weights, but no net at its tame initial state: batch norms have statistics of their own and
every bias is drawn. The oracle is gradient x input of a copy in which hooks hold constant what LRP
holds constant: the factors of smooth activations, the gates of squeeze-and-excitation, the standard
deviations of layer norms. Products of two signals, such as attention has, are halved in it.

Every classifier of torchvision's, the largest too, is run under EXPLAINREC_NIGHTLY=1; else three.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from machine import NIGHTLY
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torchvision import models
from torchvision.models.convnext import LayerNorm2d
from torchvision.ops.misc import SqueezeExcitation

from explainrec_lab import lrp

LIMIT = {torch.float32: 1e-5, torch.float64: 1e-10}
QUICK = ["resnet18", "squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5"]
SLOW = [
    "alexnet", "vgg11", "vgg11_bn", "densenet121", "googlenet", "mobilenet_v2", "efficientnet_b0",
    "convnext_tiny", "regnet_y_400mf", "regnet_x_400mf", "inception_v3", "mnasnet0_5",
    "vit_b_32", "swin_t", "maxvit_t",
]  # fmt: skip
FAMILIES = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
SIZE = {"inception_v3": 96, "maxvit_t": 224}
WITHOUT_SLOW_INIT = {"googlenet", "inception_v3"}


def alive(name: str, seed: int = 0) -> nn.Module:
    """A family with He's weights, drawn biases, and batch norms near their layers' statistics."""
    torch.manual_seed(seed)
    options: dict[str, Any] = {"init_weights": False} if name in WITHOUT_SLOW_INIT else {}
    options |= {"image_size": 64} if name.startswith("vit") else {}
    model = getattr(models, name)(weights=None, num_classes=10, **options).double().eval()
    for layer in model.modules():
        for key, values in [*layer.named_parameters(recurse=False)]:
            draw(key, values.data)
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    for norm in norms:
        norm.train().momentum = 1.0
    if norms:
        with torch.no_grad():
            model(
                image(name, 2 if SIZE.get(name) == 224 else 16)
            )  # every norm now knows its layer's statistics
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


def halve_products(layer: nn.MultiheadAttention, inputs: Any, output: Any) -> Any:
    """Self-attention in single calls, for `Halved` to meet."""
    x = inputs[0]
    projected = F.linear(x, layer.in_proj_weight, layer.in_proj_bias).chunk(3, -1)
    q, k, v = (part.unflatten(-1, (layer.num_heads, -1)).transpose(1, 2) for part in projected)
    weights = torch.matmul(q * layer.head_dim**-0.5, k.mT).softmax(-1)
    return layer.out_proj(torch.matmul(weights, v).transpose(1, 2).flatten(2)), None


class Halved(TorchFunctionMode):
    """Half of the gradient of a product of two signals."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in ("matmul", "einsum"):
            factors = [x for x in args if isinstance(x, Tensor) and x.requires_grad]
            return out / 2 + (out / 2).detach() if len(factors) > 1 else out
        return out


HOOKS: dict[Any, Any] = {
    (nn.SiLU, nn.Hardswish, nn.GELU, nn.ReLU6, nn.Tanh): hold_factor,
    SqueezeExcitation: hold_gate,
    nn.LayerNorm: hold_deviation,
    nn.MultiheadAttention: halve_products,
}


def gradient_times_input(model: nn.Module, x: Tensor, index: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    with Halved():
        value = model(leaf).gather(1, index[:, None]).sum()
    return x * torch.autograd.grad(value, leaf)[0]


# --------------------------------------------------------------------------- the claims


@pytest.mark.parametrize("name", FAMILIES)
def test_family_runs_unmodified_and_its_ledger_closes(name: str) -> None:
    """With a small and a large epsilon, and the composite for pictures."""
    model = alive(name)
    rules = {
        "epsilon": lrp.Epsilon(1e-6),
        "large": lrp.Epsilon(0.1),
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


# --------------------------------------------------------------------------- all of them

QUICKEST = ("vit_b_16", "swin_t", "maxvit_t")
CLASSIFIERS = [n for n in models.list_models(module=models) if NIGHTLY or n in QUICKEST]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_classifier_of_torchvision_runs_as_it_is(name: str) -> None:
    """In float32, with random weights: only the ledger is looked at."""
    options: dict[str, Any] = {"init_weights": False} if name in WITHOUT_SLOW_INIT else {}
    options |= {"image_size": 56 if name == "vit_h_14" else 64} if name.startswith("vit") else {}
    torch.manual_seed(0)
    model = models.get_model(name, weights=None, num_classes=10, **options).eval()
    for key, values in model.named_parameters():
        if "bias" in key or "heads.head" in key:  # zeros would explain nothing
            nn.init.normal_(values, std=0.1)
    size = options.get("image_size", SIZE.get(name, 64))
    x = torch.randn(1, 3, size, size)
    for attention in ("AttnLRP", "CP-LRP") if name in QUICKEST else ("AttnLRP",):
        rule = lrp.Composite(attention=attention)
        relevance, ledger = lrp.relevance(model, x, largest_logit(model, x), rule, ledger=True)
        assert relevance.shape == x.shape
        assert bool(relevance.any())
        assert abs(ledger.gap) <= 1e-5 * abs(ledger.output)
