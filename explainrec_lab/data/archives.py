"""Zip archives from outside, read where they lie: nothing is unpacked, and no size is believed.

A member is read whole into memory, but only if it says that it is small enough; more than it says
is never inflated. Nothing here knows what the members mean.
"""

import csv
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from explainrec_lab.data.contracts import check_columns, require
from explainrec_lab.data.store import DataNotFound

MEGABYTE = 2**20

# Others inflate by more than they were asked for.
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# More than this inflates to many times what it takes in the archive: a bomb.
SWOLLEN = 64
# Bytes of the line that names the columns of a table.
LONGEST = 2**16
# How pandas leaves cells as they are: '0108775015' keeps its zero, and 'NA' is a word.
AS_TEXT: dict[str, Any] = {"dtype": str, "keep_default_na": False, "na_values": [""]}


def opened(path: Path, steps: str) -> zipfile.ZipFile:
    """The archive, for who closes it.

    Args:
        steps: what brings the archive to `path`, for whom does not have it.

    Raises:
        DataNotFound: there is no such file; the message is the steps.
        ValueError: it is no whole zip archive.
    """
    try:
        archive = zipfile.ZipFile(path) if path.is_file() else None
    except Exception as error:  # `zipfile` has many kinds
        told = f"is not a whole zip archive: delete it and load again ({error})"
        raise ValueError(f"{path} {told}") from error
    if archive is None:
        raise DataNotFound(steps)
    for member in archive.filelist:  # written by Windows, or with endings in capitals
        archive.NameToInfo.setdefault(member.filename.replace("\\", "/").lower(), member)
    return archive


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
            return file.read(archive.getinfo(name).file_size + 1)  # its end has the checksum
    except Exception as error:
        raise ValueError(f"{name}: damaged ({error})") from error


def table(archive: zipfile.ZipFile, name: str, columns: Sequence[str]) -> pd.DataFrame:
    """Columns of a CSV file in the archive, as text; empty cells are missing. No other is kept.

    Raises:
        ValueError: no such file, a damaged one, or a missing column.
    """
    try:
        _check(archive, name, 8192 * MEGABYTE)
        with archive.open(name) as file:
            if not (line := file.readline(LONGEST)).endswith(b"\n") and file.read(1):
                raise ValueError("no table: its first line does not end")
            head = next(csv.reader([line.decode("utf-8-sig")]), [])
            check_columns(name, pd.DataFrame(columns=head), columns)
            places = [head.index(column) for column in columns]
            kept = {"names": sorted(columns, key=head.index), "usecols": places, "header": None}
            return pd.read_csv(file, **kept, **AS_TEXT)[list(columns)]
    except Exception as error:
        told = f"{name} cannot be read ({error}); fetch it again"
        raise ValueError(f"{Path(archive.filename or '').name}: {told}") from error


def _check(archive: zipfile.ZipFile, name: str, most: int) -> None:
    """FileNotFoundError for a missing member, ValueError for one that is not to be opened."""
    if name not in archive.NameToInfo:
        raise FileNotFoundError(f"{name}: not in the archive")
    member = archive.getinfo(name)
    size = member.file_size
    require(size <= most, f"{name}: inflates to {size} bytes, more than {most}")
    if size > MEGABYTE + SWOLLEN * member.compress_size:
        raise ValueError(f"{name}: inflates to more than {SWOLLEN} times its size")
    if member.flag_bits & 1 or member.compress_type not in PACKINGS:
        raise ValueError(f"{name}: encrypted, or packed in a way that is not read here")
