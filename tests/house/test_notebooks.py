"""What holds for every notebook before it runs: stripped, portable, short cells, in the book."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from build import left_out, notebooks
from editions import RUBRICS
from machine import ROOT

NOTEBOOKS = notebooks()
LONGEST_CELL = 20
NOT_PORTABLE = {
    "an absolute path": re.compile(r"""["'](/(home|root|Users|tmp|work|mnt|content)/|[A-Z]:\\)"""),
    "sys.path": re.compile(r"\bsys\.path\b"),
    "an installation": re.compile(r"^\s*[!%]\s*(pip|conda|uv|apt)", re.MULTILINE),
    "a shell command": re.compile(r"^\s*!", re.MULTILINE),
}


def cells(name: str, kind: str = "code") -> list[dict[str, Any]]:
    content = json.loads((ROOT / name).read_text(encoding="utf-8"))
    return [cell for cell in content["cells"] if cell["cell_type"] == kind]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_committed_without_outputs(name: str) -> None:
    dirty = [c.get("id") for c in cells(name) if c["outputs"] or c["execution_count"]]
    assert not dirty, f"cells {dirty} carry outputs: run `make format`"
    kept = [c.get("id") for c in cells(name) if "execution" in c["metadata"]]
    assert not kept, f"cells {kept} carry execution times: run `make format`"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_runs_anywhere(name: str) -> None:
    for cell in cells(name):
        source = "".join(cell["source"])
        for what, pattern in NOT_PORTABLE.items():
            assert not pattern.search(source), f"{what} in a cell of {name}:\n{source}"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_code_cells_are_short(name: str) -> None:
    for cell in cells(name):
        source = "".join(cell["source"])
        lines = len(source.splitlines())
        assert lines <= LONGEST_CELL, f"{lines} lines, at most {LONGEST_CELL}:\n{source}"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_uses_the_python3_kernel_and_one_title(name: str) -> None:
    content = json.loads((ROOT / name).read_text(encoding="utf-8"))
    assert content["metadata"]["kernelspec"]["name"] == "python3"
    titles = re.findall(r"^# .+", "".join(cells(name, "markdown")[0]["source"]), re.MULTILINE)
    assert len(titles) == 1, "the first cell holds the page's title, and no other"


def test_every_page_is_in_the_table_of_contents() -> None:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]
    pages = [p for p in (ROOT / "book").rglob("*") if p.suffix in (".md", ".ipynb")]
    names = [p.relative_to(ROOT).with_suffix("") for p in pages]
    kept = {p.as_posix() for p in names if not any(q.startswith((".", "_")) for q in p.parts)}
    apart = (*left_out(ROOT), f"{RUBRICS}/")  # those of the instructor's edition: `make instructor`
    assert sorted(listed) == sorted(p for p in kept if not p.startswith(apart))
