"""Where two images meet: a difference and a distance that relevance can go through.

Models call `difference(x_i, x_j)` for `x_i - x_j` and mark functions like a squared distance with
`@homogeneous(2)`. Both compute what they say and nothing else; under `lrp.relevance` the first is
divided between its two operands by a named split, and the second hands down gradient x input
divided by its degree, which is exact for a homogeneous function (Euler).
"""

from collections.abc import Callable
from functools import partial, wraps
from inspect import signature
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from explainrec_lab.data.contracts import check_least

Function = TypeVar("Function", bound=Callable[..., Any])
# Ways to divide a difference's relevance between its two operands.
SPLITS = ("proportional", "signed", "midpoint", "one-sided")


def _marked(function: Function, operation: str, **knowledge: Any) -> Function:
    """The function as one call, which whoever watches torch sees whole, as `operation`."""

    names = signature(function)

    @wraps(function)
    def whole(*args: Any, **kwargs: Any) -> Any:
        bound = names.bind(*args, **kwargs)
        tensors = [arg for arg in bound.arguments.values() if isinstance(arg, Tensor)]
        if has_torch_function(tensors):
            return handle_torch_function(whole, tensors, *bound.args, **bound.kwargs)
        return function(*args, **kwargs)

    vars(whole).update(operation=operation, **knowledge)
    return whole  # type: ignore[return-value]


@partial(_marked, operation="difference")
def difference(x_i: Tensor, x_j: Tensor) -> Tensor:
    """`x_i - x_j`, as an operation that `lrp.relevance` can divide between the two."""
    return x_i - x_j


def homogeneous(degree: int) -> Callable[[Function], Function]:
    """Mark a function with f(t x) = t^degree f(x) in the tensors that relevance flows through.

    Its relevance is x * (gradient of f) / degree, which sums to f(x) (Euler's theorem).
    """
    check_least(1, degree=degree)
    return lambda function: _marked(function, "homogeneous", degree=degree)


def elementwise(function: Function) -> Function:
    """Mark a function of each number alone, such as a normalisation of pixels.

    Like through an activation, relevance passes it unchanged, whatever constants it adds.
    """
    return _marked(function, "elementwise")


def shares(split: str, x_i: Tensor, x_j: Tensor, relevance: Tensor) -> tuple[Tensor, Tensor]:
    """The relevance of a difference x_i - x_j, divided between its two operands.

    Args:
        split: 'proportional' (to |x_i| and |x_j|), 'midpoint' (half and half) or 'one-sided' (all
            to the larger one). 'signed', x_i and -x_j in proportion, is the ordinary gradient.
        relevance: of each component of the difference, `[*x]`.
    """
    if split == "midpoint":
        return relevance / 2, relevance / 2
    if split == "one-sided":
        larger = x_i > x_j
        return relevance * larger, relevance * ~larger
    total = x_i.abs() + x_j.abs()
    part = torch.where(total > 0, x_i.abs() / torch.where(total > 0, total, 1.0), 0.5)
    return relevance * part, relevance * (1 - part)
