"""The recommenders that stand beside RecoNet, with one call in common.

    scores = EASE(regularisation=300).scores(parts.train, seed=0)

A method is a frozen dataclass of its hyperparameters. `scores` learns from the training
interactions and rates all items for all users, those without a history included: they get what
the method can give them (see each class). Attributes come with the interactions; a method that
admits none ignores them, and `train.without_features()` takes them away from all.

In this order: best-sellers, neighbours, the two methods of least squares that the paper's Table 1
leaves out, overlapping co-clusters (OCuLaR), and two that learn from comparisons (FM, CML). Nothing
here knows a chapter, a split or a score of a ranking.

Sources: RecoNet, §5.1 (what it compares with); Sarwar et al. 2001 (neighbours); Hu, Koren and
Volinsky 2008 (iALS; the paper's wALS, Pan et al. 2008, is its sibling); Steck 2019 (EASE).
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from typing import Protocol, Self, TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy import sparse
from torch import Tensor, nn

from explainrec_lab.data.contracts import Features, Interactions, require
from explainrec_lab.training import Batch, Optimisation, fit


class Recommender(Protocol):
    """Anything that rates all items for all users."""

    def scores(self, train: Interactions, seed: int = 0) -> Float[Tensor, "user item"]:
        """Learn from `train` and rate; higher is better, only the order within a row counts."""


@dataclass(frozen=True)
class Hyperparameters:
    """What every method checks: its numbers are above 0, or 0 where no trust or decay is meant."""

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            value, zero = getattr(self, name), name in ("trust", "weight_decay")
            right, least = value >= 0 if zero else value > 0, "0 or above" if zero else "above 0"
            require(right, f"{name}: {value} must be {least}")
            require(name != "trust" or value <= 1, f"trust: {value} is outside 0..1")


# --------------------------------------------------------------------------- best-sellers


class Popularity(Hyperparameters):
    """The same best-sellers for everybody: the number of users who took the item.

    The floor under any table of recommenders; it serves users without a history too.
    """

    def scores(self, train: Interactions, seed: int = 0) -> Float[Tensor, "user item"]:
        """One row, shared by all users; nothing is random."""
        return torch.from_numpy(train.matrix.sum(axis=0)).float().expand(train.n_users, -1)


@dataclass(frozen=True)
class DemographicPopularity(Hyperparameters):
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

    def scores(self, train: Interactions, seed: int = 0) -> Float[Tensor, "user item"]:
        """Log shares; nothing is random. Users without a history do not count as users who
        refused everything."""
        matrix, told = train.matrix, train.user_features.matrix.astype(np.float64)
        active = np.diff(matrix.indptr) > 0
        sharing = told.T.multiply(active).tocsr()  # [feature, user]
        p = (matrix.sum(axis=0)[None] + 0.5) / (active.sum() + 1.0)
        taken, users = (sharing @ matrix).toarray(), sharing.sum(axis=1)[:, None]
        p_given = (taken + self.strength * p) / (users + self.strength)
        return torch.from_numpy(np.log(p) + self.trust * (told @ np.log(p_given / p))).float()


# --------------------------------------------------------------------------- neighbours


@dataclass(frozen=True)
class _Neighbours(Hyperparameters):
    """Neighbours by the cosine of the angle between two columns (or rows) of R,

        c_ij = |users of both i and j| / sqrt(|users of i| |users of j|).

    Attributes are not admitted. A user without a history has no neighbours and owns nothing to be
    near to: all her scores are zero.

    Attributes:
        k: how many nearest neighbours are kept.
        power: above 1, close neighbours count more than many far ones; 1 is the plain cosine.
    """

    k: int = 200
    power: float = 1.0

    def nearest(self, matrix: sparse.csr_array) -> sparse.csr_array:  # [column, column]
        """Row i: c^power of column i of `matrix` and its `k` nearest others, zero elsewhere."""
        from implicit.nearest_neighbours import CosineRecommender  # slow to import
        from implicit.utils import ParameterWarning

        model = CosineRecommender(K=self.k + 1)  # it counts a column among its own neighbours
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ParameterWarning)  # of a format that it makes itself
            model.fit(sparse.csr_matrix(matrix, dtype="float64"), show_progress=False)
        near = sparse.csr_array(model.similarity)
        near.data **= self.power
        near.setdiag(0)
        near.eliminate_zeros()
        return near


class ItemNeighbours(_Neighbours):
    """Item-to-item: score_ui = the sum of c_ij^power over the `k` items j nearest to i, of those
    that user u took."""

    def scores(self, train: Interactions, seed: int = 0) -> Float[Tensor, "user item"]:
        """Nothing is random."""
        return torch.from_numpy((train.matrix @ self.nearest(train.matrix).T).toarray()).float()


class UserNeighbours(_Neighbours):
    """User-to-user: score_ui = the sum of c_uv^power over the `k` users v nearest to u who took
    i."""

    def scores(self, train: Interactions, seed: int = 0) -> Float[Tensor, "user item"]:
        """Nothing is random."""
        near = self.nearest(sparse.csr_array(train.matrix.T))
        return torch.from_numpy((near @ train.matrix).toarray()).float()


# --------------------------------------------------------------------------- least squares


@dataclass(frozen=True)
class IALS(Hyperparameters):
    """score_ui = <x_u, y_i>, of the smallest sum over all pairs of w_ui (r_ui - <x_u, y_i>)^2.

    w_ui is alpha for what a user took and 1 for everything else (1 + alpha in Hu et al.); the
    squared lengths of all vectors are added, times `regularisation`. Attributes are not admitted;
    a user without a history gets zeros.

    Attributes:
        alpha: weight of a pair that was taken, beside 1. factors: length of the vectors.
        sweeps: over users and items in turn.
    """

    factors: int = 128
    alpha: float = 10.0
    regularisation: float = 100.0
    sweeps: int = 15

    def scores(self, train: Interactions, seed: int = 0) -> Float[Tensor, "user item"]:
        """`seed` is that of the first vectors."""
        from implicit.als import AlternatingLeastSquares  # slow to import
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, "blas"):  # the library has threads of its own
            how = {"alpha": self.alpha, "regularization": self.regularisation, "random_state": seed}
            model = AlternatingLeastSquares(self.factors, iterations=self.sweeps, **how)
            model.fit(sparse.csr_matrix(train.matrix), show_progress=False)
            return torch.from_numpy(model.user_factors @ model.item_factors.T)


@dataclass(frozen=True)
class EASE(Hyperparameters):
    """score_u = r_u B, where B has a zero diagonal and makes |R - R B|^2 + regularisation |B|^2
    smallest: each item predicted from all others by one ridge regression. Attributes are not
    admitted; a user without a history gets zeros."""

    regularisation: float = 300.0

    def scores(self, train: Interactions, seed: int = 0) -> Float[Tensor, "user item"]:
        """Nothing is random. Memory: a matrix of items x items. Source: Steck 2019, Eq. 8."""
        gram = (train.matrix.T @ train.matrix).toarray().astype(np.float64)
        P = np.linalg.inv(gram + self.regularisation * np.eye(len(gram)))
        B = -P / np.diag(P)
        np.fill_diagonal(B, 0.0)
        return torch.from_numpy(train.matrix @ B).float()


# --------------------------------------------------------------- overlapping co-clusters
#
#     P(u takes i) = 1 - exp(-<f_u, f_i>),  f_u, f_i >= 0
#
# How strongly user and item belong to each cluster is all the model knows. A pair is taken as soon
# as one of its clusters gives a reason: the inner product is the expected number of reasons, a
# Poisson variable, and P the chance of at least one. Seen like this, each step of expectation
# maximisation is a closed form, without step sizes, and never lowers the likelihood. (The original
# is fitted by projected gradient descent; the objective is the same.)
#
# Source: Heckel, Vlachos, Parnell and Duenner 2017; RecoNet, §5.1.

Rows: TypeAlias = Float[Tensor, "row cluster"]
Columns: TypeAlias = Float[Tensor, "column cluster"]

# What an inner product is at least, so that its inverse is finite.
SMALLEST = 1e-12


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
        taken, taken_by = _Pairs(matrix), _Pairs(sparse.csr_array(matrix.T))
        for _ in range(self.iterations):
            F = _improved(F, G, taken, self.regularisation)
            G = _improved(G, F, taken_by, self.regularisation)
        return F, G


def _with_attributes(train: Interactions) -> sparse.csr_array:
    """R with a further column for each user feature and a further row for each item feature."""
    users, items = train.user_features.matrix, train.item_features.matrix
    blocks = [[train.matrix, users], [items.T, None]]
    return sparse.csr_array(sparse.block_array(blocks, format="csr", dtype=np.float32))


class _Pairs:
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
            places = (self.starts, self.columns)
            return torch.sparse_csr_tensor(*places, values, self.shape, check_invariants=False)

    def products(self, F: Rows, G: Columns) -> Float[Tensor, " pair"]:
        """<f_row, g_column> of each pair."""
        if not torch.backends.mkl.is_available():
            return (F[self.rows] * G[self.columns]).sum(dim=1)
        empty = self.filled(F.new_zeros(len(self.columns)))
        return torch.sparse.sampled_addmm(empty, F, G.T).values()


def _improved(F: Rows, G: Columns, taken: _Pairs, regularisation: float) -> Rows:
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


# ------------------------------------------------------------------- learned from comparisons
#
# What a user took should beat items drawn at random. In both methods the attributes of a user (of
# an item) have vectors that are added to her (its) own; a user without a history has her
# attributes' vectors alone, and without attributes none.
#
# Factorization machine: an inner product of everything known of the user with everything known of
# the item. Collaborative metric learning: users near the items they took, in one ball.
#
# Sources: Rendle 2010, Eq. 1, trained by the comparison of Rendle et al. 2009 (BPR); Hsieh et al.
# 2017, Eq. 2 and 3, without its regularisation of covariances. RecoNet, §5.1.

Losses = Callable[[nn.Module, "_Draws"], Float[Tensor, " pair"]]

# All items, or all users.
EVERYTHING = slice(None)


class _Vectors(nn.Module):
    """A vector for each owner plus those of the features it has.

    Args:
        known: owners that have a vector of their own; the others get zeros, not the noise that
            nothing was learned on.
    """

    def __init__(
        self, features: Features, d: int, known: Bool[Tensor, " owner"], generator: torch.Generator
    ) -> None:
        super().__init__()
        scale = 0.1 * d**-0.5
        own = scale * torch.randn(len(known), d, generator=generator)
        self.own = nn.Parameter(own * known[:, None])
        self.shared = nn.Parameter(scale * torch.randn(len(features), d, generator=generator))
        self.has = nn.Buffer(torch.from_numpy(features.matrix.toarray()).float())

    def forward(self, owners: Int[Tensor, " n"] | slice) -> Float[Tensor, "n d"]:
        return self.own[owners] + self.has[owners] @ self.shared


class _UsersAndItems(nn.Module):
    """Users and items with their features, in one space."""

    def __init__(self, train: Interactions, d: int, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        known = torch.from_numpy(np.diff(train.matrix.indptr) > 0)
        everything = torch.ones(train.n_items, dtype=torch.bool)
        self.users = _Vectors(train.user_features, d, known, generator)
        self.items = _Vectors(train.item_features, d, everything, generator)


class _FactorizationMachine(_UsersAndItems):
    """y(x) = sum_p w_p x_p + sum over pairs p < q of <v_p, v_q> x_p x_q.

    x holds ones for the user, her features, the item and its features. Terms that only concern
    the user change no order of items and are left out.

    Source: Rendle 2010, Eq. 1; its sum over pairs in linear time, Lemma 3.1.
    """

    def __init__(self, train: Interactions, d: int, seed: int = 0) -> None:
        super().__init__(train, d, seed)
        self.w_own = nn.Parameter(torch.zeros(train.n_items))
        self.w_shared = nn.Parameter(torch.zeros(len(train.item_features)))

    def forward(self, users: Int[Tensor, " user"]) -> Float[Tensor, "user item"]:
        q = self.items(EVERYTHING)
        has = self.items.has
        squares = self.items.own.square().sum(1) + has @ self.items.shared.square().sum(1)
        within = (q.square().sum(1) - squares) / 2  # pairs among the item and its features
        return self.users(users) @ q.T + self.w_own + has @ self.w_shared + within


class _MetricSpace(_UsersAndItems):
    """y_ui = -|p_u - q_i|^2, with all vectors inside the unit ball.

    Source: Hsieh et al. 2017, §3.1 and Eq. 5.
    """

    def forward(self, users: Int[Tensor, " user"]) -> Float[Tensor, "user item"]:
        p, q = _inside_ball(self.users(users)), _inside_ball(self.items(EVERYTHING))
        return 2 * p @ q.T - p.square().sum(1)[:, None] - q.square().sum(1)


def _inside_ball(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Vectors longer than 1, cut to length 1."""
    return x / x.norm(dim=1, keepdim=True).clamp(min=1)


@dataclass(frozen=True)
class _Draws(Batch):
    """Some users, all they took, and items drawn for each of these pairs.

    Attributes:
        rows, items: the pairs taken; a row is a position in `users`.
        drawn: items to compare with. usable: where the user has not taken the drawn item.
    """

    users: Int[Tensor, " user"]
    rows: Int[Tensor, " pair"]
    items: Int[Tensor, " pair"]
    drawn: Int[Tensor, "pair draw"]
    usable: Bool[Tensor, "pair draw"]

    def part(self, index: int, count: int) -> Self:
        """The share of process `index` of `count`."""
        users, *pairs = vars(self).values()
        return type(self)(users, *(field[index::count] for field in pairs))

    def of(self, y: Float[Tensor, "user item"]) -> tuple[Tensor, Tensor]:
        """Scores of what was taken, `[pair]`, and of what was drawn, `[pair, draw]`; minus
        infinity where the drawn item was taken too."""
        drawn = y[self.rows[:, None], self.drawn].masked_fill(~self.usable, -torch.inf)
        return y[self.rows, self.items], drawn


def _comparisons(
    matrix: sparse.csr_array, negatives: int, batch_size: int, seed: int, epoch: int
) -> Iterator[_Draws]:
    """Batches of users in random order; every pair gets `negatives` items of its own."""
    rng = np.random.default_rng([seed, epoch])
    users = rng.permutation(np.flatnonzero(np.diff(matrix.indptr)))
    for start in range(0, len(users), batch_size):
        some = users[start : start + batch_size]
        taken = matrix[some].toarray() > 0
        rows, items = taken.nonzero()
        drawn = rng.integers(taken.shape[1], size=(len(rows), negatives))
        arrays = (some, rows, items, drawn, ~taken[rows[:, None], drawn])
        yield _Draws(*(torch.from_numpy(array) for array in arrays))


def _against_all_draws(model: nn.Module, draws: _Draws) -> Float[Tensor, " pair"]:
    """log(1 + sum over the draws of exp(y_drawn - y_taken)).

    With one draw this is BPR, -log sigma(y_taken - y_drawn); with many it is a sampled softmax,
    in which the hardest draws count most.

    Source: Rendle et al. 2009, §4.1 (BPR-Opt), for one draw.
    """
    taken, drawn = draws.of(model(draws.users))
    return nn.functional.softplus(drawn.logsumexp(dim=1) - taken)


def _weighted_hinge(model: nn.Module, draws: _Draws, margin: float) -> Float[Tensor, " pair"]:
    """log(1 + rank) [margin + d_taken - d_nearest]_+, with squared distances.

    d_nearest is that of the nearest drawn item; the rank of what was taken is estimated from the
    share of drawn items that come closer than it, or further by less than the margin.

    Source: Hsieh et al. 2017, Eq. 2 and 3.
    """
    y = model(draws.users)
    taken, drawn = draws.of(y)
    intruding = (drawn > (taken - margin)[:, None]).float().mean(dim=1)
    rank = intruding * y.shape[1]
    return rank.log1p() * nn.functional.relu(margin + drawn.max(dim=1).values - taken)


@dataclass(frozen=True)
class _Sampled(Hyperparameters):
    """Attributes:
    d: length of the vectors. negatives: items drawn for each pair. batch_size: in users.
    """

    d: int = 64
    epochs: int = 30
    learning_rate: float = 5e-3
    negatives: int = 20
    batch_size: int = 128

    def _parts(self) -> tuple[type[_UsersAndItems], Losses, float]:
        """The model, its losses and its weight decay."""
        raise NotImplementedError

    def scores(self, train: Interactions, seed: int = 0) -> Float[Tensor, "user item"]:
        """`seed` is that of the first vectors and of the draws."""
        kind, losses, weight_decay = self._parts()
        model = kind(train, self.d, seed)
        examples = partial(_comparisons, train.matrix, self.negatives, self.batch_size, seed)
        fit(model, examples, losses, Optimisation(self.epochs, self.learning_rate, weight_decay))
        with torch.no_grad():
            return model(EVERYTHING)


@dataclass(frozen=True)
class FM(_Sampled):
    """A factorization machine: see `_FactorizationMachine`."""

    weight_decay: float = 0.1

    def _parts(self) -> tuple[type[_UsersAndItems], Losses, float]:
        return _FactorizationMachine, _against_all_draws, self.weight_decay


@dataclass(frozen=True)
class CML(_Sampled):
    """Collaborative metric learning: see `_MetricSpace`.

    Attributes:
        margin: by how much a squared distance shall be shorter.
    """

    margin: float = 0.5

    def _parts(self) -> tuple[type[_UsersAndItems], Losses, float]:
        return _MetricSpace, partial(_weighted_hinge, margin=self.margin), 0.0
