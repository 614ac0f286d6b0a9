"""How many boutique pictures a second of CPU time draws, part masks included.

The clock is CPU time (user and system) of this process and its workers, so that a busy machine
changes the figure little. Prints one JSON line a result:

    python benchmarks/boutique_speed.py
    python benchmarks/boutique_speed.py --processes 2 --items 1024
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from measure import cpu_seconds, say

from explainrec_boutique.design import Design, sample
from explainrec_boutique.gallery import Gallery

SIZES = (64, 128, 224)
REPEATS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=384, help="pictures a measurement")
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    designs = [sample(0, item) for item in range(asked.items)]
    for size in SIZES:
        gallery_seconds(designs[:20], size, asked.processes)
        drawn = [gallery_seconds(designs, size, asked.processes) for _ in range(REPEATS)]
        rate = len(designs) / statistics.median(drawn)
        say("boutique gallery", round(rate, 4), "images/CPU-second", size=size, **vars(asked))


def gallery_seconds(designs: list[Design], size: int, processes: int) -> float:
    """Draw into an empty folder, file and checksums included."""
    with tempfile.TemporaryDirectory() as cache:
        return cpu_seconds(lambda: Gallery(designs, size, Path(cache), processes).draw_all())


if __name__ == "__main__":
    main()
