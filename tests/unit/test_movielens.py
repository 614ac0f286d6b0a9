"""MovieLens in its own layouts, made up and small: read right, or named when damaged."""

from __future__ import annotations

import io
import os
import signal
import zipfile
from pathlib import Path

import numpy as np
import pytest

from explainrec_lab import data
from explainrec_lab.data import DataNotFound, movielens

FLAGS = {
    name: "|".join(str(int(genre in name.split("+"))) for genre in movielens.GENRES)
    for name in ("Drama+War", "unknown")
}
HUNDRED = {
    "ml-100k/u.data": "196\t242\t3\t881250949\n186\t302\t5\t891717742\n",
    "ml-100k/u.item": "242|Kolya (1996)|24-Jan-1997||http://x|"
    f"{FLAGS['Drama+War']}\n302|Misérables, Les (1995)|||http://y|{FLAGS['unknown']}\n",
    "ml-100k/u.user": "186|17|F|executive|00000\n196|49|M|writer|55105\n",
}
CSV = {
    "ml-x/ratings.csv": "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,3,0.5,964981247\n",
    "ml-x/movies.csv": 'movieId,title,genres\n1,"Toy, Story (1995)",Adventure|Comedy\n'
    "3,Amélie (2001),(no genres listed)\n",
    "ml-x/tags.csv": "userId,movieId,tag,timestamp\n2,1,pixar,1139045764\n",
}


def stored(folder: Path, release: str, files: dict[str, str], alone: bool = False) -> Path:
    """An archive of these files where the release belongs, or alone in the data folder."""
    place = folder / ("" if alone else f"movielens-{release}") / f"ml-{release}.zip"
    place.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, text in files.items():
            opened.writestr(name, text.encode("latin-1" if "/u." in name else "utf-8"))
    return place


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder."""
    monkeypatch.setenv("EXPLAINREC_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", ["movielens-100k", "ml-100k"])
def test_the_hundred_thousand_are_read_with_flags_and_people(folder: Path, name: str) -> None:
    stored(folder, "100k", HUNDRED)
    dataset = data.load(name)
    events, items = dataset.interactions, dataset.catalogue.items
    assert items.title.tolist() == ["Kolya (1996)", "Misérables, Les (1995)"]
    assert items.category.tolist() == ["Drama", "unknown"]
    assert [events.item_features.of(item) for item in (0, 1)] == [
        ["genre: Drama", "genre: War"], ["genre: unknown"],
    ]  # fmt: skip
    assert events.users.original_id.tolist() == [186, 196]
    assert events.user_features.of(0) == ["gender: woman", "age: under 18", "occupation: executive"]
    assert events.user_features.of(1) == ["gender: man", "age: 45-49", "occupation: writer"]
    assert events.value.tolist() == [3, 5] and events.time.tolist() == [881250949, 891717742]
    assert "2 ratings are here, the release had 100,000" in dataset.notes


@pytest.mark.parametrize("release", ["latest-small", "25m", "32m"])
def test_releases_in_csv_are_read(folder: Path, release: str) -> None:
    stored(folder, release, CSV, alone=release == "25m")
    dataset = data.load(f"movielens-{release}")
    events = dataset.interactions
    assert dataset.catalogue.items.title.tolist() == ["Toy, Story (1995)", "Amélie (2001)"]
    assert [events.item_features.of(item) for item in (0, 1)] == [
        ["genre: Adventure", "genre: Comedy"], [],
    ]  # fmt: skip
    assert events.value.tolist() == [4.0, 0.5] and events.time.max() == 964982703
    assert data.available().loc[f"movielens-{release}", "on this machine"]


def test_without_its_people_the_hundred_thousand_are_read_too(folder: Path) -> None:
    stored(folder, "100k", {name: text for name, text in HUNDRED.items() if "user" not in name})
    assert not data.load("ml-100k").interactions.user_features.names


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "ratings.csv",
            "userId,movieId,rating\n1,1,4.0,9\n",
            "Length of header or names",
        ),
        ("ratings.csv", "", "No columns to parse"),
        (
            "ratings.csv",
            "user,film,rating,timestamp\n1,9,4.0,9\n",
            r"ratings\.csv: missing column userId",
        ),
        ("ratings.csv", "userId,movieId,rating,timestamp\n1,9,4,9\n", "item 9 is not in the table"),
        ("ratings.csv", "userId,movieId,rating,timestamp\n1,1,,9\n", "row 0 has no rating"),
        ("ratings.csv", "userId,movieId,rating,timestamp\n1,1,4,9.5\n", "must hold whole numbers"),
        ("movies.csv", "movieId,title\n1,Toy\n3,Amy\n", "movies.csv: missing column genres"),
        ("movies.csv", "movieId,title,genres\n1,Toy,\n1,Amy,\n3,Bo,\n", "id 1 stands in 2 rows"),
    ],
)
def test_a_table_that_is_cut_or_shifted_is_named(
    folder: Path, name: str, text: str, told: str
) -> None:
    stored(folder, "latest-small", CSV | {f"ml-x/{name}": text})
    with pytest.raises(ValueError, match=told):
        data.load("movielens-latest-small")


def test_an_archive_without_its_tables_names_the_first(folder: Path) -> None:
    place = stored(folder, "25m", {"readme.txt": "hello"})
    with pytest.raises(
        ValueError, match=r"it has no ratings\.csv: delete it and load again"
    ) as told:
        data.load("movielens-25m")
    assert str(place) in str(told.value)
    with pytest.raises(ValueError, match="release: '10m'; choose from 100k, 1m, latest-small"):
        movielens.path("10m")


def test_a_member_that_says_it_is_huge_is_not_inflated(folder: Path) -> None:
    place = folder / "ml-latest-small.zip"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("ml-x/ratings.csv", bytes(40 * 2**20))
    assert place.stat().st_size < 100_000
    with pytest.raises(ValueError, match=r"ratings\.csv: inflates to 41943040 bytes, more than"):
        data.load("movielens-latest-small")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_nobody_waits_for_a_pipe_in_place_of_the_archive(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise ConnectionError

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", unreachable)
    for release, make in (("1m", os.mkfifo), ("100k", os.mkdir)):
        place = movielens.path(release)
        place.parent.mkdir()
        make(place)
        signal.alarm(20)  # a reader that waits ends the run with a signal, and does not hang it
        try:
            with pytest.raises(DataNotFound, match=r"could not download.*EXPLAINREC_DATA"):
                data.load(f"movielens-{release}")
        finally:
            signal.alarm(0)


# ---------------------------------------------------------------------------- mutated archives


def mutated(whole: bytes, rng: np.random.Generator) -> bytes:
    """Bytes turned, cut off, doubled or put in."""
    at = int(rng.integers(len(whole)))
    length = int(rng.integers(1, 40))
    noise = rng.integers(0, 256, length, np.uint8).tobytes()
    ways = (
        whole[:at] + bytes([whole[at] ^ (1 << int(rng.integers(8)))]) + whole[at + 1 :],
        whole[:at],
        whole[:at] + whole[at : at + length] * 2 + whole[at + length :],
        whole[:at] + noise + whole[at + length :],
        whole[:at] + b"\t|,\n\"'-.eN0"[int(rng.integers(11)) :][:1] + whole[at:],
    )
    return ways[int(rng.integers(len(ways)))]


def test_a_mutated_archive_is_read_whole_or_named(folder: Path) -> None:
    """Of the bytes of the archive, and of the bytes inside it, which reach the tables."""
    rng = np.random.default_rng(7)
    runs = 1000 if os.environ.get("EXPLAINREC_NIGHTLY") else 40
    read = 0
    for release, files in (("100k", HUNDRED), ("latest-small", CSV)):
        place = stored(folder, release, files)
        whole = place.read_bytes()
        for run in range(runs):
            if run % 4:
                name = str(rng.choice(list(files)))
                code = "latin-1" if "/u." in name else "utf-8"
                inner = mutated(files[name].encode(code), rng)
                buffer = io.BytesIO()
                with zipfile.ZipFile(buffer, "w") as opened:
                    for each, text in files.items():
                        opened.writestr(each, inner if each == name else text.encode(code))
                place.write_bytes(buffer.getvalue())
            else:
                place.write_bytes(mutated(whole, rng))
            try:
                found = data.load(f"movielens-{release}").interactions
            except (ValueError, DataNotFound):
                continue
            read += 1
            assert np.isfinite(found.value).all() and len(found.time) == len(found)
            assert list(folder.rglob("*.zip")) and not list(folder.rglob("*.part"))
    assert 0 < read < 2 * runs
