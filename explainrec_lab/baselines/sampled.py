"""Two models that learn from comparisons: what a user took should beat items drawn at random.

Factorization machine: an inner product of everything known of the user with everything known of
the item. Collaborative metric learning: users near the items they took, in one ball. In both, the
attributes of a user (of an item) have vectors that are added to her (its) own; a user without a
history has her attributes' vectors alone, and without attributes none.

Sources: Rendle 2010, Eq. 1, trained by the comparison of Rendle et al. 2009 (BPR); Hsieh et al.
2017, Eq. 2 and 3, without its regularisation of covariances. RecoNet, §5.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from scipy import sparse
from torch import Tensor, nn

from explainrec_lab.baselines.collaborative import Hyperparameters
from explainrec_lab.data.contracts import Features, Interactions
from explainrec_lab.training import Batch, Optimisation, fit

Losses = Callable[[nn.Module, "Draws"], Float[Tensor, " pair"]]

# All items, or all users.
EVERYTHING = slice(None)

# --------------------------------------------------------------------------- models


class _Vectors(nn.Module):
    """A vector for each owner plus those of the features it has.

    Args:
        known: owners that have a vector of their own; the others get zeros, not the noise that
            nothing was learned on.
    """

    has: Tensor

    def __init__(
        self, features: Features, d: int, known: Bool[Tensor, " owner"], generator: torch.Generator
    ) -> None:
        super().__init__()
        scale = 0.1 * d**-0.5
        own = scale * torch.randn(len(known), d, generator=generator)
        self.own = nn.Parameter(own * known[:, None])
        self.shared = nn.Parameter(scale * torch.randn(len(features), d, generator=generator))
        self.register_buffer("has", torch.from_numpy(features.matrix.toarray()).float())

    def forward(self, owners: Int[Tensor, " n"] | slice) -> Float[Tensor, "n d"]:
        return self.own[owners] + self.has[owners] @ self.shared


class _Pair(nn.Module):
    """Users and items with their features, in one space."""

    def __init__(self, train: Interactions, d: int, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        known = torch.from_numpy(np.diff(train.matrix.indptr) > 0)
        everything = torch.ones(train.n_items, dtype=torch.bool)
        self.users = _Vectors(train.user_features, d, known, generator)
        self.items = _Vectors(train.item_features, d, everything, generator)


class _FactorizationMachine(_Pair):
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


class _MetricSpace(_Pair):
    """y_ui = -|p_u - q_i|^2, with all vectors inside the unit ball.

    Source: Hsieh et al. 2017, §3.1 and Eq. 5.
    """

    def forward(self, users: Int[Tensor, " user"]) -> Float[Tensor, "user item"]:
        p, q = _inside_ball(self.users(users)), _inside_ball(self.items(EVERYTHING))
        return 2 * p @ q.T - p.square().sum(1)[:, None] - q.square().sum(1)


def _inside_ball(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Vectors longer than 1, cut to length 1."""
    return x / x.norm(dim=1, keepdim=True).clamp(min=1)


# --------------------------------------------------------------------------- training


@dataclass(frozen=True)
class Draws(Batch):
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

    def part(self, index: int, count: int) -> Draws:
        """The share of process `index` of `count`."""
        users, *pairs = vars(self).values()
        return Draws(users, *(field[index::count] for field in pairs))

    def of(self, y: Float[Tensor, "user item"]) -> tuple[Tensor, Tensor]:
        """Scores of what was taken, `[pair]`, and of what was drawn, `[pair, draw]`; minus
        infinity where the drawn item was taken too."""
        drawn = y[self.rows[:, None], self.drawn].masked_fill(~self.usable, -torch.inf)
        return y[self.rows, self.items], drawn


def _comparisons(
    matrix: sparse.csr_array, negatives: int, batch_size: int, seed: int, epoch: int
) -> Iterator[Draws]:
    """Batches of users in random order; every pair gets `negatives` items of its own."""
    rng = np.random.default_rng([seed, epoch])
    users = rng.permutation(np.flatnonzero(np.diff(matrix.indptr)))
    for start in range(0, len(users), batch_size):
        some = users[start : start + batch_size]
        taken = matrix[some].toarray() > 0
        rows, items = taken.nonzero()
        drawn = rng.integers(taken.shape[1], size=(len(rows), negatives))
        arrays = (some, rows, items, drawn, ~taken[rows[:, None], drawn])
        yield Draws(*(torch.from_numpy(array) for array in arrays))


def _against_all_draws(model: nn.Module, draws: Draws) -> Float[Tensor, " pair"]:
    """log(1 + sum over the draws of exp(y_drawn - y_taken)).

    With one draw this is BPR, -log sigma(y_taken - y_drawn); with many it is a sampled softmax,
    in which the hardest draws count most.

    Source: Rendle et al. 2009, §4.1 (BPR-Opt), for one draw.
    """
    taken, drawn = draws.of(model(draws.users))
    return F.softplus(drawn.logsumexp(dim=1) - taken)


def _weighted_hinge(model: nn.Module, draws: Draws, margin: float) -> Float[Tensor, " pair"]:
    """log(1 + rank) [margin + d_taken - d_nearest]_+, with squared distances.

    d_nearest is that of the nearest drawn item; the rank of what was taken is estimated from the
    share of drawn items that come closer than it, or further by less than the margin.

    Source: Hsieh et al. 2017, Eq. 2 and 3.
    """
    y = model(draws.users)
    taken, drawn = draws.of(y)
    intruding = (drawn > (taken - margin)[:, None]).float().mean(dim=1)
    rank = intruding * y.shape[1]
    return rank.log1p() * F.relu(margin + drawn.max(dim=1).values - taken)


# --------------------------------------------------------------------------- the two methods


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

    def _parts(self) -> tuple[type[_Pair], Losses, float]:
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

    def _parts(self) -> tuple[type[_Pair], Losses, float]:
        return _FactorizationMachine, _against_all_draws, self.weight_decay


@dataclass(frozen=True)
class CML(_Sampled):
    """Collaborative metric learning: see `_MetricSpace`.

    Attributes:
        margin: by how much a squared distance shall be shorter.
    """

    margin: float = 0.5

    def _parts(self) -> tuple[type[_Pair], Losses, float]:
        return _MetricSpace, partial(_weighted_hinge, margin=self.margin), 0.0
