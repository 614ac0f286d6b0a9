"""Watching a program run: every call of a torch function passes here once.

A `TorchFunctionMode` needs no module hooks and changes no model. It meets functional calls, shared
modules and in-place operations as what they are: calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from explainrec_lab.lrp import calls
from explainrec_lab.lrp import operations as ops
from explainrec_lab.lrp.calls import UnsupportedOperation, call_site
from explainrec_lab.lrp.trace import Trace


class Watch(TorchFunctionMode):
    """Builds the graph for one backward pass of relevance while a program runs inside it."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self.trace = trace

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        call = calls.Call.of(func, args, kwargs or {})
        known = [tensor for tensor in call.tensors() if self.trace.mark_of(tensor)]
        if call.name in ops.INERT:
            return call.run()
        self._refuse_unseen(call)
        if not known:
            with torch.no_grad():
                result = call.run()
            if call.name in ops.MOVES:
                self.trace.is_part(result, call.args[0])
            return result
        carriers = [tensor for tensor in known if self.trace.carries(tensor)]
        if carriers:
            self._require_gradients(call)
            self._consume(carriers)
        marks = [self.trace.mark_of(tensor) for tensor in carriers]
        call.depth = max((mark.depth for mark in marks if mark), default=0)
        call.gate = bool(marks) and all(mark.gate for mark in marks if mark)
        return calls.follow(self.trace, call)

    def _refuse_unseen(self, call: calls.Call) -> None:
        """Raise for a tensor whose making was hidden from us."""
        for tensor in call.tensors():
            hidden = tensor.requires_grad and not tensor.is_leaf and not self.trace.mark_of(tensor)
            if hidden and not any(root.values is tensor for root in self.trace.roots):
                raise UnsupportedOperation(
                    f"{call.name} got a tensor made by {type(tensor.grad_fn).__name__}, which "
                    f"relevance cannot follow (a custom autograd function or a compiled part?); "
                    f"called at {call_site()}"
                )

    def _require_gradients(self, call: calls.Call) -> None:
        if not torch.is_grad_enabled():
            raise UnsupportedOperation(
                f"{call.name} runs without gradients (torch.no_grad, or inside a custom autograd "
                f"function), which cuts relevance off; called at {call_site()}"
            )

    def _consume(self, carriers: list[Tensor]) -> None:
        """Count who uses the weighted sums; restore z where a second user comes after a ReLU."""
        for tensor in carriers:
            mark = self.trace.mark_of(tensor)
            if mark is None or mark.sum is None:
                continue
            mark.sum.consumers += 1
            if mark.sum.consumers > 1 and mark.sum.values is not None:
                mark.sum.values = tensor.detach()
