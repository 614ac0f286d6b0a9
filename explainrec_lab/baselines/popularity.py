"""Recommending what others like: everybody's best-sellers, or those of people of one's kind.

Neither looks at a user's own history, so both serve users without one. Source: the floor under
any table of recommenders; RecoNet's Table 1 leaves it out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from explainrec_lab.baselines.collaborative import require_positive, require_share
from explainrec_lab.data.contracts import Interactions


@dataclass(frozen=True)
class Popularity:
    """The same best-sellers for everybody: the number of users who took the item."""

    def scores(self, train: Interactions, seed: int = 0) -> Float[Tensor, "user item"]:
        """One row, shared by all users; nothing is random."""
        counts = torch.from_numpy(train.matrix.sum(axis=0)).float()
        return counts.expand(train.n_users, -1)


@dataclass(frozen=True)
class DemographicPopularity:
    """What users like who share this user's features.

        log p_i + trust * sum over the user's features a of log(p_i|a / p_i)

    p_i is the share of users who took item i, and p_i|a that share among the users with feature
    a, as if `strength` average users had joined them: a rare feature says little. With trust 1
    this is naive Bayes, which counts features twice that say the same (occupation 'retired' and
    age '56+'); with trust 0 it is popularity. A user without features gets popularity.

    Attributes:
        strength: average users added to those who share a feature.
        trust: how far each feature moves the scores, 0..1.
    """

    strength: float = 50.0
    trust: float = 0.5

    def __post_init__(self) -> None:
        require_positive("strength", self.strength)
        require_share("trust", self.trust)

    def scores(self, train: Interactions, seed: int = 0) -> Float[Tensor, "user item"]:
        """Log shares; nothing is random. Users without a history do not count as users who
        refused everything."""
        matrix, owned = train.matrix, train.user_features.matrix.astype(np.float64)
        active = np.diff(matrix.indptr) > 0
        sharing = owned.T.multiply(active).tocsr()  # [feature, user]
        p = share(matrix.sum(axis=0)[None], np.array([active.sum()]), 0.5, 1.0)
        p_given = share((sharing @ matrix).toarray(), sharing.sum(axis=1), p, self.strength)
        moved = owned @ np.log(p_given / p)
        return torch.from_numpy(np.log(p) + self.trust * moved).float()


def share(
    taken: Float[ndarray, "group item"],
    users: Float[ndarray, " group"],
    prior: Float[ndarray, "1 item"] | float,
    strength: float,
) -> Float[ndarray, "group item"]:
    """Share of a group's users who took each item, drawn towards `prior`."""
    return (taken + strength * prior) / (users[:, None] + strength)
