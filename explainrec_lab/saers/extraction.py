"""Every picture becomes twelve vectors: what SAERS knows about an item.

Source: SAERS, §3.1, from "after the classification network has converged" to "we can obtain 12
attribute representation". Which attributes apply is not said there; here the network says it,
unless the caller knows better (a shop knows its categories).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray
from torch import Tensor

from explainrec_lab.data.contracts import Images
from explainrec_lab.saers.locating import PAPER, Locator, Seen
from explainrec_lab.saers.network import SemanticExtraction
from explainrec_lab.saers.regions import region_features, side_of
from explainrec_lab.vision.backbone import pixels


@dataclass(frozen=True)
class Extracted:
    """What the network sees in some pictures.

    Attributes:
        features: float32 `[item, attribute, m]`, the ROI-pooled vectors; zeros where an attribute
            does not apply.
        applies: bool `[item, attribute]`, by the network's own answer or as it was told. A picture
            without any contrast (the stand-in of a missing photo) has no attribute.
        boxes: int64 `[item, attribute, 4]`, (y0, x0, y1, x1) in pixels, half open; the whole
            picture where an attribute does not apply or its map is zero.
        predicted: int64 `[item, attribute]`, the most likely class, also where it does not apply.
    """

    features: Float[ndarray, "item attribute m"]
    applies: Bool[ndarray, "item attribute"]
    boxes: Int[ndarray, "item attribute 4"]
    predicted: Int[ndarray, "item attribute"]

    def __len__(self) -> int:
        return len(self.features)


def extract(
    network: SemanticExtraction,
    images: Images | ndarray | Tensor,
    *,
    applies: Bool[ndarray, "item attribute"] | None = None,
    locator: Locator = PAPER,
    batch: int = 128,
) -> Extracted:
    """Classes, boxes and one vector an attribute for all pictures, on the network's device.

    Args:
        images: uint8 pictures, in memory or read as they are asked for.
        applies: which attributes each item has, where that is known.
        locator: how to find the boxes, `PAPER` or `OURS`.
        batch: pictures at a time.

    Raises:
        ValueError: a network in training mode, `applies` of another shape, pictures that are no
            uint8 `[item, 3, height, width]`.
    """
    shape = (len(images), len(network.n_classes))
    if applies is not None and np.shape(applies) != shape:
        raise ValueError(f"applies: shape {np.shape(applies)}; needs {shape}")
    parts = []
    for start in range(0, max(len(images), 1), batch):
        some = slice(start, start + batch)
        known = None if applies is None else torch.as_tensor(applies[some])
        parts.append(_arrays(look(network, torch.as_tensor(images[some]), known), locator))
    columns = [np.concatenate(each) for each in zip(*parts, strict=True)]
    return Extracted(*columns)


@torch.no_grad()
def look(
    network: SemanticExtraction,
    pictures: UInt8[ndarray, "item 3 height width"] | Tensor,
    applies: Bool[ndarray, "item attribute"] | Tensor | None = None,
) -> Seen:
    """One batch through the network: F, the most likely classes, and which attributes apply.

    Raises:
        ValueError: a network in training mode, or pictures that are no uint8
            `[item, 3, height, width]`.
    """
    if network.training:
        raise ValueError("network: is in training mode; call network.eval() first")
    if pictures.ndim != 4 or pictures.shape[1] != 3:
        raise ValueError(f"images: shape {tuple(pictures.shape)}; needs [item, 3, height, width]")
    device = next(network.parameters()).device
    images = pixels(pictures).to(device)
    maps = network.maps(images)
    classes, there = network.answers(maps)
    asked = there > 0 if applies is None else torch.as_tensor(applies).to(device).bool()
    asked = asked & ~blank(images)[:, None]
    return Seen(network, images, maps, network.predicted(classes), asked)


@torch.no_grad()
def _arrays(seen: Seen, locator: Locator) -> tuple[ndarray, ...]:
    """The four arrays of `Extracted` for one batch."""
    boxes = locator(seen)
    features = region_features(seen.maps, boxes, side_of(seen.images)) * seen.asked[..., None]
    found = (features, seen.asked, boxes, seen.predicted)
    return tuple(each.detach().cpu().numpy() for each in found)


def blank(images: Float[Tensor, "item 3 height width"]) -> Bool[Tensor, " item"]:
    """Pictures of one colour: there is nothing on them."""
    return (images.amax(dim=(-2, -1)) == images.amin(dim=(-2, -1))).all(dim=1)
