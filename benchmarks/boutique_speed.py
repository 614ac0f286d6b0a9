"""How many boutique pictures a second of CPU time draws, part masks included.

The clock is CPU time of one process, so that a busy machine changes the figure little. One
JSON line a result:

    python benchmarks/boutique_speed.py
"""

import statistics
import tempfile
from pathlib import Path

from measure import cpu_seconds, say

from explainrec_boutique.design import Design, sample
from explainrec_boutique.gallery import Gallery

SIZES = (64, 128, 224)
ITEMS, REPEATS = 384, 5


def main() -> None:
    designs = [sample(0, item) for item in range(ITEMS)]
    for size in SIZES:
        gallery_seconds(designs[:20], size)
        drawn = [gallery_seconds(designs, size) for _ in range(REPEATS)]
        rate = len(designs) / statistics.median(drawn)
        say("boutique gallery", round(rate, 4), "images/CPU-second", size=size, items=ITEMS)


def gallery_seconds(designs: list[Design], size: int) -> float:
    """Draw into an empty folder, file and checksums included."""
    with tempfile.TemporaryDirectory() as cache:
        return cpu_seconds(lambda: Gallery(designs, size, Path(cache), processes=1)[:])


if __name__ == "__main__":
    main()
