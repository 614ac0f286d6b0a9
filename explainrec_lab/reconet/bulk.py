"""The reasons of many recommendations at once.

Source: RecoNet, §4.3, by the closed form of the one-layer model.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int

from explainrec_lab.data.contracts import check_ids
from explainrec_lab.reconet.features import Sets
from explainrec_lab.reconet.model import RecoNet

PLACE_BITS = (1 << 29) - 1
"""A float32 kept in a float64 leaves the lowest 29 bits free."""


@torch.no_grad()
def explain_many(
    model: RecoNet,
    profiles: Sets,
    items: Int[np.ndarray, "user n"],
    best: int = 10,
    block: int = 128,
    threads: int = 2,
) -> tuple[Int[np.ndarray, "user n best"], Float[np.ndarray, "user n best"]]:
    """The `best` most supporting features of n items for every user, by the closed form.

    P = W Q^T is computed once, for the items that occur. Users are ranked in blocks of like
    profile length; the place of a feature travels in the spare bits of its score, so that one
    partition of plain numbers ranks both.

    Returns:
        Feature ids (-1 past the end of a profile) and relevances Z, best first.

    Raises:
        ValueError: a model with a hidden layer, an item outside the catalogue, items that are not
            one row a profile, or `best` below 1.
    """
    if model.hidden is not None:
        raise ValueError("model: only the one-layer model has a closed form; use explain()")
    if items.ndim != 2 or len(items) != len(profiles):
        raise ValueError(f"items: shape {items.shape}; needs one row for each of {len(profiles)}")
    if best < 1:
        raise ValueError(f"best: {best} must be at least 1")
    check_ids("items", items.ravel(), model.space.n_items, "item")
    users, n = items.shape
    if not items.size or not len(profiles.ids):  # nobody to explain to, or nothing to explain by
        return np.full((users, n, best), -1), np.zeros((users, n, best), np.float32)
    wanted, row = np.unique(items, return_inverse=True)
    nothing = model.space.m  # one more column, for the padding of short profiles
    P = (model.W[torch.from_numpy(wanted)] @ F.pad(model.Q, (0, 0, 0, 1)).T).float()
    P[:, nothing] = torch.finfo(torch.float32).min
    table, offset = P.numpy().ravel(), row.reshape(users, n, 1) * (nothing + 1)
    start, length = profiles.offsets.numpy()[:-1], profiles.sizes.numpy()
    ids = np.empty((users, n, best), np.int64)
    relevance = np.empty((users, n, best), np.float32)

    def rank(who: Int[np.ndarray, " block"]) -> None:
        place = np.arange(max(length[who[-1]], best))
        own = profiles.ids.numpy().take(start[who, None] + place, mode="clip")
        own = np.where(place < length[who, None], own, nothing)
        keys = table.take(own[:, None] + offset[who], mode="clip").astype(np.float64)
        keys.view(np.int64)[...] |= place
        keys.partition(len(place) - best, axis=-1)
        keys = np.sort(keys[..., -best:], axis=-1)[..., ::-1].copy()
        ids[who] = np.take_along_axis(own[:, None], keys.view(np.int64) & PLACE_BITS, -1)
        relevance[who] = keys / np.maximum(length[who, None, None], 1)

    by_length = np.argsort(length)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(rank, np.array_split(by_length, max(1, -(-users // block)))))
    missing = ids == nothing
    ids[missing], relevance[missing] = -1, 0.0
    return ids, relevance
