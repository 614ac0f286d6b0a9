"""From a design to its picture, its part masks and its counterfactual masks.

Two truths stand beside every picture (their boxes overlap by less than two thirds, so a score
must say which one it uses):

- the *part mask* of an attribute: the region that its name points at (a cuff's sleeve, a hem's
  band, a heel);
- the *counterfactual mask*: the pixels that change when only that attribute is switched to its
  other classes, with the frame frozen.

The frame is fitted to the room that all classes of a kind of garment need, so it tells nothing
about a class and never crops a counterfactual.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray

from .design import Design
from .dials import SIZES, check_number
from .drawing.bottoms import SKIRT_ROOM, TROUSERS_ROOM, draw_skirt, draw_trousers
from .drawing.canvas import MASK_LEVEL, Canvas
from .drawing.geometry import Frame, Points
from .drawing.shoes import BOOTS_ROOM, SHOES_ROOM, draw_shoe
from .drawing.tops import HIGH_NECK_ROOM, TOPS_ROOM, draw_top
from .vocabulary import SCHEMA

DRAWING_VERSION = 1  # counts deliberate changes of how pictures look
CHANGED = 16  # a pixel counts as changed when a channel differs by at least this much of 255


class Picture(NamedTuple):
    """A drawn item.

    Attributes:
        image: red, green and blue, 0..255.
        parts: attribute -> its part mask, for the attributes that apply.
        silhouette: pixels of the item, without its shadow.
    """

    image: UInt8[ndarray, "3 size size"]
    parts: dict[str, Bool[ndarray, "size size"]]
    silhouette: Bool[ndarray, "size size"]


def render(design: Design, size: int) -> Picture:
    """Draw a design.

    Args:
        size: pixels of the picture's side, 32..512.

    Raises:
        ValueError: `size` is out of range.
    """
    check_number("size", size, SIZES)
    room, draw = _kind(design)
    canvas = Canvas(design, Frame.fit(room, design.pose, int(size)))
    draw(canvas)
    masks = {name: cover > MASK_LEVEL for name, cover in canvas.masks.items()}
    return Picture(canvas.finished(), masks, canvas.silhouette > MASK_LEVEL)


def counterfactual_mask(design: Design, attribute: str, size: int) -> Bool[ndarray, "size size"]:
    """Pixels that change when only `attribute` is switched to any of its other classes.

    The frame, the light and all textures stay as they are. For `heel_height` the part mask stands
    in: a higher heel lifts the whole shoe, so nearly every pixel of it changes.

    Raises:
        ValueError: `size` out of range, unknown attribute, or one that the design does not have.
    """
    picture, own = render(design, size), design.attributes.get(attribute)
    classes = SCHEMA.classes[SCHEMA.attributes[SCHEMA.attribute(attribute)]]
    if attribute == "heel_height":
        return picture.parts[attribute]
    changed = np.zeros((size, size), dtype=bool)
    for other in (design.switched(attribute, value) for value in classes if value != own):
        difference = np.abs(picture.image - render(other, size).image.astype(np.int16))
        changed |= difference.max(axis=0) >= CHANGED
    return changed


def _kind(design: Design) -> tuple[Points, Callable[[Canvas], None]]:
    """The room and the drawing of a design's kind of garment."""
    has = design.attributes
    if design.category == "top":
        return (HIGH_NECK_ROOM if "high_neck" in has else TOPS_ROOM), draw_top
    if design.category == "shoes":
        return (BOOTS_ROOM if "boots_height" in has else SHOES_ROOM), draw_shoe
    return (SKIRT_ROOM, draw_skirt) if "skirt_length" in has else (TROUSERS_ROOM, draw_trousers)
