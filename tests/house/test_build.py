"""The pipeline runs a notebook when it must, only then, and never leaves half a result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import build
import pytest


def write_notebook(path: Path, source: str) -> None:
    cell = {"cell_type": "code", "id": "one", "metadata": {}, "outputs": [], "source": source}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    content = {"cells": [{**cell, "execution_count": None}], "metadata": kernel}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**content, "nbformat": 4, "nbformat_minor": 5}))


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one notebook, and the pipeline pointed at it."""
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["pytest"]\n')
    (tmp_path / "explainrec_lab").mkdir()
    (tmp_path / "explainrec_lab" / "room.py").write_text("x = 1\n")
    write_notebook(tmp_path / "book" / "one.ipynb", "print(6 * 7)")
    tools = tmp_path / "book" / "_tools" / "build.py"
    tools.parent.mkdir()
    tools.write_text("")
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "EXECUTED", tmp_path / ".executed")
    monkeypatch.setattr(build, "__file__", str(tools))
    monkeypatch.setattr(build, "data_on_this_machine", lambda: [])
    return tmp_path


def outputs(lab: Path) -> str:
    executed = json.loads((lab / ".executed" / "ci" / "book" / "one.ipynb").read_text())
    return "".join(executed["cells"][0]["outputs"][0]["text"])


def test_a_notebook_runs_once_and_its_time_is_kept(
    lab: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    build.execute("ci")
    assert outputs(lab) == "42\n"
    (row,) = build.executed(lab / ".executed" / "ci").values()
    assert set(row) == {*("key", "seconds", "cores", "gpu", "sha256")}
    capfd.readouterr()
    build.execute("ci")
    assert "0 to execute, 1 unchanged" in capfd.readouterr().out
    assert outputs(lab) == "42\n"


def test_a_failing_cell_is_shown_and_the_last_good_copy_stays(
    lab: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    build.execute("ci")
    write_notebook(lab / "book" / "one.ipynb", "raise KeyError('no such shopper')")
    with pytest.raises(SystemExit, match="Notebooks failed"):
        build.execute("ci")
    assert "no such shopper" in capfd.readouterr().out
    assert outputs(lab) == "42\n"
    assert [path.name for path in (lab / ".executed").glob("[!.]*")] == ["ci"]


def test_the_key_covers_package_settings_book_files_and_data(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {build.shared_key("ci"), build.shared_key("cpu")}
    (lab / "explainrec_lab" / "room.py").write_text("x = 2\n")
    keys.add(build.shared_key("ci"))
    (lab / "book" / "recorded.json").write_text("{}")
    keys.add(build.shared_key("ci"))
    monkeypatch.setattr(build, "data_on_this_machine", lambda: ["ml-1m.zip 1"])
    keys.add(build.shared_key("ci"))
    assert len(keys) == 5


def test_a_page_without_code_changes_no_key(lab: Path) -> None:
    before = build.shared_key("ci")
    (lab / "book" / "index.md").write_text("# A page\n")
    assert build.shared_key("ci") == before


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"notebooks": 3}', '{"notebooks": {"a": 1}}'])
def test_a_damaged_record_means_that_nothing_was_executed(tmp_path: Path, damage: str) -> None:
    (tmp_path / "a").touch()
    (tmp_path / build.TIMES).write_text(damage)
    assert build.executed(tmp_path) == {}


def test_a_damaged_record_is_written_again(lab: Path) -> None:
    record = lab / ".executed" / "ci" / build.TIMES
    record.parent.mkdir(parents=True)
    record.write_text('{"settings": "ci", "notebooks": {"book/one.ipynb": {}}}')
    build.execute("ci")
    assert outputs(lab) == "42\n"
    assert set(build.executed(record.parent)) == {"book/one.ipynb"}


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_build_leaves_no_half_copy(lab: Path, stop: signal.Signals) -> None:
    write_notebook(lab / "book" / "one.ipynb", "import time; time.sleep(60)")
    program = (
        f"import build, pathlib; build.ROOT = pathlib.Path({str(lab)!r});"
        "build.__file__ = str(build.ROOT / 'book/_tools/build.py');"
        "build.EXECUTED = build.ROOT / '.executed'; build.data_on_this_machine = lambda: [];"
        "build.main()"
    )
    tools = str(Path(__file__).parents[2] / "book" / "_tools")
    environment = os.environ | {"PYTHONPATH": tools, "EXPLAINREC_SETTINGS": "ci"}
    run = subprocess.Popen([sys.executable, "-c", program], env=environment)
    while not list(lab.glob(".executed/ci.part-*/book/one.ipynb")):
        assert run.poll() is None
        time.sleep(0.1)
    run.send_signal(stop)
    assert run.wait(timeout=60) == 128 + stop
    assert not list((lab / ".executed").glob("[!.]*"))
