"""Recorded results: what `python -m experiments NAME` measured, as a table with real columns."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from explainrec_lab.data.store import DataNotFound

FOLDER = Path("book/reference/results")
WORDS = (
    *("data", "method", "variant", "measure"),
    *("how", "order", "group", "attribute", "kind", "labels"),
)
NUMBERS = ("k", "d", "purchases", "told", "trial", "user", "n", "classes", "seed")
COLUMNS = (*WORDS, *NUMBERS, "value", "cost", "settings")
"""What each says stands in `experiments.record.Result`."""


def results(name: str) -> pd.DataFrame:
    """The results of one experiment, a row a measured number; blank where a column says nothing.

    Beside `COLUMNS` there is `name`, method and variant together. `attrs` tells with which version,
    when and on what hardware they were measured.

    Raises:
        DataNotFound: no such record.
    """
    here = Path.cwd()
    roots = [here, *here.parents, Path(__file__).resolve().parents[2]]
    paths = [root / FOLDER / f"{name}.json" for root in roots]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise DataNotFound(f"no record {name!r} in {FOLDER}: run this inside the repository")
    record = json.loads(path.read_text(encoding="utf-8"))
    blank = dict.fromkeys(WORDS, "")
    rows = [blank | each for each in record.pop("results")]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for column in NUMBERS:
        table[column] = table[column].astype("Int64" if table[column].isna().any() else "int64")
    table["name"] = (table["method"] + ", " + table["variant"]).str.removesuffix(", ")
    table.attrs = record
    return table
