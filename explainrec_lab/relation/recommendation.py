"""Recommendation: the items of a category that are most probably related to a query.

Source: LRP for explainable recommendations, §3.4, Eq. 5. For one user and kind, q is a constant
and sigma rises, so that the most probable item is the nearest one in z = x L. All queries of a
user and kind are one matrix product, or one FAISS search where the catalogue is large.
"""

from __future__ import annotations

import importlib.util

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from explainrec_lab.relation.metric import squared_distances
from explainrec_lab.relation.model import Ids, RelationModel

INDEXES = ("auto", "exact", "faiss")
LARGE = 100_000
"""From so many items on, 'auto' uses FAISS if it is installed."""


@torch.no_grad()
def recommend(
    model: RelationModel,
    x: Float[Tensor, "item D"],
    queries: Int[Tensor, " query"],
    user: Ids,
    kind: int | str,
    candidates: Int[Tensor, " candidate"],
    k: int = 10,
    *,
    index: str = "auto",
) -> tuple[Int[Tensor, "query k"], Float[Tensor, "query k"]]:
    """The k candidates that are most probably related to each query item, best first.

    Args:
        x: features of all items (`features_of`).
        queries: item ids. A query never recommends itself.
        user: one for all queries or one a query; `NEW_USER` has the average metric.
        candidates: item ids of a category, each once.
        k: at most the number of candidates, less one where a query is among them.
        index: 'exact', 'faiss', or 'auto'. All give the same answer but for ties.

    Returns:
        Item ids and probabilities.

    Raises:
        ValueError: an empty category, an unknown item, user, kind or index, a candidate given
            twice, features that are not finite, or k out of range.

    Source: §3.4, Eq. 5.
    """
    queries, candidates = (torch.as_tensor(ids, device=x.device) for ids in (queries, candidates))
    _check(x, queries, candidates, k, index)
    users, kinds = model.users(user).reshape(-1), model.kinds(kind).reshape(1)
    if len(users) not in (1, len(queries)):
        raise ValueError(f"user: {len(users)} of them for {len(queries)} queries")
    users = users.expand(len(queries))
    use_faiss = index == "faiss" or (index == "auto" and len(candidates) >= LARGE and _faiss())
    items = queries.new_empty(len(queries), k)
    probability = x.new_empty(len(queries), k)
    for one in users.unique():
        rows = users == one
        factor = model.metric.factor(one.reshape(1), kinds)[0]
        asked, shelf = (model.metric.places(x[ids], factor) for ids in (queries[rows], candidates))
        search = _search_faiss if use_faiss else _search
        d, place = search(asked, shelf, min(k + 1, len(candidates)))
        found = candidates[place]
        d = d.masked_fill(found == queries[rows, None], torch.inf)
        order = d.argsort(dim=1, stable=True)[:, :k]
        items[rows] = found.gather(1, order)
        probability[rows] = (model.q[kinds] - d.gather(1, order)).sigmoid()
    return items, probability


def _check(x: Tensor, queries: Tensor, candidates: Tensor, k: int, index: str) -> None:
    if index not in INDEXES:
        raise ValueError(f"index: {index!r}; choose from {', '.join(INDEXES)}")
    if index == "faiss" and not _faiss():
        raise ValueError("index: 'faiss' is not installed; pip install faiss-cpu, or use 'exact'")
    if not len(candidates):
        raise ValueError("candidates: the category is empty")
    for name, ids in (("queries", queries), ("candidates", candidates)):
        bad = ids[(ids < 0) | (ids >= len(x))]
        if len(bad):
            raise ValueError(f"{name}: item {int(bad[0])} is not in 0..{len(x) - 1}")
        broken = ids[~x[ids].isfinite().all(dim=1)]
        if len(broken):
            raise ValueError(f"x: the features of item {int(broken[0])} are not finite")
    if len(candidates.unique()) < len(candidates):
        raise ValueError("candidates: some item stands there twice")
    most = len(candidates) - int(torch.isin(queries, candidates).any())
    if not 1 <= k <= most:
        raise ValueError(f"k: {k} is outside 1..{most}, the candidates beside the query")


def _faiss() -> bool:
    return importlib.util.find_spec("faiss") is not None


def _search(queries: Tensor, items: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Distances and places of the k nearest, by one matrix product."""
    d, place = squared_distances(queries, items).topk(k, largest=False)
    return d, place


def _search_faiss(queries: Tensor, items: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The same by FAISS's exact index, on the CPU."""
    import faiss

    shelf = faiss.IndexFlatL2(items.shape[1])
    shelf.add(np.ascontiguousarray(items.cpu().float().numpy()))
    found = shelf.search(np.ascontiguousarray(queries.cpu().float().numpy()), k)
    d, place = (torch.from_numpy(array).to(queries.device) for array in found)
    return d.to(queries.dtype), place
