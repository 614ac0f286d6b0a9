"""What is right in the exercises of Relation: each checker computes it, on numbers by chance."""

from typing import Any

import torch
from torch import Tensor

from explainrec_lab.exercises.answers import Verdicts, near, numbers
from explainrec_lab.relation.metric import squared_length


def _drawn(*shapes: int | tuple[int, ...]) -> list[Tensor]:
    """Numbers by chance, the same ones every time."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in shapes]


# ---------------------------------------------------------------------------------- model


def model_distance(distance: Any) -> Verdicts:
    """d of two feature vectors, with the metric M of a user (§2.1, Eq. 1)."""
    x_i, x_j, L = _drawn(5, 5, (5, 2))
    M, d = L @ L.T, numbers(distance(x_i, x_j, L @ L.T))
    yield "zero", near(distance(x_i, x_i, M), 0.0)
    yield "symmetric", near(distance(x_j, x_i, M), d)
    yield "fourfold", near(distance(x_i, 2 * x_j - x_i, M), 4 * d)
    yield "metric", near(d, squared_length((x_i - x_j)[None], L)[0])


def model_threshold(threshold: Any) -> Verdicts:
    """The q that gives equal pictures the probability p (§2.1, Eq. 2)."""
    yield "half", near(threshold(0.5), 0.0)
    yield "rises", bool(numbers(threshold(0.3)) < numbers(threshold(0.6)))
    yield "probability", near(torch.tensor(numbers(threshold(0.9))).sigmoid(), 0.9)


def model_groups(alike: Any, model: Any) -> Verdicts:
    """How alike the groups' metrics for one kind are, by the cosine: `[group, group]`."""
    M = torch.stack([model.M(u, "also_viewed").detach().flatten() for u in range(model.n_users)])
    yield "itself", near(numbers(alike, len(M), len(M)).diagonal(), torch.ones(len(M)))
    yield "metric", near(alike, torch.nn.functional.cosine_similarity(M[:, None], M, dim=-1))


# ------------------------------------------------------------------------------- distance


def distance_bounded(multiplier: Any) -> Verdicts:
    """R / x of picture i in the proportional way."""
    x_i, x_j, L = _drawn(4, 4, (4, 2))
    M, found = L @ L.T, torch.tensor(numbers(multiplier(x_i, x_j, L @ L.T), 4))
    yield "equal", near(multiplier(x_i, x_i, M), torch.zeros(4))
    yield "scale", near(multiplier(2 * x_i, 2 * x_j, M), 2 * found)
    yield "bounded", bool((found.abs() <= abs((x_i - x_j) @ M) + 1e-4).all())
    whole = (x_i - x_j) * ((x_i - x_j) @ M)
    yield "share", near(found * (x_i.abs() + x_j.abs()), x_i.sign() * whole)


def distance_rivals(of_i: Any) -> Verdicts:
    """Relevance of picture i in d(i, n) - d(i, j), shared in the signed way."""
    x_i, x_n, x_j, L = _drawn(4, 4, 4, (4, 2))
    M, found = L @ L.T, numbers(of_i(x_i, x_n, x_j, L @ L.T), 4)
    yield "equal", near(of_i(x_i, x_n, x_n, M), torch.zeros(4))
    yield "linear", near(of_i(2 * x_i, x_n, x_j, M), 2 * found)
    yield "signed", near(found, x_i * ((x_i - x_n) @ M) - x_i * ((x_i - x_j) @ M))


# ------------------------------------------------------------------------- recommendation


def recommendation_rank(best: Any) -> Verdicts:
    """The k nearest items of a category, without the query; ties by id (§3.4, Eq. 5)."""
    d, category = torch.tensor([[4, 0, 1, 3, 2, 1, 5, 3, 2], [0, 0, 0, 1, 1, 1, 1, 1, 0]])
    ids = torch.where(category == 1, d, 9).argsort(stable=True)[:3]
    found = torch.tensor(numbers(best(d.float(), category, 1, 1, 3), 3)).long()
    yield "category", bool((category[found] == 1).all())
    yield "nearest", near(d[found], d[ids])
    yield "ties", near(found, ids)
    yield "itself", 1 not in numbers(best(d.float(), category, 1, 0, 2), 2)
