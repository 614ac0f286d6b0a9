"""Perturbation: spoil the pixels that an explanation calls relevant, and watch the prediction fall.

Source: LRP paper, §2.3 and §3.3 (Figure 3); Samek et al. 2017, whose area over the perturbation
curve (AOPC) sums a curve up. Patch after patch, the pixels of a sample are replaced by draws from
a uniform distribution. An explanation is faithful when the score falls fast if the most relevant
go first and slowly if they go last; a random order stands between.

A sample is one image, or several that are scored together: two of a pair, three of a comparison.
Their patches are ranked together (`pooled`) or each image by itself. All samples move at once; the
loop is over steps. A score is any callable and an explanation any map, so nothing here knows a
model. Whether an explanation finds the *true* region is asked in `localisation.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

ORDERS = ("most", "least", "random")
"""Which patches go first: the most relevant, the least relevant, or any."""


@dataclass(frozen=True)
class Curve:
    """What perturbation did to the scores of some pairs.

    Attributes:
        scores: the score of each pair after each step; step 0 is the untouched pair.
        replaced: how many patches of each pair are noise after each step.
        share: which share of a pair's pixels that is, in 0..1.
        order: one of `ORDERS`.
    """

    scores: Float[ndarray, "step pair"]
    replaced: Int[ndarray, " step"]
    share: Float[ndarray, " step"]
    order: str

    def table(
        self, related: Bool[ndarray, " pair"] | None = None, level: float = 0.95, seed: int = 0
    ) -> pd.DataFrame:
        """Accuracy of the predicted relation (Figure 3), one row a step, by `replaced`.

        Columns: `accuracy`, its band `low` and `high` (`band`), `score` (mean of all pairs) and
        `share`.
        """
        kept = still_right(self, related)
        low, high = band(kept.astype(np.float64), level, seed=seed)
        return pd.DataFrame(
            {
                "accuracy": _mean(kept),
                "low": low,
                "high": high,
                "score": _mean(self.scores),
                "share": self.share,
            },
            index=pd.Index(self.replaced, name="replaced"),
        )


def perturb(
    score: Callable[..., Tensor],
    images: Tensor | Sequence[Tensor],
    relevance: Tensor | Sequence[Tensor] | None = None,
    *,
    order: str = "most",
    patch: int = 4,
    steps: int = 20,
    per_step: int = 1,
    pooled: bool = True,
    context: Sequence[Tensor] = (),
    batch: int = 256,
    pixels: tuple[float, float] = (0.0, 1.0),
    instead: Tensor | Sequence[Tensor] | None = None,
    generator: torch.Generator | int = 0,
) -> Curve:
    """Replace patches by uniform noise, `per_step` at a time, and score the pairs after each step.

    The relevance of a patch is the sum over its pixels and channels. Equal patches go in random
    order. One seed gives all orders and all explanations the same noise, on every device, so
    that their curves differ by the ranking alone.

    Args:
        score: called as `score(*images, *context)`, gives one value a pair (a logit: above 0 =
            related). `relevance` must explain this value: with the relevance of a distance, pass
            minus it.
        images: float `[pair, channel, height, width]`, a tensor or one for each image of a pair.
        relevance: shaped like the images, or without their channels; not needed for 'random'.
        order: 'most', 'least' or 'random' (an independent ranking of each pair).
        patch: side of a patch in pixels; 1 perturbs single pixels. Patches at the right and the
            lower edge are cut off by it.
        steps: number of steps, beside step 0.
        per_step: patches replaced a step: of the pair if `pooled`, else of each image.
        pooled: rank the patches of a pair's images together, or those of each image by itself.
        context: further arguments of `score`, `[pair, ...]` each: users, relation kinds.
        batch: pairs scored at a time; changes memory and time only.
        pixels: lowest and highest pixel value of the noise.
        instead: pictures that the new pixels are taken from, shaped like the images; by default
            noise, as in the paper. A picture's background is less of a shock to the model.
        generator: of noise and rankings, or its seed.

    Raises:
        ValueError: names the argument and what it needs.

    Source: LRP paper, §3.3; Samek et al. 2017, §III.
    """
    pictures = _checked_images(images)
    maps = _checked_relevance(relevance, pictures, order)
    _check_steps(pictures, patch, steps, per_step, pooled)
    _check_rest(order, context, len(pictures[0]), batch, pixels)
    source = torch.Generator().manual_seed(generator) if isinstance(generator, int) else generator
    noise = [_uniform(picture, pixels, source) for picture in pictures]
    if instead is not None:
        noise = _checked_replacement(instead, pictures)
    turns = _turns([_patch_sums(each, patch) for each in maps], order, pooled, source)
    turns = [_on_pixels(turn, patch, each) for turn, each in zip(turns, pictures, strict=True)]
    budget = per_step * torch.arange(steps + 1)
    scores = [_scored(score, pictures, noise, turns, int(n), context, batch) for n in budget]
    return Curve(
        torch.stack(scores).double().cpu().numpy(),
        budget.numpy() * (1 if pooled else len(pictures)),
        np.array([_share(turns, int(n)) for n in budget]),
        order,
    )


# --------------------------------------------------------------------------- from curve to number


def still_right(
    curve: Curve, related: Bool[ndarray, " pair"] | None = None
) -> Bool[ndarray, "step right"]:
    """Whether the predicted relation is right after each step, for the pairs right at the start.

    Args:
        related: whether each pair is truly related; by default all are, as in the paper.

    Raises:
        ValueError: `related` is not one truth value a pair.
    """
    pairs = curve.scores.shape[1]
    truth = np.ones(pairs, bool) if related is None else np.asarray(related)
    if truth.shape != (pairs,) or truth.dtype != bool:
        raise ValueError(
            f"related: {truth.dtype} of shape {truth.shape}; needs bool of shape ({pairs},)"
        )
    right = (curve.scores > 0) == truth
    return right[:, right[0]]


def band(
    values: Float[ndarray, "step pair"], level: float = 0.95, draws: int = 1000, seed: int = 0
) -> tuple[Float[ndarray, " step"], Float[ndarray, " step"]]:
    """Confidence band of the mean over pairs: a percentile bootstrap that draws whole pairs.

    A pair is drawn with its whole curve. Without pairs the band is nan.

    Raises:
        ValueError: a level outside 0..1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level: {level} must lie between 0 and 1, such as 0.95")
    steps, pairs = values.shape
    if pairs == 0:
        return np.full(steps, np.nan), np.full(steps, np.nan)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(pairs, np.full(pairs, 1 / pairs), size=draws)
    means = counts @ values.T / pairs
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def aopc(curve: Curve) -> Float[ndarray, " pair"]:
    """Area over the perturbation curve: how far a pair's score fell, averaged over all steps.

    Step 0 counts, with a fall of 0. In units of the score; higher = more faithful, if the most
    relevant went first.

    Source: Samek et al. 2017, Eq. 12.
    """
    return (curve.scores[0] - curve.scores).mean(axis=0)


def area_between(most: Curve, least: Curve) -> Float[ndarray, " pair"]:
    """Area between the curves 'least relevant first' and 'most relevant first', a mean over steps.

    Raises:
        ValueError: curves of other orders, or of different steps or pairs.
    """
    if (most.order, least.order) != ("most", "least"):
        raise ValueError(
            f"most, least: orders {most.order!r} and {least.order!r}; need 'most' and 'least'"
        )
    if most.scores.shape != least.scores.shape or (most.replaced != least.replaced).any():
        raise ValueError("most, least: curves of different steps or pairs; perturb both alike")
    return (least.scores - most.scores).mean(axis=0)


def _mean(values: ndarray) -> Float[ndarray, " step"]:
    """Mean over pairs; nan of none (without numpy's warning)."""
    return values.mean(axis=1) if values.shape[1] else np.full(len(values), np.nan)


# --------------------------------------------------------------------------- who goes when


def _patch_sums(relevance: Tensor, patch: int) -> Float[Tensor, "pair row column"]:
    """Relevance of each patch: the sum over its pixels."""
    down, right = (-length % patch for length in relevance.shape[-2:])
    padded = F.pad(relevance, (0, right, 0, down))
    return padded.unfold(1, patch, patch).unfold(2, patch, patch).sum(dim=(-2, -1))


def _turns(
    sums: list[Tensor], order: str, pooled: bool, source: torch.Generator
) -> list[Int[Tensor, "pair row column"]]:
    """Each patch's turn (0 = first), counted over all images of a pair or over each."""
    shapes = [each.shape for each in sums]
    flat = [each.flatten(1) for each in sums]
    if pooled:
        places = _places(torch.cat(flat, dim=1), order, source)
        parts = list(places.split([each.shape[1] for each in flat], dim=1))
    else:
        parts = [_places(each, order, source) for each in flat]
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _places(
    sums: Float[Tensor, "pair patch"], order: str, source: torch.Generator
) -> Int[Tensor, "pair patch"]:
    """Rank of each patch in its pair; ties, and all of a random order, fall by lot."""
    lot = torch.rand(sums.shape, generator=source, device=source.device).argsort(dim=1)
    lot = lot.to(sums.device)
    if order == "random":
        return lot
    ranked = sums.gather(1, lot).argsort(dim=1, descending=order == "most", stable=True)
    return lot.gather(1, ranked).argsort(dim=1)


def _on_pixels(turn: Tensor, patch: int, image: Tensor) -> Int[Tensor, "pair 1 height width"]:
    """The turn of the patch that each pixel lies in."""
    height, width = image.shape[-2:]
    spread = turn.repeat_interleave(patch, dim=1).repeat_interleave(patch, dim=2)
    return spread[:, None, :height, :width]


def _uniform(image: Tensor, pixels: tuple[float, float], source: torch.Generator) -> Tensor:
    low, high = pixels
    noise = torch.rand(image.shape, generator=source, device=source.device)
    return (low + (high - low) * noise).to(image)


def _share(turns: list[Tensor], budget: int) -> float:
    """Share of a pair's pixels whose turn has come."""
    done = sum(int((turn < budget).sum()) for turn in turns)
    return done / max(sum(turn.numel() for turn in turns), 1)


@torch.no_grad()
def _scored(
    score: Callable[..., Tensor],
    images: list[Tensor],
    noise: list[Tensor],
    turns: list[Tensor],
    budget: int,
    context: Sequence[Tensor],
    batch: int,
) -> Float[Tensor, " pair"]:
    """Scores with noise wherever a pixel's turn is before `budget`."""
    parts = []
    for start in range(0, len(images[0]), batch):
        here = slice(start, start + batch)
        spoiled = [
            torch.where(turn[here] < budget, dust[here], image[here])
            for image, dust, turn in zip(images, noise, turns, strict=True)
        ]
        parts.append(score(*spoiled, *(each[here] for each in context)))
        _check_score(parts[-1], len(spoiled[0]))
    return torch.cat(parts)


# --------------------------------------------------------------------------- at the door


def _checked_images(images: Tensor | Sequence[Tensor]) -> list[Tensor]:
    pictures = [images] if isinstance(images, Tensor) else list(images)
    if not pictures:
        raise ValueError("images: none; give a tensor or a sequence of tensors")
    for number, picture in enumerate(pictures):
        if picture.ndim != 4 or not len(picture) or len(picture) != len(pictures[0]):
            raise ValueError(
                f"images: image {number} has shape {tuple(picture.shape)}; "
                "needs [pair, channel, height, width] with the same pairs, at least one"
            )
        if not picture.is_floating_point():
            raise ValueError(f"images: dtype {picture.dtype}; needs floats (divide uint8 by 255)")
    return pictures


def _checked_relevance(
    relevance: Tensor | Sequence[Tensor] | None, images: list[Tensor], order: str
) -> list[Float[Tensor, "pair height width"]]:
    """One map an image, summed over channels; blank ones for a random order."""
    if relevance is None and order == "random":
        return [torch.zeros_like(image[:, 0]) for image in images]
    if relevance is None:
        raise ValueError(f"relevance: none, but order {order!r} ranks by it")
    maps = [relevance] if isinstance(relevance, Tensor) else list(relevance)
    if len(maps) != len(images):
        raise ValueError(f"relevance: {len(maps)} maps for {len(images)} images of a pair")
    for number, (each, image) in enumerate(zip(maps, images, strict=True)):
        if each.shape not in (image.shape, image[:, 0].shape):
            raise ValueError(
                f"relevance: map {number} has shape {tuple(each.shape)}; needs "
                f"{tuple(image.shape)}, or the same without channels"
            )
        if not each.isfinite().all():
            raise ValueError(f"relevance: map {number} has nan or infinite values")
    return [
        (each.sum(1) if each.ndim == 4 else each).detach().to(images[0].device) for each in maps
    ]


def _checked_replacement(instead: Tensor | Sequence[Tensor], images: list[Tensor]) -> list[Tensor]:
    """What comes into spoiled patches, one picture for each image."""
    given = [instead] if isinstance(instead, Tensor) else list(instead)
    if [each.shape for each in given] != [image.shape for image in images]:
        raise ValueError(
            f"instead: shapes {[tuple(each.shape) for each in given]}; needs "
            f"{[tuple(image.shape) for image in images]}, as the images"
        )
    return [each.to(image) for each, image in zip(given, images, strict=True)]


def _check_steps(images: list[Tensor], patch: int, steps: int, per_step: int, pooled: bool) -> None:
    for name, value in (("patch", patch), ("steps", steps), ("per_step", per_step)):
        if value < 1:
            raise ValueError(f"{name}: {value} must be at least 1")
    counts = [-(-image.shape[-2] // patch) * -(-image.shape[-1] // patch) for image in images]
    there = sum(counts) if pooled else min(counts)
    if steps * per_step > there:
        raise ValueError(
            f"steps: {steps} steps of {per_step} patches are more than the {there} patches of "
            f"{'a pair' if pooled else 'an image'}; take fewer steps or smaller patches"
        )


def _check_rest(
    order: str, context: Sequence[Tensor], pairs: int, batch: int, pixels: tuple[float, float]
) -> None:
    if order not in ORDERS:
        raise ValueError(f"order: {order!r}; choose from {', '.join(ORDERS)}")
    if batch < 1:
        raise ValueError(f"batch: {batch} must be at least 1")
    if not pixels[0] < pixels[1]:
        raise ValueError(f"pixels: {pixels}; needs (lowest, highest)")
    for number, each in enumerate(context):
        if len(each) != pairs:
            raise ValueError(f"context: argument {number} has {len(each)} rows for {pairs} pairs")


def _check_score(values: Tensor, pairs: int) -> None:
    if values.shape != (pairs,):
        raise ValueError(
            f"score: returned shape {tuple(values.shape)} for {pairs} pairs; needs ({pairs},)"
        )
    if values.isnan().any():
        raise ValueError("score: returned nan; check the weights and the range of the images")
