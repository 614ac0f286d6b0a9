"""How seconds and memory grow with the data: RecoNet's examples and steps, and a look at pictures.

Data are generated. What is fitted is the exponent: 1 where ten times the data take ten times as
long. Times are CPU seconds, the shortest of some runs. `python -m experiments scale` measures at
full size and records; otherwise the same steps run small, to show that they run.
"""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

from experiments.record import row, timed
from explainrec_lab import reconet, vision
from explainrec_lab.data.contracts import Features
from explainrec_lab.reconet.train import sampled_cross_entropy

FULL = os.environ.get("EXPLAINREC_SPEED") == "1"
# Items of a history; users of a batch.
EACH, BATCH = 20, 512


def examples_of(n_users: int, n_items: int) -> reconet.RemovedItems:
    """Histories of `EACH` items of as many parts of the catalogue."""
    rng, part = np.random.default_rng(0), n_items // EACH
    parts = rng.integers(part, size=(n_users, EACH), dtype=np.int32) * EACH
    items = (parts + np.arange(EACH, dtype=np.int32)).ravel()
    ends = np.arange(0, len(items) + 1, EACH, dtype=np.int32)
    ones = np.ones(len(items), np.float32)
    matrix = sparse.csr_array((ones, items, ends), shape=(n_users, n_items))
    told = {"matrix": matrix, "n_users": n_users, "user_features": Features.none(n_users)}
    events: Any = SimpleNamespace(**told)
    space = reconet.FeatureSpace(("",) * n_items, Features.none(n_items), ())
    return reconet.RemovedItems(events, space, batch_size=BATCH)


def epoch(n_users: int) -> Callable[[], Any]:
    examples = examples_of(n_users, 10_000)
    return lambda: [len(batch.part(0, 1)) for batch in examples(0)]


def step(n_items: int = 10_000, d: int = 64, losses: Any = reconet.cross_entropy) -> Any:
    examples = examples_of(BATCH, n_items)
    model, batch = reconet.RecoNet(examples.space, d), next(iter(examples(0)))
    return lambda: losses(model, batch).mean().backward()


def look(n_pixels: int) -> Callable[[], Any]:
    side = round(n_pixels**0.5)
    network = vision.backbone("compact", grid=side // 8)
    pictures = torch.rand(8, 3, side, side)
    return lambda: network(pictures).mean().backward()


sampled = partial(step, losses=partial(sampled_cross_entropy, negatives=2**10))
# (What is done, what grows) -> its sizes, and what prepares the run of a size.
CURVES: dict[tuple[str, str], tuple[list[int], Callable[[int], Callable[[], Any]]]] = {
    ("RecoNet's examples", "users"): ([100_000, 200_000, 500_000, 1_000_000], epoch),
    ("RecoNet's step", "items"): ([20_000, 50_000, 100_000, 200_000], step),
    ("RecoNet's step", "d"): ([32, 64, 128, 320], lambda d: step(d=d)),
    ("RecoNet's sampled step", "items"): ([100_000, 200_000, 500_000, 1_000_000], sampled),
    ("A look at pictures", "pixels"): ([64**2, 96**2, 144**2, 200**2], look),
}


def peak_of(run: Callable[[], Any]) -> float:
    """Megabytes that Python and NumPy took at once, more than before."""
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


@pytest.mark.parametrize(("method", "variant"), CURVES)
def test_ten_times_the_data_take_ten_times_as_long(
    method: str, variant: str, record_property: Callable[[str, Any], None]
) -> None:
    sizes, prepared = CURVES[method, variant]
    if not FULL and variant != "d":
        sizes = [size // 16 for size in sizes]
    said = {"data": "generated", "method": method, "variant": variant, "seed": 0}
    runs = [prepared(n) for n in sizes]
    taken = [min(timed(run)[1] for _ in range(4 if FULL else 1)) for run in runs]
    for n, seconds in zip(sizes, taken, strict=True):
        record_property("row", row(said | {"measure": "CPU seconds", "n": n, "value": seconds}))
    exponent = float(np.polyfit(np.log(sizes), np.log(np.maximum(taken, 1e-6)), 1)[0])
    record_property("row", row(said | {"measure": "exponent", "value": exponent}))
    assert not FULL or exponent < 1.1  # the aim is 1.05, and a busy machine adds a little


def test_examples_of_a_million_users_take_little_memory(
    record_property: Callable[[str, Any], None],
) -> None:
    sizes, prepared = CURVES["RecoNet's examples", "users"]
    said = {"data": "generated", "method": "RecoNet's examples", "variant": "users", "seed": 0}
    for n in sizes if FULL else sizes[:1]:
        peak = peak_of(prepared(n))
        record_property("row", row(said | {"measure": "peak in MB", "n": n, "value": peak}))
        assert peak < 300
