"""Remove features from profiles and watch the score of a recommendation: is the relevance right?

Source: RecoNet, §5.4, Figures 6 and 7. A feature can leave an average in two ways: the average is
taken over those that are left ('renormalised': what the model does with a shorter profile), or
still divided by the old size ('held': an entry of I_u is set to zero and |FS_u| stays). Both are
here, always named.

For the one-layer model the effect of a removal follows from the relevances alone
(`change_from_relevance`), and falls with their sum: so the k features with the most relevance are
the best k to remove. Item attributes stay when their items go, unless one asks for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from explainrec_lab.data.contracts import check_ids
from explainrec_lab.evaluate.faithfulness import band
from explainrec_lab.reconet.features import FeatureSpace, Sets
from explainrec_lab.reconet.model import RecoNet

AVERAGES = ("renormalised", "held")
"""Over what the average is taken after a removal: the features left, or as many as before."""

ORDERS = ("most", "least", "random")
"""Which features go first: the most relevant, the least relevant, or any."""

BLOCK = 512
"""Profiles scored at a time; changes memory only."""

MOST_SETS = 2_000_000
"""How many removals `best_removal` is ready to try."""


# --------------------------------------------------------------------------- one profile


@torch.no_grad()
def change_of_output(
    model: RecoNet, profile: Sets, item: int, removed: list[int], average: str = "renormalised"
) -> float:
    """Delta y_c = f_c(x | x_k = 0) - f_c(x): the score of `item` without the features `removed`,
    minus the score with them, by running the model twice.

    Raises:
        ValueError: a removed feature that the profile does not hold, or an unknown `average`.

    Source: RecoNet, §5.4.
    """
    black_box = score_of_masks(model, profile, item, average)
    missing = set(removed) - set(profile.ids.tolist())
    if missing:
        raise ValueError(f"removed: {sorted(missing)} are not in the profile; see profile.ids")
    mask = ~torch.isin(profile.ids, torch.tensor(removed, dtype=torch.int64))
    after, before = black_box(torch.stack([mask, torch.ones_like(mask)]).to(model.W.dtype))
    return float(after - before)


def change_from_relevance(
    Z_removed: Float[Tensor, " removal"],
    y: Float[Tensor, " removal"] | float,
    n: Int[Tensor, " removal"] | int,
    k: Int[Tensor, " removal"] | int,
    average: str = "renormalised",
) -> Float[Tensor, " removal"]:
    """The same change for the one-layer model, from the sum of the k removed relevances.

    Held: -sum Z_S. Renormalised: (k y - n sum Z_S) / (n - k). Both fall as sum Z_S grows, so no
    k features lower the score further than the k most relevant.

    Raises:
        ValueError: an unknown `average`, or, renormalised, a removal that leaves nothing.
    """
    _check_choice("average", average, AVERAGES)
    if average == "held":
        return -Z_removed
    if bool((torch.as_tensor(n) <= torch.as_tensor(k)).any()):
        raise ValueError(f"k: {k} of n = {n} features leave nothing to average; choose k < n")
    return (k * y - n * Z_removed) / (n - k)


def score_of_masks(
    model: RecoNet,
    profile: Sets,
    item: int,
    average: str = "renormalised",
    probability: bool = False,
) -> Callable[[Float[Tensor, "sample n"]], Float[Tensor, " sample"]]:
    """The model as a black box: which features are present -> y_item, or p_item.

    A mask has one number a feature of the profile, 1 = present. Numbers between 0 and 1 are taken
    as they are, for methods that walk from nothing to everything. Without any feature, x is zero.

    Raises:
        ValueError: an item outside the catalogue, several profiles, or an unknown `average`.
    """
    _check_choice("average", average, AVERAGES)
    (item,) = check_ids("item", item, model.space.n_items, "item").tolist()
    if len(profile) != 1:
        raise ValueError(f"profile: got {len(profile)} profiles; explain one at a time")
    q, n = model.Q[profile.ids].detach(), len(profile.ids)

    def score(masks: Float[Tensor, "sample n"]) -> Float[Tensor, " sample"]:
        held = masks.to(q.dtype)
        size = held.sum(dim=1, keepdim=True) if average == "renormalised" else n
        x = held @ q / torch.as_tensor(size, dtype=q.dtype).clamp(min=torch.finfo(q.dtype).tiny)
        if probability:
            return (_head(model, x) @ model.W.detach().T).softmax(dim=1)[:, item]
        return _head(model, x) @ model.W[item].detach()

    return score


def _head(model: RecoNet, x: Float[Tensor, "user d"]) -> Float[Tensor, "user units"]:
    """What the rows of W are multiplied with."""
    return x if model.hidden is None else F.relu(model.hidden(x)).detach()


@torch.no_grad()
def best_removal(
    black_box: Callable[[Float[Tensor, "sample n"]], Float[Tensor, " sample"]], n: int, k: int
) -> tuple[list[int], float]:
    """The k of n features whose removal lowers the score most, by trying all; and the change.

    Raises:
        ValueError: k outside 1..n-1, or more than `MOST_SETS` sets to try.
    """
    _check_count(n, k)
    if math.comb(n, k) > MOST_SETS:
        raise ValueError(f"k: {math.comb(n, k):,} sets of {k} out of {n}; at most {MOST_SETS:,}")
    places = torch.combinations(torch.arange(n), k)
    masks = torch.ones(len(places), n, dtype=torch.float64).scatter_(1, places, 0.0)
    scores = black_box(masks)
    best = int(scores.argmin())
    return places[best].tolist(), float(scores[best] - black_box(masks.new_ones(1, n))[0])


@torch.no_grad()
def greedy_removal(
    black_box: Callable[[Float[Tensor, "sample n"]], Float[Tensor, " sample"]], n: int, k: int
) -> tuple[list[int], float]:
    """k features, each the one whose removal lowers the score most at its turn; and the change.

    Raises:
        ValueError: k outside 1..n-1.
    """
    _check_count(n, k)
    mask, gone = torch.ones(n, dtype=torch.float64), []
    start = float(black_box(mask[None])[0])
    for _ in range(k):
        left = mask.nonzero()[:, 0]
        tried = mask.repeat(len(left), 1).scatter_(1, left[:, None], 0.0)
        gone.append(int(left[black_box(tried).argmin()]))
        mask[gone[-1]] = 0
    return gone, float(black_box(mask[None])[0]) - start


# --------------------------------------------------------------------------- many profiles


@dataclass(frozen=True)
class Removal:
    """What removal did to the score of one item for each of many users.

    Attributes:
        changes: Delta y after k = 0, 1, ... removals; nan once nothing is left, or nothing that
            may still go.
        order: one of `ORDERS`. average: one of `AVERAGES`.
    """

    changes: Float[np.ndarray, "step user"]
    order: str
    average: str

    @property
    def long_enough(self) -> Bool[np.ndarray, " user"]:
        """The users who keep a feature to the last step: they alone enter the table."""
        return ~np.isnan(self.changes).any(axis=0)

    def table(self, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
        """Mean change with its band (`evaluate.faithfulness.band`), one row a number of removals.

        The same users in every row: a mean over those still left would follow the long profiles.
        """
        whole = self.changes[:, self.long_enough]
        low, high = band(whole, level, seed=seed)
        mean = whole.mean(axis=1) if whole.shape[1] else np.full(len(whole), np.nan)
        index = pd.Index(range(len(whole)), name="removed")
        return pd.DataFrame({"change": mean, "low": low, "high": high}, index=index)


@torch.no_grad()
def relevance_of_profiles(
    model: RecoNet, profiles: Sets, items: Int[Tensor, " user"], epsilon: float = 1e-9
) -> Float[Tensor, " total"]:
    """Z of every feature of every profile for one item each, in the order of `profiles.ids`.

    The three steps always come to Z_k = g . q_k / |FS_u|, with g = W_j for the one-layer model and
    g_i = R_i / x_i, by the epsilon rule, with a hidden layer.

    Raises:
        ValueError: items that are not one of the catalogue for each profile.

    Source: RecoNet, §4.3.
    """
    W = model.W[_one_item_each(model, profiles, items)]
    g = W
    if model.hidden is not None:
        z = model.hidden(model.pool(profiles))
        R = F.relu(z) * W
        g = (R / torch.where(z >= 0, z + epsilon, z - epsilon)) @ model.hidden.weight
    Z = torch.empty(len(profiles.ids), dtype=W.dtype)
    for start in range(0, len(profiles), BLOCK):
        part = profiles.rows(start, start + BLOCK)
        own = (g[start : start + BLOCK] @ model.Q.T)[part.owners, part.ids] / part.sizes[
            part.owners
        ]
        first = int(profiles.offsets[start])
        Z[first : first + len(own)] = own
    return Z


def turns(
    profiles: Sets, relevance: Float[Tensor, " total"] | None, order: str = "most", seed: int = 0
) -> Int[np.ndarray, " total"]:
    """When each feature of each profile goes: 0, 1, ... within the profile. Ties fall by lot.

    Raises:
        ValueError: an unknown order, or relevances that are not one a feature.
    """
    _check_choice("order", order, ORDERS)
    lot = np.random.default_rng(seed).random(len(profiles.ids))
    owners = profiles.owners.numpy()
    keys = [lot, owners]
    if order != "random":
        if relevance is None or relevance.shape != profiles.ids.shape:
            raise ValueError(f"relevance: needs one number for each of {len(lot)} features")
        sign = -1 if order == "most" else 1
        keys.insert(1, sign * relevance.numpy())
    turn = np.empty(len(lot), np.int64)
    turn[np.lexsort(keys)] = np.arange(len(lot)) - profiles.offsets.numpy()[owners]
    return turn


def attributes_follow(
    space: FeatureSpace, profiles: Sets, turn: Int[np.ndarray, " total"]
) -> Int[np.ndarray, " total"]:
    """Turns of a removal of items alone, in which an item attribute goes with the last item that
    carries it. What the user told stays to the end.

    Args:
        turn: any order; the items keep theirs among themselves.
    """
    never = np.iinfo(np.int64).max
    ids, owners = profiles.ids.numpy(), profiles.owners.numpy()
    items = np.flatnonzero(ids < space.n_items)
    by_turn = items[np.lexsort([turn[items], owners[items]])]
    first = np.concatenate([[0], np.cumsum(np.bincount(owners[items], minlength=len(profiles)))])
    result = np.full(len(ids), never)
    result[by_turn] = np.arange(len(by_turn)) - first[owners[by_turn]]
    carries = space.item_features.matrix[ids[items]]
    holder = np.repeat(items, np.diff(carries.indptr))
    attribute = carries.indices.astype(np.int64) + space.n_items
    last = np.full(len(profiles) * space.m, -1)
    np.maximum.at(last, owners[holder] * space.m + attribute, result[holder])
    found = last[owners * space.m + ids]
    return np.where(found >= 0, found, result)


@torch.no_grad()
def remove(
    model: RecoNet,
    profiles: Sets,
    items: Int[Tensor, " user"],
    turn: Int[np.ndarray, " total"],
    *,
    steps: int = 50,
    average: str = "renormalised",
    order: str = "most",
) -> Removal:
    """Delta y of one item a user after the features with a turn below k are gone, k = 0..`steps`.

    One-layer model: sums of scores by turn, accumulated. With a hidden layer: the model runs
    again at every step.

    Args:
        turn: when each feature goes, such as `turns` gives. order: its name, for the record.

    Raises:
        ValueError: names the argument and what it needs.
    """
    _check_choice("average", average, AVERAGES)
    if steps < 1:
        raise ValueError(f"steps: {steps} must be at least 1")
    if turn.shape != tuple(profiles.ids.shape):
        raise ValueError(f"turn: shape {turn.shape}; needs one for each of {len(profiles.ids)}")
    chosen = _one_item_each(model, profiles, items)
    walk = _accumulated if model.hidden is None else _run_again
    scores = np.stack(list(walk(model, profiles, chosen, turn, steps, average)))
    scores[1:][_gone(profiles, turn, steps)[:-1] == 0] = np.nan
    return Removal(scores - scores[0], order, average)


def _gone(
    profiles: Sets, turn: Int[np.ndarray, " total"], steps: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """`[steps + 1, user]`: features (or their weights) by turn; the last row has all that stay."""
    place = np.minimum(turn, steps) * len(profiles) + profiles.owners.numpy()
    cells = (steps + 1) * len(profiles)
    return np.bincount(place, weights=weights, minlength=cells).reshape(steps + 1, -1)


def _accumulated(
    model: RecoNet,
    profiles: Sets,
    items: Tensor,
    turn: Int[np.ndarray, " total"],
    steps: int,
    average: str,
) -> Iterator[Float[np.ndarray, " user"]]:
    """y after each step, by sums of the features' own scores."""
    sizes = profiles.sizes.numpy()
    Z = relevance_of_profiles(model, profiles, items).numpy().astype(np.float64)
    gone = _gone(profiles, turn, steps)
    lost = _gone(profiles, turn, steps, weights=Z * sizes[profiles.owners])
    left, kept = sizes.copy(), lost.sum(axis=0)
    for step in range(steps + 1):
        yield _mean(kept, left, sizes, average)
        left, kept = left - gone[step], kept - lost[step]


def _run_again(
    model: RecoNet,
    profiles: Sets,
    items: Tensor,
    turn: Int[np.ndarray, " total"],
    steps: int,
    average: str,
) -> Iterator[Float[np.ndarray, " user"]]:
    """y after each step, by the model on what is left."""
    sizes = profiles.sizes.numpy()
    for step in range(steps + 1):
        stays = torch.from_numpy(turn >= step)
        counts = torch.bincount(profiles.owners[stays], minlength=len(profiles))
        part = Sets(profiles.ids[stays], F.pad(counts.cumsum(0), (1, 0)))
        left = counts.numpy()
        x = model.pool(part).numpy() * left[:, None]
        pooled = torch.from_numpy(_mean(x, left[:, None], sizes[:, None], average)).to(model.W)
        y = (_head(model, pooled) * model.W[items]).sum(dim=1)
        yield y.numpy().astype(np.float64)


def _mean(total: np.ndarray, left: np.ndarray, sizes: np.ndarray, average: str) -> np.ndarray:
    """Sum over what is left, divided as the convention says; nan when nothing is left."""
    divisor = left if average == "renormalised" else sizes
    return np.where(left > 0, total, np.nan) / np.maximum(divisor, 1)


def _one_item_each(model: RecoNet, profiles: Sets, items: Int[Tensor, " user"]) -> Tensor:
    chosen = torch.as_tensor(items)
    if chosen.shape != (len(profiles),):
        raise ValueError(f"items: shape {tuple(chosen.shape)}; needs one for each profile")
    check_ids("items", chosen.cpu().numpy(), model.space.n_items, "item")
    return chosen


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}: {value!r}; choose from {', '.join(choices)}")


def _check_count(n: int, k: int) -> None:
    if not 1 <= k < n:
        raise ValueError(f"k: {k} is outside 1..{n - 1}; a profile must keep a feature")
