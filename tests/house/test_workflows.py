"""What a fork inherits: workflows that fit their schemas, call what exists, and may little."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import build
import pytest
import yaml
from machine import ROOT

GITHUB = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
GITLAB = ROOT / ".gitlab-ci.yml"
PAGES, MONTHLY = (ROOT / ".github/workflows" / name for name in ("pages.yml", "monthly.yml"))
NAMED = {"ids": lambda path: path.name}
ACTION = re.compile(r"actions/[a-z-]+@v\d+")
TARGET = re.compile(r"^([a-z][a-z ]*):", re.MULTILINE)
# Beside reading the code, each may do what its purpose needs.
MAY = {
    "pages.yml": {"pages", "id-token"},
    "pull-request.yml": set(),
    "monthly.yml": {"issues"},
}


def read(path: Path) -> dict[Any, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs(path: Path) -> list[dict[str, Any]]:
    return list(read(path)["jobs"].values())


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(path) for step in job["steps"]]


def commands(path: Path) -> list[str]:
    """What its jobs run in a shell."""
    if path == GITLAB:
        held = [job for job in read(path).values() if isinstance(job, dict) and "script" in job]
        return [line for job in held for line in job["script"]]
    return [step["run"] for step in steps(path) if "run" in step]


def test_there_is_one_to_publish_one_for_pull_requests_and_one_a_month() -> None:
    assert {path.name for path in GITHUB} == MAY.keys()
    assert read(GITLAB).keys() >= {"test", "monthly", "pages"}


@pytest.mark.parametrize("path", [*GITHUB, GITLAB], **NAMED)
def test_it_fits_its_schema(path: Path) -> None:
    schema = "gitlab-ci" if path == GITLAB else "github-workflows"
    command = ["check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(path)]
    command += ["--data-transform", "gitlab-ci"] if path == GITLAB else []
    run = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("path", [*GITHUB, GITLAB], **NAMED)
def test_what_it_calls_is_there(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {name for names in TARGET.findall(makefile) for name in names.split()}
    called = re.findall(r"\bmake ([\w-]+)", "\n".join(commands(path)))
    scripts = [line for line in commands(path) if line.startswith(".ci/")]
    assert called or scripts
    assert set(called) <= targets
    assert all(os.access(ROOT / script, os.X_OK) for script in scripts)


@pytest.mark.parametrize("path", GITHUB, **NAMED)
def test_it_may_do_no_more_than_it_needs(path: Path) -> None:
    every = [read(path)["permissions"], *(job.get("permissions", {}) for job in jobs(path))]
    written = {name for each in every for name, may in each.items() if may == "write"}
    assert read(path)["permissions"]["contents"] == "read"
    assert written == MAY[path.name]
    assert all("timeout-minutes" in job for job in jobs(path) if "deploy" not in str(job["steps"]))


@pytest.mark.parametrize("path", GITHUB, **NAMED)
def test_actions_have_a_major_version_python_is_one_and_torch_is_small(path: Path) -> None:
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert used and all(ACTION.fullmatch(action) for action in used)
    (python,) = [s["with"]["python-version"] for s in steps(path) if "setup-python" in str(s)]
    assert python == "3.12"
    assert read(path)["env"]["UV_TORCH_BACKEND"] == "cpu"
    keys = [step["with"]["key"] for step in steps(path) if "cache@" in step.get("uses", "")]
    assert all("hashFiles('pyproject.toml')" in key for key in keys)
    assert len(keys) == (path.name != "monthly.yml"), "the newest packages are never cached ones"


def test_the_folder_that_is_published_is_the_one_that_is_built() -> None:
    built = build.PAGE.relative_to(ROOT).as_posix()
    (upload,) = [s for s in steps(PAGES) if "upload-pages-artifact" in s.get("uses", "")]
    assert upload["with"]["path"] == built
    assert f"mv {built} public" in commands(GITLAB)
    assert read(GITLAB)["pages"]["artifacts"]["paths"] == ["public"]


def test_what_breaks_in_a_month_opens_an_issue_once() -> None:
    (step,) = [step for step in steps(MONTHLY) if step.get("if") == "failure()"]
    assert "gh issue list" in step["run"] and "gh issue create" in step["run"]
    script = step["run"].replace("gh ", "say ")
    for opened, made in (("0", 1), ("1", 0)):
        say = f'say() {{ case "$*" in *list*) echo {opened};; *) echo "$@" >&2;; esac; }}\n'
        run = subprocess.run(
            ["bash", "-eu", "-c", say + script],
            env=os.environ | {"TITLE": "T", "RUN": "R"},
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0 and run.stderr.count("create") == made
