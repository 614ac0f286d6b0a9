"""Pairs of regions: lines that join patches of one picture to patches of another (BiLRP).

A line is as wide as its pair is strong, and only the strongest are drawn. Pairs that draw the two
pictures together are blue and unbroken, those that push them apart orange and dashed, so that no
colour vision is needed. Pale squares mark the patches.
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float, Int
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy import ndarray

from explainrec_lab.plots.style import INK, OPPOSES, SUPPORTS, as_array, rgb

BETWEEN = 0.45
"""Room between the two pictures, as a share of a picture's width."""
WIDEST = 4.5
"""Width of the strongest line, in points."""
LOOKS: dict[bool, dict[str, Any]] = {
    True: {"color": SUPPORTS, "linestyle": "-", "label": "draw together"},
    False: {"color": OPPOSES, "linestyle": "--", "label": "push apart"},
}
"""Of the lines with positive and with negative relevance."""


def pairwise_figure(
    image_i: Any,
    image_j: Any,
    relevance: Any,
    strongest: int = 10,
    *,
    masks: Any = None,
    names: tuple[str, str] = ("source", "target"),
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The strongest pairs of patches of two pictures.

    Args:
        image_i, image_j: `[3, height, width]` of one size, uint8 or float in 0..1.
        relevance: `[row_i, column_i, row_j, column_j]`, as `lrp.bilrp` gives for one pair.
        strongest: how many pairs to draw, by the size of their relevance; zeros are never drawn.
        masks: bool `[2, height, width]`, the true regions, outlined.
        names: under the pictures.
        title: above them; the legend counts the pairs of both signs.

    Raises:
        ValueError: shapes that do not agree, nan relevance, or less than one pair to draw.
    """
    pictures = [_picture("image_i", image_i), _picture("image_j", image_j)]
    values = _checked(pictures, relevance, strongest)
    regions = _regions(masks, pictures)
    ax = ax or plt.subplots(figsize=(5.2, 3.0))[1]
    height, width = pictures[0].shape[:2]
    shift = width * (1 + BETWEEN)
    for picture, mask, left, name in zip(pictures, regions, (0.0, shift), names, strict=True):
        _place(ax, picture, mask, left, name)
    pairs = strongest_pairs(values, strongest)
    drawn = values[tuple(pairs.T)]
    widths = WIDEST * np.abs(drawn) / np.abs(drawn).max(initial=np.finfo(float).tiny)
    ends = _ends(pairs, values.shape, (height, width, shift))
    cell = (width / values.shape[1], height / values.shape[0])
    for n in range(len(pairs))[::-1]:  # the strongest lies on top
        _join(ax, ends[n], bool(drawn[n] > 0), max(float(widths[n]), 0.8))
    _mark(ax, ends, drawn > 0, cell)
    ax.set(xlim=(-0.5, shift + width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal")
    ax.axis("off")
    _legend(ax, drawn)
    if title:
        ax.set_title(title)
    return ax


def strongest_pairs(
    relevance: Float[ndarray, "row_i column_i row_j column_j"], count: int
) -> Int[ndarray, "pair 4"]:
    """Positions of the pairs with the largest absolute relevance, strongest first; no zeros."""
    strength = np.abs(relevance).ravel()
    order = np.argsort(-strength, kind="stable")[:count]
    order = order[strength[order] > 0]
    return np.stack(np.unravel_index(order, relevance.shape), axis=1)


def _place(ax: Axes, picture: ndarray, mask: ndarray | None, left: float, name: str) -> None:
    """One picture, the outline of its true region, and its name."""
    height, width = picture.shape[:2]
    box = (left - 0.5, left + width - 0.5, height - 0.5, -0.5)
    ax.imshow(picture, extent=box, interpolation="lanczos")
    if mask is not None and mask.any():
        columns, rows = left + np.arange(width), np.arange(height)
        ax.contour(columns, rows, mask.astype(float), [0.5], colors=INK, linewidths=1.0)
    ax.text(left + width / 2, height * 1.03, name, ha="center", va="top", size=12)


def _ends(
    pairs: ndarray, shape: tuple[int, ...], size: tuple[int, int, float]
) -> Float[ndarray, "pair end xy"]:
    """The middles of both patches of each pair."""
    height, width, shift = size
    rows = (pairs[:, [0, 2]] + 0.5) * height / np.array([shape[0], shape[2]]) - 0.5
    columns = (pairs[:, [1, 3]] + 0.5) * width / np.array([shape[1], shape[3]]) - 0.5
    return np.stack([columns + np.array([0.0, shift]), rows], axis=-1)


def _join(ax: Axes, ends: Float[ndarray, "end xy"], alike: bool, width: float) -> None:
    """One line with a white rim, so that lines can be told apart where they cross."""
    rim = patheffects.withStroke(linewidth=width + 1.6, foreground="white")
    ax.plot(
        *ends.T,
        **LOOKS[alike],
        linewidth=width,
        path_effects=[rim],
        solid_capstyle="butt",
        dash_capstyle="butt",
    )


def _mark(ax: Axes, ends: ndarray, alike: ndarray, cell: tuple[float, float]) -> None:
    """One square a patch, in the colour of its strongest pair."""
    seen = set()
    for middle, sign in zip(ends.reshape(-1, 2), alike.repeat(2), strict=True):
        if tuple(middle) in seen:
            continue
        seen.add(tuple(middle))
        corner = (middle[0] - cell[0] / 2, middle[1] - cell[1] / 2)
        colour = LOOKS[bool(sign)]["color"]
        ax.add_patch(Rectangle(corner, *cell, facecolor=(colour, 0.15), edgecolor=colour))


def _legend(ax: Axes, drawn: ndarray) -> None:
    """What blue and orange mean, and how many of each are drawn."""
    handles = []
    for sign, look in LOOKS.items():
        if count := int(((drawn > 0) == sign).sum()):
            label = f"{look['label']} ({count})"
            handles.append(Line2D([], [], linewidth=3, **(look | {"label": label})))
    if handles:
        ax.legend(
            handles=handles,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.08),
            ncols=2,
            fontsize=12,
            handlelength=2.4,
            columnspacing=1.4,
        )


# --------------------------------------------------------------------------- at the door


def _picture(name: str, image: Any) -> Float[ndarray, "height width 3"]:
    """Channels last, in 0..1."""
    array = as_array(image)
    if array.ndim != 3 or array.shape[0] != 3:
        raise ValueError(f"{name}: shape {array.shape}; needs [3, height, width]")
    return rgb(array)


def _checked(pictures: list[ndarray], relevance: Any, strongest: int) -> ndarray:
    values = as_array(relevance).astype(np.float64)
    if pictures[0].shape != pictures[1].shape:
        raise ValueError(
            f"image_i and image_j: different sizes {pictures[0].shape[:2]}, {pictures[1].shape[:2]}"
        )
    if values.ndim != 4 or not values.size:
        raise ValueError(
            f"relevance: shape {values.shape}; needs [row_i, column_i, row_j, column_j]"
        )
    if values.shape[:2] != values.shape[2:]:
        raise ValueError(f"relevance: shape {values.shape}; both pictures need the same patches")
    if not np.isfinite(values).all():
        raise ValueError("relevance: nan or infinite values among the pairs")
    if strongest < 1:
        raise ValueError(f"strongest: {strongest} must be at least 1")
    return values


def _regions(masks: Any, pictures: list[ndarray]) -> list[ndarray | None]:
    if masks is None:
        return [None, None]
    found = as_array(masks).astype(bool)
    if found.shape != (2, *pictures[0].shape[:2]):
        raise ValueError(f"masks: shape {found.shape}; needs {(2, *pictures[0].shape[:2])}")
    return [found[0], found[1]]
