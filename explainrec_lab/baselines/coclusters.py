"""OCuLaR: users and items belong to overlapping co-clusters, and meet where they share one.

    P(u takes i) = 1 - exp(-<f_u, f_i>),  f_u, f_i >= 0

How strongly user and item belong to each cluster is all the model knows. A pair is taken as soon
as one of its clusters gives a reason: the inner product is the expected number of reasons, a
Poisson variable, and P the chance of at least one. Seen like this, each step of expectation
maximisation is a closed form, without step sizes, and never lowers the likelihood. (The original
is fitted by projected gradient descent; the objective is the same.)

Source: Heckel, Vlachos, Parnell and Duenner 2017; RecoNet, §5.1.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor

from explainrec_lab.baselines.collaborative import Hyperparameters
from explainrec_lab.data.contracts import Interactions

Rows: TypeAlias = Float[Tensor, "row cluster"]
Columns: TypeAlias = Float[Tensor, "column cluster"]

SMALLEST = 1e-12
"""What an inner product is at least, so that its inverse is finite."""


@dataclass(frozen=True)
class OCuLaR(Hyperparameters):
    """Overlapping co-clusters by expectation maximisation.

    Attributes enter as further columns of R (one a user feature, 'taken' by the users who have
    it) and as further rows (one an item feature, which 'takes' the items that have it). So a user
    without a history belongs to the clusters of her features; without features, to none.

    Attributes:
        clusters: how many. regularisation: times the squared strengths of all memberships.
    """

    clusters: int = 200
    regularisation: float = 60.0
    iterations: int = 60

    def scores(self, train: Interactions, seed: int = 0) -> Float[Tensor, "user item"]:
        """<f_u, f_i>, which orders items as P does; `seed` is that of the first memberships."""
        F, G = self.memberships(_with_attributes(train), seed)
        return F[: train.n_users] @ G[: train.n_items].T

    def memberships(self, matrix: sparse.csr_array, seed: int = 0) -> tuple[Rows, Columns]:
        """f of every row and of every column of a binary matrix."""
        generator = torch.Generator().manual_seed(seed)
        scale = (4 * matrix.nnz / np.prod(matrix.shape) / self.clusters) ** 0.5
        F, G = (scale * torch.rand(n, self.clusters, generator=generator) for n in matrix.shape)
        taken, taken_by = Pairs(matrix), Pairs(sparse.csr_array(matrix.T))
        for _ in range(self.iterations):
            F = improved(F, G, taken, self.regularisation)
            G = improved(G, F, taken_by, self.regularisation)
        return F, G


def _with_attributes(train: Interactions) -> sparse.csr_array:
    """R with a further column for each user feature and a further row for each item feature."""
    users, items = train.user_features.matrix, train.item_features.matrix
    return sparse.csr_array(
        sparse.block_array([[train.matrix, users], [items.T, None]], format="csr", dtype=np.float32)
    )


class Pairs:
    """The ones of a binary matrix, and the two products with them that the method needs."""

    def __init__(self, matrix: sparse.csr_array) -> None:
        self.columns = torch.from_numpy(matrix.indices.astype(np.int64))
        self.starts = torch.from_numpy(matrix.indptr.astype(np.int64))
        self.rows = torch.arange(matrix.shape[0]).repeat_interleave(self.starts.diff())
        self.shape = matrix.shape

    def filled(self, values: Float[Tensor, " pair"]) -> Tensor:
        """The sparse matrix with these values in place of the ones."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR")
            return torch.sparse_csr_tensor(
                self.starts, self.columns, values, self.shape, check_invariants=False
            )

    def products(self, F: Rows, G: Columns) -> Float[Tensor, " pair"]:
        """<f_row, g_column> of each pair."""
        if not torch.backends.mkl.is_available():
            return (F[self.rows] * G[self.columns]).sum(dim=1)
        empty = self.filled(F.new_zeros(len(self.columns)))
        return torch.sparse.sampled_addmm(empty, F, G.T).values()


def improved(F: Rows, G: Columns, taken: Pairs, regularisation: float) -> Rows:
    """One step of expectation maximisation for all rows: the objective does not fall.

    Expectation: n_uk = f_uk * sum over u's items of g_ik / (1 - exp(-<f_u, g_i>)), the reasons
    that cluster k gave u. Maximisation: the positive root f of 2 regularisation f^2 + t f = n,
    where t_k sums g_ik over all items.
    """
    s = taken.products(F, G).clamp(min=SMALLEST)
    n = F * (taken.filled(1 / -torch.expm1(-s)) @ G)
    t = G.sum(dim=0)
    # the root (-t + sqrt(...)) / (4 regularisation), without the difference that may round below 0
    return 2 * n / (t + (t**2 + 8 * regularisation * n).sqrt()).clamp(min=SMALLEST)


def objective(F: Rows, G: Columns, taken: Pairs, regularisation: float) -> float:
    """log P of all taken and untaken pairs, less regularisation times the squared memberships."""
    s = taken.products(F, G).clamp(min=SMALLEST)
    untaken = F.sum(dim=0) @ G.sum(dim=0) - s.sum()
    penalty = regularisation * (F.square().sum() + G.square().sum())
    return float((-torch.expm1(-s)).log().sum() - untaken - penalty)
