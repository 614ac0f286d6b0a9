"""A notebook is cut into lesson, exercises, answers and solutions, or refused in a sentence."""

from __future__ import annotations

import ast
from itertools import chain
from pathlib import Path

import build
import editions
import nbformat
import pytest
from machine import ROOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from parts import GATE, Part, Task, parts, sheet

STUB = new_code_cell(
    "left = ...\n\nlab.exercises.check('napkin', left)", metadata={"tags": ["answer"]}
)
NAPKIN = [
    new_markdown_cell(
        "Lesson.\n\n```{exercise-start}\n:label: napkin\n```\n*(5 minutes, 3 of 3: sums)* Add.\n"
        "```{exercise-end}\n```"
    ),
    STUB,
    new_markdown_cell("````{solution-start} napkin\n:class: dropdown\n````\nTwo and two."),
    new_code_cell("left = 4", metadata={"tags": ["remove-output"]}),
    new_markdown_cell(
        "Is four.\n````{solution-end}\n````\n\n## Take-aways\n\n"
        "```{exercise} Words\n:label: words\n\nSay it.\n```\n\n"
        "````{solution} words\n:class: dropdown\n\n```python\nsecret\n```\n\nSaid.\n````\nEnd."
    ),
]


def said(found: list[Part]) -> list[tuple[str, str, str]]:
    return [(part.kind, part.label, part.cell.source.strip()) for part in found]


def test_a_notebook_is_cut_at_its_gates() -> None:
    found = said(parts("a.ipynb", NAPKIN))
    kinds = "lesson exercise answer solution solution solution lesson exercise solution lesson"
    assert [kind for kind, *_ in found] == kinds.split()
    assert [text for kind, _, text in found if kind == "lesson"] == [
        *("Lesson.", "## Take-aways", "End.")
    ]
    assert [text for kind, label, text in found if (kind, label) == ("solution", "napkin")] == [
        *("Two and two.", "left = 4", "Is four.")
    ]
    assert ("solution", "words", "```python\nsecret\n```\n\nSaid.") in found


def test_pages_keep_stubs_and_lose_solutions() -> None:
    cells = editions.without_solutions(parts("a.ipynb", NAPKIN))
    text = "\n".join(cell.source for cell in cells)
    assert STUB.source in text
    assert "Say it." in text
    assert "## Take-aways" in text
    assert not any(
        word in text for word in ("Two and two", "left = 4", "Is four", "secret", "Said")
    )


def test_a_student_s_notebook_has_a_place_for_every_answer() -> None:
    ran = [*NAPKIN[:1], nbformat.from_dict({**STUB, "execution_count": 7}), *NAPKIN[2:]]
    cells = sheet(parts("a.ipynb", ran), editions.to_fill_in)
    assert [cell.source for cell in cells][2] == STUB.source
    assert [cell.source for cell in cells][-2:] == ["**Your answer:**", "End."]
    assert not any(cell.get("execution_count") or cell.get("outputs") for cell in cells)
    nbformat.validate(new_notebook(cells=cells))


def test_an_exercise_whose_solution_has_code_gets_a_cell_for_code() -> None:
    cells = sheet(parts("a.ipynb", [NAPKIN[0], *NAPKIN[2:]]), editions.to_fill_in)
    assert [cell.source for cell in cells][2:4] == ["**Your answer:**", ""]


OPEN, LOST = (
    "```{solution-start} napkin\n```",
    "```{exercise-start}\n```\nAdd.\n```{exercise-end}\n```",
)
FAULTS = {
    "a solution that never ends": (
        [NAPKIN[0], new_markdown_cell(OPEN)],
        r"a.ipynb, cell 2: solution napkin has no \{solution-end\}\.",
    ),
    "an exercise within a solution": (
        [new_markdown_cell(OPEN), NAPKIN[0]],
        r"a.ipynb, cell 1: solution napkin has no \{solution-end\}\.",
    ),
    "an end without a start": (
        [new_markdown_cell("```{solution-end}\n```")],
        r"a.ipynb, cell 1: \{solution-end\} without a \{solution-start\}\.",
    ),
    "an exercise without a label": (
        [new_markdown_cell(LOST)],
        r"a.ipynb, cell 1: exercise without a label: an exercise says `:label: its-name`\.",
    ),
    "an answer without an exercise": (
        [STUB],
        r"a.ipynb, cell 1: cell tagged `answer`, but no exercise before it\.",
    ),
    "an answer within a solution": (
        [NAPKIN[0], new_markdown_cell(OPEN), STUB],
        r"a.ipynb, cell 3: cell tagged `answer`, but no exercise before it\.",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_cut_is_refused(fault: str) -> None:
    cells, says = FAULTS[fault]
    with pytest.raises(SystemExit, match=f"^{says}$"):
        parts("a.ipynb", cells)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one notebook, executed, an edition of an earlier day, and no Sphinx."""
    for folder in (tmp_path, tmp_path / ".executed" / "ci"):
        (folder / "book" / "instructor").mkdir(parents=True)
        nbformat.write(new_notebook(cells=NAPKIN), folder / "book" / "one.ipynb")
        (folder / "book" / "instructor" / "rubric.md").write_text("# Two points for four\n")
        (folder / "_config.yml").write_text("sphinx: {config: {}}")
        (folder / "_toc.yml").write_text("root: book/one\nparts: []\n")
    build.record({"book/one.ipynb": {"seconds": 3.0}}, tmp_path / ".executed" / "ci")
    for name in ("student", "instructor"):
        (tmp_path / "_build" / name).mkdir(parents=True)
        (tmp_path / "_build" / name / "old").touch()
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "EXECUTED", tmp_path / ".executed")
    monkeypatch.setattr(build, "make_pages", lambda tree, work: tree)
    return tmp_path


def test_a_student_s_edition_has_no_solution_no_rubric_and_the_run_times(lab: Path) -> None:
    editions.edition("student", "ci", lab / "_build" / "student")
    student = lab / "_build" / "student"
    assert sorted(path.name for path in student.iterdir()) == ["html", "notebooks"]
    for page in (student / "html" / "book" / "one.ipynb", student / "notebooks" / "one.ipynb"):
        assert "Two and two" not in page.read_text()
        assert "Lesson" in page.read_text()
    assert not list(student.rglob("rubric.md"))
    assert build.executed(student / "html")["book/one.ipynb"]["seconds"] == 3.0
    config = (student / "html" / "_config.yml").read_text()
    assert "asked:" in config
    assert "url: ''" in config, "buttons would lead to the solutions"


def test_an_instructor_s_edition_has_everything_and_the_rubric(lab: Path) -> None:
    editions.edition("instructor", "ci", lab / "_build" / "instructor")
    pages = lab / "_build" / "instructor" / "html"
    assert "Two and two" in (pages / "book" / "one.ipynb").read_text()
    assert "file: book/instructor/rubric" in (pages / "_toc.yml").read_text()


TASK = Task("napkin", "a.ipynb, cell 1", 3, STUB.source, "left = 4\nlab", "")


def test_points_are_the_difficulty_and_a_person_grades_what_has_no_stub() -> None:
    tasks: list[Task] = []
    sheet(parts("a.ipynb", NAPKIN), lambda task: tasks.append(task) or [])
    assert [(t.label, t.points, bool(t.stub)) for t in tasks] == [
        *(("napkin", 3, True), ("words", 1, False))
    ]


def test_a_checked_exercise_becomes_stub_solution_and_check() -> None:
    solved, check = editions.for_nbgrader(TASK)
    assert solved.source.splitlines() == [
        *("left = ...", "", "# BEGIN SOLUTION NO PROMPT", "left = 4", "lab", "# END SOLUTION", ""),
        "lab.exercises.check('napkin', left)",
    ]
    assert solved.metadata["nbgrader"]["solution"]
    assert check.metadata["nbgrader"]["points"] == 3
    assert check.source.endswith("\nassert result.right, result")
    assert [cell.source for cell in editions.for_otter(TASK)][2] == solved.source


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"stub": "left = ..."},
            r"its answer cell must end with lab.exercises.check\('napkin', ...\)",
        ),
        ({"stub": "lab.exercises.check('other', 3)"}, "its answer cell must end with"),
        ({"code": ""}, "napkin has an answer cell, but no code in its solution"),
    ],
)
def test_an_exercise_that_cannot_be_graded_is_refused(change: dict[str, str], says: str) -> None:
    for form in (editions.for_nbgrader, editions.for_otter):
        with pytest.raises(SystemExit, match=f"^a.ipynb, cell 1: {says}"):
            form(TASK._replace(**change))


def names(source: str, context: type[ast.expr_context]) -> set[str]:
    """Names that code sets (Store) or asks for (Load)."""
    found = {
        n.id
        for n in ast.walk(ast.parse(source))
        if isinstance(n, ast.Name) and isinstance(n.ctx, context)
    }
    for node in ast.walk(ast.parse(source)) if context is ast.Store else ():
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.alias):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
    return found


@pytest.mark.parametrize("name", build.notebooks())
def test_the_lesson_runs_without_the_solutions(name: str) -> None:
    """No cell outside a solution asks for a name that only a solution sets."""
    found = parts(name, nbformat.read(ROOT / name, as_version=4).cells)
    code = [part for part in found if part.cell.cell_type == "code"]
    kept = [part.cell.source for part in code if part.kind != "solution"]
    solved = [part.cell.source for part in code if part.kind == "solution"]
    known = set(chain.from_iterable(names(source, ast.Store) for source in kept))
    only = set(chain.from_iterable(names(source, ast.Store) for source in solved)) - known
    for source in kept:
        assert not names(source, ast.Load) & only, f"set by a solution only:\n{source}"


def test_every_solution_is_of_an_exercise_of_its_page() -> None:
    for name in build.notebooks():
        found = parts(name, nbformat.read(ROOT / name, as_version=4).cells)
        asked = {part.label for part in found if part.kind == "exercise"}
        assert {part.label for part in found if part.kind == "solution"} <= asked, name


def test_only_notebooks_hold_exercises() -> None:
    for path in (ROOT / "book").rglob("*.md"):
        assert not GATE.search(path.read_text(encoding="utf-8"))
