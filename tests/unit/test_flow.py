"""The relevance flow has room for its words, on a phone too."""

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
def drawing() -> str:
    """The SVG."""
    page = plots.relevance_flow(Told(), "Margarine: tubs and bowls, of a long name indeed").data
    return re.findall(r"<svg.*</svg>", page, re.DOTALL)[0]


def spans(drawing: str, *looks: str) -> list[list[ET.Element]]:
    """The lines of each text of these looks, in order."""
    texts = ET.fromstring(drawing).iter(f"{SVG}text")
    return [list(text) for text in texts if text.attrib["class"].startswith(looks)]


def test_long_names_wrap(drawing: str) -> None:
    for lines in spans(drawing, "name"):
        assert len(lines) <= 2 and max(len(line.text or "") for line in lines) <= flow.LETTERS


def test_rows_do_not_touch(drawing: str) -> None:
    for look in ("name", "value"):
        y = [float(line.attrib["y"]) for lines in spans(drawing, look) for line in lines]
        assert min(b - a for a, b in pairwise(y)) >= flow.LINE - 0.2
    left = {float(line.attrib["x"]) for lines in spans(drawing, "name") for line in lines}
    right = {float(line.attrib["x"]) for lines in spans(drawing, "value") for line in lines}
    assert max(left) + 45 <= min(right)  # names and values end at their x; a value has six letters


def test_nothing_leaves_the_drawing(drawing: str) -> None:
    root = ET.fromstring(drawing)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for path in root.iter(f"{SVG}path"):
        points = re.findall(r"(-?[\d.]+),(-?[\d.]+)", path.attrib["d"])
        assert all(0 <= float(x) <= width and 0 <= float(y) <= height for x, y in points)
    for line in root.iter(f"{SVG}tspan"):
        assert 0 <= float(line.attrib["x"]) <= width and 0 <= float(line.attrib["y"]) <= height


def test_what_opposes_is_hatched(drawing: str) -> None:
    """By a pattern of the drawing itself."""
    (pattern,) = ET.fromstring(drawing).iter(f"{SVG}pattern")
    assert f".opposes {{fill: url(#{pattern.attrib['id']})}}" in drawing
    assert 'class="opposes"' in drawing


def test_the_drawing_fits_a_phone(drawing: str) -> None:
    """It shrinks with its column, and a phone of 360 pixels shows its letters at 12 or more."""
    root = ET.fromstring(drawing)
    assert "width:100%" in root.attrib["style"] and "min-width" not in root.attrib["style"]
    assert 14 * 335 / float(root.attrib["viewBox"].split()[2]) >= 12
