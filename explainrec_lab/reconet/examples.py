"""Training examples by hiding items, and the loss that asks for what was hidden.

Source: RecoNet, §4.2 and Figure 3; the loss is §4.1's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import sparse
from torch import Tensor, nn

from explainrec_lab.data.contracts import Features, Interactions
from explainrec_lab.data.splits import random_rank
from explainrec_lab.reconet.features import FeatureSpace, Sets


def removal_survival(beta: float, longest: int) -> Float[Tensor, " r"]:
    """Chance that at least n = 1, 2, ..., `longest` entries are removed: 1 / (n!)^beta.

    In the paper's count rank r starts at 0, so that n = r + 1 entries are gone.

    Raises:
        ValueError: a negative beta.

    Source: RecoNet, §4.2.
    """
    if beta < 0:
        raise ValueError(f"beta: {beta} must not be negative")
    return torch.arange(1, longest + 1, dtype=torch.float64).log().cumsum(0).mul(-beta).exp()


def diminishing_removal(
    sizes: Int[Tensor, " user"], beta: float, generator: torch.Generator
) -> Int[Tensor, " user"]:
    """How many entries to remove from each set: one, and each further one with falling chance.

    After r removals another follows with probability 1 / (r + 1)^beta; never more than the set
    holds. One uniform draw against the survival function equals the paper's coin after coin.

    Source: RecoNet, §4.2.
    """
    survival = removal_survival(beta, max(int(sizes.max()), 1)) if len(sizes) else torch.zeros(1)
    draw = torch.rand(len(sizes), generator=generator, dtype=torch.float64)
    # survival falls, so the draws below it are counted from its rising mirror image
    removed = torch.searchsorted(-survival, -draw, right=False)
    return removed.clamp(max=sizes)


@dataclass(frozen=True)
class Examples:
    """Training examples of several users.

    Attributes:
        inputs: the features the model sees, one set a user.
        targets: the removed items it must predict.
        silenced: items whose probability is not asked for: they leave the softmax.
    """

    inputs: Sets
    targets: Sets
    silenced: Sets

    def __len__(self) -> int:
        """Number of targets: each has its loss."""
        return len(self.targets.ids)

    def rows(self, start: int, stop: int) -> Examples:
        """The examples of users start..stop-1."""
        return Examples(*(sets.rows(start, stop) for sets in self._sets()))

    def joined(self, more: Examples) -> Examples:
        """These users, then `more` users."""
        mine, others = self._sets(), more._sets()
        return Examples(*(_joined(a, b) for a, b in zip(mine, others, strict=True)))

    def part(self, index: int, count: int) -> Examples:
        """The share of process `index` of `count`."""
        edges = np.linspace(0, len(self.inputs), count + 1).round().astype(int)
        return self.rows(edges[index], edges[index + 1])

    def to(self, device: torch.device | str) -> Examples:
        return Examples(*(sets.to(device) for sets in self._sets()))

    def _sets(self) -> tuple[Sets, Sets, Sets]:
        return self.inputs, self.targets, self.silenced


@dataclass(frozen=True)
class SingleLabel:
    """The paper's examples: one removed item is the label, others vanish with falling chance.

    One example a user and epoch. Item attributes are those of the remaining items, so that a
    removed item leaves no trace of itself; then the same removal thins out the attributes.

    Source: RecoNet, §4.2 and Figure 3.
    """

    interactions: Interactions
    space: FeatureSpace
    beta: float = 1.0
    batch_size: int = 128
    seed: int = 0

    def __call__(self, epoch: int) -> Iterator[Examples]:
        """The batches of one epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        history, owned = _shuffled(self.interactions, rng)
        kept, removed = self._thin(history, rng)
        attributes, _ = self._thin(_attributes(self.space, kept, owned), rng)
        label = _one_each(removed, rng)
        nothing = sparse.csr_array(history.shape, dtype=np.int8)
        yield from _batches(kept, attributes, label, nothing, self.batch_size)

    def _thin(
        self, matrix: sparse.csr_array, rng: np.random.Generator
    ) -> tuple[sparse.csr_array, sparse.csr_array]:
        """(kept, removed) after diminishing removal from every row."""
        sizes = np.diff(matrix.indptr)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        counts = diminishing_removal(torch.from_numpy(sizes), self.beta, generator).numpy()
        return _divide(matrix, _rank_in_row(sizes, rng) < np.repeat(counts, sizes))


@dataclass(frozen=True)
class RemovedItems:
    """All removed items as targets at once: one pass over a user teaches what the paper's
    single label needs many for.

    A random share of each history is removed; the items still in the input leave the softmax,
    for nobody will recommend them back.

    Attributes:
        share: chance of an item to be removed.
        attribute_share: chance of an attribute to be left out of the input.
        silence: whether the kept items leave the softmax.
    """

    interactions: Interactions
    space: FeatureSpace
    share: float = 0.5
    attribute_share: float = 0.5
    silence: bool = True
    batch_size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("share", "attribute_share"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must lie between 0 and 1")

    def __call__(self, epoch: int) -> Iterator[Examples]:
        """The batches of one epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        history, owned = _shuffled(self.interactions, rng)
        kept, removed = _divide(history, rng.random(history.nnz) < self.share)
        attributes = _attributes(self.space, kept, owned)
        attributes, _ = _divide(attributes, rng.random(attributes.nnz) < self.attribute_share)
        silenced = kept if self.silence else sparse.csr_array(history.shape, dtype=np.int8)
        yield from _batches(kept, attributes, removed, silenced, self.batch_size)


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

    examples: SingleLabel | RemovedItems
    share: float = 0.2
    attribute_share: float = 0.2
    labels: int = 20

    def __post_init__(self) -> None:
        if self.share < 0 or not 0 <= self.attribute_share < 1:
            raise ValueError(
                f"share, attribute_share: {self.share}, {self.attribute_share}; share must not be "
                "negative, attribute_share must lie in 0..1 and below 1"
            )
        if self.labels < 1:
            raise ValueError(f"labels: {self.labels} must be at least 1")
        if not len(self._able):
            raise ValueError("examples: no user has both a history and a feature to be known by")

    @cached_property
    def _able(self) -> Int[np.ndarray, " user"]:
        """Users with a history to ask for and a feature to be known by."""
        events = self.examples.interactions
        return np.flatnonzero(
            (np.diff(events.matrix.indptr) > 0) & (np.diff(events.user_features.matrix.indptr) > 0)
        )

    def __call__(self, epoch: int) -> Iterator[Examples]:
        """The batches of one epoch."""
        rng = np.random.default_rng([self.examples.seed, epoch, 1])
        for batch in self.examples(epoch):
            count = int(self.share * len(batch.inputs) + rng.random())
            yield batch.joined(self._copies(rng.choice(self._able, count), rng))

    def _copies(self, users: Int[np.ndarray, " copy"], rng: np.random.Generator) -> Examples:
        """These users without their history."""
        events, space = self.examples.interactions, self.examples.space
        own, took = events.user_features.matrix[users], events.matrix[users]
        told, _ = _divide(own, rng.random(own.nnz) < self.attribute_share)
        few = _rank_in_row(np.diff(took.indptr), rng) < self.labels
        first = space.m - len(space.user_feature_names)
        inputs = Sets.from_matrix(told)
        return Examples(
            Sets(inputs.ids + first, inputs.offsets),
            Sets.from_matrix(_divide(took, few)[1]),
            Sets.from_matrix(sparse.csr_array(took.shape, dtype=np.int8)),
        )


def _joined(first: Sets, second: Sets) -> Sets:
    """Two lists of sets, one after the other."""
    offsets = torch.cat([first.offsets, second.offsets[1:] + first.offsets[-1]])
    return Sets(torch.cat([first.ids, second.ids]), offsets)


def _shuffled(
    interactions: Interactions, rng: np.random.Generator
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """R and Phi^U of the users that have a history, in random order."""
    users = rng.permutation(np.flatnonzero(np.diff(interactions.matrix.indptr)))
    return interactions.matrix[users], interactions.user_features.matrix[users]


def _attributes(
    space: FeatureSpace, history: sparse.csr_array, owned: sparse.csr_array
) -> sparse.csr_array:
    """Phi^V(V(u)) and Phi^U(u), as columns of their own."""
    features = Features(space.user_feature_names, owned)
    return space.matrix(history, features)[:, space.n_items :]


def _divide(
    matrix: sparse.csr_array, chosen: np.ndarray
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Split the entries of a sparse matrix into (the others, the chosen)."""

    def those(mask: np.ndarray) -> sparse.csr_array:
        ends = np.concatenate([[0], mask.cumsum()])[matrix.indptr]
        return sparse.csr_array((matrix.data[mask], matrix.indices[mask], ends), shape=matrix.shape)

    return those(~chosen), those(chosen)


def _rank_in_row(sizes: np.ndarray, rng: np.random.Generator) -> Int[np.ndarray, " entry"]:
    """A random order of the entries of each row: 0, 1, ... within the row."""
    return random_rank(np.repeat(np.arange(len(sizes)), sizes), rng)


def _one_each(matrix: sparse.csr_array, rng: np.random.Generator) -> sparse.csr_array:
    """One random entry of each row."""
    return _divide(matrix, _rank_in_row(np.diff(matrix.indptr), rng) == 0)[1]


def _batches(
    kept: sparse.csr_array,
    attributes: sparse.csr_array,
    targets: sparse.csr_array,
    silenced: sparse.csr_array,
    size: int,
) -> Iterator[Examples]:
    if size < 1:
        raise ValueError(f"batch_size: {size} must be at least 1")
    inputs = sparse.csr_array(sparse.hstack([kept, attributes], format="csr"))
    epoch = Examples(*(Sets.from_matrix(matrix) for matrix in (inputs, targets, silenced)))
    for start in range(0, len(epoch.inputs), size):
        yield epoch.rows(start, min(start + size, len(epoch.inputs)))


def cross_entropy(model: nn.Module, examples: Examples) -> Float[Tensor, " target"]:
    """-log p of each target, where the silenced items take no part in the softmax.

    Source: RecoNet, §4.1.
    """
    y = model(examples.inputs)
    silenced, targets = examples.silenced, examples.targets
    y = y.index_put((silenced.owners, silenced.ids), y.new_tensor(-torch.inf))
    return y.logsumexp(dim=1)[targets.owners] - y[targets.owners, targets.ids]
