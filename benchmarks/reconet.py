"""RecoNet's claims on MovieLens 1M and the speed of its explanations.

    python benchmarks/reconet.py recall        # recall@50, three seeds, long and short training
    python benchmarks/reconet.py explanations  # latency, bulk, agreement of the three routes

One JSON line a result. Protocol: rating >= 3, random 60/20/20, the training history as input,
training and development items out of the ranking, recall@50 averaged over users.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import explainrec_lab as lab
from explainrec_lab import reconet
from explainrec_lab.evaluate.ranking import recall_at_k, top_k
from explainrec_lab.training import Optimisation, fit

DECAY = {"Q_attributes": 3.0}
RECIPES: dict[str, tuple[int, bool, Optimisation]] = {
    "long": (128, False, Optimisation(80, 1e-2, 0.12)),
    "short": (64, False, Optimisation(25, 2e-2, 0.05)),
    "long, attributes": (128, True, Optimisation(100, 1e-2, 0.13, DECAY)),
}
"""name -> (d, attributes, optimisation), found on development data."""


def say(benchmark: str, value: float, unit: str, **settings: Any) -> None:
    print(
        json.dumps({"benchmark": benchmark, "value": value, "unit": unit, **settings}), flush=True
    )


def split(seed: int, attributes: bool) -> lab.data.Split:
    likes = lab.data.implicit(lab.data.load("movielens-1m").interactions, threshold=3)
    return lab.data.split(likes if attributes else likes.without_features(), seed)


def train(recipe: str, seed: int) -> tuple[reconet.RecoNet, lab.data.Split, float]:
    """A trained model, its split and the CPU seconds of all threads."""
    d, attributes, optimisation = RECIPES[recipe]
    parts = split(seed, attributes)
    space = reconet.FeatureSpace.of(lab.data.load("movielens-1m"), parts.train)
    start = time.process_time()
    model = reconet.RecoNet(space, d, seed=seed)
    examples = reconet.RemovedItems(parts.train, space, attribute_share=0.3, seed=seed)
    fit(model, examples, reconet.cross_entropy, optimisation)
    return model, parts, time.process_time() - start


@torch.inference_mode()
def scored(
    score: Callable[[reconet.Sets], torch.Tensor], parts: lab.data.Split, sets: reconet.Sets
) -> float:
    """Test recall@50."""
    known = parts.train.matrix + parts.development.matrix
    ranked = top_k(score(sets), 50, known)
    return float(np.nanmean(recall_at_k(ranked, parts.test.matrix)[:, -1]))


def recall(seeds: range) -> None:
    """Recall@50 and training cost of each recipe, beside popularity and iALS."""
    for recipe in RECIPES:
        values, costs = [], []
        for seed in seeds:
            model, parts, seconds = train(recipe, seed)
            values.append(scored(model, parts, model.space.profiles(parts.train)))
            costs.append(seconds)
            say("recall@50", values[-1], "share", recipe=recipe, seed=seed, cpu_seconds=seconds)
        say("recall@50, mean", statistics.mean(values), "share", recipe=recipe, seeds=len(seeds))
        say("training", statistics.median(costs), "CPU-s", recipe=recipe)
    for seed in seeds:
        baselines(seed)


def baselines(seed: int) -> None:
    """Popularity, and iALS from the library `implicit` with tuned settings."""
    from implicit.als import AlternatingLeastSquares

    parts = split(seed, attributes=False)
    matrix = parts.train.matrix
    sets = reconet.Sets.from_matrix(matrix)
    popularity = torch.from_numpy(matrix.sum(axis=0)).float()
    value = scored(lambda s: popularity.expand(len(s), -1), parts, sets)
    say("recall@50", value, "share", recipe="popularity", seed=seed)
    als = AlternatingLeastSquares(128, alpha=10, regularization=100, iterations=15, random_state=0)
    als.fit(matrix.tocsr(), show_progress=False)
    scores = torch.from_numpy(als.user_factors @ als.item_factors.T)
    say("recall@50", scored(lambda s: scores, parts, sets), "share", recipe="iALS", seed=seed)


def explanations() -> None:
    """Latency of one explanation, explanations a second in bulk, agreement of three routes."""
    model, parts, _ = train("long", 0)
    sets = model.space.profiles(parts.train)
    latency(model, sets)
    with torch.inference_mode():
        items = top_k(model(sets), 10, parts.train.matrix).numpy()
    for threads in (1, 2):
        bulk(model, sets, items, threads)
    agreement(model, sets)


@torch.inference_mode()
def latency(model: reconet.RecoNet, sets: reconet.Sets) -> None:
    """One inference (all items scored, the best taken) and its ranked explanation."""
    one = sets.rows(100, 101)

    def answer() -> None:
        x = model.pool(one)
        item = int((x @ model.W.T).argmax())
        reconet.closed_form(model.Q_items[one.ids], model.W[item]).sort(descending=True)

    say("inference + explanation", 1e3 * median_seconds(answer, 500), "ms", d=model.W.shape[1])


def bulk(model: reconet.RecoNet, sets: reconet.Sets, items: np.ndarray, threads: int) -> None:
    """Top ten features for every user and each of her ten items, P = W Q^T included."""
    torch.set_num_threads(threads)
    seconds = [
        median_seconds(lambda: reconet.explain_many(model, sets, items, threads=threads), 1)
        for _ in range(15)
    ]
    rate = [items.size / s for s in seconds]
    say("explanations in bulk", statistics.median(rate), "1/s", threads=threads, best=max(rate))


def agreement(model: reconet.RecoNet, sets: reconet.Sets) -> None:
    """Largest difference between three steps, closed form and gradient, relative to max |Z|."""
    for dtype in (torch.float64, torch.float32):
        worst = max(_difference(model.to(dtype), sets.rows(u, u + 1)) for u in range(0, 600, 3))
        say("three routes differ by", worst, "relative", dtype=str(dtype))


def _difference(model: reconet.RecoNet, one: reconet.Sets) -> float:
    item = int(model(one)[0].argmax())
    I = torch.ones(len(one.ids), dtype=model.W.dtype, requires_grad=True)  # noqa: E741
    y = model.W[item] @ (I @ model.Q[one.ids]) / len(one.ids)
    (by_gradient,) = torch.autograd.grad(y, I)
    with torch.no_grad():
        closed = reconet.closed_form(model.Q[one.ids], model.W[item])
        steps = reconet.three_steps(model, one, item)
    largest = float(closed.abs().max())
    return max(float((closed - other).abs().max()) for other in (by_gradient, steps)) / largest


def median_seconds(action: Callable[[], object], repeats: int) -> float:
    def once() -> float:
        start = time.perf_counter()
        action()
        return time.perf_counter() - start

    return statistics.median(once() for _ in range(repeats))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["recall", "explanations"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of torch, while training")
    parser.add_argument(
        "--precision", default="highest", choices=["highest", "medium"],
        help="'medium' lets CPUs with bfloat16 instructions use them in matrix products",
    )  # fmt: skip
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.set_float32_matmul_precision(asked.precision)
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # its first use imports for seconds
    recall(range(asked.seeds)) if asked.what == "recall" else explanations()


if __name__ == "__main__":
    main()
