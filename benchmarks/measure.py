"""What all benchmarks share: one JSON line a result, and a clock."""

import json
from collections.abc import Callable
from typing import Any

import pandas as pd

from explainrec_lab.training import timed

Action = Callable[[], object]


def say(benchmark: str, value: float | str, unit: str, **settings: Any) -> None:
    line = {"benchmark": benchmark, "value": value, "unit": unit, **settings}
    print(json.dumps(line), flush=True)


def in_turns(actions: dict[str, Action], rounds: int) -> pd.DataFrame:
    """CPU seconds of actions that take turns, one row a round; a first round does not count."""
    every = [{n: timed(run)[1] for n, run in actions.items()} for _ in range(rounds + 1)]
    return pd.DataFrame(every[1:])
