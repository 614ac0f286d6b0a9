"""The files at the root agree with each other, and the code is as the tools want it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from machine import ROOT


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def tracked() -> list[str]:
    """Files that git tracks or would track; without git, the files of the known folders."""
    if shutil.which("git") and (ROOT / ".git").exists():
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return [name for name in names.stdout.splitlines() if (ROOT / name).is_file()]
    found = (path for f in ("book", "explainrec_lab", "tests") for path in (ROOT / f).rglob("*.*"))
    return [path.relative_to(ROOT).as_posix() for path in found if path.is_file()]


def test_conda_installs_what_pyproject_names() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    environment = yaml.safe_load(text("environment.yml"))
    *conda, pip = environment["dependencies"]
    assert conda == [f"python{project['requires-python']}", "pip"]
    assert pip == {"pip": ["-e .[book]"]}
    assert set(project["optional-dependencies"]) >= {"test", "book"}
    assert environment["name"] == project["name"]


def test_pyproject_names_what_the_course_promises() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    extras = project["optional-dependencies"]
    lines = project["dependencies"] + extras["book"] + extras["test"]
    names = {re.split(r"[^\w-]", line, maxsplit=1)[0] for line in lines}
    promised = "jupyter-book jupyterlab torch torchvision captum matplotlib seaborn ipywidgets"
    assert names >= {*promised.split(), "nbmake", "pytest"}


def test_citation_is_complete_and_in_step() -> None:
    citation = yaml.safe_load(text("CITATION.cff"))
    needed = {"cff-version", "message", "title", "authors", "version", "license", "references"}
    assert needed <= citation.keys()
    assert (
        citation["version"]
        == re.search(r'__version__ = "(.+)"', text("explainrec_lab/__init__.py"))[1]
    )
    assert len(citation["references"]) == 3, "one for each paper"


def test_licence_names_both_licences_and_what_they_leave_out() -> None:
    licence = text("LICENSE")
    for words in ("MIT License", "creativecommons.org/licenses/by/4.0/", "Data sets keep"):
        assert words in licence


def test_no_file_names_a_machine() -> None:
    machine = re.compile(r"(?<![\w.])/(?:home|root|Users|work)/\w")
    kinds = {".py", ".md", ".ipynb", ".yml", ".toml", ".cff", ".css", ".bib", ".json", ""}
    named = [
        name for name in tracked() if Path(name).suffix in kinds and machine.search(text(name))
    ]
    assert not named


def test_every_name_is_one_on_windows_too() -> None:
    reserved = {"con", "prn", "aux", "nul", *(f"{p}{n}" for p in ("com", "lpt") for n in range(10))}
    names = tracked()
    for name in names:
        for part in Path(name).parts:
            assert not re.search(r'[<>:"|?*\\\x00-\x1f]|[ .]$', part), name
            assert part.split(".")[0].lower() not in reserved, name
    assert len({name.lower() for name in names}) == len(names), "two differ in capitals alone"
    assert max(map(len, names)) < 160, "with a folder before it, Windows allows 260 characters"


TOOLS = {
    "ruff check": ["ruff", "check", "--no-cache", "."],
    "ruff format": ["ruff", "format", "--no-cache", "--check", "."],
    "mypy": ["mypy"],
}


@pytest.mark.parametrize("tool", TOOLS)
def test_tool_finds_nothing(tool: str) -> None:
    command = [sys.executable, "-m", *TOOLS[tool]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
