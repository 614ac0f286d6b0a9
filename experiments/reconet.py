"""RecoNet's Table 1 (recall@50 on MovieLens 1M) and how its models train; users without a history
(§5.2 and Figure 4); its explanations by removal (§5.4); and its reasons against the boutique's
truth: is the preference named that made her buy?
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy import ndarray
from scipy import sparse
from scipy.stats import mannwhitneyu, norm
from torch import Tensor

from experiments.record import Columns, Rows, results, rows_by, timed
from explainrec_lab import data, reconet, training
from explainrec_lab.baselines import collaborative, taste
from explainrec_lab.data.boutique import ShopperDials
from explainrec_lab.data.contracts import present
from explainrec_lab.data.splits import rank_within
from explainrec_lab.data.store import table_beside
from explainrec_lab.evaluate import truth
from explainrec_lab.evaluate.ranking import mean_recall, top_k
from explainrec_lab.reconet import RecoNet, Sets, removal
from explainrec_lab.reconet.data import Examples
from explainrec_lab.reconet.explain import attribute_features, favoured
from explainrec_lab.training import Optimisation

Batches = Callable[[int], Iterable[Examples]]


@dataclass(frozen=True)
class Version:
    """RecoNet with the call of the recommenders beside it (`collaborative.Recommender`).

    Attributes:
        hidden: units of the extra layer, or None. share, attribute_share: what `RemovedItems`
            removes. attribute_decay: weight decay of the attributes' vectors.
    """

    d: int = 128
    hidden: int | None = None
    epochs: int = 80
    learning_rate: float = 1e-2
    weight_decay: float = 0.12
    attribute_decay: float = 3.0
    share: float = 0.5
    attribute_share: float = 0.3

    def scores(self, train: data.Interactions, seed: int = 0) -> torch.Tensor:
        """`[user, item]`; `seed` is that of the first weights and of the examples."""
        return scores_of(self.trained(train, seed)[0], train)

    def trained(self, train: data.Interactions, seed: int) -> tuple[reconet.RecoNet, float]:
        """A RecoNet and the CPU seconds of its training."""
        space = space_of(train)
        model = reconet.RecoNet(space, self.d, self.hidden, seed)
        decay = {"Q_attributes": self.attribute_decay}
        how = Optimisation(self.epochs, self.learning_rate, self.weight_decay, decay)
        examples = self.examples(train, space, seed)
        return model, timed(lambda: training.fit(model, examples, reconet.cross_entropy, how))[1]

    def examples(self, train: data.Interactions, space: reconet.FeatureSpace, seed: int) -> Batches:
        """What it learns from."""
        return reconet.RemovedItems(train, space, self.share, self.attribute_share, seed=seed)


def space_of(train: data.Interactions) -> reconet.FeatureSpace:
    """The features of these events; items are called by their numbers."""
    titles = tuple(map(str, range(train.n_items)))
    return reconet.FeatureSpace(titles, train.item_features, train.user_features.names)


@torch.no_grad()
def scores_of(model: reconet.RecoNet, events: data.Interactions) -> torch.Tensor:
    """`[user, item]`, from what these events and the users' features tell."""
    return model(model.space.profiles(events))


class Newcomers(Version):
    """Some users stand in each batch once more, as if they had no history."""

    def examples(self, train: data.Interactions, space: reconet.FeatureSpace, seed: int) -> Batches:
        usual = reconet.RemovedItems(train, space, self.share, self.attribute_share, seed=seed)
        return reconet.WithNewcomers(usual, 0.2, 0.2, labels=20)


class ThePapers(Version):
    """The examples of RecoNet, §4.2."""

    def examples(self, train: data.Interactions, space: reconet.FeatureSpace, seed: int) -> Batches:
        return reconet.SingleLabel(train, space, seed=seed)


Method = collaborative.Recommender | Version
KINDS = vars(collaborative) | {kind.__name__: kind for kind in (Version, Newcomers, ThePapers)}


def _methods(table: str) -> dict[tuple[str, str], Any]:
    """Method and variant -> the recommender, for a table of the TOML beside this file."""
    found = {}
    for name, how in table_beside(__file__)[table].items():
        method, _, variant = name.partition(", ")
        found[method, variant] = KINDS[how.pop("kind")](**how)
    return found


TUNED = _methods("tuned")
ADMIT_ATTRIBUTES = ("OCuLaR", "factorization machine", "CML", "RecoNet", "RecoNet + Layer")
# The rows of the table, without and with attributes.
TABLE = TUNED | {(method, "attributes"): TUNED[method, ""] for method in ADMIT_ATTRIBUTES}
EXPLAINED = _methods("explained")


def reconet_table_1(seeds: int = 3) -> Rows:
    """Recall@50 on MovieLens 1M: rating >= 3, random 60/20/20, the training history as input,
    training and development items out of the ranking, averaged over users.

    Source: RecoNet, §5.1 and Table 1.
    """
    for (method, variant), settings in TABLE.items():
        for seed in range(seeds):
            parts = likes(seed, attributes=variant == "attributes")
            scores, cost = timed(partial(settings.scores, parts.train, seed))
            row: Columns = {"data": "movielens-1m", "method": method, "seed": seed, "cost": cost}
            row |= {"measure": "recall", "k": 50, "settings": asdict(settings)}
            for left_out, matrix in masks((method, variant), parts).items():
                value = mean_recall(scores, 50, parts.test.matrix, matrix)[-1]
                yield row | {"variant": left_out or variant, "value": value}
                row["cost"] = 0.0


def masks(name: tuple[str, str], parts: data.Split) -> dict[str, sparse.csr_array]:
    """What may not be recommended: training and development items; for RecoNet also fewer."""
    train = parts.train.matrix
    usual = {"": train + parts.development.matrix}
    nothing = sparse.csr_array(train.shape)
    less = {"only training items left out": train, "nothing left out": nothing}
    return usual | less if name == ("RecoNet", "") else usual


def likes(seed: int, attributes: bool, source: str = "movielens-1m") -> data.Split:
    """The paper's split of MovieLens 1M, or the same of another source: three stars, or three
    baskets, make a like; where values only count, or are all 1, each does.

    Source: RecoNet, §5 and §5.1.
    """
    events = data.load(source).interactions
    events = data.implicit(events, 1 if source == "hm" else min(3, events.value.max(initial=1)))
    return data.split(events if attributes else events.without_features(), seed)


# -------------------------------------------------------------------------------------- no history

KS = (1, 5, 10, 20, 30, 40, 50)
# How many of her likes a cold user reveals, one after the other.
TOLD = (0, 1, 2, 4, 8, 16)


COLD = _methods("cold-start")
COLD |= {("FM", ""): TUNED["factorization machine", ""], ("CML", ""): TUNED["CML", ""]}

# How many draws a variant or method gets, to keep the experiment short; all others get every draw.
FEW = {"the paper's examples": 1, "attributes decay, newcomers": 1, "FM": 2, "CML": 2}


def reconet_cold_start(seeds: int = 5) -> Rows:
    """Recall of users whose history was taken out of training, and what their comfort costs all
    others; a tenth of the test users, another split and another tenth for each seed.

    Source: RecoNet, §5.2 and Figure 4.
    """
    for seed in range(seeds):
        whole = likes(seed, attributes=True)
        parts = data.cold_start(whole, fraction=0.1, seed=seed)
        for (method, variant), chosen in COLD.items():
            if seed < FEW.get(variant or method, seeds):
                row = {"method": method, "variant": variant, "settings": vars(chosen)}
                found = _measured(chosen, whole, parts, seed)
                yield from results(found, data="movielens-1m", seed=seed, **row)


def _measured(chosen: Method, whole: data.Split, parts: data.Split, seed: int) -> Rows:
    """Recall of the cold and of the warm users, whose training and development items are left out;
    for RecoNet also when cold users tell."""
    if isinstance(chosen, Version):
        model, cost = chosen.trained(parts.train, seed)
        scores = scores_of(model, parts.train)
    else:
        scores, cost = timed(lambda: chosen.scores(parts.train, seed))
    row: Columns = {"measure": "recall", "cost": cost}
    known = parts.train.matrix + parts.development.matrix
    warm = np.setdiff1d(np.unique(parts.test.user), parts.cold_users)
    for group, users, ks in (("cold users", parts.cold_users, KS), ("warm users", warm, (50,))):
        recall = mean_recall(scores[users], 50, parts.test.matrix[users], known[users])
        yield from rows_by("k", {k: recall[k - 1] for k in ks}, group=group, **row)
    if isinstance(chosen, Version):
        for told in _told(model, whole, parts, seed):
            yield row | {"group": "cold users"} | told


def _told(model: reconet.RecoNet, whole: data.Split, parts: data.Split, seed: int) -> Rows:
    """Cold users tell some of their likes: recall@50 with those in the profile, nothing trained.
    With none told, also the mean -log p of their test likes."""
    cold, rng = parts.cold_users, np.random.default_rng(seed)
    events = whole.train.select(np.isin(whole.train.user, cold))
    events = events.select(rng.permutation(len(events)))
    rank = rank_within(events.user)
    for n in TOLD:
        known = events.select(rank < n)
        scores = scores_of(model, known)[cold]
        recall = mean_recall(scores, 50, parts.test.matrix[cold], known.matrix[cold])[-1]
        yield {"measure": "recall", "k": 50, "told": n, "value": recall}
        if n == 0:
            surprise = -scores.log_softmax(dim=1)[parts.test.matrix[cold].nonzero()].mean()
            yield {"measure": "cross-entropy", "told": n, "value": surprise}


# ------------------------------------------------------------------------------------ explanations

# The target is the first recommendation of each user, among the films not in the training history.

# After how many removals the change is recorded.
REMOVED = (1, 2, 5, 10, 20, 50)


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
    for average in removal.AVERAGES:
        removed = partial(removal.remove, model, sets, items, average=average)
        yield from results(_measures({o: removed(t) for o, t in turn.items()}), how=average)


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


# ----------------------------------------------------------------------------------------- reasons

# Name -> scores of the attributes of each held-out purchase.
Answers = dict[str, ndarray]  # `[event, attribute]`

# Purchases a shopper; a fifth of them is asked about.
PURCHASES = (4, 8, 16, 32, 64)

SHOP = {"items": 600, "shoppers": 1500}
MODEL = Version(64, epochs=40, weight_decay=0.1, attribute_decay=0.1, attribute_share=0.5)


def reconet_truth(seeds: int = 3) -> Rows:
    """How often each explanation names the true reason of a held-out purchase.

    No setting was tuned on these shops: the model and its training are the chapter's.
    """
    for seed in range(seeds):
        for purchases in PURCHASES:
            dials = ShopperDials(purchases=purchases)
            shop = data.load("boutique", **SHOP, seed=seed, shopping=dials)
            parts = data.split(shop.interactions, seed, fractions=(0.8, 0.0, 0.2))
            settings = {**SHOP, **asdict(MODEL)}
            shared = {"purchases": purchases, "seed": seed, "d": MODEL.d, "settings": settings}
            yield from results(_named(shop, parts, seed), data="boutique", **shared)


def _named(shop: data.Dataset, parts: data.Split, seed: int) -> Rows:
    """The hit rates for one shop, and how alike the answers for two shoppers are."""
    model, cost = MODEL.trained(parts.train, seed)
    blank = reconet.RecoNet(model.space, MODEL.d, seed=seed + 100)
    reason, applies = truth.purchase_reasons(shop, parts.test), truth.applies_to(shop, parts.test)
    answers, random = (from_model(each, shop, parts) for each in (model, blank))
    row = {"measure": "true reason named"}
    for variant, own in ("", answers | from_history(shop, parts)), ("random weights", random):
        rates = {name: truth.hit_rate(shop, parts.test, each) for name, each in own.items()}
        yield from rows_by("method", rates, variant=variant, cost=cost, **row)
    yield from rows_by("method", truth.references(shop, parts.test, parts.train), **row)
    counted = truth.explainable(reason, applies)
    for method, named in (answers | {"the truth": reason}).items():
        same = truth.agreement(*(each[counted] for each in (parts.test.item, named, applies)))
        yield {"method": method, "measure": "same answer for two buyers", "value": same}
    share = model.space.profiles(parts.train).of_users(parts.test.user).shares(model.space.m)
    features = attribute_features(shop.catalogue, model.space)[parts.test.item]
    held = float((reconet.looked_up(share, features)[applies] > 0).mean())
    yield {"method": "the bought item's attributes", "measure": "in the profile", "value": held}


def from_model(model: reconet.RecoNet, shop: data.Dataset, parts: data.Split) -> Answers:
    """What the model's explanations say of each held-out purchase."""
    codes, events = present("attributes", shop.catalogue.attributes), parts.test
    profiles = model.space.profiles(parts.train)
    hers = profiles.of_users(events.user)
    share, mean = hers.shares(model.space.m), reconet.mean_profile(profiles, model.space.m)
    features = attribute_features(shop.catalogue, model.space)
    Z = reconet.relevance(model, hers, events.item)
    personal = reconet.relevance(model, hers, events.item, mean)
    own = features[events.item]
    classes = favoured(model, profiles.shares(model.space.m), mean, codes)
    return {
        "Z": reconet.looked_up(Z, own, share),
        "personal": reconet.looked_up(personal, own),
        "Z, passed on": reconet.passed_on(Z, events.item, codes, features, share),
        "personal, passed on": reconet.passed_on(personal, events.item, codes, features, share),
        "favoured class": taste.for_purchases(classes, events.user, events.item, codes),
    }


def from_history(shop: data.Dataset, parts: data.Split) -> Answers:
    """What the purchases say without RecoNet."""
    codes = present("attributes", shop.catalogue.attributes)
    asked = (parts.test.user, parts.test.item, codes)
    methods = {"counting": taste.counted, "choice model": taste.fitted}
    tastes = {name: method(parts.train.matrix, codes) for name, method in methods.items()}
    return {name: taste.for_purchases(each, *asked) for name, each in tastes.items()}
