"""What proves a checked exercise: a right answer, and wrong ones that students really give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


def nothing() -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Case:
    """Answers to one exercise.

    `wrong` holds (fault, answer): the property whose hint is meant for that mistake. `given` makes
    the objects of the page that the checker asks for, small ones. `also` are right answers in
    other forms: lists, another library, written into what is given, a class.
    """

    right: Any
    wrong: list[tuple[str, Any]]
    given: Callable[[], dict[str, Any]] = nothing
    also: list[Any] = field(default_factory=list)
