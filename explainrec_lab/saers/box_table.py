"""Are the boxes right? Maps and boxes of attributes against the boutique's part masks.

    table = box_table(network, dataset, items)
    table.groupby(["map", "frame"], sort=False)[["iou", "pointing"]].mean()

A box is scored by its IoU with the bounding box of the true part, a map by the pointing game.
Beside the network's maps stand some that know no attribute (the whole garment) or know it by heart
(the true part, as coarse as a grid of cells makes it).

Source: the scores are of the field; SAERS shows its boxes in Figure 8 and scores none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from explainrec_lab import lrp
from explainrec_lab.data.contracts import Catalogue, Dataset
from explainrec_lab.evaluate import localisation
from explainrec_lab.saers.extraction import look
from explainrec_lab.saers.locating import (
    Boxer,
    Mapper,
    grad_aam_maps,
    half_frame,
    hires_maps,
    paper_frame,
    relevance_maps,
)
from explainrec_lab.saers.network import SemanticExtraction
from explainrec_lab.saers.regions import boxes_of, upsampled

MAPS: dict[str, Mapper] = {
    "Grad-AAM": grad_aam_maps,
    "HiResCAM": hires_maps,
    "LRP epsilon": partial(relevance_maps, rule=lrp.Composite(), mirrored=False),
    "LRP": partial(relevance_maps, mirrored=False),
    "LRP, mirrored": relevance_maps,
}
"""What the network says; the first is the paper's, the last is ours."""

FRAMES: dict[str, Boxer] = {"20 % of the maximum": paper_frame, "half of the mass": half_frame}
"""From a map to a box: the paper's way and ours."""

TOLERANCE = 1 / 16
"""How far from the part the brightest pixel may lie, as a share of the picture's side."""

GRIDS = (4, 8, 16)
"""Cells on a side of the best possible maps."""


def overlap(boxes: Int[Tensor, "*batch 4"], others: Int[Tensor, "*batch 4"]) -> Float[Tensor, "*n"]:
    """IoU: the area that two boxes share over the area that they cover."""
    start = torch.maximum(boxes[..., :2], others[..., :2])
    stop = torch.minimum(boxes[..., 2:], others[..., 2:])
    shared = (stop - start).clamp(min=0).prod(dim=-1)
    area = [(each[..., 2:] - each[..., :2]).prod(dim=-1) for each in (boxes, others)]
    return shared / (area[0] + area[1] - shared)


def box_table(
    network: SemanticExtraction,
    dataset: Dataset,
    items: ndarray,
    maps: Mapping[str, Mapper] = MAPS,
    *,
    references: bool = True,
    batch: int = 128,
) -> pd.DataFrame:
    """Scores of every map under every frame, one row an (item, attribute that applies).

    Args:
        items: ids of items with masks; the network should not have learned from them.
        maps: name -> how to draw.
        references: add the whole garment and the best possible maps.

    Returns:
        `map`, `frame`, `item`, `attribute`, `iou`, `pointing`, and `right` (whether the class that
        is explained is the true one). The garment has one frame, its own box.

    Raises:
        ValueError: a data set without masks, or an unknown item.
    """
    parts = np.array_split(items, max(1, -(-len(items) // batch)))
    tables = [
        table for some in parts for table in _scored(network, dataset, some, maps, references)
    ]
    return pd.concat(tables, ignore_index=True)


def _scored(
    network: SemanticExtraction,
    dataset: Dataset,
    items: ndarray,
    maps: Mapping[str, Mapper],
    references: bool,
) -> Iterator[pd.DataFrame]:
    """The tables of one batch, map by map and frame by frame."""
    catalogue = dataset.catalogue
    masks = torch.from_numpy(localisation.attribute_masks(dataset, items))
    assert catalogue.images is not None
    assert catalogue.attributes is not None
    assert catalogue.schema is not None
    labels = catalogue.attributes[items]
    there = masks.any(dim=-1).any(dim=-1)
    seen = look(network, catalogue.images[items], there)
    true = masks[there]
    row, column = np.nonzero(there.numpy())
    base = {
        "item": items[row],
        "attribute": np.array(catalogue.schema.attributes)[column],
        "right": seen.predicted.cpu().numpy()[row, column] == labels[row, column],
    }
    drawn = {name: draw(seen).cpu() for name, draw in maps.items()}
    drawn |= {f"best on {n} x {n}": best_map(true, n) for n in GRIDS} if references else {}
    for name, found in drawn.items():
        pointing = localisation.pointing_game(found, true, tolerance=TOLERANCE * true.shape[-1])
        for frame, boxer in FRAMES.items():
            iou = overlap(boxer(found), boxes_of(true)).numpy()
            yield pd.DataFrame(
                {"map": name, "frame": frame, **base, "iou": iou, "pointing": pointing}
            )
    if references:
        garment = silhouettes(dataset, items)[row]
        pointing = localisation.pointing_game(
            garment.float(), true, tolerance=TOLERANCE * true.shape[-1]
        )
        iou = overlap(boxes_of(garment), boxes_of(true)).numpy()
        yield pd.DataFrame(
            {"map": "whole garment", "frame": "its box", **base, "iou": iou, "pointing": pointing}
        )


def best_map(
    masks: Bool[Tensor, "asked height width"], grid: int
) -> Float[Tensor, "asked height width"]:
    """The true part as a map of `grid` x `grid` cells would show it at best, upsampled."""
    cells = F.adaptive_avg_pool2d(masks.float()[:, None], grid)
    height, width = masks.shape[-2:]
    return upsampled(cells, (height, width))[:, 0]


def silhouettes(dataset: Dataset, items: ndarray) -> Bool[Tensor, "item height width"]:
    """Which pixels are the garment."""
    return torch.from_numpy(localisation.reference_maps(dataset, items)["silhouette"] > 0)


def accuracy(network: SemanticExtraction, catalogue: Catalogue, batch: int = 256) -> pd.Series:
    """Share of right classes, attribute by attribute, where the attribute applies.

    Raises:
        ValueError: a catalogue without pictures or labels.
    """
    if catalogue.images is None or catalogue.attributes is None or catalogue.schema is None:
        raise ValueError("catalogue: needs pictures and attribute labels to be scored on")
    labels = catalogue.attributes
    parts = np.array_split(np.arange(len(catalogue)), max(1, -(-len(catalogue) // batch)))
    found = [look(network, catalogue.images[some]).predicted.cpu().numpy() for some in parts]
    right = np.where(labels >= 0, np.concatenate(found) == labels, np.nan)
    return pd.Series(np.nanmean(right, axis=0), catalogue.schema.attributes, name="accuracy")
