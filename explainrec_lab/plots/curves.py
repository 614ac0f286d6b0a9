"""Lines that are named at their ends, so that nobody has to match colours with a legend; and what
becomes of a score when features go.

Source: LRP paper, Figure 3; RecoNet, Figures 6 to 8.
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from numpy import ndarray

from explainrec_lab.data.contracts import require
from explainrec_lab.plots.style import OPPOSES, QUIET, SUPPORTS, colours_of, plain

# Least distance between two labels, as a share of the axis's height.
LABEL_STEP = 0.075


def curves(
    table: pd.DataFrame,
    *,
    x: str,
    y: str,
    title: str = "",
    band: tuple[pd.DataFrame, pd.DataFrame] | None = None,
    reference: Mapping[str, float] | None = None,
    log: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """One line for each column of `table` over its index, named at its right end.

    Where colours repeat, lines are dashed.

    Args:
        band: the lower and the upper ends of each line's band, tables like `table`.
        reference: name -> height of a dotted line, such as guessing.
        log: whether equal steps along x double it, with a tick at each row of the table.
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
            low, high = (end.loc[values.index, name] for end in band)
            ax.fill_between(values.index, low, high, color=colour, alpha=0.15, lw=0)
    for name, height in (reference or {}).items():
        ax.hlines(height, table.index[0], table.index[-1], color=QUIET, lw=1.2, ls=":")
        ends[name] = (table.index[-1], height, QUIET)
    if log:
        ax.set_xscale("log", base=2)
        ax.set_xticks(table.index, table.index)
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


def perturbation_curves(tables: Mapping[str, pd.DataFrame], *, title: str = "") -> Axes:
    """The LRP paper's Figure 3: accuracy of the predicted relation while patches turn to noise.

    One line for each explanation, in its confidence band.

    Args:
        tables: name -> table of a curve (`faithfulness.Curve.table`).

    Raises:
        ValueError: no table.
    """
    wide, ax = _abreast(tables, "curve"), plt.subplots(figsize=(7, 3.8))[1]
    ax.set_ylim(min(0.45, wide["low"].min(axis=None) - 0.02), 1.02)
    x, y, band = "patches replaced by noise", "relations still right", (wide["low"], wide["high"])
    return curves(wide["accuracy"], x=x, y=y, title=title, band=band, ax=ax)


def removal_curves(
    tables: Mapping[str, pd.DataFrame], *, title: str = "", ax: Axes | None = None
) -> Axes:
    """Mean change of the score over the number of removed features, each line in its band.

    Args:
        tables: name -> table of a removal, with the columns `change`, `low` and `high`.

    Raises:
        ValueError: no table.

    Source: RecoNet, Figures 6 and 8 (left).
    """
    wide, ax = _abreast(tables, "removal"), ax or plt.subplots(figsize=(7, 3.8))[1]
    x, y, band = "features removed", "mean change of the score", (wide["low"], wide["high"])
    curves(wide["change"], x=x, y=y, title=title, band=band, ax=ax)
    ax.axhline(0, color=QUIET, lw=0.8)
    return ax


def _abreast(tables: Mapping[str, pd.DataFrame], of: str) -> pd.DataFrame:
    """Column -> name -> its values: several tables side by side."""
    require(tables, f"tables: none; give name -> {of}.table()")
    return pd.concat(tables, axis=1).swaplevel(axis=1)


def change_distributions(
    changes: Mapping[str, Float[ndarray, " user"]], *, title: str = ""
) -> Axes:
    """Histograms of the change, one a way to choose the removed feature, on common bins.

    The outermost half per cent on each side is left out of the picture.

    Raises:
        ValueError: no changes.

    Source: RecoNet, Figure 7.
    """
    require(changes, "changes: none; give name -> changes")
    ax = plt.subplots(figsize=(7, 3.4))[1]
    low, high = np.quantile(np.concatenate(list(changes.values())), [0.005, 0.995])
    bins = np.linspace(low, high, 61).tolist()
    for (name, values), colour in zip(changes.items(), colours_of([*changes]), strict=True):
        ax.hist(values, bins, histtype="stepfilled", alpha=0.45, label=plain(name), color=colour)
    ax.axvline(0, color=QUIET, lw=0.8)
    ax.set(xlabel="change of the score", ylabel="users", title=plain(title))
    ax.legend(loc="upper left")
    return ax


def explanations_abreast(table: pd.DataFrame, *, title: str = "") -> ndarray:
    """Bars of the same features in several explanations, one panel a column, one row a feature.

    Each panel has its own scale: explanations may differ by a factor.

    Args:
        table: one row a feature, first on top; one column an explanation.

    Raises:
        ValueError: an empty table.

    Source: RecoNet, Figure 8 (right).
    """
    require(not table.empty, "table: empty; give one row a feature, one column an explanation")
    size = (3 + 2.6 * len(table.columns), 1.2 + 0.3 * len(table))
    figure, grid = plt.subplots(1, len(table.columns), figsize=size, sharey=True, squeeze=False)
    for ax, name in zip(grid[0], table.columns, strict=True):
        values = table[name].to_numpy()
        ax.barh(range(len(table)), values, color=np.where(values > 0, SUPPORTS, OPPOSES))
        ax.axvline(0, color=QUIET, lw=0.8)
        ax.set_title(plain(name), loc="center")
        ax.grid(visible=False, axis="y")
    grid[0, 0].set_yticks(range(len(table)), labels=[plain(name) for name in table.index])
    grid[0, 0].invert_yaxis()
    figure.suptitle(plain(title), x=0.01, ha="left", weight="bold")
    return grid[0]
