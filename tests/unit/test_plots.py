"""Figures say what the numbers say: widths are relevances, sums add up, titles are only text."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.display import HTML
from matplotlib.text import Text
from toys import model_of, profiles_of, shop

from explainrec_lab import plots
from explainrec_lab.plots import flow
from explainrec_lab.reconet import explain

matplotlib.use("Agg")
SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class Told:
    """An explanation by hand."""

    relevance: list[float]
    names: list[str] | None = None

    @property
    def output(self) -> float:
        return sum(self.relevance)

    def table(self) -> pd.DataFrame:
        names = self.names or [f"feature {n}" for n in range(len(self.relevance))]
        return pd.DataFrame({"feature": names, "kind": "item", "relevance": self.relevance})


def parsed(drawing: HTML) -> ET.Element:
    """The drawing as a tree: it must be well formed, or a page could not embed it."""
    (svg,) = re.findall(r"<svg.*</svg>", drawing.data, re.DOTALL)
    return ET.fromstring(svg)


def ribbons(svg: ET.Element) -> list[tuple[str, float, float]]:
    """(class, width, relevance written beside it) of every flow."""
    found = []
    for group in svg.iter(f"{SVG}g"):
        path, value = group.find(f"{SVG}path"), group.find(f"{SVG}text[@class='value']")
        assert path is not None and value is not None
        right = re.findall(rf"{flow.RIGHT},(-?[\d.]+)", path.attrib["d"])
        width = float(right[1]) - float(right[0]) if len(right) > 1 else 0.0
        written = "".join(value.itertext()).replace("\N{MINUS SIGN}", "-")
        found.append((path.attrib["class"], width, float(written)))
    return found


relevances = st.lists(
    st.floats(-5, 5).map(lambda r: round(r, 2)).filter(lambda r: abs(r) >= 0.05),
    min_size=1,
    max_size=20,
)


@settings(max_examples=30, deadline=None)
@given(relevances)
def test_ribbons_are_as_wide_as_their_relevance(relevance: list[float]) -> None:
    flows = ribbons(parsed(plots.relevance_flow(Told(relevance), "Film")))
    named = [(width, value) for look, width, value in flows if look != "rest"]
    total = sum(abs(value) for _, value in named)
    for width, value in named:
        assert width == pytest.approx(max(flow.TALL * abs(value) / total, 1), abs=0.11)


@settings(max_examples=30, deadline=None)
@given(relevances)
def test_the_numbers_shown_add_up_to_the_activation(relevance: list[float]) -> None:
    svg = parsed(plots.relevance_flow(Told(relevance), "Film"))
    flows = ribbons(svg)
    assert sum(value for _, _, value in flows) == pytest.approx(sum(relevance), abs=1e-9)
    (shown,) = svg.findall(".//*[@class='sum']")
    said = "".join(shown.itertext()).rpartition("=")[2].replace("\N{MINUS SIGN}", "-")
    assert float(said) == pytest.approx(sum(relevance), abs=0.0051)


@settings(max_examples=30, deadline=None)
@given(relevances)
def test_the_strongest_of_each_sign_are_named_and_the_rest_gathered(
    relevance: list[float],
) -> None:
    flows = ribbons(parsed(plots.relevance_flow(Told(relevance), "Film", 2, 1)))
    supporting = sorted((r for r in relevance if r > 0), reverse=True)
    opposing = sorted(r for r in relevance if r < 0)
    assert [value for look, _, value in flows if look == "supports"] == supporting[:2]
    assert [value for look, _, value in flows if look == "opposes"] == opposing[:1]
    rest = [value for look, _, value in flows if look == "rest"]
    gathered = [sum(some) for some in (supporting[2:], opposing[1:]) if some]
    assert rest == pytest.approx(gathered, abs=0.0051)


def test_an_explanation_of_a_model_can_be_drawn() -> None:
    dataset = shop()
    model, profile = model_of(dataset), profiles_of(dataset).rows(0, 1)
    explanation = explain(model, profile, 2)
    flows = ribbons(parsed(plots.relevance_flow(explanation, "Film 2", 50, 50)))
    assert len(flows) == len(profile.ids)
    # each number is rounded to two digits
    shown = sum(value for _, _, value in flows)
    assert shown == pytest.approx(explanation.output, abs=0.0051 * len(flows))


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "A & B", 'say "hi"', "it's"])
def test_titles_and_features_are_text_and_never_markup(text: str) -> None:
    drawing = plots.relevance_flow(Told([1.0, -0.5], [text, "plain"]), text)
    svg = parsed(drawing)
    assert "<script" not in drawing.data
    assert not list(svg.iter(f"{SVG}script"))
    assert text in svg.attrib["aria-label"]
    said = ["".join(node.itertext()) for node in svg.iter(f"{SVG}text")]
    assert text in said and any(text.split()[0] in line for line in said)


def test_a_screen_reader_hears_every_flow_and_the_sum() -> None:
    svg = parsed(plots.relevance_flow(Told([2.0, -0.75], ["genre: Drama", "Alien"]), "Gattaca"))
    assert svg.attrib["role"] == "img"
    said = svg.attrib["aria-label"]
    assert said.startswith("Relevance flow into Gattaca")
    assert "1.25" in said and said.endswith("genre: Drama +2.00; Alien -0.75")


@pytest.mark.parametrize("relevance", [[], [0.0, 0.0]])
def test_an_explanation_without_relevance_is_an_empty_drawing(relevance: list[float]) -> None:
    assert ribbons(parsed(plots.relevance_flow(Told(relevance), "Film"))) == []


def test_a_notebook_shows_the_drawing() -> None:
    drawing = plots.relevance_flow(
        Told([1.0]), "<script>Film", total="<script>total", question="<script>Why"
    )
    assert ET.tostring(parsed(drawing)) and "<svg" in drawing._repr_html_()
    assert "<script" not in drawing._repr_html_()
    assert drawing.data.count("&lt;script&gt;total") == 3  # caption, words for the ear, sum


@pytest.mark.parametrize("count", [0, 1, 6, 7])
def test_a_contact_sheet_shows_every_picture_with_its_caption(count: int) -> None:
    pictures = np.zeros((count, 3, 8, 8), np.uint8)
    captions = [f"number {n}" for n in range(count)]
    figure = plots.contact_sheet(pictures, captions, columns=3)
    shown = [axis for axis in figure.axes if axis.images]
    assert [axis.texts[0].get_text() for axis in shown] == captions
    assert not any(axis.axison for axis in figure.axes)
    plt.close(figure)


def test_captions_that_do_not_match_the_pictures_are_named() -> None:
    with pytest.raises(ValueError, match="captions: 1 for 2 pictures"):
        plots.contact_sheet(np.zeros((2, 3, 8, 8), np.uint8), ["only one"])


@pytest.mark.parametrize("title", ["$", "$$", "$a_$", "a $5 shirt and a $7 one", r"\$"])
def test_a_dollar_in_a_name_begins_no_formula(title: str) -> None:
    image, flat = np.zeros((1, 3, 8, 8), np.uint8), np.zeros((1, 8, 8))
    bars = pd.DataFrame({"RecoNet": [1.0]}, index=[title])
    reason = plots.Reason(image[0][None], [None], image[0], (0, 0, 4, 4), title, [title])
    figures = [
        plots.contact_sheet(image, [title]),
        plots.pair_figure([image] * 2, [flat] * 2, [title], names=[title] * 2, ends=(title, title)),
        plots.box_figure(image, {title: flat}, {title: [(0, 0, 4, 4)]}, [title]),
        plots.reasons_sheet([reason]),
        plots.curves(bars.T.set_axis([1]), x=title, y=title, title=title).figure,
        plots.curves(bars.T.set_axis([1]), x="x", y="y", reference={title: 0.5}).figure,
    ]
    for figure in figures:
        figure.canvas.draw()  # matplotlib reads mathematics when it draws
        words = [text.get_text().replace(r"\$", "$") for text in figure.findobj(Text)]
        assert any(title in said.replace("\n", " ") for said in words)
        plt.close(figure)


def test_the_style_sheet_is_found() -> None:
    with matplotlib.rc_context():
        plots.use_style()
