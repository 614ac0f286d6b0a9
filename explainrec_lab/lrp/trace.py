"""How relevance finds its way through a running program: one ordinary backward pass.

Relevance per unit, g = R / x, travels instead of R. Then ReLU, max-pooling, concatenation and
reshaping need nothing: the ordinary gradient does what LRP asks. A weighted sum under the epsilon
rule asks for one number a unit (`Epsilon.scale`), applied by a hook; the other rules replace the
sum's backward pass by their own. At the inputs, R = x g.

`watch.py` sees the program's calls, `calls.py` says what each needs, and here is what they work
with: roots, marks, sums and books.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
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
        account: the ledger's account of a constant; '' = biases.
        direct: relevance that rules put here without going through g, `[*values]`.
    """

    values: Tensor
    owner: int | None = None
    account: str = ""
    direct: Tensor | None = None


@dataclass
class Sum:
    """One weighted sum of the running program, until the backward pass has used it.

    Attributes:
        layer: what was summed up.
        values: z, or what ReLU made of it where nothing else looks at z (g is 0 wherever the two
            differ, and memory is saved); None once used.
        consumers: how many operations used z.
        folded: a batch norm took the sum over.
        before, shift: of a batch norm that did so: that sum, and the bias of the norm alone.
    """

    layer: Layer
    values: Tensor | None
    consumers: int = 0
    folded: bool = False
    before: Sum | None = None
    shift: Tensor | None = None

    def bias(self) -> Tensor | None:
        """The bias of this sum; a batch norm's alone if others use what it was to fold in."""
        shared = self.before is not None and self.before.consumers > 1
        return self.shift if shared else self.layer.bias

    def take(self) -> Tensor:
        """The values, for the last time."""
        values, self.values = self.values, None
        assert values is not None
        return values


@dataclass
class Mark:
    """What the trace knows about a tensor that relevance flows through.

    Attributes:
        depth: linear layers and convolutions between the inputs and it.
        sum: the weighted sum that made it.
        root: the root that it is a copy of.
        gate: it is the output of a gate.
        presence: for ids: ones whose relevance is that of the ids.
    """

    trace: Trace
    depth: int = 0
    sum: Sum | None = None
    root: Root | None = None
    gate: bool = False
    presence: Tensor | None = None


@dataclass
class Books:
    """Accounts of absorbed relevance, kept on the device until the end."""

    accounts: dict[str, Tensor] = field(default_factory=dict)

    def __call__(self, account: str, amount: Tensor) -> None:
        amount = amount.detach().double()
        known = self.accounts.get(account)
        self.accounts[account] = amount if known is None else known + amount

    def rescale(self, factor: float) -> None:
        """Multiply what is booked so far."""
        self.accounts = {name: amount * factor for name, amount in self.accounts.items()}


class Propagate(torch.autograd.Function):
    """Forward: the layer's own output z. Backward: the layer's rule."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, z: Tensor, trace: Trace, found: Sum) -> Tensor:
        ctx.save_for_backward(x)
        ctx.trace, ctx.found, ctx.root = trace, found, trace.root_of(x)
        ctx.mark_dirty(z)
        return z

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None, None]:
        (x,) = ctx.saved_tensors
        return ctx.trace.through_layer(ctx.found, ctx.root, x, g), None, None, None


class Trace:
    """What one explanation knows: roots, marks, sums and books.

    Args:
        composite: the rule of each layer.
        split: how a `head.difference` is divided, one of `rules.SPLITS`.
        names: id of a parameter -> its dotted name.
        keep_books: whether to book what is absorbed.
    """

    def __init__(
        self, composite: Composite, split: str, names: Mapping[int, str], *, keep_books: bool
    ) -> None:
        self.composite, self.split, self.names = composite, split, names
        self.parts: dict[int, tuple[str, Tensor]] = {}
        self.books = Books() if keep_books else None
        self.roots: list[Root] = []
        self.sums: list[Sum] = []

    # --- roots and marks -------------------------------------------------------------------------

    def explain(self, x: Tensor, owner: int) -> Tensor:
        """A stand-in for input number `owner`, for the program to run on."""
        if x.is_floating_point():
            return self.root(x.detach().clone(), owner)
        ones = torch.ones(x.shape, dtype=torch.float64, device=x.device)
        root = Root(ones.requires_grad_(), owner)
        self.roots.append(root)
        return self.mark(x.detach().clone(), presence=root.values)

    def root(self, values: Tensor, owner: int | None = None, account: str = "") -> Tensor:
        """A copy of `values` whose relevance is kept under an owner or an account."""
        root = Root(values.requires_grad_(), owner, account)
        self.roots.append(root)
        return self.mark(values.clone(), root=root) if owner is not None else values

    def mark(self, tensor: Tensor, **knowledge: Any) -> Tensor:
        """Say that relevance flows through a tensor, and what is known about it."""
        setattr(tensor, MARK, Mark(self, **knowledge))
        return tensor

    def mark_of(self, tensor: Any) -> Mark | None:
        """What is known about a tensor, if relevance flows through it in this trace."""
        mark = getattr(tensor, MARK, None) if isinstance(tensor, Tensor) else None
        return mark if mark is not None and mark.trace is self else None

    def carries(self, tensor: Any) -> bool:
        """Whether relevance flows through a tensor of numbers."""
        mark = self.mark_of(tensor)
        return mark is not None and mark.presence is None

    def root_of(self, tensor: Tensor) -> Root | None:
        mark = self.mark_of(tensor)
        return mark.root if mark is not None else None

    def constant(self, value: Any) -> Any:
        """A constant as it is added to signals: with a root of its own where books are kept."""
        if isinstance(value, bool) or not isinstance(value, (Tensor, int, float)):
            return value
        if self.carries(value):
            return value
        if self.books is None:
            return value.detach() if isinstance(value, Tensor) else value
        tensor = torch.as_tensor(value)
        if tensor.dim() == 0 and not tensor.is_floating_point():
            tensor = tensor.to(torch.get_default_dtype())
        if not tensor.is_floating_point():
            return value
        return self.root(tensor.detach().clone(), account=self.name_of(value))

    def name_of(self, value: Any) -> str:
        """Name of the parameter that a constant is, or is a part of; '' if neither."""
        return self.names.get(id(value)) or self.parts.get(id(value), ("", value))[0]

    def is_part(self, part: Any, whole: Any) -> None:
        """Remember that a tensor holds numbers of a parameter, such as a row of it."""
        if isinstance(part, Tensor) and self.name_of(whole):
            self.parts[id(part)] = (
                self.name_of(whole),
                part,
            )  # kept alive, so its id stays its own

    def close(self) -> None:
        """Let go of all tensors: marks point here, and a program may keep what it computed."""
        self.roots.clear()
        self.sums.clear()
        self.parts.clear()

    # --- sums ------------------------------------------------------------------------------------

    def weighted_sum(self, layer: Layer, run: Any) -> Tensor:
        """Run a weighted sum and let its rule take over its backward pass."""
        rule, x = self.composite.rule_of(layer), layer.x
        depth = layer.depth + int(layer.kind in WEIGHTED)
        if isinstance(rule, Epsilon):
            z = run()
            found = self.remember(layer, z)
            epsilon = rule.absorbing(z.detach())  # now: a ReLU may overwrite z
            z.register_hook(partial(self.scale, found, rule, epsilon))
        else:
            with torch.no_grad():
                z = run()
            found = self.remember(layer, z)
            z = Propagate.apply(x, z, self, found)
        return self.mark(z, depth=depth, sum=found)

    def folded_sum(self, before: Sum, slope: Tensor, shift: Tensor, run: Any, depth: int) -> Tensor:
        """A batch norm's output as the sum of the layer that feeds it, with other weights."""
        layer = before.layer
        before.folded = True
        bias = shift if layer.bias is None else layer.bias * slope + shift
        joint = replace(layer, bias=bias)
        joint.bias_shape = (len(bias), *layer.bias_shape[1:]) if layer.bias_shape else joint.inner
        if isinstance(self.composite.rule_of(layer), Epsilon):
            z = self.weighted_sum(joint, run)
            self.sums[-1].before, self.sums[-1].shift = before, shift
        else:
            assert layer.weight is not None and layer.out is not None
            shape = [1] * layer.weight.dim()
            shape[layer.out] = -1
            joint.weight = layer.weight * slope.view(shape)
            z = self.weighted_sum(joint, run)
        return self.mark(z, depth=depth, sum=self.sums[-1])

    def remember(self, layer: Layer, z: Tensor) -> Sum:
        found = Sum(layer, z.detach())
        self.sums.append(found)
        return found

    def scale(self, found: Sum, rule: Epsilon, epsilon: float | Tensor, g: Tensor) -> Tensor | None:
        """The epsilon rule, as a hook on the gradient of z."""
        z = found.take()
        if found.folded and found.consumers == 1:
            return None  # the batch norm that follows has done it
        scaled, absorbed = rule.scale(g.to(wide(g)), z.to(wide(g)), epsilon)
        if self.books is not None:
            if absorbed is not None:
                self.books("epsilon", absorbed)
            bias, shape = found.bias(), found.layer.bias_shape
            if bias is not None:
                self.books("biases", (scaled.sum_to_size(shape) * bias.view(shape)).sum())
        return scaled.to(g.dtype)

    def through_layer(self, found: Sum, root: Root | None, x: Tensor, g: Tensor) -> Tensor:
        """Any other rule, as the backward pass of a layer."""
        z, layer = found.take(), found.layer
        layer.x = x
        rule = self.composite.rule_of(layer)
        if not rule.direct:
            return propagate(rule, layer, g * z, z, self.books)
        relevance = propagate(rule, layer, g * z, z, self.books)
        if root is None:
            return self.per_unit(relevance, x)
        root.direct = relevance if root.direct is None else root.direct + relevance
        return torch.zeros_like(x)

    def book_zero_units(self, g: Tensor, values: Tensor) -> None:
        """Book what arrives at units whose input is 0 (`values`: their outputs, else 0)."""
        assert self.books is not None
        self.books(ZERO_UNITS, (g * values).sum())

    def per_unit(self, relevance: Tensor, x: Tensor) -> Tensor:
        """R / x where x is not 0; the rest is booked as lost."""
        zero = x == 0
        if self.books is not None:
            self.books(ZERO_UNITS, (relevance * zero).sum())
        return torch.where(zero, 0.0, relevance / torch.where(zero, 1.0, x))

    def protect(self, tensor: Tensor, spare: Sum | None = None) -> None:
        """Keep values that are still needed from an operation that writes into `tensor`."""
        place = tensor.untyped_storage().data_ptr()
        for found in self.sums:
            kept = found.values
            if kept is None or found is spare or kept.untyped_storage().data_ptr() != place:
                continue
            found.values = kept.clone()
