"""MovieLens: star ratings of films, in five of the releases by GroupLens.

Files: `movielens-1m/ml-1m.zip` and so on (or `ml-1m.zip` alone) under the data folder, downloaded
from GroupLens when missing. A download is checked against the published sum. Of MovieLens 1M the
files inside are checked, so a repacked archive is as good as the original; of the others a part in
the same layout loads too, and the data set's notes say so.
Source: Harper & Konstan, 2015; terms: research use, no redistribution.
"""

import hashlib
import io
import warnings
from itertools import compress
from pathlib import Path
from typing import Any

import pandas as pd
import pooch

from explainrec_lab.data import archives
from explainrec_lab.data.contracts import Dataset, check_choice, check_columns, numbers
from explainrec_lab.data.frames import from_frames
from explainrec_lab.data.store import DataNotFound, data_dir, download, table_beside

SITE = "https://files.grouplens.org/datasets/movielens"

# Sizes and sums of the releases, and what the files hold.
TABLE = table_beside(__file__)
RELEASES, SHA256, FILES = TABLE["releases"], TABLE["sha256"], TABLE["files"]
GENRES = FILES["100k"][1]["columns"][5:]


def path(release: str = "1m") -> Path:
    """Where the archive is, or would be downloaded to."""
    check_choice("release", release, RELEASES)
    usual = data_dir() / f"movielens-{release}" / f"ml-{release}.zip"
    alone = data_dir() / usual.name
    return alone if alone.is_file() and not usual.exists() else usual


def load(release: str = "1m") -> Dataset:
    """Users x movies, with ratings in `interactions.value` (up to 5 stars), in seconds since 1970.

    Item features: genres; user features, of 100k and 1m: gender, age, occupation. The archives of
    25m and 32m take about 6 GB of memory to read.

    Args:
        release: '100k', '1m', 'latest-small', '25m' or '32m'.

    Raises:
        DataNotFound: the archive is not here and could not be downloaded.
        ValueError: the archive is damaged; the message names the file and the fix.
    """
    archive = path(release)
    if not archive.is_file():
        _download(archive, release)
    return _read(archive, release)


def _read(archive: Path, release: str) -> Dataset:
    """What the archive holds. Raises a ValueError that names the file which is damaged."""
    with archives.opened(archive, f"movielens-{release}: {archive} is not there") as file:
        inside = {Path(name).name: name for name in file.namelist()}
        most = (1024 if release in ("25m", "32m") else 32) * archives.MEGABYTE
        tables = []
        try:
            for listed in FILES.get(release, FILES["others"]):
                if (name := listed["name"]) in inside:
                    text = archives.contents(file, inside[name], most)
                    tables.append(_table(text, **listed))
                elif name != "u.user":
                    raise ValueError(f"it has no {name}")
            return _dataset(release, *tables)
        except (ValueError, Warning) as error:
            raise ValueError(f"{archive}: {error}: delete it and load again") from error


def _dataset(
    release: str, ratings: pd.DataFrame, movies: pd.DataFrame, users: pd.DataFrame | None = None
) -> Dataset:
    """Ratings, movies and users as one data set."""
    if release == "100k":
        flags = movies[GENRES].eq(1).to_numpy()
        movies = movies.assign(genres=["|".join(compress(GENRES, row)) for row in flags])
        movies = movies[["item", "title", "genres"]]
    items = movies.assign(category=[str(each).split("|")[0] for each in movies.genres])
    own: dict[str, Any] = {"item_sets": {"genres": "genre"}, "name": f"movielens-{release}"}
    if users is not None:
        told = {column: column for column in ("gender", "age", "occupation")}
        own |= {"users": _people(users), "user_columns": told}
    here, whole = len(ratings), RELEASES[release]["ratings"]
    notes = [f"{here:,} ratings are here, the release had {whole:,}"] * (here != whole)
    return from_frames(ratings, items=items, notes=notes, **own)


def _people(users: pd.DataFrame) -> pd.DataFrame:
    """Users with words in place of codes."""
    jobs, ages = dict(enumerate(TABLE["occupations"])), dict(TABLE["ages"])
    age = numbers("users", users.age)
    bands = pd.cut(age, [*ages, 200], right=False, labels=list(ages.values()))
    return users.assign(
        gender=users.gender.map({"F": "woman", "M": "man"}),
        age=bands.astype(object),
        occupation=users.occupation.map(lambda job: jobs.get(job, job)),
    )


def _download(archive: Path, release: str) -> None:
    """Fetch the archive; it appears under its name only when its contents are right."""
    url, md5 = f"{SITE}/{archive.name}", RELEASES[release]["md5"]

    def check(part: Path) -> None:
        if not md5:
            _read(part, release)
        elif pooch.file_hash(str(part), alg="md5") != md5:
            raise ValueError

    try:
        download(url, archive, check)
    except (OSError, ValueError) as error:
        why = "not the archive" if isinstance(error, ValueError) else type(error).__name__
        told = f"could not download {url} ({why}). Connect and try again, or put it at {archive}"
        folder = f"point EXPLAINREC_DATA at a folder with {archive.parent.name}/{archive.name}"
        raise DataNotFound(f"movielens-{release}: {told}, or {folder}") from None


def _table(text: bytes, name: str, between: str, columns: list[str]) -> pd.DataFrame:
    """One file of the archive."""
    if name in SHA256 and hashlib.sha256(text).hexdigest() != SHA256[name]:
        raise ValueError(f"{name} differs from MovieLens 1M's")
    if between == "::":
        text, between = text.replace(b"::", b"\t"), "\t"
    plain = {"names": columns, "header": None, "encoding": "latin-1", "quoting": 3}
    how: Any = {"sep": between, "index_col": False, "low_memory": False}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # a row is longer than the others
        table = pd.read_csv(io.BytesIO(text), **how, **({} if between == "," else plain))
    check_columns(name, table, columns)
    return table
