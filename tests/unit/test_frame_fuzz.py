"""Tables as nobody wants them: `from_frames` reads all of one, or says in a ValueError why not.

About 300 mutated inputs; `EXPLAINREC_NIGHTLY=1` tries 3,000.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd

from explainrec_lab import data

RUNS = 3000 if os.environ.get("EXPLAINREC_NIGHTLY") else 300
CELLS: tuple[Any, ...] = (
    None, np.nan, pd.NA, pd.NaT, "", " ", "nan", "NaN", "NaT", "None", 0, 1, -1, 2, 7, 1.0, 0.5,
    np.inf, -np.inf, 1e30, -1e30, 1e300, 2**53 + 1, 2**63, 2**64, -(2**63), 10**30, True, False,
    "1", "1.5", "1e400", "a", "A|B", "a;b", "c, d", "[1, 2]", "['a', 'b']", '{"a": 1}', "[" * 3000,
    "(no genres listed)", "2024-02-30", "2024-02-29", "2024-02-29T12:00:00.25Z", "12/31/2024",
    "99999-01-01", "now", "\x00", "\u2028</script>", "é" * 500, b"a", 1j, [1], ["a", None],
    ("a", "b"), {"a"}, {"name": "x"}, {"a": 1}, np.array([1, 2]), np.float32(3), np.int8(3),
    Decimal("2.5"), Decimal("NaN"), UUID(int=5), date(2024, 2, 29), datetime(2024, 2, 29, 12),
    pd.Timestamp("2024-02-29", tz="Europe/Paris"), pd.Timedelta(3), pd.Period("2024-02"), object,
)  # fmt: skip
# A sentence of ours begins with what it is about.
OURS = re.compile(r"(events|items|users|(user|item|value|time): events|table|genres): .* .*")
NAMES = ("user", "item", "time", "value", "userId", "movie_id", "rating", "timestamp", "title",
         "genres", "flag", "original_id", "", 0, None, ("a", "b"))  # fmt: skip
TYPES = ("Int64", "float32", "float16", "int8", "uint64", "category", "string", "object", "boolean",
         "datetime64[ns]", "timedelta64[s]", "complex128", "Float64")  # fmt: skip


def tables(rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """A small shop, all in order."""
    n, items, users = 12, [f"i{k}" for k in range(5)], list(range(100, 104))
    rated = {"user": rng.choice(users, n), "item": rng.choice(items, n)}
    return {
        "events": pd.DataFrame(rated | {"time": rng.integers(9**9, size=n), "value": 1.5}),
        "items": pd.DataFrame(
            {"item": items, "title": list("abcde"), "genres": "A|B", "flag": [0, 1, 1, 0, 1]}
        ),
        "users": pd.DataFrame({"user": users, "sex": ["f", "m", None, "f"]}),
    }


def any_of(rng: np.random.Generator, choices: Any) -> Any:
    return choices[int(rng.integers(len(choices)))]


def one_cell(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    column = int(rng.integers(table.shape[1]))
    cells = table.iloc[:, column].astype(object).tolist()
    cells[int(rng.integers(len(cells)))] = any_of(rng, CELLS)
    return replaced(table, column, cells, None)


def all_cells(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    cells = [any_of(rng, CELLS)] * len(table)
    kind = any_of(rng, (None, object))
    return replaced(table, int(rng.integers(table.shape[1])), cells, kind)


def another_type(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    column = int(rng.integers(table.shape[1]))
    return replaced(table, column, table.iloc[:, column], any_of(rng, TYPES))


def replaced(table: pd.DataFrame, column: int, cells: Any, kind: Any) -> pd.DataFrame:
    """The table with other cells in one column, if pandas makes a column of them."""
    series = [table.iloc[:, k] for k in range(table.shape[1])]
    try:
        series[column] = pd.Series(cells, index=table.index, dtype=kind)
    except (ValueError, TypeError, OverflowError, AttributeError):
        return table
    return pd.concat(series, axis=1, keys=range(len(series))).set_axis(table.columns, axis=1)


def another_name(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    names = list(table.columns)
    names[int(rng.integers(len(names)))] = any_of(rng, NAMES)
    return table.set_axis(pd.Index(names, tupleize_cols=False), axis=1)


def fewer(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    if rng.random() < 0.5:
        return table.iloc[: int(rng.integers(len(table)))]
    return table.iloc[:, : int(rng.integers(table.shape[1]))]


def shuffled(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Rows in another order, with an index that repeats."""
    return table.sample(frac=1, random_state=1).set_axis([0] * len(table))


MUTATIONS: tuple[Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame], ...] = (
    one_cell, one_cell, all_cells, another_type, another_name, fewer, shuffled,
)  # fmt: skip


def test_a_mutated_table_is_read_whole_or_refused_in_a_sentence() -> None:
    rng, read = np.random.default_rng(3), 0
    sets = {"item_sets": {"genres": "g"}, "item_columns": {"flag": "flag", "genres": "c"}}
    for run in range(RUNS):
        given = tables(rng)
        for _ in range(int(rng.integers(1, 3))):
            name = any_of(rng, ("events", "events", "items", "users"))
            if len(given[name]) and given[name].shape[1]:
                given[name] = any_of(rng, MUTATIONS)(given[name], rng)
        asked: dict[str, Any] = sets | {"user_columns": {"sex": "gender"}} if run % 3 else {}
        asked |= {any_of(rng, ("user", "value", "time")): any_of(rng, NAMES)} if not run % 7 else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                dataset = data.from_frames(**given, **asked)
            except ValueError as error:
                assert OURS.match(str(error)) and len(str(error)) < 2000
                continue
        read += 1
        check_whole(dataset, given["events"])
    assert RUNS / 20 < read < RUNS


def check_whole(dataset: data.Dataset, events: pd.DataFrame) -> None:
    """As many events as rows, finite, in the range of their tables, with text for every item."""
    found = dataset.interactions
    assert len(found) == len(events) == len(found.time)
    assert np.isfinite(found.value).all() and found.time.dtype == np.int64
    original = [found.users, dataset.catalogue.items]
    for ids, table in zip((found.user, found.item), original, strict=True):
        assert not len(ids) or (ids.min() >= 0 and ids.max() < len(table))
        assert table.original_id.is_unique and not table.original_id.isna().any()
    if "user" in events.columns and "user is" not in repr(dataset):
        ids = found.users.original_id.iloc[found.user].tolist()
        assert [str(each) for each in ids] == [str(each) for each in as_ids(events["user"])]
    assert all(isinstance(title, str) and title.strip() for title in dataset.catalogue.items.title)
    assert all(isinstance(name, str) for name in found.item_features.names)
    assert found.item_features.matrix.max() <= 1 if found.item_features.matrix.nnz else True


def as_ids(column: pd.Series) -> list[Any]:
    """What a column of ids says, where whole floats are whole numbers."""
    return [int(x) if isinstance(x, float | np.floating) else x for x in column.tolist()]
