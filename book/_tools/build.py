"""From notebooks to pages: execute each notebook once, test it by that, build the page from it.

`make book` and `make test` both come here. Three steps:

1. copy `book/` and what the pages include to `.executed/<settings>/`;
2. run there, with nbmake, every notebook whose key changed. The key covers the notebook, the
   package, `pyproject.toml`, the settings, the data folder and the installed versions;
3. build the page from that copy with Jupyter Book (which executes nothing) into `_build/html/`.

A tree or page gets its final name only when it is complete; what a killed build left beside it
goes when the next begins. A failing cell or a Sphinx warning ends the run with a non-zero exit
code.
"""

import hashlib
import json
import math
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from explainrec_lab.data.store import data_dir, seal, unsealed
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
EXECUTED = ROOT / ".executed"  # not in `_build`: nbmake skips every path that contains that name
PAGE = ROOT / "_build" / "html"
TIMES = "run-times.sealed"  # in an executed copy: what is known of its notebooks
CELL_TIMEOUT_SECONDS = 900
MOST_WORKERS = 4  # a notebook takes one to two GB
SETTINGS = ("ci", "cpu", "gpu")
PACKAGES = ("explainrec_boutique", "explainrec_lab", "experiments")
COURSE, CHAPTERS = "course.toml", "book/_tools/course/chapters.toml"
INCLUDED = (COURSE, "_config.yml", "_toc.yml", "references.bib", "book", *PACKAGES, "tests")
PAGE_ONLY = {".md", ".yml", ".css", ".svg", ".png", ".woff2", ".ipynb"}  # no notebook reads these
CLUTTER = shutil.ignore_patterns("__pycache__", ".*", "*.pyc", "*.part")


# ---------------------------------------------------------------- what an execution depends on


def left_out(root: Path) -> tuple[str, ...]:
    """How the names of pages begin whose chapter has no line in `course.toml`."""
    if not (root / COURSE).exists():
        return ()
    texts = ((root / name).read_text(encoding="utf-8") for name in (COURSE, CHAPTERS))
    course, chapters = map(tomllib.loads, texts)
    out = (row["pages"] for name, row in chapters.items() if name not in course["chapters"])
    return tuple(start for starts in out for start in starts)


def notebooks() -> list[str]:
    """Paths of the course's notebooks from the repository's root, in order."""
    out, kept = left_out(ROOT), (p.relative_to(ROOT) for p in (ROOT / "book").rglob("*.ipynb"))
    names = sorted(p.as_posix() for p in kept if not any(q.startswith(".") for q in p.parts))
    return [name for name in names if not name.startswith(out)]


def files_seen_by_notebooks() -> Iterator[Path]:
    """The packages, their declaration, this file, and files of the book that are not pages."""
    yield ROOT / "pyproject.toml"
    yield Path(__file__)
    for folder in (ROOT / name for name in (*PACKAGES, "book")):
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(ROOT).parts
            hidden = any(part.startswith((".", "__pycache__", "_tools")) for part in inside)
            if path.is_file() and not hidden and path.suffix not in PAGE_ONLY:
                yield path


def versions() -> list[str]:
    """`name version` of every dependency that `pyproject.toml` names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in project["dependencies"]]
    return [f"{name} {metadata.version(name)}" for name in sorted(names)]


def data_on_this_machine() -> list[str]:
    """Names and sizes in the data folder: chapters show more where real data is present."""
    found = [path for path in data_dir().glob("*/*") if path.is_file()]
    return sorted(f"{p.parent.name}/{p.name} {p.stat().st_size}" for p in found)


def shared_key(settings: str) -> str:
    """Hash of everything but the notebook that an execution depends on."""
    seen = hashlib.sha256()
    for path in files_seen_by_notebooks():
        seen.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    rest = [settings, platform.python_version(), versions(), data_on_this_machine()]
    seen.update(json.dumps(rest).encode())
    return seen.hexdigest()


# --------------------------------------------------------------------------- step 1 and 2


@contextmanager
def alone(final: Path) -> Iterator[Path]:
    """A folder in which to make `final`, while no other build makes it.

    So what lies beside it is of builds that were killed. It goes; but if one was killed between the
    renames of `take_place`, what stood there before comes back.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(final.with_name(f".{final.name}.lock")):
        if (old := final.with_name(f"{final.name}.old")).exists() and not final.exists():
            old.rename(final)
        for left in final.parent.glob(f"{final.name}.*"):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=f"{final.name}.part-", dir=final.parent) as part:
            yield Path(part)


def take_place(new: Path, final: Path) -> None:
    """Rename the folder `new` to `final`, and remove what stood there."""
    old = final.with_name(f"{final.name}.old")
    if final.exists():
        final.rename(old)
    new.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def copy_sources(tree: Path) -> None:
    """Copy the course's chapters, and the code that their pages include, into `tree`."""
    copy([name for name in INCLUDED if (ROOT / name).exists()], ROOT, tree)
    out = left_out(tree)
    for path in (tree / "book").rglob("*.*"):
        if path.relative_to(tree).as_posix().startswith(out):
            path.unlink()


def copy(names: Iterable[str], source: Path, target: Path) -> None:
    """Copy these files and folders of one folder to another, without clutter."""
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, ignore=CLUTTER, dirs_exist_ok=True)
        else:
            shutil.copy2(source / name, target / name)


def run_notebooks(tree: Path, stale: list[str], settings: str) -> int:
    """Execute notebooks in place under pytest; each failing cell is shown. Returns exit code."""
    workers = 1 if settings == "gpu" else min(hardware()["cores"], MOST_WORKERS, len(stale))
    command = [sys.executable, "-m", "pytest", "--nbmake", "--overwrite", "-v", "--no-header"]
    command += [f"--nbmake-timeout={CELL_TIMEOUT_SECONDS}", "-p", "no:cacheprovider"]
    command += ["-n", str(workers), "--dist", "load", "--maxschedchunk", "1"]
    command += [f"--rootdir={tree}", "-c", str(ROOT / "pyproject.toml"), *stale]
    environment = {k: v for k, v in os.environ.items() if k != "MPLBACKEND"}
    environment |= {
        "EXPLAINREC_SETTINGS": settings,
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),  # small matrices: one is fastest
        "JUPYTER_PREFER_ENV_PATH": "1",  # this environment's kernel, not one of the user's
        "EXPLAINREC_STATIC": "1",  # a page has no kernel: controls leave a sentence instead
        "MPLCONFIGDIR": str(tree / ".matplotlib"),  # the user's list of fonts may be of another day
    }
    return subprocess.run(command, cwd=tree, env=environment).returncode


def seconds_of(notebook: Path) -> float:
    """Wall time from the first cell's start to the last cell's end, as Jupyter recorded it."""
    stamps = [
        datetime.fromisoformat(stamp)
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        for stamp in cell.get("metadata", {}).get("execution", {}).values()
    ]
    return round((max(stamps) - min(stamps)).total_seconds(), 1) if stamps else 0.0


def hardware() -> dict[str, int]:
    """What a reader needs to compare run times: how many cores, and whether a GPU was there."""
    from explainrec_boutique.gallery import CPUS

    return {"cores": CPUS, "gpu": shutil.which("nvidia-smi") is not None}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def record(rows: dict[str, dict[str, Any]], tree: Path) -> None:
    """Write down what is known of a copy's notebooks: times, keys, checksums."""
    rows = {n: row | {"sha256": digest((tree / n).read_bytes())} for n, row in rows.items()}
    seal(tree / TIMES, json.dumps(rows).encode())


def executed(tree: Path) -> dict[str, dict[str, Any]]:
    """What the record of an executed copy says of its notebooks, if they are as they were left."""
    rows = json.loads(unsealed(tree / TIMES) or b"{}")
    there = {name: row for name, row in rows.items() if (tree / name).is_file()}
    return {n: row for n, row in there.items() if row["sha256"] == digest((tree / n).read_bytes())}


def execute(settings: str) -> None:
    """Bring `.executed/<settings>/` up to date, or leave it as it was and exit with an error."""
    final = EXECUTED / settings
    with alone(final) as tree:
        done = executed(final)
        shared = shared_key(settings).encode()
        keys = {n: digest(shared + (ROOT / n).read_bytes()) for n in notebooks()}
        stale = [name for name, key in keys.items() if done.get(name, {}).get("key") != key]
        stale.sort(key=lambda name: -done[name]["seconds"] if name in done else -math.inf)
        same = len(keys) - len(stale)
        print(f"Notebooks: {len(stale)} to execute, {same} unchanged ({settings}).", flush=True)
        copy_sources(tree)
        for name in keys.keys() - set(stale):
            shutil.copy2(final / name, tree / name)
        if stale and (code := run_notebooks(tree, stale, settings)):
            raise SystemExit(f"Notebooks failed (exit code {code}); the last good copy stays.")
        new = {n: {"key": keys[n], "seconds": seconds_of(tree / n), **hardware()} for n in stale}
        record({n: new.get(n) or done[n] for n in keys}, tree)
        take_place(tree, final)


# ------------------------------------------------------------------------------------ step 3


def make_pages(source: Path, work: Path) -> Path:
    """Build the pages of a copy somewhere in `work`; a warning is an error. Returns where."""
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    command += ["build", str(source), "--path-output", str(work)]
    command += ["-W", "-n", "--keep-going", "--all", "-q"]
    run = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    if run.returncode:
        print((run.stderr or run.stdout).replace(f"{source}{os.sep}", ""), flush=True)
        raise SystemExit(f"The page has errors (exit code {run.returncode}); see above.")
    return work / "_build" / "html"


def build_page(settings: str) -> None:
    """Build `_build/html/` from the executed copy."""
    with alone(PAGE) as work:
        take_place(make_pages(EXECUTED / settings, work), PAGE)


def chosen() -> str:
    """The settings that `EXPLAINREC_SETTINGS` names; a stopped build removes half results."""
    settings = os.environ.get("EXPLAINREC_SETTINGS") or "ci"
    if settings not in SETTINGS:
        raise SystemExit(f"EXPLAINREC_SETTINGS={settings!r}: choose from {', '.join(SETTINGS)}")
    for stop in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, lambda number, _: sys.exit(128 + number))
    return settings


def main() -> None:
    settings = chosen()
    start = time.monotonic()
    execute(settings)
    build_page(settings)
    print(f"\nThe page is ready ({time.monotonic() - start:.0f} s): {PAGE / 'index.html'}")
    print(f"To serve it: python3 -m http.server 8000 --directory {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
