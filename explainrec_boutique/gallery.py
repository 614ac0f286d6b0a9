"""The gallery: pictures and part masks of many designs, drawn when first looked at, then kept.

Pictures lie in the cache in chunks of `chunk` items, one file for images and one for masks. A file
appears whole or not at all and ends in a checksum, so a killed rendering goes on with the chunks
that are missing, and a damaged one is noticed and drawn again. Reading maps files into memory;
nothing needs to fit there. Missing chunks are drawn by several processes; their number changes
the time, never a byte.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sys
import warnings
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache, partial
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from jaxtyping import Bool, UInt8
from numpy import ndarray
from tqdm import tqdm

from explainrec_boutique.design import Design
from explainrec_boutique.limits import check_number
from explainrec_boutique.render import (
    DRAWING_VERSION,
    SIZES,
    counterfactual_mask,
    render,
)
from explainrec_lab.data.contracts import check_ids
from explainrec_lab.data.store import cache_dir, content_key, whole_file

CHUNK = 128
"""Items a file: about a second of drawing at 64 pixels."""
MOST_PARTS = 4
"""No item has more attributes than this."""
SLOTS = MOST_PARTS + 1
"""Masks kept for an item: its parts in the order of its attributes, and its silhouette last."""
CHECKSUM_BYTES = 4

DRAWING_FILES = (
    "bottoms.py",
    "canvas.py",
    "fabric.py",
    "fastenings.py",
    "geometry.py",
    "last.py",
    "marks.py",
    "necks.py",
    "render.py",
    "shoes.py",
    "toes.py",
    "tops.py",
    "vocabulary.py",
)
"""What a picture depends on beside its design."""


class Gallery:
    """Pictures by item id: an `Images` of the catalogue.

    Args:
        designs: one an item, in id order.
        size: pixels of a picture's side.
        chunk: items a file in the cache.
        processes: how many draw at a time; by default one a CPU of this process.

    Raises:
        ValueError: names the argument, its value and the allowed range.
    """

    def __init__(
        self,
        designs: Sequence[Design],
        size: int = 64,
        *,
        chunk: int = CHUNK,
        processes: int | None = None,
    ) -> None:
        check_number("size", size, SIZES)
        check_number("chunk", chunk, (1, 65_536))
        if processes is not None:
            check_number("processes", processes, (1, 4096))
        self.designs = designs
        self.size = int(size)
        self.chunk = int(chunk)
        self.processes = processes or _cpus()
        self.folder = cache_dir() / "boutique" / _key(designs, self.size, self.chunk)
        self._open: dict[int, tuple[ndarray, ndarray]] = {}

    def __len__(self) -> int:
        return len(self.designs)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(items, 3, size, size)."""
        return (len(self), 3, self.size, self.size)

    def __getitem__(self, items: Any) -> UInt8[ndarray, "*item 3 size size"]:
        """Pictures of one item (an int) or several (a slice, ids, or a mask), as a copy."""
        if isinstance(items, slice):
            return self._pictures(np.arange(len(self))[items])
        if np.ndim(items) == 0:
            return self._pictures(np.array([self._position(items)]))[0]
        return self._pictures(self._positions(items))

    def mask(self, item: int, attribute: str, kind: str = "part") -> Bool[ndarray, "size size"]:
        """Pixels of an item that carry an attribute; none where it does not apply.

        Args:
            kind: 'part' is read from the cache, 'counterfactual' is drawn now.

        Raises:
            ValueError: unknown kind. IndexError: no such item.
        """
        if kind not in ("part", "counterfactual"):
            raise ValueError(f"kind: {kind!r}; choose 'part' or 'counterfactual'")
        item = self._position(item)
        parts = tuple(self.designs[item].attributes)
        if attribute not in parts:
            return np.zeros((self.size, self.size), dtype=bool)
        if kind == "counterfactual":
            return counterfactual_mask(self.designs[item], attribute, self.size)
        return self._kept_mask(item, parts.index(attribute))

    def silhouette(self, item: int) -> Bool[ndarray, "size size"]:
        """Pixels of an item, without its shadow. Raises IndexError: no such item."""
        return self._kept_mask(self._position(item), -1)

    def draw_all(self) -> None:
        """Draw whatever is still missing, now."""
        self._need(range(-(-len(self) // self.chunk)))

    # -------------------------------------------------------------- reading

    def _kept_mask(self, item: int, slot: int) -> Bool[ndarray, "size size"]:
        number, row = divmod(item, self.chunk)
        self._need([number])
        bits = np.unpackbits(self._open[number][1][row, slot], count=self.size * self.size)
        return bits.reshape(self.size, self.size).astype(bool)

    def _position(self, item: Any) -> int:
        position = index(item)
        if not -len(self) <= position < len(self):
            raise IndexError(f"item {position} is not in this gallery (0..{len(self) - 1})")
        return position % len(self)

    def _positions(self, items: Any) -> ndarray:
        chosen = np.asarray(items)
        if chosen.dtype == bool and chosen.shape == (len(self),):
            return np.flatnonzero(chosen)
        return check_ids("items", chosen, len(self), "item")

    def _pictures(self, items: ndarray) -> UInt8[ndarray, "item 3 size size"]:
        numbers, rows = np.divmod(items, self.chunk)
        wanted = np.unique(numbers).tolist()
        self._need(wanted)
        pictures = np.empty((len(items), 3, self.size, self.size), dtype=np.uint8)
        for number in wanted:
            here = numbers == number
            pictures[here] = self._open[number][0][rows[here]]
        return pictures

    # -------------------------------------------------------------- drawing

    def _need(self, numbers: Sequence[int]) -> None:
        """Open these chunks; draw the missing and the damaged ones first."""
        closed = [number for number in numbers if number not in self._open]
        if not closed:
            return
        state = {number: _state(self.folder, number) for number in closed}
        damaged = [_files(self.folder, n)[0].stem for n in closed if state[n] == "damaged"]
        if damaged:
            warnings.warn(
                f"boutique: damaged chunk {', '.join(damaged)} in {self.folder}; drawn again",
                stacklevel=4,
            )
        self._draw([number for number in closed if state[number] != "whole"])
        for number in closed:
            images, masks = _files(self.folder, number)
            self._open[number] = (np.load(images, mmap_mode="r"), np.load(masks, mmap_mode="r"))

    def _draw(self, numbers: list[int]) -> None:
        jobs = [(number, self._designs_of(number)) for number in numbers]
        total = sum(len(designs) for _, designs in jobs)
        with tqdm(
            total=total,
            desc="drawing the boutique",
            unit="item",
            disable=total < CHUNK or not sys.stderr.isatty(),
        ) as bar:
            for drawn in self._drawn(jobs):
                bar.update(drawn)

    def _drawn(self, jobs: list[tuple[int, Sequence[Design]]]) -> Iterator[int]:
        """Draw chunks here or in several processes; yield how many items each had."""
        work = partial(_draw_chunk, folder=self.folder, size=self.size)
        workers = min(self.processes, len(jobs))
        if workers > 1:
            try:
                with ProcessPoolExecutor(workers, mp_context=_context()) as pool:
                    yield from pool.map(work, jobs)
                return
            except BrokenProcessPool:  # a script without a main guard, where processes are spawned
                jobs = [job for job in jobs if _state(self.folder, job[0]) != "whole"]
        yield from map(work, jobs)

    def _designs_of(self, number: int) -> Sequence[Design]:
        return self.designs[number * self.chunk : (number + 1) * self.chunk]


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _context() -> multiprocessing.context.BaseContext:
    """Fork where that is the system's custom: workers only draw, and start at once."""
    return multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


def _key(designs: Sequence[Design], size: int, chunk: int) -> str:
    """Changes with any design, the size, the chunk, the drawing code, or Pillow's release."""
    every = hashlib.sha256()
    for design in designs:
        every.update(repr(design).encode())
    return content_key(
        designs=every.hexdigest(),
        size=size,
        chunk=chunk,
        version=DRAWING_VERSION,
        code=_code_hash(),
        rasteriser=PIL.__version__,
    )


@cache
def _code_hash() -> str:
    here = Path(__file__).parent
    return hashlib.sha256(
        b"".join((here / name).read_bytes() for name in DRAWING_FILES)
    ).hexdigest()


# ------------------------------------------------------------------ one chunk


def _draw_chunk(job: tuple[int, Sequence[Design]], folder: Path, size: int) -> int:
    """Draw one chunk and write its two files; return its number of items."""
    number, designs = job
    images = np.empty((len(designs), 3, size, size), dtype=np.uint8)
    masks = np.zeros((len(designs), SLOTS, -(-size * size // 8)), dtype=np.uint8)
    for row, design in enumerate(designs):
        picture = render(design, size)
        images[row] = picture.image
        for slot, attribute in enumerate(design.attributes):
            masks[row, slot] = np.packbits(picture.parts[attribute])
        masks[row, -1] = np.packbits(picture.silhouette)
    for path, array in zip(_files(folder, number), (images, masks), strict=True):
        _write(path, array)
    return len(designs)


def _files(folder: Path, number: int) -> tuple[Path, Path]:
    """The files of a chunk's images and masks."""
    return folder / f"{number:06d}.images.npy", folder / f"{number:06d}.masks.npy"


def _write(path: Path, array: ndarray) -> None:
    """Write an array and a checksum after it, whole or not at all."""
    with whole_file(path) as part:
        with part.open("wb") as stream:
            np.save(stream, array)
        checksum = zlib.crc32(part.read_bytes())
        with part.open("ab") as stream:
            stream.write(checksum.to_bytes(CHECKSUM_BYTES, "little"))


def _state(folder: Path, number: int) -> str:
    """'whole', 'missing' or 'damaged'."""
    files = _files(folder, number)
    if not all(path.exists() for path in files):
        return "missing"
    return "whole" if all(_is_whole(path) for path in files) else "damaged"


def _is_whole(path: Path) -> bool:
    content = path.read_bytes()
    said = int.from_bytes(content[-CHECKSUM_BYTES:], "little")
    return len(content) > CHECKSUM_BYTES and zlib.crc32(content[:-CHECKSUM_BYTES]) == said
