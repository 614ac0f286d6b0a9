"""Every checked exercise: its solution passes, its stub fails, and the mistakes that students make
fail with the hint that is meant for them.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

import pytest
from exercises.cases import Case
from exercises.reconet import small_shop

import explainrec_lab.exercises as exercises

CASES: dict[str, Case] = {
    name: case
    for room in sorted({texts["room"] for texts in exercises.exercises().values()})
    for name, case in import_module(f"exercises.{room}").CASES.items()
}
TEXTS = exercises.exercises()
FEWEST = 30
ALSO = [(name, n) for name, case in CASES.items() for n in range(len(case.also))]
WRONG = [(name, fault, n) for name in CASES for n, (fault, _) in enumerate(CASES[name].wrong)]


@pytest.fixture(autouse=True)
def _nobody_has_tried() -> None:
    exercises.failed.clear()


def said(name: str, answer: Any) -> exercises.Result:
    return exercises.check(name, answer, **CASES[name].given())


def test_every_exercise_is_proved_by_at_least_three_wrong_answers() -> None:
    assert CASES.keys() == TEXTS.keys()
    assert [name for name, case in CASES.items() if len(case.wrong) < 3] == []


def test_there_are_many_checked_exercises() -> None:
    assert len(TEXTS) >= FEWEST


@pytest.mark.parametrize("name", CASES)
def test_a_right_answer_passes_twice(name: str) -> None:
    for _ in range(2):
        found = said(name, CASES[name].right)
        assert found.right and not found.fault, found.says
    assert found.says.startswith("**Right.**")


@pytest.mark.parametrize(("name", "n"), ALSO)
def test_a_right_answer_passes_in_another_form(name: str, n: int) -> None:
    for _ in range(2):
        found = said(name, CASES[name].also[n])
        assert found.right, found.says


def test_an_empty_partial_or_object_is_blank() -> None:
    class Empty:
        def __call__(self, *asked: Any) -> None: ...

    for empty in (partial(lambda *_: None), Empty(), Empty().__call__):
        assert said("saers-bpr", empty).says.startswith("**Nothing to check yet.**")


def test_an_error_of_the_answer_names_the_exercise_and_what_is_expected() -> None:
    with pytest.raises(TypeError) as caught:
        said("saers-bpr", lambda: 0)
    assert TEXTS["saers-bpr"]["expects"] in caught.value.__notes__[0]


def test_an_answer_may_write_into_what_it_is_given() -> None:
    codes = small_shop()["shop"].catalogue.attributes
    before = codes.copy()

    def spoils(Z: Any, bought: Any, item: int, codes: Any) -> Any:
        codes[:] = 0
        return codes[item]

    said("reconet-explainer", spoils)
    assert (codes == before).all()


@pytest.mark.parametrize("name", CASES)
def test_a_stub_is_not_right_and_hears_what_is_expected(name: str) -> None:
    for blank in (..., None):
        found = said(name, blank)
        assert not found.right and not found.fault and TEXTS[name]["expects"] in found.says
    if callable(CASES[name].right):
        assert said(name, lambda *_: None).says.startswith("**Nothing to check yet.**")


@pytest.mark.parametrize(("name", "fault", "n"), WRONG)
def test_a_mistake_gets_the_hint_that_is_meant_for_it(name: str, fault: str, n: int) -> None:
    found = said(name, CASES[name].wrong[n][1])
    assert not found.right and found.fault == fault
    if fault != "kind":
        assert TEXTS[name]["faults"][fault][1] in found.says


@pytest.mark.parametrize("name", CASES)
def test_an_answer_of_another_kind_hears_what_is_expected(name: str) -> None:
    for answer in ("a word", {"a": "word"}):
        found = said(name, answer)
        assert found.fault == "kind" and TEXTS[name]["expects"] in found.says


@pytest.mark.parametrize("name", CASES)
def test_no_property_is_idle(name: str) -> None:
    """Each property that has a hint is failed by one of the wrong answers, and none is unknown."""
    met = {fault for fault, _ in CASES[name].wrong} - {"kind"}
    assert met == TEXTS[name]["faults"].keys()
    assert all(len(texts) == 3 for texts in TEXTS[name]["faults"].values())


@pytest.mark.parametrize("name", CASES)
def test_hints_grow_stronger_and_end_where_to_read(name: str) -> None:
    fault, answer = next(each for each in CASES[name].wrong if each[0] != "kind")
    _, hint, stronger = TEXTS[name]["faults"][fault]
    first, second, third = (said(name, answer).says for _ in range(3))
    assert hint in first and stronger not in first
    assert stronger in second and TEXTS[name]["read"] not in second
    assert TEXTS[name]["read"] in third
    said(name, CASES[name].right)
    assert hint in said(name, answer).says  # who was right begins anew
