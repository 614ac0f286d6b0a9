"""What every recommender that stands beside RecoNet has in common: one call.

    scores = EASE(regularisation=300).scores(parts.train, seed=0)

A method is a frozen dataclass of its hyperparameters. `scores` learns from the training
interactions and rates all items for all users, those without a history included: they get what
the method can give them (see each class). Attributes come with the interactions; a method that
admits none ignores them, and `train.without_features()` takes them away from all.

Sources: RecoNet, §5.1 names what it compares with. The methods are in `popularity`,
`neighbours`, `coclusters` (OCuLaR), `squares` (iALS, EASE) and `sampled` (factorization machine,
collaborative metric learning). Nothing here knows a chapter, a split or a score of a ranking.
"""

from __future__ import annotations

from typing import Protocol

from jaxtyping import Float
from torch import Tensor

from explainrec_lab.data.contracts import Interactions


class Recommender(Protocol):
    """Anything that rates all items for all users."""

    def scores(self, train: Interactions, seed: int = 0) -> Float[Tensor, "user item"]:
        """Learn from `train` and rate; higher is better, only the order within a row counts."""
        ...


def require_positive(name: str, value: float) -> None:
    """Raise a ValueError unless `value` is above zero."""
    if not value > 0:
        raise ValueError(f"{name}: {value} must be above 0")


def require_not_negative(name: str, value: float) -> None:
    """Raise a ValueError unless `value` is zero or above."""
    if not value >= 0:
        raise ValueError(f"{name}: {value} must be 0 or above")


def require_share(name: str, value: float) -> None:
    """Raise a ValueError unless `value` lies in 0..1."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name}: {value} is outside 0..1")
