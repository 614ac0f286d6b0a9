"""What becomes of a score when features go (RecoNet, Figures 6 to 8); explanations abreast."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from numpy import ndarray

from explainrec_lab.plots.curves import _name_ends
from explainrec_lab.plots.style import OPPOSES, SUPPORTS


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
    if not tables:
        raise ValueError("tables: none; give name -> removal.table()")
    ax = ax or plt.subplots(figsize=(7, 3.8))[1]
    ends = {}
    for name, table in tables.items():
        (line,) = ax.plot(table.index, table["change"])
        colour = to_hex(line.get_color())
        ax.fill_between(table.index, table["low"], table["high"], color=colour, alpha=0.2, lw=0)
        ends[name] = (float(table.index[-1]), float(table["change"].iloc[-1]), colour)
    ax.axhline(0, color="#5b6470", lw=0.8)
    ax.set(xlabel="features removed", ylabel="mean change of the score", title=title)
    _name_ends(ax, ends)
    return ax


def change_distributions(
    changes: Mapping[str, Float[ndarray, " user"]], *, title: str = "", ax: Axes | None = None
) -> Axes:
    """Histograms of the change, one a way to choose the removed feature, on common bins.

    The outermost half per cent on each side is left out of the picture.

    Raises:
        ValueError: no changes.

    Source: RecoNet, Figure 7.
    """
    if not changes:
        raise ValueError("changes: none; give name -> changes")
    ax = ax or plt.subplots(figsize=(7, 3.4))[1]
    low, high = np.quantile(np.concatenate(list(changes.values())), [0.005, 0.995])
    bins = np.linspace(low, high, 61).tolist()
    for name, values in changes.items():
        ax.hist(values, bins, histtype="stepfilled", alpha=0.45, label=name)
    ax.axvline(0, color="#5b6470", lw=0.8)
    ax.set(xlabel="change of the score", ylabel="users", title=title)
    ax.legend(loc="upper left")
    return ax


def explanations_abreast(
    table: pd.DataFrame, *, title: str = "", axes: ndarray | None = None
) -> ndarray:
    """Bars of the same features in several explanations, one panel a column, one row a feature.

    Each panel has its own scale: explanations may differ by a factor.

    Args:
        table: one row a feature, first on top; one column an explanation.

    Raises:
        ValueError: an empty table.

    Source: RecoNet, Figure 8 (right).
    """
    if table.empty:
        raise ValueError("table: empty; give one row a feature and one column an explanation")
    if axes is None:
        size = (3 + 2.6 * len(table.columns), 1.2 + 0.3 * len(table))
        axes = plt.subplots(1, len(table.columns), figsize=size, sharey=True, squeeze=False)[1][0]
    for ax, name in zip(axes, table.columns, strict=True):
        values = table[name].to_numpy()
        ax.barh(range(len(table)), values, color=np.where(values > 0, SUPPORTS, OPPOSES))
        ax.axvline(0, color="#5b6470", lw=0.8)
        ax.set_title(name, loc="center")
        ax.grid(visible=False, axis="y")
    axes[0].set_yticks(range(len(table)), labels=list(table.index))
    axes[0].invert_yaxis()
    axes[0].figure.suptitle(title, x=0.01, ha="left", weight="bold")
    return axes
