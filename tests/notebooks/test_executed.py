"""What came out of the notebooks: figures with words for those who cannot see them, no noise.

Reads the copy that `make book` or `make test` executed; the profile is `EXPLAINREC_SETTINGS`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from build import notebooks
from machine import ROOT, lacking

EXECUTED = ROOT / ".executed" / (os.environ.get("EXPLAINREC_SETTINGS") or "ci")
NOTEBOOKS = notebooks()
IMAGES = ("image/png", "image/jpeg", "image/svg+xml")
HIDDEN = {"remove-cell", "remove-output", "remove_cell", "remove_output"}
SVG = re.compile(r"<svg\b[^>]*>")
IMG = re.compile(r"<img\b[^>]*>")
NAMED = re.compile(r"\baria-hidden=.true.|\baria-label(ledby)?=.[^'\"]")


def cells(name: str) -> list[dict[str, Any]]:
    """Code cells of the executed copy of a notebook."""
    path = EXECUTED / name
    if not path.exists():
        lacking(f"{name} is not executed yet: run `make book`")
    content = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in content["cells"] if cell["cell_type"] == "code"]


def shown(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(cell, output) of all that the page shows."""
    for cell in cells(name):
        if not HIDDEN & set(cell["metadata"].get("tags", [])):
            yield from ((cell, output) for output in cell["outputs"])


def start(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])[:300]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_figure_has_alt_text(name: str) -> None:
    """Cell metadata `{"mystnb": {"image": {"alt": "..."}}}` says what a figure shows."""
    for cell, output in shown(name):
        if any(kind in output.get("data", {}) for kind in IMAGES):
            alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt) >= 20, f"no alt text (mystnb.image.alt):\n{start(cell)}"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_drawing_in_html_has_a_name(name: str) -> None:
    """An inline SVG carries role="img" with aria-label, or aria-hidden; an <img> carries alt."""
    for cell, output in shown(name):
        html = "".join(output.get("data", {}).get("text/html", ""))
        for tag in SVG.findall(html):
            assert NAMED.search(tag), f"{tag} has no aria-label:\n{start(cell)}"
        for tag in IMG.findall(html):
            assert re.search(r"\balt=", tag), f"{tag[:200]} has no alt:\n{start(cell)}"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_warning_progress_bar_or_widget_is_frozen_into_the_page(name: str) -> None:
    for cell, output in shown(name):
        noise = "".join(output.get("text", "")) if output.get("name") == "stderr" else ""
        assert not noise, f"stderr: {noise}\nfrom:\n{start(cell)}"
        widgets = [kind for kind in output.get("data", {}) if "widget" in kind]
        assert not widgets, f"a widget needs a live kernel; show it only there:\n{start(cell)}"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_output_names_a_machine(name: str) -> None:
    machine = re.compile(r"(?<![\w.])/(home|root|Users|work|tmp)/\w")
    for cell, output in shown(name):
        text = json.dumps({k: v for k, v in output.get("data", {}).items() if k not in IMAGES})
        found = machine.search(text + "".join(output.get("text", "")))
        assert not found, f"{found[0] if found else ''} in the output of:\n{start(cell)}"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_stub_is_told_so_and_a_solution_is_right(name: str) -> None:
    for cell in cells(name):
        if "lab.exercises.check(" in "".join(cell["source"]):
            stub = "answer" in cell["metadata"].get("tags", ())
            told = "".join(cell["outputs"][-1]["data"]["text/markdown"])
            expected = "**Nothing to check yet.**" if stub else "**Right.**"
            assert told.startswith(expected), f"{told}\nfrom:\n{start(cell)}"
