"""Zip archives from outside, read where they lie: nothing is unpacked, and no size is believed.

A member is read whole into memory, but only if it says that it is small enough; more than it says
is never inflated. Nothing here knows what the members mean.

`Photos`, in files or in an archive, are the `Images` of a catalogue, read when they are asked for.
A photo that is missing or damaged does not stop a run over a hundred thousand: a blank picture
stands in for it, and `unreadable` says which and why. What looks at pictures has nothing to see on
a blank one (`saers.extract` gives it no attribute). An archive is opened anew for each request:
nothing stays open, so a fork or a pickle takes the photos along.
"""

import csv
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, ImageOps

from explainrec_lab.data.contracts import check_columns, check_ids
from explainrec_lab.data.store import DataNotFound

MEGABYTE = 2**20

# What `zipfile` raises for archives and members that are cut, altered or of a version to come.
DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError),
    *(ValueError, OverflowError, RuntimeError),
)
# Others inflate by more than they were asked for.
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# More than this inflates to many times what it takes in the archive: a bomb.
SWOLLEN = 64
# How pandas leaves cells as they are: '0108775015' keeps its zero, and 'NA' is a word.
AS_TEXT: dict[str, Any] = {"dtype": str, "keep_default_na": False, "na_values": [""]}


@contextmanager
def opened(path: Path, steps: str) -> Iterator[zipfile.ZipFile]:
    """The archive, for as long as the block lasts.

    Args:
        steps: what brings the archive to `path`, for whom does not have it.

    Raises:
        DataNotFound: there is no such file; the message is the steps.
        ValueError: it is no whole zip archive.
    """
    try:
        archive = zipfile.ZipFile(path) if path.is_file() else None
    except DAMAGED as error:
        told = f"is not a whole zip archive: delete it and load again ({error})"
        raise ValueError(f"{path} {told}") from error
    if archive is None:
        raise DataNotFound(steps)
    with archive:
        yield archive


def by_hand(name: str, page: str, consent: str, path: Path) -> str:
    """The steps to an archive behind a login."""
    return (
        f"{name}: download the archive from {page} (needs an account{consent}) and put it, as it "
        f"is, at {path}; EXPLAINREC_DATA names the folder above `{path.parent.name}`"
    )


def contents(archive: zipfile.ZipFile, name: str, most: int = 32 * MEGABYTE) -> bytes:
    """One member of the archive.

    Args:
        most: bytes; a member that would inflate to more is not read.

    Raises:
        FileNotFoundError: the archive has no such member.
        ValueError: the member is too large or damaged.
    """
    _check(archive, name, most)
    try:
        with archive.open(name) as file:
            return file.read(archive.getinfo(name).file_size)
    except DAMAGED as error:
        raise ValueError(f"{name}: damaged ({error})") from error


def table(
    archive: zipfile.ZipFile, name: str, columns: Sequence[str], commas: bool = False
) -> pd.DataFrame:
    """Columns of a CSV file in the archive, as text; empty cells are missing.

    Args:
        commas: the last column may hold commas without quotes.

    Raises:
        ValueError: no such file, a damaged one, or a missing column.
    """
    where = Path(archive.filename or "").name
    try:
        _check(archive, name, 8192 * MEGABYTE)
        with archive.open(name) as file:
            if len(file.readline(MEGABYTE)) == MEGABYTE:
                raise ValueError("no table: its first line does not end")
        with archive.open(name) as file:
            found = _lenient(file) if commas else pd.read_csv(file, **AS_TEXT)
    except (csv.Error, *DAMAGED) as error:
        raise ValueError(f"{where}: {name} cannot be read ({error}); fetch it again") from error
    check_columns(f"{where}: {name}", found, columns)
    return found[list(columns)]


def _lenient(file: IO[bytes]) -> pd.DataFrame:
    """A CSV file in which cells beyond the last column belong to it."""
    rows = csv.reader(io.TextIOWrapper(file, "utf-8", newline=""))
    header = next(rows, [])
    last = max(len(header) - 1, 0)
    cells = [[*row[:last], ",".join(row[last:])] for row in rows if row]
    return pd.DataFrame(cells, columns=header, dtype=object).replace("", None)


def json_object(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    """A JSON object in the archive.

    Raises:
        FileNotFoundError: the archive has no such member.
        ValueError: it is damaged, too large, or something else than an object.
        RecursionError: it is nested too deeply.
    """
    found = json.loads(contents(archive, name, MEGABYTE))
    if not isinstance(found, dict):
        raise ValueError(f"{name}: holds no object")
    return found


def _check(archive: zipfile.ZipFile, name: str, most: int) -> None:
    """FileNotFoundError for a missing member, ValueError for one that is not to be opened."""
    if name not in archive.NameToInfo:
        raise FileNotFoundError(f"{name}: not in the archive")
    member = archive.getinfo(name)
    if member.file_size > most:
        raise ValueError(f"{name}: inflates to {member.file_size} bytes, more than {most}")
    if member.file_size > MEGABYTE + SWOLLEN * member.compress_size:
        raise ValueError(f"{name}: inflates to more than {SWOLLEN} times its size")
    if member.flag_bits & 1 or member.compress_type not in PACKINGS:
        raise ValueError(f"{name}: encrypted, or packed in a way that is not read here")


# -------------------------------------------------------------------------- photos


# Value of the pixels of a stand-in, and of what fills a photo up to a square.
BLANK = 255


class Photos:
    """Pictures by item id, each padded to a square of `size` pixels.

    Args:
        paths: one file an item, in id order; with `archive`, names of its members.
        size: pixels of a picture's side.
        archive: a zip archive that holds the photos.

    Attributes:
        unreadable: item -> why its photo could not be read, for those tried so far.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(
        self, paths: Sequence[str | Path], size: int = 224, *, archive: str | Path | None = None
    ) -> None:
        if size < 1:
            raise ValueError(f"size: {size} pixels must be at least 1")
        self.paths, self.size = [Path(path) for path in paths], size
        self.archive = None if archive is None else Path(archive)
        self.unreadable: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, items: Any) -> UInt8[ndarray, "*item 3 size size"]:
        """Pictures of one item (an int) or several (a slice or ids)."""
        asked = np.arange(len(self))[items] if isinstance(items, slice) else items
        pictures = self._stack(check_ids("items", asked, len(self), "item"))
        return pictures[0] if np.ndim(asked) == 0 else pictures

    def _stack(self, items: ndarray) -> UInt8[ndarray, "item 3 size size"]:
        """Raises DataNotFound or ValueError for the archive as a whole: see `opened`."""
        pictures = np.full((len(items), 3, self.size, self.size), BLANK, np.uint8)
        home = self.archive
        steps = f"{home.name} is not in the folder {home.parent}" if home else ""
        with opened(home, steps) if home else nullcontext() as archive:
            for row, item in enumerate(items.tolist()):
                path = self.paths[item]
                try:
                    member = archive and io.BytesIO(contents(archive, path.as_posix()))
                    pictures[row] = self._picture(member or path)
                except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
                    self.unreadable[item] = f"{path.name}: {error or type(error).__name__}"
        return pictures

    def _picture(self, source: Path | IO[bytes]) -> UInt8[ndarray, "3 size size"]:
        with Image.open(source) as photo:
            upright = ImageOps.exif_transpose(photo).convert("RGB")
        square = ImageOps.pad(upright, (self.size, self.size), color=(BLANK,) * 3)
        return np.asarray(square).transpose(2, 0, 1)
