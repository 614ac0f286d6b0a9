"""No line of a solution survives in the student's edition: in pages, notebooks or search index.

Reads `_build/student` and `_build/instructor`, which `make student` and `make instructor` write.
What counts as a line: a line of a solution's code with three words or more, and a stretch of its
prose without markup of five words or more. A line is *excused* if the book also says it outside
solutions, or the package or a test, whose source pages show, holds it.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import nbformat
import pytest
from build import notebooks
from equation_index import code
from machine import ROOT, lacking
from parts import Part, parts
from sphinx.search.en import SearchEnglish

from explainrec_lab.exercises import exercises

BUILT = ROOT / "_build"
MARKUP = re.compile(r"\{\w+(?::\w+)?\}`[^`]*`|\]\([^)]*\)|https?://\S+|[{}]")
TAG = re.compile(r"<[^>]*>")


def words(text: str) -> str:
    """The words of a text, one blank between two."""
    found = " ".join(re.findall(r"\w+", text))
    return f" {found} "


def cut(name: str) -> list[Part]:
    return parts(name, nbformat.read(ROOT / name, as_version=4).cells)


def lines(part: Part) -> Iterator[str]:
    """The lines of a solution's cell, as words."""
    prose = part.cell.cell_type == "markdown"
    for line in part.cell.source.splitlines():
        for stretch in MARKUP.split(line) if prose else [line]:
            if len(found := words(stretch)) and len(found.split()) >= (5 if prose else 3):
                yield found


def shown_elsewhere() -> Iterator[Path]:
    """Files that pages show besides notebooks: no checkers, and no tests of these."""
    yield from (ROOT / "book").rglob("*.md")
    yield from (ROOT / "explainrec_lab" / "exercises" / "quiz").glob("*.toml")
    for folder in ("explainrec_lab", "tests"):
        yield from (p for p in (ROOT / folder).rglob("*.py") if "exercises" not in p.parts)


@cache
def secrets() -> dict[str, set[str]]:
    """Notebook -> the lines of its solutions that nothing else says."""
    said, found = [], {}
    for name in notebooks():
        for part in cut(name):
            if part.kind == "solution":
                found.setdefault(name, []).extend(lines(part))
            else:
                said.append(words(part.cell.source))
    said += [words(path.read_text(encoding="utf-8")) for path in shown_elsewhere()]
    everything = "\n".join(said)
    kept = {
        name: {line for line in set(own) if line not in everything} for name, own in found.items()
    }
    total = sum(len(set(own)) for own in found.values())
    print(f"{total} lines of solutions; {total - sum(map(len, kept.values()))} excused.")
    return kept


def text_of(path: Path) -> str:
    """What a file says, as words: markup and a notebook's cells taken apart."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        return words(html.unescape(TAG.sub("", text)))
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        return words(
            "\n".join("".join(cell["source"]) + json.dumps(cell.get("outputs")) for cell in cells)
        )
    return words(text)


def edition(name: str) -> Path:
    if not (BUILT / name / "html").is_dir():
        lacking(f"no _build/{name}: run `make {name}`")
    return BUILT / name


@cache
def texts(name: str) -> dict[str, str]:
    """Each file of an edition that has words -> its words."""
    kinds = {".html", ".ipynb", ".md", ".js", ".json", ".txt", ".yml"}
    found = [path for path in sorted(edition(name).rglob("*")) if path.suffix in kinds]
    return {path.relative_to(BUILT / name).as_posix(): text_of(path) for path in found}


def test_no_line_of_a_solution_survives_in_the_student_edition() -> None:
    assert {f"html/{name.removesuffix('ipynb')}html" for name in notebooks()} <= texts(
        "student"
    ).keys()
    assert {f"notebooks/{name[5:]}" for name in notebooks()} <= texts("student").keys()
    assert "html/searchindex.js" in texts("student")
    left = [
        (file, name, line)
        for file, text in texts("student").items()
        for name, own in secrets().items()
        for line in own
        if line in text
    ]
    assert not left


@pytest.mark.parametrize("kind", ["html", "notebooks"])
def test_the_same_search_finds_the_solutions_in_the_instructor_s_edition(kind: str) -> None:
    """So it would find them in the student's. A page lacks the asserts tagged `remove-cell`."""
    found = [
        line in texts("instructor")[f"{kind}/{page}"]
        for name, own in secrets().items()
        for page in [f"{name.removesuffix('ipynb')}html" if kind == "html" else name[5:]]
        for line in own
    ]
    assert len(found) > 100
    assert sum(found) > (0.95 if kind == "html" else 0.999) * len(found)


def test_the_search_index_has_no_word_that_only_solutions_have() -> None:
    terms = [
        json.loads(re.sub(r"^Search\.setIndex\(|\)$", "", text.strip()))["terms"]
        for text in (
            (edition(e) / "html/searchindex.js").read_text() for e in ("student", "instructor")
        )
    ]
    stem = SearchEnglish({}).stem
    pages = [text for file, text in texts("student").items() if file.endswith(".html")]
    seen = {stem(word.lower()) for text in pages for word in re.split(r"[\W_]+", text)}
    only = {
        stem(word.lower())
        for own in secrets().values()
        for line in own
        for word in re.split(r"[\W_]+", line)
    } - seen
    assert only & terms[1].keys(), "the instructor's index has such words"
    assert not only & terms[0].keys()


def test_the_equation_index_shows_no_function_that_an_exercise_asks_for() -> None:
    asked = [row["asks"] for row in exercises().values() if "asks" in row]
    shown = {e: texts(e)["html/book/reference/equations.html"] for e in ("student", "instructor")}
    for dotted in asked:
        source = words(f"Source of {code(dotted, ROOT).name}")  # raises if it is not there
        assert words(dotted) in shown["student"], "named"
        assert source in shown["instructor"]
        assert source not in shown["student"], dotted
