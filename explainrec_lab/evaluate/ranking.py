"""Ranking scores: recall@k, NDCG@k and AUC, per user, against held-out items.

Source: RecoNet, §5.1 (recall@k); SAERS, §4.1 (AUC, NDCG@N). Nothing here knows a model: scores
come in as a matrix, or as lists of ranked items.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy import sparse
from scipy.stats import rankdata
from torch import Tensor


def top_k(
    scores: Float[Tensor, "user item"], k: int, exclude: sparse.csr_array | None = None
) -> Int[Tensor, "user k"]:
    """The k best items of each user, best first, without the excluded ones.

    Args:
        exclude: binary `[user, item]`, what may not be recommended (a user's own history).

    Raises:
        ValueError: k outside 1..items, or more than a user's items that are not excluded; a score
            that is not a number.
    """
    _check_numbers(scores)
    if not 1 <= k <= scores.shape[1]:
        raise ValueError(f"k: {k} is outside 1..{scores.shape[1]}, the number of items")
    if exclude is not None:
        exclude = _entries(exclude)
        left = _left(scores, exclude)
        if left.min(initial=k) < k:
            user = int(left.argmin())
            raise ValueError(f"k: {k} is more than the {left[user]} items left for user {user}")
        rows = np.repeat(np.arange(exclude.shape[0]), np.diff(exclude.indptr))
        place = (torch.from_numpy(rows), torch.from_numpy(exclude.indices.astype(np.int64)))
        minus_infinity = torch.tensor(-torch.inf, dtype=scores.dtype, device=scores.device)
        scores = scores.index_put(tuple(index.to(scores.device) for index in place), minus_infinity)
    return scores.topk(k).indices


def _check_numbers(scores: Float[Tensor, "user item"]) -> None:
    missing = scores.isnan()
    if missing.any():
        count = int(missing.sum())
        raise ValueError(f"scores: {count} of {scores.numel()} are nan; did the training diverge?")


def _entries(matrix: sparse.csr_array) -> sparse.csr_array:
    """The same matrix without stored zeros, which `indices` and `indptr` would count."""
    if np.all(matrix.data):
        return matrix
    matrix = matrix.copy()
    matrix.eliminate_zeros()
    return matrix


def _left(scores: Float[Tensor, "user item"], exclude: sparse.csr_array) -> Int[ndarray, " user"]:
    """How many items of each user are not excluded."""
    if exclude.shape != tuple(scores.shape):
        raise ValueError(f"exclude: shape {exclude.shape}, but scores have {tuple(scores.shape)}")
    return scores.shape[1] - np.diff(exclude.indptr)


def hits(ranked: Int[Tensor, "user k"], relevant: sparse.csr_array) -> Float[ndarray, "user k"]:
    """1 where a ranked item is in the user's relevant set, else 0."""
    items, relevant = ranked.cpu().numpy(), _entries(relevant)
    columns = relevant.shape[1]
    owners = np.repeat(np.arange(len(items)), np.diff(relevant.indptr))
    pairs = np.sort(owners * columns + relevant.indices)
    asked = np.arange(len(items))[:, None] * columns + items
    if not len(pairs):
        return np.zeros(items.shape)
    place = np.searchsorted(pairs, asked).clip(max=len(pairs) - 1)
    return (pairs[place] == asked).astype(np.float64)


def recall_at_k(
    ranked: Int[Tensor, "user k"], relevant: sparse.csr_array
) -> Float[ndarray, "user k"]:
    """Share of each user's relevant items among her first 1, 2, ..., k ranked ones.

    Column k-1 is recall@k. A user without relevant items has no recall: nan, so take `nanmean`.

    Source: RecoNet, §5.1.
    """
    relevant = _entries(relevant)
    count = np.diff(relevant.indptr).astype(np.float64)
    return hits(ranked, relevant).cumsum(axis=1) / np.where(count > 0, count, np.nan)[:, None]


def mean_recall(
    scores: Float[Tensor, "user item"],
    k: int,
    relevant: sparse.csr_array,
    exclude: sparse.csr_array | None = None,
) -> Float[ndarray, " k"]:
    """recall@1, ..., recall@k, averaged over the users that have relevant items.

    Args:
        relevant: binary `[user, item]`, what was held out. exclude: see `top_k`.
    """
    return np.nanmean(recall_at_k(top_k(scores, k, exclude), relevant), axis=0)


def ndcg_at_k(
    ranked: Int[Tensor, "user k"], relevant: sparse.csr_array
) -> Float[ndarray, "user k"]:
    """Normalised discounted cumulative gain of the first 1, 2, ..., k ranked items.

    Gain 1 for a relevant item, discount 1 / log2(rank + 1); nan without relevant items.

    Source: SAERS, §4.1.
    """
    discount = 1 / np.log2(np.arange(2, ranked.shape[1] + 2))
    gained = (hits(ranked, relevant) * discount).cumsum(axis=1)
    count = np.diff(_entries(relevant).indptr)
    ideal = np.cumsum(discount)[
        np.minimum(count[:, None], np.arange(1, ranked.shape[1] + 1)).clip(1) - 1
    ]
    return np.where(count[:, None] > 0, gained / ideal, np.nan)


def auc(
    scores: Float[Tensor, "user item"],
    relevant: sparse.csr_array,
    exclude: sparse.csr_array | None = None,
) -> Float[ndarray, " user"]:
    """Chance that a relevant item outscores an irrelevant one; ties count half.

    Args:
        exclude: items that are neither (the user's training history).

    Returns:
        One value a user; nan where she has no relevant or no irrelevant item.

    Raises:
        ValueError: a score that is not a number.

    Source: SAERS, §4.1.
    """
    _check_numbers(scores)
    relevant = _entries(relevant)
    exclude = exclude if exclude is None else _entries(exclude)
    result = np.full(len(scores), np.nan)
    for user, row in enumerate(scores.cpu().numpy()):
        candidate = np.ones(len(row), bool)
        if exclude is not None:
            candidate[exclude.indices[exclude.indptr[user] : exclude.indptr[user + 1]]] = False
        positive = np.zeros(len(row), bool)
        positive[relevant.indices[relevant.indptr[user] : relevant.indptr[user + 1]]] = True
        positive = positive[candidate]
        n, m = positive.sum(), (~positive).sum()
        if n and m:
            ranks = rankdata(row[candidate])
            result[user] = (ranks[positive].sum() - n * (n + 1) / 2) / (n * m)
    return result
