"""From a map to a box, and from a box to one vector.

Source: SAERS, §3.1: "the pixel values that are above 20% of the maximum value in the generated map
are segmented", "a bounding box, that covers the largest connected region", "then the ROI pooling
layer is used". Boxes are (y0, x0, y1, x1) in pixels, half open: y1 - y0 is the height.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy import ndimage
from torch import Tensor
from torchvision.ops import roi_pool

THRESHOLD = 0.2
"""Share of a map's maximum. Source: SAERS, §3.1, after Ak et al. 2018."""


def side_of(maps: Float[Tensor, "*batch height width"]) -> tuple[int, int]:
    """Height and width."""
    height, width = maps.shape[-2:]
    return height, width


def upsampled(
    maps: Float[Tensor, "item attribute row column"], size: tuple[int, int]
) -> Float[Tensor, "item attribute height width"]:
    """Maps at the picture's size, bilinear."""
    return torch.nn.functional.interpolate(maps, size, mode="bilinear", align_corners=False)


def segment(
    maps: Float[Tensor, "*batch height width"], threshold: float = THRESHOLD
) -> Bool[Tensor, "*batch height width"]:
    """Pixels above `threshold` times the map's maximum; all of them where the map is zero.

    Raises:
        ValueError: a threshold outside 0..1, or maps that are not finite.
    """
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold: {threshold} must be at least 0 and below 1")
    _check_finite(maps)
    top = maps.amax(dim=(-2, -1), keepdim=True)
    return (maps > threshold * top) | (top <= 0)


def brightest(
    maps: Float[Tensor, "*batch height width"], share: float
) -> Bool[Tensor, "*batch height width"]:
    """The fewest pixels that hold `share` of a map's sum; all of them where the map is zero.

    Raises:
        ValueError: a share outside 0..1, or maps that are negative or not finite.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share: {share} must be above 0 and at most 1")
    _check_finite(maps)
    if bool((maps < 0).any()):
        raise ValueError("maps: negative values; take the positive part first")
    values, order = maps.flatten(-2).sort(dim=-1, descending=True, stable=True)
    before = values.cumsum(dim=-1) - values
    needed = before < share * values.sum(dim=-1, keepdim=True)
    kept = torch.zeros_like(needed).scatter(-1, order, needed).view(maps.shape)
    return kept | (maps.amax(dim=(-2, -1), keepdim=True) <= 0)


def largest_region(
    masks: Bool[Tensor, "*batch height width"],
) -> Bool[Tensor, "*batch height width"]:
    """The largest connected region of each mask (pixels that share a side); the first of equals."""
    flat = masks.detach().cpu().numpy().reshape(-1, *masks.shape[-2:])
    labels, count = _connected(flat)
    size = np.bincount(labels.ravel(), minlength=count + 1)
    size[0] = 0
    owner, best = np.zeros(count + 1, np.int64), np.zeros(len(flat), np.int64)
    owner[labels] = np.arange(len(flat))[:, None, None]
    order = np.lexsort((-np.arange(count + 1), size))[1:]  # the first is what lies outside
    best[owner[order]] = order  # of several the last stays
    kept = (labels == best[:, None, None]) & (labels > 0)
    return torch.from_numpy(kept.reshape(masks.shape)).to(masks.device)


def _connected(masks: Bool[ndarray, "mask height width"]) -> tuple[ndarray, int]:
    """Numbers of connected regions, from 1, and how many; different masks never touch."""
    inside = np.zeros((3, 3, 3), bool)
    inside[1] = ndimage.generate_binary_structure(2, 1)
    labels, count = ndimage.label(masks, structure=inside)
    return labels, int(count)


def boxes_of(masks: Bool[Tensor, "*batch height width"]) -> Int[Tensor, "*batch 4"]:
    """Bounding boxes (y0, x0, y1, x1), half open; the whole picture where a mask is empty."""
    height, width = masks.shape[-2:]
    rows, columns = masks.any(dim=-1), masks.any(dim=-2)
    y0, x0 = rows.int().argmax(dim=-1), columns.int().argmax(dim=-1)
    y1 = height - rows.flip(-1).int().argmax(dim=-1)
    x1 = width - columns.flip(-1).int().argmax(dim=-1)
    return torch.stack([y0, x0, y1, x1], dim=-1)


def region_features(
    maps: Float[Tensor, "item channel row column"],
    boxes: Int[Tensor, "item attribute 4"],
    size: tuple[int, int],
) -> Float[Tensor, "item attribute channel"]:
    """ROI pooling to one vector a box: each channel's maximum over the cells that the box touches.

    Args:
        boxes: in pixels of a picture of `size` (height, width).

    Raises:
        ValueError: a box that is empty or leaves the picture.

    Source: SAERS, §3.1; Fast R-CNN, Girshick 2015.
    """
    _check_boxes(boxes, size)
    start, stop = cells_of(boxes, size, side_of(maps))
    item = torch.arange(len(boxes), device=boxes.device)[:, None, None].expand(*boxes.shape[:2], 1)
    inclusive = torch.cat([item, start.flip(-1), stop.flip(-1) - 1], dim=-1)
    found = roi_pool(maps, inclusive.flatten(0, 1).to(maps.dtype), output_size=1)
    return found.reshape(*boxes.shape[:2], maps.shape[1])


def cells_of(
    boxes: Int[Tensor, "*batch 4"], size: tuple[int, int], grid: tuple[int, int]
) -> tuple[Int[Tensor, "*batch 2"], Int[Tensor, "*batch 2"]]:
    """First row and column of the cells that a box touches, and those after the last."""
    sides = torch.tensor(size, device=boxes.device), torch.tensor(grid, device=boxes.device)
    start = boxes[..., :2] * sides[1] // sides[0]
    stop = -(-boxes[..., 2:] * sides[1] // sides[0])
    return start, stop


def _check_finite(maps: Tensor) -> None:
    if not bool(torch.isfinite(maps).all()):
        raise ValueError("maps: nan or infinite values; was the picture or the network damaged?")


def _check_boxes(boxes: Int[Tensor, "item attribute 4"], size: tuple[int, int]) -> None:
    y0, x0, y1, x1 = boxes.unbind(-1)
    bad = (y0 < 0) | (x0 < 0) | (y1 > size[0]) | (x1 > size[1]) | (y1 <= y0) | (x1 <= x0)
    if bool(bad.any()):
        item, attribute = bad.nonzero()[0].tolist()
        raise ValueError(
            f"boxes: {boxes[item, attribute].tolist()} of item {item}, attribute {attribute}, is "
            f"empty or leaves the picture; needs y0 < y1 <= {size[0]} and x0 < x1 <= {size[1]}"
        )
