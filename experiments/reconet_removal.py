"""RecoNet's explanations on MovieLens 1M: removal (§5.4) and LIME (§5.5).

The target is the first recommendation of each user, among the films not in the training history.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import mannwhitneyu, norm, spearmanr
from torch import Tensor

from experiments import limes
from experiments.reconet import RECIPES, trained
from experiments.record import Result
from explainrec_lab import data, reconet
from explainrec_lab.baselines import surrogate
from explainrec_lab.evaluate.ranking import top_k
from explainrec_lab.reconet import removal

REMOVED = (1, 2, 5, 10, 20, 50)
"""After how many removals the change is recorded."""

LAYER = "RecoNet + layer"

SMALL = 16
"""Longest profile on which every removal is tried."""


# --------------------------------------------------------------------------- §5.4


def reconet_removal(seeds: int = 3) -> Iterator[Result]:
    """Change of the score when the most relevant features go, and when random ones do.

    Mean change by number of removals: users with more than 50 features. Effect sizes: the users
    with more than k.

    Source: RecoNet, §5.4, Figures 6 and 7.
    """
    for seed in range(seeds):
        for method in ("RecoNet", "RecoNet, attributes", LAYER):
            base = "RecoNet" if method == LAYER else method
            model, parts, cost = trained(base, seed, layer=method == LAYER)
            sets = model.space.profiles(parts.train)
            items = first_items(model, sets, parts)
            found = _changes(model, sets, items, seed)
            if method == LAYER:
                found |= _against_the_best(model, sets, items)
            for measure, value in found.items():
                yield _result(method, measure, value, seed, cost, **settings_of(method))


def settings_of(method: str) -> dict[str, Any]:
    """How the model behind a method's rows is trained; Table 1's were tuned anew, later."""
    d, _, optimisation = RECIPES["RecoNet" if method == LAYER else method]
    return {"d": d, "hidden": d if method == LAYER else None, **asdict(optimisation)}


@torch.no_grad()
def first_items(model: reconet.RecoNet, sets: reconet.Sets, parts: data.Split) -> Tensor:
    """The first recommendation of each user."""
    return torch.as_tensor(top_k(model(sets), 1, parts.train.matrix)[:, 0])


def _changes(
    model: reconet.RecoNet, sets: reconet.Sets, items: Tensor, seed: int
) -> dict[str, float]:
    """Means and effect sizes, both conventions."""
    start = time.process_time()
    Z = reconet.relevance(model, sets, items)
    turn = {"most": removal.turns(sets, Z, seed), "random": removal.turns(sets, seed=seed)}
    found: dict[str, float] = {}
    ways = {average: (turn, average) for average in removal.AVERAGES}
    if len(model.space.item_features):
        following = {o: removal.attributes_follow(model.space, sets, t) for o, t in turn.items()}
        ways["items, attributes follow"] = (following, "renormalised")
    for way, (order, average) in ways.items():
        curves = {
            o: removal.remove(model, sets, items, t, average=average) for o, t in order.items()
        }
        found |= _measures(way, curves["most"], curves["random"])
    return found | {"CPU seconds of the curves": time.process_time() - start}


def _measures(way: str, most: removal.Removal, random: removal.Removal) -> dict[str, float]:
    both = most.long_enough & random.long_enough
    found = {f"users, {way}": float(both.sum())}
    for k in REMOVED:
        for order, curve in (("most", most), ("random", random)):
            found[f"mean change, {order}, {k}, {way}"] = float(curve.changes[k, both].mean())
        left = ~np.isnan(most.changes[k]) & ~np.isnan(random.changes[k])
        effect, log10_p = compare(most.changes[k, left], random.changes[k, left])
        found[f"effect, {k}, {way}"] = effect
        found[f"log10 p, {k}, {way}"] = log10_p
    return found


def compare(
    lower: Float[ndarray, " first"], higher: Float[ndarray, " second"]
) -> tuple[float, float]:
    """The chance that a draw of the first sample lies below one of the second, ties half; and the
    decimal logarithm of the two-sided p-value of the Mann-Whitney U test, by the normal
    approximation without ties: the p-value itself is often smaller than the smallest float."""
    pairs = len(lower) * len(higher)
    U = mannwhitneyu(higher, lower).statistic
    z = (U - pairs / 2) / np.sqrt(pairs * (len(lower) + len(higher) + 1) / 12)
    return U / pairs, float((np.log(2) + norm.logsf(abs(z))) / np.log(10))


def _against_the_best(
    model: reconet.RecoNet, sets: reconet.Sets, items: Tensor, k: int = 3
) -> dict[str, float]:
    """Short profiles: the k most relevant, greedy search and the best k features of all."""
    changes = []
    Z = reconet.relevance(model, sets, items)
    for u in ((sets.sizes > k) & (sets.sizes <= SMALL)).nonzero()[:, 0].tolist():
        own = Z[u, sets[u]]
        black_box = removal.score_of_masks(model, sets.rows(u, u + 1), int(items[u]))
        top = removal.change_of_output(black_box, len(own), own.topk(k).indices)
        greedy = removal.greedy_removal(black_box, len(own), k)[1]
        best = removal.best_removal(black_box, len(own), k)[1]
        changes.append([top, greedy, best])
    top, greedy, best = np.array(changes).T
    return {
        f"short profiles of at most {SMALL}": float(len(best)),
        f"share of the best change, most relevant, {k}": float(top.sum() / best.sum()),
        f"share of the best change, greedy, {k}": float(greedy.sum() / best.sum()),
        f"most relevant is best, {k}": float((top <= best + 1e-6).mean()),
    }


# --------------------------------------------------------------------------- §5.5

Explainer = Callable[[surrogate.BlackBox, int], Tensor]

EXPLAINERS: dict[str, Explainer] = {
    "LIME, captum": limes.captum,
    "LIME, all masks at once": surrogate.lime,
    "LIME, lime tabular": limes.tabular,
    "LIME, lime text": limes.text,
    "Shapley sampling, captum": surrogate.shapley_sampling,
    "leave one out": surrogate.leave_one_out,
}
"""Black-box explainers at their defaults: 5,000 samples for LIME, 25 orders for Shapley."""


def reconet_lime(seeds: int = 3, users: int = 10) -> Iterator[Result]:
    """What black-box explainers say of `users` users, beside the relevances; and what it costs.

    The users are spread over the lengths of profiles. Agreement: Spearman correlation with Z and
    share of common features among the first five; seconds are CPU seconds an explanation, one
    thread if OMP_NUM_THREADS is 1.

    Source: RecoNet, §5.5 and Figure 8.
    """
    torch.set_num_threads(1)
    for seed in range(seeds):
        model, parts, cost = trained("RecoNet, attributes", seed)
        sets = model.space.profiles(parts.train)
        items = first_items(model, sets, parts)
        used = settings_of("RecoNet, attributes")
        order = np.argsort(sets.sizes.numpy(), kind="stable")
        chosen = order[(np.linspace(0.05, 0.95, users) * len(order)).astype(int)]
        for number, u in enumerate(chosen.tolist()):
            one, item = sets.rows(u, u + 1), int(items[u])
            for method, measure, value in _explained(model, one, item, parts, number < 3):
                yield _result(method, measure, value, seed, cost, user=u, n=len(one.ids), **used)


def _explained(
    model: reconet.RecoNet, one: reconet.Sets, item: int, parts: data.Split, whole_row: bool
) -> Iterator[tuple[str, str, float]]:
    """(explainer, measure, value) for one user."""
    n, Z = len(one.ids), reconet.closed_form(model.Q[one.ids], model.W[item]).detach()
    black_box = removal.score_of_masks(model, one, item)
    yield from _judged("RecoNet", Z, Z, black_box)
    yield "RecoNet", "CPU seconds", _seconds(lambda: _recommended_and_explained(model, one), 50)
    yield (
        "RecoNet, explanation alone",
        "CPU seconds",
        _seconds(lambda: reconet.explain(model, one, item), 50),
    )
    for method, explainer in EXPLAINERS.items():
        start = time.process_time()
        found = explainer(black_box, n)
        yield method, "CPU seconds", time.process_time() - start
        yield from _judged(method, found, Z, black_box)
    of_p = removal.score_of_masks(model, one, item, probability=True)
    yield from _judged("LIME, captum, probability", limes.captum(of_p, n), Z, black_box)
    if whole_row:
        start = time.process_time()
        found = _lime_on_the_whole_row(model, one, item, parts)
        yield "LIME, lime tabular, all columns", "CPU seconds", time.process_time() - start
        yield from _judged("LIME, lime tabular, all columns", found, Z, black_box)


def _lime_on_the_whole_row(
    model: reconet.RecoNet, one: reconet.Sets, item: int, parts: data.Split
) -> Tensor:
    """lime tabular as it is used out of the box: the user's row of the whole matrix I."""
    m = model.space.m
    rows = model.space.matrix(parts.train.matrix, parts.train.user_features)[::10]
    row = np.zeros(m)
    row[one.ids] = 1
    black_box = removal.score_of_masks(model, reconet.Sets.of(range(m)), item)
    table = (rows.toarray() > 0).astype(float)
    return limes.tabular(black_box, m, row=row, table=table)[one.ids]


def _judged(
    method: str, found: Tensor, Z: Tensor, black_box: surrogate.BlackBox
) -> Iterator[tuple[str, str, float]]:
    """Agreement with Z, and the change after removing what the explainer puts first."""
    yield method, "Spearman", float(spearmanr(found, Z).statistic)
    first, ours = (set(x.topk(5).indices.tolist()) for x in (found, Z))
    yield method, "top-5 overlap", len(first & ours) / 5
    ranked = found.argsort(descending=True)
    masks = torch.ones(len(REMOVED) + 1, len(Z))
    for row, k in enumerate(REMOVED, start=1):
        masks[row, ranked[:k]] = 0
    scores = black_box(masks)
    for k, score in zip(REMOVED, scores[1:], strict=True):
        if k < len(Z):
            yield method, f"change, {k}", float(score - scores[0])


def _recommended_and_explained(model: reconet.RecoNet, one: reconet.Sets) -> None:
    (item,) = reconet.recommend(model, one, k=1)[0].tolist()
    reconet.explain(model, one, item)


def _seconds(action: Callable[[], Any], repeats: int) -> float:
    """CPU seconds of one action, a mean over repeats after a first one."""
    action()
    start = time.process_time()
    for _ in range(repeats):
        action()
    return (time.process_time() - start) / repeats


def _result(
    method: str, measure: str, value: float, seed: int, cost: float, **settings: Any
) -> Result:
    return Result(method, "movielens-1m", measure, value, seed, round(cost, 1), settings)
