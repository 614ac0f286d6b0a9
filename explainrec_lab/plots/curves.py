"""Lines that are named at their ends, so that nobody has to match colours with a legend."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from explainrec_lab.plots.style import QUIET, colours_of, plain

# Least distance between two labels, as a share of the axis's height.
LABEL_STEP = 0.075


def curves(
    table: pd.DataFrame,
    *,
    x: str,
    y: str,
    title: str = "",
    band: pd.DataFrame | None = None,
    reference: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """One line for each column of `table` over its index, named at its right end.

    Where colours repeat, lines are dashed.

    Args:
        band: the ends of each line's band, `low` and `high` over the names of the lines.
        reference: name -> height of a dotted line, such as guessing.
    """
    ax = ax or plt.subplots(figsize=(7, 3.6))[1]
    ends = {}
    colours = colours_of(table.columns)
    for number, (name, colour) in enumerate(zip(table.columns, colours, strict=True)):
        values = table[name].dropna()
        look = "--" if colour in colours[:number] else "-"
        ax.plot(values.index, values.to_numpy(), look, color=colour)
        ends[name] = (values.index[-1], values.iloc[-1], colour)
        if band is not None:
            low, high = (band[end].loc[values.index, name] for end in ("low", "high"))
            ax.fill_between(values.index, low, high, color=colour, alpha=0.15, lw=0)
    for name, height in (reference or {}).items():
        ax.hlines(height, table.index[0], table.index[-1], color=QUIET, lw=1.2, ls=":")
        ends[name] = (table.index[-1], height, QUIET)
    ax.set(xlabel=plain(x), ylabel=plain(y), title=plain(title))
    _name_ends(ax, ends)
    return ax


def _name_ends(ax: Axes, ends: dict[str, tuple[float, float, str]]) -> None:
    """Write each line's name beside its end, moved as little as it takes not to overlap.

    A thin line leads from the end to its name.
    """
    from scipy.optimize import isotonic_regression

    low, high = ax.get_ylim()
    points = ax.get_window_extent().height * 72 / ax.figure.dpi / (high - low)
    # from below; of one height, the first stands on top
    ordered = sorted(ends, key=lambda name: ends[name][1], reverse=True)[::-1]
    steps = LABEL_STEP * (high - low) * np.arange(len(ordered))
    wanted = np.array([ends[name][1] for name in ordered])
    places = isotonic_regression(wanted - steps).x + steps
    leader = {"arrowstyle": "-", "lw": 0.6, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 2}
    for name, place in zip(ordered, places, strict=True):
        x, y, colour = ends[name]
        shift = (place - y) * points
        beside, arrow = (8 if abs(shift) < 1 else 20, shift), {**leader, "color": colour}
        text = ax.annotate(plain(name), (x, y), beside, "data", "offset points", arrow)
        text.set(color=colour, va="center", annotation_clip=False)
