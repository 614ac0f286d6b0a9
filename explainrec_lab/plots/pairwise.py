"""Pairs of regions: lines that join patches of one picture to patches of another (BiLRP).

A line is as wide as its pair is strong, and only the strongest are drawn. Pairs that draw the two
pictures together are blue and unbroken, those that push them apart orange and dashed, so that no
colour vision is needed. Pale squares mark the patches.
"""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float, Int
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy import ndarray

from explainrec_lab.data.contracts import require
from explainrec_lab.plots.style import INK, OPPOSES, SUPPORTS, as_array, plain, rgb

# How many pairs are drawn.
STRONGEST = 10
# Room between the two pictures, as a share of a picture's width.
BETWEEN = 0.45
# Widths of lines, in points.
WIDEST, THINNEST = 4.5, 0.8
# Of the lines with positive and with negative relevance.
LOOKS: dict[bool, dict[str, Any]] = {
    True: {"color": SUPPORTS, "linestyle": "-", "label": "draw together"},
    False: {"color": OPPOSES, "linestyle": "--", "label": "push apart"},
}


def pairwise_figure(
    image_i: Any, image_j: Any, relevance: Any, *, masks: Any = None, title: str = ""
) -> Axes:
    """The strongest pairs of patches of two pictures.

    Args:
        image_i, image_j: source and target, `[3, height, width]` of one size, uint8 or in 0..1.
        relevance: `[row_i, column_i, row_j, column_j]`, as `bilrp` gives for one pair.
        masks: bool `[2, height, width]`, outlined, such as the part masks of the reason.
        title: above them; the legend counts the pairs of both signs.

    Raises:
        ValueError: shapes that do not agree, or nan relevance.
    """
    pictures, values = _checked([as_array(image_i), as_array(image_j)], relevance, masks)
    pairs = _strongest(values)
    drawn = values[tuple(pairs.T)]
    height, width = pictures[0].shape[:2]
    shift = width * (1 + BETWEEN)
    ax = plt.subplots(figsize=(5.2, 3.0))[1]
    for side, name in enumerate(("source", "target")):
        mask = None if masks is None else as_array(masks)[side].astype(float)
        _place(ax, pictures[side], mask, side * shift, name)
    cell = np.array([width / values.shape[1], height / values.shape[0]])
    ends = (pairs.reshape(-1, 2, 2)[..., ::-1] + 0.5) * cell - 0.5 + [[0, 0], [shift, 0]]
    _join(ax, ends, drawn)
    _mark(ax, ends, drawn > 0, cell)
    ax.set(xlim=(-0.5, shift + width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal")
    ax.set_title(plain(title))
    ax.axis("off")
    _legend(ax, drawn)
    return ax


def _checked(
    images: list[ndarray], relevance: Any, masks: Any
) -> tuple[list[Float[ndarray, "height width 3"]], Float[ndarray, "row column row column"]]:
    """Pictures with channels last and relevances, once their shapes agree."""
    values, shape = as_array(relevance).astype(np.float64), images[0].shape
    for name, image in zip(("image_i", "image_j"), images, strict=True):
        right = image.ndim == 3 and len(image) == 3
        require(right, f"{name}: shape {image.shape}; needs [3, height, width]")
    require(shape == images[1].shape, f"image_i, image_j: sizes {shape}, {images[1].shape} differ")
    square = values.ndim == 4 and values.size > 0 and values.shape[:2] == values.shape[2:]
    require(square, f"relevance: shape {values.shape}; needs [row, column] twice, the same patches")
    require(bool(np.isfinite(values).all()), "relevance: nan or infinite values among the pairs")
    if masks is not None:
        found = as_array(masks).shape
        require(found == (2, *shape[1:]), f"masks: shape {found}; needs {(2, *shape[1:])}")
    return [rgb(image) for image in images], values


def _strongest(
    relevance: Float[ndarray, "row_i column_i row_j column_j"],
) -> Int[ndarray, "pair 4"]:
    """Positions of the pairs with the largest absolute relevance, strongest first; no zeros."""
    strength = np.abs(relevance).ravel()
    order = np.argsort(-strength, kind="stable")[:STRONGEST]
    order = order[strength[order] > 0]
    return np.stack(np.unravel_index(order, relevance.shape), axis=1)


def _place(ax: Axes, picture: ndarray, mask: ndarray | None, left: float, name: str) -> None:
    """One picture, the outline of its true region, and its name."""
    height, width = picture.shape[:2]
    box = (left - 0.5, left + width - 0.5, height - 0.5, -0.5)
    ax.imshow(picture, extent=box, interpolation="lanczos")
    if mask is not None and mask.any():
        columns, rows = left + np.arange(width), np.arange(height)
        ax.contour(columns, rows, mask, [0.5], colors=INK, linewidths=1.0)
    ax.text(left + width / 2, height * 1.03, name, ha="center", va="top", size=12)


def _join(ax: Axes, ends: Float[ndarray, "pair end xy"], drawn: Float[ndarray, " pair"]) -> None:
    """A line a pair, the strongest on top; a white rim tells lines apart where they cross."""
    widths = WIDEST * np.abs(drawn) / np.abs(drawn).max(initial=np.finfo(float).tiny)
    caps: dict[str, Any] = {"solid_capstyle": "butt", "dash_capstyle": "butt"}
    for n in range(len(drawn))[::-1]:
        width = max(float(widths[n]), THINNEST)
        rim = [patheffects.withStroke(linewidth=width + 1.6, foreground="white")]
        look = LOOKS[bool(drawn[n] > 0)]
        ax.plot(*ends[n].T, **look, linewidth=width, path_effects=rim, **caps)


def _mark(ax: Axes, ends: ndarray, alike: ndarray, cell: Float[ndarray, " xy"]) -> None:
    """One square a patch, in the colour of its strongest pair."""
    strongest: dict[tuple[float, float], bool] = {}
    for (x, y), sign in zip(ends.reshape(-1, 2), alike.repeat(2), strict=True):
        strongest.setdefault((x, y), bool(sign))
    for middle, sign in strongest.items():
        colour, corner = LOOKS[sign]["color"], middle - cell / 2
        square = Rectangle(tuple(corner), *cell, facecolor=(colour, 0.15), edgecolor=colour)
        ax.add_patch(square)


def _legend(ax: Axes, drawn: ndarray) -> None:
    """What blue and orange mean, and how many of each are drawn."""
    counts = {sign: int(((drawn > 0) == sign).sum()) for sign in LOOKS}
    handles = [
        Line2D([], [], linewidth=3, **(LOOKS[sign] | {"label": f"{LOOKS[sign]['label']} ({n})"}))
        for sign, n in counts.items()
        if n
    ]
    place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.08), "ncols": 2}
    if handles:
        ax.legend(handles=handles, fontsize=12, handlelength=2.4, columnspacing=1.4, **place)
