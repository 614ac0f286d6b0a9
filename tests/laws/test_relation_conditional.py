"""Laws of relevance that follows some units alone: it is the whole, taken apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from explainrec_lab import lrp, relation
from explainrec_lab.relation import RelationModel, truth_table
from explainrec_lab.settings import SIZES, Relation
from explainrec_lab.vision import folded
from explainrec_lab.vision.homogeneous import default_rule
from explainrec_lab.vision.naming import QUESTIONS

few = settings(max_examples=3, deadline=None)
CONTEXT = ([0, 1], [1, 3])


def made(seed: int, features: str = "classes") -> tuple[RelationModel, Tensor, Tensor, Tensor]:
    """A small network with random weights in double precision, two pairs, and two references."""
    size = SIZES["relation"]["ci"]
    assert isinstance(size, Relation)
    network = replace(size.network, width=0.1, hidden=16)
    own = relation.untrained(replace(size, network=network, features=features), 3, seed)
    generator = torch.Generator().manual_seed(seed)
    i, j, others = torch.rand(3, 2, 3, 64, 64, dtype=torch.float64, generator=generator)
    model = folded(own).double()
    return model, i, j, model.features(others).detach()


def asked(made_of: tuple[RelationModel, Tensor, Tensor, Tensor], **how: Any) -> Any:
    model, i, j, references = made_of
    return relation.explain(model, i, j, *CONTEXT, of="closeness", references=references, **how)


@pytest.mark.parametrize("by_depth", [True, False], ids=["default rule", "epsilon"])
@few
@given(seed=st.integers(0, 1000))
def test_maps_of_all_questions_sum_to_the_whole_map(by_depth: bool, seed: int) -> None:
    """But for the epsilon of the sums at which the two start, which is next to nothing here."""
    own = made(seed)
    table = default_rule(own[0]).table if by_depth else ()
    rule = lrp.Composite(table, lrp.Epsilon(1e-12))
    whole = asked(own, rule=rule).maps
    parts = [asked(own, rule=rule, only=question.name).maps for question in QUESTIONS]
    for side in (0, 1):
        summed = torch.stack([part[side] for part in parts]).sum(0)
        scale = float(whole[side].abs().max())
        torch.testing.assert_close(summed, whole[side], rtol=1e-5, atol=1e-5 * scale)
        assert scale > 0


@few
@given(seed=st.integers(0, 1000))
def test_the_main_attribute_is_followed_in_each_picture_by_itself(seed: int) -> None:
    own = made(seed)
    names = [question.name for question in QUESTIONS if question.optional]
    best = asked(own, level="units").blocks()[..., : len(names)].argmax(-1)
    found = asked(own, only="main attribute")
    assert abs(found.ledger.gap) <= 1e-9 * max(1, abs(found.ledger.output))
    for side, row in ((0, 0), (0, 1), (1, 0), (1, 1)):
        alone = asked(own, only=names[int(best[side, row])]).maps[side][row]
        torch.testing.assert_close(found.maps[side][row], alone, rtol=1e-3, atol=1e-6)


def test_the_table_s_explainer_asks_the_same_of_a_closeness_and_of_a_logit() -> None:
    own = made(0)
    model, i, j, references = own
    users, kinds = map(torch.tensor, CONTEXT)
    through = truth_table.CONDITIONAL["LRP through attributes"]
    close = relation.Closeness(model, references)
    torch.testing.assert_close(
        through(close, i, j, users, kinds), asked(own, only="attributes").maps
    )
    logit = relation.explain(model, i, j, *CONTEXT, of="logit", only="attributes").maps
    torch.testing.assert_close(through(model, i, j, users, kinds), logit)


@pytest.mark.parametrize("only", ["sleeve", "main attribute", "attributes"])
def test_units_without_names_cannot_be_followed_alone(only: str) -> None:
    own = made(0, "projection")
    with pytest.raises(ValueError, match=r"no question of this model \(none: its units"):
        asked(own, only=only)
    with pytest.raises(ValueError, match="'hat' is no question of this model"):
        asked(made(0), only="hat")
