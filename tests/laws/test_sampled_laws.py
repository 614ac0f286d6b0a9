"""Sampled ranking scores against brute force, the exact scores they estimate, and bad input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import shop

from explainrec_lab.data import leave_one_out
from explainrec_lab.evaluate.ranking import Contests, auc, contests, sampled_auc, sampled_ndcg

few = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 30)


def drawn(seed: int, negatives: int = 3, repeats: int = 200) -> tuple[Contests, np.ndarray]:
    """Contests of a random shop, and which items each user took, bool `[user, item]`."""
    everything = shop(seed, items=14, share=0.3).interactions
    parts = leave_one_out(everything, seed)
    some = contests(parts.test, everything, negatives=negatives, repeats=repeats, seed=seed)
    return some, everything.matrix.toarray() > 0


@few
@given(seeds)
def test_negatives_are_different_items_that_the_user_never_took(seed: int) -> None:
    some, taken = drawn(seed)
    for user, positive, negatives in zip(some.user, some.positive, some.negatives, strict=True):
        assert taken[user, positive]
        assert not taken[user, negatives].any()
        assert len(set(negatives.tolist())) == len(negatives)


def test_every_free_item_is_drawn_equally_often() -> None:
    some, taken = drawn(3, repeats=6000)
    for user in np.unique(some.user)[:3]:
        rows = some.negatives[some.user == user]
        counts = np.bincount(rows.ravel(), minlength=taken.shape[1])[taken[user] == 0]
        expected = rows.size / len(counts)
        assert np.abs(counts - expected).max() < 5 * expected**0.5


@few
@given(seeds, st.booleans())
def test_sampled_scores_are_those_of_the_random_order_of_ties(seed: int, tied: bool) -> None:
    some, taken = drawn(seed, repeats=10)
    rng = np.random.default_rng(seed)
    scores = rng.integers(3, size=taken.shape) if tied else rng.random(taken.shape)
    values = torch.from_numpy(scores.astype(np.float64))
    ours, ndcg = sampled_auc(values, some), sampled_ndcg(values, some, 4)
    for c in range(len(some.user)):
        own, others = scores[some.user[c], some.positive[c]], some.negatives[c]
        rivals = scores[some.user[c], others]
        assert ours[c] == pytest.approx(np.mean((own > rivals) + 0.5 * (own == rivals)))
        above, ties = int((rivals > own).sum()), int((rivals == own).sum())
        for N in range(1, 5):
            ranks = [above + 1 + extra for extra in range(ties + 1)]
            gains = [1 / np.log2(rank + 1) if rank <= N else 0.0 for rank in ranks]
            assert ndcg[c, N - 1] == pytest.approx(np.mean(gains))


def test_the_sampled_auc_is_on_average_the_exact_one() -> None:
    parts = leave_one_out(shop(1, users=30, items=40).interactions, 0)
    everything = shop(1, users=30, items=40).interactions
    scores = torch.from_numpy(np.random.default_rng(0).random((30, 40)))
    known = everything.matrix - parts.test.matrix
    known.eliminate_zeros()
    exact = np.nanmean(auc(scores, parts.test.matrix, known))
    some = contests(parts.test, everything, negatives=5, repeats=6000)
    assert sampled_auc(scores, some).mean() == pytest.approx(exact, abs=0.01)


def test_candidates_are_the_only_items_that_take_part() -> None:
    everything = shop(2, items=30, share=0.2).interactions
    parts = leave_one_out(everything, 0)
    cold = np.arange(0, 30, 2)
    some = contests(parts.test, everything, negatives=1, repeats=50, candidates=cold)
    assert set(some.positive) <= set(cold)
    assert set(some.negatives.ravel()) <= set(cold)


def test_users_take_turns() -> None:
    some, _ = drawn(5, repeats=120)
    counts = np.bincount(some.user)
    assert counts[counts > 0].max() - counts[counts > 0].min() <= 1


def test_bad_contests_are_named() -> None:
    everything = shop().interactions
    parts = leave_one_out(everything, 0)
    for name, number in itertools.product(("negatives", "repeats"), (0, -1)):
        with pytest.raises(ValueError, match=f"{name}: {number} must be at least 1"):
            contests(parts.test, everything, **{name: number})
    with pytest.raises(ValueError, match=r"negatives: 9 asked for, but user \d+ has \d+ cand"):
        contests(parts.test, everything, negatives=9, repeats=20)
    with pytest.raises(ValueError, match="candidates: item 99 is not in this dataset"):
        contests(parts.test, everything, candidates=[99])
    with pytest.raises(ValueError, match="no event of a candidate item"):
        contests(parts.test, everything, candidates=np.zeros(0, int))


def test_scores_that_do_not_fit_the_contests_are_named() -> None:
    some, taken = drawn(0, repeats=5)
    with pytest.raises(ValueError, match=r"scores: shape \(3,\); needs \[user, item\]"):
        sampled_auc(torch.zeros(3), some)
    with pytest.raises(ValueError, match=r"contests.user: user \d+ is not in this dataset"):
        sampled_auc(torch.zeros(1, taken.shape[1]), Contests(some.user + 1, *unpack(some)))
    with pytest.raises(ValueError, match="scores: 168 of 168 are nan"):
        sampled_auc(torch.full(taken.shape, torch.nan), some)
    with pytest.raises(ValueError, match=r"N: 9 is outside 1\.\.4"):
        sampled_ndcg(torch.zeros(*taken.shape), some, 9)


def unpack(some: Contests) -> tuple[np.ndarray, np.ndarray]:
    return some.positive, some.negatives
