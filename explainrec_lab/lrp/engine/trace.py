"""What one explanation knows: roots, marks, sums, steps and books."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import product
from traceback import walk_stack
from typing import Any

import torch
from torch import Tensor, nn

from explainrec_lab.lrp.composites import WEIGHTED, Composite
from explainrec_lab.lrp.rules import Epsilon, Layer, Rule, book_bias, propagate, wide

MARK = "_lrp_mark"
# Account of relevance that a rule gave to a unit whose value is 0, which g cannot carry on.
ZERO_UNITS = "units at zero"


@dataclass
class Root:
    """A tensor that relevance ends in.

    Attributes:
        leaf: of the autograd graph, the values of the tensor.
        owner: position of the explained input that it stands for; None for a constant.
        places: of ids, which number of that input each vector of the leaf stands for.
        account: the ledger's account of a constant.
        direct: relevance that rules put here without going through g, `[*values]`.
    """

    leaf: Tensor
    owner: int | None = None
    account: str = "biases"
    direct: Any = 0
    places: Tensor | None = None


@dataclass
class Sum:
    """One weighted sum of the running program, until the backward pass has used it.

    Attributes:
        layer: what was summed up.
        z: its value.
        x: the layer's input, for rules that need it.
        source: what a batch norm that takes the sum over hands relevance to, and its version.
        uses: how many operations used z so far.
    """

    layer: Layer
    z: Tensor
    x: Any = None
    source: tuple[Tensor, int] | None = None
    uses: int = 0


@dataclass
class Mark:
    """What the trace knows about a tensor that relevance flows through.

    Attributes:
        version: the tensor's, counted by torch: a change in place, through a view too, adds to it.
        depth: linear layers and convolutions between the inputs and it.
        sum: the weighted sum that made it.
        root: the root that it is a copy of.
        gate: it is the output of a gate: 'sigmoid' or 'softmax'.
        ids: they are the explained input of this number, and whole numbers.
        places: of the ids, in that input.
        token: its own; the same for a tensor and what has its numbers, scaled, gated or moved.
        of: tokens of the tensors that it was computed from, all of it and through no layer.
    """

    trace: Trace
    version: int
    depth: int = 0
    sum: Sum | None = None
    root: Root | None = None
    gate: str = ""
    ids: int | None = None
    places: Tensor | None = None
    token: object = field(default_factory=object)
    of: frozenset[object] = frozenset()


class _Step(torch.autograd.Function):
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
        model: whose parameters and modules have names.
        books: whether to book what is absorbed.
    """

    def __init__(self, composite: Composite, split: str, model: nn.Module, books: bool) -> None:
        self.composite, self.split, self.model = composite, split, model
        self.names = {id(parameter): name for name, parameter in model.named_parameters()}
        self.parts: dict[int, tuple[str, Tensor]] = {}
        self.accounts: dict[str, Tensor] = {}
        self.book = self._book if books else None
        self.roots: list[Root] = []
        self.sums: list[Sum] = []
        self.watch: Any = None  # meets the calls of a treatment that writes an operation out

    def _book(self, account: str, amount: Tensor) -> None:
        """Add to an account; stays on the device until the end."""
        self.accounts[account] = self.accounts.get(account, 0) + amount.detach().double()

    # --- roots and marks -------------------------------------------------------------------------

    def explain(self, x: Any, owner: int) -> Any:
        """A stand-in for input number `owner`, for the program to run on."""
        if not isinstance(x, Tensor) or x.dtype == torch.bool:
            return x
        if x.is_floating_point():
            return self.replace(x, owner)
        places = torch.arange(x.numel(), device=x.device).view(x.shape)
        return self.mark(x.detach().clone(), ids=owner, places=places)

    def replace(self, x: Tensor, owner: Any, places: Tensor | None = None, **about: Any) -> Tensor:
        """A copy of an explained input, or of its places, whose relevance is the input's."""
        root = self.root(x.detach().clone(), owner=owner, places=places)
        return self.mark(root.leaf.clone(), root=root, **about)

    def root(self, values: Tensor, **about: Any) -> Root:
        root = Root(values.requires_grad_(), **about)
        self.roots.append(root)
        return root

    def constant(self, value: Tensor | None, account: str = "biases") -> Any:
        """A constant as it is added to signals: with a root of its own where books are kept."""
        if value is None or self.carries(value) or not value.is_floating_point():
            return value
        value = value.detach()
        return self.root(value.clone(), account=account).leaf if self.book else value

    def mark(self, tensor: Tensor, **knowledge: Any) -> Tensor:
        """Say that relevance flows through a tensor, and what is known about it."""
        setattr(tensor, MARK, Mark(self, tensor._version, **knowledge))
        return tensor

    def mark_of(self, tensor: Any) -> Mark | None:
        """What is known about a tensor, if relevance flows through it in this trace."""
        mark = getattr(tensor, MARK, None) if isinstance(tensor, Tensor) else None
        if mark is None or mark.trace is not self:
            return None
        if mark.version != tensor._version and mark.ids is None:  # changed since, through a view
            mark = getattr(self.mark(tensor, depth=mark.depth), MARK)
        return mark

    def carries(self, tensor: Any) -> bool:
        """Whether relevance flows through a tensor of numbers."""
        mark = self.mark_of(tensor)
        return mark is not None and mark.ids is None

    def account_of(self, value: Any) -> str:
        """Name of the parameter that a constant is, or is a part of; the biases if neither."""
        return self.names.get(id(value)) or self.parts.get(id(value), ("biases",))[0]

    def names_of(self, weight: Tensor | None) -> list[str]:
        """Names of the module that is running, or of the one whose parameter it borrows."""
        named = list(self.model.named_modules(remove_duplicate=False))
        selves = (frame.f_locals.get("self") for frame, _ in walk_stack(None))
        runs = next((each for each in selves if any(m is each for _, m in named)), None)
        owner, own = self.account_of(weight).rpartition(".")[0], getattr(runs, "_parameters", {})
        borrowed = owner and not any(weight is p for p in own.values())
        return [owner] if borrowed else [name for name, m in named if m is runs]

    def is_part(self, part: Any, whole: Any) -> None:
        """Remember that a tensor holds numbers of a parameter, such as a row of it."""
        if isinstance(part, Tensor) and self.account_of(whole) != "biases":
            self.parts[id(part)] = (self.account_of(whole), part)  # kept: its id stays its own

    # --- steps -----------------------------------------------------------------------------------

    def step(self, value: Tensor, back: Any, *signals: Tensor, **knowledge: Any) -> Tensor:
        """A value whose relevance per unit goes to the signals as `back` says."""
        return self.mark(_Step.apply((value.detach(),), back, *signals), **knowledge)

    def weighted_sum(self, layer: Layer, run: Any, x: Any = None, **about: Any) -> Tensor:
        """Run a weighted sum of x; its rule says what goes back."""
        by_graph = isinstance(self.composite.rule_of(layer), Epsilon)
        with torch.set_grad_enabled(by_graph):
            z = run()
        return self.summed(layer, z, z if by_graph else x, **about)

    def summed(self, layer: Layer, z: Tensor, source: Any, slope: Any = None, **about: Any) -> Any:
        """The sum z: under the epsilon rule from the graph behind `source`, else from x itself.

        With a slope, z is what a batch norm made of the layer's sum.
        """
        rule, mark = self.composite.rule_of(layer), self.mark_of(source)
        found = Sum(layer, z.detach())
        if slope is None and layer.out is not None:
            found.source = source, source._version
        if isinstance(rule, Epsilon):
            back = partial(self._scale, found, rule, slope)
        else:
            found.x = source.detach()
            back = partial(self._divide, found, rule, slope, None if mark is None else mark.root)
        self.sums.append(found)
        about["depth"] = layer.depth + int(layer.kind in WEIGHTED)
        return self.step(z, back, source, sum=found, **about)

    def _scale(self, found: Sum, rule: Epsilon, slope: Any, g: Tensor) -> Any:
        """The epsilon rule, and the slope of a batch norm."""
        z, dtype = found.z, g.dtype
        g, z = g.to(wide(g)), z.to(wide(g))
        scaled = rule.scale(g, z)
        if self.book and scaled is not g:
            self.book("epsilon", torch.dot((g - scaled).flatten(), z.flatten()))
        book_bias(self.book, scaled, found.layer.bias)
        return ((scaled if slope is None else scaled * slope).to(dtype),)

    def _divide(self, found: Sum, rule: Rule, slope: Any, root: Root | None, g: Tensor) -> Any:
        """Any other rule; what it gives that is no multiple of x ends at a root, or is divided."""
        z, x = found.z, found.x
        layer = found.layer.to(wide(z)) if slope is None else found.layer.to(wide(z)).steeper(slope)
        z, x, g = (values.to(wide(z)) for values in (z, x, g))  # autocast: of several precisions
        result = propagate(rule, layer, x, z, g, self.book)
        if not rule.direct:
            return (result,)
        if root is not None:
            root.direct = root.direct + result
            return (None,)
        if self.book:
            self.book(ZERO_UNITS, (result * (x == 0)).sum())
        return (_per_unit_of(result, x),)

    def per_unit(self, value: Tensor, *shares: tuple[Tensor, Tensor], **knowledge: Any) -> Tensor:
        """A value of which each signal holds an amount: `shares` are (signal, amount)."""
        factors = [_per_unit_of(amount, x.detach()) for x, amount in shares]
        lost: Any = sum(amount * (x.detach() == 0) for x, amount in shares) if self.book else None

        def back(g: Tensor) -> list[Tensor]:
            if self.book:
                self.book(ZERO_UNITS, (g * lost).sum())
            return [g * factor for factor in factors]

        return self.step(value, back, *(x for x, _ in shares), **knowledge)

    def protect(self, tensor: Tensor, spare: Sum | None) -> None:
        """Keep values that are still needed from an operation that writes into `tensor`.

        A ReLU spares the sum that it alone uses: g is 0 wherever it changes z.
        """
        place = tensor.untyped_storage().data_ptr()
        for found, name in product(self.sums, ("z", "x")):
            kept = getattr(found, name)
            needed = kept is not None and not (found is spare and name == "z")
            if needed and kept.untyped_storage().data_ptr() == place:
                setattr(found, name, kept.clone())


def _per_unit_of(amount: Tensor, x: Tensor) -> Tensor:
    """amount / x; 0 where x is 0, for there is no unit to hold relevance."""
    zero, wider = x == 0, wide(x)
    ratio = amount.to(wider) / torch.where(zero, 1.0, x).to(wider)
    return torch.where(zero, 0.0, ratio).to(x.dtype)
