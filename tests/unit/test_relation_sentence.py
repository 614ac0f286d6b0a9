"""What a reader is told: the table and the sentence of an explanation by units."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from explainrec_lab.lrp.relevance import Ledger
from explainrec_lab.relation.explain import OF, Explanation
from explainrec_lab.vision.naming import Question

QUESTIONS = (
    Question("neckline", ("v", "round")),
    Question("sleeves_length", ("short", "three_quarter", "sleeveless")),
    Question("skirt_length", ("knee", "midi")),
    Question("colour family", ("red", "blue"), optional=False),
)
UNITS = [cls for question in QUESTIONS for cls in question.classes]


def units(**values: float) -> Tensor:
    """One picture's units by the names of their classes, 0 where nothing is said."""
    return torch.tensor([[values.get(name, 0.0) for name in UNITS]])


def explanation(R: tuple[Tensor, ...], x: tuple[Tensor, ...], of: str = "closeness") -> Explanation:
    total = float(sum(each.sum() for each in R))
    return Explanation(of, R, Ledger(total, total), x, QUESTIONS)


V_SHORT_RED = units(v=3, short=3, red=3)
ALIKE = explanation(
    (units(v=3, three_quarter=-0.5, red=1), units(v=2.8, three_quarter=-0.4, red=1.1)),
    (V_SHORT_RED, units(v=2.9, three_quarter=3, red=2)),
)


def test_a_question_s_relevance_is_that_of_its_classes() -> None:
    R = units(v=1, round=-0.25, red=2)
    blocks = explanation((R, -R), (V_SHORT_RED, V_SHORT_RED)).blocks()
    assert blocks.shape == (2, 1, 4)
    assert blocks[0, 0].tolist() == [0.75, 0, 0, 2]
    assert torch.equal(blocks[1], -blocks[0])


def test_the_table_has_the_most_relevant_question_first_in_shares_of_the_total() -> None:
    table = ALIKE.table()
    assert list(table.columns) == ["source", "target"]
    assert list(table.index) == ["neckline", "colour family", "sleeves length", "skirt length"]
    assert table.to_numpy().sum() == pytest.approx(1)
    assert table.loc["neckline", "source"] == pytest.approx(3 / 7)
    assert table.loc["sleeves length", "target"] == pytest.approx(-0.4 / 7)


def test_what_speaks_against_stays_negative_where_the_total_is_negative() -> None:
    """The logit gives the pictures -d: what keeps them apart must not read as a reason for."""
    R = units(v=-3, red=1)
    found = explanation((R, R), (V_SHORT_RED, units(round=3, red=3)), of="logit")
    assert found.table().loc["neckline", "source"] == pytest.approx(-0.75)
    assert found.sentence() == "related: same colour (50%), against: V and round neckline (-150%)"


def test_the_sentence_names_the_class_that_both_pictures_show() -> None:
    assert ALIKE.sentence() == (
        "related: both have a V neckline (83%), same colour (30%), "
        "against: short and three-quarter sleeves (-13%)"
    )


def test_a_plural_has_no_article() -> None:
    R = units(short=1)
    assert explanation((R, R), (V_SHORT_RED, V_SHORT_RED)).sentence() == (
        "related: both have short sleeves (100%)"
    )


def test_who_wears_no_sleeves_has_no_sleeves() -> None:
    R, bare = units(sleeveless=1), units(sleeveless=3)
    assert explanation((R, R), (bare, bare)).sentence() == "related: both have no sleeves (100%)"
    assert "short and no sleeves" in explanation((R, R), (V_SHORT_RED, bare)).sentence()


def test_a_complement_is_told_with_its_counterpart() -> None:
    """A neckline goes with a skirt length; no picture has both."""
    found = explanation(
        (units(v=4, short=1), units(knee=4, red=1)), (units(v=3, short=3), units(knee=3))
    )
    said = "related: V neckline with knee skirt (80%), short sleeves (10%), colour (10%)"
    assert found.sentence() == said


def test_where_one_side_speaks_against_there_is_no_counterpart() -> None:
    found = explanation((units(v=4), units(knee=-1)), (units(v=3), units(knee=3)))
    assert found.sentence() == "related: V neckline (133%), against: knee skirt (-33%)"


def test_small_shares_are_left_out() -> None:
    R, S = units(v=97, red=3), units()
    found = explanation((R, S), (V_SHORT_RED, V_SHORT_RED))
    assert "colour" not in found.sentence()
    assert "same colour (3%)" in found.sentence(least=0.02)


def test_nothing_is_said_where_nothing_is_relevant() -> None:
    found = explanation((units(), units()), (V_SHORT_RED, V_SHORT_RED))
    assert found.sentence() == "related: nothing stands out"
    assert not found.table().isna().any(axis=None)


def test_three_pictures_have_three_columns_and_all_of_them_are_named() -> None:
    R, x = units(v=1), V_SHORT_RED
    found = explanation((R, R, R), (x, x, x), of="contrast")
    assert list(found.table().columns) == ["source", "target", "rival"]
    assert found.sentence() == "rather than the rival: all have a V neckline (100%)"


@pytest.mark.parametrize("of", OF)
def test_every_sentence_says_what_it_explains(of: str) -> None:
    R = units(v=1)
    assert explanation((R, R), (V_SHORT_RED, V_SHORT_RED), of).sentence().startswith(f"{OF[of]}: ")


def test_pixels_and_units_without_names_have_no_table() -> None:
    maps = torch.zeros(1, 3, 4, 4)
    ledger = Ledger(0.0, 0.0)
    for wrong in (
        Explanation("distance", (maps, maps), ledger),
        Explanation("distance", (units(), units()), ledger, (units(), units())),
    ):
        for told in (wrong.blocks, wrong.table, wrong.sentence):
            with pytest.raises(ValueError, match=r"needs level='units' and .* features='classes'"):
                told()
