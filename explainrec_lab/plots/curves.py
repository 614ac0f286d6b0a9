"""Lines that are named at their ends, so that nobody has to match colours with a legend."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from scipy.optimize import isotonic_regression


def curves(table: pd.DataFrame, *, x: str, y: str, title: str = "", ax: Axes | None = None) -> Axes:
    """One line for each column of `table` over its index, named at its right end.

    Where colours repeat, lines are dashed.
    """
    ax = ax or plt.subplots(figsize=(7, 3.6))[1]
    ends = {}
    colours = len(plt.rcParams["axes.prop_cycle"])
    for number, name in enumerate(table.columns):
        values = table[name].dropna()
        style = "-" if number < colours else "--"
        (line,) = ax.plot(values.index, values.to_numpy(), style)
        ends[name] = (values.index[-1], values.iloc[-1], to_hex(line.get_color()))
    ax.set(xlabel=x, ylabel=y, title=title)
    _name_ends(ax, ends)
    return ax


LABEL_STEP = 0.075
"""Least distance between two labels, as a share of the axis's height."""


def _name_ends(ax: Axes, ends: dict[str, tuple[float, float, str]]) -> None:
    """Write each line's name beside its end, moved as little as it takes not to overlap.

    A thin line leads from the end to its name.
    """
    low, high = ax.get_ylim()
    points = ax.get_window_extent().height * 72 / ax.figure.dpi / (high - low)
    order = {name: -number for number, name in enumerate(ends)}
    ordered = sorted(ends, key=lambda name: (ends[name][1], order[name]))
    steps = LABEL_STEP * (high - low) * np.arange(len(ordered))
    wanted = np.array([ends[name][1] for name in ordered])
    places = isotonic_regression(wanted - steps).x + steps
    for name, place in zip(ordered, places, strict=True):
        x, y, colour = ends[name]
        leader = {
            "arrowstyle": "-",
            "color": colour,
            "lw": 0.6,
            "relpos": (0, 0.5),
            "shrinkA": 1,
            "shrinkB": 2,
        }
        shift = (place - y) * points
        ax.annotate(
            name,
            (x, y),
            (8 if abs(shift) < 1 else 20, shift),
            textcoords="offset points",
            color=colour,
            va="center",
            annotation_clip=False,
            arrowprops=leader,
        )


PERTURBED = {"replaced": "patches replaced by noise", "share": "share of the pixels replaced"}
"""What perturbation curves run over, and how the axis says it."""


def perturbation_curves(
    tables: Mapping[str, pd.DataFrame],
    *,
    x: str = "replaced",
    y: str = "accuracy",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """The LRP paper's Figure 3: accuracy of the predicted relation while patches turn to noise.

    One line for each explanation, named at its right end, in its confidence band where the table
    has one (columns `low` and `high`, of the accuracy).

    Args:
        tables: name -> table of a curve (`faithfulness.Curve.table`).
        x: 'replaced' or 'share'. y: 'accuracy' or 'score'.

    Raises:
        ValueError: no table, or another `x` or `y`.
    """
    if not tables:
        raise ValueError("tables: none; give name -> curve.table()")
    if x not in PERTURBED or y not in ("accuracy", "score"):
        raise ValueError(f"x, y: {x!r}, {y!r}; x is 'replaced' or 'share', y 'accuracy' or 'score'")
    ax = ax or plt.subplots(figsize=(7, 3.8))[1]
    ends = {}
    for name, table in tables.items():
        over = table.index.to_numpy() if x == "replaced" else table["share"].to_numpy()
        (line,) = ax.plot(over, table[y].to_numpy())
        colour = to_hex(line.get_color())
        if y == "accuracy" and "low" in table:
            ax.fill_between(over, table["low"], table["high"], color=colour, alpha=0.15, lw=0)
        ends[name] = (float(over[-1]), float(table[y].iloc[-1]), colour)
    label = "relations still right" if y == "accuracy" else "mean score"
    ax.set(xlabel=PERTURBED[x], ylabel=label, title=title)
    if y == "accuracy":
        ax.set_ylim(min(0.45, ax.get_ylim()[0]), 1.02)
    _name_ends(ax, ends)
    return ax
