"""Notebooks use the MyST that JupyterLab shows too, with jupyterlab-myst from the extra `book`.

Looked at in JupyterLab 4.6 with jupyterlab-myst 2.7. A citation shows its key there, an equation of
another page its label, and `literalinclude` shows nothing: the text around it must do without.
"""

from __future__ import annotations

import re

import nbformat
import pytest
from build import notebooks
from machine import ROOT

SHOWN = {
    *("admonition", "note", "tip", "warning", "dropdown", "grid", "grid-item-card", "math"),
    *("exercise", "exercise-start", "exercise-end", "solution", "solution-start", "solution-end"),
}
LEFT_OUT = {"literalinclude"}
ROLES = {"cite:t", "cite:p", "eq", "ref"}
DIRECTIVE = re.compile(r"^\s*(?:`{3,}|:{3,})\s*\{([\w:-]+)\}", re.MULTILINE)
ROLE = re.compile(r"(?<!`)\{([\w:+-]+)\}`")


@pytest.mark.parametrize("name", notebooks())
def test_jupyterlab_shows_every_directive_and_role(name: str) -> None:
    for cell in nbformat.read(ROOT / name, as_version=4).cells:
        if cell.cell_type == "markdown":
            assert {*DIRECTIVE.findall(cell.source)} <= SHOWN | LEFT_OUT
            assert {*ROLE.findall(cell.source)} <= ROLES


@pytest.mark.parametrize("name", notebooks())
def test_what_jupyterlab_leaves_out_is_introduced_as_the_page_s(name: str) -> None:
    """Included source follows a sentence: without it the cell still reads as one."""
    for cell in nbformat.read(ROOT / name, as_version=4).cells:
        if cell.cell_type == "markdown" and "{literalinclude}" in cell.source:
            assert not cell.source.lstrip().startswith("```{literalinclude}")
