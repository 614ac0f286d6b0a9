"""Pairs of regions: lines that join patches of one picture to patches of another (BiLRP).

A line is as wide as its pair is strong, and only the strongest are drawn. Pairs that draw the two
pictures together are blue and unbroken, those that push them apart orange and dashed, so that no
colour vision is needed.
"""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from explainrec_lab.data.contracts import require
from explainrec_lab.plots.style import INK, OPPOSES, SUPPORTS, as_array, plain, rgb

# How many pairs are drawn.
STRONGEST = 10
# Room between the two pictures, as a share of a picture's width.
BETWEEN = 0.45
# Widths of lines, in points.
WIDEST, THINNEST = 4.5, 0.8
# Of the lines with positive and with negative relevance: colour, dashes, words.
LOOKS = {True: (SUPPORTS, "-", "draw together"), False: (OPPOSES, "--", "push apart")}


def pairwise_figure(
    image_i: Any, image_j: Any, relevance: Any, *, masks: Any = None, title: str = ""
) -> Axes:
    """The strongest pairs of patches of two pictures, each of which is one unit high and wide.

    Args:
        image_i, image_j: source and target, `[3, height, width]`, uint8 or in 0..1; of any size.
        relevance: `[row_i, column_i, row_j, column_j]`, as `bilrp` gives for one pair.
        masks: bool `[2, height, width]`, outlined, such as the part masks of the reason.
        title: above them; the legend counts the pairs of both signs.

    Raises:
        ValueError: shapes that are wrong, or nan relevance.
    """
    images, values = [as_array(image_i), as_array(image_j)], as_array(relevance).astype(np.float64)
    for name, image in zip(("image_i", "image_j"), images, strict=True):
        right = image.ndim == 3 and len(image) == 3
        require(right, f"{name}: shape {image.shape}; needs [3, height, width]")
    square = values.ndim == 4 and values.size > 0 and values.shape[:2] == values.shape[2:]
    require(square, f"relevance: shape {values.shape}; needs [row, column] twice, the same patches")
    require(np.isfinite(values).all(), "relevance: nan or infinite values among the pairs")
    outlined = np.zeros((2, 1, 1)) if masks is None else as_array(masks).astype(float)
    right = outlined.ndim == 3 and len(outlined) == 2
    require(right, f"masks: shape {outlined.shape}; needs [2, height, width]")

    ax = plt.subplots(figsize=(5.0, 2.7))[1]
    sides = zip(("source", "target"), (0, 1 + BETWEEN), images, outlined, strict=True)
    for name, left, image, mask in sides:
        extent = (left, left + 1, 1, 0)
        ax.imshow(rgb(image), interpolation="lanczos", extent=extent)
        if mask.any():
            ax.contour(mask, [0.5], colors=INK, linewidths=1.0, extent=extent, origin="upper")
        ax.text(left + 0.5, 1.03, name, ha="center", va="top", size=12)
    ax.set(xlim=(0, 2 + BETWEEN), ylim=(1, 0))

    strength = np.abs(values).ravel()
    drawn = [n for n in np.argsort(strength)[-STRONGEST:] if strength[n] > 0]  # strongest on top
    for n in drawn:
        place = np.add(np.unravel_index(n, values.shape), 0.5) / values.shape
        y, x = place[::2], place[1::2] + [0, 1 + BETWEEN]
        colour, dashes, _ = LOOKS[bool(values.flat[n] > 0)]
        wide = max(WIDEST * strength[n] / strength.max(), THINNEST)
        ax.plot(x, y, dashes, color=colour, linewidth=wide, alpha=0.75)
    ax.set_title(plain(title))
    ax.axis("off")
    handles = []
    for sign, (colour, dashes, words) in LOOKS.items():
        if count := sum((values.flat[n] > 0) == sign for n in drawn):
            label = f"{words} ({count})"
            handles.append(Line2D([], [], color=colour, ls=dashes, lw=3, label=label))
    if handles:
        below: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.08), "ncols": 2}
        ax.legend(handles=handles, fontsize=12, handlelength=2.4, columnspacing=1.4, **below)
    return ax
