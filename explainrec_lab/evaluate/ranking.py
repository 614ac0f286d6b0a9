"""Ranking scores: recall@k and AUC of whole rankings, AUC and NDCG with sampled negatives.

Source: RecoNet, §5.1 (recall@k); SAERS, §4.1 (AUC, NDCG@N, sampling). Nothing here knows a model:
scores come in as a matrix, or as lists of ranked items.

Ids bias nothing. What is said of scores is a mean over all orders of the items that tie, so that a
model that knows nothing scores what chance scores. Only a list must put one of them first: it does
so by lot. Scores may be infinite but not nan, and what is excluded comes back in no list.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy import sparse
from scipy.stats import rankdata
from torch import Tensor

from explainrec_lab.data.contracts import Interactions, check_ids, check_least, require

Scores: TypeAlias = Float[Tensor, "user item"]
Lists: TypeAlias = Int[Tensor, "user k"]
# 0 or 1, [user, item].
Binary: TypeAlias = sparse.csr_array


def top_k(scores: Scores, k: int, exclude: Binary | None = None, seed: int = 0) -> Lists:
    """The k best items of each user, best first, without the excluded ones.

    Ties are broken by lot: `seed` draws one order of all items, and in it stand the items that tie,
    whoever asks and for whatever k. So a shorter list is the beginning of a longer one.

    Args:
        exclude: binary `[user, item]`, what may not be recommended (a user's own history). No list
            holds any of it; it may hold an item that scores -inf, behind all others.

    Raises:
        ValueError: matrices of different shapes, a score that is not a number, or k outside
            1..items that are not excluded, of any user: all lists have the same length.
    """
    scores = _open(scores, exclude)
    _check_left(scores, k)
    values, items = scores.topk(min(k + 1, scores.shape[1]))
    tied = (values[:, 1:] == values[:, :-1]).any(dim=1)
    lot = torch.randperm(scores.shape[1], generator=torch.Generator().manual_seed(seed))
    order = lot.argsort(descending=True).to(scores.device)
    place = scores[tied][:, order].argsort(dim=1, descending=True, stable=True)
    items[tied] = order[place[:, : items.shape[1]]]
    return items[:, :k]


# Scores of so many users and items lie in memory together, in single precision: 256 MB.
MOST_SCORES = 2**26


def top_k_of(score: Callable[[ndarray], Scores], k: int, exclude: Binary) -> Lists:
    """`top_k` of all users whose scores are computed some users at a time: the same lists.

    Args:
        score: users -> the scores of all items for them, `[user, item]`.
        exclude: see `top_k`; it says how many users there are.

    Raises:
        ValueError: see `top_k`.
    """
    n_users, n_items = exclude.shape
    some = max(1, MOST_SCORES // max(n_items, 1))
    parts = np.split(np.arange(n_users), range(some, n_users, some))
    return torch.cat([top_k(score(some), k, exclude[some]) for some in parts])


def _open(scores: Scores, exclude: Binary | None = None, relevant: Binary | None = None) -> Scores:
    """Scores that are -inf where an item is excluded, and only there; all fit together."""
    shape = tuple(scores.shape)
    require(len(shape) == 2 and shape[1], f"scores: shape {shape}; needs [user, item], with items")
    for name, matrix in (("exclude", exclude), ("relevant", relevant)):
        given = shape if matrix is None else matrix.shape
        require(given == shape, f"{name}: shape {given}, but scores have {shape}")
    bad = int(scores.isnan().sum()) if scores.amin(dim=1).isnan().any() else 0
    require(not bad, f"scores: {bad} of {scores.numel()} are nan; did the training diverge?")
    scores = scores.detach() if scores.dtype == torch.float32 else scores.detach().double()
    scores = scores.clamp(min=torch.finfo(scores.dtype).min)  # the lowest that is not excluded
    if exclude is not None:
        scores[exclude.nonzero()] = -torch.inf
    return scores


def _check_left(scores: Scores, k: int) -> None:
    """Raise a ValueError unless k items are left for everybody."""
    left = np.count_nonzero((scores > -torch.inf).cpu().numpy(), axis=1)
    if not 1 <= k <= left.min(initial=scores.shape[1]):
        most = f"1..{left.min()}, the items left in row {left.argmin()}"
        raise ValueError(f"k: {k} is outside {most}; ask for fewer or exclude fewer")


def recall_at_k(ranked: Lists, relevant: Binary) -> Float[ndarray, "user k"]:
    """Share of each user's relevant items among her first 1, 2, ..., k ranked ones.

    Column k-1 is recall@k. A user without relevant items has no recall: nan, so take `nanmean`.
    A list has no ties any more; of scores that may tie ask `mean_recall`.

    Raises:
        ValueError: not one list a user, an item outside the catalogue (-1 is one), or an item that
            stands in a list twice.

    Source: RecoNet, §5.1.
    """
    (users, n_items), shape = relevant.shape, tuple(ranked.shape)
    wanted = f"needs a list for each of {users} users, [user, k]"
    require(len(shape) == 2 and shape[0] == users, f"ranked: shape {shape}; {wanted}")
    items = check_ids("ranked", ranked.cpu().numpy(), n_items, "item")
    for user in np.flatnonzero((np.diff(np.sort(items, axis=1)) == 0).any(axis=1)):
        raise ValueError(f"ranked: user {user} has an item twice; give each once")
    hits = np.take_along_axis(relevant.toarray(), items, axis=1) != 0
    return _recall(hits, np.asarray((relevant != 0).sum(axis=1)))


def _recall(hits: ndarray, count: ndarray) -> Float[ndarray, "user k"]:
    return hits.cumsum(axis=1) / np.where(count > 0, count, np.nan)[:, None]


def mean_recall(
    scores: Scores, k: int, relevant: Binary, exclude: Binary | None = None
) -> Float[ndarray, " k"]:
    """recall@1, ..., recall@k, averaged over the users that have relevant items.

    Ties are shared: the value is the mean over all orders of the items that tie.

    Args:
        relevant: binary `[user, item]`, what was held out; none of it counts that is excluded.
        exclude: see `top_k`.

    Raises:
        ValueError: as `top_k`; or no user has a relevant item.
    """
    scores = _open(scores, exclude, relevant)
    good = torch.from_numpy(relevant.toarray() != 0).to(scores.device) & (scores > -torch.inf)
    _check_left(scores, k)
    values, items = scores.topk(k)
    # A place holds a share of the relevant items: their share among all that have its score.
    group = F.pad(values[:, 1:] < values[:, :-1], (1, 0)).cumsum(dim=1)
    hits, ones = good.gather(1, items).double(), torch.ones_like(values, dtype=torch.float64)
    found, size = (torch.zeros_like(ones).scatter_add(1, group, each) for each in (hits, ones))
    hits = (found / size).gather(1, group)
    # The last score may go on behind the list.
    last = values[:, -1:]
    level = scores == last
    share = (level & good).sum(dim=1, keepdim=True).double() / level.sum(dim=1, keepdim=True)
    hits = torch.where(values == last, share, hits)
    count = np.count_nonzero(good.cpu().numpy(), axis=1)
    require(count.any(), "relevant: no user has an item to find; hold some out")
    return np.nanmean(_recall(hits.cpu().numpy(), count), axis=0)


def auc(scores: Scores, relevant: Binary, exclude: Binary | None = None) -> Float[ndarray, " user"]:
    """Chance that a relevant item outscores an irrelevant one; ties count half.

    Args:
        exclude: items that are neither (the user's training history).

    Returns:
        One value a user; nan where she has no relevant or no irrelevant item.

    Raises:
        ValueError: matrices of different shapes, or a score that is not a number.

    Source: SAERS, §4.1.
    """
    scores = _open(scores, exclude, relevant)
    open_ones = (scores > -torch.inf).cpu().numpy()
    good = (relevant.toarray() != 0) & open_ones
    ranks = (rankdata(scores.cpu(), axis=1) * good).sum(axis=1)  # excluded items are last
    n, m = good.sum(axis=1), (open_ones & ~good).sum(axis=1)
    least = n * (scores.shape[1] - m - n) + n * (n + 1) / 2
    return (ranks - least) / np.where(n * m > 0, n * m, np.nan)


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
        negatives: int64 `[contest, negative]`, all different, the positive not among them.
    """

    user: Int[ndarray, " contest"]
    positive: Int[ndarray, " contest"]
    negatives: Int[ndarray, "contest negative"]


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
    check_least(negatives=negatives, repeats=repeats)
    allowed = np.full(held_out.n_items, candidates is None)
    if candidates is not None:
        allowed[check_ids("candidates", candidates, held_out.n_items, "item")] = True
    events = np.flatnonzero(allowed[held_out.item])
    require(len(events), "held_out: no event of a candidate item, so there is nothing to find")
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
    row = int(left.argmin())
    has = f"user {user[row]} has {left[row]} candidates that she never took"
    require(left[row] >= negatives, f"negatives: {negatives} asked for, but {has}: ask for fewer")
    lots = np.where(free, rng.random(free.shape, dtype=np.float32), 2.0)
    return np.argpartition(lots, negatives - 1, axis=1)[:, :negatives]


def sampled_auc(scores: Scores, drawn: Contests) -> Float[ndarray, " contest"]:
    """Share of the negatives that the held-out item outscores; ties count half.

    Source: SAERS, §4.1.
    """
    above, tied = _beaten_by(scores, drawn)
    return 1 - (above + tied / 2) / drawn.negatives.shape[1]


def sampled_ndcg(scores: Scores, drawn: Contests, N: int) -> Float[ndarray, "contest N"]:
    """NDCG@1, ..., NDCG@N of the held-out item among its negatives.

    With one relevant item it is 1 / log2(rank + 1) within the first N and 0 behind. Tied items
    stand in random order: the value is the mean over all orders.

    Raises:
        ValueError: N outside 1..negatives + 1.

    Source: SAERS, §4.1.
    """
    size = drawn.negatives.shape[1] + 1
    require(1 <= N <= size, f"N: {N} is outside 1..{size}, the items of a contest")
    above, tied = _beaten_by(scores, drawn)
    gains = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, N + 2)))])
    cut = np.arange(1, N + 1)
    first, last = (np.minimum(edge[:, None], cut) for edge in (above, above + tied + 1))
    return (gains[last] - gains[first]) / (tied + 1)[:, None]


def _beaten_by(scores: Scores, drawn: Contests) -> tuple[Int[ndarray, " contest"], ...]:
    """How many negatives score higher than the held-out item, and how many the same."""
    values = _open(scores).cpu()
    check_ids("contests.user", drawn.user, values.shape[0], "user")
    for name in ("positive", "negatives"):
        check_ids(f"contests.{name}", getattr(drawn, name), values.shape[1], "item")
    user = torch.from_numpy(drawn.user)
    own = values[user, torch.from_numpy(drawn.positive)][:, None]
    others = values[user[:, None], torch.from_numpy(drawn.negatives)]
    return (others > own).sum(dim=1).numpy(), (others == own).sum(dim=1).numpy()
