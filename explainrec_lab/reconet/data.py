"""What RecoNet knows of a user, and what it learns from: features, sets of them, and training
examples by hiding items.

Examples of few users are made together, an epoch at a time. Of more than `CROWD` they are made
batch by batch, by each process for its own users alone (with newcomers, for all of the batch):
memory does not grow with the users.

Source: RecoNet, §2 and §4.1 (features); §4.2 and Figure 3 (examples).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property, partial
from itertools import count
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from explainrec_lab.data.contracts import Dataset, Features, Interactions, check_ids, require
from explainrec_lab.data.splits import rank_within
from explainrec_lab.training import Batch, Tensors

Matrix: TypeAlias = sparse.csr_array
# Where each user's entries begin and end (`indptr`) -> a number in [0, 1) for each entry.
Lots: TypeAlias = Callable[[ndarray], ndarray]

# Users whose examples are made together: an epoch of them takes some ten megabytes.
CROWD = 2**13
# What a user's number and a place are multiplied with, before they are mixed.
OF_USER, OF_PLACE = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9], np.uint64)
# Consecutive users that stay in one crowd of many: their histories are one read from a disk.
BLOCK = 2**8

# --------------------------------------------------------------------------- what is known


@dataclass(frozen=True)
class Sets(Tensors):
    """One set of ids a user, end to end: user u owns `ids[offsets[u]:offsets[u + 1]]`."""

    ids: Int[Tensor, " total"]
    offsets: Int[Tensor, " users_plus_one"]

    @classmethod
    def from_matrix(cls, matrix: Matrix) -> Sets:
        """The non-zero columns of each row."""
        ids = torch.from_numpy(matrix.indices.astype(np.int64))
        return cls(ids, torch.from_numpy(matrix.indptr.astype(np.int64)))

    @classmethod
    def of(cls, ids: Sequence[int]) -> Sets:
        """One set."""
        return cls(torch.tensor(list(ids), dtype=torch.int64), torch.tensor([0, len(ids)]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, user: int) -> Int[Tensor, " size"]:
        return self.ids[self.offsets[user] : self.offsets[user + 1]]

    @property
    def sizes(self) -> Int[Tensor, " user"]:
        """|FS_u| of each user."""
        return self.offsets.diff()

    @property
    def owners(self) -> Int[Tensor, " total"]:
        """The user behind each entry of `ids`."""
        return torch.arange(len(self), device=self.ids.device).repeat_interleave(self.sizes)

    def rows(self, start: int, stop: int) -> Sets:
        """The sets of users start..stop-1."""
        offsets = self.offsets[start : stop + 1]
        return Sets(self.ids[offsets[0] : offsets[-1]], offsets - offsets[0])

    def of_users(self, users: Int[ndarray, " chosen"]) -> Sets:
        """The sets of these users, in their order; a user may come more than once."""
        chosen = torch.as_tensor(users)
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), self.sizes[chosen].cumsum(0)])
        shift = (self.offsets[chosen] - offsets[:-1]).repeat_interleave(offsets.diff())
        return Sets(self.ids[torch.arange(len(shift)) + shift], offsets)

    def joined(self, more: Sets) -> Sets:
        """These sets, then `more` sets."""
        offsets = torch.cat([self.offsets, more.offsets[1:] + self.offsets[-1]])
        return Sets(torch.cat([self.ids, more.ids]), offsets)

    def shares(self, m: int) -> Float[Tensor, "user m"]:
        """I_u / |FS_u|: how much of each profile a feature is. Dense: for small feature spaces."""
        dense = torch.zeros(len(self), m, dtype=torch.float64, device=self.ids.device)
        dense[self.owners, self.ids] = 1.0
        return dense / self.sizes.clamp(min=1)[:, None]


@dataclass(frozen=True)
class FeatureSpace:
    """The m = |V| + |Phi^V| + |Phi^U| features: items first, their attributes, then the users'.

    Source: RecoNet, §2 and §4.1.
    """

    item_names: tuple[str, ...]
    item_features: Features
    user_feature_names: tuple[str, ...]

    @classmethod
    def of(cls, dataset: Dataset, interactions: Interactions | None = None) -> FeatureSpace:
        """The space of a dataset; `interactions` may carry fewer features than the dataset's."""
        events = dataset.interactions if interactions is None else interactions
        names = tuple(dataset.catalogue.items["title"].astype(str))
        return cls(names, events.item_features, events.user_features.names)

    @property
    def n_items(self) -> int:
        return len(self.item_names)

    @property
    def first_told(self) -> int:
        """The first of the users' own features."""
        return self.n_items + len(self.item_features)

    @property
    def m(self) -> int:
        return self.first_told + len(self.user_feature_names)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return self.item_names + self.item_features.names + self.user_feature_names

    def kind(self, feature: int) -> str:
        """'item', 'item attribute' or 'user attribute'."""
        if feature < self.n_items:
            return "item"
        return "item attribute" if feature < self.first_told else "user attribute"

    def attributes(self, history: Matrix, told: Matrix) -> Matrix:
        """Phi^V(V(u)) and Phi^U(u), as columns of their own."""
        return sparse.hstack([history @ self.item_features.matrix, told], "csr")

    def profiles(self, interactions: Interactions) -> Sets:
        """FS_u of every user. A user without history and features gets the empty set."""
        history, told = interactions.matrix, interactions.user_features.matrix
        return Sets.from_matrix(sparse.hstack([history, self.attributes(history, told)], "csr"))

    def profile(self, items: Sequence[int] = (), user_features: Sequence[str] = ()) -> Sets:
        """FS_u of one user, known or new: her items, their attributes and her own features.

        Raises:
            ValueError: an item outside the catalogue, an unknown user feature, or nothing at all.
        """
        chosen = np.unique(check_ids("items", list(items), self.n_items, "item"))
        brought = np.unique(self.item_features.matrix[chosen].indices) + self.n_items
        names = self.user_feature_names
        for name in user_features:
            few = ", ".join(names[:5]) or "none in this space"
            require(name in names, f"user_features: {name!r} is unknown; there are {few}, ...")
        told = {self.first_told + names.index(name) for name in user_features}
        known = [*chosen.tolist(), *brought.tolist(), *sorted(told)]
        require(known, "profile: it is empty; give at least one item or one user feature")
        return Sets.of(known)

    def check_one(self, profile: Sets, verb: str, may_be_empty: bool = False) -> None:
        """Raise a ValueError unless these are known features of one profile."""
        require(len(profile) == 1, f"profile: got {len(profile)} profiles; {verb} one at a time")
        told = "profile: it is empty, and all items score alike; give a feature"
        require(len(profile.ids) or may_be_empty, told)
        check_ids("profile", profile.ids.cpu(), self.m, "feature")


# --------------------------------------------------------------------------- examples


def removal_survival(beta: float, longest: int) -> Float[Tensor, " r"]:
    """Chance that at least n = 1, 2, ..., `longest` entries are removed: 1 / (n!)^beta.

    In the paper's count rank r starts at 0, so that n = r + 1 entries are gone.

    Raises:
        ValueError: a negative beta.

    Source: RecoNet, §4.2.
    """
    require(beta >= 0, f"beta: {beta} must not be negative")
    return torch.arange(1, longest + 1, dtype=torch.float64).log().cumsum(0).mul(-beta).exp()


def diminishing_removal(
    sizes: Int[Tensor, " user"], beta: float, draw: Float[Tensor, " user"]
) -> Int[Tensor, " user"]:
    """How many entries to remove from each set: one, and each further one with falling chance.

    After r removals another follows with probability 1 / (r + 1)^beta; never more than the set
    holds. One uniform draw in 0..1 against the survival function equals the paper's coin after
    coin.

    Source: RecoNet, §4.2.
    """
    survival = removal_survival(beta, max([1, *sizes.tolist()]))
    # survival falls, so the draws below it are counted from its rising mirror image
    return torch.searchsorted(-survival, -draw.to(survival), right=False).clamp(max=sizes)


@dataclass(frozen=True)
class Examples(Batch):
    """Training examples of several users.

    Attributes:
        inputs: the features the model sees, one set a user.
        targets: the removed items it must predict.
        silenced: items whose probability is not asked for: they are masked out of the softmax.
    """

    inputs: Sets
    targets: Sets
    silenced: Sets

    def __len__(self) -> int:
        """Number of targets: each has its loss."""
        return len(self.targets.ids)

    @property
    def n_users(self) -> int:
        """Number of sets."""
        return len(self.inputs)

    def rows(self, start: int, stop: int) -> Examples:
        """The examples of users start..stop-1."""
        return Examples(*(sets.rows(start, stop) for sets in vars(self).values()))

    def joined(self, more: Examples) -> Examples:
        """These users, then `more` users."""
        return Examples(**{name: own.joined(vars(more)[name]) for name, own in vars(self).items()})

    def part(self, index: int, count: int) -> Examples:
        """The share of process `index` of `count`."""
        edges = np.linspace(0, self.n_users, count + 1).round().astype(int)
        return self.rows(edges[index], edges[index + 1])


class _Drawn(Examples):
    """Examples that are made when they are asked for, so that a process makes its own share alone.

    Args:
        users: whose. make: users -> their examples. targets: how many they will have.
    """

    def __init__(self, users: ndarray, make: Callable[[ndarray], Examples], targets: int) -> None:
        vars(self).update(users=users, make=make, n_targets=targets)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rows(0, self.n_users), name)  # inputs, targets and silenced

    def __len__(self) -> int:
        return self.n_targets

    @property
    def n_users(self) -> int:
        return len(self.users)

    def rows(self, start: int, stop: int) -> Examples:
        return self.make(self.users[start:stop])


def _apart(users: Int[ndarray, " user"], seed: int, epoch: int) -> Lots:
    """Numbers that a user's id and the place in her row decide, whoever else is drawn with her.

    pandas mixes them as SplitMix64 does (Steele, Lea, Flood 2014).
    """
    turn = count()

    def lots(indptr: Int[ndarray, " users_plus_one"]) -> Float[ndarray, " entry"]:
        key = np.random.SeedSequence([seed, epoch, next(turn)]).generate_state(1, np.uint64)
        # the user's number less her row's start, and one more at each of its entries
        x = key + (users.astype(np.uint64) * OF_USER - indptr[:-1].astype(np.uint64) * OF_PLACE)
        x = x.repeat(np.diff(indptr)) + np.arange(indptr[-1], dtype=np.uint64) * OF_PLACE
        return (pd.util.hash_array(x) >> 11) * 2.0**-53

    return lots


@dataclass(frozen=True)
class _Hiding:
    """Epoch -> batches of examples, one a user that has a history, in random order; a ValueError
    if nobody has one.

    Attributes:
        batch_size: in users.
    """

    interactions: Interactions
    space: FeatureSpace
    _: KW_ONLY
    batch_size: int = 128
    seed: int = 0

    def hide(self, history: Matrix, told: Matrix, lots: Lots) -> tuple[Matrix, ...]:
        """R and Phi^U of the users -> kept items, attributes, targets, silenced items."""
        raise NotImplementedError

    def n_targets(self, indptr: Int[ndarray, " users_plus_one"], lots: Lots) -> int:
        """How many targets users with histories of these lengths will have: one each."""
        return len(indptr) - 1

    def __call__(self, epoch: int) -> Iterator[Examples]:
        """The batches of one epoch."""
        rng, indptr = np.random.default_rng([self.seed, epoch]), self.interactions.matrix.indptr
        require(indptr[-1], "interactions: there are no events to learn from")
        if self.interactions.n_users > CROWD:
            lots = partial(_apart, seed=self.seed, epoch=epoch)
            for users in self._crowds(rng):
                ends = np.append(0, (indptr[users + 1] - indptr[users]).cumsum())
                targets = self.n_targets(ends, lots(users))
                yield _Drawn(users, lambda some: self.made(some, lots(some)), targets)
        else:
            users = rng.permutation(np.flatnonzero(np.diff(indptr)))
            whole = self.made(users, lambda ends: rng.random(ends[-1]))
            for start in range(0, len(users), self.batch_size):
                yield whole.rows(start, start + self.batch_size)

    def made(self, users: Int[ndarray, " user"], lots: Lots) -> Examples:
        """The examples of these users."""
        history, told = self.interactions.matrix, self.interactions.user_features.matrix
        kept, attributes, *asked = self.hide(history[users], told[users], lots)
        inputs = sparse.hstack([kept, attributes], "csr")
        return Examples(*(Sets.from_matrix(each) for each in (inputs, *asked)))

    def _crowds(self, rng: np.random.Generator) -> Iterator[Int[ndarray, " user"]]:
        """The users of each batch: blocks in random order, `CROWD` users at a time shuffled."""
        n_users, indptr = self.interactions.n_users, self.interactions.matrix.indptr
        starts, left = rng.permutation(np.arange(0, n_users, BLOCK)), np.empty(0, np.int64)
        for some in np.array_split(starts, -(-n_users // CROWD)):
            users = (some[:, None] + np.arange(BLOCK)).ravel()
            users = users[users < n_users]
            users = rng.permutation(users[indptr[users + 1] > indptr[users]])
            users = np.append(left, users)
            *whole, left = np.split(users, range(self.batch_size, len(users), self.batch_size))
            yield from whole
        yield left


@dataclass(frozen=True)
class SingleLabel(_Hiding):
    """The paper's examples: one removed item is the label, others vanish with falling chance.

    One example a user and epoch. Item attributes are those of the remaining items, so that a
    removed item leaves no trace of itself; then the same removal thins out the attributes.

    Source: RecoNet, §4.2 and Figure 3.
    """

    beta: float = 1.0

    def hide(self, history: Matrix, told: Matrix, lots: Lots) -> tuple[Matrix, ...]:
        kept, removed = self._thin(history, lots)
        attributes, _ = self._thin(self.space.attributes(kept, told), lots)
        _, label = _divide(removed, _rank_in_row(removed, lots) == 0)
        return kept, attributes, label, sparse.csr_array(kept.shape)

    def _thin(self, matrix: Matrix, lots: Lots) -> tuple[Matrix, Matrix]:
        """(kept, removed) after diminishing removal from every row."""
        sizes = np.diff(matrix.indptr)
        draw = torch.from_numpy(lots(np.arange(len(sizes) + 1)))
        counts = diminishing_removal(torch.from_numpy(sizes), self.beta, draw).numpy()
        return _divide(matrix, _rank_in_row(matrix, lots) < np.repeat(counts, sizes))


@dataclass(frozen=True)
class RemovedItems(_Hiding):
    """All removed items as targets at once: one pass over a user teaches what the paper's
    single label needs many for.

    A random share of each history is removed; the items still in the input are masked out of the
    softmax, for nobody will recommend them back.

    Attributes:
        share: chance of an item to be removed.
        attribute_share: chance of an attribute to be left out of the input.
    """

    share: float = 0.5
    attribute_share: float = 0.5

    def __post_init__(self) -> None:
        for name, share in (("share", self.share), ("attribute_share", self.attribute_share)):
            require(0 < share < 1, f"{name}: {share} must lie between 0 and 1")

    def hide(self, history: Matrix, told: Matrix, lots: Lots) -> tuple[Matrix, ...]:
        kept, removed = _divide(history, lots(history.indptr) < self.share)
        attributes = self.space.attributes(kept, told)
        attributes, _ = _divide(attributes, lots(attributes.indptr) < self.attribute_share)
        return kept, attributes, removed, kept

    def n_targets(self, indptr: Int[ndarray, " users_plus_one"], lots: Lots) -> int:
        """How many items will be removed."""
        return int((lots(indptr) < self.share).sum())


@dataclass(frozen=True)
class WithNewcomers:
    """Other examples, and in each batch some of the users again, as if they had no history.

    The history of such a copy is left out, not thinned out: the input is what she told about
    herself, and the labels are items that she took. The other examples stay as they were. Users
    without features are never copied: their input would be empty.

    Attributes:
        examples: what the copies are added to.
        share: copies for each example of a batch.
        attribute_share: chance of one of her features to be left out of the input.
        labels: labels of a copy, at most; more would let long histories speak for everyone.
    """

    examples: _Hiding
    share: float = 0.2
    attribute_share: float = 0.2
    labels: int = 20

    def __post_init__(self) -> None:
        given = f"share: {self.share}, attribute_share: {self.attribute_share}"
        fits = self.share >= 0 and 0 <= self.attribute_share < 1 and self.labels >= 1
        require(fits, f"{given}, labels: {self.labels}; need 0 or more, below 1, 1 or more")
        require(len(self._able), "examples: no user has a history and a feature to be known by")

    @cached_property
    def _able(self) -> Int[ndarray, " user"]:
        """Users with a history to ask for and a feature to be known by."""
        events = self.examples.interactions
        bought, told = (np.diff(m.indptr) > 0 for m in (events.matrix, events.user_features.matrix))
        return np.flatnonzero(bought & told)

    def __call__(self, epoch: int) -> Iterator[Examples]:
        """The batches of one epoch."""
        rng = np.random.default_rng([self.examples.seed, epoch, 1])
        for batch in self.examples(epoch):
            count = int(self.share * batch.n_users + rng.random())
            whole = batch.rows(0, batch.n_users)
            yield whole.joined(self._copies(rng.choice(self._able, count), rng))

    def _copies(self, users: Int[ndarray, " copy"], rng: np.random.Generator) -> Examples:
        """These users without their history."""
        events = self.examples.interactions
        told, took = events.user_features.matrix[users], events.matrix[users]
        told, _ = _divide(told, rng.random(told.nnz) < self.attribute_share)
        _, few = _divide(took, _rank_in_row(took, lambda ends: rng.random(ends[-1])) < self.labels)
        inputs = Sets.from_matrix(told)
        inputs = Sets(inputs.ids + self.examples.space.first_told, inputs.offsets)
        silenced = Sets.from_matrix(sparse.csr_array(took.shape))
        return Examples(inputs, Sets.from_matrix(few), silenced)


def _divide(matrix: Matrix, chosen: Bool[ndarray, " entry"]) -> tuple[Matrix, Matrix]:
    """Split the entries of a sparse matrix into (the others, the chosen)."""

    def those(mask: Bool[ndarray, " entry"]) -> Matrix:
        ends = np.concatenate([[0], mask.cumsum()])[matrix.indptr]
        return sparse.csr_array((matrix.data[mask], matrix.indices[mask], ends), shape=matrix.shape)

    return those(~chosen), those(chosen)


def _rank_in_row(matrix: Matrix, lots: Lots) -> Int[ndarray, " entry"]:
    """A random order of the entries of each row: 0, 1, ... within the row."""
    return rank_within(matrix.tocoo(copy=False).row, lots(matrix.indptr))
