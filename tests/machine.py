"""What tests share: where the repository is, how its code is read, one rule for what is missing."""

from __future__ import annotations

import ast
import json
import os
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest
from build import left_out

ROOT = Path(__file__).resolve().parents[1]
# Some tests try many times as much under EXPLAINREC_NIGHTLY=1.
NIGHTLY = os.environ.get("EXPLAINREC_NIGHTLY") == "1"


def lacking(reason: str) -> NoReturn:
    """Skip a test that needs something this machine lacks; in CI (`CI=true`), fail it instead."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{reason} (CI=true: this may not be skipped)")
    pytest.skip(reason)


def taught(page: str) -> pytest.MarkDecorator:
    """Marks what needs a page, such as `book/reconet/live`: not asked of a course without it."""
    gone = page.startswith(left_out(ROOT))
    return pytest.mark.skipif(gone, reason=f"course.toml leaves the chapter of {page} out")


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a module, or of a notebook's code cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = [c["source"] for c in json.loads(text)["cells"] if c["cell_type"] == "code"]
        lines = "\n".join("".join(cell) for cell in cells).splitlines()
        text = "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))
    return ast.parse(text)
