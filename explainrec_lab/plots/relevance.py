"""Relevance on pictures: the heatmaps of the LRP paper (Figures 1, 2 and 5).

The picture turns grey and pale, and relevance lies over it in a signed map with its centre at
zero: blue speaks for the output, orange against it, and the stronger the more opaque. Blue and
orange differ for every kind of colour vision. Limits are robust (a percentile), so that a single
pixel does not blank the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgb
from matplotlib.figure import Figure
from numpy import ndarray

from explainrec_lab.plots.style import INK, OPPOSES, SUPPORTS, as_array, rgb

PALE = 0.6
"""How far the grey picture is moved towards white."""

SIGNED = LinearSegmentedColormap.from_list("relevance", [OPPOSES, "#f4f4f4", SUPPORTS])


def relevance_map(
    image: Any,
    relevance: Any,
    limit: float | None = None,
    *,
    mask: Any = None,
    ax: Axes | None = None,
) -> Axes:
    """Relevance over the pale picture, and maybe the outline of the true region.

    Args:
        image: `[3, height, width]`, uint8 or float in 0..1; array or tensor.
        relevance: `[height, width]`, or with channels (which are summed) before the height.
        limit: relevance of full colour; by default the 99th percentile of its absolute values.
        mask: bool `[height, width]`, outlined.

    Raises:
        ValueError: shapes that do not agree, nan relevance, or a limit that is not above 0.
    """
    picture, values = _checked(image, relevance)
    limit = robust_limit(values) if limit is None else limit
    if not limit > 0:
        raise ValueError(f"limit: {limit} must be above 0")
    ax = ax or plt.subplots(figsize=(2.4, 2.4))[1]
    ax.imshow(_blended(picture, values / limit), interpolation="nearest")
    if mask is not None and np.asarray(mask).any():
        ax.contour(np.asarray(mask, float), levels=[0.5], colors=INK, linewidths=0.9)
    ax.axis("off")
    return ax


def pair_figure(
    images: Sequence[Any],
    relevance: Sequence[Any],
    titles: Sequence[str] | None = None,
    *,
    masks: Any = None,
    names: Sequence[str] = ("source", "target"),
    inches: float = 1.6,
) -> Figure:
    """One row a pair: each image beside its relevance, under the row's title.

    Both images of a pair share one colour scale, pairs do not: shades compare within a row.

    Args:
        images: one `[pair, 3, height, width]` for each image of a pair (two, or three).
        relevance: the same number of `[pair, height, width]`, or with channels.
        titles: one a pair, such as 'also bought, P = 0.93: collar'.
        masks: bool `[pair, image, height, width]`, the true regions, outlined on the relevance.
        names: one for each image of a pair, above the first row.

    Raises:
        ValueError: numbers of images, maps, names, titles or masks that do not agree.
    """
    pictures, maps = [as_array(each) for each in images], [_summed(each) for each in relevance]
    _check_rows(pictures, maps, titles, masks, names)
    rows, columns = len(pictures[0]), 2 * len(pictures)
    size = (columns * inches, rows * (inches + 0.3) + 0.7)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    room = {"h_pad": 0.06, "hspace": 0.0} if titles else {}
    figure.get_layout_engine().set(**room)  # type: ignore[union-attr]
    for row in range(rows):
        limit = robust_limit(np.concatenate([each[row].ravel() for each in maps]))
        for side, (picture, values) in enumerate(zip(pictures, maps, strict=True)):
            plain, heat = axes[row, 2 * side : 2 * side + 2]
            plain.imshow(rgb(picture[row]), interpolation="lanczos")
            plain.axis("off")
            mask = None if masks is None else as_array(masks)[row, side]
            relevance_map(picture[row], values[row], limit, mask=mask, ax=heat)
    for column, axis in enumerate(axes[-1]):
        said = names[column // 2] if column % 2 == 0 else "its relevance"
        axis.text(0.5, -0.04, said, transform=axis.transAxes, ha="center", va="top", size=9)
    for title, axis in zip(titles or (), axes[:, 0], strict=False):
        said = axis.text(0, 1.04, title, transform=axis.transAxes, va="bottom", size=10)
        said.set(weight="bold", in_layout=False)  # a long title must not widen its column,
        axis.set_title("M", size=10, alpha=0)  # but every row keeps its height, also when cropped
    _legend(figure, axes)
    return figure


def robust_limit(relevance: Float[ndarray, "*shape"], percentile: float = 99) -> float:
    """The percentile of the absolute values; the largest where that is 0, and 1 of nothing."""
    strength = np.abs(relevance)
    return float(np.percentile(strength, percentile) or strength.max() or 1.0)


def _legend(figure: Figure, axes: ndarray) -> None:
    """A bar that names the two ends of the scale."""
    scale = ScalarMappable(Normalize(-1, 1), SIGNED)
    bar = figure.colorbar(
        scale, ax=axes.ravel().tolist(), location="bottom", shrink=0.45, aspect=28, pad=0.02
    )
    bar.set_ticks([-1, 0, 1], labels=["speaks against", "0", "speaks for"])
    bar.ax.tick_params(length=0, labelsize=9)
    bar.outline.set_visible(False)


def _blended(picture: ndarray, strength: ndarray) -> Float[ndarray, "height width 3"]:
    """The pale grey picture under colours as opaque as relevance is strong."""
    grey = rgb(picture) @ np.array([0.299, 0.587, 0.114])
    pale = (PALE + (1 - PALE) * grey)[..., None]
    ends = np.where(strength[..., None] >= 0, to_rgb(SUPPORTS), to_rgb(OPPOSES))
    opacity = np.abs(strength).clip(0, 1)[..., None]
    return (1 - opacity) * pale + opacity * ends


# --------------------------------------------------------------------------- at the door


def _summed(relevance: Any) -> Float[ndarray, "pair height width"]:
    values = as_array(relevance).astype(np.float64)
    return values.sum(axis=1) if values.ndim == 4 else values


def _checked(image: Any, relevance: Any) -> tuple[ndarray, ndarray]:
    picture, values = as_array(image), as_array(relevance).astype(np.float64)
    values = values.sum(axis=0) if values.ndim == 3 else values
    if picture.ndim != 3 or picture.shape[0] != 3 or values.shape != picture.shape[1:]:
        raise ValueError(
            f"image and relevance: shapes {picture.shape} and {values.shape}; need "
            "[3, height, width] and [height, width], or [channel, height, width]"
        )
    if not np.isfinite(values).all():
        raise ValueError("relevance: nan or infinite values among the pixels")
    return picture, values


def _check_rows(
    pictures: list[ndarray],
    maps: list[ndarray],
    titles: Sequence[str] | None,
    masks: Any,
    names: Sequence[str],
) -> None:
    if not pictures or not len(pictures[0]):
        raise ValueError("images: none; give one [pair, 3, height, width] for each image of a pair")
    if not len(pictures) == len(maps) == len(names):
        raise ValueError(
            f"images: {len(pictures)} a pair, but {len(maps)} of relevance and {len(names)} names"
        )
    pairs = [len(each) for each in [*pictures, *maps]]
    if len(set(pairs)) != 1:
        raise ValueError(f"images, relevance: {pairs} pairs; need the same number everywhere")
    if titles is not None and len(titles) != pairs[0]:
        raise ValueError(f"titles: {len(titles)} for {pairs[0]} pairs")
    if masks is not None and as_array(masks).shape[:2] != (pairs[0], len(pictures)):
        raise ValueError(
            f"masks: shape {as_array(masks).shape}; needs ({pairs[0]}, {len(pictures)}, "
            "height, width)"
        )
