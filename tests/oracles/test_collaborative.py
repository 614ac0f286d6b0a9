"""The recommenders beside RecoNet against computations of their own: loops, brute force."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import shop

from explainrec_lab import baselines

few = settings(max_examples=10, deadline=None)
seeds = st.integers(0, 30)


@few
@given(seeds)
def test_popularity_counts_the_users_of_each_item(seed: int) -> None:
    events = shop(seed).interactions
    counts = [len({u for u, i in zip(events.user, events.item, strict=True) if i == item})
              for item in range(events.n_items)]  # fmt: skip
    for row in baselines.Popularity().scores(events):
        assert row.tolist() == counts


@few
@given(seeds, st.sampled_from([1.0, 20.0]), st.sampled_from([0.3, 1.0]))
def test_demographic_popularity_against_counting(seed: int, strength: float, trust: float) -> None:
    events = shop(seed).interactions
    events = events.select(events.user != 0)
    taken = events.matrix.toarray()
    active = taken.sum(axis=1) > 0
    found = baselines.DemographicPopularity(strength, trust).scores(events)
    for user in range(events.n_users):
        for item in range(events.n_items):
            p = (taken[:, item].sum() + 0.5) / (active.sum() + 1)
            log_score = math.log(p)
            for name in events.user_features.of(user):
                alike = [
                    v
                    for v in range(events.n_users)
                    if active[v] and name in events.user_features.of(v)
                ]
                among = sum(taken[v, item] for v in alike)
                log_score += trust * math.log((among + strength * p) / (len(alike) + strength) / p)
            assert found[user, item] == pytest.approx(log_score, rel=1e-4, abs=1e-5)
