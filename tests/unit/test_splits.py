"""The papers' protocols: nothing leaks, nothing is lost, the seed decides."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from toys import interactions, shop

from explainrec_lab.data import (
    Interactions,
    cold_items,
    cold_start,
    implicit,
    leave_one_out,
    split,
)

few = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 30)


def pairs(events: Interactions) -> set[tuple[int, int]]:
    return set(zip(events.user.tolist(), events.item.tolist(), strict=True))


@few
@given(seeds, st.sampled_from([(0.6, 0.2, 0.2), (0.8, 0.2, 0.0), (1.0, 0.0, 0.0), (0, 0.5, 0.5)]))
def test_the_three_parts_are_disjoint_and_together_everything(
    seed: int, fractions: tuple[float, float, float]
) -> None:
    events = shop(seed).interactions
    parts = split(events, seed, fractions)
    three = [parts.train, parts.development, parts.test]
    assert set.union(*map(pairs, three)) == pairs(events)
    assert sum(map(len, three)) == len(events)
    for part, share in zip(three, fractions, strict=True):
        assert abs(len(part) - share * len(events)) <= 1


@few
@given(seeds)
def test_the_seed_decides_the_split(seed: int) -> None:
    events = shop(seed).interactions
    assert pairs(split(events, 1).test) == pairs(split(events, 1).test)
    assert pairs(split(events, 1).test) != pairs(split(events, 2).test)


@few
@given(seeds, st.floats(0, 1))
def test_cold_users_have_no_history_and_keep_their_test_events(seed: int, share: float) -> None:
    parts = split(shop(seed).interactions, seed)
    cold = cold_start(parts, share, seed)
    assert len(cold.cold_users) == round(share * len(np.unique(parts.test.user)))
    assert not set(cold.cold_users) & (set(cold.train.user) | set(cold.development.user))
    assert pairs(cold.test) == pairs(parts.test)
    assert set(cold.cold_users) <= set(parts.test.user)
    warm = {(u, i) for u, i in pairs(parts.train) if u not in set(cold.cold_users)}
    assert pairs(cold.train) == warm


def rated(rows: list[tuple[int, int, int, float]]) -> Interactions:
    events = pd.DataFrame(rows, columns=["user", "item", "time", "value"])
    return interactions(events, 3, 3)


def test_implicit_keeps_the_threshold_itself_and_drops_what_is_below() -> None:
    events = implicit(rated([(0, 0, 0, 3.0), (0, 1, 0, 2.5), (1, 1, 0, 5.0)]), threshold=3)
    assert pairs(events) == {(0, 0), (1, 1)}


def test_implicit_keeps_the_earliest_event_of_a_pair() -> None:
    events = implicit(rated([(0, 0, 9, 3.0), (0, 0, 4, 5.0), (0, 0, 1, 1.0)]), threshold=3)
    assert events.time.tolist() == [4]


@few
@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3, st.floats(1, 5)), max_size=30))
def test_implicit_feedback_is_the_set_of_pairs_that_reached_the_threshold(
    rows: list[tuple[int, int, int, float]],
) -> None:
    events = rated(rows)
    good = events.value >= 3
    assume(good.any())
    kept = implicit(events, 3)
    assert pairs(kept) == set(zip(events.user[good], events.item[good], strict=True))
    assert len(kept) == len(pairs(kept))


def test_repeated_pairs_may_not_be_split() -> None:
    with pytest.raises(ValueError, match=r"interactions: 1 repeated .* call implicit\(\) first"):
        split(rated([(0, 0, 0, 1.0), (0, 0, 1, 1.0), (1, 0, 0, 1.0)]))


@pytest.mark.parametrize(
    "bad", [(0.5, 0.2, 0.2), (1.2, -0.2, 0.0), (0.5, 0.5), (0.4, 0.2, 0.2, 0.2), (np.nan, 0.5, 0.5)]
)
def test_bad_fractions_are_named(bad: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"fractions: \(.*\) must be three, non-negative, and sum"):
        split(shop().interactions, fractions=bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [-0.1, 1.5, float("nan")])
def test_a_bad_cold_fraction_is_named(bad: float) -> None:
    with pytest.raises(ValueError, match=r"fraction: .* is outside 0\.\.1"):
        cold_start(split(shop().interactions), bad)


@few
@given(seeds)
def test_leave_one_out_holds_out_one_record_for_each_part(seed: int) -> None:
    events = shop(seed).interactions
    parts = leave_one_out(events, seed)
    three = [parts.train, parts.development, parts.test]
    assert set.union(*map(pairs, three)) == pairs(events)
    assert sum(map(len, three)) == len(events)
    counts = np.bincount(events.user, minlength=events.n_users)
    for user, count in enumerate(counts):
        held_out = [int((part.user == user).sum()) for part in three]
        assert held_out == ([count - 2, 1, 1] if count >= 3 else [count, 0, 0])


def test_a_user_with_one_purchase_keeps_it_for_training() -> None:
    parts = leave_one_out(rated([(0, 0, 0, 1.0), (1, 0, 0, 1.0), (1, 1, 0, 1.0), (1, 2, 0, 1.0)]))
    assert (0, 0) in pairs(parts.train)
    assert set(parts.test.user) == set(parts.development.user) == {1}


def test_every_record_of_a_user_is_held_out_equally_often() -> None:
    events = rated([(0, 0, 0, 1.0), (0, 1, 0, 1.0), (0, 2, 0, 1.0)])
    drawn = [int(leave_one_out(events, seed).test.item[0]) for seed in range(300)]
    assert np.bincount(drawn).min() > 70


@few
@given(seeds)
def test_cold_items_are_those_that_training_never_saw(seed: int) -> None:
    parts = leave_one_out(shop(seed).interactions, seed)
    cold = cold_items(parts)
    assert set(cold) == set(range(parts.train.n_items)) - set(parts.train.item)


def test_leaving_out_needs_three_records_and_no_repeats() -> None:
    with pytest.raises(ValueError, match="least: 2 must be at least 3"):
        leave_one_out(shop().interactions, least=2)
    with pytest.raises(ValueError, match=r"interactions: 1 repeated .* call implicit\(\) first"):
        leave_one_out(rated([(0, 0, 0, 1.0), (0, 0, 1, 1.0), (1, 0, 0, 1.0)]))


def test_a_threshold_that_keeps_nothing_is_an_error_that_names_the_values() -> None:
    events = rated([(0, 0, 0, 1.0), (1, 0, 0, 2.0)])
    with pytest.raises(ValueError, match=r"threshold: 3 keeps none of 2 .* values are 1 to 2"):
        implicit(events, threshold=3)
    with pytest.raises(ValueError, match="threshold: nan keeps none of 2 events"):
        implicit(events, threshold=float("nan"))
    with pytest.raises(ValueError, match="threshold: 1 keeps none of 0 events"):
        implicit(rated([]), threshold=1)


def test_a_rating_that_reaches_the_threshold_is_kept_whatever_type_the_threshold_has() -> None:
    events = rated([(0, 0, 0, 4.7)])
    assert len(implicit(events, 4.7)) == len(implicit(events, np.float64(4.7))) == 1
