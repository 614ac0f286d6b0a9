"""Splits by time leak nothing: what trains a model happened before what judges it."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from toys import interactions

from explainrec_lab.data import Interactions, Split, leave_one_out, split

USERS, ITEMS = 4, 12
some = settings(max_examples=60, deadline=None)
# Few different times, so that ties are the rule.
PAIRS = st.dictionaries(
    st.tuples(st.integers(0, USERS - 1), st.integers(0, ITEMS - 1)),
    st.integers(-3, 6) | st.integers(-(2**62), 2**62),
    min_size=6,
    max_size=40,
)
FRACTIONS = st.sampled_from([(0.6, 0.2, 0.2), (0.8, 0.0, 0.2), (0.9, 0.1, 0.0), (0.5, 0.5, 0.0)])


def shop(pairs: dict[tuple[int, int], int]) -> Interactions:
    rows = [(user, item, time) for (user, item), time in pairs.items()]
    events = pd.DataFrame(rows, columns=["user", "item", "time"])
    return interactions(events, USERS, ITEMS)


def divided(events: Interactions, **how: object) -> Split:
    """A split, or no example where these events cannot be divided so."""
    try:
        return split(events, **how) if "fractions" in how else leave_one_out(events, **how)  # type: ignore[arg-type]
    except ValueError as error:
        assert any(word in str(error) for word in ("leave", "needs times", "no user has"))
        assume(False)
        raise


def in_order(parts: Split) -> list[Interactions]:
    return [part for part in (parts.train, parts.development, parts.test) if len(part)]


@some
@given(PAIRS, FRACTIONS, st.integers(0, 5))
def test_a_cut_in_time_lies_strictly_between_the_parts(
    pairs: dict[tuple[int, int], int], fractions: tuple[float, float, float], seed: int
) -> None:
    events = shop(pairs)
    parts = in_order(divided(events, fractions=fractions, seed=seed, by="time"))
    for earlier, later in combinations(parts, 2):
        assert earlier.time.max() < later.time.min()
    assert sum(map(len, parts)) == len(events)
    assert len(parts[0]) == min(
        (int((events.time < cut).sum()) for cut in {*events.time.tolist(), 2**63 - 1}),
        key=lambda size: (abs(size - fractions[0] * len(events)), size),
    )


@some
@given(PAIRS, FRACTIONS, st.integers(0, 5))
def test_no_user_s_training_is_later_than_what_she_is_asked_for(
    pairs: dict[tuple[int, int], int], fractions: tuple[float, float, float], seed: int
) -> None:
    events = shop(pairs)
    splits = divided(events, fractions=fractions, seed=seed, by="user time")
    for user in range(USERS):
        parts = [part.time[part.user == user] for part in in_order(splits)]
        for earlier, later in combinations(parts, 2):
            assert not len(earlier) or not len(later) or earlier.max() <= later.min()
        count = int((events.user == user).sum())
        trained = int((splits.train.user == user).sum())
        assert abs(trained - fractions[0] * count) <= 0.5 + 1e-9 or trained == 1
        assert trained > 0 or count == 0


@some
@given(PAIRS, st.integers(0, 5))
def test_the_last_record_is_the_test_and_the_one_before_is_development(
    pairs: dict[tuple[int, int], int], seed: int
) -> None:
    events = shop(pairs)
    parts = divided(events, seed=seed, by="time")
    for user in range(USERS):
        times = np.sort(events.time[events.user == user])
        asked = [part.time[part.user == user].tolist() for part in (parts.development, parts.test)]
        assert asked == (
            [times[-2:-1].tolist(), times[-1:].tolist()] if len(times) > 2 else [[], []]
        )


def test_ties_of_a_user_are_broken_by_the_seed_alone() -> None:
    events = shop({(0, item): item // 6 for item in range(ITEMS)})
    last = [int(leave_one_out(events, seed, by="time").test.item[0]) for seed in range(200)]
    assert set(last) == set(range(6, 12))
    assert np.bincount(last)[6:].min() > 15
    again = [int(leave_one_out(events, seed, by="time").test.item[0]) for seed in range(200)]
    assert last == again


def test_events_without_times_are_refused_by_name() -> None:
    timeless = interactions(pd.DataFrame({"user": 0, "item": range(6)}), 1, 6)
    for by in ("time", "user time"):
        with pytest.raises(ValueError, match=f"by: '{by}' needs times, but all 6 events have the"):
            split(timeless, by=by)
    with pytest.raises(ValueError, match="by: 'time' needs times"):
        leave_one_out(timeless, by="time")
    with pytest.raises(ValueError, match="by: 'date'; choose from chance, time, user time"):
        split(timeless, by="date")
    with pytest.raises(ValueError, match="by: 'user time'; choose from chance, time"):
        leave_one_out(timeless, by="user time")


def test_a_part_that_stays_empty_is_an_error_where_it_is_made() -> None:
    events = shop({(0, 0): 1, (0, 1): 2})
    for by in ("chance", "time"):
        with pytest.raises(ValueError, match=r"fractions: \(0.6, 0.2, 0.2\) of 2 events leave "):
            split(events, by=by)
    with pytest.raises(ValueError, match="least: no user has 3 records; the most is 2"):
        leave_one_out(events)
    parts = split(shop({(0, 0): 1, (0, 1): 2}), fractions=(0.5, 0.0, 0.5), by="time")
    assert (len(parts.train), len(parts.development), len(parts.test)) == (1, 0, 1)
