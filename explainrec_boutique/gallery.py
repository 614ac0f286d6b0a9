"""The gallery: pictures and part masks of many designs, drawn when first looked at, then kept.

All lie in one file, a row an item, and a row ends in its checksum. A row without one is still to
be drawn, so a killed rendering goes on with the rows that are missing; a damaged row is reported
and drawn again. The file is mapped into memory for reading; nothing needs to fit there. Several
processes draw; their number changes the time, never a byte.
"""

import hashlib
import multiprocessing
import os
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from jaxtyping import Bool, Int, UInt8
from numpy import ndarray

from .design import Design
from .dials import SIZES, check_number
from .render import DRAWING_VERSION, counterfactual_mask, render

# Items drawn together, about a second's work: who looks at one soon looks at its neighbours. Of
# pictures larger than 64 pixels as many fewer.
BLOCK = 128
# Masks kept for an item: its parts in the order of its attributes, and its silhouette last.
SLOTS = 5
# Fork where that is the system's custom: helpers only draw, and start at once.

HELPERS: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


class Gallery:
    """Pictures by item id.

    Args:
        designs: one an item, in id order.
        size: pixels of a picture's side.
        folder: where pictures are kept, one file for each list of designs and size.
        processes: how many draw at a time; by default one a CPU of this process.

    Raises:
        ValueError: names the argument, its value and the allowed range.
    """

    def __init__(
        self, designs: Sequence[Design], size: int, folder: Path, processes: int | None = None
    ) -> None:
        check_number("size", size, SIZES)
        self.processes = _cpus() if processes is None else processes
        check_number("processes", self.processes, (1, 4096))
        self.designs, self.size = designs, int(size)
        self.path = folder / f"{_key(designs, self.size)}.pictures"
        self._temporary: tempfile.TemporaryDirectory | None = None

    def __len__(self) -> int:
        return len(self.designs)

    def __getitem__(self, items: Any) -> UInt8[ndarray, "*item 3 size size"]:
        """Pictures of one item (an int) or several (a slice, ids, or a mask), as a copy.

        Raises:
            IndexError: no such item.
        """
        ids = self._ids(items)
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
        design = self.designs[int(self._ids(item))]
        if attribute not in design.attributes:
            return np.zeros((self.size, self.size), dtype=bool)
        if kind == "counterfactual":
            return counterfactual_mask(design, attribute, self.size)
        return self._mask(item, tuple(design.attributes).index(attribute))

    def silhouette(self, item: int) -> Bool[ndarray, "size size"]:
        """Pixels of an item, without its shadow. Raises IndexError: no such item."""
        return self._mask(item, -1)

    def _mask(self, item: int, slot: int) -> Bool[ndarray, "size size"]:
        (row,) = self._drawn(np.atleast_1d(self._ids(item)))
        bits = np.unpackbits(row["masks"][slot], count=self.size * self.size)
        return bits.reshape(self.size, self.size).astype(bool)

    def _ids(self, items: Any) -> Int[ndarray, "*item"]:
        try:
            return np.arange(len(self))[items]
        except IndexError as error:
            raise IndexError(f"items: {error} (this gallery has 0..{len(self) - 1})") from None

    # -------------------------------------------------------------- drawing

    def _drawn(self, ids: Int[ndarray, " item"]) -> ndarray:
        """The rows of these items, drawn where they are missing.

        Raises:
            OSError: there is no room for them.
        """
        rows = self._read(ids)
        if missing := _not_whole(ids, rows):
            try:
                _prepare(self.path, len(self) * rows.itemsize)
            except OSError:
                if self._temporary is not None:
                    raise
                self._move()
                return self._drawn(ids)
            self._draw(missing)
            rows = self._read(ids)
            if _not_whole(ids, rows):
                raise OSError(f"{self.path}: no room for {len(missing)} pictures: free some there")
        return rows

    def _read(self, ids: Collection[int] | ndarray) -> ndarray:
        """Rows as they are in the file; zeros where there is none.

        Not mapped into memory: where the disk is full, a look at what was never drawn would kill.
        """
        rows = np.zeros(len(ids), _row_type(self.size))
        if self.path.is_file():
            with self.path.open("rb", buffering=0) as file:
                for place, item in enumerate(ids):
                    file.seek(int(item) * rows.itemsize)
                    file.readinto(rows[place : place + 1].view(np.uint8).data)
        return rows

    def _move(self) -> None:
        """Draw where it can be, for as long as this gallery lives: the folder may only be read."""
        _warn(f"no pictures can be kept in {self.path}", "drawn for this run alone")
        self._temporary = tempfile.TemporaryDirectory(prefix="boutique-")
        self.path = Path(self._temporary.name) / self.path.name

    def _draw(self, missing: dict[int, int]) -> None:
        """Draw the blocks of some items, dealt out to several processes, this one among them."""
        if any(missing.values()):  # damaged, or just being written by another
            time.sleep(0.05)
            missing = _not_whole(missing, self._read(missing))
        if damaged := [item for item, checksum in missing.items() if checksum]:
            _warn(f"damaged pictures of items {damaged} in {self.path}")
        block = max(BLOCK * 64**2 // max(self.size, 64) ** 2, 1)
        blocks = {item // block for item in missing}
        near = [item for item in range(len(self)) if item // block in blocks]
        todo = list(_not_whole(near, self._read(near)))
        workers = max(1, min(self.processes, len(blocks)))
        jobs = [self._job(todo[n::workers]) for n in range(workers)]
        helpers = [HELPERS.Process(target=_draw_rows, args=(*job, os.getpid())) for job in jobs[1:]]
        for helper in helpers:
            helper.start()
        _draw_rows(*jobs[0])
        for helper in helpers:
            helper.join()
        _draw_rows(*self._job(_not_whole(todo, self._read(todo))))  # left by a helper that failed

    def _job(self, items: Iterable[int]) -> tuple[Path, int, dict[int, Design]]:
        return self.path, self.size, {item: self.designs[item] for item in items}


def _draw_rows(path: Path, size: int, designs: dict[int, Design], parent: int = 0) -> None:
    """Draw items and write their rows, up to the first that cannot be written.

    Args:
        parent: of a helper, which stops when this process is gone: nobody waits for the rest.
    """
    with suppress(OSError), path.open("r+b", buffering=0) as file:
        for item, design in designs.items():
            if parent and os.getppid() != parent:
                return
            row = _draw_row(design, size)
            file.seek(item * row.nbytes)
            file.write(row.tobytes())


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
    """A row of the file: a picture, its masks as bits, and the checksum of both."""
    masks = (SLOTS, -(-size * size // 8))
    return np.dtype([("image", "u1", (3, size, size)), ("masks", "u1", masks), ("checksum", "<u4")])


def _checksum(row: np.void | ndarray) -> int:
    return zlib.crc32(row.tobytes()[:-4])


def _not_whole(ids: Iterable[int], rows: ndarray) -> dict[int, int]:
    """Those whose rows are missing (their checksum is 0) or damaged, with the checksum there."""
    pairs = zip(map(int, ids), rows, strict=True)
    return {item: row["checksum"] for item, row in pairs if _checksum(row) != row["checksum"]}


def _prepare(path: Path, length: int) -> None:
    """Make the file if it is not there, of zeros, which take no room on the disk."""
    if path.exists() and not path.is_file():  # a pipe would wait for ever
        raise OSError(f"{path} is no file")
    if path.exists() and path.stat().st_size != length:
        _warn(f"damaged file {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:  # whoever comes first makes it; for the second it is made
        file.truncate(length)


def _warn(what: str, then: str = "drawn again") -> None:
    warnings.warn(f"boutique: {what}; {then}", stacklevel=6)


def _key(designs: Sequence[Design], size: int) -> str:
    """Changes with any design, the size, the drawing code, or Pillow's release."""
    key = hashlib.sha256(repr((size, DRAWING_VERSION, PIL.__version__)).encode())
    for content in map(Path.read_bytes, _drawing_files()):
        key.update(content)
    for design in designs:
        key.update(repr(design).encode())
    return key.hexdigest()[:16]


def _drawing_files() -> list[Path]:
    """What a picture depends on beside its design."""
    here = Path(__file__).parent
    own = (here / name for name in ("render.py", "vocabulary.py", "words.toml", "drawing.toml"))
    return [*own, *sorted(here.glob("drawing/*.py"))]


def _cpus() -> int:
    return len(getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0))
