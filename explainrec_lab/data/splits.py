"""The papers' evaluation protocols as functions of interactions and a seed.

Source: RecoNet, §5 (implicit threshold), §5.1 (60-20-20 split), §5.2 (cold-start users); SAERS,
§4.1 (one record a user held out, twice) and §4.3 (cold items). Both papers draw at random; to ask
how well a model foretells what comes, split by time.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Int
from numpy import ndarray

from explainrec_lab.data.contracts import Interactions, check_choice, require


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

    Raises:
        ValueError: nothing is left.

    Source: RecoNet, §5.
    """
    value = interactions.value
    positive = np.flatnonzero(value >= np.float32(threshold))
    known = f", whose values are {value.min():g} to {value.max():g}" if len(value) else ""
    require(len(positive), f"threshold: {threshold} keeps none of {len(value)} events{known}")
    order = positive[np.argsort(interactions.time[positive], kind="stable")]
    pair = interactions.user[order] * interactions.n_items + interactions.item[order]
    _, first = np.unique(pair, return_index=True)
    return interactions.select(np.sort(order[first]))


def split(
    interactions: Interactions,
    seed: int = 0,
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
    by: str = "chance",
) -> Split:
    """Training, development and test events.

    Args:
        by: 'chance' draws events. 'time' cuts at two moments, the same for all users: training is
            strictly before development, development before test. Events of one time stay
            together; the parts are the nearest to `fractions` that this allows. 'user time' cuts
            the events of each user: what she has in training is never later than what she has in
            development, nor that than her test. Where such events have the same time, the seed
            decides. A user keeps at least one event for training, unless `fractions` has none.

    Raises:
        ValueError: fractions that are not three, are negative or do not sum to 1; a part that is
            empty though it has a fraction; an unknown `by`, or one by time where all times are the
            same; repeated (user, item) pairs (they would leak from training into test).

    Source: RecoNet, §5.1 (by chance).
    """
    check_fractions(fractions)
    _check(interactions, by, ("chance", "time", "user time"))
    shares, rng, count = np.cumsum(fractions[:2]), np.random.default_rng(seed), len(interactions)
    if by == "user time":
        owner = interactions.user
        place = rank_within(owner, rng.random(count), interactions.time)
        mine = np.bincount(owner)[owner]
        ends = np.maximum(np.round(shares[:, None] * mine), fractions[0] > 0)
    elif by == "time":
        order = np.sort(interactions.time)
        place = np.searchsorted(order, interactions.time)  # where the events of its time begin
        edges = np.append(np.unique(place), count)
        ends = edges[np.abs(edges - shares[:, None] * count).argmin(axis=1)]
    else:
        place = np.argsort(rng.permutation(count))
        ends = np.round(shares * count)
    number = (place >= ends[0]).astype(int) + (place >= ends[1])
    parts = [interactions.select(number == part) for part in range(3)]
    names = ("train", "development", "test")
    for name, share, part in zip(names, fractions, parts, strict=True):
        if share and not len(part):
            raise ValueError(f"fractions: {fractions} of {count} events leave {name} empty")
    return Split(parts[0], parts[1], parts[2])


def cold_start(parts: Split, fraction: float = 0.1, seed: int = 0) -> Split:
    """Turn a share of the test users into users without history.

    Their events leave `train` and `development`; `test` stays as it was, and `cold_users` lists
    them. Their user features stay: that is all a model knows of them.

    Raises:
        ValueError: a fraction outside 0..1.

    Source: RecoNet, §5.2.
    """
    require(0 <= fraction <= 1, f"fraction: {fraction} is outside 0..1")
    users = np.unique(parts.test.user)
    count = round(fraction * len(users))
    cold = np.sort(np.random.default_rng(seed).choice(users, count, replace=False))
    seen = (parts.train, parts.development)
    train, development = (part.select(~np.isin(part.user, cold)) for part in seen)
    return Split(train, development, parts.test, cold)


def leave_one_out(
    interactions: Interactions, seed: int = 0, least: int = 3, by: str = "chance"
) -> Split:
    """One record a user for development, another for test, the others for training.

    Args:
        by: 'chance' draws them; 'time' takes the last for test, the one before for development
            (of records of the same time, the seed decides which is later).
        least: users with fewer records hold nothing out; all they have is training. (The paper
            discards users with fewer than 5.)

    Raises:
        ValueError: `least` below 3 (a user would be left without training), or above what any user
            has; an unknown `by`, or 'time' where all times are the same; repeated (user, item)
            pairs.

    Source: SAERS, §4.1.
    """
    require(least >= 3, f"least: {least} must be at least 3, one record a part")
    _check(interactions, by, ("chance", "time"))
    mine = np.bincount(interactions.user)[interactions.user]
    most = mine.max(initial=0)
    require(most >= least, f"least: no user has {least} records; the most is {most}")
    lot = np.random.default_rng(seed).random(len(interactions))
    if by == "chance":
        rank = rank_within(interactions.user, lot)
    else:
        late = mine - 1 - rank_within(interactions.user, lot, interactions.time)
        rank = np.where(late < 2, 1 - late, late)
    rank[mine < least] = 2
    train, development, test = map(interactions.select, (rank >= 2, rank == 0, rank == 1))
    return Split(train, development, test)


def cold_items(parts: Split) -> Int[ndarray, " cold"]:
    """Items that nobody bought in the training data, ascending. Source: SAERS, §4.3."""
    return np.setdiff1d(np.arange(parts.train.n_items), parts.train.item)


def rank_within(owner: Int[ndarray, " event"], *keys: ndarray) -> Int[ndarray, " event"]:
    """0, 1, 2, ... among the events of each owner, by the last key, then by the one before it; as
    they stand, without keys."""
    ordered = pd.Series(owner)[np.lexsort((*keys, owner))]
    return ordered.groupby(ordered).cumcount().sort_index().to_numpy(copy=True)


def check_fractions(fractions: tuple[float, ...]) -> None:
    """Raise a ValueError unless these are three shares of a whole."""
    right = len(fractions) == 3 and min(fractions) >= 0 and abs(sum(fractions) - 1) <= 1e-9
    require(right, f"fractions: {fractions} must be three, non-negative, and sum to 1")


def _check(events: Interactions, by: str, known: tuple[str, ...]) -> None:
    """ValueError for an unknown way to split, one by time for events without times, or repeated
    (user, item) pairs, which would leak from training into test."""
    repeats = len(events) - events.matrix.nnz
    told = f"{repeats} repeated user-item pairs; call implicit() first"
    require(not repeats, f"interactions: {told}")
    check_choice("by", by, known)
    if by != "chance" and len(times := np.unique(events.time)) < 2:
        told = f"all {len(events)} events have the time {times[0]}" if len(times) else "no events"
        raise ValueError(f"by: {by!r} needs times, but {told}; from_frames(time=...) names them")
