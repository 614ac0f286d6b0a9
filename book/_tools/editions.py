"""Editions of the course from one source: for students, for instructors, for two graders.

`make student` leaves the solutions out, `make instructor` adds the rubrics: pages in `html/`,
notebooks in `notebooks/`. `make nbgrader` and `make otter` write the notebooks as these programs
want them, with the solutions. All stand in `_build/`, made from `.executed/<settings>`.
"""

import re
import shutil
import sys
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode as Cell
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell

import build
from assignments import NBGRADER_CONFIG, OTTER_CONFIG, for_nbgrader, for_otter
from parts import Part, Task, claim, parts, sheet

RUBRICS = "book/instructor"
Cut = Callable[[list[Part]], list[Cell]]

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


def courses(name: str, settings: str, ready: Path) -> None:
    """One folder for each page with exercises, as nbgrader or otter-grader wants it."""
    tree = ready.with_name("tree") / settings
    copied(settings, tree)
    ask, folder = (for_nbgrader, "source") if name == "nbgrader" else (for_otter, "")
    for path in build.notebooks():
        notebook = nbformat.read(tree / path, as_version=4)
        found = parts(path, notebook.cells)
        if any(part.kind == "exercise" for part in found):
            page = "-".join(Path(path).with_suffix("").parts[1:])
            notebook.cells = [new_raw_cell(OTTER_CONFIG)] * (name == "otter") + sheet(found, ask)
            text = nbformat.writes(notebook)
            target = ready / folder / page
            target.mkdir(parents=True)
            build.copy(re.findall(r"\.\./(assets/[\w./-]+)", text), tree / "book", target)
            text = text.replace("../assets/", "assets/")
            (target / f"{page}.ipynb").write_text(text, encoding="utf-8")
    if name == "nbgrader":
        (ready / "nbgrader_config.py").write_text(NBGRADER_CONFIG, encoding="utf-8")


EDITIONS = {"student": pages, "instructor": pages, "nbgrader": courses, "otter": courses}


def edition(name: str, settings: str) -> None:
    """Make `_build/<name>`, whole or not at all."""
    final = build.ROOT / "_build" / name
    with build.alone(final) as work:
        EDITIONS[name](name, settings, work / name)
        build.take_place(work / name, final)
    print(f"{final.relative_to(build.ROOT)} is ready.")


def main() -> None:
    settings = build.chosen()
    build.execute(settings)
    for name in sys.argv[1:]:
        edition(name, settings)


if __name__ == "__main__":
    main()
