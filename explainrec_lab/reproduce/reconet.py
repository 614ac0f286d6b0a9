"""RecoNet on the paper's data: Table 1's recall@50 on MovieLens 1M."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import torch
from scipy import sparse
from torch import Tensor

from explainrec_lab import data, reconet, training
from explainrec_lab.evaluate.ranking import mean_recall
from explainrec_lab.reproduce.record import Result
from explainrec_lab.training import Optimisation

ATTRIBUTE_DECAY = {"Q_attributes": 3.0}

RECIPES: dict[str, tuple[int, bool, Optimisation]] = {
    "RecoNet": (128, False, Optimisation(80, 1e-2, 0.12)),
    "RecoNet, short training": (64, False, Optimisation(25, 2e-2, 0.05)),
    "RecoNet, attributes": (128, True, Optimisation(100, 1e-2, 0.13, ATTRIBUTE_DECAY)),
}
"""method -> (d, with attributes, optimisation), tuned on development data."""

EXAMPLES: dict[str, Any] = {
    "share": 0.5,
    "attribute_share": 0.3,
    "silence": True,
    "batch_size": 128,
}
"""How the training examples are made, for all of them."""


def reconet_table_1(seeds: int = 3) -> Iterator[Result]:
    """Recall@50 on MovieLens 1M: rating >= 3, random 60/20/20, the training history as input,
    training and development items out of the ranking, averaged over users.

    Source: RecoNet, §5.1 and Table 1.
    """
    for seed in range(seeds):
        for method in RECIPES:
            model, parts, cost = trained(method, seed)
            sets = model.space.profiles(parts.train)
            value = recall_at_50(model, sets, parts)
            yield _recall(method, value, seed, cost, RECIPES[method])
            if method == "RecoNet":
                yield from other_masks(model, sets, parts, seed)
        yield from baselines(seed)


def likes(seed: int, attributes: bool) -> data.Split:
    """The paper's split of MovieLens 1M. Source: RecoNet, §5 and §5.1."""
    events = data.implicit(data.load("movielens-1m").interactions, threshold=3)
    return data.split(events if attributes else events.without_features(), seed)


def trained(method: str, seed: int) -> tuple[reconet.RecoNet, data.Split, float]:
    """A RecoNet by one of `RECIPES`, its split and the CPU seconds of its training."""
    d, attributes, optimisation = RECIPES[method]
    parts = likes(seed, attributes)
    space = reconet.FeatureSpace.of(data.load("movielens-1m"), parts.train)
    start = time.process_time()
    model = reconet.RecoNet(space, d, seed=seed)
    examples = reconet.RemovedItems(parts.train, space, **EXAMPLES, seed=seed)
    training.fit(model, examples, reconet.cross_entropy, optimisation)
    return model, parts, time.process_time() - start


def other_masks(
    model: reconet.RecoNet, sets: reconet.Sets, parts: data.Split, seed: int
) -> Iterator[Result]:
    """The same trained model, ranked with fewer items left out."""
    train = parts.train.matrix
    for method, left_out in {
        "only training items": train,
        "nothing": sparse.csr_array(train.shape),
    }.items():
        value = recall_at_50(model, sets, parts, left_out)
        yield _recall(f"RecoNet, {method} left out", value, seed, 0.0, RECIPES["RecoNet"])


@torch.no_grad()
def recall_at_50(
    score: Callable[[reconet.Sets], Tensor],
    sets: reconet.Sets,
    parts: data.Split,
    left_out: sparse.csr_array | None = None,
) -> float:
    """Mean test recall@50 over users; by default, training and development items are left out."""
    known = parts.train.matrix + parts.development.matrix if left_out is None else left_out
    return float(mean_recall(score(sets), 50, parts.test.matrix, known)[-1])


def baselines(seed: int) -> Iterator[Result]:
    """Popularity, and iALS from the library `implicit` (extra `benchmark`)."""
    from implicit.als import AlternatingLeastSquares

    parts = likes(seed, attributes=False)
    matrix = parts.train.matrix
    sets = reconet.Sets.from_matrix(matrix)
    popularity = torch.from_numpy(matrix.sum(axis=0)).float()
    value = recall_at_50(lambda s: popularity.expand(len(s), -1), sets, parts)
    yield _recall("popularity", value, seed, 0.0, {})
    start = time.process_time()
    tuned = {"factors": 128, "alpha": 10, "regularization": 100, "iterations": 15}
    als = AlternatingLeastSquares(**tuned, random_state=seed)
    als.fit(sparse.csr_matrix(matrix), show_progress=False)
    cost = time.process_time() - start
    scores = torch.from_numpy(als.user_factors @ als.item_factors.T)
    value = recall_at_50(lambda _: scores, sets, parts)
    yield _recall("iALS", value, seed, cost, tuned)


def _recall(method: str, value: float, seed: int, cost: float, settings: Any) -> Result:
    if isinstance(settings, tuple):
        d, attributes, optimisation = settings
        settings = {"d": d, "attributes": attributes, **EXAMPLES, **asdict(optimisation)}
    return Result(method, "movielens-1m", "recall@50", value, seed, round(cost, 1), settings)
