"""What the relation model learns from and is tested on: items apart, pairs, hands, the objective.

Source: LRP for explainable recommendations, §2.2 and §3.1. Items, not pairs, are divided into
training, development and test, so that a tested relation joins two pictures that training never
saw. The paper prints 1 + log(1 + e^(d - q)) for an unrelated pair, where log(1 - P) is meant; here
the loss is minus the log-likelihood of related pairs R and as many sampled unrelated pairs S:

    loss = sum over R of log(1 + e^(d - q)) + sum over S of log(1 + e^(q - d)).

A *hand* is a batch that gets many pairs out of each picture: each item of the hand goes through
the network once and meets every other training item, whose feature vector is the one remembered
from its own last hand (cross-batch memory: Wang et al., CVPR 2020). Every recorded relation is
learned from once or twice an epoch. Instead of one unrelated pair for each related one, the loss
takes |R| times the mean over all unrelated pairs of the hand with some sampled items: what
|S| = |R| gives on average, with less noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from explainrec_lab.data.contracts import RELATION_KINDS, SUBSTITUTES, Images, Relations
from explainrec_lab.relation.metric import squared_distances
from explainrec_lab.vision.backbone import flat_vectors, half_mirrored

N_KINDS = len(RELATION_KINDS)


# --------------------------------------------------------------------------- items apart


@dataclass(frozen=True)
class Parts:
    """Items in three parts, and the relations that stay inside each.

    Attributes:
        items: item ids of 'train', 'development' and 'test'.
        relations: the relations with both ends in that part.
        rows: which of all relations those are.
    """

    items: dict[str, Int[ndarray, " item"]]
    relations: dict[str, Relations]
    rows: dict[str, Int[ndarray, " pair"]]


def split_items(
    relations: Relations, seed: int = 0, fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)
) -> Parts:
    """Divide the items, and with them the relations; those between two parts are left out.

    Raises:
        ValueError: fractions that are not three, are negative or do not sum to 1.

    Source: §3.1.
    """
    if len(fractions) != 3 or not (min(fractions) >= 0 and abs(sum(fractions) - 1) <= 1e-9):
        raise ValueError(f"fractions: {fractions} must be three, non-negative, and sum to 1")
    order = np.random.default_rng([seed, 0]).permutation(relations.n_items)
    ends = np.round(np.cumsum(fractions[:2]) * len(order)).astype(int)
    names = ("train", "development", "test")
    items = {name: np.sort(ids) for name, ids in zip(names, np.split(order, ends), strict=True)}
    rows = {name: np.flatnonzero(_inside(relations, ids)) for name, ids in items.items()}
    return Parts(items, {name: select(relations, rows[name]) for name in names}, rows)


def _inside(relations: Relations, items: ndarray) -> Bool[ndarray, " pair"]:
    """Which relations have both ends among `items`."""
    member = np.zeros(relations.n_items, bool)
    member[items] = True
    return member[relations.source] & member[relations.target]


def select(relations: Relations, rows: ndarray) -> Relations:
    """Some of the relations, by position or mask."""
    columns = {name: getattr(relations, name)[rows] for name in ("group", "source", "target")}
    return replace(relations, **columns, kind=relations.kind[rows])


# --------------------------------------------------------------------------- pairs to test on


@dataclass(frozen=True)
class Pairs:
    """Pairs with a label: recorded as related, or sampled as unrelated.

    Attributes:
        user, source, target, kind: int64 `[pair]`, as in `Relations`.
        related: bool `[pair]`.
        rows: int64 `[pair]`, the relation behind a related pair, -1 for a sampled one.
    """

    user: Int[ndarray, " pair"]
    source: Int[ndarray, " pair"]
    target: Int[ndarray, " pair"]
    kind: Int[ndarray, " pair"]
    related: Bool[ndarray, " pair"]
    rows: Int[ndarray, " pair"]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, chosen: ndarray) -> Pairs:
        """Some of the pairs, by position or mask."""
        return Pairs(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def balanced_pairs(
    parts: Parts,
    part: str,
    recorded: Relations,
    seed: int = 0,
    *,
    category: ndarray | None = None,
) -> Pairs:
    """The relations of a part and, for each, an unrelated pair of the same user and kind.

    Unrelated are two different items of the part that were not recorded either way round.

    Args:
        recorded: all relations; none of them is sampled.
        category: `[item]`; if given, sampled pairs have the categories that their kind asks for
            (equal for substitutes, different for complements), which is harder for substitutes.

    Raises:
        ValueError: too few items to find unrelated pairs.
    """
    positive = parts.relations[part]
    known = _codes(recorded.group, recorded.kind, recorded.source, recorded.target, recorded)
    known = np.union1d(
        known, _codes(recorded.group, recorded.kind, recorded.target, recorded.source, recorded)
    )
    rng = np.random.default_rng([seed, 1])
    source, target = np.empty_like(positive.source), np.empty_like(positive.target)
    open_ = np.arange(len(positive))
    for _ in range(200):
        if not len(open_):
            break
        source[open_] = rng.choice(parts.items[part], len(open_))
        target[open_] = rng.choice(parts.items[part], len(open_))
        s, t, kind = source[open_], target[open_], positive.kind[open_]
        bad = (s == t) | np.isin(_codes(positive.group[open_], kind, s, t, positive), known)
        if category is not None:
            bad |= (category[s] == category[t]) != (kind < len(SUBSTITUTES))
        open_ = open_[bad]
    if len(open_):
        raise ValueError(f"part: {part!r} has too few unrelated pairs to sample from")
    n = len(positive)
    return Pairs(
        user=np.tile(positive.group, 2),
        source=np.concatenate([positive.source, source]),
        target=np.concatenate([positive.target, target]),
        kind=np.tile(positive.kind, 2),
        related=np.arange(2 * n) < n,
        rows=np.concatenate([parts.rows[part], np.full(n, -1)]),
    )


def _codes(user: ndarray, kind: ndarray, s: ndarray, t: ndarray, of: Relations) -> ndarray:
    """One number for each (user, kind, source, target)."""
    return ((user * N_KINDS + kind) * of.n_items + s) * of.n_items + t


# --------------------------------------------------------------------------- hands


@dataclass(frozen=True)
class Hand:
    """A batch: some items and the relations that they have with any training item.

    Attributes:
        items: `[item]`, positions among the training items.
        pictures: `[item, ...]`, uint8 pictures, or flat vectors computed beforehand.
        cell: `[pair]`, user * kinds + kind of each relation.
        here: `[pair]`, position in the hand of one end.
        there: `[pair]`, position among the training items of the other end.
        mine: `[pair]`, which relations this process answers for.
    """

    items: Int[Tensor, " item"]
    pictures: Tensor
    cell: Int[Tensor, " pair"]
    here: Int[Tensor, " pair"]
    there: Int[Tensor, " pair"]
    mine: Bool[Tensor, " pair"]

    def __len__(self) -> int:
        return int(self.mine.sum())

    def part(self, index: int, count: int) -> Hand:
        """Process `index` of `count` answers for every `count`-th relation, of the same items."""
        turn = torch.arange(len(self.cell), device=self.cell.device) % count == index
        return replace(self, mine=self.mine & turn)

    def to(self, device: torch.device | str) -> Hand:
        return Hand(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


class Hands:
    """The hands of an epoch: the training items in random order, `size` at a time.

    Args:
        relations: what to learn.
        items: the training items.
        images: pictures by item id, or a tensor of flat vectors computed beforehand.
        size: items in a hand.
        flip: mirror half of the pictures (left and right mean nothing).

    Raises:
        ValueError: fewer than 2 items a hand, or no relations.
    """

    def __init__(
        self,
        relations: Relations,
        items: Int[ndarray, " item"],
        images: Images | Tensor,
        size: int = 64,
        *,
        flip: bool = True,
        seed: int = 0,
    ) -> None:
        if size < 2:
            raise ValueError(f"size: {size} must be at least 2 items a hand")
        if not len(relations):
            raise ValueError("relations: there are none to learn from")
        self.items, self.images, self.size, self.flip, self.seed = items, images, size, flip, seed
        place = np.full(relations.n_items, -1)
        place[items] = np.arange(len(items))
        self._ends = place[np.stack([relations.source, relations.target])]
        self._cell = relations.group * N_KINDS + relations.kind

    def __call__(self, epoch: int) -> Iterator[Hand]:
        rng = np.random.default_rng([self.seed, 2, epoch])
        order = rng.permutation(len(self.items))
        for places in np.array_split(order, max(1, round(len(order) / self.size))):
            yield self._deal(np.sort(places), rng)

    def _deal(self, places: Int[ndarray, " item"], rng: np.random.Generator) -> Hand:
        inside = np.full(len(self.items), -1)
        inside[places] = np.arange(len(places))
        source, target = self._ends
        first = np.flatnonzero(inside[source] >= 0)
        second = np.flatnonzero((inside[target] >= 0) & (inside[source] < 0))
        columns = (
            np.concatenate([self._cell[first], self._cell[second]]),
            np.concatenate([inside[source[first]], inside[target[second]]]),
            np.concatenate([target[first], source[second]]),
        )
        cell, here, there = map(torch.from_numpy, columns)
        pictures = self._pictures(self.items[places], rng)
        mine = torch.ones(len(cell), dtype=torch.bool)
        return Hand(torch.from_numpy(places), pictures, cell, here, there, mine)

    def _pictures(self, ids: Int[ndarray, " item"], rng: np.random.Generator) -> Tensor:
        pictures = torch.as_tensor(self.images[ids])
        turn = self.flip and pictures.dtype == torch.uint8
        return half_mirrored(pictures, rng) if turn else pictures


# --------------------------------------------------------------------------- the objective


def objective(
    related: Float[Tensor, "*r"], unrelated: Float[Tensor, "*s"]
) -> tuple[Float[Tensor, "*r"], Float[Tensor, "*s"]]:
    """Losses of pairs in R and in S from their logits q - d: minus their log-likelihoods.

    -log sigma(q - d) = log(1 + e^(d - q)), and -log(1 - sigma(q - d)) = log(1 + e^(q - d)).

    Source: §2.2, with the signs that the likelihood asks for.
    """
    return F.softplus(-related), F.softplus(unrelated)


class HandLosses:
    """(model, hand) -> the loss of each relation, with the share of S that goes with it.

    Keeps the feature vector of every training item from the last time that it was dealt. Calls
    parts of the model one by one, so it trains in one process.

    Args:
        n_items: how many training items there are.
        others: items sampled for each hand, with which its items are unrelated unless a relation
            says otherwise; None takes all items.
    """

    def __init__(self, n_items: int, others: int | None = 256, *, seed: int = 0) -> None:
        if others is not None and others < 1:
            raise ValueError(f"others: {others} must be at least 1, or None for all items")
        self.n_items, self.others = n_items, others
        self.memory: Tensor | None = None
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, model: Any, hand: Hand) -> Float[Tensor, " pair"]:
        known = hand.pictures.dtype != torch.uint8  # flat vectors already
        flat = hand.pictures if known else flat_vectors(model.network, hand.pictures)
        x_here = model.head(flat)
        x_there = self._remember(hand.items, x_here.detach())
        cells, cell = hand.cell.unique(return_inverse=True)
        users, kinds = cells // N_KINDS, cells % N_KINDS
        factor, q = model.metric.factor(users, kinds), model.q[kinds]
        here, there = (model.metric.places(x, factor) for x in (x_here, x_there))
        d = (here[cell, hand.here] - there[cell, hand.there]).square().sum(-1)
        others = self._sample(here.device)
        apart = squared_distances(here, there[:, others])
        losses, of_others = objective(q[cell] - d, q[:, None, None] - apart)
        unrelated = self._unrelated(hand, cell, len(cells), others)
        mean = (of_others * unrelated).sum((1, 2)) / unrelated.sum((1, 2)).clamp(min=1)
        return ((losses + mean[cell]) * self.known[hand.there])[hand.mine]

    def _remember(self, items: Tensor, x: Tensor) -> Float[Tensor, "item D"]:
        """All feature vectors as far as known (zeros elsewhere), those of this hand as new."""
        if self.memory is None:
            self.memory = x.new_zeros(self.n_items, x.shape[1])
            self.known = torch.zeros(self.n_items, dtype=torch.bool, device=x.device)
        self.memory[items] = x
        self.known[items] = True
        return self.memory.clone()

    def _sample(self, device: torch.device) -> Int[Tensor, " other"]:
        if self.others is None or self.others >= self.n_items:
            return torch.arange(self.n_items, device=device)
        drawn = torch.randint(self.n_items, (self.others,), generator=self._generator)
        return drawn.to(device)

    def _unrelated(
        self, hand: Hand, cell: Tensor, n_cells: int, others: Tensor
    ) -> Bool[Tensor, "cell here other"]:
        """Which pairs of the hand's items and `others` belong to S."""
        recorded = torch.zeros(
            n_cells, len(hand.items), self.n_items, dtype=torch.bool, device=others.device
        )
        recorded[cell, hand.here, hand.there] = True
        place = torch.full((self.n_items,), -1, device=others.device)
        place[hand.items] = torch.arange(len(hand.items), device=others.device)
        back = place[hand.there] >= 0  # both ends are here: d is symmetric, so the way back is too
        recorded[cell[back], place[hand.there[back]], hand.items[hand.here[back]]] = True
        itself = hand.items[:, None] == others
        return self.known[others] & ~itself & ~recorded[:, :, others]
