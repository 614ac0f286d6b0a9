"""Explainers that stand beside relevance propagation, for any differentiable model; captum's.

    relevance = gradient_x_input(model, (images_i, images_j), output)

All have the call form of `lrp.relevance`, `output` included, and return relevance shaped like the
inputs: a tensor for one input, a tuple for several. Integer inputs (users, relation kinds) are
handed on and get None. A model may be a plain function that closes over them.

Sources: gradient, Simonyan et al. 2014; gradient x input, Shrikumar et al. 2016; integrated
gradients, Sundararajan et al. 2017; Grad-CAM, Selvaraju et al. 2017. None knows a chapter.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from explainrec_lab.data.contracts import check_least, require
from explainrec_lab.lrp.relevance import Output, select

Model = Callable[..., Any]
Inputs = Tensor | Sequence[Tensor]
Value = Callable[..., Tensor]
# Shaped like the inputs: a tensor, or a tuple with None for integer inputs.
Relevance = Any


def gradient(model: Model, inputs: Inputs, output: Output = None) -> Relevance:
    """Saliency: how steeply the output changes with each pixel, whatever the direction.

    Source: Simonyan et al. 2014, §3 (absolute value of the gradient).
    """
    return _attributed("Saliency", model, inputs, output)


def gradient_x_input(model: Model, inputs: Inputs, output: Output = None) -> Relevance:
    """The first-order effect of setting a pixel to zero.

    Source: Shrikumar et al. 2016; equal to LRP-0 in a ReLU network without biases.
    """
    return _attributed("InputXGradient", model, inputs, output)


def integrated_gradients(
    model: Model, inputs: Inputs, output: Output = None, *, steps: int = 50
) -> Relevance:
    """Gradient x input, averaged along the way from zero to the input.

    Sums to the output minus the output at zero (black), up to the error of `steps` points
    (Gauss-Legendre).

    Source: Sundararajan et al. 2017, Eq. 1.
    """
    check_least(steps=steps)
    one_point = len(_as_tuple(inputs)[0]) if len(inputs) else None  # keeps integer inputs' size
    how = {"n_steps": steps, "internal_batch_size": one_point}
    return _attributed("IntegratedGradients", model, inputs, output, **how)


def grad_cam(
    model: nn.Module, inputs: Inputs, output: Output = None, *, layer: nn.Module
) -> Relevance:
    """Where the feature maps that raise the output are active, at the resolution of a layer.

    The map of each image is upsampled (bilinear), never negative, and divided equally among the
    channels, so that the sum over channels is the map.

    Args:
        layer: a module of the model; its outputs are feature maps. A siamese network must call it
            once, with all images in one batch, one image after the other.

    Raises:
        ValueError: a layer that is not called like this, or whose output is no feature map.

    Source: Selvaraju et al. 2017, Eq. 1 and 2.
    """
    from captum.attr import LayerAttribution, LayerGradCam

    floats, value = _explained(model, inputs, output)
    require(layer in model.modules(), "layer: it is no part of the model")
    maps = LayerGradCam(value, layer).attribute(floats, relu_attributions=True)
    if not isinstance(maps, Tensor) or maps.ndim != 4 or len(maps) != sum(map(len, floats)):
        needed = f"{len(floats)} images of {len(floats[0])} samples, all in one call"
        raise ValueError(f"layer: gives {tuple(maps.shape)}; needs maps [n, c, h, w] of {needed}")
    found = []
    for coarse, image in zip(maps.split(len(floats[0])), floats, strict=True):
        fine = LayerAttribution.interpolate(coarse, image.shape[-2:], interpolate_mode="bilinear")
        found.append((fine / image.shape[1]).expand_as(image).contiguous())
    return _like(inputs, found)


def random_map(model: Model | None, inputs: Inputs, output: Output = None) -> Relevance:
    """Standard normal noise from one seed: what an explanation without any knowledge scores.

    `model` and `output` are there for the common call form and are not looked at.
    """
    source = torch.Generator().manual_seed(0)
    floats = [x for x in _as_tuple(inputs) if x.is_floating_point()]
    return _like(inputs, [torch.randn(x.shape, generator=source).to(x) for x in floats])


def _attributed(name: str, model: Model, inputs: Inputs, output: Output, **how: Any) -> Relevance:
    """One of captum's, which take a second to import: only their use should cost it."""
    from captum import attr

    floats, value = _explained(model, inputs, output)
    return _like(inputs, getattr(attr, name)(value).attribute(floats, **how))


def _explained(model: Model, inputs: Inputs, output: Output) -> tuple[tuple[Tensor, ...], Value]:
    """The floating inputs, and the value to explain as a function of these alone."""
    given = _as_tuple(inputs)
    training = isinstance(model, nn.Module) and model.training
    require(not training, "model: is in training mode; call model.eval() first")
    sizes = [len(x) for x in given]
    require(len(set(sizes)) == 1, f"inputs: {sizes} samples; all need the same number")
    leaves = tuple(x.detach().clone().requires_grad_() for x in given if x.is_floating_point())
    require(leaves, "inputs: none is floating point, so none can have relevance")

    def value(*floats: Tensor) -> Tensor:
        moving = iter(floats)
        found = model(*(next(moving) if x.is_floating_point() else x for x in given))
        picked = select(found, output)
        if torch.is_grad_enabled() and not picked.requires_grad:
            raise ValueError("output: has no gradient; is there a detach() or no_grad() before it?")
        return picked

    return leaves, value


def _as_tuple(inputs: Inputs) -> tuple[Tensor, ...]:
    return (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)


def _like(inputs: Inputs, found: Sequence[Tensor]) -> Relevance:
    """What was found, detached, in the places of the floating inputs."""
    if isinstance(inputs, Tensor):
        return found[0].detach()
    rest = iter(found)
    return tuple(next(rest).detach() if x.is_floating_point() else None for x in inputs)
