"""Binder, Docker and the devcontainer: their files parse, and say what pyproject.toml says.

None of them is run here: that takes a daemon and an image from a registry.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib

import pytest
import yaml
from machine import ROOT, lacking
from packaging.specifiers import SpecifierSet

from explainrec_lab.settings import NAMES

INSTALL = r"uv pip install[^\n]* --torch-backend=cpu -e '\.\[(\w+)\]'"


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def pythons() -> SpecifierSet:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    return SpecifierSet(project["requires-python"])


def test_binder_gets_one_python_that_the_course_supports() -> None:
    """repo2docker takes `python=3.12`, not a range."""
    python, pip = yaml.safe_load(text(".binder/environment.yml"))["dependencies"]
    assert re.fullmatch(r"python=3\.\d+", python) and pip == "pip"
    assert pythons().contains(python.removeprefix("python="))


@pytest.mark.parametrize("script", ["postBuild", "start"])
def test_binder_s_scripts_are_shell_and_may_run(script: str) -> None:
    path = ROOT / ".binder" / script
    assert os.access(path, os.X_OK) or os.name == "nt"
    try:
        subprocess.run(["bash", "-n", str(path)], check=True)
    except FileNotFoundError:
        lacking("bash")


@pytest.mark.parametrize("file", [".binder/postBuild", "Dockerfile"])
def test_what_is_installed_is_the_book_with_pytorch_for_cpus(file: str) -> None:
    extras = tomllib.loads(text("pyproject.toml"))["project"]["optional-dependencies"]
    (extra,) = re.findall(INSTALL, text(file))
    assert extra == "book" and {"jupyterlab", "jupyterlab-myst"} <= {
        re.split(r"[<>=]", line)[0] for line in extras[extra]
    }


def test_binder_starts_with_settings_for_two_cores(tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert "ci" in NAMES
    said = subprocess.run(
        ["bash", str(ROOT / ".binder" / "start"), "printenv", "EXPLAINREC_SETTINGS"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "ci\n"


def test_the_image_has_a_supported_python_and_no_root() -> None:
    lines = re.sub(r"\\\n", " ", text("Dockerfile")).splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    known = {"FROM", "RUN", "USER", "ENV", "WORKDIR", "COPY", "EXPOSE", "CMD"}
    assert {step[0] for step in steps} == known
    first, *rest = steps
    assert pythons().contains(re.fullmatch(r"python:(3\.\d+)-slim", first[1])[1])
    names = [step[0] for step in rest]
    assert ["USER", "reader"] in steps and names.index("USER") < names.index("COPY")
    assert json.loads(steps[-1][1])[:2] == ["jupyter", "lab"]


def test_the_image_leaves_out_what_a_clone_makes() -> None:
    ignored = text(".dockerignore").splitlines()
    assert {".git", ".venv*", "_build", ".executed"} <= set(ignored)


def test_the_devcontainer_is_that_image_as_its_user() -> None:
    container = json.loads(text(".devcontainer/devcontainer.json"))
    folder = ROOT / ".devcontainer"
    assert (folder / container["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert (folder / container["build"]["context"]).resolve() == ROOT
    assert f"USER {container['remoteUser']}\n" in text("Dockerfile")


@pytest.mark.parametrize("file", ["Dockerfile", ".binder/postBuild", ".binder/start"])
def test_no_address_of_an_index_is_named(file: str) -> None:
    assert not re.search(r"https?://|index-url", text(file))
