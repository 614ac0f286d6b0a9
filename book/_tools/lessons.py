"""What a page asks of its reader: minutes of reading and of exercises, and the words it uses.

A minute for 180 words, for each code cell that is seen and each question of the quiz; exercises say
their own time. Words are explained once, in `book/reference/glossary.md`; a page leads there where
a word first appears.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
from explainrec_lab.exercises import questions

from parts import parts

WORDS_A_MINUTE = 180
GLOSSARY = "book/reference/glossary"
TERM = re.compile(r"^## (.+)\n\n(.+)$", re.MULTILINE)
EXERCISE = re.compile(r"\*\((\d+) minutes?\b")
# Not read as words: exercises (they say their time), code, mathematics, addresses, roles.
SILENT = re.compile(
    r"`{3,}\{exercise-start\}.*?\{exercise-end\}|^(`{3,}).*?^\1$|\$\$.*?\$\$|\$[^$\n]+\$"
    r"|\]\([^)]*\)|\{\w+(?::\w+)?\}`[^`]*`|<[^>]*>",
    re.MULTILINE | re.DOTALL,
)
WORD = re.compile(r"[A-Za-z][\w'’-]*")
UNSEEN = {"remove-cell", "remove-input", "hide-input", "hide-cell", "answer"}


def cells(page: Path) -> Iterator[tuple[str, str, set[str]]]:
    """Kind, source and tags of each cell of a page, without the solutions of its exercises."""
    if page.suffix == ".md":
        yield "markdown", page.read_text(encoding="utf-8"), set()
        return
    for kind, _, _, cell in parts(page.name, nbformat.read(page, as_version=4).cells):
        if kind != "solution":
            yield cell.cell_type, cell.source, set(cell.metadata.get("tags", ()))


def words(page: Path) -> int:
    """Words of prose."""
    prose = (SILENT.sub(" ", source) for kind, source, _ in cells(page) if kind == "markdown")
    return sum(len(WORD.findall(text)) for text in prose)


def seen_code(page: Path) -> list[str]:
    """Source of the code cells that a reader sees without unfolding them."""
    return [s for kind, s, tags in cells(page) if kind == "code" and not tags & UNSEEN]


def minutes(page: Path) -> tuple[int, int]:
    """Of reading, and of the exercises."""
    asked = questions().get("/".join(page.with_suffix("").parts[-2:]), [])
    reading = words(page) / WORDS_A_MINUTE + len(seen_code(page)) + len(asked)
    exercises = EXERCISE.findall(page.read_text(encoding="utf-8"))  # also beside a solution
    return max(1, round(reading)), sum(map(int, exercises))


def glossary(root: Path) -> dict[str, str]:
    """Term in small letters -> what it means, in plain text."""
    text = (root / f"{GLOSSARY}.md").read_text(encoding="utf-8")
    marks = re.compile(r"\]\([^)]*\)|[\[*`$\\]")
    return {term.lower(): marks.sub("", means) for term, means in TERM.findall(text)}
