"""The sheet of purchases and reasons: one row a shopper, frames where the attribute is."""

from __future__ import annotations

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.patches import Rectangle

from explainrec_lab.plots import Reason, reasons_sheet

mpl.use("Agg")


def reason(purchases: int = 3) -> Reason:
    pictures = np.random.default_rng(0).integers(0, 255, (purchases + 1, 3, 16, 16), dtype=np.uint8)
    boxes = [(0, 0, 4, 8), None, (2, 3, 9, 9)][:purchases]
    return Reason(pictures[1:], boxes, pictures[0], (4, 2, 12, 14), "shopper 3", ["neckline", "V"])


def frames(axis: mpl.axes.Axes) -> list[tuple[float, ...]]:
    found = [patch for patch in axis.patches if isinstance(patch, Rectangle)]
    return [(*patch.get_xy(), patch.get_width(), patch.get_height()) for patch in found]


def test_frames_stand_where_the_boxes_are() -> None:
    figure = reasons_sheet([reason(), reason()])
    axes = np.array(figure.axes).reshape(2, -1)
    for line in axes:
        assert frames(line[0]) == [(-0.5, -0.5, 8, 4)]
        assert frames(line[1]) == []
        assert frames(line[2]) == [(2.5, 1.5, 6, 7)]
        assert frames(line[4]) == [(1.5, 3.5, 12, 8)]
        assert line[0].texts[0].get_text() == "shopper 3: neckline\nV"
    assert [axis.texts[-1].get_text() for axis in axes[1, [0, 4]]] == ["bought", "recommended"]


@pytest.mark.parametrize("rows", [[], [reason(3), reason(2)]])
def test_rows_that_do_not_match_are_refused(rows: list[Reason]) -> None:
    with pytest.raises(ValueError, match="rows: need one number of purchases and boxes, got"):
        reasons_sheet(rows)


def test_a_box_for_each_purchase_is_asked_for() -> None:
    with pytest.raises(ValueError, match=r"rows: need one number .* got \[2, 3\]"):
        reasons_sheet([replace(reason(), history_boxes=[None, None])])
