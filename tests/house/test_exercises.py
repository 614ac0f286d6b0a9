"""Exercises and quizzes in the pages: each says what it costs and trains, has a cell to answer in
and a solution that runs; what is checked and asked stands where the package says.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

import pytest
from build import left_out, notebooks
from equation_index import index
from machine import ROOT

from explainrec_lab import exercises

START = re.compile(
    r"\{exercise-start\}[^\n]*\n:label: ([\w-]+)\n`{3,}\n(.*?)\{exercise-end\}", re.S
)
SAYS = re.compile(r"\*\(\d+ minutes, [123] of 3: [^)\n]+\)\*")
QUIZ = re.compile(r'lab\.exercises\.quiz\("([\w/-]+)"([\d, ]*)\)')
FEWEST = 43
FEWEST_QUESTIONS = 100


@dataclass
class Exercise:
    page: str
    text: str
    answer: str = ""  # source of the cell to answer in
    solution: list[str] = field(default_factory=list)  # sources of its code cells


def of_page(name: str) -> dict[str, Exercise]:
    """Label -> exercise, in order."""
    found: dict[str, Exercise] = {}
    asked = solved = ""
    for cell in json.loads((ROOT / name).read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            for label, text in START.findall(source):
                found[label], asked = Exercise(name, text), label
            for which, label in re.findall(r"\{solution-(start|end)\} ?([\w-]*)", source):
                solved = label if which == "start" else ""
        elif "answer" in cell["metadata"].get("tags", ()):
            assert asked and not found[asked].answer, f"{name}: a cell to answer what?\n{source}"
            found[asked].answer = source
        elif solved:
            found[solved].solution.append(source)
    return found


EXERCISES = {label: one for name in notebooks() for label, one in of_page(name).items()}
# Of chapters that course.toml leaves out: their pages still lie there, and are not asked.
OUT = left_out(ROOT)
PAGES = (page.relative_to(ROOT).as_posix() for page in (ROOT / "book").rglob("*.ipynb"))
UNASKED = {label for page in PAGES if page.startswith(OUT) for label in of_page(page)}
CHECKED = {label: texts for label, texts in exercises.exercises().items() if label not in UNASKED}
QUESTIONS = {
    p: each for p, each in exercises.questions().items() if not f"book/{p}".startswith(OUT)
}
whole = pytest.mark.skipif(bool(OUT), reason="counted in the whole course; a chapter is left out")


def headings(name: str) -> set[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return {each.replace("\\\\", "\\") for each in re.findall(r'"#{2,3} (.+?)(?:\\n)?"', text)}


@whole
def test_there_are_many_exercises() -> None:
    assert len(EXERCISES) >= FEWEST


@pytest.mark.parametrize("label", EXERCISES)
def test_an_exercise_says_minutes_difficulty_and_what_it_trains(label: str) -> None:
    assert SAYS.match(EXERCISES[label].text.strip()), "*(10 minutes, 2 of 3: what it trains)* first"


def test_what_is_checked_is_asked_in_a_page() -> None:
    asked = {label for label, one in EXERCISES.items() if one.answer}
    assert CHECKED.keys() == asked


@pytest.mark.parametrize("label", CHECKED)
def test_stub_and_solution_end_in_the_check(label: str) -> None:
    one = EXERCISES[label]
    call = f'lab.exercises.check("{label}"'
    assert "..." in one.answer and call in one.answer
    assert call in one.solution[-1], "the last code cell of the solution checks it"


@pytest.mark.parametrize("label", CHECKED)
def test_a_hint_leads_to_a_section_of_the_page(label: str) -> None:
    assert CHECKED[label]["read"] in headings(EXERCISES[label].page)


def test_a_function_that_students_write_stands_in_the_equation_index() -> None:
    """The students' index leaves its source out; elsewhere there would be nothing to leave out."""
    listed = {name for equation in index(ROOT).values() for name in equation.functions}
    asked = {texts["asks"] for texts in CHECKED.values() if "asks" in texts}
    assert asked and asked <= listed


def test_every_question_is_asked_once_on_its_page() -> None:
    asked: list[tuple[str, int]] = []
    for name in notebooks():
        for page, numbers in QUIZ.findall((ROOT / name).read_text().replace('\\"', '"')):
            assert f"book/{page}.ipynb" == name
            count = len(exercises.questions()[page])
            asked += [(page, int(n)) for n in numbers.strip(", ").split(", ") if n] or [
                (page, n) for n in range(1, count + 1)
            ]
    known = [(p, n + 1) for p, each in QUESTIONS.items() for n in range(len(each))]
    assert sorted(asked) == sorted(known)


@whole
def test_there_are_many_questions() -> None:
    assert sum(map(len, exercises.questions().values())) >= FEWEST_QUESTIONS


@pytest.mark.parametrize("page", exercises.questions())
def test_a_question_has_options_with_a_reason_each(page: str) -> None:
    for question in exercises.questions()[page]:
        assert question.keys() == {"asks", "right", "wrong"}
        options = [question["right"], *question["wrong"]]
        assert len(options) >= 3 and len({option for option, _ in options}) == len(options)
        assert all(len(option) < 160 and len(why) >= 15 for option, why in options)
