"""What the relation model learns from and is tested on: item split, test pairs, batches.

Source: LRP for explainable recommendations, §2.2 and §3.1. Items, not pairs, are divided into
training, development and test, so that a tested relation joins two pictures that training never
saw. Not here: the loss and its negatives (`train.py`).

A *batch* gets many pairs out of each picture: each of its items goes through the network once and
meets every training item it is related to, in the batch or not. So every recorded relation is
learned from once or twice an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from explainrec_boutique.vocabulary import SUBSTITUTES
from explainrec_lab import training
from explainrec_lab.data.amazon import ImageFeatures
from explainrec_lab.data.contracts import RELATION_KINDS, Images, Relations, check_choice, require
from explainrec_lab.data.splits import check_fractions
from explainrec_lab.vision.backbone import half_mirrored, pixels

N_KINDS = len(RELATION_KINDS)


# --------------------------------------------------------------------------- item split


@dataclass(frozen=True)
class Part:
    """Some of the items, and the relations that have both ends among them.

    Attributes:
        items: item ids.
        relations: what was recorded between them.
        rows: positions of these in `recorded`.
        recorded: all relations of the data set.
    """

    items: Int[ndarray, " item"]
    relations: Relations
    rows: Int[ndarray, " pair"]
    recorded: Relations


@dataclass(frozen=True)
class Split:
    """Items in three parts; relations between two parts are left out."""

    train: Part
    development: Part
    test: Part


def split(
    relations: Relations,
    seed: int = 0,
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2),
    alike: ndarray | None = None,
) -> Split:
    """Divide the items, and with them the relations.

    Args:
        alike: `[item]`; items with the same value, such as the colours of one garment, stay in one
            part. By default each item goes its own way.

    Raises:
        ValueError: fractions that are not three, are negative or do not sum to 1.

    Source: §3.1.
    """
    check_fractions(fractions)
    names = np.arange(relations.n_items) if alike is None else alike
    order = np.random.default_rng([seed, 0]).permutation(np.unique(names))
    ends = np.round(np.cumsum(fractions[:2]) * len(order)).astype(int)
    inside = (np.isin(names, some) for some in np.split(order, ends))
    return Split(*(_part(relations, each) for each in inside))


def _part(recorded: Relations, inside: Bool[ndarray, " item"]) -> Part:
    rows = np.flatnonzero(inside[recorded.source] & inside[recorded.target])
    return _of(recorded, np.flatnonzero(inside), rows)


def _of(recorded: Relations, items: Int[ndarray, " item"], rows: Int[ndarray, " pair"]) -> Part:
    columns = ("group", "source", "target", "kind")
    own = replace(recorded, **{name: getattr(recorded, name)[rows] for name in columns})
    return Part(items, own, rows, recorded)


# --------------------------------------------------------------------------- test pairs

# Of one end of each pair: its picture, and its features x.
Pictures = Float[Tensor, "pair 3 height width"]
Features = Float[Tensor, "pair D"]
# A distance or logit of each pair.
Values = Float[Tensor, " pair"]


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
        return Pairs(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def pictures(self, images: Images) -> tuple[Float[Tensor, "pair 3 h w"], ...]:
        """The pictures of the sources and those of the targets, as the model wants them."""
        return pixels(images[self.source]), pixels(images[self.target])


def test_pairs(part: Part, seed: int = 0, *, category: ndarray | None = None) -> Pairs:
    """The relations of a part and, for each, an unrelated pair of the same user and kind.

    Unrelated are two different items of the part that were not recorded either way round.

    Args:
        category: `[item]`; if given, sampled pairs have the categories that their kind asks for
            (equal for substitutes, different for complements), which is harder for substitutes.

    Raises:
        ValueError: too few items to find unrelated pairs.
    """
    positive, recorded = part.relations, part.recorded
    rng = np.random.default_rng([seed, 1])
    true = np.stack([positive.source, positive.target])
    known = _codes(recorded.group, recorded.kind, recorded.source, recorded.target, part)
    ends, open_ = true.copy(), np.arange(len(positive))
    for _ in range(200):
        if not len(open_):
            break
        ends[:, open_] = s, t = rng.choice(part.items, (2, len(open_)))
        kind = positive.kind[open_]
        bad = (s == t) | np.isin(_codes(positive.group[open_], kind, s, t, part), known)
        if category is not None:
            bad |= (category[s] == category[t]) != (kind < len(SUBSTITUTES))
        open_ = open_[bad]
    require(not len(open_), f"part: {len(part.items)} items have too few unrelated pairs to sample")
    user, kind = np.tile([positive.group, positive.kind], 2)
    source, target = np.hstack([true, ends])
    related = np.repeat([True, False], len(positive))
    rows = np.append(part.rows, np.full(len(positive), -1))
    return Pairs(user, source, target, kind, related, rows)


def _codes(user: ndarray, kind: ndarray, s: ndarray, t: ndarray, of: Part) -> ndarray:
    """One number for each (user, kind, pair of items), whichever comes first."""
    n_items = of.recorded.n_items
    return ((user * N_KINDS + kind) * n_items + np.minimum(s, t)) * n_items + np.maximum(s, t)


# --------------------------------------------------------------------------- pair split


def mcauley_split(
    relations: Relations, seed: int = 0, mirrors: str = "together", most: int = 2_000_000
) -> tuple[Part, Pairs, Pairs]:
    """Divide the relations, and as many unrelated pairs of any items, 80 / 10 / 10.

    An item may be in all three parts: what to train on, pairs for development, and for the test.

    A distance is the same both ways. So whoever trained on (a, b) knows the answer to (b, a), and
    with mirrors apart a test asks for memory as well. The paper does not say which it did.

    Args:
        mirrors: 'together', both in one part; or 'apart', each where chance puts it.
        most: pairs of a kind that training takes, half of them relations. The other half is not in
            the result: `BatchLoss` draws its own.

    Raises:
        ValueError: another word for mirrors, no relations, or too few items for unrelated pairs.

    Source: McAuley et al., 2015, §4.1.
    """
    check_choice("mirrors", mirrors, ("together", "apart"))
    require(len(relations), "relations: there are none to divide")
    rng, unit, kind = np.random.default_rng([seed, 3]), np.arange(len(relations)), relations.kind
    whole = _of(relations, np.arange(relations.n_items), unit)
    if mirrors == "together":
        codes = _codes(relations.group, kind, relations.source, relations.target, whole)
        unit = np.unique(codes, return_inverse=True)[1]
    place = rng.permutation(unit.max() + 1)[unit] / (unit.max() + 1)
    chosen = rng.permutation(np.flatnonzero(place < 0.8))
    rows = np.concatenate([chosen[kind[chosen] == k][: most // 2] for k in range(N_KINDS)])
    pairs = test_pairs(whole, seed)
    development, test = (pairs[np.tile((place * 10).astype(int) == part, 2)] for part in (8, 9))
    return _of(relations, whole.items, np.sort(rows)), development, test


# --------------------------------------------------------------------------- batches


@dataclass(frozen=True)
class Batch(training.Batch):
    """Some items and the relations that they have with any training item.

    Attributes:
        items: `[item]`, positions among the training items.
        mine: `[own]`, positions in the batch of those whose pictures are here: all of them, but in
            a share of several processes.
        pictures: `[own, ...]`, uint8 pictures, or flat vectors computed beforehand.
        cell: `[pair]`, user * kinds + kind of each relation.
        inside: `[pair]`, position in the batch of one end.
        other: `[pair]`, position among the training items of the other end.
    """

    items: Int[Tensor, " item"]
    mine: Int[Tensor, " own"]
    pictures: Tensor
    cell: Int[Tensor, " pair"]
    inside: Int[Tensor, " pair"]
    other: Int[Tensor, " pair"]

    def part(self, index: int, count: int) -> Batch:
        """The share of process `index` of `count`: some of the pictures, and all relations."""
        return replace(self, mine=self.mine[index::count], pictures=self.pictures[index::count])


class Batches:
    """The batches of an epoch: the training items in random order, `size` at a time.

    Args:
        part: the training items, and the relations to learn.
        images: pictures by item id, or flat vectors computed beforehand: a tensor, or those that
            Amazon's photos were published with; half of the pictures are mirrored (left and right
            mean nothing).
        size: items in a batch.

    Raises:
        ValueError: fewer than 2 items a batch, or no relations.
    """

    def __init__(
        self, part: Part, images: Images | Tensor | ImageFeatures, size: int, seed: int = 0
    ) -> None:
        require(size >= 2, f"size: {size} must be at least 2 items a batch")
        relations = part.relations
        require(len(relations), "relations: there are none to learn from")
        self.items, self.images, self.size, self.seed = part.items, images, size, seed
        place = np.full(relations.n_items, -1)
        place[self.items] = np.arange(len(self.items))
        self._ends = place[np.stack([relations.source, relations.target])]
        self._cell = relations.group * N_KINDS + relations.kind

    def __call__(self, epoch: int) -> Iterator[Batch]:
        rng = np.random.default_rng([self.seed, 2, epoch])
        order = rng.permutation(len(self.items))
        for places in np.array_split(order, max(1, round(len(order) / self.size))):
            yield self._batch(np.sort(places), rng)

    def _batch(self, places: Int[ndarray, " item"], rng: np.random.Generator) -> Batch:
        inside = np.full(len(self.items), -1)
        inside[places] = np.arange(len(places))
        source, target = self._ends
        first = np.flatnonzero(inside[source] >= 0)
        second = np.flatnonzero((inside[target] >= 0) & (inside[source] < 0))
        cell = np.concatenate([self._cell[first], self._cell[second]])
        one = np.concatenate([inside[source[first]], inside[target[second]]])
        other = np.concatenate([target[first], source[second]])
        pictures = torch.as_tensor(self.images[self.items[places]])
        if pictures.dtype == torch.uint8:
            pictures = half_mirrored(pictures, rng)
        items, *pairs = map(torch.from_numpy, (places, cell, one, other))
        return Batch(items, torch.arange(len(items)), pictures, *pairs)
