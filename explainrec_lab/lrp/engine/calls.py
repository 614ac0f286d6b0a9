"""One call of the running program: its plain name, its arguments, and the line that made it."""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
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
        about: what its result inherits from its signals, fields of a `trace.Mark`.
        alone: of its only signal, how many numbers it holds, and what it is.
    """

    name: str
    func: Callable[..., Any]
    args: list[Any]
    kwargs: dict[str, Any]
    in_place: bool = False
    about: dict[str, Any] = field(default_factory=dict)
    alone: tuple[int, dict[str, Any]] = (-1, {})

    @classmethod
    def of(cls, func: Any, args: Any, kwargs: Any) -> Call:
        name, in_place = _name_of(func)
        call = cls(name, func, list(args), dict(kwargs), in_place)
        call.in_place |= bool(call.argument("inplace", -1))
        return call

    @property
    def depth(self) -> int:
        """Linear layers and convolutions between the inputs and its arguments."""
        return self.about.get("depth", 0)

    @property
    def operation(self) -> str:
        """Its name in the table: that of a marked function, or the plain name's stem."""
        return getattr(self.func, "operation", None) or PREFIX_AND_DIMENSIONS.sub("", self.name)

    @property
    def first(self) -> Any:
        """Its first argument, named or not."""
        return next(iter([*self.args, *self.kwargs.values()]), None)

    def run(self) -> Any:
        return self.func(*self.args, **self.kwargs)

    def tensors(self) -> list[Tensor]:
        return tensors_in([self.args, self.kwargs])

    def argument(self, name: str, position: int, default: Any = None) -> Any:
        """An argument by name, or by the function's signature, or by position."""
        if name in self.kwargs:
            return self.kwargs[name]
        names = parameters(self.func)
        position = names.index(name) if name in names else position
        return self.args[position] if 0 <= position < len(self.args) else default

    def with_(self, old: Any, new: Any) -> Call:
        """The same call with another object in place of `old`, wherever it stands."""
        args, kwargs = _swapped((self.args, self.kwargs), old, new)
        return replace(self, args=args, kwargs=kwargs)

    def refuse(self, why: str) -> UnsupportedOperation:
        why = f"{self.name} has no relevance rule ({why}); called at {_call_site()}"
        return UnsupportedOperation(why)


@cache
def parameters(func: Any) -> tuple[str, ...]:
    """Names of a function's parameters, from its signature or its operator's schema; or ()."""
    operator = getattr(torch.ops.aten, getattr(func, "__name__", ""), None)
    schema = getattr(getattr(operator, "default", func), "_schema", None)
    if inspect.isfunction(func) and not hasattr(func, "__wrapped__"):
        return tuple(inspect.signature(func).parameters)
    return tuple(argument.name for argument in schema.arguments) if schema else ()


PREFIX_AND_DIMENSIONS = re.compile("^(linalg|special|sparse)_|(?<=[a-z])[123]d")


ESCAPES = frozenset(["__float__", "__int__", "__index__", "__complex__"])
OPERATORS = {"isub": "sub", "iadd": "add", "imul": "mul", "itruediv": "div", "idiv": "div"}
OPERATORS |= {"radd": "add", "rmul": "mul", "ipow": "pow", "imatmul": "matmul", "rdiv": "rtruediv"}


def _name_of(func: Any) -> tuple[str, bool]:
    """The plain name of a function, and whether the name says that it works in place."""
    raw = getattr(func, "__name__", type(func).__name__).split(".")[0]  # of add_.Tensor: add_
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


def _swapped(value: Any, old: Any, new: Any) -> Any:
    """Nested lists, tuples and dicts with another object in one's place."""
    if isinstance(value, dict):
        return {key: _swapped(entry, old, new) for key, entry in value.items()}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(_swapped(entry, old, new) for entry in value)
    return new if value is old else value


def tensors_in(value: Any) -> list[Tensor]:
    """All tensors in nested lists, tuples and dicts."""
    found: list[Tensor] = []
    for entry in value.values() if isinstance(value, dict) else value:
        if isinstance(entry, Tensor):
            found.append(entry)
        elif isinstance(entry, (list, tuple, dict)):
            found += tensors_in(entry)
    return found
