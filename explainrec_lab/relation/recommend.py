"""Recommendation: the items of a category that are most probably related to a query.

Source: LRP for explainable recommendations, §3.4, Eq. 5. For one user and kind, q is a constant
and sigma rises, so that the most probable item is the nearest one in z = x L. All queries of a
user and kind are one matrix product.
"""

import torch
from jaxtyping import Float, Int
from scipy import sparse
from torch import Tensor

from explainrec_lab.data.contracts import check_ids, require
from explainrec_lab.evaluate.ranking import top_k
from explainrec_lab.relation.model import Features, Ids, RelationModel, squared_distances


@torch.no_grad()
def recommend(
    model: RelationModel,
    x: Features,
    query: Ids,
    user: Ids,
    kind: int | str,
    candidates: Ids,
    k: int = 10,
) -> tuple[Int[Tensor, "*query k"], Float[Tensor, "*query k"]]:
    """The k candidates that are most probably related to each query item, best first; ties by lot
    (`evaluate.ranking.top_k`).

    A user without a history is `NEW_USER`. A k beyond the candidates that are left is refused.

    Args:
        x: features of all items, `[item, D]` (`features_of`).
        query: one item id, or many. A query never recommends itself.
        user: one for all queries or one a query; `NEW_USER` has the average metric.
        candidates: item ids of a category, each once.
        k: at most the number of candidates, less one where a query is among them.

    Returns:
        Item ids and probabilities: `[k]` for one query, `[query, k]` for many.

    Raises:
        ValueError: an empty category, an unknown item, user or kind, a candidate given twice,
            features that are not finite, or k outside 1..candidates left.

    Source: §3.4, Eq. 5.
    """
    shape = torch.as_tensor(query).shape
    queries = _checked("query", query, x).reshape(-1)
    candidates = _checked("candidates", candidates, x)
    require(len(candidates), "candidates: the category is empty")
    once = len(candidates.unique()) == len(candidates)
    require(once, "candidates: some item stands there twice; give each once")
    users, kinds = model.users(user).reshape(-1), model.kinds(kind).reshape(1)
    n = len(queries)
    require(len(users) in (1, n), f"user: {len(users)} of them for {n} queries; give one or {n}")
    users = users.expand(n)
    d = x.new_empty(n, len(candidates))
    for one in users.unique():
        rows = users == one
        factor = model.metric.factor(one.reshape(1), kinds)[0]
        d[rows] = squared_distances(x[queries[rows]] @ factor, x[candidates] @ factor)
    itself = sparse.csr_array((candidates == queries[:, None]).cpu().numpy())
    place = top_k(-d, k, itself)
    items, probability = candidates[place], (model.q[kinds] - d.gather(1, place)).sigmoid()
    return items.reshape(*shape, k), probability.reshape(*shape, k)


def _checked(name: str, ids: Ids, x: Tensor) -> Int[Tensor, "*n"]:
    """Known items whose features are finite."""
    items = check_ids(name, torch.as_tensor(ids).cpu().numpy(), len(x), "item")
    found = torch.from_numpy(items).to(x.device)
    if len(broken := found[~x[found].isfinite().all(dim=-1)]):
        raise ValueError(f"x: the features of item {int(broken[0])} are not finite")
    return found
