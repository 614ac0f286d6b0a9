"""What notebooks and experiments take from the packages is there, by its name.

Found without running them: imports, and attributes of imported modules (`lab.lrp.relevance`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from machine import ROOT, tree

PACKAGES = ("explainrec_boutique", "explainrec_lab", "experiments")
FILES = [
    path
    for folder in ("book", "experiments")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".ipynb") and ".ipynb_checkpoints" not in path.parts
]


def taken(module: str, name: str) -> Any:
    """What `from module import name` gives."""
    found = import_module(module)
    return getattr(found, name) if hasattr(found, name) else import_module(f"{module}.{name}")


def missing(code: ast.Module) -> Iterator[str]:
    """Names that the packages do not have."""
    bound: dict[str, Any] = {}
    for node in ast.walk(code):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(PACKAGES):
            for alias in node.names:
                try:
                    bound[alias.asname or alias.name] = taken(str(node.module), alias.name)
                except ImportError:
                    yield f"from {node.module} import {alias.name}"
        elif isinstance(node, ast.Import):
            own = [alias for alias in node.names if alias.name.startswith(PACKAGES)]
            bound |= {a.asname or a.name.split(".")[0]: import_module(a.name) for a in own}
    for node in ast.walk(code):
        if isinstance(node, ast.Attribute):
            owner = resolved(node.value, bound)
            if isinstance(owner, ModuleType) and not hasattr(owner, node.attr):
                yield ast.unparse(node)


def resolved(node: ast.expr, bound: dict[str, Any]) -> Any:
    """The object that a dotted name means, as far as it starts at an import."""
    if isinstance(node, ast.Name):
        return bound.get(node.id)
    if isinstance(node, ast.Attribute):
        return getattr(resolved(node.value, bound), node.attr, None)
    return None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_is_taken_from_the_packages_is_there(path: Path) -> None:
    assert not set(missing(tree(path)))
