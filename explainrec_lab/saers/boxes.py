"""Are the boxes right? Maps and boxes of attributes against the boutique's part masks.

    scores = boxes.table(network, dataset, items)
    scores.groupby(["map", "frame"], sort=False)[["iou", "pointing"]].mean()

A box is scored by its IoU with the bounding box of the true part, a map by the pointing game.
Beside the network's maps stand some that know no attribute (the whole garment) or know it by heart
(the true part, as coarse as a grid of cells makes it).

Source: the scores are of the field; SAERS shows its boxes in Figure 8 and scores none.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
import pandas as pd
import torch
from numpy import ndarray
from torch import Tensor

from explainrec_lab import lrp
from explainrec_lab.data.contracts import Dataset, present
from explainrec_lab.evaluate import localisation
from explainrec_lab.saers import regions
from explainrec_lab.saers.regions import BATCH, Boxes, Maps, Masks, Seen, boxes_of, look, upsampled
from explainrec_lab.vision.naming import Naming

# Name -> how to draw.
Mappers = Mapping[str, Callable[[Seen], Maps]]

# What the network says; the first is the paper's, the last is ours.
MAPS: Mappers = {
    "Grad-AAM": regions.grad_aam_maps,
    "HiResCAM": regions.hires_maps,
    "LRP epsilon": partial(regions.relevance_maps, rule=lrp.Composite(), mirrored=False),
    "LRP": partial(regions.relevance_maps, mirrored=False),
    "LRP, mirrored": regions.relevance_maps,
}

# From a map to a box: the paper's way first, ours last.
FRAMES: dict[str, Callable[[Tensor], Tensor]] = {
    "20 % of the maximum": regions.paper_frame,
    "half of the mass": partial(regions.mass_frame, share=0.5),
    "a quarter of the mass": regions.mass_frame,
}

# How far from the part the brightest pixel may lie, as a share of the picture's side.
TOLERANCE = 1 / 16

# Cells on a side of the best possible maps.
GRIDS = (4, 8, 16)


def overlap(boxes: Boxes, others: Boxes) -> Tensor:
    """IoU: the area that two boxes share over the area that they cover."""
    start = torch.maximum(boxes[..., :2], others[..., :2])
    shared = (torch.minimum(boxes[..., 2:], others[..., 2:]) - start).clamp(min=0).prod(dim=-1)
    area = [(each[..., 2:] - each[..., :2]).prod(dim=-1) for each in (boxes, others)]
    return shared / (area[0] + area[1] - shared)


def table(
    network: Naming, dataset: Dataset, items: ndarray, maps: Mappers = MAPS, references: bool = True
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
    parts = np.array_split(items, max(1, -(-len(items) // BATCH)))
    found = (_scored(network, dataset, some, maps, references) for some in parts)
    return pd.concat([scores for each in found for scores in each], ignore_index=True)


def _scored(
    network: Naming, dataset: Dataset, items: ndarray, maps: Mappers, references: bool
) -> Iterator[pd.DataFrame]:
    """The tables of one batch, map by map and frame by frame."""
    catalogue = dataset.catalogue
    masks = torch.from_numpy(localisation.attribute_masks(dataset, items))
    there = masks.any(dim=-1).any(dim=-1)
    seen, true = look(network, present("pictures", catalogue.images)[items], there), masks[there]
    row, column = np.nonzero(there.numpy())
    right = seen.predicted.cpu().numpy() == present("attributes", catalogue.attributes)[items]
    names = np.array(present("schema", catalogue.schema).attributes)
    base = {"item": items[row], "attribute": names[column], "right": right[row, column]}
    drawn = [(name, draw(seen).cpu(), FRAMES) for name, draw in maps.items()]
    if references:
        garment = localisation.reference_maps(dataset, items)["silhouette"] > 0
        drawn += [(f"best on {n} x {n}", _best_map(true, n), FRAMES) for n in GRIDS]
        drawn += [("whole garment", torch.from_numpy(garment)[row], {"its box": boxes_of})]
    for name, found, frames in drawn:
        reach = TOLERANCE * true.shape[-1]
        pointing = localisation.scores(found.float(), true, tolerance=reach)["pointing"]
        for frame, boxer in frames.items():
            scores = {"iou": overlap(boxer(found), boxes_of(true)).numpy(), "pointing": pointing}
            yield pd.DataFrame({"map": name, "frame": frame, **base, **scores})


def _best_map(masks: Masks, grid: int) -> Maps:
    """The true part as a map of `grid` x `grid` cells would show it at best, upsampled."""
    cells = torch.nn.functional.adaptive_avg_pool2d(masks.float()[:, None], grid)[:, 0]
    return upsampled(cells, masks.shape[-2:])
