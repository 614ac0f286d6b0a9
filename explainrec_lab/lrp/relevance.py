"""`relevance`, the one door to the engine, and the ledger: where an output's relevance went."""

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from explainrec_lab.data.contracts import check_choice, require
from explainrec_lab.lrp.composites import Composite, as_composite, named
from explainrec_lab.lrp.engine.calls import UnsupportedOperation
from explainrec_lab.lrp.engine.operations import Watch
from explainrec_lab.lrp.engine.trace import Trace
from explainrec_lab.lrp.head import SPLITS
from explainrec_lab.lrp.rules import Epsilon, Rule, amount, wide
from explainrec_lab.training import run_once

Output = int | Tensor | Callable[[Any], Tensor] | None
# In float16, relevance is propagated in 1/1024: shares of pixels would be too small for it.
UNITS = 1024.0


@dataclass(frozen=True)
class Ledger:
    """Relevance by where it ended, summed over the samples of one explanation.

    output = inputs + biases + epsilon + sinks, up to rounding (`gap`).

    Attributes:
        output: what was explained.
        inputs: relevance at the explained inputs.
        biases: absorbed by biases and other constants that were added.
        epsilon: absorbed by the stabilisers.
        sinks: absorbed elsewhere, by name (a parameter that was added, such as q; a unit whose
            value is zero and so cannot hold relevance).
    """

    output: float
    inputs: float
    biases: float = 0.0
    epsilon: float = 0.0
    sinks: dict[str, float] = field(default_factory=dict)

    @property
    def gap(self) -> float:
        """The output minus everything booked: rounding, or an error in a rule."""
        return self.output - self.inputs - self.biases - self.epsilon - sum(self.sinks.values())

    def table(self) -> pd.DataFrame:
        """One row an account, with its share of the output."""
        rows = {"inputs": self.inputs, "biases": self.biases, "epsilon": self.epsilon, **self.sinks}
        rows |= {"rounding": self.gap, "output": self.output}
        table = pd.Series(rows, name="relevance").to_frame()
        return table.assign(**{"share of output": table.relevance / self.output})


def relevance(
    model: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    output: Output = None,
    rule: Rule | Composite = Epsilon(1e-6),  # noqa: B008 (frozen)
    *,
    split: str = "proportional",
    ledger: bool = False,
) -> Any:
    """Layer-wise relevance of the inputs for one output a sample.

    Args:
        model: a PyTorch program in eval mode; called as `model(*inputs)`.
        inputs: one tensor or several. Ids that go into an embedding are explained too. A mask of
            booleans gets zeros; what is no tensor is handed on and gets None.
        output: what to explain: None (the model gives one value a sample), an index into an output
            `[sample, class]`, indices `[sample]`, or a function from the output to `[sample]`. Not
            a probability: a softmax goes by its own slope there, which nearly all of it stays in.
        rule: one rule for all layers with weights, or a composite.
        split: how a `lrp.difference` is divided between its operands, one of `SPLITS`.
        ledger: also return where the relevance went.

    Returns:
        Relevance shaped like the inputs (a tuple for several); with `ledger`, a pair of that and
        the ledger.

    Raises:
        ValueError: a model in training mode, NaN or infinite values, an output that is not one
            value a sample or does not depend on the inputs.
        UnsupportedOperation: an operation that has no rule; names it and the calling line. A
            softmax as the output.

    Source: the LRP paper, §2.3; for transformers see `Composite.attention`.
    """
    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    network, composite = _network(model), as_composite(rule)
    _check(network, given, split, composite)
    trace = Trace(composite, split, network, ledger)
    try:
        values = _run(model, given, output, trace)
        found = _collect(trace, given, values)
        answer = found[0] if isinstance(inputs, Tensor) else tuple(found)
        return (answer, _ledger(trace, values, found)) if ledger else answer
    finally:
        vars(trace).clear()  # marks point there, and a program may keep what it computed


def _run(model: Any, given: Sequence[Any], output: Output, trace: Trace) -> Tensor:
    """The values that are explained, `[sample]`, at the end of a graph that carries relevance."""
    with torch.inference_mode(False), torch.enable_grad(), run_once():
        stand_ins = [trace.explain(x, place) for place, x in enumerate(given)]
        with Watch(trace):
            values = select(model(*stand_ins), output)
    mark = trace.mark_of(values)
    if mark is not None and mark.gate == "softmax":
        raise UnsupportedOperation("output: a softmax; explain a logit instead of a probability")
    depends = trace.carries(values) and values.requires_grad
    require(depends, "output: it does not depend on the inputs in a way relevance can follow")
    if not bool(torch.isfinite(values).all()):
        parameters = _network(model).named_parameters()
        bad = [name for name, values in parameters if not bool(torch.isfinite(values).all())]
        where = f"parameter {bad[0]}" if bad else "the output for these inputs"
        raise ValueError(f"model: {where} has NaN or infinite values")
    return values


def _collect(trace: Trace, given: Sequence[Any], values: Tensor) -> list[Any]:
    """The backward pass, and R = x g at every root."""
    units = UNITS if values.dtype == torch.float16 else 1.0
    trace.roots = trace.roots if values.numel() else []  # of no samples
    leaves = [root.leaf for root in trace.roots]
    with torch.inference_mode(False), torch.autocast(values.device.type, enabled=False):
        start = torch.full_like(values, units)
        try:
            gradients = leaves and torch.autograd.grad(values, leaves, start, allow_unused=True)
        except RuntimeError as error:
            if "inplace" not in str(error):
                raise
            raise UnsupportedOperation(f"model: write this out of place: {error}") from error
    found: list[Any] = [
        torch.zeros_like(x, dtype=wide(x)) if isinstance(x, Tensor) else None for x in given
    ]
    for root, g in zip(trace.roots, gradients, strict=True):
        part = root.direct + (0 if g is None else amount(g.to(wide(g)), root.leaf.detach()))
        if root.owner is None:
            assert trace.book is not None
            trace.book(root.account, torch.as_tensor(part).double().sum())
        elif isinstance(part, Tensor):
            if root.places is not None:  # vectors of ids
                inner = tuple(range(root.places.dim(), part.dim()))
                part = part.sum(dim=inner) if inner else part
                part = part.new_zeros(given[root.owner].shape).put_(root.places, part, True)
            found[root.owner] = found[root.owner] + part / units
    trace.accounts = {name: amount / units for name, amount in trace.accounts.items()}
    for place, r in enumerate(found):
        fine = r is None or bool(torch.isfinite(r).all())
        require(fine, f"relevance of input {place} is not finite: try a larger epsilon")
    return found


def _ledger(trace: Trace, values: Tensor, found: Sequence[Tensor | None]) -> Ledger:
    """Where the output went: into the inputs, and what kept them from getting all of it."""
    accounts = {name: float(amount) for name, amount in trace.accounts.items()}
    biases, epsilon = (accounts.pop(name, 0.0) for name in ("biases", "epsilon"))
    inputs = sum(float(r.double().sum()) for r in found if r is not None)
    return Ledger(float(values.detach().double().sum()), inputs, biases, epsilon, accounts)


def select(out: Any, output: Output) -> Tensor:
    """One value a sample."""
    if callable(output):
        out, output = output(out), None
    got = f"output: got a {type(out).__name__}"
    require(isinstance(out, Tensor), f"{got}; give a function that picks one value a sample")
    shape = tuple(out.shape)
    if output is None:
        one = out.dim() < 2 or out.numel() == len(out)
        require(one, f"output: {shape} is not one value a sample; give an index")
        return out.reshape(-1)
    way = "give a function such as lambda y: y[:, 0].amax((-2, -1))"
    require(out.dim() == 2, f"output: an index into {shape}, not [sample, class]; {way}")
    index, count = torch.as_tensor(output, device=out.device), shape[1]
    if index.is_floating_point() or index.dtype == torch.bool or index.shape not in ((), shape[:1]):
        raise ValueError(f"output: {output!r} is neither an index nor one a sample ({shape[0]})")
    inside = bool(((index >= -count) & (index < count)).all())
    require(inside, f"output: {output!r} is no index in 0..{count - 1}")
    return out.gather(1, (index % count).expand(shape[0])[:, None])[:, 0]


def _network(model: Any) -> nn.Module:
    """The module that a model is, or whose method it is; an empty one for other functions."""
    while isinstance(model, partial):
        model = model.func
    model = getattr(model, "__self__", model)
    return model if isinstance(model, nn.Module) else nn.Module().eval()


def _check(model: nn.Module, given: Sequence[Any], split: str, composite: Composite) -> None:
    check_choice("split", split, SPLITS)
    tensors = [(place, x) for place, x in enumerate(given) if isinstance(x, Tensor)]
    require(tensors, "inputs: there is no tensor among them")
    for place, x in tensors:
        it, dense = f"inputs: input {place}", x.layout == torch.strided and not x.is_complex()
        require(x.dtype != torch.uint8, f"{it} is uint8; give floats, such as images / 255")
        require(dense, f"{it} is sparse or complex; give dense real numbers")
        way = "bind a mask that has them with functools.partial"
        require(bool(torch.isfinite(x).all()), f"{it} has NaN or infinite values; {way}")
    modules = list(model.named_modules(remove_duplicate=False))
    for name, module in modules:
        if isinstance(module, torch.jit.ScriptModule):
            raise UnsupportedOperation(f"model: {name or 'it'} is a script; give its own module")
        ready = not module.training or "eval" in vars(model)  # exported programs have no modes
        require(ready, f"model: {name or 'it'} is in training mode; call model.eval() first")
    for selector, _ in composite.table:
        if isinstance(selector, named) and not fnmatch.filter(dict(modules), selector.pattern):
            raise ValueError(f"rule: no module is named {selector.pattern!r}; see named_modules()")
