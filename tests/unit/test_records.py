"""Records: experiments and their names, the file format, the reader, and values carried over."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pandas as pd
import pytest

import experiments
from experiments.__main__ import COMMANDS, EXPERIMENTS, main
from experiments.reconet import EXPLAINED
from experiments.record import Columns, record, row
from explainrec_lab.data import DataNotFound, results, store
from explainrec_lab.data.store import COLUMNS, FOLDER, NUMBERS

NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))

# --------------------------------------------------------------------------- names


def test_no_experiment_hides_the_module_of_its_name() -> None:
    for found in iter_modules(experiments.__path__):
        module = import_module(f"{experiments.__name__}.{found.name}")
        assert getattr(experiments, found.name) is module


def test_an_experiment_is_called_as_its_function() -> None:
    for name, experiment in EXPERIMENTS.items():
        assert experiment.__name__ == name.replace("-", "_")


# What recorded it is in the repository's history, at the commit that the record names.
KEPT_AS_THEY_ARE = {
    *("saers-photos", "reconet-lime"),
    *("reconet-search", "reconet-search-households", "saers-search", "saers-living"),
    *("saers-siamese", "reconet-removal-best", "relation-recommendation"),
}
# Not recorded yet: each needs what no machine had on which the records were made.
WAITING = {"gpu-check": "a GPU", "saers-fashionpedia": "photos that need an account"}


def test_every_record_has_its_experiment() -> None:
    assert set(NAMES) == set(EXPERIMENTS) - WAITING.keys() | KEPT_AS_THEY_ARE


def test_a_record_whose_code_is_gone_names_the_commit_that_holds_it() -> None:
    told = {name: results(name).attrs.get("commit", "") for name in NAMES}
    assert {name for name, commit in told.items() if commit} == KEPT_AS_THEY_ARE
    assert all(re.fullmatch("[0-9a-f]{7}", told[name]) for name in KEPT_AS_THEY_ARE)


@pytest.mark.parametrize("option", ["--seeds", "--threads"])
@pytest.mark.parametrize("value", ["0", "-3"])
def test_less_than_one_is_refused_in_one_line(
    option: str, value: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["saers-auc", option, value, "--results", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.err == f"experiments: {option}: {value} must be at least 1\n"
    assert not said.out and not list(tmp_path.iterdir())


def test_an_unknown_experiment_is_refused_with_the_names_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["saers-all"])
    said = capsys.readouterr().err
    assert "invalid choice: 'saers-all' (choose from" in said
    assert all(name in said for name in (*COMMANDS, *EXPERIMENTS))


def test_data_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data"]) == 0
    assert "completejourney" in capsys.readouterr().out


# --------------------------------------------------------------------------- the file

ONE = Columns(
    data="toy", method="a", variant="b", measure="AUC", value=1 / 3, seed=0, k=0, cost=0.12
)
TWO = Columns(
    data="toy", method="c", measure="recall", value=1.0, seed=1, d=4, settings={"x": None}
)


def test_a_row_holds_what_says_something() -> None:
    assert row(ONE) == {
        **{"data": "toy", "method": "a", "variant": "b", "measure": "AUC"},
        **{"k": 0, "seed": 0, "value": 0.333333, "cost": 0.1, "settings": {}},
    }


def test_a_column_that_no_record_has_or_that_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match=r"columns \['recall'\] are unknown or missing"):
        row(ONE | {"recall": 0.5})
    with pytest.raises(ValueError, match=r"columns \['seed', 'value'\] are unknown or missing"):
        row({"data": "toy", "method": "a", "measure": "AUC"})


def test_every_column_is_explained() -> None:
    table = [line for line in (experiments.record.__doc__ or "").splitlines() if "|" in line]
    said = {name for line in table[2:] for name in line.split("|")[1].replace(",", " ").split()}
    assert said == set(COLUMNS)


def test_what_is_written_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "FOLDER", tmp_path)
    assert record("toy", iter([ONE, TWO]), tmp_path) == tmp_path / "toy.json"
    table = results("toy")
    assert list(table.columns) == [*COLUMNS, "name"]
    assert table["name"].tolist() == ["a, b", "c"]
    assert table["variant"].tolist() == ["b", ""]
    assert table["seed"].tolist() == [0, 1]
    assert table["k"][0] == 0 and table["k"].isna().tolist() == [False, True]
    assert table["settings"].tolist() == [{}, {"x": None}]
    assert table.attrs["experiment"] == "toy" and "date" in table.attrs


def test_a_result_is_a_line(tmp_path: Path) -> None:
    text = record("toy", iter([ONE, TWO]), tmp_path).read_text().splitlines()
    assert [json.loads(line.strip().removesuffix(",")) for line in text[-4:-2]] == [
        row(ONE),
        row(TWO),
    ]


def test_a_run_that_ends_early_leaves_the_record_and_what_it_had(tmp_path: Path) -> None:
    before = record("toy", iter([ONE, TWO]), tmp_path).read_bytes()

    def cut_short() -> Iterator[Columns]:
        yield TWO
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record("toy", cut_short(), tmp_path)
    assert (tmp_path / "toy.json").read_bytes() == before
    rest = json.loads((tmp_path / "toy.part.json").read_text())["results"]
    assert rest == [row(TWO)]


def test_a_record_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(DataNotFound, match="no record 'saers-all'; there are reconet-cold-start, "):
        results("saers-all")


@pytest.mark.parametrize("name", NAMES)
def test_every_row_has_an_identity_of_its_own(name: str) -> None:
    table = results(name).drop(columns=["value", "cost", "name"])
    table["settings"] = table["settings"].map(json.dumps)
    assert not table.duplicated().any()
    assert (table[["data", "method", "measure"]] != "").all(axis=None)


def test_the_rows_of_a_removal_tell_the_settings_of_their_model() -> None:
    table = results("reconet-removal")
    for (method, variant), own in table.groupby(["method", "variant"]):
        recipe = EXPLAINED[str(method), str(variant)]
        assert all(settings == vars(recipe) for settings in own["settings"])
    assert EXPLAINED["RecoNet", ""].hidden is EXPLAINED["RecoNet", "attributes"].hidden is None
    deep, flat = vars(EXPLAINED["RecoNet + Layer", ""]), vars(EXPLAINED["RecoNet", ""])
    assert deep == flat | {"hidden": flat["d"]}


# --------------------------------------------------------------------------- carried over

CARRIED = {
    "reconet-cold-start": (
        "2026-11-21",
        407,
        "8244ab4921aa9f8a54ae63ea230c7ba331495b273cf927a41161036b679a424a",
    ),
    "reconet-lime": (
        "2026-11-21",
        2136,
        "51e3043805b88f89d5547060c7ec323b54c3c9c52dc1303e45e49284837a06f4",
    ),
    "reconet-removal": (
        "2026-11-21",
        546,
        "579cdac83963c5196742611bc76fd28cd0d68dc0febb273cc774573772f7d90c",
    ),
    "reconet-search-households": (
        "2026-11-21",
        30,
        "aeac55e7ff4e5e520460c912e3fcf6d8184c275c36ae1d4102e3f0ef70552488",
    ),
    "reconet-search": (
        "2026-11-21",
        20,
        "1f3c983b8a0fdb5ad800c9237d92b0efe12822927553655c3ef9858c9103477b",
    ),
    "reconet-table-1": (
        "2026-11-21",
        52,
        "ff4deb96aa3d337d90cee3edd7e64a41478ff548c61477d67d263d7ea46d50ea",
    ),
    "reconet-truth": (
        "2026-11-21",
        315,
        "1fc8968339ae4779505bbf9b27611725bd3b280d67196d2d37575195bae2c2b5",
    ),
    "relation-feedback": (
        "2026-11-21",
        18,
        "40dbfa3b1cfc85f05ab453d160eb8738c01ee369d43b78c401a9e99de2ba2285",
    ),
    "relation-table-1": (
        "2026-11-21",
        192,
        "b17f8f31a700d0c8d1ceb416a7a74afce35ca029e5c6b00b9f09dab2e29be3e4",
    ),
    "relation-truth": (
        "2026-11-21",
        100,
        "24a18dfead67aebfcf39d20cc90370a331b7ed1c27c859c5d4143fa5d91e8bd8",
    ),
    "saers-ablation": (
        "2026-11-21",
        30,
        "131a53748a10368204e69dc5f5aa82d2767d141f94dd6dc9dc25c17cffab3c83",
    ),
    "saers-auc": (
        "2026-11-21",
        1560,
        "e912eb43cf66a8906dfd8a78149cfb8f1991c6dfffe2d57ec33b5564ff20f384",
    ),
    "saers-boxes": (
        "2026-11-21",
        1620,
        "b0fbc85166e603ab41f570734ca7082dcb52d3f88c59ea2bfc3559abf01b6b66",
    ),
    "saers-photos": (
        "2026-11-21",
        667,
        "6dde121e1c901ce371ea88fa18ae5e724aedff34bc41b42755ba356f2cb827fa",
    ),
    "saers-search": (
        "2026-11-21",
        324,
        "0e8baf4c07c1c912217c44e3e5d392b15dbd7a09d3b4288bea988a8d6c2bb15e",
    ),
    "saers-siamese": (
        "2026-11-21",
        12,
        "6b6145272bd3ee113c9993d3c83daf0015018b0b68b63e0071169bcde92ef04c",
    ),
    "saers-truth": (
        "2026-11-21",
        300,
        "81799057d3c67f26aa0b2ac84724b691035ab1cad6202dbd9ca04e24dde99db8",
    ),
}
"""Record -> date, number of rows and sha256 of the rows as they were when method and measure were
strings and the other columns stood in these or in the settings."""


@pytest.mark.parametrize("name", CARRIED)
def test_every_value_is_what_it_was(name: str) -> None:
    """Until an experiment is run anew its record says what it said in its first form."""
    date, count, digest = CARRIED[name]
    table = results(name)
    if table.attrs["date"] != date:
        pytest.skip(f"recorded anew on {table.attrs['date']}")
    if name == "reconet-removal":  # some of its rows stand in a record of their own now
        table = pd.concat([table, results("reconet-removal-best")])
    assert len(table) == count
    assert digest_of(as_it_was(name, said(each)) for _, each in table.iterrows()) == digest


def digest_of(rows: Iterator[dict[str, Any]]) -> str:
    lines = sorted(json.dumps(each, sort_keys=True) for each in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def said(each: pd.Series) -> dict[str, Any]:
    """A row with plain values, without blanks in the numbers."""
    row = {name: each[name] for name in COLUMNS}
    return row | {name: None if pd.isna(each[name]) else int(each[name]) for name in NUMBERS}


def as_it_was(name: str, row: dict[str, Any]) -> dict[str, Any]:
    """Method, measure and settings in their first form."""
    old = {key: row[key] for key in ("data", "value", "seed", "cost")}
    method, measure, moved = method_of(name, row), measure_of(name, row), ()
    if name.startswith("reconet-search"):
        moved = ("trial",)
    elif name == "reconet-truth":
        moved = ("purchases", "d")
    elif name.startswith("saers") and name != "saers-boxes":
        moved = ("d", "purchases", "classes", "group")
    settings = row["settings"] | {key: row[key] for key in moved if row[key] not in (None, "")}
    if name == "reconet-lime":
        settings = {"user": row["user"], "n": row["n"]}
    elif name == "reconet-removal":
        settings = {}
    elif name == "saers-siamese":
        settings["whole"] = row["variant"]
    if row["group"] in ("all items", "cold items", "development"):
        settings.pop("group", None)
    if name == "saers-photos" and row["n"] is not None:
        ranked = row["measure"] in ("AUC", "NDCG")
        key = "purchases" if ranked else "items" if row["data"] == "hm" else "products"
        settings[key] = row["n"]
        if row["data"] != "hm":
            settings["attribute"] = row["attribute"]
    return old | {"method": method, "measure": measure, "settings": settings}


def method_of(name: str, row: dict[str, Any]) -> str:
    """Method and what the other columns say of it, in one string."""
    method, variant = row["method"], row["variant"]
    if name == "relation-table-1":
        method = f"D = {row['d']}"
    elif name == "saers-boxes":
        parts = (f"{method} {variant}".strip(), row["how"])
        return ", ".join(part for part in parts if part)
    elif name == "saers-siamese":
        return method
    elif name == "reconet-removal":
        method = method.replace("Layer", "layer")
    return f"{method}, {variant}" if variant else method


def measure_of(name: str, row: dict[str, Any]) -> str:
    """Measure and what the other columns say of it, in one string."""
    measure, k, group = row["measure"], row["k"], row["group"]
    if name == "reconet-cold-start":
        if row["told"] is not None:
            cross = measure == "cross-entropy"
            return "cold cross-entropy" if cross else f"recall@{k}, {row['told']} told"
        return f"{group.removesuffix(' users')} recall@{k}"
    if name == "reconet-lime":
        names = {"change": f"change, {k}", "overlap": f"top-{k} overlap"}
        return names.get(measure, measure)
    if name == "reconet-removal":
        if measure == "short profiles":
            return f"{measure} of at most {row['n']}"
        order = "most relevant" if "share" in measure and row["order"] == "most" else row["order"]
        parts = (measure, order, k, row["how"])
        return ", ".join(str(part) for part in parts if part not in ("", None))
    if name in ("reconet-table-1", "reconet-search", "reconet-search-households"):
        return f"{group} {measure}@{k}".strip()
    if name == "reconet-truth":
        return f"{measure}, {row['purchases']} purchases"
    if name == "relation-table-1":
        if group not in ("any categories", "right categories"):
            return f"table 1, {group}, {row['kind']}"
        first = "the rule itself" if row["method"] == "the rule itself" else measure
        return f"{first}, {row['kind']}, {row['labels']}, {group}"
    if group == "development":
        return f"development {measure}"
    if measure == "NDCG":
        measure = f"NDCG@{k}"
    last = row["labels"] or row["attribute"] or ("" if name == "saers-photos" else row["how"])
    last = group if measure == "AUC" or measure.startswith("NDCG") else last
    if name == "saers-boxes":
        last = row["attribute"]
    return f"{measure}, {last}" if last else measure
