"""The parts of a notebook: lesson, exercises, answers to fill in, solutions.

A notebook is cut at its gates, which may stand anywhere in its Markdown: `{exercise-start}` and
`{exercise-end}`, `{solution-start}` and `{solution-end}`, or `{exercise}` and `{solution}` in one
piece. The code cell tagged `answer` after an exercise is the student's to fill in.
"""

import re
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import NamedTuple

from nbconvert.preprocessors import ClearOutputPreprocessor
from nbformat import NotebookNode as Cell

GATE = re.compile(
    r"^([`:]{3,})\{(?P<what>exercise|solution)(?P<edge>-start|-end)?\}(?P<title>.*)\n"
    r"(?P<options>(?:[ \t]*\n|:[\w-]+:.*\n)*)(?P<body>(?:.*\n)*?)\1[ \t]*(?:\n|\Z)",
    re.MULTILINE,
)
DIFFICULTY = re.compile(r"\*\(\d+ minutes?, (\d) of 3\b")


class Part(NamedTuple):
    """A piece of one cell: `lesson`, `exercise`, `answer` (to fill in) or `solution`."""

    kind: str
    label: str  # the exercise's
    where: str  # notebook and cell, for messages
    cell: Cell


class Task(NamedTuple):
    """An exercise, gathered from its parts."""

    label: str
    where: str
    points: int
    stub: str  # code to fill in; "": a person grades it
    code: str  # of the solution
    prose: str


def claim(holds: object, where: str, says: str) -> None:
    if not holds:
        raise SystemExit(f"{where}: {says}.")


def parts(name: str, cells: list[Cell]) -> list[Part]:
    """Cut a notebook's cells at their gates; pieces of one cell that belong together stay one.

    Raises:
        SystemExit: gates don't pair, or an exercise has no label; names notebook and cell.
    """
    found = []
    same = groupby(_pieces(name, cells), lambda piece: piece[:3])
    for number, (_, group) in enumerate(same):
        first, *rest = group
        source = "".join(piece.cell.source for piece in (first, *rest))
        if source.strip():
            cell = first.cell | {"source": source, "id": f"part-{number}"}
            found.append(first._replace(cell=Cell(cell)))
    return found


def _pieces(name: str, cells: list[Cell]) -> Iterator[Part]:
    kind, label, where, began = "lesson", "", "", ""
    for number, cell in enumerate(cells, 1):
        where = f"{name}, cell {number}"
        for gate, text in _split(cell):
            what, edge = (gate["what"], gate["edge"]) if gate else (kind, "-start")
            if gate and edge != "-end":
                claim(kind == "lesson", began, f"{kind} {label} has no {{{kind}-end}}")
                kind, label, began = what, _label(gate, where), where
            claim(what == kind, where, f"{{{what}-end}} without a {{{what}-start}}")
            yield Part(_kind(cell, kind, label, where), label, where, Cell(cell | {"source": text}))
            if edge != "-start":
                kind, label = "lesson", label if kind == "exercise" else ""
    claim(kind == "lesson", began, f"{kind} {label} has no {{{kind}-end}}")


def _split(cell: Cell) -> Iterator[tuple[re.Match[str] | None, str]]:
    """The gates of a cell and the text between them; of a solution's gate, only what it holds."""
    end = 0
    for gate in GATE.finditer(cell.source) if cell.cell_type == "markdown" else ():
        yield None, cell.source[end : gate.start()]
        yield gate, gate["body"] if gate["what"] == "solution" else gate[0]
        end = gate.end()
    yield None, cell.source[end:]


def _label(gate: re.Match[str], where: str) -> str:
    given = re.search(r"^:label: *(\S+)", gate["options"], re.MULTILINE)
    label = gate["title"].strip() if gate["what"] == "solution" else given and given[1]
    claim(label, where, f"{gate['what']} without a label: an exercise says `:label: its-name`")
    return str(label)


def _kind(cell: Cell, kind: str, label: str, where: str) -> str:
    if "answer" not in cell.metadata.get("tags", ()):
        return kind
    claim(kind == "lesson" and label, where, "cell tagged `answer`, but no exercise before it")
    return "answer"


def sheet(found: list[Part], ask: Callable[[Task], list[Cell]]) -> list[Cell]:
    """Lesson and exercises, not yet run; behind each exercise the cells that `ask` makes of it."""
    cells: list[Cell] = []
    for (kind, label), group in groupby(found, lambda part: part[:2]):
        if kind in ("lesson", "exercise"):
            cells += [ClearOutputPreprocessor().preprocess_cell(p.cell, {}, 0)[0] for p in group]
        if kind == "exercise":
            cells += ask(_task(label, found))
    return cells


def _task(label: str, found: list[Part]) -> Task:
    own = [part for part in found if part.label == label]

    def of(kind: str, cells: str) -> str:
        texts = (p.cell.source for p in own if (p.kind, p.cell.cell_type) == (kind, cells))
        return "\n\n".join(texts)

    hard = DIFFICULTY.search(of("exercise", "markdown"))
    texts = of("answer", "code"), of("solution", "code"), of("solution", "markdown")
    where = next(part.where for part in own if part.kind == "exercise")
    return Task(label, where, int(hard[1]) if hard else 1, *texts)
