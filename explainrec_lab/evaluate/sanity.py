"""Sanity checks: an explanation of a trained model must not survive random weights.

Source: Adebayo et al. 2018. `randomised` forgets what a model has learned, as a whole or from the
output down; `similarity` says how much of a relevance map is left. A map that stays as it was
shows the picture, not the model. (For random *labels*, train a second model on shuffled ones.)
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import ConstantInputWarning, spearmanr
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)


def layers_with_weights(model: nn.Module) -> list[str]:
    """Names of the modules that own parameters, in the order in which they were registered.

    In most networks this is from the input up to the output.
    """
    return [name for name, part in model.named_modules() if list(part.parameters(recurse=False))]


def randomised(
    model: Model,
    seed: int = 0,
    *,
    cascade: int | None = None,
    layers: Sequence[str] | None = None,
) -> Model:
    """A copy of the model with new random weights; the model itself stays as it is.

    A module draws its weights as when it was made (`reset_parameters`); parameters of a module
    that cannot do so are shuffled entry by entry.

    Args:
        seed: one seed gives a cascade of n + 1 layers the same first n.
        cascade: only this many of the layers, from the last one down; None = all.
        layers: names from the input up to the output; by default `layers_with_weights`, which is
            right where modules were registered in the order of their use.

    Raises:
        ValueError: a cascade outside 0..number of layers, or a layer without weights.
    """
    known = layers_with_weights(model)
    names = (known if layers is None else list(layers))[::-1]
    if unknown := set(names) - set(known):
        raise ValueError(f"layers: {sorted(unknown)[0]!r} has no weights of its own in this model")
    count = len(names) if cascade is None else cascade
    if not 0 <= count <= len(names):
        raise ValueError(f"cascade: {count} is outside 0..{len(names)}, the layers with weights")
    source = torch.Generator().manual_seed(seed)
    forgetful = copy.deepcopy(model)
    for name in names[:count]:
        own = int(torch.randint(2**31, (), generator=source))
        _forget(forgetful.get_submodule(name), own)
    return forgetful


def _forget(module: nn.Module, seed: int) -> None:
    """New weights for one module, without a trace in torch's own random state."""
    parameters = list(module.parameters(recurse=False))
    devices = sorted({p.device.index or 0 for p in parameters if p.device.type == "cuda"})
    with torch.random.fork_rng(devices), torch.no_grad():
        torch.manual_seed(seed)
        if reset := getattr(module, "reset_parameters", None):
            reset()
            return
        for parameter in parameters:
            order = torch.randperm(parameter.numel()).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].reshape(parameter.shape))


def similarity(first: Tensor | ndarray, second: Tensor | ndarray) -> Float[ndarray, " event"]:
    """Spearman's rank correlation of two relevance maps of each event, in -1..1.

    nan where one of the maps is constant: it ranks nothing.

    Args:
        first, second: `[event, ...]`, of the same shape.

    Raises:
        ValueError: different shapes, or nan values.
    """
    a, b = (torch.as_tensor(each).detach().cpu().flatten(1).numpy() for each in (first, second))
    if a.shape != b.shape:
        raise ValueError(f"first and second: shapes {a.shape} and {b.shape} differ")
    for name, each in {"first": a, "second": b}.items():
        if np.isnan(each).any():
            raise ValueError(f"{name}: nan among the values")
    with warnings.catch_warnings(action="ignore", category=ConstantInputWarning):
        return np.array([spearmanr(*pair).statistic for pair in zip(a, b, strict=True)])
