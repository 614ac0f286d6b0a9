"""What a shopper bought, what she is recommended, and the attribute that is named as the reason.

Source: SAERS, Figure 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray

from explainrec_lab.plots.boxes import draw_box
from explainrec_lab.plots.style import INK, rgb

Box = Sequence[int]
"""(y0, x0, y1, x1) in pixels, half open."""


@dataclass(frozen=True)
class Reason:
    """One row of the sheet.

    Attributes:
        history: pictures of bought items, uint8 `[n, 3, height, width]`.
        history_boxes: where each of them has the attribute, None where it does not.
        picture: the recommended item. box: where it has the attribute.
        name: of the shopper. words: lines beside the recommended item.
    """

    history: UInt8[ndarray, "n 3 height width"]
    history_boxes: Sequence[Box | None]
    picture: UInt8[ndarray, "3 height width"]
    box: Box
    name: str
    words: Sequence[str]


def reasons_sheet(rows: Sequence[Reason], inches: float = 1.25) -> Figure:
    """A row for each shopper: her purchases, then the recommended item and why.

    Raises:
        ValueError: no rows, or rows with different numbers of purchases.
    """
    counts = {len(row.history) for row in rows} | {len(row.history_boxes) for row in rows}
    if len(counts) != 1:
        raise ValueError(f"rows: need one number of purchases and boxes, got {sorted(counts)}")
    n = counts.pop()
    widths = [1.0] * n + [0.25, 1.0, 1.7]
    figure, axes = plt.subplots(
        len(rows),
        n + 3,
        figsize=(inches * sum(widths), (inches + 0.15) * len(rows) + 0.3),
        squeeze=False,
        gridspec_kw={"width_ratios": widths, "wspace": 0.06, "hspace": 0.1},
    )
    for axis in axes.ravel():
        axis.axis("off")
    for line, row in zip(axes, rows, strict=True):
        for axis, picture, box in zip(line, row.history, row.history_boxes, strict=False):
            _boxed(axis, picture, box)
        place = {"transform": line[0].transAxes, "ha": "right", "va": "center"}
        line[0].text(-0.05, 0.5, row.name, rotation=90, **place)
        _boxed(line[n + 1], row.picture, row.box)
        text = "\n".join(row.words)
        line[n + 2].text(0.03, 0.5, text, va="center", size=9, color=INK, linespacing=1.5)
    axes[0, 0].set_title("bought", loc="left", size=10)
    axes[0, n + 1].set_title("recommended", loc="left", size=10)
    return figure


def _boxed(axis: Axes, picture: ndarray, box: Box | None) -> None:
    """A picture with a frame around one of its regions."""
    axis.imshow(rgb(picture), interpolation="lanczos")
    if box is not None:
        draw_box(box, axis)
