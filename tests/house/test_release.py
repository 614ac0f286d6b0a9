"""The release: wheel and source archive are whole, install alone, and name what they hold."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from machine import ROOT
from packaging.requirements import Requirement
from wheels import SHIPPED, built, run, uv

import explainrec_lab

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
VERSION = explainrec_lab.__version__
INFO = f"explainrec_lab-{VERSION}.dist-info"


def held(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.startswith(INFO)}


def there() -> set[str]:
    """Every file of the two packages."""
    found = (path for name in SHIPPED for path in (ROOT / name).rglob("*") if path.is_file())
    named = {path.relative_to(ROOT).as_posix() for path in found}
    return {name for name in named if "__pycache__" not in name and ".part" not in name}


# ------------------------------------------------------------------------ what it holds


def test_the_wheel_holds_every_file_of_both_packages(wheel: Path) -> None:
    own = "explainrec_boutique/pyproject.toml"  # the boutique's, for who installs it alone
    assert there() - held(wheel) <= {own} and not held(wheel) - there()


@pytest.mark.parametrize(
    ("kind", "least"),
    [
        ("py.typed", 1),
        (".js", 9),
        (".css", 1),
        (".safetensors", 2),
        ("results/", 20),
        (".toml", 4),
        (".html", 2),
        (".pyi", 1),
    ],
)
def test_among_them_is_what_is_no_code(wheel: Path, kind: str, least: int) -> None:
    assert len([name for name in held(wheel) if kind in name]) >= least


def test_the_wheel_says_version_dependencies_and_licences(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        said = message_from_string(archive.read(f"{INFO}/METADATA").decode())
        assert {f"{INFO}/licenses/{name}" for name in PROJECT["license-files"]} <= {
            *archive.namelist()
        }
    assert said["Version"] == VERSION
    own = [line for line in said.get_all("Requires-Dist") if "extra ==" not in line]
    assert {*map(Requirement, own)} == {*map(Requirement, PROJECT["dependencies"])}


def test_the_source_archive_makes_the_same_wheel(
    sources: Path, wheel: Path, tmp_path: Path
) -> None:
    sdist = built("sdist", sources, tmp_path)
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    again = built("wheel", unpacked, tmp_path / "again")
    assert held(again) == held(wheel)


# --------------------------------------------------------------------- where nothing else is

ALONE = """
import sys
from pathlib import Path
import explainrec_lab as lab
assert Path(lab.__file__).is_relative_to(sys.prefix), lab.__file__
for room in lab.ROOMS:
    getattr(lab, room)
assert len(lab.data.results("reconet-table-1")) > 10
assert lab.weights.read("attributes")
assert lab.exercises.exercises() and lab.exercises.questions()
assert "function" in lab.live.source("model.js")
assert not any(Path.cwd().iterdir())
print(lab.__version__)
"""


def test_in_an_empty_environment_every_room_opens(wheel: Path, tmp_path: Path) -> None:
    """All dependencies from the installer's cache; else those that are installed here."""
    home, empty = tmp_path / "home", tmp_path / "empty"
    empty.mkdir()
    uv("venv", "-q", "--python", sys.executable, home)
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    install = [sys.executable, "-m", "uv", "pip", "install", "-q", "--offline", "--python", python]
    if subprocess.run([*map(str, install), str(wheel)], check=False).returncode:
        pytest.skip("the installer's cache lacks the dependencies; the next test has them")
    assert run(python, "-c", ALONE, cwd=str(empty)).strip() == VERSION
    assert not shutil.which("ipykernel", path=str(python.parent))


def test_beside_the_installed_dependencies_every_room_opens(
    beside_the_wheel: Path, tmp_path: Path
) -> None:
    assert run(beside_the_wheel, "-c", ALONE, cwd=str(tmp_path)).strip() == VERSION


# ------------------------------------------------------------------------------- papers


def test_the_changes_end_with_this_version_and_name_every_room() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\d\S*)", changes, re.MULTILINE)[0] == VERSION
    for room in explainrec_lab.ROOMS:
        assert f"`lab.{room}`" in changes, room


def test_constraints_pin_with_hashes_and_name_no_host() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert not re.search(r"https?:|\bindex\b|--find-links|\S@\s|\+\w+(?= |$)", text)
    pinned = re.split(r"\n(?=\S)", text.strip())[1:]
    for each in pinned:
        assert re.match(r"[a-z0-9.-]+==\S+( ;.+)? \\\n    --hash=sha256:[0-9a-f]{64}", each), each


def test_constraints_hold_what_pyproject_names_in_versions_that_it_allows() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^([a-z0-9.-]+)==(\S+)", text, re.MULTILINE)
    extras = PROJECT["optional-dependencies"]
    for line in PROJECT["dependencies"] + extras["book"] + extras["test"]:
        asked = Requirement(line)
        if asked.name != PROJECT["name"]:
            found = [version for name, version in pins if name == asked.name]
            assert found, f"constraints.txt lacks {asked.name}: make constraints"
            assert all(asked.specifier.contains(version) for version in found), asked
