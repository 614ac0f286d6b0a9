"""Pixel scores against the known truth: did the relevance fall into the true region?

Source: the scores' usual names are relevance mass and rank accuracy (Arras et al. 2022) and the
pointing game (Zhang et al. 2018). Only a source with masks can be scored (the boutique).

The true region is always named: the *part mask* (the pixels that an attribute's name points at) or
the *silhouette* (all pixels of the item; they carry its colour). *Counterfactual masks*
(`Catalogue.mask`) are scored nowhere here.

Maps are `[event, height, width]`, arrays or tensors, channels summed away. One rule for all
scores: only what is positive counts (turn a map round to score what speaks against). And one rule
for ties: pixels of equal relevance share their places, so a map without an opinion (uniform, or
zero all over) gets exactly what a blind guess would get. An event with an empty mask has no truth:
nan.

A pair has two images, and their relevance can be ranked in each image or over both (`pair_scores`
reports all). Whether spoiling the relevant pixels moves the *model* is asked in `faithfulness.py`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from explainrec_lab.data.contracts import Dataset, check_choice, check_ids, present, require
from explainrec_lab.evaluate.truth import NO_REASON

# What a relation's relevance is scored against -> the mask that stands for it.
TRUTHS = {"attribute": "part mask", "colour": "silhouette", "together": "part mask + silhouette"}
# Where a pair's relevance is ranked: in its first image, its second, or in both together.
VIEWS = ("source", "target", "pooled")

Map = ndarray | Tensor
# Regions of both pictures of each pair.
Ends = Bool[ndarray, "pair 2 height width"]


# --------------------------------------------------------------------------- scores of one image


def scores(relevance: Map, mask: Map, tolerance: float = 0) -> pd.DataFrame:
    """All scores of some maps, one row an event; nan where the mask is empty.

    - `area`: share of the pixels that are true.
    - `mass`: share of the relevance that lies inside the mask, in 0..1.
    - `mass_ratio`: mass over area; 1 = as a uniform map, higher = denser.
    - `rank_accuracy`: share of the K most relevant pixels that lie inside the mask of K pixels.
    - `pointing`: whether the most relevant pixel lies in the mask or within `tolerance` pixels of
      it; of several pixels at the top, the share that does.

    Raises:
        ValueError: shapes that do not agree, relevance that is not finite, a negative tolerance.
    """
    weights, inside = _checked(relevance, mask)
    near = _widened(mask, tolerance).reshape(inside.shape)
    equal = np.where(weights.any(axis=1, keepdims=True), weights, 1.0)
    mass = (equal * inside).sum(axis=1) / equal.sum(axis=1)
    found = pd.DataFrame({"area": inside.mean(axis=1), "mass": mass})
    found["mass_ratio"] = found["mass"] / found["area"]
    found["rank_accuracy"] = _first_inside(weights, inside, inside.sum(axis=1))
    found["pointing"] = _first_inside(weights, near, near.any(axis=1).astype(int))
    found[~inside.any(axis=1)] = np.nan
    return found


def _first_inside(weights: ndarray, inside: ndarray, count: ndarray) -> Float[ndarray, " event"]:
    """Share of the first `count` pixels, one number an event, that lie inside."""
    ordered = -np.sort(-weights, axis=1)
    last = np.take_along_axis(ordered, np.maximum(count - 1, 0)[:, None], axis=1)
    above, level = weights > last, weights == last
    shared = (count - above.sum(axis=1)) * (level & inside).sum(axis=1) / level.sum(axis=1)
    return ((above & inside).sum(axis=1) + shared) / np.maximum(count, 1)


def _widened(mask: Map, tolerance: float) -> Bool[ndarray, "event height width"]:
    """The mask and all pixels at most `tolerance` pixels (Euclidean) away; empty stays empty."""
    require(tolerance >= 0, f"tolerance: {tolerance} pixels must be at least 0")
    masks = _array(mask).astype(bool)
    if tolerance:
        far = [distance_transform_edt(~each) for each in masks]
        masks = (np.array(far) <= tolerance) & masks.any(axis=(1, 2), keepdims=True)
    return masks


def densest_attribute(relevance: Map, masks: Map) -> Float[ndarray, "event attribute"]:
    """Mean relevance a pixel in each attribute's part mask: scores for `truth.reason_hit_rate`.

    An attribute without pixels scores 0, the least there is.

    Args:
        masks: bool `[event, attribute, height, width]`, part masks (`attribute_masks`).
    """
    regions = _array(masks).astype(bool)
    weights, _ = _checked(relevance, np.ones_like(regions.any(axis=1)))
    inside = regions.reshape(*regions.shape[:2], -1).astype(np.float64)
    count = inside.sum(axis=2)
    return np.einsum("ep,eap->ea", weights, inside) / np.maximum(count, 1)


# --------------------------------------------------------------------------- scores of pairs


def pair_scores(relevance: Sequence[Map], masks: Ends) -> pd.DataFrame:
    """All scores of both images of each pair, and of the two together.

    In the view 'pooled' the pixels of both images compete: an explanation that puts all relevance
    into one image is punished there, and nowhere else.

    Args:
        relevance: two maps, `[pair, height, width]` or with channels before the height.
        masks: the true region in both images, part masks or silhouettes (`relation_masks`).

    Returns:
        One row a view and pair, indexed by `pair`: `scores`, and `view` (one of `VIEWS`). nan
        where the mask is empty, so that `.groupby("view", sort=False).mean()` leaves label noise
        out. Its `mass_ratio` is a mean of ratios, where small regions weigh much; mean `mass` over
        mean `area` is the steadier ratio of means.
    """
    truth = _array(masks).astype(bool)
    maps = [_array(each) for each in relevance]
    maps = [each.sum(axis=1) if each.ndim == 4 else each for each in maps]
    shapes = [each.shape for each in maps]
    right = truth.shape[1:2] == (2,) and shapes == 2 * [truth[:, 0].shape]
    needed = "need two maps, [pair, height, width], and [pair, 2, height, width]"
    require(right, f"relevance and masks: shapes {shapes} and {truth.shape}; {needed}")
    regions = [truth[:, 0], truth[:, 1]]
    for sides in (maps, regions):
        sides.append(np.concatenate(sides, axis=-1))  # pooled: both images side by side, as one
    views = zip(maps, regions, VIEWS, strict=True)
    tables = [scores(each, region).assign(view=view) for each, region, view in views]
    return pd.concat(tables).rename_axis("pair")


# --------------------------------------------------------------------------- the truth, gathered


def relation_masks(dataset: Dataset, pairs: Any, truth: str = "attribute") -> Ends:
    """The true region of some relations, in the source and in the target.

    Both are empty where nothing is behind the pair (label noise).

    Args:
        pairs: positions in `dataset.relations`.
        truth: 'attribute' = the part mask of the key attribute; 'colour' = the item's silhouette,
            empty where colour is not part of the reason; 'together' = whatever of the two there is.

    Raises:
        ValueError: a data set without relations or truth, or an unknown pair or truth.
    """
    relations = present(f"relations of {dataset.name!r}", dataset.relations)
    known = present(f"reasons of relations of {dataset.name!r}", dataset.truth)
    check_choice("truth", truth, TRUTHS)
    chosen = check_ids("pairs", pairs, len(relations), "pair")
    masks = np.zeros((len(chosen), 2, *_size(dataset)), dtype=bool)
    for side, items in enumerate((relations.source[chosen], relations.target[chosen])):
        for row, attribute in enumerate(known.relation_reason[chosen, side]):
            if attribute != NO_REASON and truth != "colour":
                masks[row, side] = _mask(dataset, items[row], attribute)
        if truth != "attribute" and (rows := known.relation_colour[chosen]).any():
            masks[rows, side] |= reference_maps(dataset, items[rows])["silhouette"] > 0
    return masks


def attribute_masks(dataset: Dataset, items: Any) -> Bool[ndarray, "item attribute height width"]:
    """The part mask of every attribute of some items; empty where an attribute does not apply.

    Raises:
        ValueError: a data set without masks, or an unknown item.
    """
    chosen = check_ids("items", items, len(dataset.catalogue), "item")
    codes = present(f"attributes of {dataset.name!r}", dataset.catalogue.attributes)[chosen]
    masks = np.zeros((*codes.shape, *_size(dataset)), dtype=bool)
    for row, attribute in np.argwhere(codes >= 0):
        masks[row, attribute] = _mask(dataset, chosen[row], attribute)
    return masks


def _mask(dataset: Dataset, item: int, attribute: int) -> Bool[ndarray, "height width"]:
    names = present("schema", dataset.catalogue.schema).attributes
    return dataset.catalogue.mask(int(item), names[attribute])


def reference_maps(dataset: Dataset, items: Any) -> dict[str, Float[ndarray, "item height width"]]:
    """Maps that look at no model, to stand beside every score.

    'uniform' has no opinion, 'centre' is a Gaussian bump in the middle (standard
    deviation: a quarter of the side), and 'silhouette' (where the pictures know
    it: the boutique's do) says only which pixels are the item.

    Raises:
        ValueError: a data set without pictures, or an unknown item.
    """
    chosen = check_ids("items", items, len(dataset.catalogue), "item")
    height, width = _size(dataset)
    maps = {"uniform": np.ones((len(chosen), height, width))}
    rows, columns = ((np.arange(side) + 0.5) / side - 0.5 for side in (height, width))
    maps["centre"] = maps["uniform"] * np.exp(-8 * (rows[:, None] ** 2 + columns**2))
    if silhouette := getattr(dataset.catalogue.images, "silhouette", None):
        shapes = [silhouette(int(item)) for item in chosen]
        maps["silhouette"] = np.array(shapes, np.float64).reshape(maps["uniform"].shape)
    return maps


def _size(dataset: Dataset) -> tuple[int, int]:
    """Height and width of the pictures."""
    images = present(f"pictures of {dataset.name!r}", dataset.catalogue.images)
    return np.asarray(images[0]).shape[-2:]


# --------------------------------------------------------------------------- at the door


def _array(values: Map) -> ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    values = np.asarray(values)
    return values if values.dtype == bool else values.astype(np.float64)


def _checked(
    relevance: Map, mask: Map
) -> tuple[Float[ndarray, "event pixel"], Bool[ndarray, "event pixel"]]:
    """The part of the relevance that counts (never negative) and the mask, both flat."""
    values, inside = _array(relevance), _array(mask).astype(bool)
    shapes = f"{values.shape} and {inside.shape}; both need [event, height, width]"
    right = values.ndim == 3 and values.shape == inside.shape
    require(right, f"relevance and mask: shapes {shapes}, channels summed away")
    require(np.isfinite(values).all(), "relevance: nan or infinite values among the pixels")
    flat = len(values), -1
    return np.maximum(values, 0).reshape(flat), inside.reshape(flat)
