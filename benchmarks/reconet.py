"""The speed of RecoNet's explanations on MovieLens 1M.

    python benchmarks/reconet.py

One JSON line a result: one recommendation with its explanation, and explanations in bulk. Recall,
LIME, removal and their costs are recorded by `python -m experiments reconet-table-1`,
`reconet-lime` and `reconet-removal`.
"""

import json
import statistics
import timeit
from collections.abc import Callable
from functools import partial

import torch

from experiments.reconet import Version, likes
from experiments.reconet_removal import answer
from explainrec_lab import reconet
from explainrec_lab.evaluate.ranking import top_k


def main() -> None:
    torch.set_num_threads(1)
    parts = likes(0, attributes=False)
    model, _ = Version().trained(parts.train, 0)
    sets = model.space.profiles(parts.train)
    milliseconds = 1e3 * median_seconds(partial(answer, model, sets.rows(100, 101)), 500)
    say("inference + explanation", milliseconds, "ms", d=model.W.shape[1])
    with torch.inference_mode():
        items = top_k(model(sets), 10, parts.train.matrix).numpy()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        bulk = partial(reconet.explain_many, model, sets, items)
        say("explanations in bulk", items.size / median_seconds(bulk, 15), "1/s", threads=threads)


def say(benchmark: str, value: float, unit: str, **settings: int) -> None:
    print(json.dumps({"benchmark": benchmark, "value": value, "unit": unit, **settings}))


def median_seconds(action: Callable[[], object], repeats: int) -> float:
    return statistics.median(timeit.repeat(action, number=1, repeat=repeats))


if __name__ == "__main__":
    main()
