"""Archives that are cut, altered, encrypted, of a version to come, or bombs: one kind of error."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from explainrec_lab import data
from explainrec_lab.data import DataNotFound, movielens
from explainrec_lab.data.archives import MEGABYTE, contents, opened, table

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


def zipped(text: bytes = b"a,b\n1,2\n", packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive with one member, `t.csv`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as file:
        file.writestr("t.csv", text)
    return buffer.getvalue()


def changed(whole: bytes, record: bytes, offset: int, value: bytes) -> bytes:
    """Bytes of a record of the archive replaced."""
    place = whole.index(record) + offset
    return whole[:place] + value + whole[place + len(value) :]


def encrypted() -> bytes:
    return changed(changed(zipped(), CENTRAL, 8, b"\1\0"), LOCAL, 6, b"\1\0")


def of_a_version_to_come() -> bytes:
    return changed(changed(zipped(), CENTRAL, 6, b"\xff\0"), LOCAL, 4, b"\xff\0")


ARCHIVES: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "a page": lambda: b"<html>",
    "without its head": lambda: zipped()[20:],
    "cut": lambda: zipped()[:-30],
    "only its end": lambda: zipped()[-22:],
    "encrypted": encrypted,
    "a version to come": of_a_version_to_come,
    "packed by bzip2": lambda: zipped(packing=zipfile.ZIP_BZIP2),
    "packed by lzma": lambda: zipped(packing=zipfile.ZIP_LZMA),
    "packed in an unknown way": lambda: changed(zipped(), CENTRAL, 10, b"\x61\0"),
    "turned bits": lambda: changed(zipped(), LOCAL, 36, b"\xff\xff\xff"),
    "its directory elsewhere": lambda: changed(zipped(), END, 16, b"\xff\xff\xff\x7f"),
    "its directory before the file": lambda: changed(zipped(), END, 12, b"\xff\xff\xff\x7f"),
    "a member elsewhere": lambda: changed(zipped(), CENTRAL, 42, b"\xf0\xff\xff\x7f"),
    "larger than it says": lambda: changed(zipped(), CENTRAL, 24, b"\1\0\0\0"),
    "nothing, it says": lambda: changed(zipped(), CENTRAL, 24, b"\0\0\0\0"),
    "a name of no text": lambda: changed(
        changed(zipped(), CENTRAL, 46, b"\xff\xfe"), CENTRAL, 8, b"\0\x08"
    ),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_whatever_is_wrong_is_one_error_that_names_the_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "shop.zip"
    path.write_bytes(ARCHIVES[kind]())
    for read in (lambda file: contents(file, "t.csv"), lambda file: table(file, "t.csv", ["a"])):
        with (
            pytest.raises((ValueError, FileNotFoundError), match=r"shop\.zip|t\.csv"),
            opened(path, "steps") as file,
        ):
            read(file)


def test_a_whole_one_is_read(tmp_path: Path) -> None:
    """Else the test above says nothing."""
    path = tmp_path / "shop.zip"
    for packing in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        path.write_bytes(zipped(packing=packing))
        with opened(path, "steps") as file:
            assert contents(file, "t.csv") == b"a,b\n1,2\n"
            assert table(file, "t.csv", ["b"]).b.tolist() == ["2"]


@pytest.mark.parametrize("hide", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to(path)])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, hide: Callable[[Path], None]) -> None:
    hide(tmp_path / "shop.zip")
    with pytest.raises((DataNotFound, ValueError)), opened(tmp_path / "shop.zip", "steps"):
        pass


def lying(size: int, says: int) -> bytes:
    """A member that inflates to `size` bytes and says that it is of `says`."""
    whole = zipped(bytes(size))
    for record, offset in ((CENTRAL, 24), (LOCAL, 22)):
        whole = changed(whole, record, offset, struct.pack("<I", says))
    return whole


@pytest.mark.parametrize(
    ("bomb", "told"),
    [
        (lambda: lying(300 * MEGABYTE, 300 * MEGABYTE), "inflates to"),
        (lambda: lying(300 * MEGABYTE, 30 * MEGABYTE), "inflates to more than 64 times its size"),
        (lambda: lying(300 * MEGABYTE, MEGABYTE), "damaged"),
        (lambda: lying(300 * MEGABYTE, 0), "damaged"),
    ],
    ids=["says so", "says less", "says little", "says nothing"],
)
def test_a_bomb_is_not_inflated(tmp_path: Path, bomb: Callable[[], bytes], told: str) -> None:
    path = tmp_path / "shop.zip"
    path.write_bytes(bomb())
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=told), opened(path, "steps") as file:
            contents(file, "t.csv")
        with pytest.raises(ValueError, match=r"t\.csv cannot be read"), opened(path, "") as file:
            table(file, "t.csv", ["a"])
        assert tracemalloc.get_traced_memory()[1] < 40 * MEGABYTE
    finally:
        tracemalloc.stop()


def test_a_table_of_a_million_columns_is_refused_at_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "shop.zip"
    path.write_bytes(zipped(b"a," * 2_000_000 + b"b\n1,2\n", zipfile.ZIP_STORED))
    with pytest.raises(ValueError, match=r"t\.csv cannot be read"), opened(path, "") as file:
        table(file, "t.csv", ["a"])


def test_the_bomb_in_place_of_movielens_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLAINREC_DATA", str(tmp_path))
    path = movielens.path()
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in movielens.SHA256:
            file.writestr(f"ml-1m/{name}", bytes(30 * MEGABYTE))
    with pytest.raises(ValueError, match=r"ml-1m\.zip: .*ratings\.dat: inflates to more than 64"):
        data.load("movielens-1m")


def test_a_member_is_found_whatever_its_slashes_and_capitals(tmp_path: Path) -> None:
    path = tmp_path / "shop.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("Images\\A.JPG", b"picture")
    with opened(path, "steps") as file:
        assert contents(file, "images/a.jpg") == b"picture"
