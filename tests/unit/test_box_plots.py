"""Boxes on pictures: they stand where they should, and what does not fit is named."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import Rectangle

from explainrec_lab import plots

PICTURES = np.full((2, 3, 8, 8), 128, np.uint8)
MAPS = {"one": np.random.default_rng(0).random((2, 8, 8)), "other": np.zeros((2, 8, 8))}
BOXES = {name: np.array([[1, 2, 5, 8], [0, 0, 8, 8]]) for name in MAPS}


def test_a_box_lies_on_the_edges_of_its_pixels() -> None:
    axis = plots.picture(PICTURES[0], box=(1, 2, 5, 8))
    (outline,) = axis.patches
    assert isinstance(outline, Rectangle)
    assert outline.get_xy() == (1.5, 0.5)
    assert (outline.get_width(), outline.get_height()) == (6, 4)
    plt.close("all")


def test_each_method_has_a_column_with_its_box() -> None:
    masks = np.zeros((2, 8, 8), bool)
    masks[0, 2:4, 2:4] = True
    figure = plots.box_figure(PICTURES, MAPS, BOXES, ["a", "b"], masks=masks)
    axes = np.array(figure.axes).reshape(2, 3)
    assert [axis.texts[0].get_text() for axis in axes[:, 0]] == ["a", "b"]
    assert [axis.texts[0].get_text() for axis in axes[-1, 1:]] == ["one", "other"]
    assert [[len(axis.patches) for axis in row] for row in axes] == [[0, 1, 1], [0, 1, 1]]
    plt.close("all")


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match=r"box: \(3, 0, 3, 4\) is empty"):
        plots.picture(PICTURES[0], box=(3, 0, 3, 4))
    with pytest.raises(ValueError, match=r"maps of \['one', 'other'\], boxes of \['one'\]"):
        plots.box_figure(PICTURES, MAPS, {"one": BOXES["one"]}, ["a", "b"])
    with pytest.raises(ValueError, match="1 titles for 2 pictures"):
        plots.box_figure(PICTURES, MAPS, BOXES, ["a"])
    plt.close("all")


def test_a_display_copy_carries_the_boxes_and_maps_of_the_small_picture() -> None:
    large = PICTURES[0].repeat(4, axis=1).repeat(4, axis=2)
    small, copy = (
        plots.picture(each, MAPS["one"][0], box=(1, 2, 5, 8)) for each in (PICTURES[0], large)
    )
    assert small.patches[0].get_bbox().bounds == copy.patches[0].get_bbox().bounds
    assert small.get_xlim() == copy.get_xlim()
    assert plots.picture(large, side=8).get_xlim() == (-0.5, 7.5)
    plt.close("all")


def test_a_box_around_the_whole_picture_is_dashed_and_lies_inside_it() -> None:
    whole, part = (
        plots.picture(PICTURES[0], box=box).patches[0] for box in ((0, 0, 8, 8), (0, 0, 8, 4))
    )
    assert whole.get_linestyle() != part.get_linestyle() == "-"
    assert whole.get_bbox().x0 > -0.5
    plt.close("all")
