"""MovieLens 1M: a million star ratings, with demographics and genres.

Files: `movielens-1m/ml-1m.zip` under the data folder, downloaded from GroupLens when missing.
The files inside the archive are checked against their published contents, so a repacked archive
is as good as the original. Source: Harper & Konstan, 2015; terms: research use, no redistribution.
"""

import hashlib
import io
from pathlib import Path

import pandas as pd

from explainrec_lab.data import archives
from explainrec_lab.data.contracts import Dataset
from explainrec_lab.data.frames import from_frames
from explainrec_lab.data.store import DataNotFound, data_dir, download

URL = "https://files.grouplens.org/datasets/movielens/ml-1m.zip"

SHA256 = {
    "ratings.dat": "506d64ca44484487c11dc2d9a28de5c54948213e6b96285e298afe28d6ea4e0f",
    "users.dat": "1dc3a95300cb19f7c10e027daf29b8cdf1d908dab65b5edfb45950aa389a10a3",
    "movies.dat": "0140fc2356357c1a851d0f52e893a1e4d3696df632c4141cea8d5bc3d621f0b9",
}

COLUMNS = {
    "ratings.dat": ["user", "item", "value", "time"],
    "users.dat": ["user", "gender", "age", "occupation", "zip_code"],
    "movies.dat": ["item", "title", "genres"],
}

AGES = {1: "under 18", 18: "18-24", 25: "25-34", 35: "35-44", 45: "45-49", 50: "50-55", 56: "56+"}

OCCUPATIONS = (
    "other", "academic or educator", "artist", "clerical or admin", "college or grad student",
    "customer service", "doctor or health care", "executive or managerial", "farmer", "homemaker",
    "K-12 student", "lawyer", "programmer", "retired", "sales or marketing", "scientist",
    "self-employed", "technician or engineer", "tradesman or craftsman", "unemployed", "writer",
)  # fmt: skip


def path() -> Path:
    """Where the archive is, or would be downloaded to."""
    return data_dir() / "movielens-1m" / "ml-1m.zip"


def load() -> Dataset:
    """6,040 users, 3,883 movies, 1,000,209 ratings in `interactions.value` (1 to 5 stars).

    Time is in seconds since 1970. Item features: genres; user features: gender, age, occupation.

    Raises:
        DataNotFound: the archive is not here and could not be downloaded.
        ValueError: the archive is damaged; the message names the file and the fix.
    """
    archive = path()
    if not archive.is_file():
        _download(archive)
    ratings, users, movies = (_table(text, name) for name, text in _contents(archive).items())
    users = users.assign(
        gender=users.gender.map({"F": "woman", "M": "man"}),
        age=users.age.map(AGES),
        occupation=users.occupation.map(dict(enumerate(OCCUPATIONS))),
    )
    movies = movies.assign(category=movies.genres.str.split("|").str[0])
    return from_frames(
        ratings,
        items=movies,
        users=users,
        user_columns={"gender": "gender", "age": "age", "occupation": "occupation"},
        item_sets={"genres": "genre"},
        name="movielens-1m",
    )


def _download(archive: Path) -> None:
    """Fetch the archive; it appears under its name only when its contents are right."""
    try:
        download(URL, archive, _contents)
    except (OSError, ValueError) as error:
        why = "not the archive" if isinstance(error, ValueError) else type(error).__name__
        raise DataNotFound(
            f"movielens-1m: could not download {URL} ({why}). Connect and try again, or put it at "
            f"{archive}, or point EXPLAINREC_DATA at a folder with movielens-1m/ml-1m.zip"
        ) from None


def _contents(archive: Path) -> dict[str, bytes]:
    """The three files of the archive, checked. Raises ValueError naming the damaged one."""
    files = {}
    with archives.opened(archive, f"movielens-1m: {archive} is not there") as file:
        inside = {Path(name).name: name for name in file.namelist()}
        for name, digest in SHA256.items():
            try:
                if name not in inside:
                    raise ValueError(f"it has no {name}")
                files[name] = archives.contents(file, inside[name])
                if hashlib.sha256(files[name]).hexdigest() != digest:
                    raise ValueError(f"{name} differs from MovieLens 1M's")
            except ValueError as error:
                raise ValueError(f"{archive}: {error}: delete it and load again") from error
    return files


def _table(text: bytes, name: str) -> pd.DataFrame:
    """Parse one `::`-separated latin-1 file."""
    single = text.decode("latin-1").replace("::", "\t")
    return pd.read_csv(io.StringIO(single), sep="\t", names=COLUMNS[name], header=None, quoting=3)
