"""Two methods of least squares that RecoNet's Table 1 leaves out: iALS and EASE.

iALS factorises R with little weight on the zeros (the library `implicit`'s). EASE predicts each
item from all others by one ridge regression, in closed form. Neither admits attributes here; a
user without a history gets zeros.

Sources: iALS, Hu, Koren and Volinsky 2008 (the paper's wALS, Pan et al. 2008, is its sibling);
EASE, Steck 2019, Eq. 8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from explainrec_lab.baselines.collaborative import require_positive
from explainrec_lab.data.contracts import Interactions


@dataclass(frozen=True)
class IALS:
    """score_ui = <x_u, y_i>, of the smallest sum over all pairs of w_ui (r_ui - <x_u, y_i>)^2.

    w_ui is alpha for what a user took and 1 for everything else (1 + alpha in Hu et al.); the
    squared lengths of all vectors are added, times `regularisation`.

    Attributes:
        alpha: weight of a pair that was taken, beside 1. factors: length of the vectors.
        sweeps: over users and items in turn.
    """

    factors: int = 128
    alpha: float = 10.0
    regularisation: float = 100.0
    sweeps: int = 15

    def __post_init__(self) -> None:
        for name in ("factors", "alpha", "regularisation", "sweeps"):
            require_positive(name, getattr(self, name))

    def scores(self, train: Interactions, seed: int = 0) -> Float[Tensor, "user item"]:
        """`seed` is that of the first vectors."""
        from implicit.als import AlternatingLeastSquares  # slow to import
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, "blas"):  # the library has threads of its own
            model = AlternatingLeastSquares(
                factors=self.factors,
                alpha=self.alpha,
                regularization=self.regularisation,
                iterations=self.sweeps,
                random_state=seed,
            )
            model.fit(sparse.csr_matrix(train.matrix), show_progress=False)
            return torch.from_numpy(model.user_factors @ model.item_factors.T)


@dataclass(frozen=True)
class EASE:
    """score_u = r_u B, where B has a zero diagonal and makes |R - R B|^2 + regularisation |B|^2
    smallest."""

    regularisation: float = 300.0

    def __post_init__(self) -> None:
        require_positive("regularisation", self.regularisation)

    def scores(self, train: Interactions, seed: int = 0) -> Float[Tensor, "user item"]:
        """Nothing is random. Memory: a matrix of items x items."""
        B = item_weights(train.matrix, self.regularisation)
        return torch.from_numpy(train.matrix @ B).float()


def item_weights(matrix: sparse.csr_array, regularisation: float) -> Float[ndarray, "item item"]:
    """B_ij = -P_ij / P_jj off the diagonal, with P = (R^T R + regularisation)^-1.

    Source: Steck 2019, Eq. 8.
    """
    gram = (matrix.T @ matrix).toarray().astype(np.float64)
    P = np.linalg.inv(gram + regularisation * np.eye(len(gram)))
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0.0)
    return B
