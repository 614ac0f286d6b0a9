"""nbgrader and otter-grader release, run and grade what `make nbgrader` and `make otter` write.

With their own commands, on one short page: the solution gets all points, the release as it is gets
none, and a wrong answer gets none and the checker's words.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import build
import editions
import nbformat
import pytest
from machine import ROOT, taught
from parts import parts, sheet

SETTINGS = os.environ.get("EXPLAINREC_SETTINGS") or "ci"
NAME, PAGE = "book/reconet/explanation.ipynb", "reconet-explanation"
pytestmark = [pytest.mark.slow, taught(NAME)]
STUB, WRONG = "def left(n, Z, y): ...", "def left(n, Z, y):\n    return y - Z"
SAYS = "Not yet.** A feature whose relevance is exactly the average"


@pytest.fixture
def ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a course; notebooks as they are stand for executed ones: outputs go anyway."""
    monkeypatch.setattr(build, "EXECUTED", tmp_path / "executed")
    build.copy_sources(tmp_path / "executed" / SETTINGS)
    return tmp_path / "ready"


def program(name: str, *words: str, at: Path) -> None:
    """Run a command of one of the two programs."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",  # for alembic
        "PYTHONPATH": str(ROOT),
        "EXPLAINREC_SETTINGS": SETTINGS,
        "EXPLAINREC_STATIC": "1",  # no widgets: nbclient can wait for their last word for ever
        "JUPYTER_CONFIG_DIR": str(at / ".jupyter"),  # no settings of the user's
        "JUPYTER_PREFER_ENV_PATH": "1",
    }
    command = [sys.executable, "-m", name, *words]
    run = subprocess.run(command, cwd=at, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, f"{' '.join(words)}:\n{run.stdout[-3000:]}{run.stderr[-3000:]}"


def points(by_person: bool) -> int:
    """Points of the page's exercises that a person grades, or of those that are checked."""
    total = []
    sheet(
        parts(NAME, nbformat.read(ROOT / NAME, as_version=4).cells),
        lambda task: total.append(task.points) or [] if by_person != bool(task.stub) else [],
    )
    return sum(total)


def answered(released: Path, submitted: Path) -> None:
    """A submission of the release with a wrong answer filled in."""
    text = released.read_text(encoding="utf-8")
    submitted.parent.mkdir(parents=True)
    new = text.replace(json.dumps(STUB)[1:-1], json.dumps(WRONG)[1:-1])
    assert new != text
    submitted.write_text(new, encoding="utf-8")


def no_solution_is_left(released: Path) -> None:
    text = released.read_text(encoding="utf-8")
    assert "SOLUTION" not in text
    for part in parts(NAME, nbformat.read(ROOT / NAME, as_version=4).cells):
        for line in part.cell.source.splitlines() if part.kind == "solution" else ():
            assert len(line) < 30 or json.dumps(line)[1:-1] not in text


def test_nbgrader_releases_and_grades(ready: Path) -> None:
    editions.edition("nbgrader", SETTINGS, ready)
    at = ready
    program("nbgrader", "generate_assignment", PAGE, "--create", at=at)
    released = at / "release" / PAGE
    no_solution_is_left(released / f"{PAGE}.ipynb")
    shutil.copytree(at / "source" / PAGE, at / "submitted" / "solved" / PAGE)
    shutil.copytree(released, at / "submitted" / "blank" / PAGE)
    answered(released / f"{PAGE}.ipynb", at / "submitted" / "wrong" / PAGE / f"{PAGE}.ipynb")
    program("nbgrader", "autograde", PAGE, at=at)
    program("nbgrader", "export", "--to", "grades.csv", at=at)
    with (at / "grades.csv").open(encoding="utf-8") as file:
        rows = {row["student_id"]: row for row in csv.DictReader(file)}
    full, most = points(by_person=False), points(by_person=False) + points(by_person=True)
    scores = {who: (float(row["score"]), float(row["max_score"])) for who, row in rows.items()}
    assert scores == {"solved": (full, most), "blank": (0, most), "wrong": (0, most)}
    assert full > 0
    graded = (at / "autograded" / "wrong" / PAGE / f"{PAGE}.ipynb").read_text(encoding="utf-8")
    assert SAYS in graded


def test_otter_assigns_and_grades(ready: Path) -> None:
    editions.edition("otter", SETTINGS, ready)
    at = ready / PAGE
    program("otter", "assign", f"{PAGE}.ipynb", "dist", "--no-run-tests", at=at)
    released = at / "dist" / "student" / f"{PAGE}.ipynb"
    no_solution_is_left(released)
    (archive,) = (at / "dist" / "autograder").glob("*.zip")
    answered(released, at / "wrong" / f"{PAGE}.ipynb")
    for who, source in (("solved", at / "dist" / "autograder"), ("blank", released.parent)):
        (at / who).mkdir()
        shutil.copy(source / f"{PAGE}.ipynb", at / who)
    results = {}
    for who in ("solved", "blank", "wrong"):
        program("otter", "run", "-a", str(archive), f"{PAGE}.ipynb", at=at / who)
        results[who] = json.loads((at / who / "results.json").read_text(encoding="utf-8"))["tests"]
    full = points(by_person=False)
    scores = {who: sum(row.get("score", 0) for row in rows) for who, rows in results.items()}
    assert scores == {"solved": full, "blank": 0, "wrong": 0}
    assert SAYS in json.dumps(results["wrong"])
