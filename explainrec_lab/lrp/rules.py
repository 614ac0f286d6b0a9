"""The rules: how a layer's relevance is divided among what was added up in it.

A layer adds contributions, z_j = sum_i c_ij + b_j with c_ij = x_i w_ij. A rule names *modified*
sums z'_j, and for each the part of z_j whose relevance is divided in proportion to the terms of
z'_j. That is all a rule says, in about ten lines each. The rest is one gradient: z' is linear in
its inputs wherever it is differentiable, so input times gradient *is* the term (Euler), and

    R_i = sum_j  x_i dz'_j/dx_i / stabilised(z'_j)  *  R_j .

Not here: which layer gets which rule (`composites.py`), and how relevance finds its way through a
program (`engine/`).

Source: the LRP paper, §2.3, Eq. 3 and 4; Bach et al. (2015) for alpha-beta and epsilon; Montavon
et al. (2017, 2019) for w², z-box, z+ and gamma, here for inputs of either sign.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from explainrec_lab.data.contracts import check_least, require

# A modified sum z', the part of z that it speaks for, both `[*z]`, and the bias in it.
Channel = tuple[Tensor, Tensor, Tensor | None]


def wide(tensor: Tensor) -> torch.dtype:
    """The precision to compute relevance in: at least float32."""
    return tensor.dtype if tensor.dtype in (torch.float32, torch.float64) else torch.float32


@dataclass
class Layer:
    """One weighted sum of a running program.

    Attributes:
        kind: 'linear', 'convolution', 'normalisation', 'pooling' or 'addition'.
        depth: number of linear layers and convolutions between the explained inputs and this one.
        weight: as the operation takes it, or None.
        bias: in a shape that broadcasts against z, or None.
        apply: (x, weight, bias) -> z, the operation itself.
        out: which dimension of the weight counts outputs; None = a batch norm can't be folded in.
        groups: of outputs; each takes its own part of the weight.
        names: dotted names of the module that runs it, asked for while it runs.
    """

    kind: str
    depth: int
    weight: Any = None
    bias: Tensor | None = None
    apply: Any = None
    out: int | None = None
    groups: int = 1
    names: Callable[[], Sequence[str]] | None = None

    def steeper(self, slope: Tensor) -> Self:
        """With each output's weights times a number; not its bias."""
        groups = self.weight.unflatten(0, (self.groups, -1))  # [group, ...], outputs at `out` + 1
        shape = [self.groups] + [1] * self.weight.dim()
        shape[(self.out or 0) + 1] = -1
        return replace(self, weight=(groups * slope.view(shape)).flatten(0, 1))

    def to(self, dtype: torch.dtype) -> Self:
        """With weight and bias dense and in another precision."""
        given = self.weight, self.bias
        weight, bias = (None if v is None else v.to_dense().to(dtype) for v in given)
        return replace(self, weight=weight, bias=bias)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What all rules share: the stabiliser of the denominator.

    Attributes:
        epsilon: absorbs relevance where the sum is small.
    """

    epsilon: float = 1e-6
    # Whether an input of zero can receive relevance (then R is not a multiple of x).
    direct: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_least(0, epsilon=self.epsilon)

    def inputs(self, x: Tensor) -> tuple[Tensor, ...]:
        """What the modified sums are made of; the layer's own input, where not said otherwise."""
        return (x,)

    def sums(self, layer: Layer, z: Tensor, *inputs: Tensor) -> list[Channel]:
        """The modified sums of a layer whose sums are z."""
        raise NotImplementedError


@dataclass(frozen=True)
class Epsilon(Rule):
    """Every contribution in proportion: z' = z (Eq. 4). epsilon = 0 is the rule LRP-0."""

    epsilon: float = 1e-6

    def scale(self, g: Tensor, z: Tensor) -> Tensor:
        """The whole rule on relevance per unit, g = R / z: g' = g |z| / (|z| + epsilon).

        R_i = sum_j x_i w_ij R_j / (z_j + epsilon sign z_j) divided by x_i is the
        ordinary gradient g_i = sum_j w_ij g'_j. So one number a unit is all that
        sets LRP apart from gradient x input.
        """
        if not self.epsilon:
            return g
        size = z.abs().div_(self.epsilon).add_(1)  # (|z| + epsilon) / epsilon
        return torch.addcdiv(g, g, size, value=-1, out=size)


@dataclass(frozen=True)
class Gamma(Rule):
    """Contributions of the sum's own sign count 1 + gamma times."""

    gamma: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(0, gamma=self.gamma)

    def sums(self, layer: Layer, z: Tensor, *inputs: Tensor) -> list[Channel]:
        def favoured(values: Tensor, positive: bool) -> Tensor:
            part = _one_sign(values, positive)
            return torch.add(values, part, alpha=self.gamma, out=part)

        signs = (True, False) if z.min() < 0 else (True,)
        return [_by_sign(layer, inputs[0], _one_sign(z, sign), favoured, sign) for sign in signs]


@dataclass(frozen=True)
class AlphaBeta(Rule):
    """Positive contributions get alpha of the relevance, negative ones -beta; alpha - beta = 1."""

    alpha: float = 2.0
    beta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(0, alpha=self.alpha, beta=self.beta)
        whole = abs(self.alpha - self.beta - 1) <= 1e-9
        require(whole, f"alpha, beta: {self.alpha}, {self.beta}; alpha - beta must be 1")

    def sums(self, layer: Layer, z: Tensor, *inputs: Tensor) -> list[Channel]:
        x, shares = inputs[0], {True: self.alpha, False: -self.beta}
        return [_by_sign(layer, x, s * z, _one_sign, sign) for sign, s in shares.items() if s]


def ZPlus(epsilon: float = 1e-6) -> AlphaBeta:
    """Positive contributions get everything: alpha-beta with alpha = 1 and beta = 0."""
    return AlphaBeta(1.0, 0.0, epsilon=epsilon)


class WSquare(Rule):
    """Every input gets in proportion to its squared weight: c' = w²."""

    direct: ClassVar[bool] = True

    def inputs(self, x: Tensor) -> tuple[Tensor, ...]:
        return (torch.ones_like(x),)

    def sums(self, layer: Layer, z: Tensor, *inputs: Tensor) -> list[Channel]:
        return [(layer.apply(inputs[0], layer.weight.square()), z, None)]


@dataclass(frozen=True)
class ZBox(Rule):
    """For inputs in a box, such as pixels: c' = x w - low w⁺ - high w⁻.

    Attributes:
        low, high: bounds of the layer's input, numbers or tensors that broadcast against it.
    """

    low: float | Tensor = 0.0
    high: float | Tensor = 1.0
    direct: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        ordered = torch.all(torch.as_tensor(self.low) < torch.as_tensor(self.high))
        require(ordered, f"low, high: {self.low}, {self.high}; low must be below high")

    def inputs(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(x - torch.as_tensor(bound).to(x) for bound in (self.low, self.high))

    def sums(self, layer: Layer, z: Tensor, *inputs: Tensor) -> list[Channel]:
        above, below = inputs  # c' = (x - low) w⁺ + (x - high) w⁻
        up, down = (_one_sign(layer.weight, positive) for positive in (True, False))
        return [(layer.apply(above, up) + layer.apply(below, down), z, None)]


def _one_sign(values: Tensor, positive: bool) -> Tensor:
    """The positive values or the negative ones; 0 elsewhere."""
    return values.clamp(min=0) if positive else values.clamp(max=0)


def _by_sign(layer: Layer, x: Tensor, part: Tensor, modified: Any, positive: bool) -> Channel:
    """Weights and bias are modified for contributions of one sign."""
    bias = None if layer.bias is None else modified(layer.bias, positive)
    weight = modified(layer.weight, positive)
    if not x.min() < 0:
        return layer.apply(x, weight, bias), part, bias
    above = layer.apply(x.clamp(min=0), weight, bias)
    return above + layer.apply(x.clamp(max=0), modified(layer.weight, not positive)), part, bias


# --- one layer -----------------------------------------------------------------------------------


def propagate(rule: Rule, layer: Layer, x: Tensor, z: Tensor, g: Tensor, book: Any) -> Tensor:
    """One layer's step backwards, for all rules but `Epsilon`.

    Args:
        z, g: the layer's sums and their relevance per unit, g = R / z, `[*z]`.
        book: called with the relevance that biases and epsilon absorbed, or None.

    Returns:
        g_i = R_i / x_i, or R_i for a `direct` rule, `[*x]`.
    """
    values = rule.inputs(x)
    with torch.enable_grad():
        inputs = [value.detach().requires_grad_() for value in values]
        channels = rule.sums(layer, z, *inputs)
    ratios = [_ratio(rule, channel, g, book) for channel in channels]
    gradients = torch.autograd.grad([sums for sums, *_ in channels], inputs, ratios)
    if not rule.direct:
        return gradients[0]
    parts = [value * gradient for value, gradient in zip(values, gradients, strict=True)]
    return sum(parts[1:], start=parts[0])


def _ratio(rule: Rule, channel: Channel, g: Tensor, book: Any) -> Tensor:
    """R / (z' + epsilon * sign z') with R = g * part and sign(0) = 1; overwrites z'."""
    sums, part, bias = channel[0].detach(), *channel[1:]
    epsilon = sums.new_tensor(rule.epsilon or torch.finfo(sums.dtype).tiny)
    stabiliser = torch.copysign(epsilon, sums)
    ratio = torch.div(part, sums.add_(stabiliser), out=sums).mul_(g)
    if book:
        book("epsilon", (ratio * stabiliser).sum())
        book_bias(book, ratio, bias)
    return ratio


def amount(g: Tensor, x: Tensor) -> Tensor:
    """R = g x; none where no g arrives, though x be infinite, as in the mask of an attention."""
    return torch.where(g == 0, 0.0, g * x)


def book_bias(book: Any, g: Tensor, bias: Tensor | None) -> None:
    """The relevance of a bias, g times its value."""
    if book and bias is not None:
        book("biases", amount(g.sum_to_size(bias.shape), bias).sum())
