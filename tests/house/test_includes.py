"""What a page includes from the packages is there, under the name that the page gives."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from machine import ROOT

INCLUDE = re.compile(r"\{literalinclude\} */(\S+)\n((?::.*\n)*)")
PAGES = [page for page in sorted((ROOT / "book").rglob("*")) if page.suffix in (".md", ".ipynb")]


def markdown(path: Path) -> str:
    """The prose of a page: a Markdown file, or the Markdown cells of a notebook."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def includes(page: Path) -> list[tuple[str, str]]:
    """(file, dotted name in it, or nothing) of each source that the page shows."""
    found = INCLUDE.findall(markdown(page))
    return [(file, "".join(re.findall(r":pyobject: *(\S+)", rest))) for file, rest in found]


def defined(path: Path) -> set[str]:
    """Functions, classes and methods of a file, as `Class.method`."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names |= {node.name}
            inner = node.body if isinstance(node, ast.ClassDef) else []
            names |= {f"{node.name}.{n.name}" for n in inner if isinstance(n, ast.FunctionDef)}
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_included_source_is_there(page: Path) -> None:
    for file, name in includes(page):
        assert (ROOT / file).is_file(), f"{file} is gone: which file holds {name} now?"
        assert not name or name in defined(ROOT / file), f"{file} has no {name}"
