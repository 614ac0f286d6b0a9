"""Neighbourhood methods: items that are alike, or users who are. The library `implicit`'s.

Both use the cosine of the angle between two columns (or rows) of R,

    c_ij = |users of both i and j| / sqrt(|users of i| |users of j|),

keep the `k` nearest neighbours, and sum. Neither admits attributes. A user without a history has
no neighbours and owns nothing to be near to: all her scores are zero.

Sources: RecoNet, §5.1 (item-2-item, user-2-user, cosine); Sarwar et al. 2001.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor

from explainrec_lab.baselines.collaborative import require_positive
from explainrec_lab.data.contracts import Interactions


@dataclass(frozen=True)
class ItemNeighbours:
    """Item-to-item: score_ui = the sum of c_ij^power over the `k` items j nearest to i, of those
    that user u took.

    Attributes:
        power: above 1, close neighbours count more than many far ones; 1 is the plain cosine.
    """

    k: int = 200
    power: float = 1.0

    def __post_init__(self) -> None:
        require_positive("k", self.k)
        require_positive("power", self.power)

    def scores(self, train: Interactions, seed: int = 0) -> Float[Tensor, "user item"]:
        """Nothing is random."""
        near = nearest(train.matrix, self.k, self.power)
        return torch.from_numpy((train.matrix @ near.T).toarray()).float()


@dataclass(frozen=True)
class UserNeighbours:
    """User-to-user: score_ui = the sum of c_uv^power over the `k` users v nearest to u who took i.

    Attributes:
        power: see `ItemNeighbours`.
    """

    k: int = 200
    power: float = 1.0

    def __post_init__(self) -> None:
        require_positive("k", self.k)
        require_positive("power", self.power)

    def scores(self, train: Interactions, seed: int = 0) -> Float[Tensor, "user item"]:
        """Nothing is random."""
        near = nearest(sparse.csr_array(train.matrix.T), self.k, self.power)
        return torch.from_numpy((near @ train.matrix).toarray()).float()


def nearest(
    matrix: sparse.csr_array, k: int, power: float = 1.0
) -> sparse.csr_array:  # [column, column]
    """Row i: c^power of column i of `matrix` and its `k` nearest others, zero elsewhere."""
    from implicit.nearest_neighbours import CosineRecommender  # slow to import
    from implicit.utils import ParameterWarning

    model = CosineRecommender(K=k + 1)  # it counts a column among its own neighbours
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ParameterWarning)  # of a format that it makes itself
        model.fit(sparse.csr_matrix(matrix, dtype="float64"), show_progress=False)
    near = sparse.csr_array(model.similarity)
    near.data **= power
    near.setdiag(0)
    near.eliminate_zeros()
    return near
