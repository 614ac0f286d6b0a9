"""The floors of the house: which room may import which. Read from the syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

LAB, BOUTIQUE = "explainrec_lab", "explainrec_boutique"
PACKAGES = (BOUTIQUE, LAB, "experiments")
GROUND = {"data", "lrp", "evaluate", "training", "settings", "weights"}
FIRST = {"vision", "baselines"}
CHAPTERS = {"relation", "reconet", "saers"}
TOP = {"plots", "live", "exercises"}
OUTSIDE = {"__init__"}  # the door opens every room


def files(root: Path) -> dict[str, Path]:
    """Dotted module name -> file, for every module of the packages."""
    found = {}
    for path in sorted(path for package in PACKAGES for path in (root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(module: str, path: Path, modules: set[str]) -> Iterator[str]:
    """Modules of the packages that `path` imports, wherever in the file."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name in modules)
        elif isinstance(node, ast.ImportFrom):
            up = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join(([*up] if node.level else []) + ([node.module] if node.module else []))
            inner = {f"{base}.{a.name}" for a in node.names} & modules
            yield from inner or ({base} & modules)


def graph(root: Path) -> dict[str, set[str]]:
    modules = files(root)
    return {name: set(imports(name, path, set(modules))) for name, path in modules.items()}


def room(module: str) -> str:
    """The room of a module: of the companion its second name, of the others the package."""
    package, _, rest = module.partition(".")
    return (rest.split(".")[0] or "__init__") if package == LAB else package


def test_every_room_has_a_floor(root: Path) -> None:
    rooms = {room(module) for module in files(root)}
    strangers = rooms - GROUND - FIRST - CHAPTERS - TOP - OUTSIDE - {BOUTIQUE, "experiments"}
    assert not strangers, f"give these rooms a floor in {Path(__file__).name}: {strangers}"


def test_no_room_imports_a_higher_floor_or_another_chapter(root: Path) -> None:
    ground = GROUND | {BOUTIQUE}
    allowed = {
        BOUTIQUE: {BOUTIQUE},
        **dict.fromkeys(GROUND, ground),
        **dict.fromkeys(FIRST, ground | FIRST),
        **{chapter: ground | FIRST | {chapter} for chapter in CHAPTERS},
        **dict.fromkeys(TOP, ground | FIRST | CHAPTERS | TOP),
    }
    wrong = [
        f"{module} imports {target}"
        for module, targets in graph(root).items()
        for target in targets
        if room(module) not in OUTSIDE | {"experiments"}
        and room(target) not in allowed.get(room(module), set())
    ]
    assert not wrong, "\n".join(wrong)


def test_no_imports_go_round_in_a_circle(root: Path) -> None:
    rest = graph(root)
    while leaves := [name for name, targets in rest.items() if not targets & rest.keys() - {name}]:
        rest = {name: targets for name, targets in rest.items() if name not in leaves}
    assert not rest, f"these modules import each other in a circle: {sorted(rest)}"
