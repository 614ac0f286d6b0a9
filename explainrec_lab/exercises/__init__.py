"""Exercises that answer, and quizzes.

`check` computes what is right, compares, and says in words what is not. What it expects of an
answer, and its hints, stand in `<room>.toml`; the checkers in `<room>.py`, a generator each that
yields `(property, holds)` in order. No file holds an answer. A quiz is text with folds, from
`quiz/<room>.toml`: it needs no kernel and no script. An answer that never ends is the kernel's to
stop; where pages are built, the time that a cell may take ends it.
"""

import functools
import hashlib
from collections import Counter
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from IPython.display import Markdown

from explainrec_lab.data.contracts import require
from explainrec_lab.data.store import table_beside
from explainrec_lab.exercises import answers

HERE = Path(__file__).parent
failed: Counter[str] = Counter()  # how often each exercise has failed since it was right


@dataclass(frozen=True)
class Result:
    """What `check` says: whether the answer is right, and else which property failed."""

    right: bool
    says: str
    fault: str = ""

    def __str__(self) -> str:
        return self.says

    _repr_markdown_ = __str__


def check(name: str, answer: Any, **given: Any) -> Result:
    """Tell whether an answer is right; if not, what failed and a hint, a stronger one each time.

    Args:
        name: the exercise's label, such as `"reconet-removal"`.
        answer: a number, a table, a tensor, or a function of your own. `...` is no answer yet.
        given: objects of the page that the exercise names, such as `model=model`.

    Raises:
        ValueError: no such exercise, or an object of the page is missing or too many.
    """
    told = f"{name!r} is no exercise that is checked; these are: {', '.join(exercises())}"
    require(name in exercises(), f"name: {told}")
    texts = exercises()[name]
    checker = getattr(import_module(f"{__name__}.{texts['room']}"), name.replace("-", "_"))
    wanted = list(signature(checker).parameters)[1:]
    named = ", ".join(f"{each}={each}" for each in wanted)
    require(given.keys() == set(wanted), f"check({name!r}, answer, {named}) takes just these")
    try:
        found = checker(_watched(name, answer, texts["expects"]), **given)
        fault = next((said for said, holds in found if not holds), "")
    except answers.Blank:
        return Result(False, f"**Nothing to check yet.** Expected: {texts['expects']}.")
    except answers.Unfit as error:
        fault = f"**Expected:** {texts['expects']}. This is {error}."
        return Result(False, fault, "kind")
    if not fault:
        failed.pop(name, None)
        return Result(True, f"**Right.** {texts.get('right', '')}".strip())
    failed[name] += 1
    return Result(False, _told(texts, fault, failed[name]), fault)


def _told(texts: dict[str, Any], fault: str, time: int) -> str:
    """What failed; a hint, the second time a stronger one, and from the third where to read."""
    what, *hints = texts["faults"][fault]
    hint = hints[min(time, len(hints)) - 1]
    read = f"\n\n**Read again:** *{texts['read']}*, on this page." * (time > len(hints))
    return f"**Not yet.** {what}\n\n**Hint.** {hint}{read}"


@functools.cache
def exercises() -> dict[str, dict[str, Any]]:
    """Label -> the texts of each exercise that is checked, and the `room` of its checker."""
    rooms = {path.stem: table_beside(path) for path in sorted(HERE.glob("*.toml"))}
    return {label: {"room": room, **rooms[room][label]} for room in rooms for label in rooms[room]}


def _watched(name: str, answer: Any, expects: str) -> Any:
    """A function that says when it is still empty, whose errors name the exercise and what is
    expected, and which may write into what it is given."""
    if not callable(answers.filled(answer)):
        if expects.startswith("a function"):
            raise answers.Unfit(f"a {type(answer).__name__}")
        return answer

    @functools.wraps(answer)
    def called(*args: Any, **named: Any) -> Any:
        try:
            return answers.filled(answer(*map(answers.own, args), **named))
        except Exception as error:
            error.add_note(f"Raised within your answer to {name}. Expected: {expects}.")
            raise

    return called


# ---------------------------------------------------------------------------------- quizzes


@functools.cache
def questions() -> dict[str, list[dict[str, Any]]]:
    """Page, such as `"reconet/model"` -> its questions: what each asks, its options, why."""
    return {
        f"{path.stem}/{page}": listed
        for path in sorted((HERE / "quiz").glob("*.toml"))
        for page, listed in table_beside(path).items()
    }


def quiz(page: str, *numbers: int) -> Markdown:
    """Questions of a page, by number from 1 (all, if none is named); options fold open.

    Raises:
        ValueError: no such page or question.
    """
    known = questions()
    require(page in known, f"page: {page!r} has no quiz; these have one: {', '.join(known)}")
    every = range(1, len(known[page]) + 1)
    require({*numbers} <= {*every}, f"numbers: {page} has questions 1 to {len(every)}")
    return Markdown("\n\n".join(_question(n, known[page][n - 1]) for n in numbers or every))


def options(question: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Option, reason, and "Right." or "No."; their order depends on their words alone."""
    listed = [(*question["right"], "Right."), *((*each, "No.") for each in question["wrong"])]
    return sorted(listed, key=lambda option: hashlib.sha256(option[0].encode()).hexdigest())


def _question(number: int, question: dict[str, Any]) -> str:
    folds = (
        f'<details class="option"><summary>{option}</summary>\n\n**{said}** {why}\n\n</details>'
        for option, why, said in options(question)
    )
    return "\n\n".join([f"**Question {number}.** {question['asks']}", *folds])
