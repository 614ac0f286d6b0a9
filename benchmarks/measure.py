"""What all benchmarks share: one JSON line a result, and clocks."""

import json
import os
import time
from collections.abc import Callable
from typing import Any

import pandas as pd

Action = Callable[[], object]


def say(benchmark: str, value: float | str, unit: str, **settings: Any) -> None:
    line = {"benchmark": benchmark, "value": value, "unit": unit, **settings}
    print(json.dumps(line), flush=True)


def cpu_seconds(action: Action) -> float:
    """User and system time of this process and of its workers that end meanwhile."""

    def now() -> float:
        times = os.times()
        return time.process_time() + times.children_user + times.children_system

    start = now()
    action()
    return now() - start


def in_turns(actions: dict[str, Action], rounds: int) -> pd.DataFrame:
    """CPU seconds of actions that take turns, one row a round; a first round does not count."""
    every = [{n: cpu_seconds(run) for n, run in actions.items()} for _ in range(rounds + 1)]
    return pd.DataFrame(every[1:])
