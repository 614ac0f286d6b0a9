"""Where each equation lives: its section in the book, its functions and its tests.

Found by reading files, never by running them: `@implements(paper, name)` in the package,
`@pytest.mark.oracle(paper, name)` in the tests, and in the book a MyST label `(eq-paper-name)=`
or an equation's label `$$ ... $$ (eq-paper-name)`.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from explainrec_lab.equations import EQUATIONS, Equation

# `(eq-x)=` on its own line; `$$ (eq-x)`; `:label: eq-x`
LABEL = re.compile(
    r"(?:^\((eq-[\w-]+)\)=|\$\$ *\((eq-[\w-]+)\)|^:label: *(eq-[\w-]+))", re.MULTILINE
)


@dataclass(frozen=True)
class Code:
    """A function of the package or a test: its file, its dotted name there and its first line."""

    file: str
    name: str
    line: int

    @property
    def dotted(self) -> str:
        """Import path, such as `explainrec_lab.reconet.RecoNet.pool`."""
        return f"{self.file.removesuffix('.py').replace('/', '.')}.{self.name}"


@dataclass
class Entry:
    """What is known about one equation."""

    equation: Equation
    page: str | None = None  # file of the book that carries the label
    is_target: bool = False  # `(label)=` before a heading, not the label of an equation
    functions: list[Code] = field(default_factory=list)
    tests: list[Code] = field(default_factory=list)


def decorated(folder: Path, root: Path, decorator: str) -> Iterator[tuple[tuple[str, str], Code]]:
    """Each function below `folder` under `@decorator(paper, name)`, found in the syntax tree."""
    for path in sorted(folder.rglob("*.py")):
        file = path.relative_to(root).as_posix()
        for owner, node in functions(ast.parse(path.read_text(encoding="utf-8"))):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith(decorator):
                    key = tuple(a.value for a in mark.args if isinstance(a, ast.Constant))
                    if len(key) == 2:
                        yield (str(key[0]), str(key[1])), Code(file, owner + node.name, node.lineno)


def functions(tree: ast.AST, owner: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """Each function and method with the dotted name of the class around it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield owner, node
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, f"{owner}{node.name}.")


def labels(root: Path) -> Iterator[tuple[str, str, bool]]:
    """(label, page, is a target before a heading) of each equation label in the book."""
    for path in sorted((root / "book").rglob("*")):
        if path.suffix not in (".md", ".ipynb") or ".ipynb_checkpoints" in path.parts:
            continue
        for target, dollar, option in LABEL.findall(markdown(path)):
            page = path.relative_to(root).as_posix()
            yield target or dollar or option, page, bool(target)


def markdown(path: Path) -> str:
    """The prose of a page: a Markdown file, or the Markdown cells of a notebook."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def index(root: Path) -> dict[tuple[str, str], Entry]:
    """One entry an equation, in the order of `EQUATIONS`."""
    entries = {key: Entry(equation) for key, equation in EQUATIONS.items()}
    by_label = {entry.equation.label: entry for entry in entries.values()}
    for label, page, is_target in labels(root):
        if label in by_label and by_label[label].page is None:
            by_label[label].page, by_label[label].is_target = page, is_target
    for key, code in decorated(root / "explainrec_lab", root, "implements"):
        if key in entries:
            entries[key].functions.append(code)
    for key, code in decorated(root / "tests", root, "mark.oracle"):
        if key in entries:
            entries[key].tests.append(code)
    return entries
