"""Ranking scores against brute force on random scores and over all orders of tied items; what may
not be recommended, and that no id has an advantage."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise, permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy import ndarray
from scipy import sparse

from explainrec_lab.evaluate import ranking as module
from explainrec_lab.evaluate.ranking import (
    auc,
    mean_recall,
    recall_at_k,
    top_k,
    top_k_of,
)

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


@few
@given(seeds, st.booleans(), st.integers(1, 3), st.integers(1, USERS * ITEMS))
def test_some_users_at_a_time_get_the_lists_of_all_at_once(
    seed: int, tied: bool, k: int, most: int
) -> None:
    scores, _, excluded = draw(seed, tied)
    excluded[:, :3] = False  # three are left for everybody
    at_once, asked = torch.from_numpy(scores), list[int]()

    def score(users: ndarray) -> torch.Tensor:
        asked.append(len(users))
        return at_once[users].clone()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_SCORES", most)
        found = top_k_of(score, k, as_sparse(excluded))
    assert torch.equal(found, top_k(at_once.clone(), k, as_sparse(excluded)))
    assert max(asked) * ITEMS <= max(most, ITEMS)


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


# --------------------------------------------------------------------------- ties


LEVELS = [-np.inf, -1.0, -0.0, 0.0, 2.0, np.inf]


@st.composite
def tied(draw: Callable[..., ndarray], users: int = 3, items: int = 5) -> tuple[ndarray, ...]:
    """Scores of few levels, infinite ones too; relevant and excluded items, which may meet. Each
    user keeps an item, and one has something to find."""
    flags = st.lists(st.booleans(), min_size=users * items, max_size=users * items)
    level = st.lists(st.sampled_from(LEVELS), min_size=users * items, max_size=users * items)
    scores, relevant, excluded = (
        np.array(draw(each)).reshape(users, items) for each in (level, flags, flags)
    )
    excluded[:, draw(st.integers(0, items - 1))] = False
    relevant[0, ~excluded[0]] = True
    return scores, relevant, excluded


def all_orders(scores: ndarray, excluded: ndarray) -> list[tuple[int, ...]]:
    """Every order of one user's open items in which no score rises."""
    free = np.flatnonzero(~excluded).tolist()
    return [
        order
        for order in permutations(free)
        if all(scores[a] >= scores[b] for a, b in pairwise(order))
    ]


@few
@given(tied())
def test_recall_is_the_mean_over_all_orders_of_the_ties(case: tuple[ndarray, ...]) -> None:
    scores, relevant, excluded = case
    k = int((~excluded).sum(axis=1).min())
    each = []
    for s, good, out in zip(scores, relevant & ~excluded, excluded, strict=True):
        if good.any():
            found = np.array([good[list(order)][:k] for order in all_orders(s, out)])
            each.append(found.mean(axis=0).cumsum() / good.sum())
    ours = mean_recall(torch.from_numpy(scores), k, as_sparse(relevant), as_sparse(excluded))
    np.testing.assert_allclose(ours, np.mean(each, axis=0), atol=1e-12)


@few
@given(tied())
def test_auc_is_the_mean_over_all_orders_of_the_ties(case: tuple[ndarray, ...]) -> None:
    scores, relevant, excluded = case
    ours = auc(torch.from_numpy(scores), as_sparse(relevant), as_sparse(excluded))
    for value, s, good, out in zip(ours, scores, relevant & ~excluded, excluded, strict=True):
        bad = ~good & ~out
        if good.any() and bad.any():
            orders = [np.argsort(order) for order in all_orders(s, out)]
            place = np.full((len(orders), len(s)), -1)
            place[:, ~out] = orders
            wins = place[:, good][:, :, None] < place[:, bad][:, None]
            assert value == pytest.approx(wins.mean())


@few
@given(tied(), st.permutations(range(5)), st.permutations(range(3)))
def test_other_ids_change_no_score(
    case: tuple[ndarray, ...], items: list[int], users: list[int]
) -> None:
    def said(each: list[ndarray]) -> tuple[ndarray, ndarray]:
        scores, relevant, excluded = each
        k = int((~excluded).sum(axis=1).min())
        given = torch.from_numpy(np.ascontiguousarray(scores)), as_sparse(relevant)
        return mean_recall(given[0], k, given[1], as_sparse(excluded)), auc(*given)

    (recall, area), (renamed, moved) = said(list(case)), said([x[users][:, items] for x in case])
    np.testing.assert_allclose(recall, renamed, atol=1e-12)
    np.testing.assert_allclose(area[users], moved)


@few
@given(tied())
def test_recall_at_k_is_the_same_whichever_k_was_asked_for(case: tuple[ndarray, ...]) -> None:
    scores, relevant, excluded = case
    most = int((~excluded).sum(axis=1).min())
    given_scores, *masks = torch.from_numpy(scores), as_sparse(relevant), as_sparse(excluded)
    whole = mean_recall(given_scores, most, *masks)
    lists = top_k(given_scores, most, masks[1])
    for k in range(1, most + 1):
        np.testing.assert_allclose(mean_recall(given_scores, k, *masks), whole[:k], atol=1e-12)
        assert torch.equal(top_k(given_scores, k, masks[1]), lists[:, :k])


@pytest.mark.parametrize("value", [0.0, -torch.inf, torch.inf, 7])
def test_who_knows_nothing_scores_what_chance_scores(value: float) -> None:
    """In a catalogue sorted by popularity, around the sizes at which torch changes its sort."""
    n, rng = 640, np.random.default_rng(0)
    popular = rng.random((40, n)) < 20 / np.arange(20, n + 20)
    excluded = np.arange(n) % 4 == 0
    scores, relevant = torch.full((40, n), value), as_sparse(popular)
    for k in (1, 9, 10, 11, 300):
        assert mean_recall(scores, k, relevant)[-1] == pytest.approx(k / n)
        open_ones = mean_recall(scores, k, relevant, as_sparse(np.tile(excluded, (40, 1))))
        assert open_ones[-1] == pytest.approx(k / (~excluded).sum())
    np.testing.assert_allclose(auc(scores, relevant), 0.5)


@few
@given(tied(), st.integers(0, 3))
def test_a_list_holds_the_best_open_items_once(case: tuple[ndarray, ...], seed: int) -> None:
    scores, _, excluded = case
    k = int((~excluded).sum(axis=1).min())
    lists = top_k(torch.from_numpy(scores), k, as_sparse(excluded), seed)
    for user, (row, s, out) in enumerate(zip(lists.tolist(), scores, excluded, strict=True)):
        assert len(set(row)) == k
        assert not out[row].any()
        assert s[row].tolist() == sorted(s[~out], reverse=True)[:k]
        alone = torch.from_numpy(s[None]), k, as_sparse(out[None]), seed
        assert top_k(*alone)[0].tolist() == lists[user].tolist()


def test_lots_are_fair_and_those_of_the_seed() -> None:
    """Three items tie for two places behind a better one; an excluded one is lower than all."""
    scores = torch.tensor([[1.0, 1.0, 5.0, 1.0, 9.0, -torch.inf]])
    excluded = as_sparse(np.eye(6)[[4]])
    lists = [tuple(top_k(scores, 3, excluded, seed)[0].tolist()) for seed in range(600)]
    assert {row[0] for row in lists} == {2}
    counts = [lists.count((2, a, b)) for a, b in permutations((0, 1, 3), 2)]
    assert sum(counts) == 600
    assert max(abs(count - 100) for count in counts) < 40
    assert torch.equal(top_k(scores, 3, excluded), top_k(scores, 3, excluded, seed=0))


def test_whole_numbers_are_ranked_as_they_are() -> None:
    """2^24 + 1 is 2^24 in single precision."""
    scores = torch.tensor([[2**24, 2**24 + 1, 0]])
    excluded = as_sparse(np.array([[0, 0, 1]]))
    assert all(top_k(scores, 2, excluded, seed).tolist() == [[1, 0]] for seed in range(4))
    assert top_k(torch.tensor([[False, True]]), 1).tolist() == [[1]]
    assert auc(scores, as_sparse(np.array([[0, 1, 0]]))).tolist() == [1.0]


def test_scores_with_a_gradient_are_ranked() -> None:
    scores = torch.tensor([[0.1, 0.4, 0.2]], requires_grad=True)
    second = as_sparse(np.array([[0, 0, 1]]))
    assert top_k(scores, 2).tolist() == [[1, 2]]
    assert mean_recall(scores, 2, second).tolist() == [0.0, 1.0]
    assert auc(scores, second).tolist() == [0.5]


# --------------------------------------------------------------------------- at the door


def test_scores_that_are_not_numbers_are_named() -> None:
    scores = torch.tensor([[0.1, torch.nan, 0.3], [torch.nan, 0.0, -torch.inf]])
    for ask in (lambda: top_k(scores, 1), lambda: auc(scores, as_sparse(np.eye(2, 3)))):
        with pytest.raises(ValueError, match="scores: 2 of 6 are nan"):
            ask()


def test_bad_rankings_are_named() -> None:
    scores = torch.rand(2, 3)
    with pytest.raises(ValueError, match=r"k: 4 is outside 1\.\.3, the items left in row 0"):
        top_k(scores, 4)
    with pytest.raises(ValueError, match="k: 0 is outside"):
        top_k(scores, 0)
    excluded = as_sparse(np.array([[0, 0, 0], [1, 1, 0]]))
    with pytest.raises(
        ValueError, match=r"k: 2 is outside 1\.\.1, the items left in row 1; ask for fewer"
    ):
        top_k(scores, 2, excluded)
    with pytest.raises(ValueError, match=r"exclude: shape \(2, 4\), but scores have \(2, 3\)"):
        top_k(scores, 1, as_sparse(np.zeros((2, 4))))
    for matrices in ({"relevant": excluded}, {"relevant": zeros(2, 3), "exclude": zeros(2, 4)}):
        for ask in (partial(mean_recall, k=1), auc):
            with pytest.raises(ValueError, match=r"shape \(\d, \d\), but scores have"):
                ask(torch.rand(3 if len(matrices) == 1 else 2, 3), **matrices)
    for shape in ((3,), (2, 0), (1, 2, 3)):
        with pytest.raises(ValueError, match=r"scores: shape .*; needs \[user, item\]"):
            top_k(torch.zeros(shape), 1)
    with pytest.raises(ValueError, match="relevant: no user has an item to find; hold some out"):
        mean_recall(scores, 1, excluded, excluded)


@pytest.mark.parametrize(
    ("ranked", "complaint"),
    [
        ([[0, 1], [2, 2]], "ranked: user 1 has an item twice; give each once"),
        ([[0, -1], [2, 1]], r"ranked: item -1 is not in this dataset \(0\.\.2\)"),
        ([[0, 3], [2, 1]], r"ranked: item 3 is not in this dataset \(0\.\.2\)"),
        ([[0.0, 1.0], [2.0, 1.0]], "ranked: ids must be integers"),
        ([[0, 1]], r"ranked: shape \(1, 2\); needs a list for each of 2 users"),
        ([0, 1], r"ranked: shape \(2,\); needs a list for each of 2 users"),
    ],
)
def test_lists_that_are_none_are_named(ranked: list, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        recall_at_k(torch.tensor(ranked), zeros(2, 3))


def zeros(users: int, items: int) -> sparse.csr_array:
    return as_sparse(np.zeros((users, items)))
