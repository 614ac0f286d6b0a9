"""How models of preference learn from triples: SAERS and what it is compared with, in one loop.

    model = saers.saers(n_users, found, **saers.VERSIONS["SAERS, ours"])
    saers.train(model, split.train, **saers.TUNED["SAERS, ours"])

Source: SAERS, §3.3 (Eq. 9, Adam) and §4.1.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from explainrec_lab import training
from explainrec_lab.baselines.visual import Ranker
from explainrec_lab.data.contracts import Interactions, require
from explainrec_lab.data.store import table_beside
from explainrec_lab.saers.data import Batch, Triples
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
    triples, losses = Triples(purchases, batch_size, seed), _ranking_losses(regularizer)
    return training.fit(model, triples, losses, how, fabric=fabric(), **more)
