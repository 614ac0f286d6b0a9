"""RecoNet's explanations on MovieLens 1M: removal (§5.4) and LIME (§5.5).

The target is the first recommendation of each user, among the films not in the training history.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy import ndarray
from scipy.stats import mannwhitneyu, norm, spearmanr
from torch import Tensor
from torch.utils.data import DataLoader

from experiments.reconet import EXPLAINED, likes
from experiments.record import Rows, results, rows_by, timed
from explainrec_lab import reconet
from explainrec_lab.baselines import surrogate
from explainrec_lab.baselines.surrogate import RIDGE, BlackBox, weighted_ridge
from explainrec_lab.evaluate.ranking import top_k
from explainrec_lab.reconet import RecoNet, Sets, removal

# After how many removals the change is recorded.
REMOVED = (1, 2, 5, 10, 20, 50)

# Longest profile on which every removal is tried.
SMALL = 16


# --------------------------------------------------------------------------- §5.4


def reconet_removal(seeds: int = 3) -> Rows:
    """Change of the score when the most relevant features go, and when random ones do.

    Mean change by number of removals: users with more than 50 features. Effect sizes: the users
    with more than k.

    Source: RecoNet, §5.4, Figures 6 and 7.
    """
    for seed in range(seeds):
        for (method, variant), chosen in EXPLAINED.items():
            model, sets, items, cost = recommended((method, variant), seed)
            found, seconds = timed(partial(list, _changes(model, sets, items, seed)))
            found.append({"measure": "CPU seconds of the curves", "value": seconds})
            if chosen.hidden:
                found += _against_the_best(model, sets, items)
            shared = {"method": method, "variant": variant, "settings": asdict(chosen)}
            yield from results(found, data="movielens-1m", seed=seed, cost=cost, **shared)


def recommended(name: tuple[str, str], seed: int) -> tuple[RecoNet, Sets, Tensor, float]:
    """One of `EXPLAINED`, trained; every profile, its first recommendation; and CPU seconds."""
    parts = likes(seed, attributes=name[1] == "attributes")
    model, cost = EXPLAINED[name].trained(parts.train, seed)
    sets = model.space.profiles(parts.train)
    with torch.no_grad():
        first = top_k(model(sets), 1, parts.train.matrix)[:, 0]
    return model, sets, torch.as_tensor(first), cost


def _changes(model: RecoNet, sets: Sets, items: Tensor, seed: int) -> Rows:
    """Means and effect sizes, both conventions."""
    Z = reconet.relevance(model, sets, items)
    turn = {"most": removal.turns(sets, Z, seed), "random": removal.turns(sets, seed=seed)}
    ways = {average: (turn, average) for average in removal.AVERAGES}
    if len(model.space.item_features):
        following = {o: removal.attributes_follow(model.space, sets, t) for o, t in turn.items()}
        ways["items, attributes follow"] = (following, "renormalised")
    for way, (order, average) in ways.items():
        removed = partial(removal.remove, model, sets, items, average=average)
        yield from results(_measures({o: removed(t) for o, t in order.items()}), how=way)


def _measures(curves: dict[str, removal.Removal]) -> Rows:
    most, random = curves["most"], curves["random"]
    both = most.long_enough & random.long_enough
    yield {"measure": "users", "value": both.sum()}
    for k in REMOVED:
        means = {order: curve.changes[k, both].mean() for order, curve in curves.items()}
        yield from rows_by("order", means, measure="mean change", k=k)
        left = ~np.isnan(most.changes[k]) & ~np.isnan(random.changes[k])
        effect, log10_p = compare(most.changes[k, left], random.changes[k, left])
        yield from rows_by("measure", {"effect": effect, "log10 p": log10_p}, k=k)


def compare(lower: np.ndarray, higher: np.ndarray) -> tuple[float, float]:
    """The chance that a draw of the first sample lies below one of the second, ties half; and the
    decimal logarithm of the two-sided p-value of the Mann-Whitney U test, by the normal
    approximation without ties: the p-value itself is often smaller than the smallest float."""
    pairs = len(lower) * len(higher)
    U = mannwhitneyu(higher, lower).statistic
    z = (U - pairs / 2) / np.sqrt(pairs * (len(lower) + len(higher) + 1) / 12)
    return float(U / pairs), float((np.log(2) + norm.logsf(abs(z))) / np.log(10))


def _against_the_best(model: RecoNet, sets: Sets, items: Tensor) -> Rows:
    """Short profiles: the k most relevant, greedy search and the best k features of all."""
    changes, k = [], 3
    Z = reconet.relevance(model, sets, items)
    for u in ((sets.sizes > k) & (sets.sizes <= SMALL)).nonzero()[:, 0].tolist():
        own = Z[u, sets[u]]
        black_box = removal.score_of_masks(model, sets.rows(u, u + 1), int(items[u]))
        top = removal.change_of_output(black_box, len(own), own.topk(k).indices)
        greedy = removal.greedy_removal(black_box, len(own), k)[1]
        best = removal.best_removal(black_box, len(own), k)[1]
        changes.append([top, greedy, best])
    top, greedy, best = np.array(changes).T
    share = {"most": top.sum() / best.sum(), "greedy": greedy.sum() / best.sum()}
    yield {"measure": "short profiles", "n": SMALL, "value": len(best)}
    yield from rows_by("order", share, measure="share of the best change", k=k)
    yield {"measure": "most relevant is best", "k": k, "value": (top <= best + 1e-6).mean()}


# --------------------------------------------------------------------------- §5.5

# Other people's LIMEs, to be compared with `surrogate.lime`: captum's, and the package `lime`
# (extra `benchmark`) on a table row and on a text. All return one slope a feature, `[n]`.
#
# Source: RecoNet, §5.5; Ribeiro et al. 2016.


class WeightedRidge:
    """The linear model of LIME, in the form that captum asks for; its own default, the lasso,
    would need scikit-learn."""

    slopes: Tensor

    def fit(self, samples: DataLoader) -> None:
        """Fit to the (masks, scores, weights) of all batches."""
        masks, scores, weights = (torch.cat(part) for part in zip(*samples, strict=True))
        self.slopes, _ = weighted_ridge(masks, scores, weights, RIDGE)

    def representation(self) -> Tensor:
        return self.slopes[None].float()


def captum(black_box: BlackBox, n: int, *, samples: int = 5000, seed: int = 0) -> Tensor:
    """captum's LIME on the same masks, with the same kernel and linear model as the package's."""
    from captum.attr import Lime

    generator = torch.Generator().manual_seed(seed)

    def coin_tosses(original: Tensor, **_: object) -> Iterator[Tensor]:
        yield from torch.randint(0, 2, (samples, 1, n), generator=generator)

    explainer = Lime(black_box, interpretable_model=WeightedRidge(), perturb_func=coin_tosses)
    return explainer.attribute(torch.ones(1, n), n_samples=samples, perturbations_per_eval=500)[0]


def tabular(
    black_box: BlackBox, n: int, *, row: ndarray | None = None, table: ndarray | None = None
) -> Tensor:
    """The package `lime` on one row of a table with n binary columns.

    Args:
        row: what is explained, `[n]`; by default a row of ones.
        table: `[rows, n]`; each column is drawn as often 1 as it is there; by default in half of
            the rows.
    """
    from lime.lime_tabular import LimeTabularExplainer

    table = np.repeat([[0.0], [1.0]], n, axis=1) if table is None else table
    how = {"mode": "regression", "discretize_continuous": False, "random_state": 0}
    explainer = LimeTabularExplainer(table, categorical_features=[*range(n)], **how)
    row, ask = np.ones(n) if row is None else row, lambda masks: _scored(black_box, masks)
    # on 5,000 samples, as it likes
    return _in_order(explainer.explain_instance(row, ask, num_features=n).as_map()[1])


def text(black_box: BlackBox, n: int) -> Tensor:
    """The package `lime` on a text of n words, one a feature; how many go is drawn evenly."""
    from lime.lime_text import LimeTextExplainer

    def of_texts(texts: list[str]) -> ndarray:
        masks = np.zeros((len(texts), n))
        for mask, words in zip(masks, texts, strict=True):
            mask[[int(word) for word in words.split()]] = 1
        return _scored(black_box, masks)[:, None]

    numbers = " ".join(map(str, range(n)))
    explainer = LimeTextExplainer(random_state=0)
    found = explainer.explain_instance(numbers, of_texts, labels=(0,), num_features=n)
    # words are numbered by their first appearance, which is our order
    return _in_order(found.as_map()[0])


def _scored(black_box: BlackBox, masks: ndarray) -> ndarray:
    return black_box(torch.from_numpy(masks)).double().numpy()


def _in_order(pairs: list[tuple[int, float]]) -> Tensor:
    return torch.tensor([slope for _, slope in sorted(pairs)], dtype=torch.float32)


# Black-box explainers at their defaults: 5,000 samples for LIME, 25 orders for Shapley.
EXPLAINERS: dict[str, Callable[[surrogate.BlackBox, int], Tensor]] = {
    "LIME, captum": captum,
    "LIME, all masks at once": surrogate.lime,
    "LIME, lime tabular": tabular,
    "LIME, lime text": text,
    "Shapley sampling, captum": surrogate.shapley_sampling,
    "leave one out": surrogate.leave_one_out,
}


def reconet_lime(seeds: int = 3, users: int = 10) -> Rows:
    """What black-box explainers say of `users` users, beside the relevances; and what it costs.

    The users are spread over the lengths of profiles. Agreement: Spearman correlation with Z and
    share of common features among the first five; seconds are CPU seconds an explanation, one
    thread if OMP_NUM_THREADS is 1.

    Source: RecoNet, §5.5 and Figure 8.
    """
    torch.set_num_threads(1)
    name = ("RecoNet", "attributes")
    for seed in range(seeds):
        model, sets, items, cost = recommended(name, seed)
        order = np.argsort(sets.sizes.numpy(), kind="stable")
        chosen = order[(np.linspace(0.05, 0.95, users) * len(order)).astype(int)]
        for number, u in enumerate(chosen.tolist()):
            table = sets if number < 3 else None
            found = _explained(model, sets.rows(u, u + 1), int(items[u]), table)
            shared = {"user": u, "n": int(sets.sizes[u]), "settings": asdict(EXPLAINED[name])}
            yield from results(found, data="movielens-1m", seed=seed, cost=cost, **shared)


def _explained(model: RecoNet, one: Sets, item: int, everybody: Sets | None) -> Rows:
    """What explainers say of one user, and how long they take.

    Args:
        everybody: all profiles, to ask lime tabular about the whole row, too.
    """
    n, Z = len(one.ids), reconet.closed_form(model.Q[one.ids], model.W[item]).detach()
    black_box = removal.score_of_masks(model, one, item)
    of_p = removal.score_of_masks(model, one, item, probability=True)
    best = partial(reconet.recommend, model, one, k=1)  # all items scored, as a reader calls it
    costs = {"": _mean_seconds(lambda: reconet.explain(model, one, int(best()[0])))}
    costs["explanation alone"] = _mean_seconds(lambda: reconet.explain(model, one, item))
    yield from rows_by("variant", costs, method="RecoNet", measure="CPU seconds")
    yield from results(_judged(Z, Z, black_box), method="RecoNet")
    explainers = {(name, ""): partial(each, black_box, n) for name, each in EXPLAINERS.items()}
    explainers["LIME, captum", "probability"] = partial(captum, of_p, n)
    if everybody is not None:
        whole = partial(_lime_on_the_whole_row, model, one, item, everybody)
        explainers["LIME, lime tabular", "all columns"] = whole
    for (method, variant), explainer in explainers.items():
        found, seconds = timed(explainer)
        row = {"method": method, "variant": variant}
        yield row | {"measure": "CPU seconds", "value": seconds}
        yield from results(_judged(found, Z, black_box), **row)


def _lime_on_the_whole_row(model: RecoNet, one: Sets, item: int, everybody: Sets) -> Tensor:
    """lime tabular as it is used out of the box: the user's row of the whole matrix I."""
    m = model.space.m
    some = everybody.of_users(np.arange(0, len(everybody), 10))
    row, table = ((sets.shares(m) > 0).double().numpy() for sets in (one, some))
    black_box = removal.score_of_masks(model, Sets.of(range(m)), item)
    return tabular(black_box, m, row=row[0], table=table)[one.ids]


def _judged(found: Tensor, Z: Tensor, black_box: surrogate.BlackBox) -> Rows:
    """Agreement with Z, and the change after removing what the explainer puts first."""
    yield {"measure": "Spearman", "value": spearmanr(found, Z).statistic}
    first, ours = (set(x.topk(5).indices.tolist()) for x in (found, Z))
    yield {"measure": "overlap", "k": 5, "value": len(first & ours) / 5}
    ranked = found.argsort(descending=True)
    without = partial(removal.change_of_output, black_box, len(Z))
    changes = {k: without(ranked[:k]) for k in REMOVED if k < len(Z)}
    yield from rows_by("k", changes, measure="change")


def _mean_seconds(action: Callable[[], Any], repeats: int = 50) -> float:
    """CPU seconds of one action, a mean over repeats after a first one."""
    action()
    return timed(lambda: [action() for _ in range(repeats)])[1] / repeats
