"""Watching a program run: every call of a torch function passes here once.

A `TorchFunctionMode` needs no module hooks and changes no model. It meets functional calls, shared
modules and in-place operations as what they are: calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from explainrec_lab.lrp.engine import treatments
from explainrec_lab.lrp.engine.calls import Call
from explainrec_lab.lrp.engine.operations import IN_PLACE, OPERATIONS
from explainrec_lab.lrp.engine.trace import Trace


class Watch(TorchFunctionMode):
    """Builds the graph for one backward pass of relevance while a program runs inside it."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self.trace = trace

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        call = Call.of(func, args, kwargs or {})
        treatment = OPERATIONS.get(call.operation, treatments.unknown)
        if treatment is treatments.untouched:
            return call.run()
        for tensor in call.tensors():
            if tensor.requires_grad and not tensor.is_leaf and not self.trace.mark_of(tensor):
                maker = type(tensor.grad_fn).__name__
                raise call.refuse(f"{maker} hides it: a custom autograd function, a compiled part?")
        known = [tensor for tensor in call.tensors() if self.trace.mark_of(tensor)]
        if not known:
            return self._constant(call, treatment)
        if treatment is treatments.unknown:
            return treatment(self.trace, call)
        if not any(self.trace.carries(tensor) for tensor in known):
            if call.name not in ("embedding", "embedding_bag", "getitem"):
                raise call.refuse("of ids that are to be explained; give images as floats")
            treatment = treatments.embedding if call.name == "getitem" else treatment
            return treatment(self.trace, call)
        return self._signals(call, treatment)

    def _constant(self, call: Call, treatment: treatments.Treatment) -> Any:
        """A call without signals: no gradient, but a row of a parameter keeps its name."""
        with torch.no_grad():
            result = call.run()
        if treatment is treatments.move:
            self.trace.is_part(result, call.args[0])
        return result

    def _signals(self, call: Call, treatment: treatments.Treatment) -> Any:
        """A call that relevance flows through."""
        if not torch.is_grad_enabled():
            raise call.refuse("it runs in no_grad or in a custom autograd function")
        signals = treatments.signals_of(self.trace, call)
        marks: list[Any] = [self.trace.mark_of(tensor) for tensor in signals]
        call.depth, call.gate = max(mark.depth for mark in marks), all(mark.gate for mark in marks)
        sums = [(mark.sum, x) for mark, x in zip(marks, signals, strict=True) if mark.sum]
        for found, x in sums:
            found.use(x)
        result = self._in_place(call, treatment) if call.in_place else treatment(self.trace, call)
        for found, _ in sums:
            found.source = None
        return result

    def _in_place(self, call: Call, treatment: treatments.Treatment) -> Any:
        """Write where autograd knows how; else run on a copy and write the result back."""
        trace, target = self.trace, call.args[0]
        mark = trace.mark_of(target)
        made = None if mark is None else mark.sum
        alone = treatment is treatments.relu and made is not None and made.uses == 1
        trace.protect(target, spare=made if alone else None)
        if treatment not in IN_PLACE:
            copy = trace.like(target.clone(), target)
            target.copy_(result := treatment(trace, call.with_(target, copy)))
            return trace.like(target, result)
        if not trace.carries(target):  # a buffer of constants that signals are written into
            target.copy_(trace.constant(target.clone()))
            trace.mark(target, depth=call.depth)
        result = treatment(trace, call)
        trace.mark(target, depth=call.depth, gate=call.gate)
        return result
