"""Every public name of the packages is used: by a page, an experiment, a book's tool or
another module.

- A *public name* is a function or class of a module, or a method or property of a class, without a
  leading underscore. Constants and fields don't count; nor does a method that overrides one of a
  library, which calls it.
- A function or class is *used* where a file other than its own imports it or names it as an
  attribute (`lab.lrp.relevance`), or where a page includes its source. A method is used where any
  file, its own too, names it as an attribute. Re-exports in `__init__.py` and tests don't count.
- A class is also used where the signature of a used name, or a field of a used class, mentions it:
  what a used function returns need not be imported by anybody.

A function used only in its own module gets an underscore; what only tests use goes. Names are
compared without their owners, so this finds most idle names, not all.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

from equation_index import index
from machine import tree

PACKAGES = ("explainrec_lab", "explainrec_boutique")
USERS = ("book", "experiments", *PACKAGES)


def modules(root: Path) -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((root / package).rglob("*.py"))


# ------------------------------------------------------------------------ what is public


def public(path: Path) -> dict[str, ast.stmt]:
    """Dotted name in the module -> its definition: functions, classes and methods."""
    found: dict[str, ast.stmt] = {}
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        if isinstance(node, ast.ClassDef):
            methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
            found |= {f"{node.name}.{method.name}": method for method in methods}
    return {name: node for name, node in found.items() if not re.search(r"(^|\.)_", name)}


def overrides(path: Path, root: Path, dotted: str) -> bool:
    """Whether a method has the name of one that its class inherits: others call it by that."""
    owner, _, method = dotted.rpartition(".")
    if not owner:
        return False
    module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    bases = getattr(import_module(module), owner).__mro__[1:]
    return any(hasattr(base, method) for base in bases)


# -------------------------------------------------------------------------- what is used


def used_by_code(path: Path) -> set[str]:
    """Names that a file imports from the packages, and all attributes it asks for.

    A table in TOML names what is looked up by its keys, such as the engine's treatments, or an
    exercise's checker.
    """
    if path.suffix == ".toml":
        keys = tomllib.loads(path.read_text(encoding="utf-8"))
        return {key.replace("-", "_") for key in keys}
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom) and path.name != "__init__.py":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found.add(node.func.id)  # a door that calls what it imports does more than show it
    return found


def shown_in_pages(root: Path) -> set[str]:
    """Last names of the functions and classes whose source a page includes."""
    pages = [p for p in (root / "book").rglob("*") if p.suffix in (".md", ".ipynb")]
    texts = [page.read_text(encoding="utf-8") for page in pages]
    shown = {n for text in texts for n in re.findall(r":pyobject: *([\w.]+)", text)}
    shown |= {name for equation in index(root).values() for name in equation.functions}
    return {name.rpartition(".")[2] for name in shown}


def mentioned(node: ast.stmt) -> set[str]:
    """Names in the signature of a function, or in the bases and fields of a class."""
    if isinstance(node, ast.FunctionDef):
        arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
        parts = [node.returns, *[argument.annotation for argument in arguments]]
    else:
        assert isinstance(node, ast.ClassDef)
        fields = [each.annotation for each in node.body if isinstance(each, ast.AnnAssign)]
        parts = [*node.bases, *fields]
    return {n.id for part in parts if part for n in ast.walk(part) if isinstance(n, ast.Name)}


@cache
def uses(root: Path) -> dict[Path, set[str]]:
    """Each file that may use the packages -> the names that it uses."""
    return {
        path: used_by_code(path)
        for folder in USERS
        for path in sorted((root / folder).rglob("*"))
        if path.suffix in (".py", ".ipynb", ".toml") and ".ipynb_checkpoints" not in path.parts
    }


def unused(root: Path) -> list[str]:
    """Public names that nothing outside their module uses: `file: name`."""
    shown, found = shown_in_pages(root), []
    anywhere = shown.union(*uses(root).values())
    for path, defined in ((path, public(path)) for path in modules(root)):
        elsewhere = shown.union(*(names for user, names in uses(root).items() if user != path))
        used = {n for n in defined if n.split(".")[-1] in (anywhere if "." in n else elsewhere)}
        used |= {name for name in defined if overrides(path, root, name)}
        before: set[str] = set()
        while used != before:
            before = set(used)
            used |= set().union(*(mentioned(defined[name]) for name in used)) & defined.keys()
        found += [f"{path.relative_to(root)}: {name}" for name in defined if name not in used]
    return found


def test_every_public_name_is_used(root: Path) -> None:
    nobody = unused(root)
    assert not nobody, "\n".join(["make these private or remove them:", *nobody])


def imported(path: Path) -> set[str]:
    """The names that a module imports from the packages."""
    nodes = [node for node in tree(path).body if isinstance(node, ast.ImportFrom)]
    own = [node for node in nodes if str(node.module).startswith(PACKAGES)]
    return {alias.asname or alias.name for node in own for alias in node.names}


def test_no_all_repeats_imports(root: Path) -> None:
    for path in modules(root):
        for node in tree(path).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                repeated = imported(path) & set(ast.literal_eval(node.value))
                assert not repeated, f"{path.relative_to(root)}: __all__ repeats {repeated}"


def test_a_room_s_door_shows_only_what_somebody_takes_from_it(root: Path) -> None:
    """What `__init__.py` imports is used in some other file, or is a type that signatures name."""
    taken = {name for names in uses(root).values() for name in names} | shown_in_pages(root)
    nodes = [node for path in modules(root) for node in ast.walk(tree(path))]
    types = {name for n in nodes if isinstance(n, ast.FunctionDef) for name in mentioned(n)}
    idle = {
        f"{path.relative_to(root)}: {name}"
        for path in modules(root)
        if path.name == "__init__.py" and path.parent.name not in PACKAGES
        for name in imported(path).difference(taken, types)
    }
    assert not idle, "\n".join(["nobody takes these from their room:", *sorted(idle)])
