"""Speeds: tests that measure, and say what they expect, write two records.

    python -m experiments scale        how seconds and memory grow with the data, on one core
    python -m experiments gpu-check    what a card trains and explains a second, in minutes;
                                       EXPLAINREC_SETTINGS=gpu where there is one

Among all other tests the same steps run small. Here: how their numbers become results.
"""

import os
from pathlib import Path
from typing import Any

from experiments.record import Columns, Rows
from explainrec_lab.settings import fabric

TESTS = Path(__file__).parents[1] / "tests"


class _Rows(list[Columns]):
    """A plugin of pytest: what tests recorded."""

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.extend(row for _, row in report.user_properties if report.when == "call")


def measured(*paths: Path) -> Rows:
    """What these tests record at full size, and whether they passed: 0 if all did."""
    import pytest

    os.environ["EXPLAINREC_SPEED"] = "1"
    rows = _Rows()
    failed = int(pytest.main(["-q", "-p", "no:xdist", *map(str, paths)], plugins=[rows]))
    yield from rows
    row = {"data": "generated", "method": "tests", "measure": "exit code", "seed": 0}
    yield row | {"value": failed}


def scale(seeds: int = 1) -> Rows:
    """CPU seconds for each size, their exponents, and the peak of memory of RecoNet's examples."""
    return measured(TESTS / "speed" / "test_scale.py")


def gpu_check(seeds: int = 1) -> Rows:
    """What each chapter does a second on this machine's GPU, and that it says there what it says
    on a CPU.

    Raises:
        ValueError: the settings in force are not `gpu`, or torch finds none.
    """
    if fabric().device.type != "cuda":
        raise ValueError("gpu-check: it needs a GPU; set EXPLAINREC_SETTINGS=gpu where one is")
    tests = [TESTS / "speed" / "test_gpu_check.py", TESTS / "unit" / "test_devices_agree.py"]
    return measured(*tests)
