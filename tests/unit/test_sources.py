"""The one door: unknown names, archives that are missing, cut, damaged or of something else."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pooch
import pytest

from explainrec_lab import data
from explainrec_lab.data import DataNotFound, movielens
from explainrec_lab.data.sources import SOURCES


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where MovieLens would be, in an empty data folder."""
    monkeypatch.setenv("EXPLAINREC_DATA", str(tmp_path))
    return movielens.path()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, contents in files.items():
            opened.writestr(name, contents)
    return buffer.getvalue()


SMALL = {f"ml-1m/{name}": b"1::2::3::4\n" * 500 for name in movielens.SHA256}


class Download:
    """Stands in for pooch's downloader: writes some bytes, then maybe breaks off."""

    def __init__(self, sent: bytes, error: Exception | None = None) -> None:
        self.sent, self.error = sent, error

    def __call__(self, *ignored: Any, **also: Any) -> Any:
        def fetch(url: str, path: str, downloader: Any) -> None:
            Path(path).write_bytes(self.sent)
            if self.error:
                raise self.error

        return fetch


def test_an_unknown_name_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match="name: no data source 'netflix'; choose from boutique"):
        data.load("netflix")


@pytest.mark.parametrize("name", ["boutique", "completejourney", "movielens-1m"])
def test_an_unknown_size_argument_is_answered_with_those_there_are(name: str) -> None:
    with pytest.raises(ValueError, match=f"rows: {name} has no such size argument; it takes "):
        data.load(name, rows=3)


def test_every_source_says_what_it_is_and_whether_it_is_here(archive: Path) -> None:
    table = data.available()
    assert {"boutique", "completejourney", "movielens-1m"} <= set(table.index)
    assert table["terms"].str.len().min() > 5
    assert not table.loc["movielens-1m", "on this machine"]
    archive.parent.mkdir()
    archive.write_bytes(b"something")
    assert data.available().loc["movielens-1m", "on this machine"]


@pytest.mark.parametrize("error", [ConnectionError("no route"), TimeoutError(), OSError("reset")])
def test_a_download_that_breaks_off_leaves_nothing_and_says_what_to_do(
    archive: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(pooch, "HTTPDownloader", Download(b"half an archive", error))
    with pytest.raises(DataNotFound, match=r"could not download https://files\.grouplens") as told:
        data.load("movielens-1m")
    assert str(archive) in str(told.value) and "EXPLAINREC_DATA" in str(told.value)
    assert list(archive.parent.iterdir()) == []


@pytest.mark.parametrize(
    "sent", [b"<html>Please log in</html>", zipped(SMALL)], ids=["a page", "another archive"]
)
def test_a_download_of_something_else_leaves_nothing(
    archive: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(pooch, "HTTPDownloader", Download(sent))
    with pytest.raises(DataNotFound, match=r"could not download .* \(not the archive\)"):
        data.load("movielens-1m")
    assert list(archive.parent.iterdir()) == []


def test_a_stopped_download_leaves_nothing(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooch, "HTTPDownloader", Download(b"half", KeyboardInterrupt()))  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        data.load("movielens-1m")
    assert list(archive.parent.iterdir()) == []


def flipped(whole: bytes) -> bytes:
    """The archive with a stretch of its first file's compressed bytes turned over."""
    return whole[:60] + bytes(255 - byte for byte in whole[60:70]) + whole[70:]


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        (b"", "is not a whole zip archive: delete it and load again"),
        (b"not a zip", "is not a whole zip archive"),
        (zipped(SMALL)[:-100], "is not a whole zip archive"),
        (flipped(zipped(SMALL)), r"ratings\.dat: damaged .*: delete it and load again"),
        (zipped({"readme.txt": b"hello"}), r"has no ratings\.dat: delete it and load again"),
        (zipped(SMALL), r"ratings\.dat differs from MovieLens 1M's: delete it and load again"),
    ],
    ids=["empty", "no zip", "cut", "bits turned", "other files", "other contents"],
)
def test_a_damaged_archive_is_named_with_the_way_out(
    archive: Path, stored: bytes, told: str
) -> None:
    archive.parent.mkdir()
    archive.write_bytes(stored)
    with pytest.raises(ValueError, match=told) as error:
        data.load("movielens-1m")
    assert str(archive) in str(error.value)


# ------------------------------------------------------------------------------- one's own source


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr("explainrec_lab.data.sources.SOURCES", dict(SOURCES))


def mine(rows: int = 2) -> data.Dataset:
    return data.from_frames(pd.DataFrame({"user": range(rows), "item": 1, "time": 1, "value": 1}))


@pytest.mark.usefixtures("sources")
def test_a_registered_loader_is_a_source_like_the_others() -> None:
    data.register("mine", mine)
    assert len(data.load("mine").interactions) == 2
    assert len(data.load("mine", rows=5).interactions) == 5
    assert data.available().loc["mine", "on this machine"]
    with pytest.raises(ValueError, match="items: mine has no such size argument; it takes rows"):
        data.load("mine", items=3)
    with pytest.raises(ValueError, match=r"choose from boutique, .*, mine$"):
        data.load("yours")


@pytest.mark.usefixtures("sources")
def test_a_taken_name_is_refused_unless_it_shall_be_replaced() -> None:
    with pytest.raises(ValueError, match="name: 'hm' is taken; choose another or pass replace"):
        data.register("hm", mine)
    data.register("mine", mine)
    with pytest.raises(ValueError, match="name: 'mine' is taken"):
        data.register("mine", mine)
    data.register("mine", lambda: mine(7), replace=True)
    assert len(data.load("mine").interactions) == 7


@pytest.mark.usefixtures("sources")
def test_what_is_no_loader_is_named() -> None:
    with pytest.raises(ValueError, match=r"loader: Dataset .*cannot be called; give the function"):
        data.register("mine", mine())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="name: '' must be some text"):
        data.register("", mine)
    data.register("table", lambda: pd.DataFrame())  # type: ignore[arg-type,return-value]
    with pytest.raises(ValueError, match="table: its loader returned DataFrame, no Dataset"):
        data.load("table")
