"""How models of preference learn: SAERS and what it is compared with, in one loop, from triples of
a user, an item she bought, and an item she did not.

    model = saers.saers(n_users, found, **saers.VERSIONS["SAERS, ours"])
    saers.train(model, split.train, **saers.TUNED["SAERS, ours"])

"In each iteration, we sample a user u, a positive item i, and a negative item j": all three
uniformly. An epoch holds as many triples as there are purchases.

Source: SAERS, §3.3 (Eq. 9, Adam) and §4.1.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from explainrec_lab import training
from explainrec_lab.baselines.visual import Ranker
from explainrec_lab.data.contracts import Interactions, require
from explainrec_lab.data.store import table_beside
from explainrec_lab.saers.model import bpr
from explainrec_lab.settings import fabric

_TABLES = table_beside(__file__)
# The versions that the chapter builds: arguments of `model.saers`.
VERSIONS: dict[str, dict[str, Any]] = _TABLES["versions"]
# How each learns, and two rivals: arguments of `train`.
TUNED: dict[str, dict[str, Any]] = _TABLES["tuned"]

# The share of the learning rate with which the perceptron D of Eq. 5 learns.
#
# At the full rate its ReLUs die: with the best settings of a search by AUC alone, none of the 16
# fired for half of all attributes, so that nothing weighed them.
ATTENTION_RATE = 0.1


@dataclass(frozen=True)
class Batch(training.Batch):
    """Triples of D_S: users, and for each a bought item and one that she did not buy.

    Attributes:
        users: int64 `[triple]`. items: int64 `[triple, 2]`, the positive item i first, then j.
    """

    users: Int[Tensor, " triple"]
    items: Int[Tensor, "triple 2"]


@dataclass(frozen=True)
class _Triples:
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


def _ranking_losses(regularizer: float) -> Callable[[nn.Module, Batch], Tensor]:
    """(model, batch) -> Eq. 9 of each triple, and the model's own second loss if it has one."""

    def losses(model: nn.Module, batch: Batch) -> Tensor:
        own = model.auxiliary(batch.items)  # type: ignore[operator]
        return bpr(model(batch.users, batch.items), model.parameters(), regularizer) + own

    return losses


def train(
    model: Ranker,
    purchases: Interactions,
    *,
    epochs: int,
    learning_rate: float,
    regularizer: float,
    own_rate: Mapping[str, float] | None = None,
    batch_size: int = 256,
    seed: int = 0,
    **more: Any,
) -> training.History:
    """Train `model` in place by Adam, on the device of the settings in force; back on the CPU.

    Args:
        regularizer: lambda of Eq. 9.
        own_rate: start of a parameter's name -> multiple of the learning rate, for a network that
            was trained before. The attention's is `ATTENTION_RATE`, unless said here (`D_`).
        batch_size: in triples; seed: of the triples.
        more: `after_epoch` and `checkpoint` of `training.fit`.

    Raises:
        ValueError: a negative regularizer, or purchases that do not fit the model.
    """
    require(regularizer >= 0, f"regularizer: {regularizer} must not be negative")
    if (purchases.n_users, purchases.n_items) != (model.n_users, model.n_items):
        has = f"the model has {model.n_users} and {model.n_items}"
        given = f"{purchases.n_users} users and {purchases.n_items} items"
        raise ValueError(f"purchases: {given}, but {has}")
    rates = {"D_": ATTENTION_RATE, **(own_rate or {})}
    how = training.Optimisation(epochs, learning_rate, own_rate=rates)
    triples, losses = _Triples(purchases, batch_size, seed), _ranking_losses(regularizer)
    return training.fit(model, triples, losses, how, fabric=fabric(), **more)
