"""Ranges of arguments and dials, checked once at the boutique's door."""

from __future__ import annotations

from dataclasses import fields
from numbers import Integral, Real
from typing import Any

Range = tuple[int, int] | tuple[float, float]


def check_number(name: str, value: Any, allowed: Range) -> None:
    """Raise a ValueError unless `value` lies in `allowed`; whole-number bounds ask for a whole one.

    Args:
        name: what to call the argument in the message.
        allowed: lowest and highest value, both allowed.
    """
    low, high = allowed
    kind, word = (Integral, "a whole number ") if isinstance(low, int) else (Real, "a number ")
    right_kind = isinstance(value, kind) and not isinstance(value, bool)
    if not right_kind or not low <= value <= high:
        raise ValueError(f"{name}: {value!r} is not {word}in {low}..{high}")


def check_dials(dials: Any, allowed: dict[str, Range]) -> None:
    """Check every field of a dataclass of dials against its range."""
    for dial in fields(dials):
        check_number(dial.name, getattr(dials, dial.name), allowed[dial.name])
