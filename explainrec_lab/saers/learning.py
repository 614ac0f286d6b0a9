"""How rankers learn from triples: SAERS and what it is compared with, in one loop.

Source: SAERS, §3.3 (Eq. 9, Adam) and §4.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from explainrec_lab import training
from explainrec_lab.baselines.visual import Ranker
from explainrec_lab.data.contracts import Interactions
from explainrec_lab.saers.preference import bpr
from explainrec_lab.saers.sampling import Batch, Triples
from explainrec_lab.settings import fabric


def ranking_losses(regularizer: float) -> Callable[[nn.Module, Batch], Float[Tensor, " triple"]]:
    """(model, batch) -> Eq. 9 of each triple, and the model's own second loss if it has one."""

    def losses(model: nn.Module, batch: Batch) -> Tensor:
        y = model(batch.users, batch.items)
        own = model.auxiliary(batch.items)  # type: ignore[operator]
        return bpr(y, model.parameters(), regularizer) + own

    return losses


def fit_ranker(
    model: Ranker,
    train: Interactions,
    *,
    epochs: int,
    learning_rate: float,
    regularizer: float,
    batch_size: int = 256,
    own_rate: Mapping[str, float] | None = None,
    seed: int = 0,
    after_epoch: Callable[[int, nn.Module], Any] | None = None,
    progress: bool = False,
) -> training.History:
    """Train `model` in place by Adam, on the device of the profile in force; back on the CPU.

    Args:
        regularizer: lambda of Eq. 9.
        own_rate: start of a parameter's name -> multiple of the learning rate, for a network that
            was trained before.
        seed: of the triples.
        after_epoch, progress: see `training.fit`.

    Raises:
        ValueError: a negative regularizer, or purchases that do not fit the model.
    """
    if not regularizer >= 0:
        raise ValueError(f"regularizer: {regularizer} must not be negative")
    if (train.n_users, train.n_items) != (model.n_users, model.n_items):
        raise ValueError(
            f"train: {train.n_users} users and {train.n_items} items, but the model has "
            f"{model.n_users} and {model.n_items}"
        )
    history = training.fit(
        model,
        Triples(train, batch_size, seed),
        ranking_losses(regularizer),
        training.Optimisation(epochs, learning_rate, own_rate=own_rate or {}),
        fabric=fabric(),
        after_epoch=after_epoch,
        progress=progress,
    )
    model.cpu()
    return history
