"""Raw logs as histories on disk: what comes out is what went in, and bad input leaves nothing."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments import histories
from experiments.__main__ import main
from explainrec_lab.data import from_frames
from explainrec_lab.data.contracts import Features
from explainrec_lab.reconet import FeatureSpace, RemovedItems
from explainrec_lab.reconet import data as examples_of

duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed: explainrec-lab[scale]")


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    """A log in no order, with repeats: ids are neither contiguous nor numbers."""
    rng = np.random.default_rng(0)
    user, item = rng.integers(50, size=900), rng.integers(30, size=900)
    return pd.DataFrame(
        {"when": range(900), "who": user * 7 - 100, "what": [f"i'{n}" for n in item]}
    )


@pytest.fixture(params=["parquet", "csv", "two files"])
def log(request: pytest.FixtureRequest, events: pd.DataFrame, tmp_path: Path) -> str:
    if request.param == "csv":
        events.to_csv(tmp_path / "log's.csv", index=False)
        return str(tmp_path / "log's.csv")
    if request.param == "parquet":
        events.to_parquet(tmp_path / "log.parquet")
        return str(tmp_path / "log.parquet")
    (tmp_path / "log").mkdir()
    events[:300].to_parquet(tmp_path / "log/a.parquet")
    events[300:].to_parquet(tmp_path / "log/b.parquet")
    return str(tmp_path / "log/*.parquet")


def known(events: pd.DataFrame) -> list[set[str]]:
    """The history of each user, in the order of their ids."""
    return [set(group) for _, group in events.groupby("who")["what"]]


def test_histories_on_disk_are_those_of_the_log(
    log: str, events: pd.DataFrame, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    told = histories.write(log, out, "who", "what", "100MB")
    assert json.loads((out / "manifest.json").read_text()) == told
    assert told["events"] == 900
    assert told["pairs"] == len(events[["who", "what"]].drop_duplicates()) < 900
    assert np.load(out / "offsets.npy")[-1] == len(np.load(out / "histories.npy")) == told["pairs"]
    names = pd.read_parquet(out / "items.parquet")["id"].tolist()
    assert names == sorted(set(events["what"]))
    assert pd.read_parquet(out / "users.parquet")["id"].tolist() == sorted(set(events["who"]))
    found = histories.Histories(out)
    users = np.random.default_rng(1).permutation(found.n_users)
    rows = found[users]
    assert rows.shape == (len(users), 30)
    for row, user in enumerate(users):
        items = rows[[row]].indices.tolist()
        assert items == sorted(items)
        assert {names[item] for item in items} == known(events)[user]
    assert sorted(each.name for each in tmp_path.iterdir() if each.name.startswith(".")) == []


def test_examples_are_the_same_from_disk_and_from_memory(
    events: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples_of, "CROWD", 16)
    monkeypatch.setattr(examples_of, "BLOCK", 4)
    events.to_parquet(tmp_path / "log.parquet")
    histories.write(str(tmp_path / "log.parquet"), tmp_path / "out", "who", "what")
    once = events.drop_duplicates(["who", "what"])
    items = pd.DataFrame({"item": sorted(set(events["what"]))}).assign(title="-")
    in_memory = from_frames(once, items=items, user="who", item="what").interactions
    on_disk: Any = histories.Histories(tmp_path / "out")
    space = FeatureSpace(("-",) * 30, Features.none(30), ())
    batches = [list(RemovedItems(each, space, batch_size=10)(3)) for each in (in_memory, on_disk)]
    assert len(batches[0]) == 5
    for one, other in zip(*batches, strict=True):
        assert len(one) == len(other)
        for name in ("inputs", "targets", "silenced"):
            a, b = getattr(one, name), getattr(other, name)
            assert a.offsets.tolist() == b.offsets.tolist()
            assert a.ids.tolist() == b.ids.tolist()


def test_more_pairs_than_are_read_at_a_time_keep_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several threads, several chunks, several row groups of DuckDB's (122,880 rows each)."""
    monkeypatch.setattr(histories, "CHUNK", 3)
    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(10_000_000, size=400_000))
    log = pd.DataFrame({"user": pairs // 100, "item": pairs % 100})
    log.sample(frac=1, random_state=0).to_parquet(tmp_path / "log.parquet")
    histories.write(str(tmp_path / "log.parquet"), tmp_path / "out")
    users, numbers = np.unique(log["user"], return_inverse=True)
    found = histories.Histories(tmp_path / "out")[np.arange(len(users))]
    assert (found.indices == log["item"]).all()
    assert (np.repeat(np.arange(len(users)), np.diff(found.indptr)) == numbers).all()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"who": None}, "who"),
        ({"rows": 0}, "has no rows"),
        ({"called": "user"}, 'does not have a column named "user"'),  # DuckDB knows such a word
        ({"null": "who"}, "1 of 900 rows have no who or no what"),
        ({"null": "what"}, "1 of 900 rows have no who or no what"),
        ({"cut": True}, "log.parquet"),
        ({"gone": True}, "No files found"),
    ],
)
def test_a_bad_log_is_one_line_and_nothing_is_written(
    changed: dict[str, Any], told: str, events: pd.DataFrame, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    table, path, out = events.astype({"who": "Int64"}), tmp_path / "log.parquet", tmp_path / "out"
    if "who" in changed:
        table = table.drop(columns="who")
    if column := changed.get("null"):
        table.loc[5, column] = None
    table[: changed.get("rows", 900)].to_parquet(path)
    if "cut" in changed:
        path.write_bytes(path.read_bytes()[:-50])
    if "gone" in changed:
        path.unlink()
    user = changed.get("called", "who")
    assert main(["histories", str(path), str(out), "--user", user, "--item", "what"]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert told in lines[0]
    assert [each.name for each in tmp_path.iterdir() if each != path] == []


def test_a_folder_that_is_there_or_cannot_be_written_is_named(
    events: pd.DataFrame, tmp_path: Path
) -> None:
    events.to_parquet(log := tmp_path / "log.parquet")
    with pytest.raises(ValueError, match="is there already; name a new one"):
        histories.write(str(log), tmp_path, "who", "what")
    with pytest.raises(ValueError, match=r"No such file|cannot find"):
        histories.write(str(log), tmp_path / "nowhere" / "out", "who", "what")


def test_a_damaged_file_is_named(events: pd.DataFrame, tmp_path: Path) -> None:
    events.to_parquet(log := tmp_path / "log.parquet")
    histories.write(str(log), out := tmp_path / "out", "who", "what")
    file = out / "histories.npy"
    whole = file.read_bytes()
    for damaged in (whole[:-8], whole[:-4] + bytes(4), b""):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"histories\.npy changed since then"):
            histories.Histories(out)
    file.unlink()
    with pytest.raises(ValueError, match=r"histories\.npy"):
        histories.Histories(out)
    for text in ("{", "[]", "{}", '{"sums": 3}'):
        (out / "manifest.json").write_text(text)
        with pytest.raises(ValueError, match="is damaged"):
            histories.Histories(out)
    (out / "manifest.json").unlink()
    with pytest.raises(FileNotFoundError, match="no histories: python"):
        histories.Histories(out)


def test_without_duckdb_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name == "duckdb":
            raise ImportError(name)
        return usual(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(FileNotFoundError, match=r"pip install explainrec-lab\[scale\]"):
        histories.write("log.csv", tmp_path / "out")
