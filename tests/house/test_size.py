"""The house stays small: code lines, counted without blanks, comments and docstrings."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
HOUSE = ("explainrec_lab", "explainrec_boutique", "experiments", "book/_tools")


def code_lines(source: str) -> int:
    """Lines that hold code.

    >>> code_lines('"Purpose."' + chr(10) + "x = 1  # one" + chr(10))
    1
    """
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in LAYOUT:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - set(docstring_lines(ast.parse(source))))


def docstring_lines(tree: ast.Module) -> Iterator[int]:
    """Line numbers of the docstrings of the module, its classes and its functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if ast.get_docstring(node, clean=False) is not None and first is not None:
                yield from range(first.lineno, (first.end_lineno or first.lineno) + 1)


def total(root: Path, *folders: str) -> int:
    paths = [path for folder in folders for path in sorted((root / folder).rglob("*.py"))]
    assert paths
    return sum(code_lines(path.read_text(encoding="utf-8")) for path in paths)


@pytest.mark.parametrize(
    ("folders", "budget"),
    [
        (("explainrec_lab",), 7_500),
        (("explainrec_lab/lrp",), 1_000),
        (HOUSE, 11_500),
    ],
    ids=["companion", "lrp", "house"],
)
def test_code_lines_stay_within_the_budget(
    root: Path, folders: tuple[str, ...], budget: int
) -> None:
    assert total(root, *folders) <= budget


def test_the_companion_has_few_modules(root: Path) -> None:
    assert len(list((root / "explainrec_lab").rglob("*.py"))) <= 75


def test_only_code_counts() -> None:
    source = (
        '"""Purpose."""\n\nx = 1  # one\n\n\ndef f():\n    """Purpose."""\n    return """a\nb"""\n'
    )
    assert code_lines(source) == 4
