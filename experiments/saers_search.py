"""The search behind SAERS's figures: one grid for every model that learns, all trials recorded.

A trial learns from the training purchases of the first division and is judged by AUC on its
development purchases, at the size d of the `cpu` settings; the test purchases are not looked at.
The best trial's settings stand in `saers.TUNED` and `experiments.saers.ELSEWHERE`, for every d and
division. Two limits: negatives are items that the shopper never bought, in any part; and the other
divisions share purchases with this one's development part.

Source: SAERS, §4.1 ("for all the models ... we tune hyper-parameters via grid search on the
validation set"). The paper's rates end at 0.01, with which our models are still on their way up
after 20 epochs, and its lambda stands before a sum over all triples; so the grid is another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from experiments.record import Result, results
from experiments.saers import CPU, SETTINGS, aucs_of, trained
from experiments.saers_models import open_shop
from explainrec_lab.evaluate.ranking import contests

GRID: dict[str, tuple[float, ...]] = {
    "epochs": (20, 40),
    "learning_rate": (1e-2, 3e-2, 1e-1),
    "regularizer": (1e-5, 3e-5, 1e-4),
}

REPEATS = 3000
"""Contests among development purchases."""


def points(grid: Mapping[str, tuple[float, ...]]) -> Iterator[dict[str, Any]]:
    """Every point of a grid."""
    for values in product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def saers_search(seeds: int = 1) -> Iterator[Result]:
    """Development AUC of every trial; one division, whatever `seeds` is."""
    shop = open_shop(CPU)
    purchases = shop.dataset.interactions
    drawn = {"development": contests(shop.parts.development, purchases, repeats=REPEATS)}
    for name in SETTINGS:
        for settings in points(GRID):
            model, columns = trained(name, shop, CPU.d, 0, **settings)
            yield from results(aucs_of(model, drawn), data="boutique", **columns)
