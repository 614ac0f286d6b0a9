"""RecoNet on the paper's data: Table 1's recall@50 on MovieLens 1M."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor

from experiments.record import Result
from explainrec_lab import baselines, data, reconet, training
from explainrec_lab.evaluate.ranking import mean_recall
from explainrec_lab.training import Optimisation

ATTRIBUTE_DECAY = {"Q_attributes": 3.0}

RECIPES: dict[str, tuple[int, bool, Optimisation]] = {
    "RecoNet": (128, False, Optimisation(80, 1e-2, 0.12)),
    "RecoNet, attributes": (128, True, Optimisation(100, 1e-2, 0.13, ATTRIBUTE_DECAY)),
}
"""method -> (d, with attributes, optimisation), tuned on development data."""

EXAMPLES: dict[str, Any] = {
    "share": 0.5,
    "attribute_share": 0.3,
    "batch_size": 128,
}
"""How the training examples are made, for all of them."""


@dataclass(frozen=True)
class Recipe:
    """RecoNet with the call of the recommenders beside it (`baselines.Recommender`).

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

    def scores(self, train: data.Interactions, seed: int = 0) -> Float[Tensor, "user item"]:
        """`seed` is that of the first weights and of the examples."""
        titles = tuple(map(str, range(train.n_items)))
        space = reconet.FeatureSpace(titles, train.item_features, train.user_features.names)
        model = reconet.RecoNet(space, self.d, self.hidden, seed)
        examples = reconet.RemovedItems(
            train, space, self.share, self.attribute_share, batch_size=128, seed=seed
        )
        decay = {"Q_attributes": self.attribute_decay}
        optimisation = Optimisation(self.epochs, self.learning_rate, self.weight_decay, decay)
        training.fit(model, examples, reconet.cross_entropy, optimisation)
        with torch.no_grad():
            return model(space.profiles(train))


TUNED: dict[str, Any] = {
    "popularity": baselines.Popularity(),
    "popularity, attributes": baselines.DemographicPopularity(),
    "item-to-item": baselines.ItemNeighbours(),
    "user-to-user": baselines.UserNeighbours(),
    "OCuLaR": baselines.OCuLaR(iterations=100),
    "factorization machine": baselines.FM(
        d=120, epochs=20, learning_rate=0.0235, weight_decay=0.689, negatives=26
    ),
    "CML": baselines.CML(epochs=15),
    "RecoNet": Recipe(),
    "RecoNet + Layer": Recipe(hidden=128, epochs=60),
    "iALS": baselines.IALS(),
    "EASE": baselines.EASE(regularisation=596.0),
}
"""method -> the best trial of `python -m experiments reconet-search`."""

TUNED_HOUSEHOLDS: dict[str, Any] = {
    "popularity": baselines.Popularity(),
    "popularity, attributes": baselines.DemographicPopularity(strength=97.0, trust=0.28),
    "item-to-item": baselines.ItemNeighbours(k=322, power=0.571),
    "user-to-user": baselines.UserNeighbours(k=400, power=2.38),
    "OCuLaR": baselines.OCuLaR(clusters=83, regularisation=104.0),
    "factorization machine": baselines.FM(48, 12, 0.02, weight_decay=1.0),
    "CML": baselines.CML(32, margin=0.5, epochs=15, learning_rate=0.01),
    "RecoNet": Recipe(82, None, 30, 0.0179, 0.0919, share=0.351),
    "RecoNet + Layer": Recipe(64, 64, 30, 0.015, 0.1),
    "iALS": baselines.IALS(factors=110, alpha=17.6, regularisation=93.3),
    "EASE": baselines.EASE(regularisation=596.0),
}
"""method -> the best trial of `python -m experiments reconet-search-households`."""

ADMIT_ATTRIBUTES = ("OCuLaR", "factorization machine", "CML", "RecoNet", "RecoNet + Layer")

TABLE = TUNED | {f"{method}, attributes": TUNED[method] for method in ADMIT_ATTRIBUTES}
"""The rows of the table. The search went without attributes, and with them the settings stay:
RecoNet's two for attributes (`attribute_decay`, `attribute_share`) come from earlier work."""


def reconet_table_1(seeds: int = 3) -> Iterator[Result]:
    """Recall@50 on MovieLens 1M: rating >= 3, random 60/20/20, the training history as input,
    training and development items out of the ranking, averaged over users.

    Source: RecoNet, §5.1 and Table 1.
    """
    for method, settings in TABLE.items():
        for seed in range(seeds):
            parts = likes(seed, attributes=method.endswith(", attributes"))
            start = time.process_time()
            scores = settings.scores(parts.train, seed)
            cost = time.process_time() - start
            for left_out, matrix in masks(method, parts).items():
                value = float(mean_recall(scores, 50, parts.test.matrix, matrix)[-1])
                yield _result(method + left_out, value, seed, cost, asdict(settings))
                cost = 0.0


def masks(method: str, parts: data.Split) -> dict[str, sparse.csr_array]:
    """What may not be recommended: training and development items; for RecoNet also fewer."""
    train = parts.train.matrix
    usual = {"": train + parts.development.matrix}
    if method != "RecoNet":
        return usual
    fewer = {"only training items": train, "nothing": sparse.csr_array(train.shape)}
    return usual | {f", {name} left out": matrix for name, matrix in fewer.items()}


def likes(seed: int, attributes: bool, source: str = "movielens-1m") -> data.Split:
    """The paper's split of MovieLens 1M, or the same of another source: three stars, or three
    baskets, make a like.

    Source: RecoNet, §5 and §5.1.
    """
    events = data.implicit(data.load(source).interactions, threshold=3)
    return data.split(events if attributes else events.without_features(), seed)


def trained(
    method: str, seed: int, layer: bool = False
) -> tuple[reconet.RecoNet, data.Split, float]:
    """A RecoNet by one of `RECIPES`, its split and the CPU seconds of its training.

    Args:
        layer: 'RecoNet + Layer', with as many hidden units as dimensions.
    """
    d, attributes, optimisation = RECIPES[method]
    parts = likes(seed, attributes)
    space = reconet.FeatureSpace.of(data.load("movielens-1m"), parts.train)
    start = time.process_time()
    model = reconet.RecoNet(space, d, hidden=d if layer else None, seed=seed)
    examples = reconet.RemovedItems(parts.train, space, **EXAMPLES, seed=seed)
    training.fit(model, examples, reconet.cross_entropy, optimisation)
    return model, parts, time.process_time() - start


def _result(method: str, value: float, seed: int, cost: float, settings: Any) -> Result:
    return Result(method, "movielens-1m", "recall@50", value, seed, round(cost, 1), settings)
