"""Ranking scores: recall@k and AUC of whole rankings, AUC and NDCG with sampled negatives.

Source: RecoNet, §5.1 (recall@k); SAERS, §4.1 (AUC, NDCG@N, sampling). Nothing here knows a model:
scores come in as a matrix, or as lists of ranked items.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy import sparse
from scipy.stats import rankdata
from torch import Tensor

from explainrec_lab.data.contracts import Interactions, check_ids


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
    users, n_items = scores.shape
    if not 1 <= k <= n_items:
        raise ValueError(f"k: {k} is outside 1..{n_items}, the number of items")
    if exclude is not None:
        if exclude.shape != (users, n_items):
            raise ValueError(f"exclude: shape {exclude.shape}, but scores have {(users, n_items)}")
        hidden = exclude.toarray() != 0
        left = n_items - hidden.sum(axis=1)
        if left.min(initial=k) < k:
            user = int(left.argmin())
            raise ValueError(f"k: {k} is more than the {left[user]} items left for user {user}")
        scores = scores.masked_fill(torch.from_numpy(hidden).to(scores.device), -torch.inf)
    return scores.topk(k).indices


def _check_numbers(scores: Float[Tensor, "user item"]) -> None:
    if missing := int(scores.isnan().sum()):
        count = f"{missing} of {scores.numel()}"
        raise ValueError(f"scores: {count} are nan; did the training diverge?")


def recall_at_k(
    ranked: Int[Tensor, "user k"], relevant: sparse.csr_array
) -> Float[ndarray, "user k"]:
    """Share of each user's relevant items among her first 1, 2, ..., k ranked ones.

    Column k-1 is recall@k. A user without relevant items has no recall: nan, so take `nanmean`.

    Source: RecoNet, §5.1.
    """
    hits = np.take_along_axis(relevant.toarray(), ranked.cpu().numpy(), axis=1) != 0
    count = np.asarray((relevant != 0).sum(axis=1), np.float64)
    return hits.cumsum(axis=1) / np.where(count > 0, count, np.nan)[:, None]


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
    good = relevant.toarray() != 0
    takes_part = np.ones(good.shape, bool) if exclude is None else exclude.toarray() == 0
    good &= takes_part
    result = np.full(len(good), np.nan)
    for user, row in enumerate(scores.cpu().numpy()):
        ours = good[user, takes_part[user]]
        n, m = ours.sum(), (~ours).sum()
        if n and m:
            ranks = rankdata(row[takes_part[user]])
            result[user] = (ranks[ours].sum() - n * (n + 1) / 2) / (n * m)
    return result


# --------------------------------------------------------------------------- sampled negatives

# SAERS's numbers: "We randomly select a user, and then randomly sample 500 unrated items at each
# time and combine them with the positive item the user likes in the ranking process. We repeated
# this procedure 10000 times and report the average." Drawn once, the same contests judge every
# model. Sampling leaves the expectation of AUC as it is; NDCG@N of 501 items is not that of the
# whole catalogue.
NEGATIVES, REPEATS = 500, 10_000

# Contests drawn at a time, to bound the memory.
BLOCK = 128


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
    allowed = np.full(held_out.n_items, candidates is None)
    if candidates is not None:
        allowed[check_ids("candidates", candidates, held_out.n_items, "item")] = True
    events = np.flatnonzero(allowed[held_out.item])
    if not len(events):
        raise ValueError("held_out: no event of a candidate item, so there is nothing to find")
    rng = np.random.default_rng(seed)
    chosen = np.resize(rng.permutation(events), repeats)
    user = held_out.user[chosen]
    taken = sparse.csr_array(held_out.matrix + known.matrix)
    blocks = np.split(user, range(BLOCK, repeats, BLOCK))
    drawn = [_draw((taken[some].toarray() == 0) & allowed, some, negatives, rng) for some in blocks]
    return Contests(user, held_out.item[chosen], np.concatenate(drawn))


def _draw(
    free: Bool[ndarray, "contest item"], user: ndarray, negatives: int, rng: np.random.Generator
) -> Int[ndarray, "contest negative"]:
    """Different items for each contest, uniformly among the free ones."""
    left = free.sum(axis=1)
    if left.min() < negatives:
        row = int(left.argmin())
        has = f"user {user[row]} has {left[row]} candidates that she never took"
        raise ValueError(f"negatives: {negatives} asked for, but {has}: ask for fewer")
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
    if scores.ndim != 2:
        raise ValueError(f"scores: shape {tuple(scores.shape)}; needs [user, item]")
    check_ids("contests.user", drawn.user, scores.shape[0], "user")
    check_ids("contests.positive", drawn.positive, scores.shape[1], "item")
    _check_numbers(scores)
    user = torch.from_numpy(drawn.user)
    values = scores.detach().cpu()
    own = values[user, torch.from_numpy(drawn.positive)][:, None]
    others = values[user[:, None], torch.from_numpy(drawn.negatives)]
    return (others > own).sum(dim=1).numpy(), (others == own).sum(dim=1).numpy()
