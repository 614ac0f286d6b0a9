"""python -m experiments shards LOG FOLDER: histories of very many users, from a raw log to disk.

LOG is a Parquet or CSV file, or several as 'log/*.parquet', with a row an event. DuckDB numbers
users and items by their sorted ids, drops repeats and sorts, beyond the memory if need be. FOLDER:

| file | holds |
|---|---|
| `offsets.npy` | int64 `[users + 1]`: where each user's items begin |
| `items-00000.npy`, ... | int32: the items of `SHARD` users each, ascending within a user |
| `users.parquet`, `items.parquet` | the original ids, in the order of the numbers |
| `manifest.json` | how many there are of each, and the SHA-256 of each file |

`Histories` maps them into memory; RecoNet's examples take it as they take `Interactions`.
"""

import argparse
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray
from scipy import sparse

from explainrec_lab.data.contracts import Features, require
from explainrec_lab.data.store import DataNotFound

# Users of a file of items: twenty items each take 80 MB, and some hundred while it is written.
SHARD = 2**20


def main(arguments: list[str]) -> None:
    """What the command line asks for."""
    parser = argparse.ArgumentParser("python -m experiments shards", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("log")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--user", default="user", help="column of users' ids")
    parser.add_argument("--item", default="item", help="column of items' ids")
    parser.add_argument("--memory", default="2GB", help="what DuckDB may take")
    print(write(**vars(parser.parse_args(arguments))))


def write(
    log: str, folder: Path, user: str = "user", item: str = "item", memory: str = "2GB"
) -> dict[str, Any]:
    """Write the folder, whole or not at all; returns its manifest.

    Raises:
        DataNotFound: no DuckDB.
        ValueError: a folder that is there already or cannot be written; a log that cannot be read,
            is empty, or lacks a column or an id.
    """
    try:
        import duckdb
    except ImportError:
        raise DataNotFound("shards: needs DuckDB: pip install explainrec-lab[scale]") from None
    require(not folder.exists(), f"folder: {folder} is there already; name a new one")
    try:
        with tempfile.TemporaryDirectory(prefix=".shards-", dir=folder.parent) as beside:
            limits: Any = {"memory_limit": memory, "temp_directory": beside}
            with duckdb.connect(Path(beside, "work.duckdb"), config=limits) as tables:
                _number(tables, log, user, item)
                (part := Path(beside, "whole")).mkdir()
                told = _fill(tables, part)
            part.replace(folder)
    except (OSError, duckdb.Error) as error:
        raise ValueError(f"shards of {log} in {folder}: {str(error).splitlines()[0]}") from error
    return told


def _number(tables: Any, log: str, user: str, item: str) -> None:
    """Tables `users` and `items` of ids, whose rows are the numbers, and `pairs` of numbers."""
    log, u, i = ("".join(2 * c if c in "'\"" else c for c in each) for each in (log, user, item))
    tables.execute(f"""CREATE VIEW events AS SELECT "{u}" AS u, "{i}" AS i FROM '{log}'""")
    asked = "SELECT count(*), count(*) FILTER (u IS NULL OR i IS NULL) FROM events"
    ((rows, lost),) = tables.execute(asked).fetchall()
    require(rows, f"log: {log} has no rows")
    require(not lost, f"log: {lost} of {rows} rows have no {user} or no {item}: drop them first")
    for name, c in (("users", "u"), ("items", "i")):
        tables.execute(f"CREATE TABLE {name} AS SELECT DISTINCT {c} AS id FROM events ORDER BY id")
    tables.execute("""CREATE TABLE pairs AS
        SELECT DISTINCT users.rowid AS u, items.rowid::INTEGER AS i
        FROM events JOIN users ON u = users.id JOIN items ON i = items.id ORDER BY u, i""")


def _fill(tables: Any, folder: Path) -> dict[str, Any]:
    """Write the files of the folder; returns what the manifest says."""
    told: dict[str, Any] = {"step": SHARD}
    for name in ("users", "items", "pairs", "events"):
        ((told[name],),) = tables.execute(f"SELECT count(*) FROM {name}").fetchall()
    for name in ("users", "items"):
        tables.table(name).write_parquet(str(folder / f"{name}.parquet"))
    ends = [np.zeros(1, np.int64)]
    for first in range(0, told["users"], SHARD):
        some = f"SELECT * FROM pairs WHERE u >= {first} AND u < {first + SHARD} ORDER BY u, i"
        found, users = tables.execute(some).fetchnumpy(), min(SHARD, told["users"] - first)
        sizes = np.bincount(found["u"] - first, minlength=users)
        ends.append(ends[-1][-1] + sizes.cumsum())
        np.save(folder / f"items-{first // SHARD:05}.npy", found["i"])
    np.save(folder / "offsets.npy", np.concatenate(ends))
    told["sums"] = {each.name: _sum(each) for each in folder.iterdir()}
    (folder / "manifest.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    return told


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Histories:
    """The histories of a folder: what of `Interactions`, and of their matrix, examples use.

    All files are read once, to compare their sums: a gigabyte takes a second or two.

    Raises:
        DataNotFound: no manifest there. ValueError: a damaged file; names it.
    """

    def __init__(self, folder: Path) -> None:
        if not (path := folder / "manifest.json").is_file():
            raise DataNotFound(f"{folder} holds no shards: python -m experiments shards --help")
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            bad = [name for name, own in told["sums"].items() if _sum(folder / name) != own]
            require(not bad, f"{', '.join(bad)} changed since then")
            self.n_users, self.n_items, self.per_shard = told["users"], told["items"], told["step"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{folder} is damaged ({error}): write the shards anew") from error
        self.indptr = np.load(folder / "offsets.npy", mmap_mode="r")
        self.shards = [np.load(each, mmap_mode="r") for each in sorted(folder.glob("items-*.npy"))]
        self.matrix, self.user_features = self, Features.none(self.n_users)
        self.item_features = Features.none(self.n_items)

    def __getitem__(self, users: ndarray) -> sparse.csr_array:
        """The rows of R of some users."""
        starts, ends, shard = self.indptr[users], self.indptr[users + 1], users // self.per_shard
        sizes, first = ends - starts, self.indptr[shard * self.per_shard]
        ends = np.append(0, sizes.cumsum())
        place = np.arange(ends[-1]) + np.repeat(starts - first - ends[:-1], sizes)
        shard, items = np.repeat(shard, sizes), np.empty(len(place), np.int32)
        for number in np.unique(shard):
            items[shard == number] = self.shards[number][place[shard == number]]
        ones, shape = np.ones(len(items), np.float32), (len(users), self.n_items)
        return sparse.csr_array((ones, items, ends), shape=shape)
