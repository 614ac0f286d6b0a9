"""Ranking scores with sampled negatives: one held-out item among 500 that the user never took.

"We randomly select a user, and then randomly sample 500 unrated items at each time and combine
them with the positive item the user likes in the ranking process. We repeated this procedure
10000 times and report the average." Drawn once, the same contests judge every model. Sampling
leaves the expectation of AUC as it is; NDCG@N of 501 items is not that of the whole catalogue.

Source: SAERS, §4.1. Nothing here knows a model: scores come in as a matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from explainrec_lab.data.contracts import Interactions, check_ids

NEGATIVES, REPEATS = 500, 10_000
"""The paper's numbers."""

BLOCK = 128
"""Contests drawn at a time, to bound the memory."""


@dataclass(frozen=True)
class Contests:
    """A held-out item of a user against items that she never took.

    Attributes:
        user, positive: int64 `[contest]`.
        negatives: int64 `[contest, negative]`, all different.
    """

    user: Int[ndarray, " contest"]
    positive: Int[ndarray, " contest"]
    negatives: Int[ndarray, "contest negative"]

    def __len__(self) -> int:
        return len(self.user)


def contests(
    held_out: Interactions,
    known: Interactions,
    *,
    negatives: int = NEGATIVES,
    repeats: int = REPEATS,
    candidates: Any = None,
    seed: int = 0,
) -> Contests:
    """Draw the paper's contests.

    Args:
        held_out: what shall be found.
        known: everything the users are known to have taken beside it: no negative comes from there
            or from `held_out`.
        negatives: items drawn for each contest, without replacement.
        repeats: number of contests. Users come at random, each as often as the others but one.
        candidates: the only items that take part, also as positives (Cold Items); default: all.

    Raises:
        ValueError: nothing to find, numbers below 1, unknown items, or a user with fewer
            candidates than negatives.
    """
    for name, number in (("negatives", negatives), ("repeats", repeats)):
        if number < 1:
            raise ValueError(f"{name}: {number} must be at least 1")
    allowed = _mask(candidates, held_out.n_items)
    events = np.flatnonzero(allowed[held_out.item])
    if not len(events):
        raise ValueError("held_out: no event of a candidate item, so there is nothing to find")
    rng = np.random.default_rng(seed)
    chosen = np.resize(rng.permutation(events), repeats)
    user = held_out.user[chosen]
    taken = sparse.csr_array(held_out.matrix + known.matrix)
    drawn = [
        _draw(user[start : start + BLOCK], taken, allowed, negatives, rng)
        for start in range(0, repeats, BLOCK)
    ]
    return Contests(user, held_out.item[chosen], np.concatenate(drawn))


def _mask(candidates: Any, n_items: int) -> Bool[ndarray, " item"]:
    if candidates is None:
        return np.ones(n_items, bool)
    mask = np.zeros(n_items, bool)
    mask[check_ids("candidates", candidates, n_items, "item")] = True
    return mask


def _draw(
    user: Int[ndarray, " contest"],
    taken: sparse.csr_array,
    allowed: Bool[ndarray, " item"],
    negatives: int,
    rng: np.random.Generator,
) -> Int[ndarray, "contest negative"]:
    """Different items for each contest, uniformly among the allowed ones that she never took."""
    free = (taken[user].toarray() == 0) & allowed
    left = free.sum(axis=1)
    if left.min() < negatives:
        row = int(left.argmin())
        raise ValueError(
            f"negatives: {negatives} asked for, but user {user[row]} has {left[row]} candidates "
            "that she never took: ask for fewer"
        )
    lots = np.where(free, rng.random(free.shape, dtype=np.float32), 2.0)
    return np.argpartition(lots, negatives - 1, axis=1)[:, :negatives]


def sampled_auc(scores: Float[Tensor, "user item"], drawn: Contests) -> Float[ndarray, " contest"]:
    """Share of the negatives that the held-out item outscores; ties count half.

    Source: SAERS, §4.1.
    """
    above, tied = _beaten_by(scores, drawn)
    return 1 - (above + tied / 2) / drawn.negatives.shape[1]


def sampled_ndcg(
    scores: Float[Tensor, "user item"], drawn: Contests, N: int
) -> Float[ndarray, "contest N"]:
    """NDCG@1, ..., NDCG@N of the held-out item among its negatives.

    With one relevant item it is 1 / log2(rank + 1) within the first N and 0 behind. Tied items
    stand in random order: the value is the mean over all orders.

    Raises:
        ValueError: N outside 1..negatives + 1.

    Source: SAERS, §4.1.
    """
    size = drawn.negatives.shape[1] + 1
    if not 1 <= N <= size:
        raise ValueError(f"N: {N} is outside 1..{size}, the items of a contest")
    above, tied = _beaten_by(scores, drawn)
    gains = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, N + 2)))])
    cut = np.arange(1, N + 1)
    first, last = (np.minimum(edge[:, None], cut) for edge in (above, above + tied + 1))
    return (gains[last] - gains[first]) / (tied + 1)[:, None]


def _beaten_by(
    scores: Float[Tensor, "user item"], drawn: Contests
) -> tuple[Int[ndarray, " contest"], Int[ndarray, " contest"]]:
    """How many negatives score higher than the held-out item, and how many the same."""
    if not len(drawn) or scores.ndim != 2:
        raise ValueError(f"scores: shape {tuple(scores.shape)}; needs [user, item]")
    check_ids("contests.user", drawn.user, scores.shape[0], "user")
    check_ids("contests.positive", drawn.positive, scores.shape[1], "item")
    values = scores.detach().cpu()
    if torch.isnan(values).any():
        raise ValueError("scores: nan among them; look at the model's training")
    user = torch.from_numpy(drawn.user)
    own = values[user, torch.from_numpy(drawn.positive)][:, None]
    others = values[user[:, None], torch.from_numpy(drawn.negatives)]
    return (others > own).sum(dim=1).numpy(), (others == own).sum(dim=1).numpy()
