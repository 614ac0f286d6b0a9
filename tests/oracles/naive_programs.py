"""Relevance of a described program, step by step, with every contribution written out in float64.

A program is a list of steps (`laws/program_steps.py`) that read the inputs and each other. Weighted
sums become matrices, made from unit vectors, one sample at a time, and take the textbook rules of
`naive_lrp.py`. What is left (products, maxima, moves) is divided in proportion to x * dy/dx. R
itself travels, never R / x, and nothing here knows how the package finds its way.

`noise` disturbs every value on the way by that share: how far relevance moves says how exact an
answer in a given precision can be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
from oracles import naive_lrp as naive
from torch import Tensor

WEIGHTED = ("linear", "convolution")


@dataclass(frozen=True)
class Policy:
    """The rule of each layer: the first (selector, rule) whose selector says yes, else `rest`.

    A selector gets the layer's kind and depth; `steps` are rules by the identity of a step's
    numbers, which come first.
    """

    table: Sequence[tuple[Callable[[str, int], bool], naive.Rule]]
    rest: naive.Rule
    attention: str = "AttnLRP"
    steps: dict[int, naive.Rule] = field(default_factory=dict)

    def rule(self, kind: str, depth: int, step: Any = None) -> naive.Rule:
        if step is not None and id(step.about) in self.steps:
            return self.steps[id(step.about)]
        for selects, rule in self.table:
            if (kind in WEIGHTED or isinstance(rule, naive.Epsilon)) and selects(kind, depth):
                return rule
        return self.rest


@dataclass
class Found:
    """Relevance of the inputs and what was kept on the way.

    Attributes:
        size: sum of |relevance| where it is largest: what errors are measured by.
    """

    relevance: list[Tensor]
    output: float
    absorbed: float = 0.0
    at_zero: float = 0.0
    size: float = 0.0
    values: list[Tensor] = field(default_factory=list)


def run(steps: Sequence[Any], inputs: Sequence[Tensor], noise: float = 0.0, seed: int = 0) -> list:
    """All values, the inputs first."""
    generator = torch.Generator().manual_seed(seed)
    values = list(inputs)
    for step in steps:
        y = step.op.value(step.about, *(values[place] for place in step.reads))
        if noise:
            y = y * (1 + noise * torch.randn(y.shape, dtype=y.dtype, generator=generator))
        values.append(y)
    return values


def explain(
    steps: Sequence[Any],
    inputs: Sequence[Tensor],
    start: Callable[[Tensor], Tensor],
    policy: Policy,
    split: str = "proportional",
    noise: float = 0.0,
    seed: int = 0,
) -> Found:
    """Relevance of all inputs for the numbers that `start` keeps of the last value."""
    values = [value.detach() for value in run(steps, inputs, noise, seed)]
    R: list[Tensor] = [torch.zeros(value.shape, dtype=torch.float64) for value in values]
    R[-1] = start(values[-1])
    found = Found([], float(R[-1].sum()), values=values)
    back = _Back(steps, len(inputs), values, policy, split, found)
    for place in reversed(range(len(inputs), len(values))):
        if place not in back.untouched:
            lost = torch.where(values[place] == 0, R[place], 0.0)
            found.at_zero += float(lost.sum())
            R[place] = R[place] - lost
        found.size = max(found.size, float(R[place].abs().sum()))
        for read, share in back.step(place, R[place]):
            R[read] = R[read] + share
    found.relevance = R[: len(inputs)]
    found.size = max(found.size, sum(float(r.abs().sum()) for r in found.relevance))
    return found


class _Back:
    """One step backwards at a time."""

    def __init__(
        self, steps: Any, count: int, values: list[Tensor], policy: Policy, split: str, found: Found
    ) -> None:
        self.steps, self.count, self.values = steps, count, values
        self.policy, self.split, self.found = policy, split, found
        self.untouched, self.depth = set(range(count)), [0] * len(values)
        for place in range(count, len(values)):
            step = self.of(place)
            self.depth[place] = max(self.depth[read] for read in step.reads)
            if step.op.kind in WEIGHTED:
                self.depth[place] += 1
            if step.op.kind in ("each", "table") and step.reads[0] in self.untouched:
                self.untouched.add(place)

    def of(self, place: int) -> Any:
        return self.steps[place - self.count]

    def step(self, place: int, R: Tensor) -> list[tuple[int, Tensor]]:
        """(place of a read, its share) for each read."""
        step = self.of(place)
        xs = [self.values[read] for read in step.reads]
        kind = step.op.kind
        if kind == "each":
            return [(step.reads[0], R)]
        if kind == "table":
            return [(step.reads[0], R.sum(dim=tuple(range(xs[0].dim(), R.dim()))))]
        if kind == "bag":  # a sum of rows, by the rule of pooling
            rows = step.about.weight[xs[0]]
            rule = self.policy.rule("pooling", self.depth_of(step))
            mean = getattr(torch, step.about.mode)
            share = self.summed(step, rows, R, lambda u: mean(u, 1), rule)
            return [(step.reads[0], share.sum(-1))]
        if kind == "carry":
            return list(zip(step.reads, self.carried(step, xs, R), strict=True))
        if kind == "softmax":
            return [(step.reads[0], self.softened(xs[0], R))]
        if kind == "attention":
            return list(zip(step.reads, self.attended(step, *xs, R), strict=True))
        if kind == "difference":
            return list(zip(step.reads, shares(self.split, *xs, R), strict=True))
        if kind == "addition":
            return list(zip(step.reads, self.added(step, xs, R), strict=True))
        read, function = step.reads[0], lambda u: step.op.value(step.about, u)
        depth, layer = self.depth[read], step
        if kind == "batch norm":
            kind = "normalisation"
            before = self.of(read) if read >= self.count else None
            positions = before is not None and before.op.kind == "linear" and R.dim() > 2
            if before is not None and before.op.kind in WEIGHTED and not positions:
                read, kind, layer = before.reads[0], before.op.kind, before
                depth = self.depth[read]
                function = lambda u: step.op.value(step.about, before.op.value(before.about, u))  # noqa: E731
        rule = self.policy.rule(kind, depth, layer)
        return [(read, self.summed(step, self.values[read], R, function, rule))]

    def summed(self, step: Any, x: Tensor, R: Tensor, function: Any, rule: naive.Rule) -> Tensor:
        """A weighted sum as a matrix, sample by sample."""
        parts, matrix = [torch.zeros_like(x[:0])], None
        for n in range(len(x)):
            if step.op.path is not None:
                matrix = naive.affine(step.op.path(step.about, x[n : n + 1]), x.shape[1:])
            elif matrix is None:
                matrix = naive.affine(function, x.shape[1:])
            share = rule(x[n].reshape(-1), *matrix, R[n].reshape(-1))
            self.found.absorbed += share.biases
            parts.append(share.inputs.reshape(1, *x.shape[1:]))
        return torch.cat(parts)

    def added(self, step: Any, xs: list[Tensor], R: Tensor) -> list[Tensor]:
        """A sum of two signals: one long input, and the matrix [I I] or [I -I]."""
        rule, both = self.policy.rule("addition", self.depth_of(step)), []
        for n in range(len(R)):
            eye = torch.eye(R[n].numel(), dtype=torch.float64)
            sign = float(step.op.value(step.about, torch.zeros(1), torch.ones(1)))
            x = torch.cat([value[n].reshape(-1) for value in xs])
            share = rule(x, torch.cat([eye, sign * eye], 1), 0 * eye[0], R[n].reshape(-1))
            both.append(share.inputs.view(2, *R.shape[1:]))
        stacked = torch.stack(both) if both else torch.zeros(0, 2, *R.shape[1:]).double()
        return [stacked[:, 0], stacked[:, 1]]

    def softened(self, x: Tensor, R: Tensor) -> Tensor:
        """AttnLRP, Eq. 8: x_i (R_i - s_i sum_j R_j); what is masked out takes none."""
        through = R - x.softmax(-1) * R.sum(-1, keepdim=True)
        share = torch.where(x == -torch.inf, 0.0, torch.where(x == -torch.inf, 0.0, x) * through)
        self.found.absorbed += float((R - share).sum())
        return share

    def attended(self, step: Any, x: Tensor, y: Tensor, R: Tensor) -> tuple[Tensor, Tensor]:
        """Weights times values, a softmax of scores, queries times keys: half and half each."""
        weigh, c = self.policy.attention == "AttnLRP", x.shape[-1] ** -0.5
        mask, scores = step.about.mask, x @ y.mT * c
        added = 0.0 * scores
        if mask is not None:
            added = torch.where(mask, 0.0, -torch.inf) if mask.dtype == torch.bool else mask
        weights = (scores + added).softmax(-1)
        out = weights @ y
        unit = torch.where(out == 0, 0.0, R / torch.where(out == 0, 1.0, out))
        of_values = y * (weights.mT @ unit)
        if not weigh:  # a sum with fixed weights
            rule, found = self.policy.rule("addition", self.depth_of(step)), torch.zeros_like(y)
            for n in range(len(y)):
                matrix = naive.affine(lambda u, n=n: weights[n] @ u, y.shape[1:])
                share = rule(y[n].reshape(-1), *matrix, R[n].reshape(-1))
                found[n] = share.inputs.reshape(y.shape[1:])
            return torch.zeros_like(x), found
        of_weights = weights * (unit @ y.mT) / 2
        of_sum = self.softened(scores + added, of_weights)
        unit = of_sum / torch.where(of_sum == 0, 1.0, scores + added)
        self.found.absorbed += float((of_sum - unit * scores).sum())
        of_x, of_y = x * c * (unit @ y) / 2, y * c * (unit.mT @ x) / 2
        return of_x, of_values / 2 + of_y

    def depth_of(self, step: Any) -> int:
        return max(self.depth[read] for read in step.reads)

    def carried(self, step: Any, xs: list[Tensor], R: Tensor) -> list[Tensor]:
        """x * dy/dx of R, operand by operand; constants that are added keep theirs."""
        about = vars(step.about)
        names = [name for name in step.op.added if about[name] is not None]
        leaves = [x.detach().clone().requires_grad_() for x in xs]
        constants = {name: about[name].clone().requires_grad_() for name in names}
        y = step.op.value(SimpleNamespace(**(about | constants)), *leaves)
        per_unit = torch.where(y == 0, 0.0, R / torch.where(y == 0, 1.0, y)).detach()
        wanted = [*leaves, *constants.values()]
        gradients = torch.autograd.grad(y, wanted, per_unit, allow_unused=True)
        found = [
            torch.zeros_like(t) if g is None else (t * g).detach()
            for t, g in zip(wanted, gradients, strict=True)
        ]
        inside = sum(float(share.sum()) for share in found[len(xs) :])
        if step.name == "masked":  # what is filled in is a constant too
            inside += float(torch.where(step.about.mask, R, 0.0).sum())
        self.found.absorbed += inside
        return [part * share for part, share in zip(step.op.degrees, found, strict=False)]


def shares(split: str, x: Tensor, y: Tensor, R: Tensor) -> tuple[Tensor, Tensor]:
    """A difference's relevance, for each of its operands."""
    if split == "midpoint":
        return R / 2, R / 2
    if split == "one-sided":
        return torch.where(x > y, R, 0.0), torch.where(x > y, 0.0, R)
    if split == "signed":
        delta = torch.where(x == y, 1.0, x - y)
        return x * R / delta, -y * R / delta
    total = x.abs() + y.abs()
    part = torch.where(total > 0, x.abs() / torch.where(total > 0, total, 1.0), 0.5)
    return R * part, R - R * part
