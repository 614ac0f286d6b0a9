"""Right and wrong answers to the exercises of Relation."""

from __future__ import annotations

import numpy as np
import torch
from exercises.cases import Case
from torch import Tensor

from explainrec_lab.relation.model import Projection, RelationModel
from explainrec_lab.vision import backbone as backbone_of


def model() -> RelationModel:
    network = backbone_of("compact", width=0.1, grid=1)
    return RelationModel(network, Projection(network.size, 6), 5, rank=3).eval()


def metrics(kind: str = "also_viewed") -> Tensor:
    return torch.stack([model().M(user, kind).detach().flatten() for user in range(5)])


def cosine(rows: Tensor) -> Tensor:
    return torch.nn.functional.cosine_similarity(rows[:, None], rows[None], dim=-1)


def factors() -> Tensor:
    return torch.stack([model().factor(u, "also_viewed", 1).detach().flatten() for u in range(5)])


def best(d: Tensor, category: Tensor, query: int, wanted: int, k: int) -> Tensor:
    left = torch.where(category == wanted, d, torch.inf)
    left[query] = torch.inf
    return left.argsort(stable=True)[:k]


def with_itself(d: Tensor, category: Tensor, query: int, wanted: int, k: int) -> Tensor:
    return torch.where(category == wanted, d, torch.inf).argsort(stable=True)[:k]


def farthest(d: Tensor, category: Tensor, query: int, wanted: int, k: int) -> Tensor:
    return torch.where(category == wanted, d, -torch.inf).argsort(descending=True)[:k]


def last_of_equals(d: Tensor, category: Tensor, query: int, wanted: int, k: int) -> Tensor:
    left = torch.where(category == wanted, d, torch.inf).flip(0)
    return len(d) - 1 - left.argsort(stable=True)[:k]


def places(d: Tensor, category: Tensor, query: int, wanted: int, k: int) -> Tensor:
    return d[category == wanted].argsort(stable=True)[:k]


def shared(x_i: Tensor, x_j: Tensor, M: Tensor) -> Tensor:
    """R_a, of the differences."""
    return (x_i - x_j) * ((x_i - x_j) @ M)


CASES: dict[str, Case] = {
    "model-distance": Case(
        right=lambda x_i, x_j, M: (x_i - x_j) @ M @ (x_i - x_j),
        wrong=[
            ("zero", lambda x_i, x_j, M: x_i @ M @ x_j),  # an inner product
            ("symmetric", lambda x_i, x_j, M: ((x_i - x_j) @ M).sum()),  # the second factor forgot
            ("fourfold", lambda x_i, x_j, M: ((x_i - x_j) @ M @ (x_i - x_j)).sqrt()),
            ("fourfold", lambda x_i, x_j, M: ((x_i - x_j) @ M).abs().sum()),
            ("metric", lambda x_i, x_j, M: ((x_i - x_j) @ M).square().sum()),  # M taken for L
            ("metric", lambda x_i, x_j, M: (x_i - x_j).square() @ M.diag()),  # no mixing
            ("metric", lambda x_i, x_j, M: (x_i - x_j).square().sum()),  # whose distance?
        ],
    ),
    "model-threshold": Case(
        right=lambda p: np.log(p / (1 - p)),
        wrong=[
            ("half", lambda p: p),
            ("half", lambda p: p / (1 - p)),  # the odds
            ("half", lambda p: -np.log(p)),
            ("rises", lambda p: np.log(1 / p - 1)),  # the sign
            ("probability", lambda p: np.log10(p / (1 - p))),
        ],
    ),
    "model-groups": Case(
        right=cosine(metrics()),
        wrong=[
            ("itself", metrics() @ metrics().T),
            ("metric", cosine(metrics("also_bought"))),
            ("metric", cosine(factors())),
            ("metric", torch.corrcoef(metrics())),
        ],
        given=lambda: {"model": model()},
    ),
    "distance-bounded": Case(
        right=lambda x_i, x_j, M: x_i.sign() * shared(x_i, x_j, M) / (x_i.abs() + x_j.abs()),
        wrong=[
            ("equal", lambda x_i, x_j, M: x_i.abs() / (x_i.abs() + x_j.abs())),  # the share alone
            (
                "scale",  # relevance, not yet divided
                lambda x_i, x_j, M: shared(x_i, x_j, M) * x_i.abs() / (x_i.abs() + x_j.abs()),
            ),
            ("bounded", lambda x_i, x_j, M: shared(x_i, x_j, M) / x_i),  # all to picture i
            ("bounded", lambda x_i, x_j, M: shared(x_i, x_j, M) / (x_i + x_j)),  # signs
            ("share", lambda x_i, x_j, M: (x_i - x_j) @ M),  # the signed way
        ],
    ),
    "distance-rivals": Case(
        right=lambda x_i, x_n, x_j, M: x_i * ((x_j - x_n) @ M),
        wrong=[
            ("equal", lambda x_i, x_n, x_j, M: x_i * ((x_i - x_j) @ M)),  # one distance
            ("signed", lambda x_i, x_n, x_j, M: x_i * ((x_j - x_n) @ M).abs()),
            ("linear", lambda x_i, x_n, x_j, M: (x_j - x_n) @ M),  # the weights alone
            ("linear", lambda x_i, x_n, x_j, M: shared(x_i, x_n, M) - shared(x_i, x_j, M)),
            ("signed", lambda x_i, x_n, x_j, M: x_i * ((x_n - x_j) @ M)),  # the sign
            ("signed", lambda x_i, x_n, x_j, M: x_i * (x_j - x_n)),  # whose metric?
        ],
    ),
    "recommendation-rank": Case(
        right=best,
        wrong=[
            ("category", places),
            ("category", lambda d, category, query, wanted, k: d.argsort(stable=True)[:k]),
            ("nearest", farthest),
            ("ties", last_of_equals),
            ("itself", with_itself),
        ],
    ),
}
