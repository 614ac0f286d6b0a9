"""Pairs of regions: which are drawn, where, and what is refused."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import same_color

from explainrec_lab.plots import OPPOSES, SUPPORTS, pairwise_figure
from explainrec_lab.plots.pairwise import BETWEEN, STRONGEST

IMAGE = np.zeros((3, 8, 8), np.uint8)


def relevance() -> np.ndarray:
    """Two pairs: (row 0, column 1) with (1, 0), weak and against, and (1, 1) with (0, 0)."""
    values = np.zeros((2, 2, 2, 2))
    values[0, 1, 1, 0], values[1, 1, 0, 0] = -1.0, 2.0
    return values


@pytest.fixture(autouse=True)
def no_figures_left() -> Any:
    yield
    plt.close("all")


def test_the_strongest_pairs_are_drawn_with_the_strongest_on_top_and_zeros_never() -> None:
    assert len(pairwise_figure(IMAGE, IMAGE, relevance()).lines) == 2
    values = np.random.default_rng(0).normal(size=(2, 2, 2, 2))
    strength = np.abs(values).ravel()
    strongest = np.argsort(strength)[-STRONGEST:]
    lines = pairwise_figure(IMAGE, IMAGE, values).lines
    widths = 4.5 * strength[strongest] / strength.max()
    np.testing.assert_allclose([n.get_linewidth() for n in lines], widths.clip(0.8))
    rows_i, columns_i, rows_j, columns_j = np.unravel_index(strongest, values.shape)
    starts = [(line.get_xdata()[0], line.get_ydata()[0]) for line in lines]
    ends = [(line.get_xdata()[1], line.get_ydata()[1]) for line in lines]
    middles = [(each + 0.5) / 2 for each in (columns_i, rows_i, columns_j, rows_j)]
    np.testing.assert_allclose(starts, np.transpose(middles[:2]))
    np.testing.assert_allclose(ends, np.transpose(middles[2:]) + [1 + BETWEEN, 0])


def test_lines_join_the_middles_of_their_patches() -> None:
    ax = pairwise_figure(IMAGE, IMAGE, relevance())
    against, alike = ax.lines
    assert alike.get_xdata()[0] == 0.75 and alike.get_ydata().tolist() == [0.75, 0.25]
    assert against.get_xdata()[0] == 0.75 and against.get_ydata().tolist() == [0.25, 0.75]
    assert alike.get_xdata()[1] == against.get_xdata()[1] > 1


def test_signs_differ_in_colour_and_dashes_and_strength_in_width() -> None:
    ax = pairwise_figure(IMAGE, IMAGE, torch.tensor(relevance()))
    against, alike = ax.lines
    assert same_color(alike.get_color(), SUPPORTS) and same_color(against.get_color(), OPPOSES)
    assert alike.get_linestyle() == "-" and against.get_linestyle() == "--"
    assert alike.get_linewidth() == pytest.approx(2 * against.get_linewidth())
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == ["draw together (1)", "push apart (1)"]


def test_pictures_of_any_size_stand_side_by_side_and_masks_are_outlined() -> None:
    masks = np.eye(2, 8)[:, None] * np.ones((8, 1))  # column 0 of the source, 1 of the target
    ax = pairwise_figure(IMAGE, np.repeat(IMAGE + 102, 2, axis=2), relevance(), masks=masks)
    assert [image.get_extent()[0] for image in ax.images] == [0, 1 + BETWEEN]
    columns = [outline.get_paths()[0].vertices[:, 0] for outline in ax.collections]
    assert set(columns[0]) == {1 / 8}
    np.testing.assert_allclose(sorted({*columns[1]}), [1 + BETWEEN + n / 8 for n in (1, 2)])


def test_nothing_to_draw_is_drawn_as_nothing() -> None:
    ax = pairwise_figure(IMAGE, IMAGE, np.zeros((2, 2, 2, 2)), title="none")
    assert not ax.lines and ax.get_legend() is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"image_i": IMAGE[0]}, "image_i: shape"),
        ({"relevance": np.zeros((2, 2))}, "relevance: shape"),
        ({"relevance": np.zeros((2, 2, 1, 1))}, "relevance: .* same patches"),
        ({"relevance": np.full((2, 2, 2, 2), np.nan)}, "relevance: nan"),
        ({"masks": np.zeros((8, 8))}, "masks: shape"),
    ],
)
def test_bad_input_is_named(wrong: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"image_i": IMAGE, "image_j": IMAGE, "relevance": relevance()}
    with pytest.raises(ValueError, match=message):
        pairwise_figure(**(given | wrong))
