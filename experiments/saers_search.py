"""The search behind SAERS's figures: one grid for every model that learns, all trials recorded.

A trial learns from the training purchases of the first division and is judged by AUC on its
development purchases, at the size d of the `cpu` settings; the test purchases are not looked at.
The best trial's settings stand in `saers.TUNED` and `experiments.saers.ELSEWHERE`, for every d and
division. Two limits: negatives are items that the shopper never bought, in any part; and the other
divisions share purchases with this one's development part.

What has an attention is searched once more (`saers_living`), and its best trial is that among those
whose attention lives (`LIVING`): one whose units never fire, or that weighs all attributes alike,
or always the same one, cannot be judged as an explanation.

Source: SAERS, §4.1 ("for all the models ... we tune hyper-parameters via grid search on the
validation set"). The paper's rates end at 0.01, with which our models are still on their way up
after 20 epochs, and its lambda stands before a sum over all triples; so the grid is another.
"""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

from experiments.record import Columns, Result, results
from experiments.saers import CPU, SETTINGS, Shop, health_of, open_shop, scores_of, trained
from explainrec_lab.evaluate.ranking import NEGATIVES, contests

# Hyperparameter -> the values to try.
Grid = dict[str, tuple[float, ...]]

GRID: Grid = {
    "epochs": (20, 40),
    "learning_rate": (1e-2, 3e-2, 1e-1),
    "regularizer": (1e-5, 3e-5, 1e-4),
}

AROUND = {"epochs": (40,), "learning_rate": (3e-2, 1e-1), "regularizer": (3e-5, 1e-4)}
ATTENTIVE = ("SAERS", "SAERS, all twelve", "SAERS, with bias", "SAERS, classes")
# What `health_of` may find, from and to, where an attention is alive.
LIVING = {"dead places": (0.0, 0.05), "entropy": (0.2, 0.8)}

# Contests among development purchases.
REPEATS = 3000


def points(grid: Grid) -> Iterator[dict[str, Any]]:
    """Every point of a grid."""
    return (dict(zip(grid, values, strict=True)) for values in product(*grid.values()))


def searched(
    names: Iterable[str], shop: Shop, d: int, grid: Grid, repeats: int
) -> Iterator[Columns]:
    """Development AUC, and health, of every model with every point of the grid."""
    known = shop.dataset.interactions
    drawn = contests(shop.parts.development, known, negatives=NEGATIVES, repeats=repeats)
    for name, how in product(names, points(grid)):
        model, columns = trained(name, shop, d, 0, **how)
        yield from (columns | found for found in scores_of(model, {"development": drawn}))
        yield from (columns | found for found in health_of(model, shop.parts.development))


def saers_search(seeds: int = 1) -> Iterator[Result]:
    """Development AUC of every trial; one division, whatever `seeds` is."""
    return results(searched(SETTINGS, open_shop(CPU), CPU.d, GRID, REPEATS), data="boutique")


def saers_living(seeds: int = 1) -> Iterator[Result]:
    """AUC and health of what has an attention, around the best points of the other search."""
    found = searched(ATTENTIVE, open_shop(CPU), CPU.d, GRID | AROUND, REPEATS)
    return results(found, data="boutique")
