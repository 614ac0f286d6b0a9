"""The papers' evaluation protocols as functions of interactions and a seed.

Source: RecoNet, §5 (implicit threshold), §5.1 (60-20-20 split), §5.2 (cold-start users); SAERS,
§4.1 (one record a user held out, twice) and §4.3 (cold items).
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from explainrec_lab.data.contracts import Interactions


@dataclass(frozen=True)
class Split:
    """Three disjoint sets of events over the same users, items and features.

    Attributes:
        cold_users: int64 `[cold]`, users whose history was taken out of `train` and `development`.
    """

    train: Interactions
    development: Interactions
    test: Interactions
    cold_users: Int[ndarray, " cold"] = field(default_factory=lambda: np.zeros(0, np.int64))


def implicit(interactions: Interactions, threshold: float) -> Interactions:
    """One-class feedback: keep events with `value >= threshold`, each (user, item) pair once.

    The earliest event of a pair stays. The paper's threshold on MovieLens is 3 (of 5 stars).

    Source: RecoNet, §5.
    """
    positive = np.flatnonzero(interactions.value >= threshold)
    order = positive[np.argsort(interactions.time[positive], kind="stable")]
    pair = interactions.user[order] * interactions.n_items + interactions.item[order]
    _, first = np.unique(pair, return_index=True)
    return interactions.select(np.sort(order[first]))


def split(
    interactions: Interactions,
    seed: int = 0,
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
) -> Split:
    """Random training, development and test events.

    Raises:
        ValueError: fractions that are not three, are negative or do not sum to 1, or repeated
            (user, item) pairs (they would leak from training into test).

    Source: RecoNet, §5.1.
    """
    if len(fractions) != 3 or not (min(fractions) >= 0 and abs(sum(fractions) - 1) <= 1e-9):
        raise ValueError(f"fractions: {fractions} must be three, non-negative, and sum to 1")
    _check_no_repeats(interactions)
    order = np.random.default_rng(seed).permutation(len(interactions))
    first, second = np.round(np.cumsum(fractions[:2]) * len(order)).astype(int)
    parts = np.split(order, [first, second])
    train, development, test = (interactions.select(np.sort(part)) for part in parts)
    return Split(train, development, test)


def cold_start(parts: Split, fraction: float = 0.1, seed: int = 0) -> Split:
    """Turn a share of the test users into users without history.

    Their events leave `train` and `development`; `test` stays as it was, and `cold_users` lists
    them. Their user features stay: that is all a model knows of them.

    Raises:
        ValueError: a fraction outside 0..1.

    Source: RecoNet, §5.2.
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction: {fraction} is outside 0..1")
    users = np.unique(parts.test.user)
    count = round(fraction * len(users))
    cold = np.sort(np.random.default_rng(seed).choice(users, count, replace=False))
    seen = (parts.train, parts.development)
    train, development = (part.select(~np.isin(part.user, cold)) for part in seen)
    return Split(train, development, parts.test, cold)


def leave_one_out(interactions: Interactions, seed: int = 0, least: int = 3) -> Split:
    """One random record a user for development, another for test, the others for training.

    Args:
        least: users with fewer records hold nothing out; all they have is training. (The paper
            discards users with fewer than 5.)

    Raises:
        ValueError: `least` below 3 (a user would be left without training), or repeated
            (user, item) pairs.

    Source: SAERS, §4.1.
    """
    if least < 3:
        raise ValueError(f"least: {least} must be at least 3, one record a part")
    _check_no_repeats(interactions)
    rank = random_rank(interactions.user, np.random.default_rng(seed))
    counts = np.bincount(interactions.user, minlength=interactions.n_users)
    rank[counts[interactions.user] < least] = 2
    parts = (rank >= 2, rank == 0, rank == 1)
    train, development, test = (interactions.select(part) for part in parts)
    return Split(train, development, test)


def cold_items(parts: Split) -> Int[ndarray, " cold"]:
    """Items that nobody bought in the training data, ascending. Source: SAERS, §4.3."""
    return np.setdiff1d(np.arange(parts.train.n_items), parts.train.item)


def random_rank(owner: Int[ndarray, " event"], rng: np.random.Generator) -> Int[ndarray, " event"]:
    """0, 1, 2, ... in random order among the events of each owner."""
    return rank_in_order(owner, np.lexsort((rng.random(len(owner)), owner)))


def rank_in_order(
    owner: Int[ndarray, " event"], order: Int[ndarray, " event"]
) -> Int[ndarray, " event"]:
    """0, 1, 2, ... among the events of each owner, as they stand in `order`.

    Args:
        order: a permutation that brings each owner's events together, owners ascending.
    """
    grouped = owner[order]
    rank = np.empty(len(owner), np.int64)
    rank[order] = np.arange(len(owner)) - np.searchsorted(grouped, grouped)
    return rank


def _check_no_repeats(interactions: Interactions) -> None:
    """Repeated (user, item) pairs would leak from training into test."""
    if repeats := len(interactions) - interactions.matrix.nnz:
        raise ValueError(f"interactions: {repeats} repeated user-item pairs; call implicit() first")
