"""Training triples: a user, an item she bought, an item she did not.

"In each iteration, we sample a user u, a positive item i, and a negative item j": all three
uniformly. An epoch holds as many triples as there are purchases. Source: SAERS, §3.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Int
from numpy import ndarray
from torch import Tensor

from explainrec_lab.data.contracts import Interactions


@dataclass(frozen=True)
class Batch:
    """Triples of D_S: users, and for each a bought item and one that she did not buy.

    Attributes:
        users: int64 `[triple]`. items: int64 `[triple, 2]`, the positive item i first, then j.
    """

    users: Int[Tensor, " triple"]
    items: Int[Tensor, "triple 2"]

    def __len__(self) -> int:
        return len(self.users)

    def part(self, index: int, count: int) -> Batch:
        """The share of process `index` of `count`."""
        edges = np.linspace(0, len(self), count + 1).round().astype(int)
        chosen = slice(edges[index], edges[index + 1])
        return Batch(self.users[chosen], self.items[chosen])

    def to(self, device: torch.device | str) -> Batch:
        return Batch(self.users.to(device), self.items.to(device))


@dataclass(frozen=True)
class Triples:
    """Epoch -> batches of triples. The same seed and epoch give the same triples.

    Raises:
        ValueError: nobody bought anything, somebody bought everything, or no batch size.
    """

    train: Interactions
    batch_size: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size: {self.batch_size} must be at least 1")
        if not self.train.matrix.nnz:
            raise ValueError("train: no purchases, so there is nothing to sample")
        most = int(self._sizes.max())
        if most >= self.train.n_items:
            user = int(self._sizes.argmax())
            raise ValueError(
                f"train: user {user} bought all {most} items, so no item is left as a negative"
            )

    def __call__(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        users = rng.choice(np.flatnonzero(self._sizes), self.train.matrix.nnz)
        positive, negative = self._positives(users, rng), self._negatives(users, rng)
        items = torch.from_numpy(np.stack([positive, negative], axis=1))
        for start in range(0, len(users), self.batch_size):
            chosen = slice(start, start + self.batch_size)
            yield Batch(torch.from_numpy(users[chosen]), items[chosen])

    @cached_property
    def _sizes(self) -> Int[ndarray, " user"]:
        return np.diff(self.train.matrix.indptr)

    @cached_property
    def _pairs(self) -> Int[ndarray, " purchase"]:
        """user * items + item of every purchase, ascending."""
        matrix = self.train.matrix
        owners = np.repeat(np.arange(self.train.n_users), self._sizes)
        return np.sort(owners * self.train.n_items + matrix.indices)

    def _positives(
        self, users: Int[ndarray, " triple"], rng: np.random.Generator
    ) -> Int[ndarray, " triple"]:
        """One item of I_u+ for each user."""
        place = (rng.random(len(users)) * self._sizes[users]).astype(np.int64)
        return self._pairs[self.train.matrix.indptr[users] + place] % self.train.n_items

    def _negatives(
        self, users: Int[ndarray, " triple"], rng: np.random.Generator
    ) -> Int[ndarray, " triple"]:
        """One item outside I_u+ for each user: drawn again until it is."""
        drawn = rng.integers(self.train.n_items, size=len(users))
        wrong = np.flatnonzero(self._bought(users, drawn))
        while len(wrong):
            drawn[wrong] = rng.integers(self.train.n_items, size=len(wrong))
            wrong = wrong[self._bought(users[wrong], drawn[wrong])]
        return drawn

    def _bought(self, users: Int[ndarray, " n"], items: Int[ndarray, " n"]) -> Bool[ndarray, " n"]:
        asked = users * self.train.n_items + items
        place = np.searchsorted(self._pairs, asked).clip(max=len(self._pairs) - 1)
        return self._pairs[place] == asked
