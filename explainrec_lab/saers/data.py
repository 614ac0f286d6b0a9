"""Training triples: a user, an item she bought, an item she did not.

"In each iteration, we sample a user u, a positive item i, and a negative item j": all three
uniformly. An epoch holds as many triples as there are purchases. Source: SAERS, §3.3.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int

from explainrec_lab import training
from explainrec_lab.data.contracts import Interactions, require


@dataclass(frozen=True)
class Batch(training.Batch):
    """Triples of D_S: users, and for each a bought item and one that she did not buy.

    Attributes:
        users: int64 `[triple]`. items: int64 `[triple, 2]`, the positive item i first, then j.
    """

    users: Int[torch.Tensor, " triple"]
    items: Int[torch.Tensor, "triple 2"]


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
        require(self.batch_size >= 1, f"batch_size: {self.batch_size} must be at least 1")
        require(self.train.matrix.nnz, "train: no purchases, so there is nothing to sample")
        user, n_items = int(self._sizes.argmax()), self.train.n_items
        told = f"train: user {user} bought all {n_items} items; none is left to draw"
        require(self._sizes[user] < n_items, told)

    def __call__(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch."""
        rng, bought = np.random.default_rng([self.seed, epoch]), self.train.matrix
        users = rng.choice(np.flatnonzero(self._sizes), bought.nnz)
        place = (rng.random(len(users)) * self._sizes[users]).astype(np.int64)
        positive = bought.indices[bought.indptr[users] + place]
        items = torch.from_numpy(np.stack([positive, self._negatives(users, rng)], axis=1))
        chosen = (torch.from_numpy(users).split(self.batch_size), items.split(self.batch_size))
        yield from map(Batch, *chosen)

    @cached_property
    def _sizes(self) -> Int[np.ndarray, " user"]:
        return np.diff(self.train.matrix.indptr)

    def _negatives(self, users: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One item outside I_u+ for each user, `[triple]`: drawn again until it is."""
        n_items = self.train.n_items
        bought = self.train.user * n_items + self.train.item
        drawn = rng.integers(n_items, size=len(users))
        while len(wrong := np.flatnonzero(np.isin(users * n_items + drawn, bought))):
            drawn[wrong] = rng.integers(n_items, size=len(wrong))
        return drawn
