"""`check` and `quiz`: what they refuse, and what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from explainrec_lab import exercises
from explainrec_lab.exercises import answers


def test_an_unknown_exercise_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"reconet-remove.*reconet-removal"):
        exercises.check("reconet-remove", 1)


def test_an_object_too_many_is_refused() -> None:
    with pytest.raises(ValueError, match="takes just these"):
        exercises.check("reconet-removal", 1, model=2)


def test_an_answer_of_another_kind_hears_what_is_expected() -> None:
    found = exercises.check("reconet-removal", lambda n, Z, y: "more")
    assert found.fault == "kind" and "a function" in found.says and "str" in found.says
    assert not found.right and str(found) == found._repr_markdown_() == found.says


def test_an_error_within_an_answer_is_the_students_to_see() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        exercises.check("reconet-removal", lambda n, Z, y: 1 / 0)
    assert "your answer to reconet-removal" in caught.value.__notes__[0]


@pytest.mark.parametrize("found", [2, 2.0, np.float32(2), torch.tensor(2.0, requires_grad=True)])
def test_a_number_is_a_number_in_any_dress(found: object) -> None:
    assert answers.near(found, 2.0)
    with pytest.raises(answers.Unfit, match="shape"):
        answers.near(found, [2.0, 2.0])


def test_a_table_is_numbers_and_a_blank_is_never_near() -> None:
    assert answers.near(pd.DataFrame({"a": [1, 2]}), [[1], [2]])
    assert not answers.near(np.nan, 1.0)
    with pytest.raises(answers.Unfit, match="dict"):
        answers.near({"a": 1}, 1.0)
    with pytest.raises(answers.Unfit, match="one number"):
        answers.numbers([1.0, 2.0])


def test_a_quiz_gives_a_reason_for_every_option_in_an_order_of_its_own() -> None:
    for page, asked in exercises.questions().items():
        text = exercises.quiz(page).data
        folds = text.count('<details class="option">')
        assert folds == sum(1 + len(question["wrong"]) for question in asked)
        assert text.count("**Right.**") == len(asked)
    assert exercises.quiz(page, 1).data == exercises.quiz(page, 1).data


def test_the_right_option_does_not_always_stand_in_one_place() -> None:
    places = set()
    for page, asked in exercises.questions().items():
        for number in range(1, len(asked) + 1):
            folds = exercises.quiz(page, number).data.split("</details>")
            places.add(next(n for n, fold in enumerate(folds) if "**Right.**" in fold))
    assert len(places) >= 3


def test_an_unknown_page_or_question_is_refused() -> None:
    with pytest.raises(ValueError, match="reconet/explanation"):
        exercises.quiz("reconet/explanations")
    with pytest.raises(ValueError, match="questions 1 to"):
        exercises.quiz("reconet/explanation", 99)
