"""Ranking scores against brute force on random scores, and what may not be recommended."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy import ndarray
from scipy import sparse

from explainrec_lab.evaluate.ranking import auc, recall_at_k, top_k

few = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 10_000)
USERS, ITEMS = 5, 8


def draw(seed: int, tied: bool = False) -> tuple[ndarray, ndarray, ndarray]:
    """Scores, relevant items and excluded items, `[user, item]`; the last two never meet."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(4, size=(USERS, ITEMS)) / 2 if tied else rng.random((USERS, ITEMS))
    fate = rng.random((USERS, ITEMS))
    return scores.astype(np.float64), fate < 0.3, fate > 0.8


def as_sparse(mask: ndarray) -> sparse.csr_array:
    return sparse.csr_array(mask.astype(np.float32))


def ranking(scores: ndarray, excluded: ndarray) -> list[int]:
    """All items of one user that are not excluded, best first."""
    return sorted((j for j in range(ITEMS) if not excluded[j]), key=lambda j: -scores[j])


@few
@given(seeds)
def test_top_k_leaves_out_the_excluded_and_ranks_the_others(seed: int) -> None:
    scores, _, excluded = draw(seed)
    k = int((~excluded).sum(axis=1).min())
    if k == 0:
        return
    ranked = top_k(torch.from_numpy(scores), k, as_sparse(excluded))
    for user in range(USERS):
        assert ranked[user].tolist() == ranking(scores[user], excluded[user])[:k]


def test_top_k_leaves_its_scores_as_they_were() -> None:
    scores, _, excluded = draw(1)
    given_scores = torch.from_numpy(scores.copy())
    top_k(given_scores, 1, as_sparse(excluded))
    assert torch.equal(given_scores, torch.from_numpy(scores))


@few
@given(seeds, st.booleans())
def test_auc_is_the_share_of_pairs_in_the_right_order(seed: int, tied: bool) -> None:
    scores, relevant, excluded = draw(seed, tied)
    ours = auc(torch.from_numpy(scores), as_sparse(relevant), as_sparse(excluded))
    for user in range(USERS):
        good = scores[user][relevant[user] & ~excluded[user]]
        bad = scores[user][~relevant[user] & ~excluded[user]]
        pairs = [(g > b) + 0.5 * (g == b) for g in good for b in bad]
        if pairs:
            assert ours[user] == pytest.approx(np.mean(pairs))
        else:
            assert np.isnan(ours[user])


@few
@given(seeds)
def test_recall_lies_between_0_and_1_and_never_falls(seed: int) -> None:
    scores, relevant, _ = draw(seed)
    ranked = top_k(torch.from_numpy(scores), ITEMS)
    some = relevant.any(axis=1)
    recall = recall_at_k(ranked, as_sparse(relevant))[some]
    assert ((recall >= 0) & (recall <= 1)).all()
    assert (np.diff(recall, axis=1) >= 0).all()
    assert (recall[:, -1] == 1).all()


def test_nothing_relevant_means_no_score() -> None:
    ranked = torch.tensor([[0, 1]])
    nothing = as_sparse(np.zeros((1, 3)))
    assert np.isnan(recall_at_k(ranked, nothing)).all()
    assert np.isnan(auc(torch.rand(1, 3), nothing)).all()


@few
@given(seeds)
def test_a_stored_zero_is_no_entry(seed: int) -> None:
    scores, relevant, excluded = draw(seed)
    excluded[:, 4:] = False
    relevant &= ~excluded
    zeros = [sparse.csr_array(np.ones((USERS, ITEMS), np.float32)) for _ in range(2)]
    for matrix, mask in zip(zeros, (relevant, excluded), strict=True):
        matrix.data[:] = mask.ravel()
    clean, given_scores = [as_sparse(relevant), as_sparse(excluded)], torch.from_numpy(scores)
    ranked = top_k(given_scores, 4, zeros[1])
    assert torch.equal(ranked, top_k(given_scores, 4, clean[1]))
    np.testing.assert_array_equal(recall_at_k(ranked, zeros[0]), recall_at_k(ranked, clean[0]))
    np.testing.assert_array_equal(auc(given_scores, *zeros), auc(given_scores, *clean))
    assert zeros[0].nnz == zeros[1].nnz == USERS * ITEMS, "the caller's own matrices stay"


def test_scores_that_are_not_numbers_are_named() -> None:
    scores = torch.tensor([[0.1, torch.nan, 0.3], [torch.nan, 0.0, -torch.inf]])
    for ask in (lambda: top_k(scores, 1), lambda: auc(scores, as_sparse(np.eye(2, 3)))):
        with pytest.raises(ValueError, match="scores: 2 of 6 are nan"):
            ask()


def test_bad_rankings_are_named() -> None:
    scores = torch.rand(2, 3)
    with pytest.raises(ValueError, match=r"k: 4 is outside 1\.\.3, the number of items"):
        top_k(scores, 4)
    with pytest.raises(ValueError, match="k: 0 is outside"):
        top_k(scores, 0)
    excluded = as_sparse(np.array([[0, 0, 0], [1, 1, 0]]))
    with pytest.raises(ValueError, match="k: 2 is more than the 1 items left for user 1"):
        top_k(scores, 2, excluded)
    with pytest.raises(ValueError, match=r"exclude: shape \(2, 4\), but scores have \(2, 3\)"):
        top_k(scores, 1, as_sparse(np.zeros((2, 4))))
