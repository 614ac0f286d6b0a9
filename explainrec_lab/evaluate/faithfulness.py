"""Perturbation: spoil the pixels that an explanation calls relevant, and watch the prediction fall.

Source: LRP paper, §2.3 and §3.3 (Figure 3); Samek et al. 2017, whose area over the perturbation
curve (AOPC) sums a curve up. Patch after patch, the pixels of a sample are replaced by draws from
a uniform distribution. An explanation is faithful when the score falls fast if the most relevant
go first and slowly if they go last; a random order stands between.

A sample is one image, or several that are scored together: two of a pair, three of a comparison.
Their patches are ranked together (`pooled`) or each image by itself. All samples move at once; the
loop is over steps. A score is any callable and an explanation any map, so nothing here knows a
model. Whether an explanation finds the *true* region is asked in `localisation.py`.

An explanation must not survive random weights either (Adebayo et al. 2018): `randomised` forgets
what a model has learned. A map that scores as before shows the picture, not the model. (For random
*labels*, train a second model on shuffled ones.)

And what is put on trial must be alive: a softmax over units that never fire weighs nothing, and a
verdict on it says nothing of the idea. `health` looks before anybody judges.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.special import entr
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from explainrec_lab.data.contracts import check_choice, check_least, require

# Which patches go first: the most relevant, the least relevant, or any.
ORDERS = ("most", "least", "random")


@dataclass(frozen=True)
class Curve:
    """What perturbation did to the scores of some pairs.

    Attributes:
        scores: the score of each pair after each step; step 0 is the untouched pair.
        replaced: how many patches of each pair are noise after each step.
    """

    scores: Float[ndarray, "step pair"]
    replaced: Int[ndarray, " step"]

    def table(self, related: Bool[ndarray, " pair"] | None = None) -> pd.DataFrame:
        """Accuracy of the predicted relation (Figure 3), one row a step, by `replaced`.

        Columns: `accuracy` of the pairs that were right at the start, its band `low` and `high`
        (`band`), and `score` (mean of all pairs).

        Args:
            related: whether each pair is truly related; by default all are, as in the paper.

        Raises:
            ValueError: `related` is not one truth value a pair.
        """
        pairs = self.scores.shape[1]
        truth = np.ones(pairs, bool) if related is None else np.asarray(related)
        fits, given = truth.shape == (pairs,), f"{truth.dtype} of shape {truth.shape}"
        require(fits and truth.dtype == bool, f"related: {given}; needs bool of shape ({pairs},)")
        right = (self.scores > 0) == truth
        kept = right[:, right[0]]
        low, high = band(kept.astype(np.float64))
        accuracy, score = (pd.DataFrame(each).mean(axis=1) for each in (kept, self.scores))
        columns = {"accuracy": accuracy, "low": low, "high": high, "score": score}
        return pd.DataFrame(columns).set_index(pd.Index(self.replaced, name="replaced"))


# Pairs scored at a time; changes memory and time only.
BATCH = 256


def perturb(
    score: Callable[..., Tensor],
    images: Tensor | Sequence[Tensor],
    relevance: Tensor | Sequence[Tensor] | None = None,
    *,
    order: str = "most",
    patch: int = 4,
    steps: int = 20,
    per_step: int = 1,
    context: Sequence[Tensor] = (),
    instead: Tensor | Sequence[Tensor] | None = None,
    seed: int = 0,
) -> Curve:
    """Replace patches by uniform noise, `per_step` at a time, and score the pairs after each step.

    The relevance of a patch is the sum over its pixels and channels. Equal patches go in random
    order. One seed gives all orders and all explanations the same noise, on every device, so
    that their curves differ by the ranking alone.

    Args:
        score: called as `score(*images, *context)`, gives one value a pair (a logit: above 0 =
            related). `relevance` must explain this value: with the relevance of a distance, pass
            minus it.
        images: float `[pair, channel, height, width]` in 0..1, a tensor or one for each image of
            a pair.
        relevance: shaped like the images, or without their channels; not needed for 'random'.
        order: 'most', 'least' or 'random' (an independent ranking of each pair).
        patch: side of a patch in pixels; 1 perturbs single pixels. Patches at the right and the
            lower edge are cut off by it. Those of a pair's images are ranked together.
        steps: number of steps, beside step 0.
        per_step: patches replaced a step.
        context: further arguments of `score`, `[pair, ...]` each: users, relation kinds.
        instead: pictures that the new pixels are taken from, shaped like the images; by default
            noise, as in the paper. A picture's background is less of a shock to the model.
        seed: of noise and rankings.

    Raises:
        ValueError: names the argument and what it needs.

    Source: LRP paper, §3.3; Samek et al. 2017, §III.
    """
    pictures = _listed(images)
    check_least(patch=patch, steps=steps, per_step=per_step)
    _check(pictures, context, patch, steps * per_step)
    maps = _maps(relevance, pictures, order)
    source = torch.Generator().manual_seed(seed)
    new = [torch.rand(picture.shape, generator=source).to(picture) for picture in pictures]
    if instead is not None:
        new = _same_shapes("instead", _listed(instead), pictures)
    turns = _turns(maps, order, patch, source)
    budget = per_step * np.arange(steps + 1)
    scores = [_scored(score, pictures, new, turns, int(n), context) for n in budget]
    return Curve(torch.stack(scores).double().cpu().numpy(), budget)


def background(images: Float[Tensor, "pair 3 h w"]) -> Float[Tensor, "pair 3 h w"]:
    """The mean colour of each picture's border, everywhere: `instead` of noise it cuts out."""
    edges = torch.cat([images[..., 0, :], images[..., -1, :], images[..., 0]], dim=-1)
    return edges.mean(dim=-1)[..., None, None].expand_as(images).contiguous()


# --------------------------------------------------------------------------- from curve to number


def band(values: Float[ndarray, "step pair"]) -> Float[ndarray, "2 step"]:
    """95 % confidence band of the mean over pairs: a percentile bootstrap that draws whole pairs.

    A pair is drawn with its whole curve. Without pairs the band is nan.
    """
    steps, pairs = values.shape
    if pairs == 0:
        return np.full((2, steps), np.nan)
    counts = np.random.default_rng(0).multinomial(pairs, np.full(pairs, 1 / pairs), size=1000)
    return np.quantile(counts @ values.T / pairs, [0.025, 0.975], axis=0)


def aopc(curve: Curve) -> Float[ndarray, " pair"]:
    """Area over the perturbation curve: how far a pair's score fell, averaged over all steps.

    Step 0 counts, with a fall of 0. In units of the score; higher = more faithful, if the most
    relevant went first.

    Source: Samek et al. 2017, Eq. 12.
    """
    return (curve.scores[0] - curve.scores).mean(axis=0)


# --------------------------------------------------------------------------- who goes when


def _turns(
    maps: list[Float[Tensor, "pair height width"]], order: str, patch: int, source: torch.Generator
) -> list[Int[Tensor, "pair 1 height width"]]:
    """The turn (0 = first) of the patch that each pixel lies in; equal patches go by lot.

    Turns are counted over all images of a pair. A patch's relevance is the sum over its pixels.
    """
    sums = [F.avg_pool2d(each[:, None], patch, ceil_mode=True, divisor_override=1) for each in maps]
    flat = torch.cat([each.flatten(1) for each in sums], dim=1)
    turns = torch.rand(flat.shape, generator=source).argsort(dim=1).to(flat.device)
    if order != "random":
        lot = turns
        ranked = flat.gather(1, lot).argsort(dim=1, descending=order == "most", stable=True)
        turns = lot.gather(1, ranked).argsort(dim=1)
    parts = turns.split([each[0].numel() for each in sums], dim=1)
    grids = [part.view_as(each) for part, each in zip(parts, sums, strict=True)]
    wide = [each.repeat_interleave(patch, 2).repeat_interleave(patch, 3) for each in grids]
    return [w[..., : x.shape[-2], : x.shape[-1]] for w, x in zip(wide, maps, strict=True)]


@torch.no_grad()
def _scored(
    score: Callable[..., Tensor],
    images: list[Tensor],
    new: list[Tensor],
    turns: list[Tensor],
    budget: int,
    context: Sequence[Tensor],
) -> Float[Tensor, " pair"]:
    """Scores with new pixels wherever a pixel's turn is before `budget`."""
    mixed = [torch.where(t < budget, n, i) for t, n, i in zip(turns, new, images, strict=True)]
    found = []
    for some in zip(*(each.split(BATCH) for each in (*mixed, *context)), strict=True):
        found.append(score(*some))
        if (shape := tuple(found[-1].shape)) != (len(some[0]),):
            raise ValueError(f"score: returned shape {shape} for {len(some[0])} pairs")
        if found[-1].isnan().any():
            raise ValueError("score: returned nan; check the weights and the range of the images")
    return torch.cat(found)


# --------------------------------------------------------------------------- at the door


def _listed(given: Tensor | Sequence[Tensor]) -> list[Tensor]:
    return [given] if isinstance(given, Tensor) else list(given)


def _check(images: list[Tensor], context: Sequence[Tensor], patch: int, patches: int) -> None:
    require(images, "images: none; give a tensor or a sequence of tensors")
    needed = "[pair, channel, height, width] with the same pairs, at least one"
    for number, picture in enumerate(images):
        given = f"image {number} has shape {tuple(picture.shape)} of {picture.dtype}"
        fits = picture.ndim == 4 and 0 < len(picture) == len(images[0])
        right = fits and picture.is_floating_point()
        require(right, f"images: {given}; needs floats (divide uint8 by 255), {needed}")
    for number, each in enumerate(context):
        rows = f"{len(each)} rows for {len(images[0])} pairs"
        require(len(each) == len(images[0]), f"context: argument {number} has {rows}")
    there = sum(-(-x.shape[-2] // patch) * -(-x.shape[-1] // patch) for x in images)
    asked = f"{patches} patches are more than the {there} patches of a pair"
    require(patches <= there, f"steps: {asked}; take fewer steps or smaller patches")


def _maps(
    relevance: Tensor | Sequence[Tensor] | None, images: list[Tensor], order: str
) -> list[Float[Tensor, "pair height width"]]:
    """One map an image, summed over channels; blank ones for a random order."""
    check_choice("order", order, ORDERS)
    if relevance is None:
        require(order == "random", f"relevance: none, but order {order!r} ranks by it")
        return [torch.zeros_like(image[:, 0]) for image in images]
    channels = images[0].shape[1]
    maps = [each.detach() for each in _listed(relevance)]
    maps = [each.sum(1) if each.ndim == 4 and each.shape[1] == channels else each for each in maps]
    for number, each in enumerate(maps):
        require(each.isfinite().all(), f"relevance: map {number} has nan or infinite values")
    return _same_shapes("relevance", maps, [image[:, 0] for image in images])


def _same_shapes(name: str, given: list[Tensor], images: list[Tensor]) -> list[Tensor]:
    """What was given, on the device and in the precision of the images."""
    shapes, needed = ([tuple(each.shape) for each in some] for some in (given, images))
    require(shapes == needed, f"{name}: shapes {shapes}; needs {needed}, as the images")
    return [each.to(image) for each, image in zip(given, images, strict=True)]


# -------------------------------------------------------------------------- random weights


Model = TypeVar("Model", bound=nn.Module)


def randomised(model: Model, seed: int = 0) -> Model:
    """A copy of the model with new random weights; the model itself stays as it is.

    A module draws its weights as when it was made (`reset_parameters`); parameters of a module
    that cannot do so are shuffled entry by entry.
    """
    source = torch.Generator().manual_seed(seed)
    forgetful = copy.deepcopy(model)
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
    with torch.random.fork_rng(devices), torch.no_grad():  # no trace in torch's own random state
        for part in reversed(list(forgetful.modules())):
            if parameters := list(part.parameters(recurse=False)):
                torch.manual_seed(int(torch.randint(2**31, (), generator=source)))
                reset = getattr(part, "reset_parameters", None)
                for parameter in [] if reset else parameters:
                    order = torch.randperm(parameter.numel()).to(parameter.device)
                    parameter.copy_(parameter.flatten()[order].reshape(parameter.shape))
                if reset:
                    reset()
    return forgetful


# ------------------------------------------------------------------------------- is it alive?


# What cuts off below zero; a clamp does so if its lower end is 0.
RELUS = {f"aten::{name}{way}" for name in ("relu", "clamp", "clamp_min") for way in ("", "_")}


class _Firing(TorchDispatchMode):
    """Notes which units fire in every ReLU that a program runs, whoever calls it and how."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis
        self.fired: list[Tensor] = []  # bool [unit, example, position]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        lower_end = args[1] if len(args) > 1 else 0
        if func._schema.name in RELUS and lower_end == 0 and out.ndim > 1:
            self.fired.append((out > 0).movedim(self.axis, 0))
        return out


def health(
    model: nn.Module,
    *inputs: Any,
    axis: int = 1,
    places: Bool[Tensor, "*place"] | None = None,
    weights: Float[ndarray, "example A"] | None = None,
    scores: Sequence[float] = (),
) -> pd.Series:
    """Is a model alive on these examples? To be asked before its explanations are judged.

    - **dead units**: units of a ReLU that fire nowhere, in no example. **dead places**: examples
      and positions (pixels, attributes) where none of a ReLU's units fires. Both are shares, of
      the ReLU where they are largest; a model without ReLUs has none.
    - **gradient reach**: the share of the parameters' entries whose gradient is not zero, of a
      random combination of the outputs.
    - **entropy**: of `weights`, over the logarithm of how many apply (1: all alike), averaged over
      examples to which two or more apply.
    - **seed spread**: the standard deviation of `scores`.

    Args:
        inputs: of the model, which returns one tensor. All examples at once: a ReLU that is called
            twice counts as two.
        axis: of a ReLU's output, along which its units lie; 1 for feature maps.
        places: those that count, shaped like a ReLU's output without its units; by default all.
        weights: such as attention, each example's sum is 1; nan where they do not apply.
        scores: one a seed, such as AUC.

    Raises:
        ValueError: weights that are no shares.
    """
    with torch.enable_grad():
        with _Firing(axis) as seen:
            output = model(*inputs)
        lot = torch.randn(output.shape, generator=torch.Generator().manual_seed(0)).to(output)
        whole = (output * lot).sum()
    parameters = [each for each in model.parameters() if each.requires_grad]
    gradients = torch.autograd.grad(whole, parameters, allow_unused=True)
    reached = sum(int(each.count_nonzero()) for each in gradients if each is not None)
    fired = [each.flatten(1) if places is None else each[:, places] for each in seen.fired]
    found = {
        "dead units": max((float((~each.any(1)).float().mean()) for each in fired), default=0.0),
        "dead places": max((float((~each.any(0)).float().mean()) for each in fired), default=0.0),
        "gradient reach": reached / sum(each.numel() for each in parameters),
    }
    if weights is not None:
        # Mean entropy of the rows with two or more weights, each over its largest possible value.
        count = (~np.isnan(given := np.asarray(weights))).sum(axis=1)
        several = np.nan_to_num(given[count > 1])
        shares = (several >= 0).all() and np.allclose(several.sum(axis=1), 1, atol=1e-4)
        require(shares, "weights: not shares; each example's must be positive and sum to 1")
        found["entropy"] = float((entr(several).sum(axis=1) / np.log(count[count > 1])).mean())
    if len(scores):
        found["seed spread"] = float(np.std(scores))
    return pd.Series(found)
