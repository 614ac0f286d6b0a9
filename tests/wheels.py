"""How tests build the package and put it where nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SHIPPED = ("explainrec_lab", "explainrec_boutique")


def run(*command: object, **more: str) -> str:
    """What a program says; without this process's import path. A failure shows all of it."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in command],
        env=own | {name: value for name, value in more.items() if name != "cwd"},
        cwd=more.get("cwd"),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def uv(*words: object, **more: str) -> str:
    return run(sys.executable, "-m", "uv", *words, **more)


def built(kind: str, source: Path, to: Path) -> Path:
    """The `wheel` or `sdist` of a source tree."""
    uv(
        "build",
        "-q",
        f"--{kind}",
        "--no-build-isolation",
        "--python",
        sys.executable,
        "-o",
        to,
        source,
    )
    return next(path for path in to.iterdir() if path.suffix in (".whl", ".gz"))
