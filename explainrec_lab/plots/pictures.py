"""Pictures side by side, with relevance, true regions and boxes on them.

Relevance lies over the pale grey picture in a signed map with its centre at zero: blue speaks for
the output, orange against it, and the stronger the more opaque. Limits are robust (a percentile),
so that a single pixel does not blank the rest. A picture may be a display copy, larger than the
pixels that its relevance, mask and box count.

Source: LRP paper, Figures 1, 2 and 5; SAERS, Figures 6 and 8.
"""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy import ndarray

from explainrec_lab.data.contracts import require
from explainrec_lab.plots.style import OPPOSES, SUPPORTS, as_array, plain, rgb

# How far the grey picture under relevance is moved towards white.
PALE = 0.6
OUTLINE = "#111820"  # on pictures, which a dark page does not darken: not the theme's ink
# (y0, x0, y1, x1) in pixels, half open.
Box = Sequence[int]
# The text column, in inches, and the size of words that a figure as wide as it can carry.
COLUMN, SMALL = 7.0, 10.0


# --------------------------------------------------------------------------- one picture


def picture(
    image: Any,
    relevance: Any = None,
    limit: float | None = None,
    *,
    mask: Any = None,
    box: Box | None = None,
    side: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A picture, maybe pale under its relevance, with the outlines of a mask and of a box.

    A box around the whole picture is drawn inside it and dashed, so that it is no border.

    Args:
        image: `[3, height, width]`, uint8 or float in 0..1; array or tensor. A display copy is a
            whole number of times as large as relevance and mask.
        relevance: `[height, width]`, or with channels (which are summed) before the height.
        limit: relevance of full colour; by default the 99th percentile of its absolute values.
        mask: bool `[height, width]`, such as a part mask; the title or caption says which.
        side: pixels of a side that the box counts; by default those of the relevance, of the mask
            or of the image.

    Raises:
        ValueError: shapes that do not agree, nan relevance, a limit that is not above 0, or an
            empty box.
    """
    shown = as_array(image)
    ax = ax or plt.subplots(figsize=(2.4, 2.4))[1]
    side = side or next(as_array(x).shape[-1] for x in (relevance, mask, image) if x is not None)
    pixels = rgb(shown) if relevance is None else _under(shown, relevance, limit)
    how = "lanczos" if relevance is None else "nearest"
    height = side * shown.shape[-2] / shown.shape[-1]
    ax.imshow(pixels, interpolation=how, extent=(-0.5, side - 0.5, height - 0.5, -0.5))
    if mask is not None and as_array(mask).any():
        ax.contour(as_array(mask).astype(float), levels=[0.5], colors=OUTLINE, linewidths=0.9)
    if box is not None:
        y0, x0, y1, x1 = (int(edge) for edge in box)
        require(y0 < y1 and x0 < x1, f"box: {(y0, x0, y1, x1)} is empty; needs y0 < y1 and x0 < x1")
        whole = (y1 - y0) * (x1 - x0) > 0.95 * side * height
        inside = 0.04 * side if whole else 0.0
        # Around its pixels, so half a pixel before the first one's middle.
        corner = (x0 - 0.5 + inside, y0 - 0.5 + inside)
        size, look = (x1 - x0 - 2 * inside, y1 - y0 - 2 * inside), "--" if whole else "-"
        ax.add_patch(Rectangle(corner, *size, fill=False, ec=OPPOSES, lw=2, ls=look))
    ax.axis("off")
    return ax


def _robust_limit(relevance: Float[ndarray, "*shape"]) -> float:
    """The 99th percentile of the absolute values; the largest where that is 0, and 1 of nothing."""
    strength = np.abs(relevance)
    return float(np.percentile(strength, 99) or strength.max() or 1.0)


def _under(image: ndarray, relevance: Any, limit: float | None) -> Float[ndarray, "height width 3"]:
    """The pale grey picture under colours as opaque as relevance is strong."""
    values = as_array(relevance).astype(np.float64)
    values = values.sum(axis=0) if values.ndim == 3 else values
    shapes, needed = f"{image.shape} and {values.shape}", "[3, height, width] and [height, width]"
    times = image.shape[-1] // values.shape[-1]
    values = values.repeat(times, axis=-2).repeat(times, axis=-1)  # of a display copy
    right = image.shape == (3, *values.shape)
    require(right, f"image and relevance: shapes {shapes}; need {needed}")
    require(bool(np.isfinite(values).all()), "relevance: nan or infinite values among the pixels")
    limit = _robust_limit(values) if limit is None else limit
    require(limit > 0, f"limit: {limit} must be above 0")
    grey = rgb(image) @ np.array([0.299, 0.587, 0.114])
    pale = (PALE + (1 - PALE) * grey)[..., None]
    ends = np.where(values[..., None] >= 0, to_rgb(SUPPORTS), to_rgb(OPPOSES))
    opacity = np.abs(values[..., None] / limit).clip(0, 1)
    return (1 - opacity) * pale + opacity * ends


# --------------------------------------------------------------------------- many pictures


def contact_sheet(
    images: Any, captions: Sequence[str] | None = None, columns: int = 4, inches: float = 1.7
) -> Figure:
    """Pictures side by side, each with a caption below, no wider than the text.

    Args:
        images: `[picture, 3, height, width]`, or a list of pictures; uint8 or float in 0..1.
    """
    count, inches = len(images if captions is None else captions), min(inches, COLUMN / columns)
    require(count == len(images), f"captions: {count} for {len(images)} pictures")
    rows = max(-(-len(images) // columns), 1)
    words = [_wrapped(caption, inches) for caption in captions or ()]
    below = 0.18 * max((each.count("\n") + 1 for each in words), default=0) + 0.06
    figure, axes = _grid(rows, [1] * columns, inches, rows * (inches + below))
    for number, (image, axis) in enumerate(zip(images, axes.flat, strict=False)):
        picture(image, ax=axis)
        if words:
            _below(axis, words[number])
    return figure


def _grid(rows: int, widths: Sequence[float], inches: float, height: float) -> tuple[Figure, Any]:
    """A figure without frames, its columns of such widths in pictures, `height` inches tall."""
    how: dict[str, Any] = {"squeeze": False, "width_ratios": widths, "layout": "constrained"}
    figure, axes = plt.subplots(rows, len(widths), figsize=(inches * sum(widths), height), **how)
    for axis in axes.flat:
        axis.axis("off")
    return figure, axes


def _wrapped(text: str, inches: float) -> str:
    """Lines of small words that are no wider than a picture."""
    return "\n".join(textwrap.fill(line, int(13 * inches)) for line in text.split("\n"))


def _below(ax: Axes, text: str) -> None:
    ax.text(0.5, -0.04, plain(text), transform=ax.transAxes, ha="center", va="top", size=SMALL)


def pair_figure(
    images: Sequence[Any],
    relevance: Sequence[Any],
    titles: Sequence[str] | None = None,
    *,
    masks: Any = None,
    names: Sequence[str] = ("source", "target"),
    ends: tuple[str, str] = ("speaks against", "speaks for"),
    inches: float = 1.6,
) -> Figure:
    """One row a pair: each image beside its relevance, under the row's title.

    Both images of a pair share one colour scale, pairs do not: shades compare within a row.

    Args:
        images: one `[pair, 3, height, width]` for each image of a pair (two, or three).
        relevance: the same number of `[pair, height, width]`, or with channels.
        titles: one a pair, such as 'also bought, P = 0.93: collar'.
        masks: bool `[pair, image, height, width]`, outlined on the relevance: part masks of the
            reasons (`localisation.relation_masks`); say in the caption which masks they are.
        names: one for each image of a pair, below the last row.
        ends: what orange and blue mean: of a distance, blue does not speak *for* a relation.

    Raises:
        ValueError: numbers of images, maps, names, titles or masks that do not agree.
    """
    maps = [as_array(each).astype(np.float64) for each in relevance]
    maps = [each.sum(axis=1) if each.ndim == 4 else each for each in maps]
    _check_alike("images, relevance, names", "a pair", [images, maps, names])
    _check_alike("images, relevance, titles, masks", "pairs", [*images, *maps, titles, masks])
    rows, columns = len(maps[0]), 2 * len(images)
    inches = min(inches, COLUMN / columns)
    figure, axes = _grid(rows, [1] * columns, inches, rows * (inches + 0.3) + 0.7)
    room = {"h_pad": 0.06, "hspace": 0.0} if titles else {}
    figure.get_layout_engine().set(**room)  # type: ignore[union-attr]
    for row in range(rows):
        limit = _robust_limit(np.concatenate([each[row].ravel() for each in maps]))
        for side, image in enumerate(images):
            plain_axis, heat = axes[row, 2 * side : 2 * side + 2]
            mask = None if masks is None else as_array(masks)[row, side]
            picture(image[row], ax=plain_axis)
            picture(image[row], maps[side][row], limit, mask=mask, ax=heat)
    for column, axis in enumerate(axes[-1]):
        _below(axis, names[column // 2] if column % 2 == 0 else "its relevance")
    for title, axis in zip(titles or (), axes[:, 0], strict=False):
        _row_title(axis, title)
    meant = zip((OPPOSES, SUPPORTS), ends, strict=True)
    keys = [Patch(color=colour, label=plain(what)) for colour, what in meant]
    figure.legend(handles=keys, loc="outside lower center", ncols=2, fontsize=SMALL)
    return figure


def _check_alike(named: str, what: str, some: Sequence[Any]) -> None:
    counts = [len(each) for each in some if each is not None]
    needed = "need the same number, at least 1"
    require(min(counts) == max(counts) > 0, f"{named}: {counts} {what}; {needed}")


def box_figure(
    images: Any,
    maps: Mapping[str, Any],
    boxes: Mapping[str, Any],
    titles: Sequence[str],
    *,
    masks: Any = None,
) -> Figure:
    """One row a picture: the picture, then each method's map in blue with its box in orange.

    Args:
        images: `[picture, 3, height, width]`, uint8 or float in 0..1.
        maps: method -> `[picture, height, width]`, never negative.
        boxes: method -> `[picture, 4]`, for the same methods.
        titles: one a picture, above its row.
        masks: bool `[picture, height, width]`, the part masks, outlined in every column.

    Raises:
        ValueError: methods or numbers of pictures that do not agree.
    """
    require(set(maps) == set(boxes), f"maps of {list(maps)}, boxes of {list(boxes)}; give both")
    require(len(titles) == len(images), f"{len(titles)} titles for {len(images)} pictures")
    rows, columns = len(images), 1 + len(maps)
    inches = min(1.6, COLUMN / columns)
    figure, axes = _grid(rows, [1] * columns, inches, rows * (inches + 0.3) + 0.3)
    for row, image in enumerate(images):
        mask = None if masks is None else masks[row]
        picture(image, mask=mask, ax=axes[row, 0])
        _row_title(axes[row, 0], titles[row])
        for axis, (name, values) in zip(axes[row, 1:], maps.items(), strict=True):
            picture(image, values[row], mask=mask, box=boxes[name][row], ax=axis)
    for axis, name in zip(axes[-1, 1:], maps, strict=True):
        _below(axis, _wrapped(name, inches))
    return figure


# --------------------------------------------------------------------------- purchases, reasons


@dataclass(frozen=True)
class Reason:
    """One row of the sheet of reasons.

    Attributes:
        history: pictures of bought items, uint8 `[n, 3, height, width]`.
        history_boxes: where each of them has the attribute, None where it does not.
        picture: the recommended item. box: where it has the attribute.
        name: of the shopper. words: why, over the row.
    """

    history: UInt8[ndarray, "n 3 height width"]
    history_boxes: Sequence[Box | None]
    picture: UInt8[ndarray, "3 height width"]
    box: Box
    name: str
    words: Sequence[str]


def reasons_sheet(rows: Sequence[Reason], side: int | None = None) -> Figure:
    """A row for each shopper: her purchases, then the recommended item and why.

    Args:
        side: pixels of a side that the boxes count, if the pictures are display copies.

    Raises:
        ValueError: no rows, or rows with different numbers of purchases.
    """
    counts = sorted({len(x) for row in rows for x in (row.history, row.history_boxes)})
    require(len(counts) == 1, f"rows: need one number of purchases and boxes, got {counts}")
    n = counts[0]
    widths, inches = [1.0] * n + [0.2, 1.0], min(1.17, COLUMN / (n + 1.2))
    figure, axes = _grid(len(rows), widths, inches, (inches + 0.5) * len(rows) + 0.3)
    for line, row in zip(axes, rows, strict=True):
        shown = [*zip(row.history, row.history_boxes, strict=True), (row.picture, row.box)]
        for axis, (image, box) in zip([*line[:n], line[-1]], shown, strict=True):
            picture(image, box=box, side=side, ax=axis)
        first, *others = row.words
        _row_title(line[0], f"{row.name}: {first}\n{', '.join(others)}")
    _below(axes[-1, 0], "bought")
    _below(axes[-1, -1], "recommended")
    return figure


def _row_title(axis: Axes, title: str) -> None:
    """A title over a whole row: long, it must not widen its first column."""
    said = axis.text(0, 1.04, plain(title), transform=axis.transAxes, va="bottom", size=SMALL)
    said.set(weight="bold", in_layout=False)
    # but every row keeps its height, also when cropped
    axis.set_title(re.sub(r".+", "M", title), size=SMALL, alpha=0)
