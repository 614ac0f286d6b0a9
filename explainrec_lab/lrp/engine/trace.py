"""What one explanation knows: roots, marks, sums, steps and books."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from explainrec_lab.lrp.composites import WEIGHTED, Composite
from explainrec_lab.lrp.rules import Epsilon, Layer, propagate, wide

MARK = "_lrp_mark"
ZERO_UNITS = "units at zero"
"""Account of relevance that a rule gave to a unit whose value is 0, which g cannot carry on."""


@dataclass
class Root:
    """A tensor that relevance ends in.

    Attributes:
        values: a leaf of the autograd graph.
        owner: position of the explained input that it stands for; None for a constant.
        account: the ledger's account of a constant.
        direct: relevance that rules put here without going through g, `[*values]`.
    """

    values: Tensor
    owner: int | None = None
    account: str = "biases"
    direct: Tensor | None = None


@dataclass
class Sum:
    """One weighted sum of the running program, until the backward pass has used it.

    Attributes:
        layer: what was summed up.
        z: its value, or what ReLU made of it where nothing else looks at z (g is 0 wherever the
            two differ, and memory is saved).
        x: the layer's input, for rules that need it.
        source: what a batch norm that takes the sum over hands relevance to; None once z was used.
        uses: how many operations used z so far.
        gated: `z` is what ReLU made of it.
    """

    layer: Layer
    z: Tensor | None
    x: Tensor | None = None
    source: Tensor | None = None
    uses: int = 0
    gated: bool = False

    def use(self, tensor: Tensor) -> None:
        """Count a use of z, which `tensor` holds."""
        self.uses += 1
        if self.gated and self.z is not None:
            self.z, self.gated = tensor.detach(), False

    def gate(self, after: Tensor) -> None:
        """Keep ReLU's output instead of z, where nothing else used z so far."""
        if self.uses == 1:
            self.z, self.gated = after.detach(), True

    def take(self) -> tuple[Tensor, Tensor | None]:
        """z and x, for the last time."""
        z, x = self.z, self.x
        self.z = self.x = None
        assert z is not None
        return z, x


@dataclass
class Mark:
    """What the trace knows about a tensor that relevance flows through.

    Attributes:
        depth: linear layers and convolutions between the inputs and it.
        sum: the weighted sum that made it.
        root: the root that it is a copy of.
        gate: it is the output of a gate.
        presence: for ids: dummy ones that receive the ids' relevance.
    """

    trace: Trace
    depth: int = 0
    sum: Sum | None = None
    root: Root | None = None
    gate: bool = False
    presence: Tensor | None = None


class Step(torch.autograd.Function):
    """Forward: a value that is already there. Backward: from its g to the g of each signal."""

    @staticmethod
    def forward(ctx: Any, value: tuple[Tensor], back: Any, *signals: Tensor) -> Tensor:
        ctx.back = back
        return value[0]

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *ctx.back(g)


class Trace:
    """What one explanation knows.

    Args:
        composite: the rule of each layer.
        split: how a `head.difference` is divided, one of `head.SPLITS`.
        names: id of a parameter -> its dotted name.
        keep_books: whether to book what is absorbed.
    """

    def __init__(
        self, composite: Composite, split: str, names: Mapping[int, str], *, keep_books: bool
    ) -> None:
        self.composite, self.split, self.names = composite, split, names
        self.parts: dict[int, tuple[str, Tensor]] = {}
        self.accounts: dict[str, Tensor] = {}
        self.book = self._book if keep_books else None
        self.roots: list[Root] = []
        self.sums: list[Sum] = []

    def _book(self, account: str, amount: Tensor) -> None:
        """Add to an account; stays on the device until the end."""
        self.accounts[account] = self.accounts.get(account, 0) + amount.detach().double()

    def close(self) -> None:
        """Let go of all tensors: marks point here, and a program may keep what it computed."""
        self.roots, self.sums, self.parts = [], [], {}

    # --- roots and marks -------------------------------------------------------------------------

    def explain(self, x: Tensor, owner: int) -> Tensor:
        """A stand-in for input number `owner`, for the program to run on."""
        if x.is_floating_point():
            return self.replace(x, owner)
        ones = self.root(torch.ones(x.shape, dtype=torch.float64, device=x.device), owner)
        return self.mark(x.detach().clone(), presence=ones.values)

    def replace(self, x: Tensor, owner: int | None) -> Tensor:
        """A copy of an explained input whose relevance is the input's."""
        root = self.root(x.detach().clone(), owner)
        return self.mark(root.values.clone(), root=root)

    def root(self, values: Tensor, owner: int | None = None, account: str = "biases") -> Root:
        root = Root(values.requires_grad_(), owner, account)
        self.roots.append(root)
        return root

    def constant(self, value: Tensor | None, account: str = "biases") -> Any:
        """A constant as it is added to signals: with a root of its own where books are kept."""
        if value is None or self.carries(value) or not value.is_floating_point():
            return value
        value = value.detach()
        return self.root(value.clone(), account=account).values if self.book else value

    def mark(self, tensor: Tensor, **knowledge: Any) -> Tensor:
        """Say that relevance flows through a tensor, and what is known about it."""
        setattr(tensor, MARK, Mark(self, **knowledge))
        return tensor

    def mark_of(self, tensor: Any) -> Mark | None:
        """What is known about a tensor, if relevance flows through it in this trace."""
        mark = getattr(tensor, MARK, None) if isinstance(tensor, Tensor) else None
        return mark if mark is not None and mark.trace is self else None

    def like(self, tensor: Tensor, other: Tensor) -> Tensor:
        """Mark a tensor as another one is marked, but for the sum that made that one."""
        mark = self.mark_of(other)
        return tensor if mark is None else self.mark(tensor, depth=mark.depth, gate=mark.gate)

    def carries(self, tensor: Any) -> bool:
        """Whether relevance flows through a tensor of numbers."""
        mark = self.mark_of(tensor)
        return mark is not None and mark.presence is None

    def account_of(self, value: Any) -> str:
        """Name of the parameter that a constant is, or is a part of; the biases if neither."""
        return self.names.get(id(value)) or self.parts.get(id(value), ("biases",))[0]

    def is_part(self, part: Any, whole: Any) -> None:
        """Remember that a tensor holds numbers of a parameter, such as a row of it."""
        if isinstance(part, Tensor) and self.account_of(whole) != "biases":
            self.parts[id(part)] = (self.account_of(whole), part)  # kept: its id stays its own

    # --- steps -----------------------------------------------------------------------------------

    def step(
        self,
        value: Tensor,
        back: Callable[[Tensor], Sequence[Tensor | None]],
        *signals: Tensor | None,
        **knowledge: Any,
    ) -> Tensor:
        """A value whose relevance per unit goes to the signals as `back` says.

        Signals that want nothing (a bias where no books are kept) are left out on both sides.
        """
        wanted = [s is not None and s.requires_grad for s in signals]

        def chosen(g: Tensor) -> list[Tensor | None]:
            return [part for part, wants in zip(back(g), wanted, strict=False) if wants]

        kept = [s for s, wants in zip(signals, wanted, strict=True) if wants]
        return self.mark(Step.apply((value.detach(),), chosen, *kept), **knowledge)

    def weighted_sum(
        self, layer: Layer, run: Callable[[], Tensor], x: Tensor | None = None
    ) -> Tensor:
        """Run a weighted sum of x and let its rule say what goes back."""
        if isinstance(self.composite.rule_of(layer), Epsilon):
            raw = run()
            return self.scaled(layer, raw, lambda g: (g,), raw, source=raw)
        with torch.no_grad():
            z = run()
        return self.divided(layer, z, x)

    def scaled(
        self, layer: Layer, z: Tensor, pull: Any, *signals: Any, source: Any = None
    ) -> Tensor:
        """The epsilon rule: scale g of the sum z, then `pull` it to the signals."""
        rule = self.composite.rule_of(layer)
        assert isinstance(rule, Epsilon)
        epsilon = rule.absorbing(z.detach())  # now: a ReLU may overwrite z

        def back(g: Tensor) -> Sequence[Tensor | None]:
            z, _ = found.take()
            g, z = g.to(wide(g)), z.to(wide(g))
            scaled = rule.scale(g, z, epsilon)
            if self.book and scaled is not g:
                self.book("epsilon", torch.dot((g - scaled).flatten(), z.flatten()))
            return pull(scaled.to(dtype))

        dtype = z.dtype
        found = Sum(layer, z.detach(), source=source)
        return self.summed(found, back, *signals)

    def divided(self, layer: Layer, z: Tensor, x: Tensor) -> Tensor:
        """All other rules."""
        rule, mark = self.composite.rule_of(layer), self.mark_of(x)
        root = None if mark is None else mark.root

        def back(g: Tensor) -> Sequence[Tensor | None]:
            z, x = found.take()
            first, *bias = propagate(rule, layer, x, z, g, self.book)
            return [self.received(first, x, root) if rule.direct else first, *bias]

        found = Sum(layer, z.detach(), x.detach(), source=x)
        return self.summed(found, back, x, layer.bias)

    def summed(self, found: Sum, back: Any, *signals: Any) -> Tensor:
        self.sums.append(found)
        depth = found.layer.depth + int(found.layer.kind in WEIGHTED)
        assert found.z is not None
        return self.step(found.z, back, *signals, depth=depth, sum=found)

    def received(self, relevance: Tensor, x: Tensor, root: Root | None) -> Tensor | None:
        """Relevance that is no multiple of x: it ends at a root, or goes on per unit."""
        if root is None:
            if self.book:
                self.book(ZERO_UNITS, (relevance * (x == 0)).sum())
            return per_unit_of(relevance, x)
        root.direct = relevance if root.direct is None else root.direct + relevance
        return None

    def per_unit(self, value: Tensor, *shares: tuple[Tensor, Tensor], **knowledge: Any) -> Tensor:
        """A value of which each signal holds an amount: `shares` are (signal, amount)."""
        factors = [per_unit_of(amount, x.detach()) for x, amount in shares]
        lost = sum(amount * (x.detach() == 0) for x, amount in shares) if self.book else None

        def back(g: Tensor) -> list[Tensor]:
            if self.book:
                self.book(ZERO_UNITS, (g * lost).sum())
            return [g * factor for factor in factors]

        return self.step(value, back, *(x for x, _ in shares), **knowledge)

    def protect(self, tensor: Tensor, *, spare: Sum | None) -> None:
        """Keep values that are still needed from an operation that writes into `tensor`."""
        place = tensor.untyped_storage().data_ptr()

        def kept(values: Tensor | None) -> Tensor | None:
            shared = values is not None and values.untyped_storage().data_ptr() == place
            return values.clone() if values is not None and shared else values

        for found in self.sums:
            found.x = kept(found.x)
            if found is not spare:
                found.z = kept(found.z)


def per_unit_of(amount: Tensor, x: Tensor) -> Tensor:
    """amount / x; 0 where x is 0, for there is no unit to hold relevance."""
    zero, wider = x == 0, wide(x)
    ratio = amount.to(wider) / torch.where(zero, 1.0, x).to(wider)
    return torch.where(zero, 0.0, ratio).to(x.dtype)
