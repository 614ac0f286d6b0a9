"""Where each equation lives: its section in the book, its functions and its tests.

`book/reference/equations.yml` lists the equations and their functions. Tests and sections are
found by reading files, never by running them: `@pytest.mark.oracle(paper, name)` above a test, and
in the book an equation's `:label: eq-paper-name`.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

LIST = "book/reference/equations.yml"
# In a line of Markdown, or of a notebook, which keeps each line as a string.
LABEL = re.compile(r'^(?: *")?:label: *(eq-[\w-]+)', re.MULTILINE)


class Code(NamedTuple):
    """A function of the package or a test: its file and its dotted name there."""

    file: str
    name: str

    @property
    def dotted(self) -> str:
        """Import path, such as `explainrec_lab.reconet.RecoNet.pool`."""
        return f"{self.file.removesuffix('.py').replace('/', '.')}.{self.name}"


class Equation(NamedTuple):
    """One equation: what the list says of it, and where it is explained and tested."""

    label: str  # in the book: `eq-reconet-pooling`
    title: str
    place: str
    latex: str
    says: str
    functions: list[str]  # dotted names: `code` finds them
    tests: list[Code]
    page: str | None  # file of the book that carries the label


def papers(root: Path) -> dict[str, dict[str, Any]]:
    """The list: paper -> its title and its equations."""
    return dict(yaml.safe_load((root / LIST).read_text(encoding="utf-8")))


def index(root: Path) -> dict[tuple[str, str], Equation]:
    """Every equation by (paper, name), in the order of the list."""
    pages, tests, found = dict(labels(root)), list(oracles(root)), {}
    for paper, listed in papers(root).items():
        for name, row in listed["equations"].items():
            own = [test for key, test in tests if key == (paper, name)]
            label = f"eq-{paper}-{name}"
            found[paper, name] = Equation(label, **row, tests=own, page=pages.get(label))
    return found


def code(dotted: str, root: Path) -> Code:
    """Where a function of the package stands.

    Raises:
        LookupError: no such function.
    """
    for here, _ in functions_below(root / dotted.split(".")[0], root):
        if here.dotted == dotted:
            return here
    raise LookupError(f"{LIST} names {dotted}, which is not there: it has moved, or has gone")


def oracles(root: Path) -> Iterator[tuple[tuple[str, str], Code]]:
    """Each test under `@pytest.mark.oracle(paper, name)`, found in the syntax tree."""
    for test, marks in functions_below(root / "tests", root):
        for mark in marks:
            if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("mark.oracle"):
                paper, equation = (ast.literal_eval(value) for value in mark.args)
                yield (paper, equation), test


@cache
def functions_below(folder: Path, root: Path) -> list[tuple[Code, list[ast.expr]]]:
    """Each function and method below a folder, with its decorators."""
    return [
        (Code(path.relative_to(root).as_posix(), name), node.decorator_list)
        for path in sorted(folder.rglob("*.py"))
        for name, node in functions(ast.parse(path.read_text(encoding="utf-8")))
    ]


def functions(tree: ast.AST, owner: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield owner + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, f"{owner}{node.name}.")


def labels(root: Path) -> Iterator[tuple[str, str]]:
    """(label, page) of each labelled equation in the book."""
    for path in sorted((root / "book").rglob("*")):
        if path.suffix in (".md", ".ipynb") and ".ipynb_checkpoints" not in path.parts:
            page, text = path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")
            yield from ((label, page) for label in LABEL.findall(text))
