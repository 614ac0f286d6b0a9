"""What each call of the running program needs, so that g = R / x arrives at its inputs.

One function for each list of `operations.py`. Each gets the trace and the call, runs the call so
that the forward value is the program's own, bit for bit, and marks what relevance flows through.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from explainrec_lab.lrp import head
from explainrec_lab.lrp import operations as ops
from explainrec_lab.lrp.rules import Layer
from explainrec_lab.lrp.trace import Sum, Trace


class UnsupportedOperation(ValueError):
    """The program does something that has no rule; the message names it and the calling line."""


@dataclass
class Call:
    """One call of a torch function.

    Attributes:
        name: without underscores, the same for functions, methods and operators.
        in_place: it changes its first argument.
        writes: likewise, but that argument is a copy by now.
        depth: linear layers and convolutions between the inputs and its arguments.
        gate: all its signals come out of gates.
    """

    name: str
    func: Callable[..., Any]
    args: list[Any]
    kwargs: dict[str, Any]
    in_place: bool = False
    writes: bool = False
    depth: int = 0
    gate: bool = False

    @classmethod
    def of(cls, func: Any, args: Any, kwargs: Any) -> Call:
        name, in_place = name_of(func)
        call = cls(name, func, list(args), dict(kwargs), in_place)
        call.in_place |= bool(call.argument("inplace", -1))
        return call

    def run(self) -> Any:
        return self.func(*self.args, **self.kwargs)

    def tensors(self) -> Iterator[Tensor]:
        return tensors_in((self.args, self.kwargs))

    def argument(self, name: str, position: int, default: Any = None) -> Any:
        """An argument by name, or by the function's signature, or by position."""
        if name in self.kwargs:
            return self.kwargs[name]
        names = parameters(self.func)
        position = names.index(name) if name in names else position
        return self.args[position] if 0 <= position < len(self.args) else default

    def with_(self, old: Tensor, new: Any) -> Call:
        """The same call with another object in place of `old`, wherever it stands."""

        def swap(value: Any) -> Any:
            if value is old:
                return new
            if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
                return type(value)(swap(entry) for entry in value)
            return value

        kwargs = {key: swap(value) for key, value in self.kwargs.items()}
        return replace(self, args=[swap(value) for value in self.args], kwargs=kwargs)

    def refuse(self, why: str = "") -> UnsupportedOperation:
        hint = why or ops.HINTS.get(self.name, "if it is homogeneous or elementwise, mark it so")
        return UnsupportedOperation(
            f"{self.name} has no relevance rule ({hint}); called at {call_site()}"
        )


@cache
def parameters(func: Any) -> tuple[str, ...]:
    """Names of a Python function's parameters; () for built-in ones."""
    if not inspect.isfunction(func):
        return ()
    return tuple(inspect.signature(func).parameters)


ESCAPES = frozenset(["__float__", "__int__", "__index__", "__complex__"])
OPERATORS = {"isub": "sub", "iadd": "add", "imul": "mul", "itruediv": "div", "idiv": "div"}
OPERATORS |= {"radd": "add", "rmul": "mul", "ipow": "pow", "imatmul": "matmul"}


def name_of(func: Any) -> tuple[str, bool]:
    """The plain name of a function, and whether the name says that it works in place."""
    raw = getattr(func, "__name__", type(func).__name__)
    if raw in ("__get__", "__set__"):
        return func.__self__.__name__.strip("_"), False
    if raw in ESCAPES:
        return "item", False
    dunder = raw.startswith("__")
    plain = raw.strip("_")
    in_place = (raw.endswith("_") and not dunder) or (
        dunder and plain in OPERATORS and plain.startswith("i")
    )
    in_place |= plain in ("setitem", "copy")
    return OPERATORS.get(plain, plain) if dunder else plain, in_place


def call_site() -> str:
    """File and line of the program's own code that made the current call."""
    inside = (str(Path(torch.__file__).parent), str(Path(__file__).parent))
    for frame, line in traceback.walk_stack(None):
        if not frame.f_code.co_filename.startswith(inside):
            return f"{frame.f_code.co_filename}:{line} ({frame.f_code.co_qualname})"
    return "an unknown line"


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors in nested lists, tuples and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from tensors_in(entry)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))


class Pass(torch.autograd.Function):
    """Forward: `value` as it is. Backward: g * factor to `carrier`."""

    @staticmethod
    def forward(ctx: Any, carrier: Tensor, value: Tensor, factor: Tensor | None) -> Tensor:
        ctx.save_for_backward(factor)
        ctx.mark_dirty(value)
        return value

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None]:
        (factor,) = ctx.saved_tensors
        return g if factor is None else g * factor, None, None


# --- dispatch ------------------------------------------------------------------------------------


def follow(trace: Trace, call: Call) -> Any:
    """Run a call that relevance flows through."""
    handler = _handler(trace, call)
    if handler is None:
        raise call.refuse()
    if not call.in_place:
        return handler(trace, call)
    target = call.args[0]
    if handler in WRITERS and (handler is not _contraction):
        trace.protect(target, _spared(trace, call))
        if not trace.carries(target):  # a buffer of constants that signals are written into
            target.copy_(trace.constant(target.clone()))
        result = handler(trace, call)
        if trace.mark_of(target) is None or result is not target:
            trace.mark(target, depth=call.depth, gate=call.gate)
        return result
    new = handler(trace, _out_of_place(trace, call))
    trace.protect(target)
    mark = trace.mark_of(new)
    target.copy_(new)
    trace.mark(target, depth=mark.depth if mark else call.depth, gate=bool(mark and mark.gate))
    return target


def _spared(trace: Trace, call: Call) -> Sum | None:
    """The sum whose values an in-place ReLU may overwrite: nobody else looks at them."""
    mark = trace.mark_of(call.args[0])
    if call.name != "relu" or mark is None or mark.sum is None or mark.sum.consumers > 1:
        return None
    return mark.sum


def _out_of_place(trace: Trace, call: Call) -> Call:
    """The same call on a copy of what it would overwrite."""
    target, mark = call.args[0], trace.mark_of(call.args[0])
    copy = target.clone()
    if mark is not None:
        trace.mark(copy, depth=mark.depth, gate=mark.gate)
    return replace(call.with_(target, copy), in_place=False, writes=True)


def _handler(trace: Trace, call: Call) -> Callable[[Trace, Call], Any] | None:
    if call.func is head.difference:
        return _difference
    if hasattr(call.func, "degree"):
        return _homogeneous_function
    if hasattr(call.func, "elementwise"):
        return _elementwise
    if not any(trace.carries(tensor) for tensor in call.tensors()):
        return _ids
    return next((handler for names, handler in HANDLERS if call.name in names), None)


def _marked(trace: Trace, call: Call, result: Any) -> Any:
    """Mark all tensors of a result that depend on the inputs."""
    for tensor in tensors_in(result):
        if tensor.requires_grad:
            trace.mark(tensor, depth=call.depth, gate=call.gate)
    return result


def _signals(trace: Trace, call: Call) -> list[Tensor]:
    return [tensor for tensor in call.tensors() if trace.carries(tensor)]


def _constants_detached(trace: Trace, call: Call) -> Call:
    for tensor in list(call.tensors()):
        if tensor.requires_grad and not trace.carries(tensor):
            call = call.with_(tensor, tensor.detach())
    return call


# --- what needs nothing --------------------------------------------------------------------------


def _ordinary(trace: Trace, call: Call) -> Any:
    """MOVES and HOMOGENEOUS: the ordinary gradient is the rule."""
    call = _constants_detached(trace, call)
    if call.name == "pad" and call.argument("value", 3):
        raise call.refuse("padding with another value than 0")
    if call.name == "iter":
        return iter(_marked(trace, call, list(call.args[0].unbind(0))))
    if call.name in ("setitem", "copy") and trace.books is not None:
        value = call.args[-1]
        if isinstance(value, Tensor) and not trace.carries(value) and value.is_floating_point():
            call = call.with_(value, trace.constant(value))
    before = call.args[0]
    found = trace.mark_of(before)
    result = call.run()
    if result is before and not call.in_place:
        return result  # nothing moved
    if call.name == "relu" and found is not None and found.sum is not None:
        _relu_values(found.sum, result, call.in_place)
    return _marked(trace, call, result)


def _relu_values(found: Sum, after: Tensor, in_place: bool) -> None:
    """Keep ReLU's output, which the next layer keeps too, instead of z."""
    if found.consumers == 1 and found.values is not None:
        found.values = after.detach()


def _extremes(trace: Trace, call: Call) -> Any:
    return (_ordinary if len(_signals(trace, call)) > 1 else _elementwise)(trace, call)


def _homogeneous_function(trace: Trace, call: Call) -> Tensor:
    """A marked function: gradient x input / degree."""
    result = _constants_detached(trace, call).run()
    degree = call.func.degree  # type: ignore[attr-defined]
    result.register_hook(lambda g: g / degree)
    return _marked(trace, call, result)


# --- sums ----------------------------------------------------------------------------------------


def _addition(trace: Trace, call: Call) -> Any:
    """A sum of two signals is a weighted sum; a constant that is added takes its own relevance."""
    if len(_signals(trace, call)) > 1:
        layer = Layer("addition", "", call.depth, call.args[0])
        return trace.weighted_sum(layer, call.run)
    for position, value in enumerate(call.args[:2]):
        call.args[position] = trace.constant(value)
    for key in ("other", "input"):
        if key in call.kwargs:
            call.kwargs[key] = trace.constant(call.kwargs[key])
    return _marked(trace, call, call.run())


def _join(trace: Trace, call: Call) -> Any:
    for tensor in list(call.tensors()):
        if not trace.carries(tensor) and tensor.is_floating_point():
            call = call.with_(tensor, trace.constant(tensor))
    if call.name in ("masked_fill", "where"):
        call.args = [
            trace.constant(value) if isinstance(value, float) else value for value in call.args
        ]
    return _marked(trace, call, call.run())


def _pool(trace: Trace, call: Call) -> Tensor:
    return trace.weighted_sum(Layer("pooling", "", call.depth, call.args[0]), call.run)


def _layer(trace: Trace, call: Call) -> Tensor:
    """Linear layers and convolutions: their rule."""
    x, weight = call.argument("input", 0), call.argument("weight", 1)
    bias = call.argument("bias", 2)
    if trace.carries(weight) or trace.carries(bias):
        return _contraction(trace, call)
    rest, kwargs = call.args[3:], dict(call.kwargs)
    for key in ("input", "weight", "bias"):
        kwargs.pop(key, None)
    func, dense = call.func, call.name == "linear"

    def apply(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return func(x, weight, bias, *rest, **kwargs)

    name = trace.names.get(id(weight), "").rpartition(".")[0]
    weight = weight.detach()
    bias = None if bias is None else bias.detach()
    inner = 0 if dense else weight.dim() - 2
    layer = Layer("linear" if dense else "convolution", name, call.depth, x, weight, bias, apply)
    layer.bias_shape = () if bias is None else (len(bias), *(1,) * inner)
    layer.out = _out_dimension(call, weight, kwargs, rest)
    return trace.weighted_sum(layer, lambda: apply(x, weight, bias))


def _out_dimension(call: Call, weight: Tensor, kwargs: dict, rest: list) -> int | None:
    """Which dimension of the weight counts outputs; None where groups make it two."""
    if "transpose" not in call.name:
        return 0
    groups = kwargs.get("groups", rest[3] if len(rest) > 3 else 1)
    return 1 if groups == 1 else None


def _contraction(trace: Trace, call: Call) -> Tensor:
    """Products: with one signal a weighted sum, with k signals each gets 1/k."""
    bias_at = {"bilinear": 3, "addmm": 0, "baddbmm": 0, "linear": 2}.get(call.name)
    bias_at = 2 if call.name.startswith("conv") else bias_at
    bias = call.args[bias_at] if bias_at is not None and bias_at < len(call.args) else None
    if bias is None and "bias" in call.kwargs:
        bias = call.kwargs["bias"]
    if trace.carries(bias):
        raise call.refuse("its bias depends on the inputs; add it in a step of its own")
    signals = [t for t in _signals(trace, call) if t is not bias]
    if len(signals) == 1:
        return _one_signal(trace, call, signals[0], bias)
    call = _constants_detached(trace, call)
    if bias is None:
        result = call.run()
        result.register_hook(lambda g: g / len(signals))
        return _marked(trace, call, result)
    with torch.no_grad():
        value = call.run()
    shares = call.with_(bias.detach() if bias.requires_grad else bias, None)
    if call.name in ("addmm", "baddbmm"):
        raise call.refuse("a product of two signals with a bias; add the bias in its own step")
    path = shares.run()
    path.register_hook(lambda g: g / len(signals))
    shape = bias if call.name in ("linear", "bilinear") else bias.view(-1, *(1,) * (path.dim() - 2))
    path = path + trace.constant(shape.detach())
    return _marked(trace, call, Pass.apply(path, value, None))


def _one_signal(trace: Trace, call: Call, x: Tensor, bias: Tensor | None) -> Tensor:
    """A product of a signal with constants: a linear layer."""
    others = [t for t in call.tensors() if t is not x and t is not bias and t.is_floating_point()]
    if len(others) != 1 or any(t is x for t in call.tensors() if t is not x):
        result = _constants_detached(trace, call)
        return trace.weighted_sum(Layer("addition", "", call.depth, x), result.run)
    weight = others[0]

    def apply(x_: Tensor, weight_: Tensor, bias_: Tensor | None) -> Tensor:
        other = call.with_(x, x_).with_(weight, weight_)
        if bias is None:
            return other.run()
        zero = torch.zeros_like(bias)
        return other.with_(bias, zero if bias_ is None else bias_).run()

    name = trace.names.get(id(weight), "").rpartition(".")[0]
    plain = None if bias is None else bias.detach()
    layer = Layer("linear", name, call.depth, x, weight.detach(), plain, apply)
    layer.bias_shape = () if bias is None else tuple(bias.shape)
    return trace.weighted_sum(layer, lambda: apply(x, weight.detach(), plain))


def _scaling(trace: Trace, call: Call) -> Any:
    """Products of numbers: gates count as weights, two signals share half and half."""
    signals = _signals(trace, call)
    if len(signals) > 1:
        gates = [t for t in signals if _is_gate(trace, t)]
        if len(gates) == 1 and len(signals) == 2:
            call = call.with_(gates[0], gates[0].detach())
            signals = [t for t in signals if t is not gates[0]]
            call.gate = False
    call = _constants_detached(trace, call)
    result = call.run()
    if len(signals) > 1:
        result.register_hook(lambda g: g / len(signals))
    return _marked(trace, call, result)


def _is_gate(trace: Trace, tensor: Tensor) -> bool:
    mark = trace.mark_of(tensor)
    return mark is not None and mark.gate


def _division(trace: Trace, call: Call) -> Any:
    """A divisor that depends on the inputs counts as a constant."""
    above, below = call.argument("input", 0), call.argument("other", 1)
    if not trace.carries(above):
        return _elementwise(trace, call)
    if trace.carries(below):
        call = call.with_(below, below.detach()) if below is not above else call
    return _marked(trace, call, _constants_detached(trace, call).run())


# --- functions of each number alone --------------------------------------------------------------


def _elementwise(trace: Trace, call: Call) -> Any:
    """Relevance passes unchanged: g_in = g * y / x; at an untouched input it ends right there."""
    signals = _signals(trace, call)
    if len(signals) != 1:
        raise call.refuse("of two tensors that depend on the inputs")
    x = signals[0]
    with torch.no_grad():
        value = call.with_(x, x.detach().clone() if call.writes else x.detach()).run()
    if not isinstance(value, Tensor) or value.shape != x.shape:
        raise call.refuse("it changes the shape")
    call.gate = call.name in ops.GATES
    root = trace.root_of(x)
    if root is not None and root.owner is not None:
        return trace.root(value.detach().clone(), root.owner)
    path = Pass.apply(x, value, _chord(trace, x.detach(), value))
    if trace.books is not None:
        lost = value.detach() * (x.detach() == 0)
        path.register_hook(lambda g: trace.book_zero_units(g, lost))
    return _marked(trace, call, path)


def _chord(trace: Trace, x: Tensor, y: Tensor) -> Tensor:
    """y / x in the precision of x, 0 where x is 0 (there is no unit to hold the relevance)."""
    wide = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
    zero = x == 0
    ratio = y.to(wide) / torch.where(zero, 1.0, x).to(wide)
    return torch.where(zero, 0.0, ratio).to(x.dtype)


# --- norms ---------------------------------------------------------------------------------------


def _norm(trace: Trace, call: Call) -> Tensor:
    return (_batch_norm if call.name == "batch_norm" else _sample_norm)(trace, call)


def _batch_norm(trace: Trace, call: Call) -> Tensor:
    """In eval mode an affine map; folded into the linear layer or convolution that feeds it."""
    order = ("input", "running_mean", "running_var", "weight", "bias", "training")
    if not parameters(call.func):
        order = ("input", "weight", "bias", "running_mean", "running_var", "training")
    found = {name: call.argument(name, place) for place, name in enumerate(order)}
    x, mean, var = found["input"], found["running_mean"], found["running_var"]
    if found["training"] or mean is None:
        raise call.refuse("it normalises by the batch: call model.eval()")
    eps = call.argument("eps", 7, 1e-5)
    slope = torch.rsqrt(var.double() + eps)
    if found["weight"] is not None:
        slope = slope * found["weight"].detach()
    shift = -slope * mean
    if found["bias"] is not None:
        shift = shift + found["bias"].detach()
    slope, shift = slope.to(x.dtype), shift.to(x.dtype)
    call = _constants_detached(trace, call)
    inner = (1,) * (x.dim() - 2)
    mark = trace.mark_of(x)
    before = mark.sum if mark is not None else None
    if before is None or before.consumers != 1 or before.layer.out is None:
        layer = Layer("normalisation", "", call.depth, x, None, shift)
        layer.bias_shape = (len(shift), *inner)
        return trace.weighted_sum(layer, call.run)
    return trace.folded_sum(before, slope, shift, call.run, call.depth)


def _sample_norm(trace: Trace, call: Call) -> Tensor:
    """Layer, group and instance norm: the standard deviation counts as a constant."""
    x = call.argument("input", 0)
    with torch.no_grad():
        value = _constants_detached(trace, call).run()
    grouped, eps = x, call.argument("eps", 4, 1e-5)
    if call.name == "layer_norm":
        dims = tuple(range(-len(call.argument("normalized_shape", 1)), 0))
        weight, bias = call.argument("weight", 2), call.argument("bias", 3)
    else:
        at_group = call.name == "group_norm"
        groups = call.argument("num_groups", 1) if at_group else x.shape[1]
        weight = call.argument("weight", 2 if at_group else 3)
        bias = call.argument("bias", 3 if at_group else 4)
        if not at_group and call.argument("use_input_stats", 5, True) is False:
            raise call.refuse("with running statistics")
        eps = call.argument("eps", 4 if at_group else 7, 1e-5)
        grouped = x.reshape(x.shape[0], groups, -1)
        dims = (-1,)
        inner = (1,) * (x.dim() - 2)
        weight = None if weight is None else weight.view(-1, *inner)
        bias = None if bias is None else bias.view(-1, *inner)
    centred = grouped - grouped.mean(dim=dims, keepdim=True)
    scale = centred.detach().square().mean(dim=dims, keepdim=True).add(eps).rsqrt()
    path = (centred * scale).reshape(x.shape)
    if weight is not None:
        path = path * weight.detach()
    path = trace.weighted_sum(Layer("normalisation", "", call.depth, x), lambda: path)
    if bias is not None:
        path = path + trace.constant(bias.detach())
    return _marked(trace, call, Pass.apply(path, value, None))


# --- ids -----------------------------------------------------------------------------------------


def _ids(trace: Trace, call: Call) -> Any:
    """Explained ids: followed through moves to the embedding that looks them up."""
    if call.name in ops.EMBEDDINGS:
        return _embedding(trace, call)
    ids = next(tensor for tensor in call.tensors() if trace.mark_of(tensor))
    mark = trace.mark_of(ids)
    assert mark is not None and mark.presence is not None
    if call.name == "getitem" and call.args[0] is not ids and call.args[1] is ids:
        rows = call.args[0].detach()[ids]
        presence = mark.presence.view(*ids.shape, *(1,) * (rows.dim() - ids.dim()))
        return _marked(trace, call, rows * presence.to(rows.dtype))
    if call.name not in ops.MOVES | ops.ADDITIONS:
        raise call.refuse("of ids that are to be explained; give images as floats")
    result = call.run()
    if call.name in ops.MOVES and isinstance(result, Tensor) and not result.is_floating_point():
        moved = call.with_(ids, mark.presence).run() if call.name not in CASTS else mark.presence
        return trace.mark(result, presence=moved)
    if call.name in ops.ADDITIONS and isinstance(result, Tensor):
        return trace.mark(result, presence=mark.presence.expand(result.shape))
    raise call.refuse("of ids that are to be explained")


CASTS = frozenset(["to", "long", "int", "type", "type_as"])


def _embedding(trace: Trace, call: Call) -> Tensor:
    """An id is an input of one: its relevance is that of its vector."""
    ids, weight = call.argument("input", 0), call.argument("weight", 1)
    if ids.is_floating_point():  # torch.embedding takes the weight first
        ids, weight = weight, ids
    mark = trace.mark_of(ids)
    if mark is None or mark.presence is None:
        raise call.refuse("with weights or offsets that are to be explained, but not the ids")
    rows = weight.detach()[ids] * mark.presence.to(weight.dtype)[..., None]
    if call.name == "embedding":
        return _marked(trace, call, rows)
    with torch.no_grad():
        value = call.run()
    path = _bags(call, ids, rows)
    layer = Layer("pooling", "", call.depth, rows)
    path = trace.weighted_sum(layer, lambda: Pass.apply(path, value, None))
    return _marked(trace, call, path)


def _bags(call: Call, ids: Tensor, rows: Tensor) -> Tensor:
    """What embedding_bag makes of the rows."""
    mode, offsets = call.argument("mode", 6, "mean"), call.argument("offsets", 2)
    weights = call.argument("per_sample_weights", 8)
    if mode not in ("mean", "sum") or call.argument("padding_idx", 10) is not None:
        raise call.refuse(f"with mode {mode!r} or padding")
    if weights is not None:
        rows = rows * weights.detach()[..., None]
    if ids.dim() == 2:
        return rows.mean(dim=1) if mode == "mean" else rows.sum(dim=1)
    offsets = offsets[:-1] if call.argument("include_last_offset", 9, False) else offsets
    place = torch.arange(len(ids), device=ids.device)
    bag = torch.searchsorted(offsets.contiguous(), place, right=True) - 1
    sums = rows.new_zeros(len(offsets), rows.shape[1]).index_add(0, bag, rows)
    if mode == "sum":
        return sums
    return sums / torch.bincount(bag, minlength=len(offsets)).clamp(min=1)[:, None]


# --- the head ------------------------------------------------------------------------------------


def _difference(trace: Trace, call: Call) -> Tensor:
    """R_delta, divided between the two operands by the split of the trace."""
    x_i, x_j = call.args
    both = trace.carries(x_i) and trace.carries(x_j)
    if not both or trace.split == "signed":
        call.args = [trace.constant(x_i), trace.constant(x_j)]
        with torch.no_grad():
            value = head.difference(x_i.detach(), x_j.detach())
        return _marked(trace, call, Pass.apply(call.args[0] - call.args[1], value, None))
    value = (x_i - x_j).detach()
    return _marked(trace, call, Split.apply(x_i, x_j, value, trace))


class Split(torch.autograd.Function):
    """Forward: the difference. Backward: both operands' shares of its relevance, per unit."""

    @staticmethod
    def forward(ctx: Any, x_i: Tensor, x_j: Tensor, delta: Tensor, trace: Trace) -> Tensor:
        ctx.save_for_backward(x_i, x_j, delta.clone())
        ctx.trace = trace
        ctx.mark_dirty(delta)
        return delta

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x_i, x_j, delta = ctx.saved_tensors
        shares = head.shares(ctx.trace.split, x_i, x_j, g * delta)
        g_i, g_j = (ctx.trace.per_unit(r, x) for r, x in zip(shares, (x_i, x_j), strict=True))
        return g_i, g_j, None, None


HANDLERS: tuple[tuple[frozenset[str], Callable[[Trace, Call], Any]], ...] = (
    (ops.MOVES | ops.HOMOGENEOUS, _ordinary),
    (ops.EXTREMES, _extremes),
    (ops.ADDITIONS, _addition),
    (ops.JOINS, _join),
    (ops.POOLS, _pool),
    (ops.LAYERS, _layer),
    (ops.CONTRACTIONS, _contraction),
    (ops.SCALINGS, _scaling),
    (ops.DIVISIONS, _division),
    (ops.ELEMENTWISE | ops.SCALED, _elementwise),
    (ops.NORMS, _norm),
    (ops.EMBEDDINGS, _embedding),
)
WRITERS = (_ordinary, _addition, _join)
"""Handlers that may write into their target: the ordinary gradient knows how."""
