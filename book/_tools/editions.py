"""Editions of the course from one source: for students, for instructors, for graders.

`make student` leaves the solutions out, `make instructor` adds the rubrics; each has pages in
`html/` and notebooks in `notebooks/`. `make nbgrader` and `make otter` write the notebooks as these
two programs want them (`assignments.py`). All are made from `.executed/<settings>`.

A notebook is cut into parts at its gates, which may stand anywhere in its Markdown:
`{exercise-start}` and `{exercise-end}`, `{solution-start}` and `{solution-end}`, or `{exercise}`
and `{solution}` in one piece. The code cell tagged `answer` after an exercise is the student's.
"""

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby, zip_longest
from pathlib import Path

import nbformat
import yaml
from nbconvert.preprocessors import ClearOutputPreprocessor
from nbformat import NotebookNode as Cell
from nbformat.v4 import new_code_cell, new_markdown_cell

import build

GATE = re.compile(
    r"^([`:]{3,})\{(?P<what>exercise|solution)(?P<edge>-start|-end)?\}(?P<title>.*)\n"
    r"(?P<options>(?:[ \t]*\n|:[\w-]+:.*\n)*)(?P<body>(?:.*\n)*?)\1[ \t]*(?:\n|\Z)",
    re.MULTILINE,
)
LABEL = re.compile(r"^:label: *(\S+)", re.MULTILINE)
DIFFICULTY = re.compile(r"\*\(\d+ minutes?, (\d) of 3\b")
RUBRICS = "book/instructor"


@dataclass(frozen=True)
class Part:
    """A piece of one cell: `lesson`, `exercise`, `answer` (to fill in) or `solution`."""

    kind: str
    label: str  # the exercise's
    where: str  # notebook and cell, for messages
    cell: Cell


@dataclass(frozen=True)
class Task:
    """An exercise, gathered from its parts."""

    label: str
    where: str
    points: int
    stub: str  # code to fill in; "": a person grades it
    code: str  # of the solution
    prose: str


Cut = Callable[[list[Part]], list[Cell]]


# --------------------------------------------------------------------------------- parts


def claim(holds: object, where: str, says: str) -> None:
    if not holds:
        raise SystemExit(f"{where}: {says}.")


def parts(name: str, cells: list[Cell]) -> list[Part]:
    """Cut a notebook's cells at their gates; pieces of one cell that belong together stay one.

    Raises:
        SystemExit: gates don't pair, or an exercise has no label; names notebook and cell.
    """
    pieces = groupby(_pieces(name, cells), lambda piece: (piece.kind, piece.label, piece.where))
    together = [(Part(*key, Cell()), [piece.cell for piece in group]) for key, group in pieces]
    found = []
    for number, (part, same) in enumerate(together):
        source = "".join(cell.source for cell in same)
        part.cell.update(same[0] | {"source": source, "id": f"part-{number}"})
        found += [part] * bool(source.strip())
    return found


def _pieces(name: str, cells: list[Cell]) -> Iterator[Part]:
    kind, label, began = "lesson", "", ""
    for number, cell in enumerate(cells, 1):
        where = f"{name}, cell {number}"
        for gate, text in _split(cell):
            what, edge = (gate["what"], gate["edge"]) if gate else ("", "")
            if gate and edge != "-end":
                claim(kind == "lesson", where, f"{what} begins within {kind} {label}: end that")
                kind, label, began = what, _label(gate, where), where
            claim(what in ("", kind), where, f"{{{what}-end}} without a {{{what}-start}} before it")
            yield Part(_kind(cell, kind, label, where), label, where, Cell(cell | {"source": text}))
            if gate and edge != "-start":
                kind, label = "lesson", label if kind == "exercise" else ""
    claim(kind == "lesson", began, f"{kind} {label} begins here and has no {{{kind}-end}}")


def _split(cell: Cell) -> Iterator[tuple[re.Match[str] | None, str]]:
    """The gates of a cell and the text between them; of a solution's gate, only what it holds."""
    end = 0
    for gate in GATE.finditer(cell.source) if cell.cell_type == "markdown" else ():
        yield None, cell.source[end : gate.start()]
        yield gate, gate["body"] if gate["what"] == "solution" else gate[0]
        end = gate.end()
    yield None, cell.source[end:]


def _label(gate: re.Match[str], where: str) -> str:
    found = LABEL.search(gate["options"])
    label = gate["title"].strip() if gate["what"] == "solution" else found and found[1]
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
    for part, after in zip_longest(found, found[1:]):
        if part.kind in ("lesson", "exercise"):
            cells += [ClearOutputPreprocessor().preprocess_cell(part.cell, {}, 0)[0]]
        here = (part.kind, part.label)
        if part.kind == "exercise" and (not after or (after.kind, after.label) != here):
            cells += ask(_task(part.label, found))
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


# ------------------------------------------------------------------------------ editions


def without_solutions(found: list[Part]) -> list[Cell]:
    return [part.cell for part in found if part.kind != "solution"]


def to_fill_in(found: list[Part]) -> list[Cell]:
    """A student's notebook: behind each exercise the stub, or cells for words and for code."""

    def ask(task: Task) -> list[Cell]:
        if task.stub:
            return [new_code_cell(task.stub, id=f"{task.label}-answer")]
        code = [new_code_cell(id=f"{task.label}-code")] if task.code else []
        return [new_markdown_cell("**Your answer:**", id=f"{task.label}-answer"), *code]

    return sheet(found, ask)


def rewrite(folder: Path, cut: Cut) -> None:
    """Put what `cut` makes of their parts in place of the cells of all pages in a folder."""
    for path in sorted(folder.rglob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        notebook.cells = cut(parts(f"book/{path.relative_to(folder).as_posix()}", notebook.cells))
        nbformat.write(notebook, path)
    for path in sorted(folder.rglob("*.md")):
        page = [new_markdown_cell(path.read_text(encoding="utf-8"))]
        kept = cut(parts(f"book/{path.relative_to(folder).as_posix()}", page))
        path.write_text("\n".join(cell.source for cell in kept), encoding="utf-8")


def copied(settings: str, tree: Path) -> None:
    """Copy the executed book.

    Raises:
        SystemExit: a notebook changed since it was executed; names notebook and cell.
    """
    source = build.EXECUTED / settings
    claim(source.is_dir(), f".executed/{settings}", "nothing is executed yet: run `make book`")
    shutil.copytree(source, tree, ignore=build.CLUTTER)
    for name in build.notebooks():
        both = [root / name for root in (build.ROOT, tree)]
        claim(both[1].is_file(), name, "not executed yet: run `make book`")
        now, then = (nbformat.read(path, as_version=4).cells for path in both)
        for number, pair in enumerate(zip_longest(now, then), 1):
            same = None not in pair and pair[0].source == pair[1].source
            claim(same, f"{name}, cell {number}", "changed since it was executed: run `make book`")


def for_students(tree: Path, notebooks: Path) -> None:
    """Take the solutions out, of the equation index too."""
    from explainrec_lab.exercises import exercises

    rewrite(notebooks, to_fill_in)
    rewrite(tree / "book", without_solutions)
    rows = [row for room in exercises().values() for row in room.values()]
    config = yaml.safe_load((tree / "_config.yml").read_text(encoding="utf-8"))
    config["sphinx"]["config"]["asked"] = [row["asks"] for row in rows if "asks" in row]
    (tree / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")


def for_instructors(tree: Path, notebooks: Path) -> None:
    """Put the rubrics into the table of contents."""
    toc = yaml.safe_load((tree / "_toc.yml").read_text(encoding="utf-8"))
    pages = [{"file": f"{RUBRICS}/{path.stem}"} for path in sorted((tree / RUBRICS).glob("*.md"))]
    toc["parts"] += [{"caption": "For instructors only", "chapters": pages}] if pages else []
    (tree / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")


def pages(name: str, settings: str, ready: Path) -> None:
    """Pages and notebooks of the student's or the instructor's edition."""
    tree = ready.with_name("tree") / settings
    copied(settings, tree)
    times = build.executed(tree)
    if name == "student":
        shutil.rmtree(tree / RUBRICS, ignore_errors=True)
    shutil.copytree(tree / "book", ready / "notebooks", ignore=shutil.ignore_patterns("_tools"))
    {"student": for_students, "instructor": for_instructors}[name](tree, ready / "notebooks")
    build.record(settings, times, tree)
    build.make_pages(tree, ready.with_name("made")).rename(ready / "html")


def edition(name: str, settings: str) -> None:
    """Make `_build/<name>`, whole or not at all."""
    final = build.ROOT / "_build" / name
    with build.alone(final) as work:
        pages(name, settings, work / name)
        build.take_place(work / name, final)
    print(f"{final.relative_to(build.ROOT)} is ready.")


def main() -> None:
    settings = build.chosen()
    build.execute(settings)
    for name in sys.argv[1:]:
        edition(name, settings)


if __name__ == "__main__":
    main()
