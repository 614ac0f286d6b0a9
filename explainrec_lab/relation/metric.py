"""A distance for each user and kind of relation: M(u) = L L^T, whatever L is.

Source: LRP for explainable recommendations, §2.1, Eq. 1. A product L L^T is positive
semi-definite, so no distance is negative. L is the sum of a shared factor, one a kind, and a
personal one, one a user and kind. A user that training never saw, `NEW_USER`, has the shared factor
and the mean of the personal ones.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from explainrec_lab.data.contracts import check_choice, check_least
from explainrec_lab.lrp import homogeneous

# The user to name for somebody that training never saw: she has the average factor.
NEW_USER = -1

METRICS = ("full", "low rank", "diagonal")


@homogeneous(1)
def placed(x: Float[Tensor, "pair D"], factor: Tensor) -> Float[Tensor, "pair r"]:
    """z = x L, L being one for all pairs, `[D, r]`, or one a pair: a weight that takes no rule."""
    return torch.matmul(x[:, None], factor)[:, 0]


@homogeneous(2)
def squared_length(delta: Float[Tensor, "pair D"], factor: Tensor) -> Float[Tensor, " pair"]:
    """|delta L|^2 = delta M delta^T."""
    return placed(delta, factor).square().sum(-1)


class UserMetric(nn.Module):
    """L(u, kind) = shared(kind) + personal(u, kind).

    Args:
        dimensions: D, the length of a feature vector.
        n_users, n_kinds: how many of each.
        metric: 'full' (L is D x D), 'low rank' (D x rank) or 'diagonal'.
        rank: columns of L under 'low rank'.
        seed: of the initialisation.

    Raises:
        ValueError: an unknown metric, or dimensions, a rank or counts below 1.
    """

    def __init__(
        self,
        dimensions: int,
        n_users: int,
        n_kinds: int,
        metric: str = "low rank",
        rank: int = 24,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_least(dimensions=dimensions, n_users=n_users, n_kinds=n_kinds, rank=rank)
        check_choice("metric", metric, METRICS)
        self.metric, self.n_users, self.n_kinds = metric, n_users, n_kinds
        columns = {"full": dimensions, "low rank": rank, "diagonal": 1}[metric]
        shape = (1, dimensions) if metric == "diagonal" else (dimensions, columns)
        generator = torch.Generator().manual_seed(seed)
        scale = math.sqrt(2 / (shape[0] * shape[1]))
        self.shared = nn.Parameter(torch.randn(n_kinds, *shape, generator=generator) * scale)
        personal = torch.randn(n_users, n_kinds, *shape, generator=generator) * scale
        self.personal = nn.Parameter(0.3 * personal)

    def factor(self, user: Int[Tensor, " n"], kind: Int[Tensor, " n"]) -> Float[Tensor, "n D r"]:
        """L of each (user, kind)."""
        own = self.personal[user.clamp(min=0), kind]
        new = user == NEW_USER
        if bool(new.any()):
            own = torch.where(new[:, None, None], self.personal.mean(dim=0)[kind], own)
        L = self.shared[kind] + own
        return L.squeeze(1).diag_embed() if self.metric == "diagonal" else L

    def matrix(self, user: int, kind: int) -> Float[Tensor, "D D"]:
        """M(u) = L L^T of one user and kind."""
        where = self.shared.device
        L = self.factor(torch.tensor([user], device=where), torch.tensor([kind], device=where))[0]
        return L @ L.T


def squared_distances(
    a: Float[Tensor, "*n i r"], b: Float[Tensor, "*n j r"]
) -> Float[Tensor, "*n i j"]:
    """|a|^2 + |b|^2 - 2 a.b for all pairs, by one matrix product; never below zero."""
    lengths = a.square().sum(-1)[..., :, None] + b.square().sum(-1)[..., None, :]
    return (lengths - 2 * a @ b.transpose(-1, -2)).clamp(min=0)
