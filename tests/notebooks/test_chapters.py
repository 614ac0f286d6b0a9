"""Any chapter can be left out by one line of `course.toml`: the rest builds and holds without it.

A copy of the repository with its executed notebooks, one line removed, is built as `make book`
does. No notebook runs again, no warning is let through, no link is broken, the tests of the house
that look at the book follow. The chapter of the reader's own data: under EXPLAINREC_NIGHTLY=1.
"""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import build
import pytest
from equation_index import index
from machine import NIGHTLY, ROOT, lacking

SETTINGS = os.environ.get("EXPLAINREC_SETTINGS") or "ci"
CHAPTERS = tomllib.loads((ROOT / build.CHAPTERS).read_text(encoding="utf-8"))
HOUSE = ("lessons", "equations", "notebooks", "includes", "exercises", "identity", "page_tools")
IN_WORDS = """
[Words of a link]({to}.ipynb), [more]({to}.ipynb#there), {{eq}}`{equation}`, {{doc}}`/{page}`.

<!-- with boutique.ipynb {to}.ipynb -->
A paragraph that goes.

- [An item that goes]({to}.ipynb)
- [An item that stays]({to}.ipynb) and [leads](boutique.ipynb) on
"""


def fresh() -> bool:
    """Whether every notebook is executed as it stands."""
    done, shared = build.executed(build.EXECUTED / SETTINGS), build.shared_key(SETTINGS).encode()
    keys = {name: build.digest(shared + (ROOT / name).read_bytes()) for name in build.notebooks()}
    return all(done.get(name, {}).get("key") == key for name, key in keys.items())


def run(copy: Path, *command: str) -> str:
    """A command of Python there; what it says, if it ends well."""
    environment = os.environ | {"PYTHONPATH": str(copy), "EXPLAINREC_SETTINGS": SETTINGS}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=copy,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    if build.left_out(ROOT):
        pytest.skip("this course has left a chapter out already")
    if not fresh():
        lacking("notebooks changed since they were executed: run `make book`")
    to, executed = tmp_path / "course", tmp_path / "course" / ".executed" / SETTINGS
    shutil.copytree(ROOT, to, ignore=lambda *a: {*build.CLUTTER(*a), "_build", "dist"} & {*a[1]})
    shutil.copytree(build.EXECUTED / SETTINGS, executed)
    return to


@pytest.mark.slow
@pytest.mark.parametrize("chapter", [c for c in CHAPTERS if NIGHTLY or c != "own-data"])
def test_the_course_holds_without_a_chapter(copy: Path, chapter: str) -> None:
    starts = tuple(CHAPTERS[chapter]["pages"])
    leave_out(copy, chapter)
    page, words = lead_there(copy, starts)
    run(copy, "book/_tools/identity.py")
    assert " 0 to execute" in run(copy, "book/_tools/build.py")

    site = copy / "_build" / "html"
    built = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    assert not [name for name in built if name.startswith(starts)]
    assert not (copy / ".executed" / SETTINGS / f"{page}.ipynb").exists()
    pages = "\n".join((site / name).read_text(encoding="utf-8") for name in sorted(built))
    assert not re.search(rf'href="[^"#]*{Path(page).parent.name}/{Path(page).name}\.', pages)
    said = html.unescape(re.sub(r"<[^>]+>", "", pages))
    for text in words:
        assert text in said
    assert "A paragraph that goes" not in said and "An item that goes" not in said
    tests = [f"tests/house/test_{name}.py" for name in HOUSE]
    run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, "tests/site/test_links.py")


def leave_out(copy: Path, chapter: str) -> None:
    text = (copy / build.COURSE).read_text(encoding="utf-8")
    assert text.count(f'  "{chapter}",\n') == 1
    (copy / build.COURSE).write_text(text.replace(f'  "{chapter}",\n', ""), encoding="utf-8")


def lead_there(copy: Path, starts: tuple[str, ...]) -> tuple[str, list[str]]:
    """Write every way to lead to the chapter into a page; a page of it, and what is to be read."""
    page = next(name for name in build.notebooks() if name.startswith(starts))
    page = page.removesuffix(".ipynb")
    labels = (e.label for e in index(ROOT).values() if str(e.page).startswith(starts))
    equation = next(labels, "eq-of-nothing")
    text = IN_WORDS.format(to=page.replace("book", "..", 1), page=page, equation=equation)
    with (copy / "book/start/students.md").open("a", encoding="utf-8") as students:
        students.write(text)
    doc, named = (name.replace("-", " ") for name in (Path(page).name, equation[3:]))
    return page, [f"Words of a link, more, {named}, {doc}.", "An item that stays and leads on"]
