"""Explainers that stand beside relevance propagation, for any differentiable model; captum's.

    relevance = gradient_x_input(model, (images_i, images_j), output)

All have the call form of `lrp.relevance`, `output` included, for inputs that are floating point,
and return relevance shaped like them: a tensor for one input, a tuple for several. What else a
model asks for (users, kinds of relations) stands in a function that closes over it.

Sources: gradient, Simonyan et al. 2014; gradient x input, Shrikumar et al. 2016; integrated
gradients, Sundararajan et al. 2017; Grad-CAM, Selvaraju et al. 2017. None knows a chapter.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from explainrec_lab.data.contracts import check_least, require
from explainrec_lab.lrp.relevance import Output, select

Model = Callable[..., Any]
Inputs = Tensor | tuple[Tensor, ...]
Value = Callable[..., Tensor]
# Shaped like the inputs: a tensor, or a tuple.
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
    point = max(map(len, tree_leaves(inputs)), default=1)  # one of all samples at a time
    how = {"n_steps": steps, "internal_batch_size": point}
    return _attributed("IntegratedGradients", model, inputs, output, **how)


def grad_cam(model: Model, inputs: Inputs, output: Output = None, *, layer: nn.Module) -> Relevance:
    """Where the feature maps that raise the output are active, at the resolution of a layer.

    The map of each image is upsampled (bilinear), never negative, and divided equally among the
    channels, so that the sum over channels is the map.

    Args:
        layer: a module of the model; its outputs are feature maps. A siamese network must call it
            once, with all images in one batch, one image after the other.

    Raises:
        ValueError: a layer that is called otherwise, or whose output is no feature map.
        AssertionError: captum's, for a layer that the model does not call.

    Source: Selvaraju et al. 2017, Eq. 1 and 2.
    """
    from captum.attr import LayerAttribution, LayerGradCam

    floats, value = _explained(model, inputs, output)
    images = tree_leaves(floats)
    maps = LayerGradCam(value, layer).attribute(floats, relu_attributions=True)
    if not isinstance(maps, Tensor) or maps.ndim != 4 or len(maps) != sum(map(len, images)):
        needed = f"{len(images)} images of {len(images[0])} samples, all in one call"
        raise ValueError(f"layer: gives {tuple(maps.shape)}; needs maps [n, c, h, w] of {needed}")
    rest = iter(maps.detach().split(len(images[0])))

    def fine(image: Tensor) -> Tensor:
        size = image.shape[-2:]
        large = LayerAttribution.interpolate(next(rest), size, interpolate_mode="bilinear")
        return (large / image.shape[1]).expand_as(image).contiguous()

    return tree_map(fine, floats)


def random_map(model: Model | None, inputs: Inputs, output: Output = None) -> Relevance:
    """Standard normal noise from one seed: what an explanation without any knowledge scores.

    `model` and `output` are there for the common call form and are not looked at.
    """
    source = torch.Generator().manual_seed(0)
    return tree_map(lambda x: torch.randn(x.shape, generator=source).to(x), inputs)


def _attributed(name: str, model: Model, inputs: Inputs, output: Output, **how: Any) -> Relevance:
    """One of captum's, which take a second to import: only their use should cost it."""
    from captum import attr

    floats, value = _explained(model, inputs, output)
    return tree_map(Tensor.detach, getattr(attr, name)(value).attribute(floats, **how))


def _explained(model: Model, inputs: Inputs, output: Output) -> tuple[Inputs, Value]:
    """Copies of the inputs that ask for gradients, and the value to explain as a function."""
    training = isinstance(model, nn.Module) and model.training
    require(not training, "model: is in training mode; call model.eval() first")
    given = tree_leaves(inputs)
    floating = given and all(x.is_floating_point() for x in given)
    require(floating, "inputs: need floating point; let the model close over whole numbers")
    sizes = [len(x) for x in given]
    require(len(set(sizes)) == 1, f"inputs: {sizes} samples; all need the same number")

    def value(*images: Tensor) -> Tensor:
        picked = select(model(*images), output)
        if torch.is_grad_enabled() and not picked.requires_grad:
            raise ValueError("output: has no gradient; is there a detach() or no_grad() before it?")
        return picked

    return tree_map(lambda x: x.detach().clone().requires_grad_(), inputs), value
