"""How many boutique pictures a second of CPU time draws, part masks included.

The clock is CPU time (user and system) of this process and its workers, so that a busy machine
changes the figure little. Prints one JSON line a result:

    python benchmarks/boutique_speed.py
    python benchmarks/boutique_speed.py --processes 2 --items 1024
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

from explainrec_boutique.design import Design, sample
from explainrec_boutique.gallery import Gallery
from explainrec_boutique.render import counterfactual_mask, render

SIZES = (64, 128, 224)


def main() -> None:
    asked = _arguments()
    designs = [sample(asked.seed, item) for item in range(asked.items)]
    settings = {"items": asked.items, "processes": asked.processes, "repeats": asked.repeats}
    for size in SIZES:
        for design in designs[:20]:
            render(design, size)
        rates = [_gallery_rate(designs, size, asked.processes) for _ in range(asked.repeats)]
        _report("boutique gallery", rates, "images/CPU-second", size, settings)
        seconds = [_counterfactual_seconds(designs[:40], size) for _ in range(asked.repeats)]
        _report("boutique counterfactuals", seconds, "CPU-seconds/item", size, settings)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=384, help="pictures a measurement")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5, help="the median of these is printed")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _cpu_seconds() -> float:
    """User and system time of this process and of its workers that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _gallery_rate(designs: list[Design], size: int, processes: int) -> float:
    """Draw into an empty folder, file and checksums included."""
    with tempfile.TemporaryDirectory() as cache:
        start = _cpu_seconds()
        Gallery(designs, size, Path(cache), processes).draw_all()
        return len(designs) / (_cpu_seconds() - start)


def _counterfactual_seconds(designs: list[Design], size: int) -> float:
    """Counterfactual masks of all attributes of an item."""
    start = _cpu_seconds()
    for design in designs:
        for attribute in design.attributes:
            counterfactual_mask(design, attribute, size)
    return (_cpu_seconds() - start) / len(designs)


def _report(benchmark: str, values: list[float], unit: str, size: int, settings: dict) -> None:
    value = round(statistics.median(values), 4)
    line = {"benchmark": benchmark, "value": value, "unit": unit, "size": size}
    print(json.dumps(line | {"settings": settings}), flush=True)


if __name__ == "__main__":
    main()
