"""Measured rows reach a record through the tests that make them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from experiments.speed import gpu_check

SOURCE = """
def test_one(record_property):
    record_property("row", {"measure": "speed", "value": 3.0})

def test_other():
    assert False
"""


def test_what_tests_record_becomes_rows_and_a_failure_is_told(tmp_path: Path, root: Path) -> None:
    (tmp_path / "test_toy.py").write_text(SOURCE)
    program = (
        "import sys; from pathlib import Path; from experiments.speed import measured;"
        "print('ROWS', *[(r['measure'], r['value']) for r in measured(Path(sys.argv[1]))])"
    )
    asked = [sys.executable, "-c", program, str(tmp_path / "test_toy.py")]
    said = subprocess.run(asked, cwd=root, capture_output=True, text=True, check=True).stdout
    assert "ROWS ('speed', 3.0) ('exit code', 1)" in said


def test_without_a_gpu_nothing_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLAINREC_SETTINGS", "cpu")
    with pytest.raises(ValueError, match="gpu-check: it needs a GPU"):
        gpu_check()
