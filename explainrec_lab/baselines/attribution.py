"""Explainers that stand beside relevance propagation, for any differentiable model.

    relevance = gradient_x_input(model, (images_i, images_j), output)

All have the call form of `lrp.relevance` and return relevance shaped like the inputs: a tensor for
one input, a tuple for several. `output` says what to explain: None for a model that gives one
value a sample, an index into its last dimension, or a callable from its output to one value a
sample. Integer inputs (users, relation kinds) are handed on and get None. A model may
be a plain function that closes over them.

Sources: gradient, Simonyan et al. 2014; gradient x input, Shrikumar et al. 2016; integrated
gradients, Sundararajan et al. 2017 (captum's, and so not written here); Grad-CAM, Selvaraju et al.
2017, with one feature map for each call of a shared (siamese) network. None knows a chapter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Model = Callable[..., Any]
Inputs = Tensor | Sequence[Tensor]
Output = int | Callable[[Any], Tensor] | None
Relevance = Any
"""Shaped like the inputs: a tensor, or a tuple with None for integer inputs."""


def gradient(model: Model, inputs: Inputs, output: Output = None) -> Relevance:
    """Saliency: how steeply the output changes with each pixel, whatever the direction.

    Source: Simonyan et al. 2014, §3 (absolute value of the gradient).
    """
    leaves = _leaves(model, inputs)
    slopes = _slopes(_explained(model, leaves, output), leaves)
    return _like(inputs, [None if slope is None else slope.abs() for slope in slopes])


def gradient_x_input(model: Model, inputs: Inputs, output: Output = None) -> Relevance:
    """The first-order effect of setting a pixel to zero.

    Source: Shrikumar et al. 2016; equal to LRP-0 in a ReLU network without biases.
    """
    leaves = _leaves(model, inputs)
    slopes = _slopes(_explained(model, leaves, output), leaves)
    return _like(inputs, [_times(s, x) for s, x in zip(slopes, leaves, strict=True)])


def integrated_gradients(
    model: Model, inputs: Inputs, output: Output = None, *, steps: int = 50, baseline: float = 0.0
) -> Relevance:
    """Gradient x difference to a baseline, averaged along the way from there; captum's.

    Sums to the output minus the output at the baseline, up to the error of `steps` points.

    Args:
        steps: points on the way (Gauss-Legendre).
        baseline: the pixel value that means 'nothing there'; 0 is black, 1 white.

    Source: Sundararajan et al. 2017, Eq. 1.
    """
    from captum.attr import IntegratedGradients  # a second to import, which only this should cost

    if steps < 1:
        raise ValueError(f"steps: {steps} must be at least 1")
    given, leaves = _as_tuple(inputs), _leaves(model, inputs)
    moving = [n for n, x in enumerate(given) if x.is_floating_point()]

    def along(*floats: Tensor) -> Tensor:
        replaced = dict(zip(moving, floats, strict=True))
        return _explained(model, [replaced.get(n, x) for n, x in enumerate(given)], output)

    found = IntegratedGradients(along, multiply_by_inputs=True).attribute(
        tuple(leaves[n].detach() for n in moving),
        baselines=tuple(baseline for _ in moving),
        n_steps=steps,
        internal_batch_size=len(given[0]),  # one point at a time: integer inputs keep their size
    )
    placed = dict(zip(moving, found, strict=True))
    return _like(inputs, [placed.get(n) for n in range(len(given))])


def grad_cam(
    model: nn.Module, inputs: Inputs, output: Output = None, *, layer: str | nn.Module
) -> Relevance:
    """Where the feature maps that raise the output are active, at the resolution of a layer.

    The map of each image is upsampled (bilinear), never negative, and divided equally among the
    channels, so that the sum over channels is the map.

    Args:
        layer: a module of the model or its name; its outputs are feature maps. A siamese network
            may call it once for each image, in the order of the inputs, or once for all images
            of the batch, one image after the other.

    Raises:
        ValueError: an unknown layer, one that was not called once per image, or one whose output
            is no feature map.

    Source: Selvaraju et al. 2017, Eq. 1 and 2.
    """
    leaves = _leaves(model, inputs)
    images = [n for n, x in enumerate(leaves) if x.is_floating_point()]
    module, name = _module(model, layer)
    with _kept_outputs(module) as calls:
        value = _explained(model, leaves, output)
    maps = _one_map_an_image(calls, [leaves[n] for n in images], name)
    slopes = torch.autograd.grad(value, calls, torch.ones_like(value), allow_unused=True)
    slopes_of = _one_map_an_image(
        [torch.zeros_like(c) if s is None else s for s, c in zip(slopes, calls, strict=True)],
        [leaves[n] for n in images],
        name,
    )
    found = {
        n: _cam(features.detach(), slope, leaves[n])
        for n, features, slope in zip(images, maps, slopes_of, strict=True)
    }
    return _like(inputs, [found.get(n) for n in range(len(leaves))])


def random_map(
    model: Model | None,
    inputs: Inputs,
    output: Output = None,
    *,
    generator: torch.Generator | int = 0,
) -> Relevance:
    """Standard normal noise: what an explanation without any knowledge scores.

    `model` and `output` are there for the common call form and are not looked at.
    """
    source = torch.Generator().manual_seed(generator) if isinstance(generator, int) else generator
    noise = [
        torch.randn(x.shape, generator=source, device=source.device).to(x)
        if x.is_floating_point()
        else None
        for x in _as_tuple(inputs)
    ]
    return _like(inputs, noise)


# --------------------------------------------------------------------------- gradients


def _leaves(model: Model, inputs: Inputs) -> list[Tensor]:
    """The inputs, cut off from what made them; the floating ones ask for gradients."""
    if isinstance(model, nn.Module) and model.training:
        raise ValueError("model: is in training mode; call model.eval() first")
    given = _as_tuple(inputs)
    if not given or not all(isinstance(x, Tensor) for x in given):
        raise ValueError("inputs: needs a tensor or a sequence of tensors")
    if not any(x.is_floating_point() for x in given):
        raise ValueError("inputs: none is floating point, so none can have relevance")
    if len({len(x) for x in given}) != 1:
        raise ValueError(f"inputs: {[len(x) for x in given]} samples; all need the same number")
    return [x.detach().clone().requires_grad_(x.is_floating_point()) for x in given]


def _explained(model: Model, inputs: Sequence[Tensor], output: Output) -> Float[Tensor, " sample"]:
    """The value to explain, one a sample."""
    with torch.enable_grad():
        found = model(*inputs)
        value = output(found) if callable(output) else found
        if isinstance(output, int):
            value = found[..., output]
    samples = len(inputs[0])
    if not isinstance(value, Tensor) or value.shape != (samples,):
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(
            f"output: gives {shape} for {samples} samples; needs one value a sample. Pass an "
            "index into the last dimension, or a callable from the model's output to [sample]"
        )
    if not value.requires_grad:
        raise ValueError(
            "output: has no gradient; is there a detach() or a no_grad() in the model, or does "
            "the output not depend on the inputs?"
        )
    return value


def _slopes(value: Tensor, leaves: list[Tensor]) -> list[Tensor | None]:
    """Gradient of each sample's value by each floating input (samples do not meet)."""
    moving = [x for x in leaves if x.requires_grad]
    ones = torch.ones_like(value)
    found = iter(torch.autograd.grad(value, moving, ones, materialize_grads=True))
    return [next(found) if x.requires_grad else None for x in leaves]


def _times(slope: Tensor | None, x: Tensor) -> Tensor | None:
    return None if slope is None else slope * x.detach()


def _as_tuple(inputs: Inputs) -> tuple[Tensor, ...]:
    return (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)


def _like(inputs: Inputs, found: Sequence[Tensor | None]) -> Relevance:
    return found[0] if isinstance(inputs, Tensor) else tuple(found)


# --------------------------------------------------------------------------- Grad-CAM


def _module(model: nn.Module, layer: str | nn.Module) -> tuple[nn.Module, str]:
    if not isinstance(model, nn.Module):
        raise ValueError("model: grad_cam needs an nn.Module, whose layers have names")
    named = dict(model.named_modules())
    for name, module in named.items():
        if layer is module or layer == name:
            return module, name
    some = ", ".join(name for name, m in named.items() if isinstance(m, nn.Conv2d))
    raise ValueError(f"layer: {layer!r} is not in the model; its convolutions: {some or 'none'}")


@contextmanager
def _kept_outputs(module: nn.Module) -> Iterator[list[Tensor]]:
    """A list that gathers the module's output at each call; what follows gets a copy.

    The copy keeps an in-place activation behind the module from changing what was gathered.
    """
    calls: list[Tensor] = []

    def keep(_: nn.Module, __: Any, out: Tensor) -> Tensor:
        calls.append(out)
        return out.clone() if isinstance(out, Tensor) else out

    hook = module.register_forward_hook(keep)
    try:
        yield calls
    finally:
        hook.remove()


def _one_map_an_image(
    calls: Sequence[Tensor], images: list[Tensor], name: str
) -> list[Float[Tensor, "sample feature row column"]]:
    """Feature maps in the order of the images, from one call an image or one for all."""
    for call in calls:
        if not isinstance(call, Tensor) or call.ndim != 4:
            shape = tuple(call.shape) if isinstance(call, Tensor) else type(call).__name__
            raise ValueError(f"layer: {name!r} gives {shape}; needs [sample, feature, row, column]")
    samples = len(images[0])
    if len(calls) == len(images) and all(len(call) == samples for call in calls):
        return list(calls)
    if len(calls) == 1 and len(calls[0]) == samples * len(images):
        return list(calls[0].split(samples))
    raise ValueError(
        f"layer: {name!r} was called {len(calls)} times, for {[len(c) for c in calls]} samples; "
        f"needs one call for each of {len(images)} images of {samples} samples, or one for all"
    )


def _cam(features: Tensor, slope: Tensor, image: Tensor) -> Tensor:
    """Upsampled positive part of the features, weighted by their mean gradients."""
    weights = slope.mean(dim=(-2, -1), keepdim=True)
    coarse = (weights * features).sum(dim=1, keepdim=True).relu()
    fine = F.interpolate(coarse, image.shape[-2:], mode="bilinear", align_corners=False)
    return (fine / image.shape[1]).expand_as(image).contiguous()
