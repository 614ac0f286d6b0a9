"""RecoNet on the paper's data: Table 1's recall@50 on MovieLens 1M, and how its models train."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from scipy import sparse

from experiments.record import Columns, Result, timed
from explainrec_lab import data, reconet, training
from explainrec_lab.baselines import collaborative
from explainrec_lab.evaluate.ranking import mean_recall
from explainrec_lab.reconet.data import Examples
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
        titles = tuple(map(str, range(train.n_items)))
        space = reconet.FeatureSpace(titles, train.item_features, train.user_features.names)
        model = reconet.RecoNet(space, self.d, self.hidden, seed)
        decay = {"Q_attributes": self.attribute_decay}
        how = Optimisation(self.epochs, self.learning_rate, self.weight_decay, decay)
        examples = self.examples(train, space, seed)
        return model, timed(lambda: training.fit(model, examples, reconet.cross_entropy, how))[1]

    def examples(self, train: data.Interactions, space: reconet.FeatureSpace, seed: int) -> Batches:
        """What it learns from."""
        return reconet.RemovedItems(train, space, self.share, self.attribute_share, seed=seed)


@torch.no_grad()
def scores_of(model: reconet.RecoNet, events: data.Interactions) -> torch.Tensor:
    """`[user, item]`, from what these events and the users' features tell."""
    return model(model.space.profiles(events))


# method -> the best trial of `python -m experiments reconet-search`.
TUNED: dict[str, Any] = {
    "popularity": collaborative.Popularity(),
    "popularity, attributes": collaborative.DemographicPopularity(),
    "item-to-item": collaborative.ItemNeighbours(),
    "user-to-user": collaborative.UserNeighbours(),
    "OCuLaR": collaborative.OCuLaR(iterations=100),
    "factorization machine": collaborative.FM(120, 20, 0.0235, weight_decay=0.689, negatives=26),
    "CML": collaborative.CML(epochs=15),
    "RecoNet": Version(),
    "RecoNet + Layer": Version(hidden=128, epochs=60),
    "iALS": collaborative.IALS(),
    "EASE": collaborative.EASE(regularisation=596.0),
}

ADMIT_ATTRIBUTES = ("OCuLaR", "factorization machine", "CML", "RecoNet", "RecoNet + Layer")

# The rows of the table, without and with attributes. The search went without attributes, and with
# them the settings stay: RecoNet's two for attributes (`attribute_decay`, `attribute_share`) come
# from earlier work.
TABLE: dict[tuple[str, str], Any] = {
    **{(method, ""): each for method, each in TUNED.items() if method != "popularity, attributes"},
    ("popularity", "attributes"): TUNED["popularity, attributes"],
    **{(method, "attributes"): TUNED[method] for method in ADMIT_ATTRIBUTES},
}

# The models whose explanations are measured; Table 1's were tuned anew, later.
EXPLAINED = {
    ("RecoNet", ""): Version(),
    ("RecoNet", "attributes"): Version(epochs=100, weight_decay=0.13),
    ("RecoNet + Layer", ""): Version(hidden=128),
}


def reconet_table_1(seeds: int = 3) -> Iterator[Result]:
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
    baskets, make a like.

    Source: RecoNet, §5 and §5.1.
    """
    events = data.implicit(data.load(source).interactions, threshold=3)
    return data.split(events if attributes else events.without_features(), seed)
