"""Right and wrong answers to the exercises of this room."""

from exercises.cases import Case

CASES: dict[str, Case] = {}
