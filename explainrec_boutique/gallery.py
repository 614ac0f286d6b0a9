"""The gallery: pictures and part masks of many designs, drawn when first looked at, then kept.

All lie in one file, a row an item, and a row begins with its checksum, which is written last. A row
without one is still to be drawn, so a killed rendering goes on with the rows that are missing; a
damaged row is reported and drawn again. Where nothing can be written, pictures are held in memory.
Several processes draw and this one writes; their number changes the time, never a byte.
"""

import hashlib
import multiprocessing
import os
import sys
import warnings
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import PIL
from jaxtyping import Bool, Int, UInt8
from numpy import ndarray

from .design import Design
from .dials import SIZES, check_number
from .render import DRAWING_VERSION, counterfactual_mask, render

# Masks kept for an item: its parts in the order of its attributes, and its silhouette last.
SLOTS = 5
CHECK = 4  # bytes of a checksum
FEW = 128  # pictures of 64 pixels that this process draws alone: half a second's work
CPUS = len(getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0))
# Fork where that is the system's custom: helpers only draw, and start at once.
HELPERS: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


class Gallery:
    """Pictures by item id.

    Args:
        designs: one an item, in id order.
        size: pixels of a picture's side.
        folder: where pictures are kept, one file for each list of designs and size.

    Raises:
        ValueError: names the argument, its value and the allowed range.
    """

    def __init__(self, designs: Sequence[Design], size: int, folder: Path) -> None:
        check_number("size", size, SIZES)
        self.designs, self.size = designs, int(size)
        self.path = folder / f"{_key(designs, self.size)}.pictures"
        self._unkept: dict[int, ndarray] = {}  # rows that could not be written

    def __len__(self) -> int:
        return len(self.designs)

    def __getitem__(self, items: Any) -> UInt8[ndarray, "*item 3 size size"]:
        """Pictures of one item (an int) or several (a slice, ids, or a mask), as a copy.

        Raises:
            IndexError: no such item.
        """
        ids = np.arange(len(self))[items]
        pictures = np.ascontiguousarray(self._drawn(np.atleast_1d(ids))["image"])
        return pictures if ids.ndim else pictures[0]

    def mask(self, item: int, attribute: str, kind: str = "part") -> Bool[ndarray, "size size"]:
        """Pixels of an item that carry an attribute; none where it does not apply.

        Args:
            kind: 'part' is read from the file, 'counterfactual' is drawn now.

        Raises:
            ValueError: unknown kind. IndexError: no such item.
        """
        if kind not in ("part", "counterfactual"):
            raise ValueError(f"kind: {kind!r}; choose 'part' or 'counterfactual'")
        design = self.designs[np.arange(len(self))[item]]
        if attribute not in design.attributes:
            return np.zeros((self.size, self.size), dtype=bool)
        if kind == "counterfactual":
            return counterfactual_mask(design, attribute, self.size)
        return self._mask(item, tuple(design.attributes).index(attribute))

    def silhouette(self, item: int) -> Bool[ndarray, "size size"]:
        """Pixels of an item, without its shadow. Raises IndexError: no such item."""
        return self._mask(item, -1)

    def _mask(self, item: int, slot: int) -> Bool[ndarray, "size size"]:
        (row,) = self._drawn(np.arange(len(self))[item, None])
        bits = np.unpackbits(row["masks"][slot], count=self.size * self.size)
        return bits.reshape(self.size, self.size).astype(bool)

    # -------------------------------------------------------------- drawing

    def _drawn(self, ids: Int[ndarray, " item"]) -> ndarray:
        """The rows of these items, drawn where they are missing or damaged."""
        rows = self._read(ids)
        broken = np.array([_checksum(row) != row["checksum"] for row in rows], dtype=bool)
        if damaged := np.unique(ids[broken & (rows["checksum"] != 0)]).tolist():
            _warn(f"damaged pictures of items {damaged} in {self.path}; drawn again")
        items, places = np.unique(ids[broken], return_inverse=True)
        drawn = np.zeros(len(items), rows.dtype)
        for place, row in enumerate(self._draw([self.designs[item] for item in items])):
            drawn[place] = row
            self._keep(int(items[place]), row)
        rows[broken] = drawn[places]
        return rows

    def _read(self, ids: Int[ndarray, " item"]) -> ndarray:
        """Rows as they are in the file; zeros where there is none."""
        rows = np.zeros(len(ids), _row_type(self.size))
        if self.path.is_file():  # a pipe would wait for ever
            with self.path.open("rb", buffering=0) as file:
                for place, item in enumerate(ids):
                    file.seek(int(item) * rows.itemsize)
                    file.readinto(rows[place : place + 1].view(np.uint8).data)
        for place, item in enumerate(ids):
            rows[place] = self._unkept.get(item, rows[place])
        return rows

    def _draw(self, designs: Sequence[Design]) -> Iterator[ndarray]:
        """Rows of designs, in their order; many are drawn by several processes."""
        draw = partial(_draw_row, size=self.size)
        if len(designs) * self.size**2 <= FEW * 64**2 or CPUS == 1:
            yield from map(draw, designs)
            return
        with ProcessPoolExecutor(CPUS, HELPERS, _stop_with_parent) as helpers:
            yield from helpers.map(draw, designs, chunksize=8)

    def _keep(self, item: int, row: ndarray) -> None:
        """Write a row. Whoever reads the checksum before it is there draws for himself."""
        content = row.tobytes()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch()
            with self.path.open("r+b") as file:
                file.seek(item * len(content) + CHECK)
                file.write(content[CHECK:])
                file.flush()
                file.seek(item * len(content))
                file.write(content[:CHECK])
        except OSError as error:
            if not self._unkept:
                _warn(f"no pictures can be kept in {self.path}: {error}; drawn for this run alone")
            self._unkept[item] = row


def _stop_with_parent() -> None:
    """Let a helper stop when the process that waits for it is gone."""

    def watch() -> None:
        HELPERS.parent_process().join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _draw_row(design: Design, size: int) -> ndarray:
    picture, row = render(design, size), np.zeros((), _row_type(size))
    row["image"] = picture.image
    for slot, attribute in enumerate(design.attributes):
        row["masks"][slot] = np.packbits(picture.parts[attribute])
    row["masks"][-1] = np.packbits(picture.silhouette)
    row["checksum"] = _checksum(row)
    return row


# ------------------------------------------------------------------ the file


def _row_type(size: int) -> np.dtype:
    """A row of the file: the checksum of all that follows, a picture, and its masks as bits."""
    masks = (SLOTS, -(-size * size // 8))
    return np.dtype([("checksum", "<u4"), ("image", "u1", (3, size, size)), ("masks", "u1", masks)])


def _checksum(row: np.void | ndarray) -> int:
    return zlib.crc32(row.tobytes()[CHECK:])


def _warn(what: str) -> None:
    warnings.warn(f"boutique: {what}", stacklevel=5)


def _key(designs: Sequence[Design], size: int) -> str:
    """Changes with any design, the size, this package's code and words, or Pillow's release."""
    key = hashlib.sha256(repr((size, DRAWING_VERSION, PIL.__version__)).encode())
    here = Path(__file__).parent
    for path in sorted([*here.rglob("*.py"), *here.rglob("*.toml")]):
        key.update(path.read_bytes())
    for design in designs:
        key.update(repr(design).encode())
    return key.hexdigest()[:16]
