"""Heatmaps and perturbation curves show what the numbers say."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_rgb
from numpy import ndarray

from explainrec_lab import plots
from explainrec_lab.evaluate.faithfulness import Curve
from explainrec_lab.plots import pictures

matplotlib.use("Agg")

IMAGE = np.full((3, 2, 2), 255, np.uint8)
RELEVANCE = np.array([[2.0, -2.0], [0.0, 1.0]])


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


def shown(ax: plt.Axes) -> ndarray:
    return np.asarray(ax.images[0].get_array())


def test_blue_speaks_for_orange_against_and_zero_shows_the_picture() -> None:
    pixels = shown(plots.picture(IMAGE, RELEVANCE, 2.0))
    np.testing.assert_allclose(pixels[0, 0], to_rgb(plots.SUPPORTS))
    np.testing.assert_allclose(pixels[0, 1], to_rgb(plots.OPPOSES))
    np.testing.assert_allclose(pixels[1, 0], 1)
    np.testing.assert_allclose(pixels[1, 1], (1 + np.array(to_rgb(plots.SUPPORTS))) / 2)


def test_the_picture_is_grey_and_pale_under_its_relevance() -> None:
    red = np.zeros((3, 2, 2), np.uint8)
    red[0] = 255
    pixels = shown(plots.picture(red, np.zeros((2, 2))))
    assert np.ptp(pixels, axis=-1).max() == pytest.approx(0)
    assert pixels.min() >= pictures.PALE


def test_channels_tensors_and_floats_give_the_same_picture() -> None:
    spread = torch.tensor(RELEVANCE)[None].repeat(3, 1, 1).div(3).requires_grad_()
    bright = torch.ones(3, 2, 2)
    one, other = plots.picture(IMAGE, RELEVANCE), plots.picture(bright, spread)
    np.testing.assert_allclose(shown(one), shown(other))


def test_the_limit_is_robust_and_defined_for_sparse_and_empty_maps() -> None:
    values = np.ones(1000)
    values[0] = -500
    assert pictures._robust_limit(values) == 1
    sparse = np.zeros(1000)
    sparse[3] = -7
    assert pictures._robust_limit(sparse) == 7
    assert pictures._robust_limit(np.zeros(9)) == 1


def test_a_mask_is_outlined_and_an_empty_one_is_not() -> None:
    mask = np.zeros((2, 2), bool)
    assert not plots.picture(IMAGE, RELEVANCE, mask=mask).collections
    mask[0] = True
    assert plots.picture(IMAGE, RELEVANCE, mask=mask).collections


@pytest.mark.parametrize("sides", [2, 3])
def test_each_pair_has_a_row_of_images_and_maps_on_one_scale(sides: int) -> None:
    images = [np.stack([IMAGE] * 4)] * sides
    maps = [np.stack([RELEVANCE] * 4) * (side + 1) for side in range(sides)]
    masks = np.ones((4, sides, 2, 2), bool)
    names = ("source", "target", "other")[:sides]
    figure = plots.pair_figure(images, maps, list("abcd"), masks=masks, names=names)
    drawn = [axis for axis in figure.axes if axis.images]
    assert len(drawn) == 4 * 2 * sides
    assert [axis.texts[-1].get_text() for axis in drawn[:: 2 * sides]] == list("abcd")
    weak, strong = (shown(drawn[column])[1, 1] for column in (1, 3))
    blue = np.array(to_rgb(plots.SUPPORTS))
    assert np.abs(strong - blue).sum() < np.abs(weak - blue).sum()


def test_the_figure_says_what_its_two_colours_mean() -> None:
    given = [IMAGE[None]] * 2, [RELEVANCE[None]] * 2
    for figure, ends in (
        (plots.pair_figure(*given), ("speaks against", "speaks for")),
        (plots.pair_figure(*given, ends=("closer", "farther")), ("closer", "farther")),
    ):
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == list(ends)
        shown = [patch.get_facecolor()[:3] for patch in legend.get_patches()]
        assert shown == [to_rgb(plots.OPPOSES), to_rgb(plots.SUPPORTS)]


def test_a_figure_of_pairs_can_be_saved(tmp_path) -> None:
    with matplotlib.rc_context():
        plots.use_style()
        figure = plots.pair_figure([IMAGE[None]] * 2, [RELEVANCE[None]] * 2, ["also viewed"])
        figure.savefig(tmp_path / "pair.png")
    assert (tmp_path / "pair.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((IMAGE, RELEVANCE[:1]), "image and relevance: shapes"),
        ((IMAGE[:1], RELEVANCE), "image and relevance: shapes"),
        ((IMAGE, RELEVANCE * np.nan), "relevance: nan"),
        ((IMAGE, RELEVANCE, 0.0), "limit: 0.0"),
    ],
)
def test_bad_maps_are_named(arguments, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plots.picture(*arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": []}, r"names: \[0, 2, 2\] a pair"),
        ({"relevance": [RELEVANCE[None]]}, r"names: \[2, 1, 2\] a pair"),
        ({"names": ("one",)}, r"names: \[2, 2, 1\] a pair"),
        ({"relevance": [np.stack([RELEVANCE] * 2)] * 2}, "pairs; need the same number"),
        ({"titles": ["a", "b"]}, r"\[1, 1, 1, 1, 2\] pairs"),
        ({"masks": np.ones((3, 2, 2, 2), bool)}, r"\[1, 1, 1, 1, 3\] pairs"),
    ],
)
def test_bad_rows_are_named(change, message: str) -> None:
    good = {"images": [IMAGE[None]] * 2, "relevance": [RELEVANCE[None]] * 2}
    with pytest.raises(ValueError, match=message):
        plots.pair_figure(**{**good, **change})


# --------------------------------------------------------------------------- curves


def test_every_curve_is_drawn_and_named_at_its_end_in_its_band() -> None:
    rng, steps = np.random.default_rng(0), np.arange(6)
    tables = {
        name: Curve(1 - fall * steps[:, None] + rng.normal(size=30), steps * 4).table()
        for name, fall in {"LRP": 0.6, "random order": 0.1}.items()
    }
    wide = pd.concat(tables, axis=1).swaplevel(axis=1)
    ax = plots.curves(wide["accuracy"], x="patches", y="accuracy", band=wide)
    assert [text.get_text().strip() for text in ax.texts] == ["LRP", "random order"]
    for line, area, table in zip(ax.lines, ax.collections, tables.values(), strict=True):
        np.testing.assert_allclose(line.get_xdata(), table.index)
        np.testing.assert_allclose(line.get_ydata(), table["accuracy"])
        ends = np.unique(area.get_paths()[0].vertices[:, 1])
        np.testing.assert_allclose(ends[[0, -1]], [table["low"].min(), table["high"].max()])


def test_a_reference_is_dotted_and_named() -> None:
    table = pd.DataFrame({"SAERS": [0.4, 0.6, 0.8]}, index=[5, 10, 20])
    ax = plots.curves(table, x="purchases", y="hits", reference={"guessing": 0.25})
    assert [text.get_text() for text in ax.texts] == ["guessing", "SAERS"]
    (dotted,) = ax.collections
    assert dotted.get_segments()[0].tolist() == [[5, 0.25], [20, 0.25]]
