"""The search behind RecoNet's Table 1: for every method the same number of trials, all recorded.

On MovieLens 1M for the recorded table, and on the households of the Complete Journey, with short
trainings, for the page that builds the table before the reader's eyes.

The first trial of a method is a setting that was known to work (RecoNet's after a longer search
than the others'); the others draw each hyperparameter at random between its ends, uniformly in
its logarithm. Epochs are drawn for RecoNet on MovieLens alone. A trial learns from the training
part of the first split and is judged by recall@50 on the development part, training items left
out. That split's test part is not looked at; those of other splits share likes with this
development part. The search goes without attributes, and what it finds is used with them too:
RecoNet's settings for attributes are not searched. The best settings stand in
`experiments.reconet.TUNED`; the page reads the households' from the record.

Source: RecoNet, §5.1, which searched a grid for two days a technique.
"""

import zlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from experiments.reconet import Version, likes
from experiments.record import Result, timed
from explainrec_lab import baselines
from explainrec_lab.evaluate.ranking import mean_recall

# source -> trials of each method.
TRIALS = {"movielens-1m": 2, "completejourney": 3}

Range = tuple[float, float]
# method -> known settings, hyperparameter -> from, to.
Spaces = dict[str, tuple[Any, dict[str, Range]]]

# method -> the hyperparameters that are searched.
FIELDS = {
    "item-to-item": ("k", "power"),
    "user-to-user": ("k", "power"),
    "EASE": ("regularisation",),
    "popularity, attributes": ("strength", "trust"),
    "OCuLaR": ("clusters", "regularisation"),
    "factorization machine": ("d", "learning_rate", "weight_decay", "negatives"),
    "CML": ("d", "margin", "learning_rate", "negatives"),
    "RecoNet": ("d", "epochs", "learning_rate", "weight_decay", "share"),
    "RecoNet + Layer": ("d", "epochs", "learning_rate", "weight_decay", "share", "hidden"),
    "iALS": ("factors", "alpha", "regularisation"),
}


def _spaces(table: dict[str, tuple[Any, ...]]) -> Spaces:
    """Known settings followed by a range for each of `FIELDS`; None: not searched here."""
    return {
        method: (known, {name: x for name, x in zip(FIELDS[method], ranges, strict=True) if x})
        for method, (known, *ranges) in table.items()
    }


SIMPLE = {
    "item-to-item": (baselines.ItemNeighbours(200, 1.0), (25, 400), (0.5, 2)),
    "user-to-user": (baselines.UserNeighbours(200, 1.0), (50, 800), (1, 4)),
    "EASE": (baselines.EASE(500.0), (100, 2000)),
    "popularity, attributes": (baselines.DemographicPopularity(50.0, 0.5), (10, 300), (0.2, 1)),
}
FM, CML = "factorization machine", "CML"
FOR_FILMS = ((96, 192), (40, 60), (7e-3, 1.5e-2), (0.08, 0.2), (0.4, 0.6))
MOVIELENS = _spaces(
    SIMPLE
    | {
        "OCuLaR": (baselines.OCuLaR(200, 60.0, 100), (100, 300), (20, 100)),
        FM: (
            baselines.FM(64, 20, 2e-2, weight_decay=0.3),
            *((48, 128), (5e-3, 3e-2), (0.05, 1), (10, 40)),
        ),
        CML: (baselines.CML(64, 15, 5e-3), (32, 128), (0.2, 1), (3e-3, 1e-2), (10, 40)),
        "RecoNet": (Version(), *FOR_FILMS),
        "RecoNet + Layer": (Version(hidden=128, epochs=60), *FOR_FILMS, (64, 256)),
        "iALS": (baselines.IALS(128, 10.0, 100.0), (96, 192), (5, 20), (50, 150)),
    }
)

FOR_HOUSEHOLDS = ((48, 96), None, (7e-3, 3e-2), (0.05, 0.4), (0.3, 0.6))
HOUSEHOLDS = _spaces(
    SIMPLE
    | {
        "OCuLaR": (baselines.OCuLaR(200, 60.0, 60), (50, 300), (20, 150)),
        FM: (
            baselines.FM(48, 12, 2e-2, weight_decay=1.0),
            *((32, 64), (1e-2, 5e-2), (0.3, 3), (10, 30)),
        ),
        CML: (baselines.CML(32, 15, 1e-2), (12, 64), (0.2, 1), (5e-3, 2e-2), (10, 30)),
        "RecoNet": (Version(64, None, 30, 1.5e-2, 0.1), *FOR_HOUSEHOLDS),
        "RecoNet + Layer": (Version(64, 64, 30, 1.5e-2, 0.1), *FOR_HOUSEHOLDS, (32, 128)),
        "iALS": (baselines.IALS(128, 10.0, 100.0), (48, 160), (3, 20), (50, 200)),
    }
)


def reconet_search(seeds: int = 1) -> Iterator[Result]:
    """Development recall@50 of every trial on MovieLens 1M; one split, whatever `seeds` is."""
    return _search("movielens-1m", MOVIELENS)


def reconet_search_households(seeds: int = 1) -> Iterator[Result]:
    """The same on the Complete Journey."""
    return _search("completejourney", HOUSEHOLDS)


def _search(source: str, spaces: Spaces) -> Iterator[Result]:
    for trial in range(TRIALS[source]):
        for method, (known, space) in spaces.items():
            yield tried(source, method, drawn(method, known, space, trial), trial)


def drawn(method: str, known: Any, space: dict[str, Range], trial: int) -> Any:
    """The settings of one trial: the known ones first, then random ones."""
    if trial == 0:
        return known
    rng = np.random.default_rng([trial, zlib.crc32(method.encode())])
    values = {name: np.exp(rng.uniform(*np.log(between))) for name, between in space.items()}
    return replace(known, **{name: _like(getattr(known, name), x) for name, x in values.items()})


def _like(known: float, x: float) -> float:
    """A whole number where the known value is one, else three digits."""
    return round(x) if isinstance(known, int) else float(f"{x:.3g}")


def tried(source: str, method: str, settings: Any, trial: int) -> Result:
    """One trial: recall@50 on the development part, and the CPU seconds of training."""
    of_its_kind = method == "popularity, attributes"  # has nothing to tune without attributes
    parts = likes(0, attributes=of_its_kind, source=source)
    scores, cost = timed(lambda: settings.scores(parts.train, 0))
    recall = mean_recall(scores, 50, parts.development.matrix, parts.train.matrix)[-1]
    method, variant = ("popularity", "attributes") if of_its_kind else (method, "")
    row = {"data": source, "method": method, "variant": variant, "trial": trial, "seed": 0}
    row |= {"measure": "recall", "group": "development", "k": 50, "value": recall}
    return row | {"cost": cost, "settings": asdict(settings)}
