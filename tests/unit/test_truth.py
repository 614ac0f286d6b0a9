"""Claims about `evaluate.truth`: hit rates of explanations against known reasons."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from toys import interactions

from explainrec_lab.data import Catalogue, Dataset, Schema, Truth
from explainrec_lab.evaluate import truth

APPLIES = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1], [1, 0, 0]], dtype=bool)
REASON = np.array([0, 2, -1, 0])


def test_naming_the_true_attribute_always_hits():
    assert truth.reason_hit_rate(np.array([0, 2, 1, 0]), REASON, APPLIES) == 1


def test_naming_a_wrong_attribute_never_hits():
    assert truth.reason_hit_rate(np.array([1, 0, 1, 0]), REASON, APPLIES) == 0


def test_events_without_a_reason_or_with_one_attribute_do_not_count():
    np.testing.assert_array_equal(truth.explainable(REASON, APPLIES), [True, True, False, False])
    wrong_where_it_does_not_count = np.array([0, 2, 2, 2])
    assert truth.reason_hit_rate(wrong_where_it_does_not_count, REASON, APPLIES) == 1


def test_scores_and_the_attributes_they_rank_first_score_the_same():
    rng = np.random.default_rng(0)
    scores, reason = rng.random((500, 12)), rng.integers(12, size=500)
    everywhere = np.ones((500, 12), dtype=bool)
    by_name = truth.reason_hit_rate(scores.argmax(axis=1), reason, everywhere)
    assert truth.reason_hit_rate(scores, reason, everywhere) == by_name


def test_an_explanation_without_an_opinion_gets_the_chance_rate():
    uniform = np.full(APPLIES.shape, 1 / 3)
    chance = (1 / 2 + 1 / 3) / 2
    assert truth.reason_hit_rate(uniform, REASON, APPLIES) == pytest.approx(chance)


def test_a_tie_is_shared_whatever_the_order_of_the_attributes():
    scores, order = np.array([[5.0, 1.0, 5.0]]), [2, 0, 1]
    applies = np.ones((1, 3), dtype=bool)
    assert truth.reason_hit_rate(scores, np.array([2]), applies) == 0.5
    assert truth.reason_hit_rate(scores[:, order], np.array([0]), applies) == 0.5


def test_scores_of_attributes_that_do_not_apply_do_not_compete():
    scores = np.array([[0.1, 0.0, 9.0]])
    assert truth.reason_hit_rate(scores, np.array([0]), APPLIES[:1]) == 1


def test_nothing_to_explain_gives_nan():
    assert np.isnan(truth.reason_hit_rate(np.array([0]), np.array([-1]), APPLIES[:1]))
    assert np.isnan(truth.reason_hit_rate(np.zeros((1, 3)), np.array([-1]), APPLIES[:1]))


@pytest.mark.parametrize(
    ("predicted", "reason", "message"),
    [
        (np.array([3, 0, 0, 0]), REASON, "predicted_attribute: attribute 3"),
        (np.zeros((4, 2)), REASON, r"predicted_attribute: shape \(4, 2\)"),
        (np.full((4, 3), np.nan), REASON, "predicted_attribute: nan"),
        (np.zeros((4, 3)), np.array([2, 0, 1, 0]), "event 0 has reason 2, which does not apply"),
        (np.zeros((4, 3)), np.array([7, 0, 1, 0]), "true_reason: attribute 7"),
        (np.zeros((4, 3)), np.array([0]), "true_reason and applies: shapes"),
    ],
)
def test_bad_input_is_named(predicted, reason, message):
    with pytest.raises(ValueError, match=message):
        truth.reason_hit_rate(predicted, reason, APPLIES)


@pytest.fixture
def dataset() -> Dataset:
    """Two users, three items, four purchases; reasons known."""
    items = pd.DataFrame({"title": list("abc"), "category": "top"})
    schema = Schema({"collar": ("rib", "shirt"), "closure": ("zipper", "buckle")})
    catalogue = Catalogue(items, attributes=np.array([[0, 1], [1, -1], [-1, 0]]), schema=schema)
    events = pd.DataFrame({"user": [1, 0, 1, 0], "item": [0, 0, 2, 1]})
    known = Truth(
        preference=np.zeros((2, 2, 2), np.float32),
        purchase_reason=np.array([1, 0, -1, 0]),
        relation_reason=np.zeros((0, 2), np.int64),
        relation_colour=np.zeros(0, bool),
    )
    return Dataset("tiny", catalogue, interactions(events, 2, 3), truth=known)


def test_reasons_follow_the_events_through_a_split(dataset):
    some = dataset.interactions.select(np.array([3, 0]))
    np.testing.assert_array_equal(truth.purchase_reasons(dataset, some), [0, 1])
    np.testing.assert_array_equal(truth.applies_to(dataset, some), [[True, False], [True, True]])


def test_an_event_of_another_dataset_is_named(dataset):
    other = pd.DataFrame({"user": [0], "item": [2]})
    stranger = interactions(other, dataset.interactions.n_users, 3)
    with pytest.raises(ValueError, match="user 0 never took item 2"):
        truth.purchase_reasons(dataset, stranger)


def test_a_dataset_without_truth_says_so(dataset):
    blind = Dataset("blind", dataset.catalogue, dataset.interactions)
    with pytest.raises(ValueError, match="reasons of purchases of 'blind'"):
        truth.purchase_reasons(blind, blind.interactions)


def test_the_hit_rate_of_a_dataset_s_purchases_is_that_of_their_reasons(dataset):
    some, named = dataset.interactions.select(np.array([3, 0])), np.array([0, 0])
    reason, applies = truth.purchase_reasons(dataset, some), truth.applies_to(dataset, some)
    assert truth.hit_rate(dataset, some, named) == truth.reason_hit_rate(named, reason, applies)


def test_the_references_are_guessing_and_the_most_frequent_reason_that_applies(dataset):
    events = dataset.interactions  # twice the collar, once the closure, once none
    asked = events.select(np.array([3, 0]))  # has a collar alone; has both, for its closure
    found = truth.references(dataset, asked, events)
    assert found == {"guessing": 1 / 2, "most frequent reason": 0}
    only_closures = events.select(np.array([0]))
    assert truth.references(dataset, asked, only_closures)["most frequent reason"] == 1
    collarless = Catalogue(
        dataset.catalogue.items,
        attributes=np.array([[-1, 1, 0], [1, -1, 1], [-1, 0, 1]]),
        schema=Schema(dataset.catalogue.schema.classes | {"print": ("dots", "lines")}),
    )
    known = replace(dataset.truth, preference=np.zeros((2, 3, 2), np.float32))
    other = Dataset("tiny", collarless, events, truth=known)
    assert truth.references(other, asked, events)["most frequent reason"] == 1


def test_agreement_is_the_share_of_pairs_of_buyers_who_hear_the_same():
    items, named = np.array([0, 0, 0, 1, 1, 2]), np.array([3, 3, -1, 2, 2, 5])
    assert truth.agreement(items, named, np.ones((6, 6), bool)) == pytest.approx((1 / 3 + 1) / 2)


def test_answers_without_an_opinion_agree_by_chance():
    """Of m attributes that tie two buyers get the same one in m: whichever stands first."""
    items, applies = np.array([0, 0, 1, 1, 1]), np.ones((5, 4), bool)
    applies[2:, 0] = False
    scores = np.zeros((5, 4))
    assert truth.agreement(items, scores, applies) == pytest.approx((1 / 4 + 1 / 3) / 2)
    scores[:, 2:] = 1
    assert truth.agreement(items, scores, applies) == pytest.approx(1 / 2)
    scores[:2] = -np.inf
    assert truth.agreement(items, scores, applies) == pytest.approx((1 / 4 + 1 / 2) / 2)
