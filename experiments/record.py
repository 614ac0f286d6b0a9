"""Measured numbers, what each depends on, and the file that they are written to.

A result is a dictionary of columns, the same in every record (`explainrec_lab.data.store.COLUMNS`):

| column | says |
|---|---|
| data, seed, value | of what, by which division and draw, and the number itself |
| method | model, explainer or reference |
| variant | what of it is another than usual: its features, network, examples or control |
| measure | what was measured |
| how | by which way an answer was read or a thing done |
| order | in which order features went |
| group | of which users, items or pairs |
| attribute | of which attribute, or 'mean' or 'lowest' over all |
| kind | of relation |
| labels | judged by the recorded ones or by the rule |
| k | length of the list, or how many features went |
| d | dimensions of the model, where an experiment sets them |
| purchases, told | a shopper's; likes that a cold user told |
| user, n | whose explanation; what a value counts: products, purchases, features |
| trial, classes | of a search; of the attribute |
| cost, settings | CPU seconds of training; what the model was trained with |
"""

import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from explainrec_lab import __version__
from explainrec_lab.data.contracts import require
from explainrec_lab.data.store import COLUMNS, whole_file
from explainrec_lab.training import timed as timed

# Some columns of a result, and all of them; some results, or parts of them, one after the other.
Columns = dict[str, Any]
Rows = Iterator[Columns]

# What every result says.
NEEDED = {"data", "method", "measure", "value", "seed"}


def results(found: Iterable[Columns], **shared: Any) -> Rows:
    """Results that share columns; what a row says itself comes first."""
    return (shared | columns for columns in found)


def rows_by(column: str, values: Mapping[Any, float] | pd.Series, **said: Any) -> Rows:
    """One row for each of some values, whose names stand in a column of their own."""
    return ({**said, column: name, "value": value} for name, value in values.items())


def row(result: Columns) -> Columns:
    """The columns that say something, in their order; six digits of the value.

    Raises:
        ValueError: a column that no record has, or one of `NEEDED` that is missing.
    """
    wrong = sorted(result.keys() - set(COLUMNS) | NEEDED - result.keys())
    require(not wrong, f"result: columns {wrong} are unknown or missing; see `experiments.record`")
    found: Columns = {"cost": 0.0, "settings": {}} | result
    found |= {"value": float(f"{result['value']:.6g}"), "cost": round(found["cost"], 1)}
    return {name: found[name] for name in COLUMNS if found.get(name) not in ("", None)}


def record(name: str, found: Rows, folder: Path) -> Path:
    """Write each result as it comes, to a file that takes the record's place when all are there."""
    rows, part = [], folder / f"{name}.part.json"
    for result in found:
        rows.append(row(result))
        said = {key: each for key, each in rows[-1].items() if key != "settings"}
        print(*said.values(), sep=", ")
        with whole_file(part) as file:
            file.write_text(text_of(name, where(), rows), encoding="utf-8")
    return part.replace(folder / f"{name}.json")


def text_of(name: str, origin: dict[str, Any], rows: Iterable[Columns]) -> str:
    """JSON: where a record comes from, then a line a result."""
    head = json.dumps({"experiment": name, **origin}, indent=1).removesuffix("\n}")
    lines = ",\n".join("  " + json.dumps(each, ensure_ascii=False) for each in rows)
    return f'{head},\n "results": [\n{lines}\n ]\n}}\n'


def where() -> dict[str, Any]:
    """What the numbers depend on besides data and seed; no name of a machine."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return {
        "version": __version__,
        "date": date.today().isoformat(),
        "hardware": f"{device}, {os.cpu_count()} cores, {platform.machine()}",
        "torch": torch.__version__.split("+")[0],
        "matmul precision": torch.get_float32_matmul_precision(),
    }
