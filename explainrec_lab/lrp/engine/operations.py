"""Every call of the program meets the table, `operations.toml`, which says what it needs.

Every call of the program is met once, by a `TorchFunctionMode`: it needs no module hooks, changes
no model, and meets functional calls, shared modules and in-place operations as what they are.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from explainrec_lab.data.store import table_beside
from explainrec_lab.lrp.engine import treatments as t
from explainrec_lab.lrp.engine.calls import Call, tensors_in
from explainrec_lab.lrp.engine.trace import Trace

TABLE = table_beside(__file__)
REFUSED = {n: t.refused(why) for why, names in TABLE.pop("refused").items() for n in names.split()}
OPERATIONS = REFUSED | {n: getattr(t, by) for by, names in TABLE.items() for n in names.split()}
# What makes whole numbers of whole numbers, each at its place.
IDS = "of ids, which what they look up explains; give numbers as floats, masks as booleans"
OF_IDS = frozenset(["add", "sub", "rsub", "remainder", "floordiv", "clamp", "getitem"])
# Treatments that may write into their target: the ordinary gradient knows how.
IN_PLACE = (t.move, t.join)


# -------------------------------------------------------------------------- asked at every call


class Watch(TorchFunctionMode):
    """Builds the graph for one backward pass of relevance while a program runs inside it."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self.trace = trace
        trace.watch = self

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        call = Call.of(func, args, kwargs or {})
        if isinstance(out := call.kwargs.pop("out", None), Tensor):  # compute, then overwrite it
            result = self.__torch_function__(func, types, args, call.kwargs)
            return self.__torch_function__(Tensor.copy_, types, (out, result))
        treatment = OPERATIONS.get(call.operation, t.unknown)
        if treatment is t.untouched:
            return treatment(self.trace, call)
        known = []
        for tensor in call.tensors():
            if self.trace.mark_of(tensor):
                known.append(tensor)
            elif tensor.requires_grad and not tensor.is_leaf:
                raise call.refuse(f"{type(tensor.grad_fn).__name__} hides it: custom, or compiled?")
            elif tensor.is_inference():
                call = call.with_(tensor, tensor.clone())
        if not known:
            return self._constant(call, treatment)
        if not any(self.trace.carries(tensor) for tensor in known):
            return self._ids(call, treatment, known[0])
        if treatment is t.unknown:
            return treatment(self.trace, call)
        return self._signals(call, treatment)

    def _constant(self, call: Call, treatment: t.Treatment) -> Any:
        """A call without signals: no gradient, but a row of a parameter keeps its name."""
        learns = any(tensor.requires_grad for tensor in call.tensors())
        with torch.set_grad_enabled(torch.is_grad_enabled() and not learns):
            result = call.run()
        if treatment is t.move:
            self.trace.is_part(result, call.first)
        return result

    def _ids(self, call: Call, treatment: t.Treatment, ids: Tensor) -> Any:
        """Whole numbers that are explained: looked up, or handed on with the places they hold."""
        if any(tensor.is_floating_point() for tensor in call.tensors()):
            treatment = t.embedding if call.name == "getitem" else treatment
            looks_up = treatment in (t.embedding, t.embedding_bag)
            return (treatment if looks_up else t.refused(IDS))(self.trace, call)
        result = call.run()
        mark: Any = self.trace.mark_of(ids)
        moves = treatment is t.move and call.first is ids
        moved = call.with_(ids, mark.places).run() if moves else mark.places
        for new, places in zip(tensors_in(result), tensors_in(moved), strict=False):
            kept = (moves or call.name in OF_IDS) and new.shape == places.shape
            if new.is_floating_point() or (new.dtype != torch.bool and not kept):
                raise call.refuse(IDS)
            if kept:
                self.trace.mark(new, ids=mark.ids, places=places)
        return result

    def _signals(self, call: Call, treatment: t.Treatment) -> Any:
        """A call that relevance flows through."""
        if not torch.is_grad_enabled():
            raise call.refuse("it runs in no_grad or in a custom autograd function")
        signals = t.signals_of(self.trace, call)
        marks: list[Any] = [self.trace.mark_of(tensor) for tensor in signals]
        gate, *others = {mark.gate for mark in marks}
        of = frozenset.intersection(*(mark.of | {mark.token} for mark in marks))
        depth = max(mark.depth for mark in marks)
        call.about = {"depth": depth, "gate": "" if others else gate, "of": of}
        if len({mark.token for mark in marks}) == 1:
            call.alone = signals[0].numel(), {"token": marks[0].token, "of": marks[0].of}
        for found in (mark.sum for mark in marks if mark.sum):
            found.uses += 1
        if not call.in_place:
            return treatment(self.trace, call)
        try:
            return self._in_place(call, treatment)
        except RuntimeError as error:
            raise call.refuse(f"write it out of place: {error}") from error

    def _in_place(self, call: Call, treatment: t.Treatment) -> Any:
        """Write where autograd knows how; else run on a copy and write the result back."""
        trace, target = self.trace, call.first
        mark: Any = trace.mark_of(target)
        alone = call.name == "relu" and mark and mark.sum and mark.sum.uses == 1
        trace.protect(target, mark.sum if alone else None)
        if not trace.carries(target):  # a buffer of constants that signals are written into
            whole = target if target._base is None else target._base
            whole.copy_(trace.constant(whole.clone()))
            for tensor in (whole, target):
                trace.mark(tensor, depth=call.depth)
            _ = target.grad_fn  # of a view, torch makes it when it is asked for
        if treatment in IN_PLACE or call.name == "relu":
            treatment(trace, call)
        else:
            mark = trace.mark_of(target)
            copy = trace.mark(target.clone(), depth=mark.depth, gate=mark.gate, token=mark.token)
            call = replace(call.with_(target, copy), func=getattr(Tensor, call.name, call.func))
            target.copy_(treatment(trace, call))
        return trace.mark(target, **call.about)
