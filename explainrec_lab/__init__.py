"""Explainable Recommendation Lab: what the chapters import.

    import explainrec_lab as lab

    settings = lab.settings("reconet")
    dataset = lab.data.load("completejourney")

A room opens when it is first named: a page pays for the imports that it needs.
`__init__.pyi` names the rooms for whoever reads types, or completes names.
"""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from explainrec_lab.settings import settings as settings

__version__ = "1.0.0"

ROOMS = tuple(room.name for room in iter_modules(__path__))


def __getattr__(name: str) -> ModuleType:
    if name not in ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return [*globals(), *ROOMS]
