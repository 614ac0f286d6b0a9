"""What `make` installs, told from the commands it gives to a Python that only writes them down."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from machine import ROOT

PYTHON = """#!/bin/sh
case "$*" in *--dry-run*) exit ${INDEX:-0};; esac
echo "$*" >>commands
case "$*" in *torch-backend*) exit ${BACKEND:-0};; *"uv pip install"*) exit ${UV:-0};; esac
"""

BY_UV = "-m uv pip install --python .venv/bin/python"
BY_PIP = "-m pip install --disable-pip-version-check"


@pytest.fixture
def installs(tmp_path: Path):  # type: ignore[no-untyped-def]
    """(goal, environment) -> the commands that install the package, in order."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON)
    python.chmod(0o755)

    def run(goal: str, **environment: str) -> list[str]:
        own = {"PATH": os.environ["PATH"], "PYTHON": "true", **environment}
        subprocess.run(["make", goal], cwd=tmp_path, env=own, check=True, capture_output=True)
        log = tmp_path / "commands"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [line for line in lines if " -e " in line]

    return run


def test_readers_get_the_book_and_developers_their_tools(installs) -> None:  # type: ignore[no-untyped-def]
    assert installs("book") == [f"{BY_UV} --torch-backend=auto -e .[book]"]
    assert installs("lab") == []
    assert installs("test") == [f"{BY_UV} --torch-backend=auto -e .[test]"]
    assert installs("book") == []


@pytest.mark.parametrize(
    "why", [{"INDEX": "1"}, {"UV_TORCH_BACKEND": "cpu"}], ids=["no index", "named"]
)
def test_without_pytorch_s_index_or_with_a_backend_of_one_s_own(  # type: ignore[no-untyped-def]
    installs, why: dict[str, str]
) -> None:
    assert installs("env", **why) == [f"{BY_UV} -e .[book]"]


def test_what_fails_is_tried_the_plainer_way(installs) -> None:  # type: ignore[no-untyped-def]
    first = f"{BY_UV} --torch-backend=auto -e .[book]"
    assert installs("env", BACKEND="1", UV="1") == [
        first,
        f"{BY_UV} -e .[book]",
        f"{BY_PIP} -e .[book]",
    ]
