"""python -m experiments histories LOG FOLDER: histories of very many users, from a raw log to disk.

LOG is a Parquet or CSV file, or several as 'log/*.parquet', with a row an event. DuckDB numbers
users and items by their sorted ids, drops repeats and sorts, beyond the memory if need be. FOLDER:

| file | holds |
|---|---|
| `offsets.npy` | int64 `[users + 1]`: where each user's items begin |
| `histories.npy` | int32 `[pairs]`: the items of each user in turn, ascending |
| `users.parquet`, `items.parquet` | the original ids, in the order of the numbers |
| `manifest.json` | how many there are of each, and the SHA-256 of each file |

`Histories` maps them into memory; RecoNet's examples take it as they take `Interactions`.
"""

import json
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pooch
from numpy import ndarray
from scipy import sparse

from explainrec_lab.data.contracts import Features, require
from explainrec_lab.data.store import DataNotFound

# Pairs that are in memory at a time while they are written, in DuckDB's vectors of 2,048.
CHUNK = 100


def main(asked: Namespace) -> None:
    """What the command line asks for."""
    print(write(**vars(asked) | {"folder": Path(asked.folder)}))


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
        raise DataNotFound("histories: needs DuckDB: pip install explainrec-lab[scale]") from None
    require(not folder.exists(), f"folder: {folder} is there already; name a new one")
    try:
        with tempfile.TemporaryDirectory(prefix=".histories-", dir=folder.parent) as beside:
            limits: Any = {"memory_limit": memory, "temp_directory": beside}
            with duckdb.connect(Path(beside, "work.duckdb"), config=limits) as tables:
                _number(tables, log, user, item)
                (part := Path(beside, "whole")).mkdir()
                told = _fill(tables, part)
            part.replace(folder)
    except (OSError, duckdb.Error) as error:
        raise ValueError(f"histories of {log} in {folder}: {str(error).splitlines()[0]}") from error
    return told


def _number(tables: Any, log: str, user: str, item: str) -> None:
    """Tables `users` and `items` of ids, whose rows are the numbers, and `pairs` of numbers."""
    log, u, i = ("".join(2 * c if c in "'\"" else c for c in each) for each in (log, user, item))
    tables.execute(f"""CREATE VIEW events AS SELECT t."{u}" AS u, t."{i}" AS i FROM '{log}' t""")
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
    names = ("users", "items", "pairs", "events")
    told: dict[str, Any] = {name: len(tables.sql(f"FROM {name}")) for name in names}
    for name in names[:2]:
        tables.table(name).write_parquet(str(folder / f"{name}.parquet"))
    sizes = tables.execute("SELECT count(*) AS n FROM pairs GROUP BY u ORDER BY u").fetchnumpy()
    np.save(folder / "offsets.npy", np.append(0, sizes["n"].cumsum()))
    with (folder / "histories.npy").open("wb") as file:
        kind = {"descr": "<i4", "fortran_order": False, "shape": (told["pairs"],)}
        np.lib.format.write_array_header_1_0(file, kind)
        found = tables.execute("SELECT i FROM pairs")  # in the order in which they were sorted
        while len(some := found.fetch_df_chunk(CHUNK)):
            some["i"].to_numpy("<i4").tofile(file)
    told["sums"] = {each.name: pooch.file_hash(str(each)) for each in folder.iterdir()}
    (folder / "manifest.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    return told


class Histories:
    """The histories of a folder: what of `Interactions`, and of their matrix, examples use.

    All files are read once, to compare their sums: a gigabyte takes a second or two.

    Raises:
        DataNotFound: no manifest there. ValueError: a damaged file; names it.
    """

    def __init__(self, folder: Path) -> None:
        if not (path := folder / "manifest.json").is_file():
            raise DataNotFound(f"{folder}: no histories: python -m experiments histories --help")
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            bad = [n for n, own in told["sums"].items() if pooch.file_hash(f"{folder / n}") != own]
            require(not bad, f"{', '.join(bad)} changed since then")
            self.n_users, self.n_items = told["users"], told["items"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{folder} is damaged ({error}): write them anew") from error
        names = ("offsets.npy", "histories.npy")
        self.indptr, self.indices = (np.load(folder / name, mmap_mode="r") for name in names)
        self.matrix, self.user_features = self, Features.none(self.n_users)
        self.item_features = Features.none(self.n_items)

    def __getitem__(self, users: ndarray) -> sparse.csr_array:
        """The rows of R of some users."""
        starts, sizes = self.indptr[users], self.indptr[users + 1] - self.indptr[users]
        ends = np.append(0, sizes.cumsum())
        items = self.indices[np.arange(ends[-1]) + np.repeat(starts - ends[:-1], sizes)]
        ones, shape = np.ones(len(items), np.float32), (len(users), self.n_items)
        return sparse.csr_array((ones, items, ends), shape=shape)
