"""How seconds and memory grow with the data: RecoNet's examples and steps, and a look at pictures.

Data are generated. What is fitted is the exponent: 1 where ten times the data take ten times as
long. Times are CPU seconds, the shortest of some runs.
"""

import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from scipy import sparse

from experiments.record import Result, timed
from explainrec_lab import reconet, vision
from explainrec_lab.data.contracts import Features

# Items of a history; users of a batch.
EACH, BATCH = 20, 512


def scale(seeds: int) -> Iterator[Result]:
    """CPU seconds for each size, their exponent, and the peak of memory of RecoNet's examples."""
    for (method, variant), (sizes, prepared) in CURVES.items():
        shared = {"data": "generated", "method": method, "variant": variant, "seed": 0}
        runs = [prepared(n) for n in sizes]
        taken = [min(timed(run)[1] for _ in range(seeds + 1)) for run in runs]
        for n, seconds in zip(sizes, taken, strict=True):
            yield shared | {"measure": "CPU seconds", "n": n, "value": seconds}
        exponent = np.polyfit(np.log(sizes), np.log(taken), 1)[0]
        yield shared | {"measure": "exponent", "value": float(exponent)}
        for n, run in zip(sizes, runs, strict=True):
            if variant == "users":
                yield shared | {"measure": "peak in MB", "n": n, "value": _peak(run)}


def _peak(run: Callable[[], Any]) -> float:
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def _examples(n_users: int, n_items: int) -> reconet.RemovedItems:
    """Histories of `EACH` items of as many parts of the catalogue."""
    rng, part = np.random.default_rng(0), n_items // EACH
    parts = rng.integers(part, size=(n_users, EACH), dtype=np.int32) * EACH
    items = (parts + np.arange(EACH, dtype=np.int32)).ravel()
    ends = np.arange(0, len(items) + 1, EACH, dtype=np.int32)
    ones = np.ones(len(items), np.float32)
    matrix = sparse.csr_array((ones, items, ends), shape=(n_users, n_items))
    events: Any = SimpleNamespace(
        matrix=matrix, n_users=n_users, user_features=Features.none(n_users)
    )
    space = reconet.FeatureSpace(("",) * n_items, Features.none(n_items), ())
    return reconet.RemovedItems(events, space, batch_size=BATCH)


def _epoch(n_users: int) -> Callable[[], Any]:
    examples = _examples(n_users, 10_000)
    return lambda: [len(batch.part(0, 1)) for batch in examples(0)]


def _step(n_items: int = 10_000, d: int = 64, losses: Any = reconet.cross_entropy) -> Any:
    examples = _examples(BATCH, n_items)
    model, batch = reconet.RecoNet(examples.space, d), next(examples(0))
    return lambda: losses(model, batch).mean().backward()


def _look(n_pixels: int) -> Callable[[], Any]:
    side = round(n_pixels**0.5)
    network = vision.backbone("compact", grid=side // 8)
    pictures = torch.rand(8, 3, side, side)
    return lambda: network(pictures).mean().backward()


sampled = partial(_step, losses=partial(reconet.sampled_cross_entropy, negatives=2**10))
# (What is done, what grows) -> its sizes, and what prepares the run of a size.
CURVES: dict[tuple[str, str], tuple[list[int], Callable[[int], Callable[[], Any]]]] = {
    ("RecoNet's examples", "users"): ([100_000, 200_000, 500_000, 1_000_000], _epoch),
    ("RecoNet's step", "items"): ([20_000, 50_000, 100_000, 200_000], _step),
    ("RecoNet's step", "d"): ([32, 64, 128, 320], lambda d: _step(d=d)),
    ("RecoNet's sampled step", "items"): ([100_000, 200_000, 500_000, 1_000_000], sampled),
    ("A look at pictures", "pixels"): ([64**2, 96**2, 144**2, 200**2], _look),
}
