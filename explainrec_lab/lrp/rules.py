"""The rules: how a layer's relevance is divided among what was added up in it.

A layer adds contributions, z_j = sum_i c_ij + b_j with c_ij = x_i w_ij. A rule is a list of
*channels*. A channel names modified contributions c'_ij and the share of R_j that goes to them:

    R_i = sum_channels sum_j  c'_ij / stabilised(sum_i c'_ij + b'_j)  *  share_j

That is all a rule says, in about ten lines each; `propagate` does the rest. Not here: which layer
gets which rule (`composites.py`), and how relevance finds its way through a program (`trace.py`).

Source: the LRP paper, §2.3, Eq. 3 and 4; Bach et al. (2015) for alpha-beta and epsilon; Montavon
et al. (2017, 2019) for w², z-box, z+ and gamma, here for inputs of either sign.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

SPLITS = ("proportional", "signed", "midpoint", "one-sided")
"""Ways to divide a difference's relevance between its two operands (`trace.py`)."""


def wide(tensor: Tensor) -> torch.dtype:
    """The precision to compute relevance in: at least float32."""
    return tensor.dtype if tensor.dtype in (torch.float32, torch.float64) else torch.float32


@dataclass
class Layer:
    """One weighted sum of a running program.

    Attributes:
        kind: 'linear', 'convolution', 'normalisation', 'pooling' or 'addition'.
        name: dotted name of the module that owns the weight; '' if it belongs to none.
        depth: number of linear layers and convolutions between the explained inputs and this one.
        x: its input. weight, bias: as the operation takes them, or None.
        apply: (x, weight, bias) -> z, the operation itself.
        bias_shape: shape in which the bias broadcasts against z.
        out: which dimension of the weight counts outputs; None = a batch norm can't be folded in.
    """

    kind: str
    name: str
    depth: int
    x: Tensor
    weight: Tensor | None = None
    bias: Tensor | None = None
    apply: Callable[[Tensor, Tensor, Tensor | None], Tensor] | None = None
    bias_shape: tuple[int, ...] = ()
    out: int | None = None

    @property
    def inner(self) -> tuple[int, ...]:
        """The shape of one number an output, against z."""
        assert self.weight is not None and self.out is not None
        ones = 0 if self.kind == "linear" else self.weight.dim() - 2
        return (self.weight.shape[self.out], *(1,) * ones)


@dataclass(frozen=True)
class Part:
    """A part of modified contributions, input x weight.

    Attributes:
        gate: where the input is x itself (True) or nothing; None = x everywhere.
    """

    input: Tensor
    weight: Tensor
    gate: Tensor | None = None


Contributions = Callable[[Tensor, Tensor], list[Part]]
"""(x, weight) -> the parts whose sum is c'."""


@dataclass(frozen=True)
class Channel:
    """Modified contributions, what becomes of the bias beside them, and the share they get."""

    contributions: Contributions
    bias: Callable[[Tensor], Tensor]
    share: Tensor


def stabilise(z: Tensor, epsilon: float | Tensor) -> Tensor:
    """z + epsilon * sign(z), with sign(0) = 1."""
    return torch.where(z >= 0, z + epsilon, z - epsilon)


class Rule:
    """What all rules share: the stabiliser of the denominator.

    Attributes:
        epsilon: absorbs relevance where the sum is small.
        relative: measure epsilon in root mean squares of the layer's sum, sample by sample. The
            paper's epsilon is absolute.
    """

    epsilon: float
    relative: bool
    direct: ClassVar[bool] = False
    """Whether an input of zero can receive relevance (then R is not a multiple of x)."""

    def __post_init__(self) -> None:
        if not self.epsilon >= 0:
            raise ValueError(f"epsilon: {self.epsilon} must be at least 0")

    def channels(self, relevance: Tensor, z: Tensor) -> list[Channel]:
        """The channels of this rule for outputs z with relevance R_j, both `[*z]`."""
        raise NotImplementedError

    def absorbing(self, z: Tensor) -> float | Tensor:
        """The epsilon of a layer with the sums z: a number, or one a sample."""
        if not self.relative or not self.epsilon:
            return self.epsilon
        inner = tuple(range(1, z.ndim))
        return self.epsilon * z.square().mean(dim=inner, keepdim=True).sqrt()


@dataclass(frozen=True)
class Epsilon(Rule):
    """Every contribution in proportion: c' = c (Eq. 4). epsilon = 0 is the rule LRP-0."""

    epsilon: float = 1e-6
    relative: bool = False

    def channels(self, relevance: Tensor, z: Tensor) -> list[Channel]:
        return [Channel(plain, same, relevance)]

    def scale(self, g: Tensor, z: Tensor, epsilon: float | Tensor) -> tuple[Tensor, Tensor | None]:
        """The whole rule on relevance per unit, g = R / z: what goes on, and what is absorbed.

        R_i = sum_j x_i w_ij R_j / (z_j + epsilon sign z_j) divided by x_i is the ordinary gradient
        g_i = sum_j w_ij g'_j with g'_j = g_j |z_j| / (|z_j| + epsilon). So one number a unit is
        all that sets LRP apart from gradient x input.

        Args:
            epsilon: what `absorbing` says for the sums z.

        Returns:
            g' `[*z]`, and the relevance that epsilon absorbed (one number, None where it is 0).
        """
        if not self.epsilon:
            return g, None
        per_unit = g / z.abs().add_(epsilon)
        if isinstance(epsilon, Tensor):
            per_unit = per_unit * epsilon
            return g - per_unit, torch.dot(per_unit.flatten(), z.flatten())
        absorbed = epsilon * torch.dot(per_unit.flatten(), z.flatten())
        return torch.sub(g, per_unit, alpha=epsilon, out=per_unit), absorbed


@dataclass(frozen=True)
class Gamma(Rule):
    """Contributions of the sum's own sign count 1 + gamma times."""

    gamma: float = 0.25
    epsilon: float = 1e-6
    relative: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.gamma >= 0:
            raise ValueError(f"gamma: {self.gamma} must be at least 0")

    def channels(self, relevance: Tensor, z: Tensor) -> list[Channel]:
        up, down = favour(self.gamma, positive=True), favour(self.gamma, positive=False)
        if bool((z >= 0).all()):
            return [Channel(*up, relevance)]
        rises = z >= 0
        return [Channel(*up, relevance * rises), Channel(*down, relevance * ~rises)]


@dataclass(frozen=True)
class AlphaBeta(Rule):
    """Positive contributions get alpha of the relevance, negative ones -beta; alpha - beta = 1."""

    alpha: float = 2.0
    beta: float = 1.0
    epsilon: float = 1e-6
    relative: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alpha < 0 or self.beta < 0 or abs(self.alpha - self.beta - 1) > 1e-9:
            raise ValueError(
                f"alpha, beta: {self.alpha}, {self.beta} must be at least 0 and alpha - beta = 1, "
                "or relevance would not be conserved"
            )

    def channels(self, relevance: Tensor, z: Tensor) -> list[Channel]:
        found = [Channel(positive, above, self.alpha * relevance)]
        if self.beta:
            found.append(Channel(negative, below, -self.beta * relevance))
        return found


def ZPlus(epsilon: float = 1e-6, relative: bool = False) -> AlphaBeta:
    """Positive contributions get everything: alpha-beta with alpha = 1 and beta = 0."""
    return AlphaBeta(1.0, 0.0, epsilon, relative)


@dataclass(frozen=True)
class Flat(Rule):
    """Every input gets the same: c' = 1."""

    epsilon: float = 1e-6
    relative: bool = False
    direct: ClassVar[bool] = True

    def channels(self, relevance: Tensor, z: Tensor) -> list[Channel]:
        def ones(x: Tensor, weight: Tensor) -> list[Part]:
            return [Part(torch.ones_like(x), torch.ones_like(weight))]

        return [Channel(ones, torch.zeros_like, relevance)]


@dataclass(frozen=True)
class WSquare(Rule):
    """Every input gets in proportion to its squared weight: c' = w²."""

    epsilon: float = 1e-6
    relative: bool = False
    direct: ClassVar[bool] = True

    def channels(self, relevance: Tensor, z: Tensor) -> list[Channel]:
        def squares(x: Tensor, weight: Tensor) -> list[Part]:
            return [Part(torch.ones_like(x), weight.square())]

        return [Channel(squares, torch.zeros_like, relevance)]


@dataclass(frozen=True)
class ZBox(Rule):
    """For inputs in a box, such as pixels: c' = x w - low w⁺ - high w⁻.

    Attributes:
        low, high: bounds of the layer's input, numbers or tensors that broadcast against it.
    """

    low: float | Tensor = 0.0
    high: float | Tensor = 1.0
    epsilon: float = 1e-6
    relative: bool = False
    direct: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not bool(torch.all(torch.as_tensor(self.low) < torch.as_tensor(self.high))):
            raise ValueError(f"low, high: {self.low}, {self.high}; low must be below high")

    def channels(self, relevance: Tensor, z: Tensor) -> list[Channel]:
        def box(x: Tensor, weight: Tensor) -> list[Part]:
            low, high = (_like(x, bound) for bound in (self.low, self.high))
            return [
                Part(x, weight),
                Part(-low, weight.clamp(min=0)),
                Part(-high, weight.clamp(max=0)),
            ]

        return [Channel(box, torch.zeros_like, relevance)]


def _like(x: Tensor, bound: float | Tensor) -> Tensor:
    return torch.as_tensor(bound, dtype=x.dtype, device=x.device).expand_as(x)


# --- contributions and biases --------------------------------------------------------------------


def plain(x: Tensor, weight: Tensor) -> list[Part]:
    """c' = c."""
    return [Part(x, weight)]


def positive(x: Tensor, weight: Tensor) -> list[Part]:
    """c' = the positive contributions."""
    return by_sign(x, weight.clamp(min=0), weight.clamp(max=0))


def negative(x: Tensor, weight: Tensor) -> list[Part]:
    """c' = the negative contributions."""
    return by_sign(x, weight.clamp(max=0), weight.clamp(min=0))


def by_sign(x: Tensor, weight_above: Tensor, weight_below: Tensor) -> list[Part]:
    """One weight for inputs above zero, another for those below (left out where there are none)."""
    if bool((x >= 0).all()):
        return [Part(x, weight_above)]
    above = x > 0
    return [
        Part(x.clamp(min=0), weight_above, above),
        Part(x.clamp(max=0), weight_below, ~above),
    ]


def favour(gamma: float, *, positive: bool) -> tuple[Contributions, Callable[[Tensor], Tensor]]:
    """c' = c + gamma times its part of one sign; the bias likewise."""

    def side(values: Tensor, above: bool) -> Tensor:
        part = values.clamp(min=0) if above else values.clamp(max=0)
        return torch.add(values, part, alpha=gamma, out=part)

    def contributions(x: Tensor, weight: Tensor) -> list[Part]:
        if bool((x >= 0).all()):
            return [Part(x, side(weight, positive))]
        return by_sign(x, side(weight, positive), side(weight, not positive))

    return contributions, lambda bias: side(bias, positive)


def same(bias: Tensor) -> Tensor:
    return bias


def above(bias: Tensor) -> Tensor:
    return bias.clamp(min=0)


def below(bias: Tensor) -> Tensor:
    return bias.clamp(max=0)


# --- one layer -----------------------------------------------------------------------------------


AT_ONCE = 2**22
"""Up to so many outputs of a convolution are propagated at once; more go part by part."""


def propagate(
    rule: Rule, layer: Layer, relevance: Tensor, z: Tensor, book: Callable[..., Any] | None
) -> Tensor:
    """One layer's step: the relevance of its inputs.

    Args:
        relevance, z: R_j and z_j, `[*z]`.
        book: called with the relevance that biases and epsilon absorbed, or None.

    Returns:
        R_i for a `direct` rule, else g_i = R_i / x_i; both `[*x]`.
    """
    assert layer.weight is not None and layer.apply is not None
    pieces = _pieces(rule, layer, relevance)
    if pieces > 1:
        rows = torch.tensor_split(torch.arange(len(relevance)), pieces)
        some = (slice(int(chosen[0]), int(chosen[-1]) + 1) for chosen in rows)
        return torch.cat(
            [propagate(rule, replace(layer, x=layer.x[n]), relevance[n], z[n], book) for n in some]
        )
    total = torch.zeros_like(layer.x)
    for channel in rule.channels(relevance, z):
        parts = channel.contributions(layer.x, layer.weight)
        bias = None if layer.bias is None else channel.bias(layer.bias)
        inputs, sums = _sums(layer, parts, bias)
        epsilon = rule.absorbing(sums) if rule.epsilon else torch.finfo(sums.dtype).tiny
        ratio = channel.share / stabilise(sums, epsilon)
        gradients = torch.autograd.grad(sums, inputs, ratio)
        for part, gradient in zip(parts, gradients, strict=True):
            if rule.direct:
                total += part.input * gradient
            else:
                total += gradient if part.gate is None else gradient * part.gate
        if book is not None:
            _book(book, layer, bias, ratio, sums.detach(), epsilon)
    return total


def _pieces(rule: Rule, layer: Layer, relevance: Tensor) -> int:
    """How many parts of a batch of images to take one after another, so that memory stays small."""
    bounds = [getattr(rule, name, None) for name in ("low", "high")]
    shared = all(not isinstance(b, Tensor) or b.dim() < 4 or len(b) == 1 for b in bounds)
    one_by_one = layer.kind == "convolution" and layer.x.dim() == relevance.dim() == 4 and shared
    if not one_by_one or len(layer.x) != len(relevance):
        return 1
    return max(1, min(len(relevance), relevance.numel() // AT_ONCE))


def _sums(layer: Layer, parts: Sequence[Part], bias: Tensor | None) -> tuple[list[Tensor], Tensor]:
    """The sums of a channel's contributions with the bias, and the inputs to differentiate."""
    assert layer.apply is not None
    with torch.enable_grad():
        inputs = [part.input.detach().requires_grad_() for part in parts]
        sums = layer.apply(inputs[0], parts[0].weight, bias)
        for x, part in zip(inputs[1:], parts[1:], strict=True):
            sums = sums + layer.apply(x, part.weight, None)
    return inputs, sums


def _book(
    book: Callable[..., Any],
    layer: Layer,
    bias: Tensor | None,
    ratio: Tensor,
    sums: Tensor,
    epsilon: float | Tensor,
) -> None:
    if bias is not None:
        shape = layer.bias_shape
        book("biases", (ratio.sum_to_size(shape) * bias.view(shape)).sum())
    book("epsilon", (ratio * torch.where(sums >= 0, 1.0, -1.0) * epsilon).sum())
