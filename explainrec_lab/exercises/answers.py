"""What an answer is: a number, some numbers, a table; and whether it is near the truth."""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import torch

# What a checker yields: a property of the answer, and whether it holds.
Verdicts: TypeAlias = Iterator[tuple[str, bool]]


class Blank(Exception):
    """There is no answer yet."""


class Unfit(Exception):
    """The answer is of another kind than expected; the message says of which."""


def filled(answer: Any) -> Any:
    """The answer.

    Raises:
        Blank: it is `...` or None, as a stub leaves it.
    """
    if answer is None or answer is ...:
        raise Blank
    return answer


def own(given: Any) -> Any:
    """A copy of a tensor, array, list or set (as a list), to write into; all else as it is."""
    if torch.is_tensor(given):
        return given.detach().clone()
    given = list(given) if isinstance(given, set) else given
    return given.copy() if isinstance(given, np.ndarray | list) else given


def numbers(answer: Any, *shape: int) -> np.ndarray:
    """The answer as numbers of this shape; without a shape, as one number; -1: in one row.

    Raises:
        Unfit: no numbers, or of another shape.
    """
    try:
        with torch.no_grad():
            found = np.asarray(own(answer), dtype=float)
    except (TypeError, ValueError) as error:
        raise Unfit(f"a {type(answer).__name__} of no plain numbers, or of uneven rows") from error
    if shape == (-1,) or (not shape and found.size == 1):
        return found.reshape(shape)
    if found.shape != shape:
        raise Unfit(f"of the shape {found.shape}; it must be {shape}" if shape else "no one number")
    return found


def near(answer: Any, truth: Any, rtol: float = 1e-3, atol: float = 1e-5) -> bool:
    """Whether an answer has the truth's shape and, up to rounding, its values.

    Raises:
        Unfit: no numbers, or of another shape.
    """
    true = numbers(truth, *np.shape(truth))
    return bool(np.allclose(numbers(answer, *true.shape), true, rtol=rtol, atol=atol))
