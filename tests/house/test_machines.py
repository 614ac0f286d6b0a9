"""The course runs on machines unlike ours: other locales, names, folders, nobody's home, no git."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import ROOT, tree

HOUSE = ("explainrec_lab", "explainrec_boutique", "experiments", "book", "tests")
# Without UTF-8 mode and coercion: what is read in the locale's encoding is read as ASCII.
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


# --------------------------------------------------------------------------- text is UTF-8


def in_the_locale(code: ast.Module) -> Iterator[ast.Call]:
    """Calls that read or write text in whatever encoding the machine has."""
    for call in (node for node in ast.walk(code) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func).rpartition(".")[2]
        given = {word.arg for word in call.keywords}
        modes = [word.value for word in call.keywords if word.arg == "mode"] + call.args
        binary = any(isinstance(m, ast.Constant) and "b" in str(m.value) for m in modes[:2])
        opens = ast.unparse(call.func) == "open" or (
            name == "open" and modes and _is_mode(modes[0])
        )
        text = name in ("read_text", "write_text", "TextIOWrapper") and len(call.args) < 2
        piped = name in ("run", "Popen", "check_output") and given & {"text", "universal_newlines"}
        if (text or piped or (opens and not binary)) and "encoding" not in given:
            yield call


def _is_mode(given: ast.expr) -> bool:
    return isinstance(given, ast.Constant) and bool(re.fullmatch(r"[rwax+bt]+", str(given.value)))


def sources() -> list[Path]:
    found = [path for name in HOUSE for path in sorted((ROOT / name).rglob("*"))]
    return [p for p in found if p.suffix in (".py", ".ipynb") and not _hidden(p)]


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(ROOT).parts)


def test_every_text_file_is_read_and_written_as_utf_8() -> None:
    outside = [path for path in sources() if path.relative_to(ROOT).parts[0] != "tests"]
    bad = [
        f"{path.relative_to(ROOT)}:{call.lineno}: {ast.unparse(call)[:60]}"
        for path in outside
        for call in in_the_locale(tree(path))
    ]
    assert not bad, "\n".join(["these take the locale's encoding:", *bad])


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("p.read_text()", True),
        ("p.read_text(encoding='utf-8')", False),
        ("p.write_text(x)", True),
        ("open(p)", True),
        ("open(p, 'rb')", False),
        ("p.open('w')", True),
        ("p.open('ab')", False),
        ("archive.open(name)", False),
        ("subprocess.run(c, text=True)", True),
        ("subprocess.run(c, encoding='utf-8')", False),
        ("io.TextIOWrapper(f)", True),
        ("io.TextIOWrapper(f, 'utf-8')", False),
    ],
)
def test_the_search_finds_what_it_should(line: str, found: bool) -> None:
    assert bool([*in_the_locale(ast.parse(line))]) == found


# --------------------------------------------------------------------------- elsewhere


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository without git, in a folder with a space and letters beyond ASCII."""
    to = tmp_path_factory.mktemp("my course") / "Álvaro Ríos — 学"
    for name in ("explainrec_lab", "explainrec_boutique", "experiments"):
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    tools = shutil.ignore_patterns("__pycache__", "*.ipynb")
    shutil.copytree(ROOT / "book" / "_tools", to / "book" / "_tools", ignore=tools)
    shutil.copy(ROOT / "pyproject.toml", to)
    said = (ROOT / "course.toml").read_text(encoding="utf-8")
    address = re.sub(r"(?<=^address = ).*", '"https://github.com/alvaro/course"', said, flags=re.M)
    (to / "course.toml").write_text("# Álvaro Ríos\n" + address, encoding="utf-8")
    return to


def run(copy: Path, program: str, **more: str) -> str:
    """A program there, in the locale C, without git, a home or the folder's own name as ours."""
    environment = {"PATH": "", "EXPLAINREC_CACHE": str(copy / "the cache"), "OMP_NUM_THREADS": "1"}
    environment |= {"PYTHONPATH": os.pathsep.join([str(copy), str(copy / "book" / "_tools")])}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=copy.parent,
        env=environment | ASCII | more,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_address_of_a_fork_is_read_whatever_the_locale(copy: Path) -> None:
    program = "import build, identity; said = identity.course(build.ROOT)"
    program += "; print(said['address'], len(build.versions()) > 5)"
    assert run(copy, program).split() == ["https://github.com/alvaro/course", "True"]


STUDENT = """
import torch
torch.set_num_threads(1)
from explainrec_lab import data, training
from explainrec_lab.data import store
from experiments import __main__ as experiments
shop = data.load("boutique", items=10, shoppers=4, size=32)
print(shop.catalogue.images[:2].shape)
model = torch.nn.Linear(2, 1)
for _ in range(2):
    print(training.cached(store.cache_dir() / "trained" / "m.kept", model, lambda: 7.0))
print(len(data.results("reconet-table-1")) > 10)
"""


def test_a_student_s_session_works_in_such_a_place(copy: Path) -> None:
    out = run(copy, STUDENT)
    assert out.splitlines() == ["(2, 3, 32, 32)", "7.0", "7.0", "True"]
    assert len([*(copy / "the cache" / "boutique").glob("*.pictures")]) == 1


def test_letters_that_the_terminal_lacks_do_not_stop_an_experiment(copy: Path) -> None:
    """`python -m experiments data` has a degree sign in it."""
    program = """
import runpy, sys
sys.argv[1:] = ["data"]
try:
    runpy.run_module("experiments", run_name="__main__")
except SystemExit as end:
    assert not end.code
"""
    assert "movielens" in run(copy, program)
