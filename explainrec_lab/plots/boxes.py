"""Where an attribute is said to be, and where it is: maps, boxes and true parts on pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from explainrec_lab.plots.relevance import relevance_map, robust_limit
from explainrec_lab.plots.style import INK, OPPOSES, as_array, rgb


def draw_box(box: Sequence[int], ax: Axes, colour: str = OPPOSES) -> Axes:
    """The outline of a box (y0, x0, y1, x1), half open, on a shown picture.

    Raises:
        ValueError: a box that is empty.
    """
    y0, x0, y1, x1 = (int(side) for side in box)
    if y1 <= y0 or x1 <= x0:
        raise ValueError(f"box: {(y0, x0, y1, x1)} is empty; needs y0 < y1 and x0 < x1")
    corner = (x0 - 0.5, y0 - 0.5)
    outline = Rectangle(corner, x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=2)
    ax.add_patch(outline)
    return ax


def box_figure(
    images: Any,
    maps: Mapping[str, Any],
    boxes: Mapping[str, Any],
    titles: Sequence[str],
    *,
    masks: Any = None,
    inches: float = 1.6,
) -> Figure:
    """One row a picture: the picture, then each method's map in blue with its box in orange.

    Args:
        images: `[picture, 3, height, width]`, uint8 or float in 0..1.
        maps: method -> `[picture, height, width]`, never negative.
        boxes: method -> `[picture, 4]`, for the same methods.
        titles: one a picture, below it.
        masks: bool `[picture, height, width]`, the true parts, outlined in every column.

    Raises:
        ValueError: methods or numbers of pictures that do not agree.
    """
    pictures = as_array(images)
    if set(maps) != set(boxes) or len(titles) != len(pictures):
        raise ValueError(
            f"maps of {list(maps)}, boxes of {list(boxes)}, {len(titles)} titles for "
            f"{len(pictures)} pictures: give a map, boxes and a title for each"
        )
    shape = (len(pictures), 1 + len(maps))
    size = (shape[1] * inches, shape[0] * (inches + 0.28) + 0.3)
    figure, axes = plt.subplots(*shape, figsize=size, squeeze=False, layout="constrained")
    for row, picture in enumerate(pictures):
        axes[row, 0].imshow(rgb(picture), interpolation="lanczos")
        axes[row, 0].axis("off")
        axes[row, 0].text(
            0.5, -0.04, titles[row], transform=axes[row, 0].transAxes, ha="center", va="top", size=8
        )
        mask = None if masks is None else as_array(masks)[row]
        if mask is not None and mask.any():
            axes[row, 0].contour(mask.astype(float), levels=[0.5], colors=INK, linewidths=0.9)
        for axis, (name, values) in zip(axes[row, 1:], maps.items(), strict=True):
            found = as_array(values)[row]
            relevance_map(picture, found, robust_limit(found), mask=mask, ax=axis)
            draw_box(as_array(boxes[name])[row], axis)
    for axis, name in zip(axes[0, 1:], maps, strict=True):
        axis.set_title(name, size=9)
    return figure
