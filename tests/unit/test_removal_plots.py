"""Figures of removal: lines, bars and bins hold the numbers they are given."""

from __future__ import annotations

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from explainrec_lab import plots

matplotlib.use("Agg")


def test_a_removal_curve_runs_through_its_means_and_is_named() -> None:
    table = pd.DataFrame({"change": [0, -1, -3], "low": [0, -2, -4], "high": [0, 0, -2]})
    ax = plots.removal_curves({"most relevant": table, "random": table * 0})
    assert ax.lines[0].get_ydata().tolist() == [0, -1, -3]
    assert {text.get_text().strip() for text in ax.texts} == {"most relevant", "random"}
    plt.close("all")


def test_both_distributions_count_the_same_bins() -> None:
    rng = np.random.default_rng(0)
    ax = plots.change_distributions(
        {"top 1": rng.normal(size=400) - 1, "random 1": rng.normal(size=400)}
    )
    widths = {
        round(float(x), 6)
        for patch in ax.patches
        for x in np.diff(np.unique(patch.get_path().vertices[:, 0]))
    }
    assert len(widths) <= 2  # equal up to rounding
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["top 1", "random 1"]
    plt.close("all")


def test_bars_of_explanations_are_their_numbers_first_row_on_top() -> None:
    table = pd.DataFrame({"RecoNet": [2.0, -1.0], "LIME": [4.0, -3.0]}, index=["bread", "beer"])
    axes = plots.explanations_abreast(table)
    assert [bar.get_width() for bar in axes[1].patches] == [4.0, -3.0]
    assert axes[0].get_ylim()[0] > axes[0].get_ylim()[1]
    assert axes[0].patches[0].get_facecolor() != axes[0].patches[1].get_facecolor()
    plt.close("all")


def test_empty_input_is_named() -> None:
    with pytest.raises(ValueError, match="tables: none"):
        plots.removal_curves({})
    with pytest.raises(ValueError, match="changes: none"):
        plots.change_distributions({})
    with pytest.raises(ValueError, match="table: empty"):
        plots.explanations_abreast(pd.DataFrame())
