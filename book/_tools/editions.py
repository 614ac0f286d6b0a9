"""Editions of the course from one source: for students, for instructors, for two graders.

`make student` leaves the solutions out, `make instructor` adds the rubrics: pages in `html/`,
notebooks in `notebooks/`. `make nbgrader` and `make otter` write the notebooks as these programs
want them, with the solutions. All stand in `_build/`, made from `.executed/<settings>`.
"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode as Cell
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell

import build
import without
from assignments import OTTER_CONFIG, for_nbgrader, for_otter
from colab import page_address
from parts import Part, Task, parts, sheet
from plain import Page
from slides import decks

RUBRICS = "book/instructor"


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


def rewrite(folder: Path, cut: Callable[[list[Part]], list[Cell]]) -> None:
    """Put what `cut` makes of their parts in place of the cells of the notebooks in a folder."""
    for path in sorted(folder.rglob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        notebook.cells = cut(parts(path.relative_to(folder).as_posix(), notebook.cells))
        nbformat.write(notebook, path)


def without_answers(tree: Path, notebooks: Path) -> None:
    """The student's edition: no solutions, no rubrics, in the index no function to be written."""
    from explainrec_lab.exercises import exercises

    rewrite(notebooks, to_fill_in)
    rewrite(tree / "book", without_solutions)
    config = yaml.safe_load((tree / "_config.yml").read_text(encoding="utf-8"))
    asked = [row["asks"] for row in exercises().values() if "asks" in row]
    config["sphinx"]["config"]["asked"] = asked
    config["repository"] = {"url": ""}  # buttons would lead to notebooks with solutions
    (tree / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")


def with_rubrics(tree: Path) -> None:
    """The instructor's edition: everything, and the rubrics in the table of contents."""
    toc = yaml.safe_load((tree / "_toc.yml").read_text(encoding="utf-8"))
    found = [{"file": f"{RUBRICS}/{path.stem}"} for path in sorted((tree / RUBRICS).glob("*.md"))]
    toc["parts"] += [{"caption": "For instructors only", "chapters": found}] * bool(found)
    (tree / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")


def pages(name: str, tree: Path, ready: Path) -> None:
    """Pages and notebooks of the student's or the instructor's edition."""
    times = build.executed(build.EXECUTED / tree.name)
    if name == "student":
        shutil.rmtree(tree / RUBRICS, ignore_errors=True)
    shutil.copytree(tree / "book", ready / "notebooks", ignore=shutil.ignore_patterns("_tools"))
    if name == "student":
        without_answers(tree, ready / "notebooks")
    else:
        with_rubrics(tree)
    build.record(times, tree)
    build.make_pages(tree, ready.with_name("made")).rename(ready / "html")


def course(name: str, tree: Path, ready: Path) -> None:
    """A folder for each page with exercises, as nbgrader or otter-grader wants it."""
    address = page_address()
    ask, folder = (for_nbgrader, "source") if name == "nbgrader" else (for_otter, "")
    for path in build.notebooks():
        notebook = nbformat.read(tree / path, as_version=4)
        found = parts(path, notebook.cells)
        if any(part.kind == "exercise" for part in found):
            notebook.cells = [new_raw_cell(OTTER_CONFIG)] * (name == "otter") + sheet(found, ask)
            for cell in notebook.cells:
                if cell.cell_type == "markdown":
                    cell.source = Page(path, address).plain(cell.source)
            target = ready / folder / "-".join(Path(path).with_suffix("").parts[1:])
            target.mkdir(parents=True)
            nbformat.write(notebook, target / f"{target.name}.ipynb")
    if name == "nbgrader":
        build.copy(["nbgrader_config.json"], Path(__file__).parent, ready)


def edition(name: str, settings: str, final: Path) -> None:
    """Make one edition, whole or not at all."""
    with build.alone(final) as work:
        tree = work / "tree" / settings
        shutil.copytree(build.EXECUTED / settings, tree, ignore=build.CLUTTER)
        without.rewrite(tree, build.left_out(tree))
        make = {"student": pages, "instructor": pages, "slides": decks}.get(name, course)
        make(name, tree, work / name)
        build.take_place(work / name, final)


def main() -> None:
    settings = build.chosen()
    build.execute(settings)
    for name in sys.argv[1:]:
        edition(name, settings, build.ROOT / "_build" / name)
        print(f"_build/{name} is ready.")


if __name__ == "__main__":
    main()
