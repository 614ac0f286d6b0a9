"""One call of the running program: its plain name, its arguments, and the line that made it."""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class UnsupportedOperation(ValueError):
    """The program does something that has no rule; the message names it and the calling line."""


@dataclass
class Call:
    """One call of a torch function.

    Attributes:
        name: without underscores, the same for functions, methods and operators.
        in_place: it changes its first argument.
        depth: linear layers and convolutions between the inputs and its arguments.
        gate: all its signals come out of gates of this kind, as in `Mark`.
    """

    name: str
    func: Callable[..., Any]
    args: list[Any]
    kwargs: dict[str, Any]
    in_place: bool = False
    depth: int = 0
    gate: str = ""

    @classmethod
    def of(cls, func: Any, args: Any, kwargs: Any) -> Call:
        name, in_place = _name_of(func)
        call = cls(name, func, list(args), dict(kwargs), in_place)
        call.in_place |= bool(call.argument("inplace", -1))
        return call

    @property
    def operation(self) -> str:
        """Its name in the table: that of a marked function, or the name without dimensions."""
        plain = re.sub(r"(?<=[a-z])[123]d", "", self.name)
        return getattr(self.func, "operation", plain)

    def run(self) -> Any:
        return self.func(*self.args, **self.kwargs)

    def tensors(self) -> Iterator[Tensor]:
        return tensors_in((self.args, self.kwargs))

    def argument(self, name: str, position: int, default: Any = None) -> Any:
        """An argument by name, or by the function's signature, or by position."""
        if name in self.kwargs:
            return self.kwargs[name]
        names = parameters(self.func)
        position = names.index(name) if name in names else position
        return self.args[position] if 0 <= position < len(self.args) else default

    def with_(self, old: Any, new: Any) -> Call:
        """The same call with another object in place of `old`, wherever it stands."""

        def swap(value: Any) -> Any:
            if value is old:
                return new
            if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
                return type(value)(swap(entry) for entry in value)
            return value

        kwargs = {key: swap(value) for key, value in self.kwargs.items()}
        return replace(self, args=[swap(value) for value in self.args], kwargs=kwargs)

    def refuse(self, why: str) -> UnsupportedOperation:
        return UnsupportedOperation(
            f"{self.name} has no relevance rule ({why}); called at {_call_site()}"
        )


@cache
def parameters(func: Any) -> tuple[str, ...]:
    """Names of a Python function's parameters; () for built-in ones."""
    return tuple(inspect.signature(func).parameters) if inspect.isfunction(func) else ()


ESCAPES = frozenset(["__float__", "__int__", "__index__", "__complex__"])
OPERATORS = {"isub": "sub", "iadd": "add", "imul": "mul", "itruediv": "div", "idiv": "div"}
OPERATORS |= {"radd": "add", "rmul": "mul", "ipow": "pow", "imatmul": "matmul"}


def _name_of(func: Any) -> tuple[str, bool]:
    """The plain name of a function, and whether the name says that it works in place."""
    raw = getattr(func, "__name__", type(func).__name__)
    if raw in ("__get__", "__set__"):
        return func.__self__.__name__.strip("_"), False
    if raw in ESCAPES:
        return "item", False
    plain = raw.strip("_")
    if raw.startswith("__"):
        in_place = plain == "setitem" or (plain in OPERATORS and plain.startswith("i"))
        return OPERATORS.get(plain, plain), in_place
    return plain, raw.endswith("_")


def _call_site() -> str:
    """File and line of the program's own code that made the current call."""
    inside = (str(Path(torch.__file__).parent), str(Path(__file__).parents[1]))
    for frame, line in traceback.walk_stack(None):
        if not frame.f_code.co_filename.startswith(inside):
            return f"{frame.f_code.co_filename}:{line} ({frame.f_code.co_qualname})"
    return "an unknown line"


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors in nested lists, tuples and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from tensors_in(entry)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))
