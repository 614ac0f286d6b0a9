"""What all tests share."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from machine import ROOT
from wheels import SHIPPED, built, run, uv

# `pytest --hypothesis-profile=nightly`: what no one waits for.
settings.register_profile("nightly", max_examples=2000)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a release is built from, outside the clone: a build leaves files beside it."""
    to = tmp_path_factory.mktemp("sources")
    for name in SHIPPED:
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "THIRD_PARTY.md"):
        shutil.copy(ROOT / name, to)
    return to


@pytest.fixture(scope="session")
def wheel(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's wheel."""
    return built("wheel", sources, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def beside_the_wheel(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel and the installed dependencies, no checkout."""
    home = tmp_path_factory.mktemp("beside")
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    uv("venv", "-q", "--clear", "--python", sys.executable, home)
    uv("pip", "install", "-q", "--no-deps", "--offline", "--python", python, wheel)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    ours = Path(pytest.__file__).parents[1]  # a plain line: what *its* .pth files name stays out
    (site / "dependencies.pth").write_text(f"{ours}\n", encoding="utf-8")
    return python
