"""RecoNet for users without a history: §5.2 and Figure 4 on MovieLens 1M."""

from collections.abc import Iterator

import numpy as np

from experiments.reconet import TUNED, Batches, Version, likes, scores_of
from experiments.record import Columns, Result, results, rows_by, timed
from explainrec_lab import data, reconet
from explainrec_lab.baselines import collaborative
from explainrec_lab.data.splits import rank_in_order
from explainrec_lab.evaluate.ranking import mean_recall

KS = (1, 5, 10, 20, 30, 40, 50)
# How many of her likes a cold user reveals, one after the other.
TOLD = (0, 1, 2, 4, 8, 16)


class Newcomers(Version):
    """Some users stand in each batch once more, as if they had no history."""

    def examples(self, train: data.Interactions, space: reconet.FeatureSpace, seed: int) -> Batches:
        usual = reconet.RemovedItems(train, space, self.share, self.attribute_share, seed=seed)
        return reconet.WithNewcomers(usual, 0.2, 0.2, labels=20)


class ThePapers(Version):
    """The examples of RecoNet, §4.2."""

    def examples(self, train: data.Interactions, space: reconet.FeatureSpace, seed: int) -> Batches:
        return reconet.SingleLabel(train, space, seed=seed)


# (method, variant) -> settings. RecoNet beside the two simplest answers and the methods of Figure
# 4; FM and CML with the settings of Table 1, which were tuned for users with a history. RecoNet's
# decay of attributes is that of Table 1, or that of the items. A few shares, numbers of labels and
# decays of newcomers were tried by hand on development likes of other splits and other draws (seeds
# 100..102), and hardly differed; there is no recorded search.
METHODS: dict[tuple[str, str], collaborative.Recommender | Version] = {
    ("popularity", ""): collaborative.Popularity(),
    ("demographic popularity", ""): collaborative.DemographicPopularity(),
    ("OCuLaR", ""): collaborative.OCuLaR(),
    ("FM", ""): TUNED["factorization machine"],
    ("CML", ""): TUNED["CML"],
    ("RecoNet", ""): Version(64, epochs=40, attribute_decay=0.12),
    ("RecoNet", "attributes decay"): Version(64, epochs=40),
    ("RecoNet", "newcomers"): Newcomers(64, epochs=40, attribute_decay=0.12),
    ("RecoNet", "attributes decay, newcomers"): Newcomers(64, epochs=40),
    ("RecoNet", "the paper's examples"): ThePapers(64, None, 100, 1e-2, 0.03, 0.03),
}

# How many draws a variant or method gets, to keep the experiment short; all others get every draw.
FEW = {"the paper's examples": 1, "attributes decay, newcomers": 1, "FM": 2, "CML": 2}


def reconet_cold_start(seeds: int = 5) -> Iterator[Result]:
    """Recall of users whose history was taken out of training, and what their comfort costs all
    others; a tenth of the test users, another split and another tenth for each seed.

    Source: RecoNet, §5.2 and Figure 4.
    """
    for seed in range(seeds):
        whole = likes(seed, attributes=True)
        parts = data.cold_start(whole, fraction=0.1, seed=seed)
        for (method, variant), chosen in METHODS.items():
            if seed < FEW.get(variant or method, seeds):
                row = {"method": method, "variant": variant, "settings": vars(chosen)}
                found = _measured(chosen, whole, parts, seed)
                yield from results(found, data="movielens-1m", seed=seed, **row)


def _measured(
    chosen: collaborative.Recommender | Version, whole: data.Split, parts: data.Split, seed: int
) -> Iterator[Columns]:
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


def _told(
    model: reconet.RecoNet, whole: data.Split, parts: data.Split, seed: int
) -> Iterator[Columns]:
    """Cold users tell some of their likes: recall@50 with those in the profile, nothing trained.
    With none told, also the mean -log p of their test likes."""
    cold, rng = parts.cold_users, np.random.default_rng(seed)
    events = whole.train.select(np.isin(whole.train.user, cold))
    events = events.select(rng.permutation(len(events)))
    rank = rank_in_order(events.user, np.argsort(events.user, kind="stable"))
    for n in TOLD:
        known = events.select(rank < n)
        scores = scores_of(model, known)[cold]
        recall = mean_recall(scores, 50, parts.test.matrix[cold], known.matrix[cold])[-1]
        yield {"measure": "recall", "k": 50, "told": n, "value": recall}
        if n == 0:
            surprise = -scores.log_softmax(dim=1)[parts.test.matrix[cold].nonzero()].mean()
            yield {"measure": "cross-entropy", "told": n, "value": surprise}
