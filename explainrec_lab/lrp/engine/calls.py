"""One call of the running program: its plain name, its arguments, and the line that made it."""

import inspect
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only


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
    func: Any
    args: list[Any]
    kwargs: dict[str, Any]
    in_place: bool = False
    about: dict[str, Any] = field(default_factory=dict)
    alone: tuple[int, dict[str, Any]] = (-1, {})

    @classmethod
    def of(cls, func: Any, args: Any, kwargs: Any) -> Self:
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

    @torch.no_grad()
    def value(self) -> Any:
        """What it gives, without a graph."""
        return self.run()

    def tensors(self) -> list[Tensor]:
        return tensors_in([self.args, self.kwargs])

    def argument(self, name: str, position: int, default: Any = None) -> Any:
        """An argument by name, or by the function's signature, or by position."""
        if name in self.kwargs:
            return self.kwargs[name]
        names = parameters(self.func)
        position = names.index(name) if name in names else position
        return self.args[position] if 0 <= position < len(self.args) else default

    def arguments(self, order: str) -> list[Any]:
        """Its first arguments, called so in this order."""
        return [self.argument(name, place) for place, name in enumerate(order.split())]

    def mapped(self, change: Callable[[Tensor], Any]) -> Self:
        """The same call with each of its tensors changed."""
        args, kwargs = tree_map_only(Tensor, change, (self.args, self.kwargs))
        return replace(self, args=args, kwargs=kwargs)

    def with_(self, old: Tensor, new: Tensor) -> Self:
        """The same call with another tensor in place of `old`, wherever it stands."""
        return self.mapped(lambda tensor: new if tensor is old else tensor)

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
    codes = ((frame.f_code, line) for frame, line in traceback.walk_stack(None))
    own = ((code, n) for code, n in codes if not code.co_filename.startswith(inside))
    return next((f"{c.co_filename}:{n} ({c.co_qualname})" for c, n in own), "an unknown line")


def tensors_in(value: Any) -> list[Tensor]:
    """All tensors in nested lists, tuples and dicts."""
    return [entry for entry in tree_leaves(value) if isinstance(entry, Tensor)]
