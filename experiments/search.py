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
`experiments.reconet.TUNED` and `TUNED_HOUSEHOLDS`.

Source: RecoNet, §5.1, which searched a grid for two days a technique.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from experiments.reconet import Recipe, likes
from experiments.record import Result
from explainrec_lab import baselines, data
from explainrec_lab.evaluate.ranking import mean_recall

TRIALS = {"movielens-1m": 2, "completejourney": 3}
"""source -> trials of each method."""

Range = tuple[float, float]

_RECONET = {
    "d": (96, 192),
    "epochs": (40, 60),
    "learning_rate": (7e-3, 1.5e-2),
    "weight_decay": (0.08, 0.2),
    "share": (0.4, 0.6),
}

Spaces = dict[str, tuple[Any, dict[str, Range]]]

MOVIELENS: Spaces = {
    "item-to-item": (baselines.ItemNeighbours(200, 1.0), {"k": (25, 400), "power": (0.5, 2)}),
    "user-to-user": (baselines.UserNeighbours(200, 1.0), {"k": (50, 800), "power": (1, 4)}),
    "OCuLaR": (
        baselines.OCuLaR(200, 60.0, 100),
        {"clusters": (100, 300), "regularisation": (20, 100)},
    ),
    "factorization machine": (
        baselines.FM(64, 20, 2e-2, weight_decay=0.3),
        {
            "d": (48, 128),
            "learning_rate": (5e-3, 3e-2),
            "weight_decay": (0.05, 1),
            "negatives": (10, 40),
        },
    ),
    "CML": (
        baselines.CML(64, 15, 5e-3),
        {
            "d": (32, 128),
            "margin": (0.2, 1),
            "learning_rate": (3e-3, 1e-2),
            "negatives": (10, 40),
        },
    ),
    "RecoNet": (Recipe(), _RECONET),
    "RecoNet + Layer": (Recipe(hidden=128, epochs=60), _RECONET | {"hidden": (64, 256)}),
    "iALS": (
        baselines.IALS(128, 10.0, 100.0),
        {"factors": (96, 192), "alpha": (5, 20), "regularisation": (50, 150)},
    ),
    "EASE": (baselines.EASE(500.0), {"regularisation": (100, 2000)}),
    "popularity, attributes": (
        baselines.DemographicPopularity(50.0, 0.5),
        {"strength": (10, 300), "trust": (0.2, 1)},
    ),
}
"""method -> (known settings, hyperparameter -> from, to)."""

_SHORT = {
    "d": (48, 96),
    "learning_rate": (7e-3, 3e-2),
    "weight_decay": (0.05, 0.4),
    "share": (0.3, 0.6),
}

HOUSEHOLDS: Spaces = {
    **{
        name: MOVIELENS[name]
        for name in ("item-to-item", "user-to-user", "EASE", "popularity, attributes")
    },
    "OCuLaR": (
        baselines.OCuLaR(200, 60.0, 60),
        {"clusters": (50, 300), "regularisation": (20, 150)},
    ),
    "factorization machine": (
        baselines.FM(48, 12, 2e-2, weight_decay=1.0),
        {
            "d": (32, 64),
            "learning_rate": (1e-2, 5e-2),
            "weight_decay": (0.3, 3),
            "negatives": (10, 30),
        },
    ),
    "CML": (
        baselines.CML(32, 15, 1e-2),
        {
            "d": (12, 64),
            "margin": (0.2, 1),
            "learning_rate": (5e-3, 2e-2),
            "negatives": (10, 30),
        },
    ),
    "RecoNet": (Recipe(64, None, 30, 1.5e-2, 0.1), _SHORT),
    "RecoNet + Layer": (Recipe(64, 64, 30, 1.5e-2, 0.1), _SHORT | {"hidden": (32, 128)}),
    "iALS": (
        baselines.IALS(128, 10.0, 100.0),
        {"factors": (48, 160), "alpha": (3, 20), "regularisation": (50, 200)},
    ),
}
"""The same for the households."""

NEED = ("popularity, attributes",)
"""What has nothing to tune without attributes; all others are searched without them."""


def reconet_search(seeds: int = 1) -> Iterator[Result]:
    """Development recall@50 of every trial on MovieLens 1M; one split, whatever `seeds` is."""
    return _search("movielens-1m", MOVIELENS)


def reconet_search_households(seeds: int = 1) -> Iterator[Result]:
    """The same on the Complete Journey."""
    return _search("completejourney", HOUSEHOLDS)


def _search(source: str, spaces: Spaces) -> Iterator[Result]:
    plain, rich = (likes(0, attributes, source) for attributes in (False, True))
    for trial in range(TRIALS[source]):
        for method, (known, space) in spaces.items():
            settings = drawn(method, known, space, trial)
            yield tried(source, method, settings, rich if method in NEED else plain, trial)


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


def tried(source: str, method: str, settings: Any, parts: data.Split, trial: int) -> Result:
    """One trial: recall@50 on the development part, and the CPU seconds of training."""
    start = time.process_time()
    scores = settings.scores(parts.train, 0)
    cost = time.process_time() - start
    recall = mean_recall(scores, 50, parts.development.matrix, parts.train.matrix)[-1]
    return Result(
        method, source, "development recall@50", float(recall), 0, round(cost, 1),
        {"trial": trial, **asdict(settings)},
    )  # fmt: skip
