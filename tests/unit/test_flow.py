"""The relevance flow for a phone tells what the wide one tells, in half the room."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd
import pytest

from explainrec_lab import plots
from explainrec_lab.plots import flow

SVG = "{http://www.w3.org/2000/svg}"
NAMES = ["Frozen single-serve premium entrees/dinners (frozen meat/meat dinners)", "Tea", "no Jam"]


@dataclass(frozen=True)
class Told:
    """An explanation by hand."""

    output: float = 0.5

    def table(self) -> pd.DataFrame:
        return pd.DataFrame({"feature": NAMES, "kind": "item", "relevance": [1.0, 0.25, -0.75]})


@pytest.fixture(scope="module")
def drawing() -> plots.Drawing:
    return plots.relevance_flow(Told(), "Margarine: tubs and bowls, of a long name indeed")


def words(svg: str, look: str) -> list[str]:
    nodes = ET.fromstring(svg).iter(f"{SVG}text")
    return [" ".join(n.itertext()) for n in nodes if n.attrib["class"].split()[0] == look]


def test_both_layouts_hold_the_same_numbers_and_words(drawing: plots.Drawing) -> None:
    assert words(drawing.narrow, "value") == words(drawing.svg, "value")
    assert words(drawing.narrow, "sum") == words(drawing.svg, "sum")
    labels = [ET.fromstring(svg).attrib["aria-label"] for svg in (drawing.svg, drawing.narrow)]
    assert labels[0] == labels[1]


def test_long_names_wrap_on_a_phone(drawing: plots.Drawing) -> None:
    for node in ET.fromstring(drawing.narrow).iter(f"{SVG}text"):
        if node.attrib["class"].startswith("name"):
            lines = [span.text or "" for span in node]
            assert len(lines) <= 2 and max(map(len, lines)) <= flow.NARROW.letters


def test_rows_on_a_phone_do_not_touch(drawing: plots.Drawing) -> None:
    texts = ET.fromstring(drawing.narrow).iter(f"{SVG}text")
    spans = [s for t in texts if t.attrib["class"].startswith(("name", "value")) for s in [t, *t]]
    y = [float(span.attrib["y"]) for span in spans if "y" in span.attrib]
    assert min(b - a for a, b in pairwise(y)) >= flow.LINE - 0.2


def test_nothing_leaves_the_drawing(drawing: plots.Drawing) -> None:
    for svg in (drawing.svg, drawing.narrow):
        root = ET.fromstring(svg)
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for path in root.iter(f"{SVG}path"):
            points = re.findall(r"(-?[\d.]+),(-?[\d.]+)", path.attrib["d"])
            assert all(0 <= float(x) <= width and 0 <= float(y) <= height for x, y in points)


def test_each_layout_hatches_with_its_own_pattern(drawing: plots.Drawing) -> None:
    """A pattern inside a hidden drawing paints nothing elsewhere."""
    for svg in (drawing.svg, drawing.narrow):
        (pattern,) = ET.fromstring(svg).iter(f"{SVG}pattern")
        assert f"url(#{pattern.attrib['id']})" in svg
    assert "against-wide" not in drawing.narrow


def test_the_room_of_the_figure_chooses_the_layout(drawing: plots.Drawing) -> None:
    page = drawing._repr_html_()
    assert drawing.svg in page and drawing.narrow in page
    assert "container-type:inline-size" in page and "@container" in page
