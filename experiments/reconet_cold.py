"""RecoNet for users without a history: §5.2 and Figure 4 on MovieLens 1M."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from experiments.reconet import ATTRIBUTE_DECAY, TUNED, likes
from experiments.record import Result
from explainrec_lab import baselines, data, reconet, training
from explainrec_lab.data.splits import rank_in_order
from explainrec_lab.evaluate.ranking import mean_recall
from explainrec_lab.training import Optimisation

D, EPOCHS, RATE, DECAY = 64, 40, 1e-2, 0.12
KS = (1, 5, 10, 20, 30, 40, 50)
TOLD = (0, 1, 2, 4, 8, 16)
"""How many of her likes a cold user reveals, one after the other."""

Batches = Callable[[int], Iterable[reconet.Examples]]
Recipe = tuple[Callable[[data.Interactions, reconet.FeatureSpace, int], Batches], Optimisation]


def _removed(
    train: data.Interactions, space: reconet.FeatureSpace, seed: int
) -> reconet.RemovedItems:
    return reconet.RemovedItems(train, space, attribute_share=0.3, seed=seed)


def _mixed(train: data.Interactions, space: reconet.FeatureSpace, seed: int) -> Batches:
    return reconet.WithNewcomers(_removed(train, space, seed), 0.2, 0.2, labels=20)


def _single(train: data.Interactions, space: reconet.FeatureSpace, seed: int) -> Batches:
    return reconet.SingleLabel(train, space, seed=seed)


EQUAL = Optimisation(EPOCHS, RATE, DECAY)
SHRUNK = replace(EQUAL, own_decay=ATTRIBUTE_DECAY)
RECIPES: dict[str, Recipe] = {
    "RecoNet": (_removed, EQUAL),
    "RecoNet, attributes decay": (_removed, SHRUNK),
    "RecoNet, newcomers": (_mixed, EQUAL),
    "RecoNet, attributes decay, newcomers": (_mixed, SHRUNK),
    "RecoNet, the paper's examples": (_single, Optimisation(100, RATE, 0.03)),
}
"""method -> (examples, optimisation). The attributes' decay is that of Table 1. A few shares,
numbers of labels and decays of newcomers were tried by hand on development likes of other splits
and other draws (seeds 100..102), and hardly differed; there is no recorded search."""

FEW = {
    "RecoNet, the paper's examples": 1,
    "RecoNet, attributes decay, newcomers": 1,
    "FM": 2,
    "CML": 2,
}
"""method -> how many draws it gets, to keep the experiment short; all others get every draw."""

OTHERS: dict[str, baselines.Recommender] = {
    "popularity": baselines.Popularity(),
    "demographic popularity": baselines.DemographicPopularity(),
    "OCuLaR": baselines.OCuLaR(),
    "FM": TUNED["factorization machine"],
    "CML": TUNED["CML"],
}
"""What RecoNet is compared with: the two simplest answers, and the methods of Figure 4; FM and CML
with the settings of Table 1, which were tuned for users with a history."""


def reconet_cold_start(seeds: int = 5) -> Iterator[Result]:
    """Recall of users whose history was taken out of training, and what their comfort costs all
    others; a tenth of the test users, another split and another tenth for each seed.

    Source: RecoNet, §5.2 and Figure 4.
    """
    for seed in range(seeds):
        yield from _draw(seed, [m for m in (*OTHERS, *RECIPES) if seed < FEW.get(m, seeds)])


def _draw(seed: int, methods: Sequence[str]) -> Iterator[Result]:
    """What these methods reach on one split and one draw of cold users."""
    whole = likes(seed, attributes=True)
    parts = data.cold_start(whole, fraction=0.1, seed=seed)
    everybody = np.arange(whole.train.n_users)
    for method in methods:
        if method in OTHERS:
            start = time.process_time()
            scores = OTHERS[method].scores(parts.train, seed)
            cost = time.process_time() - start
            yield from _curves(method, scores, parts, seed, cost, vars(OTHERS[method]))
        else:
            model, cost = trained(method, parts, seed)
            scores = scores_of(model, parts.train, everybody)
            settings = {"d": D, **asdict(RECIPES[method][1])}
            yield from _curves(method, scores, parts, seed, cost, settings)
            yield from _told(method, model, whole, parts, seed)


def trained(method: str, parts: data.Split, seed: int) -> tuple[reconet.RecoNet, float]:
    """A RecoNet by one of `RECIPES` and the CPU seconds of its training."""
    make, optimisation = RECIPES[method]
    space = reconet.FeatureSpace.of(data.load("movielens-1m"), parts.train)
    start = time.process_time()
    model = reconet.RecoNet(space, D, seed=seed)
    examples = make(parts.train, space, seed)
    training.fit(model, examples, reconet.cross_entropy, optimisation)
    return model, time.process_time() - start


@torch.no_grad()
def scores_of(
    model: reconet.RecoNet, events: data.Interactions, users: Int[ndarray, " chosen"]
) -> Float[Tensor, "chosen item"]:
    """The model's scores for some users, from what these events and their features tell."""
    return model(model.space.profiles(events).of_users(users))


def recall_of(
    users: Int[ndarray, " chosen"], scores: Tensor, parts: data.Split
) -> Float[ndarray, " k"]:
    """recall@1, ..., recall@50 of some users; their training and development items are left out."""
    known = (parts.train.matrix + parts.development.matrix)[users]
    return mean_recall(scores[users], 50, parts.test.matrix[users], known)


def _curves(
    method: str, scores: Tensor, parts: data.Split, seed: int, cost: float, settings: dict[str, Any]
) -> Iterator[Result]:
    """Recall of the cold and of the warm users."""

    def result(measure: str, value: float) -> Result:
        return Result(method, "movielens-1m", measure, float(value), seed, round(cost, 1), settings)

    cold = parts.cold_users
    warm = np.setdiff1d(np.unique(parts.test.user), cold)
    recall = recall_of(cold, scores, parts)
    for k in KS:
        yield result(f"cold recall@{k}", recall[k - 1])
    yield result("warm recall@50", recall_of(warm, scores, parts)[-1])


def _told(
    method: str, model: reconet.RecoNet, whole: data.Split, parts: data.Split, seed: int
) -> Iterator[Result]:
    """Cold users tell some of their likes: recall@50 with those in the profile, nothing trained.
    With none told, also the mean -log p of their test likes."""
    cold, rng = parts.cold_users, np.random.default_rng(seed)
    events = whole.train.select(np.isin(whole.train.user, cold))
    events = events.select(rng.permutation(len(events)))
    rank = rank_in_order(events.user, np.argsort(events.user, kind="stable"))
    for n in TOLD:
        known = events.select(rank < n)
        scores = scores_of(model, known, cold)
        recall = mean_recall(scores, 50, parts.test.matrix[cold], known.matrix[cold])[-1]
        yield Result(method, "movielens-1m", f"recall@50, {n} told", float(recall), seed, 0.0)
        if n == 0:
            surprise = -scores.log_softmax(dim=1)[parts.test.matrix[cold].nonzero()].mean()
            yield Result(method, "movielens-1m", "cold cross-entropy", float(surprise), seed, 0.0)
