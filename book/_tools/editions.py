"""Editions of the course from one source: for students, for instructors, for two graders.

`make student` leaves the solutions out, `make instructor` adds the rubrics: pages in `html/`,
notebooks in `notebooks/`. `make nbgrader` and `make otter` write the notebooks as these programs
want them, with the solutions. All stand in `_build/`, made from `.executed/<settings>`.
"""

import ast
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbformat import NotebookNode as Cell
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell

import build
from colab import Page, page_address
from identity import rewrite_without
from parts import Part, Task, claim, parts, sheet
from slides import decks

RUBRICS = "book/instructor"
OTTER_CONFIG = "# ASSIGNMENT CONFIG\nexport_cell: false\ncheck_all_cell: true\n"


def without_solutions(found: list[Part]) -> list[Cell]:
    return [part.cell for part in found if part.kind != "solution"]


def to_fill_in(task: Task) -> list[Cell]:
    """A student's cells behind an exercise: the stub, or cells for words and for code."""
    if task.stub:
        return [new_code_cell(task.stub, id=f"{task.label}-answer")]
    code = [new_code_cell(id=f"{task.label}-code")] if task.code else []
    return [new_markdown_cell("**Your answer:**", id=f"{task.label}-answer"), *code]


def rewrite(folder: Path, cut: Callable[[list[Part]], list[Cell]]) -> None:
    """Put what `cut` makes of their parts in place of the cells of the notebooks in a folder."""
    for path in sorted(folder.rglob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        notebook.cells = cut(parts(path.relative_to(folder).as_posix(), notebook.cells))
        nbformat.write(notebook, path)


def without_answers(tree: Path, notebooks: Path) -> None:
    """The student's edition: no solutions, no rubrics, in the index no function to be written."""
    from explainrec_lab.exercises import exercises

    rewrite(notebooks, partial(sheet, ask=to_fill_in))
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


# ------------------------------------------------------------------- exercises for two graders
#
# Where the answer is checked, `lab.exercises.check` grades, and its words say what is wrong; else a
# person does. Points are the exercise's difficulty. Both programs know solutions by the same marks.


def for_nbgrader(task: Task) -> list[Cell]:
    """Stub and solution, then a check that is locked; or a cell for words that a person grades."""
    if task.stub:
        solved, check = _graded(task)
        role = _role(f"{task.label}-check", grade=True, locked=True, points=task.points)
        answer = new_code_cell(solved, metadata=_role(task.label, solution=True))
        return [answer, new_code_cell(check, metadata=role)]
    role = _role(task.label, grade=True, solution=True, points=task.points)
    code = new_code_cell(_marked(task.code), metadata=_role(f"{task.label}-code", solution=True))
    return [new_markdown_cell(_marked(task.prose), metadata=role), *[code] * bool(task.code)]


def for_otter(task: Task) -> list[Cell]:
    """A question between raw cells: its solution, and tests or `manual: true`."""
    asked = f"# BEGIN QUESTION\nname: {task.label}\npoints: {task.points}\nmanual: {not task.stub}"
    if task.stub:
        solved, check = map(new_code_cell, _graded(task))
        middle = [solved, "# END SOLUTION", "# BEGIN TESTS", check, "# END TESTS"]
    else:
        code = [new_code_cell(_marked(task.code))] * bool(task.code)
        middle = [new_markdown_cell(task.prose), *code, "# END SOLUTION"]
    cells = [asked, "# BEGIN SOLUTION", *middle, "# END QUESTION"]
    return [new_raw_cell(each) if isinstance(each, str) else each for each in cells]


def _graded(task: Task) -> tuple[str, str]:
    """The stub with the solution in it, and code that fails in the checker's words."""
    last = ast.parse(task.stub).body[-1]
    call = ast.unparse(last)
    check = f"lab.exercises.check({task.label!r}"
    claim(call.startswith(check), task.where, f"its answer cell must end with {check}, ...)")
    claim(task.code, task.where, f"{task.label} has an answer cell, but no code in its solution")
    before = "".join(task.stub.splitlines(keepends=True)[: last.lineno - 1])
    solved = f"{before}{_marked(task.code)}\n\n{call}"
    return solved, f"result = {call}\nassert result.right, result"


def _marked(solution: str) -> str:
    return f"# BEGIN SOLUTION NO PROMPT\n{solution}\n# END SOLUTION"


def _role(name: str, **role: Any) -> dict[str, Any]:
    none = dict.fromkeys(("grade", "solution", "locked", "task"), False)
    return {"nbgrader": none | {"schema_version": 3, "grade_id": name} | role}


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


# ------------------------------------------------------------------------------- all of them


def edition(name: str, settings: str, final: Path) -> None:
    """Make one edition, whole or not at all."""
    with build.alone(final) as work:
        tree = work / "tree" / settings
        shutil.copytree(build.EXECUTED / settings, tree, ignore=build.CLUTTER)
        rewrite_without(tree, build.left_out(tree))
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
