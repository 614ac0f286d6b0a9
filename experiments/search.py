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

from experiments.reconet import TUNED, likes
from experiments.record import Result, timed
from explainrec_lab.data.store import table_beside
from explainrec_lab.evaluate.ranking import mean_recall

# source -> trials of each method.
TRIALS = {"movielens-1m": 2, "completejourney": 3}

Range = list[float]  # from, to
# method -> known settings, hyperparameter -> from, to.
Spaces = dict[str, tuple[Any, dict[str, Range]]]


def _spaces(source: str) -> Spaces:
    """What is tried on a source, see `search.toml`."""
    tables = table_beside(__file__)
    rows = tables["everywhere"] | tables[source]
    return {m: (type(TUNED[m])(**row["known"]), row["ranges"]) for m, row in rows.items()}


MOVIELENS, HOUSEHOLDS = _spaces("movielens-1m"), _spaces("completejourney")


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
