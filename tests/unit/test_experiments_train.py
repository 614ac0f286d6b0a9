"""`python -m experiments train`: what it takes, what it refuses, and that it goes on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from toys import shop

from experiments import train
from experiments.__main__ import main
from explainrec_lab.data.sources import SOURCES
from explainrec_lab.data.store import table_beside
from explainrec_lab.settings import NAMES, PRECISIONS

WISHES = ("SETTINGS", "DEVICES", "NODES", "PRECISION")


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own wishes, and none left behind; as a script, which a worker of pytest-xdist is not."""
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "script.py", raising=False)
    for name in WISHES:
        monkeypatch.setenv(f"EXPLAINREC_{name}", "")


def test_the_options_are_those_that_the_settings_know() -> None:
    options = table_beside(train.__file__)
    assert tuple(options["--settings"]["choices"]) == NAMES
    assert tuple(options["--precision"]["choices"]) == PRECISIONS
    assert options["chapter"]["choices"] == list(train.CHAPTERS)


def test_help_tells_a_stranger_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["train", "--help"])
    said = capsys.readouterr().out
    assert end.value.code == 0
    for word in ("torchrun", "fabric run", "srun", "--devices", "give the same command again"):
        assert word in said


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--devices", "two"], "EXPLAINREC_DEVICES: 'two' must be a whole number from 1"),
        (["--devices", "70000"], "EXPLAINREC_DEVICES is 70000, but this machine has"),
        (["--epochs", "-1"], "--epochs: -1 must be at least 1"),
        (["--threads", "0"], "--threads: 0 must be at least 1"),
        (["--data", "nowhere"], "name: no data source 'nowhere'; choose from"),
        (["--nodes", "2"], "EXPLAINREC_NODES is 2: let torchrun or srun start it"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    more: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--settings", "ci", "--checkpoint", str(tmp_path)]
    assert main(["train", "reconet", *where, *more]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"experiments: {message}")
    assert said.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_source_without_what_a_chapter_needs_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SOURCES, "toy", (lambda: shop(1), None, {}))
    where = ["--settings", "ci", "--checkpoint", str(tmp_path)]
    assert main(["train", "relation", "--data", "toy", *where]) == 2
    assert capsys.readouterr().err.startswith("experiments: relations: ")


@pytest.mark.slow
def test_the_same_command_goes_on_and_writes_the_same_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    command = ["train", "reconet", "--settings", "ci", "--epochs", "1"]
    with caplog.at_level("INFO", "explainrec_lab.training"):
        assert main([*command, "--checkpoint", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "recall@50 of held-out items 0." in said
    assert "epoch 1: loss" in caplog.text
    assert "examples/s" in caplog.text
    assert caplog.text.count("MB") == 1
    assert os.environ["EXPLAINREC_SETTINGS"] == "ci"
    (file,) = tmp_path.glob("*.safetensors")
    (state,) = tmp_path.glob("*.checkpoint")
    before, weights = state.stat().st_mtime_ns, load_file(file)
    file.unlink()
    assert main([*command, "--checkpoint", str(tmp_path)]) == 0
    assert capsys.readouterr().out == said
    assert state.stat().st_mtime_ns == before
    again = load_file(file)
    assert all(np.array_equal(again[name], weights[name]) for name in weights)
