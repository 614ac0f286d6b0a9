"""What an operation needs, so that g = R / x arrives at its inputs.

Each treatment gets the trace and the call, runs the call so that the forward value is the program's
own, bit for bit, and marks what relevance flows through. `operations.py` says which operation gets
which.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from explainrec_lab.lrp import head
from explainrec_lab.lrp.engine.calls import Call, tensors_in
from explainrec_lab.lrp.engine.trace import Trace
from explainrec_lab.lrp.rules import Layer, amount, book_bias

Treatment = Callable[[Trace, Call], Any]


def _marked(trace: Trace, call: Call, result: Any) -> Any:
    """Mark all tensors of a result that depend on the inputs."""
    numel, same = call.alone
    for tensor in tensors_in(result):
        if tensor.requires_grad:
            trace.mark(tensor, **call.about | (same if tensor.numel() == numel else {}))
    return result


def signals_of(trace: Trace, call: Call) -> list[Tensor]:
    return [tensor for tensor in call.tensors() if trace.carries(tensor)]


def _without_constants(trace: Trace, call: Call) -> Call:
    """The call with constants that want no gradient."""
    return call.mapped(lambda t: t if trace.carries(t) or not t.requires_grad else t.detach())


def _with_constants(trace: Trace, call: Call) -> Call:
    """The call with constants that take the relevance of what they add."""
    dtype = signals_of(trace, call)[0].dtype
    call = call.mapped(lambda tensor: trace.constant(tensor, trace.account_of(tensor)))
    if not isinstance(call.first, Tensor):
        return call  # of a list of tensors
    given: list[Any] = [(call.args, place, value) for place, value in enumerate(call.args)]
    given += [(call.kwargs, name, call.kwargs.get(name)) for name in ("input", "other", "value")]
    for arguments, place, value in given[2:] if call.name == "setitem" else given:
        if type(value) in (int, float):
            arguments[place] = trace.constant(torch.tensor(value, dtype=dtype))
    return call


def untouched(trace: Trace, call: Call) -> Any:
    """Numbers that do not depend on those of the inputs; a sign is a mask."""
    if any(map(trace.carries, call.tensors()[1:])) or (call.in_place and call.name == "sign"):
        raise call.refuse("it copies numbers out of the program, or in place")
    with torch.set_grad_enabled(call.name != "sign" and torch.is_grad_enabled()):
        return call.run()


def unknown(trace: Trace, call: Call) -> Any:
    """What gives no numbers (shapes, comparisons, indices) has no relevance in it."""
    result = call.run()
    if any(t.is_floating_point() or t.is_complex() for t in tensors_in(result)):
        raise call.refuse("if it is homogeneous or elementwise, mark it so")
    return result


def refused(why: str) -> Treatment:
    """An operation that would cut relevance off, or that has no rule."""

    def refuse(trace: Trace, call: Call) -> Any:
        raise call.refuse(why)

    return refuse


# --- what needs nothing --------------------------------------------------------------------------


def move(trace: Trace, call: Call) -> Any:
    """Numbers move, stay, or are left out: the ordinary gradient is the rule."""
    if call.name == "pad" and call.argument("value", 3):
        raise call.refuse("padding with another value than 0")
    if call.name == "iter":
        return iter(_marked(trace, call, list(call.args[0].unbind(0))))
    return ordinary(trace, call)


def ordinary(trace: Trace, call: Call) -> Any:
    """f(t x) = t f(x) for t > 0, so x * gradient is f again (Euler): the gradient is the rule.

    For max-pooling this is winner-takes-all; for ReLU, relevance passes the units that are on.
    """
    result = _without_constants(trace, call).run()
    if result is call.first and not call.in_place:
        return result  # nothing moved
    return _marked(trace, call, result)


def join(trace: Trace, call: Call) -> Any:
    """Tensors side by side; constants among them take the relevance of biases."""
    return _marked(trace, call, _with_constants(trace, call).run())


def extreme(trace: Trace, call: Call) -> Any:
    """Winner takes all, but of a signal and a constant a function of each number."""
    mixed = len(signals_of(trace, call)) < len(list(call.tensors()))
    return (elementwise if mixed else ordinary)(trace, call)


def shared(trace: Trace, call: Call, degree: int, bias: Tensor | None = None) -> Tensor:
    """A function of this degree in the signals, and a bias: gradient x input / degree (Euler)."""

    def back(g: Tensor) -> tuple[Tensor]:
        book_bias(trace.book, g, bias)
        return (g / degree,)

    result = _without_constants(trace, call).run()
    value = result.clone() if call.operation == "homogeneous" else result  # it may be kept there
    return trace.step(value, back, result, **call.about)


quadratic = partial(shared, degree=2)


def homogeneous(trace: Trace, call: Call) -> Tensor:
    """A function that `head.homogeneous` marked."""
    return shared(trace, call, call.func.degree)


# --- sums ----------------------------------------------------------------------------------------


def addition(trace: Trace, call: Call) -> Any:
    """A sum of two signals is a weighted sum; a constant that is added takes its own relevance."""
    if len(signals_of(trace, call)) > 1:
        about = call.about | call.alone[1]
        return trace.weighted_sum(Layer("addition", call.depth), call.run, **about)
    return _marked(trace, call, _with_constants(trace, call).run())


def pool(trace: Trace, call: Call) -> Tensor:
    """A sum with fixed weights: the epsilon rule."""
    return trace.weighted_sum(Layer("pooling", call.depth), call.run, gate=call.about["gate"])


# Where a product's bias stands.
BIAS_AT = {"linear": 2, "conv": 2, "conv_transpose": 2, "bilinear": 3, "addmm": 0, "baddbmm": 0}


def product(trace: Trace, call: Call) -> Tensor:
    """Linear layers, convolutions, contractions.

    With one signal a weighted sum, which takes the layer's rule; with k signals each gets 1/k.
    """
    name = "input" if call.operation in ("addmm", "baddbmm") else "bias"
    given = call.argument(name, BIAS_AT.get(call.operation, len(call.args)))
    if trace.carries(given) or call.kwargs.get("beta", 1) != 1:
        raise call.refuse("its bias is scaled or depends on the inputs; add it afterwards")
    terms, arrow, out = str(call.first).partition("->") if call.name == "einsum" else ("", "", "")
    if arrow and set(terms) <= set(out + ", "):
        return scaling(trace, call)  # it sums nothing up
    several = len(signals_of(trace, call)) > 1
    call = _weighed(trace, call)
    factors = [t for t in call.tensors() if t is not given and t.is_floating_point()]
    signals = [t for t in factors if trace.carries(t)]
    bias = None if given is None else given.detach()
    if bias is not None and call.name.startswith("conv"):
        bias = bias.view(-1, *(1,) * (call.argument("weight", 1).dim() - 2))
    if len(signals) > 1:
        return shared(trace, call, len(signals), bias)
    if several or len(factors) != 2:  # constants that are no layer's weight
        run = _without_constants(trace, call).run
        return trace.weighted_sum(Layer("addition", call.depth, bias=bias), run)
    x, weight = sorted(factors, key=lambda t: t is not signals[0])
    layer = _layer_of(trace, call, x, weight, given)
    layer.bias = bias
    return trace.weighted_sum(layer, lambda: layer.apply(x, layer.weight, bias), x)


OUTPUTS_AT = {"linear": 0, "conv": 0, "conv_transpose": 1, "matmul": 1, "mm": 1, "addmm": 1}


def _layer_of(trace: Trace, call: Call, x: Tensor, weight: Tensor, given: Any) -> Layer:
    """One signal times one constant, but for the bias."""

    def apply(x_: Tensor, weight_: Tensor, bias: Tensor | None = None) -> Tensor:
        other = call.with_(x, x_).with_(weight, weight_)
        if given is not None:
            zeros = torch.zeros_like(given, dtype=x_.dtype)
            return other.with_(given, zeros if bias is None else bias.view_as(given)).run()
        return other.run() if bias is None else other.run() + bias  # of a batch norm

    usual = next(t for t in call.tensors() if t is x or t is weight) is x
    kind = "convolution" if usual and call.name.startswith("conv") else "linear"
    # where a batch norm counts the same outputs
    out = OUTPUTS_AT.get(call.operation) if usual and x.dim() == weight.dim() else None
    groups = call.argument("groups", 6, 1) if kind == "convolution" else 1
    names = partial(trace.names_of, weight)
    return Layer(kind, call.depth, weight.detach(), None, apply, out, groups, names)


def _weighed(trace: Trace, call: Call, *, derived: bool = False) -> Call:
    """A product of signals, with the factors that count as weights detached.

    One function gets one explanation in all its spellings, h / s and h * (1 / s) for example, or
    GELU and h * (1 + erf(h / sqrt 2)) / 2:

    - gates and reciprocals are weights, whatever they were computed from, and by CP-LRP so are
      attention weights;
    - with `derived`, so is a factor that was computed from the other one, with no layer in between.

    Two signals that are neither, or both, share half and half.
    """
    signals = signals_of(trace, call)
    marks: list[Any] = [trace.mark_of(x) for x in signals]
    kinds = ("sigmoid", "softmax") if trace.composite.attention == "CP-LRP" else ("sigmoid",)
    weights = [x for x, mark in zip(signals, marks, strict=True) if mark.gate in kinds]
    if derived and not weights:
        tokens = {mark.token for mark in marks}
        weights = [x for x, mark in zip(signals, marks, strict=True) if mark.of & tokens]
    for weight in weights if len(weights) < len(signals) else ():
        call = call.with_(weight, weight.detach())
    return call


def scaling(trace: Trace, call: Call) -> Any:
    """Products of numbers: constants and what counts as a weight scale a signal."""
    call = _weighed(trace, call, derived=True)
    count = len(signals_of(trace, call))
    return shared(trace, call, count) if count > 1 else ordinary(trace, call)


def division(trace: Trace, call: Call) -> Any:
    """A divisor that depends on the inputs counts as a constant: a reciprocal is a weight."""
    above, below = call.argument("input", 0), call.argument("other", 1)
    if call.kwargs.get("rounding_mode"):
        raise call.refuse("it rounds")
    if not trace.carries(above):
        return gate(trace, call)
    if trace.carries(below):
        call = replace(call, args=[above, below.detach()], kwargs={})
    return ordinary(trace, call)


# --- functions of each number alone --------------------------------------------------------------


def elementwise(trace: Trace, call: Call) -> Any:
    """Relevance passes unchanged: g_in = g * y / x; at an untouched input it ends right there."""
    signals = signals_of(trace, call)
    if len(signals) != 1:
        raise call.refuse("of two tensors that depend on the inputs")
    (x,) = signals
    value = call.with_(x, x.detach().clone() if call.in_place else x.detach()).value()
    if not isinstance(value, Tensor) or value.shape != x.shape:
        raise call.refuse("it changes the shape")
    root = trace.mark_of(x).root  # type: ignore[union-attr]
    if root is not None:
        return trace.replace(value, root.owner, root.places, **call.about)
    return trace.per_unit(value, (x, value), **call.about)


def gate(trace: Trace, call: Call) -> Any:
    """The same; its output counts as a weight where it multiplies a signal."""
    call.about["gate"] = "sigmoid"
    return elementwise(trace, call)


def power(trace: Trace, call: Call) -> Any:
    """With an exponent below 0, a reciprocal."""
    below = call.name != "rpow" and (torch.as_tensor(call.argument("exponent", 1)) < 0).all()
    return (gate if below else elementwise)(trace, call)


# --- attention -----------------------------------------------------------------------------------


def softmax(trace: Trace, call: Call) -> Tensor:
    """Taylor's expansion at the point: R_i = x_i (R_i - s_i sum_j R_j), the ordinary gradient.

    Its constant term is the softmax's own account. By CP-LRP nothing goes through.

    Source: AttnLRP, §3.3.1.
    """
    cut = trace.composite.attention == "CP-LRP"

    def counted(tensor: Tensor, sign: int) -> Tensor:
        held: Any = trace.book and tensor.detach().clone()  # the program may overwrite it

        def back(g: Tensor) -> tuple[Tensor | None]:
            if trace.book:
                trace.book("softmax", sign * amount(g, held).sum())
            return (None if cut else g,)

        return trace.step(tensor, back, tensor, depth=call.depth, gate="softmax")

    (x,) = signals_of(trace, call)
    return counted(call.with_(x, counted(x, -1)).run(), 1)


def written_out(trace: Trace, call: Call) -> Any:
    """A Python function of torch's: its calls are met one by one."""
    inside, func = {"has_torch_function": lambda _: False}, call.func
    own = FunctionType(func.__code__, func.__globals__ | inside, func.__name__, func.__defaults__)
    with trace.watch:
        return own(*call.args, **call.kwargs)


def attention(trace: Trace, call: Call) -> Tensor:
    """`scaled_dot_product_attention` by its definition, each step with a rule of its own.

    A query that may look nowhere gets 0, as torch has it.
    """
    order = "query key value attn_mask dropout_p is_causal scale enable_gqa"
    query, key, value, mask, dropout, causal, scale, grouped = call.arguments(order)
    if dropout:
        raise call.refuse("its dropout is on; give dropout_p=0 in eval mode")
    if type(mask) not in (type(None), Tensor, torch.nn.Parameter):
        raise call.refuse(f"its mask is a {type(mask).__name__}; give a plain tensor")
    with trace.watch:
        if grouped:
            heads = query.shape[-3]
            key, value = (x.repeat_interleave(heads // x.shape[-3], -3) for x in (key, value))
        scale = query.shape[-1] ** -0.5 if scale is None else scale
        scores = query @ key.mT * scale
        if causal:
            mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        if mask is not None:
            boolean = mask.dtype == torch.bool
            scores = scores.masked_fill(~mask, -torch.inf) if boolean else scores + mask
            nowhere = (scores == -torch.inf).all(-1, keepdim=True)
            scores = scores.masked_fill(nowhere, 0.0)
        weights = scores.softmax(-1)
        path = (weights if mask is None else weights.masked_fill(nowhere, 0.0)) @ value
    return trace.step(call.value(), lambda g: (g,), path, depth=call.depth)


# --- norms ---------------------------------------------------------------------------------------


def batch_norm(trace: Trace, call: Call) -> Tensor:
    """In eval mode an affine map; folded into the linear layer or convolution that feeds it."""
    order = "input running_mean running_var weight bias training"
    x, mean, variance, weight, bias, training = call.arguments(order)
    if training or mean is None:
        raise call.refuse("it normalises by the batch: call model.eval()")
    slope = torch.rsqrt(variance.double() + call.argument("eps", 7, 1e-5))
    slope = slope if weight is None else slope * weight.detach()
    shift = -slope * mean if bias is None else bias.detach() - slope * mean
    shape = (-1, *(1,) * (x.dim() - 2))
    slope, shift = slope.to(x.dtype).view(shape), shift.to(x.dtype).view(shape)
    value, before = call.value(), trace.mark_of(x).sum  # type: ignore[union-attr]
    source, version = (before and before.source) or (None, 0)
    if before is None or source is None or source._version != version:
        return trace.summed(Layer("normalisation", call.depth, bias=shift), value, x, slope)
    bias = before.layer.bias
    joint = replace(before.layer, bias=shift if bias is None else bias * slope + shift)
    return trace.summed(joint, value, source, slope)


def sample_norm(trace: Trace, call: Call) -> Tensor:
    """Layer, group and RMS norm: the standard deviation counts as a constant."""
    rms = call.operation == "rms_norm"
    x, eps = call.argument("input", 0), call.argument("eps", 3 if rms else 4)
    weight, bias = call.argument("weight", 2), None if rms else call.argument("bias", 3)
    eps = (torch.finfo(x.dtype).eps if rms else 1e-5) if eps is None else eps
    if call.operation != "group_norm":
        grouped, shape = x, call.argument("normalized_shape", 1)
        dims = tuple(range(-len(shape), 0))
    else:
        grouped = x.flatten(1).unflatten(1, (call.argument("num_groups", 1), -1))
        dims, shape = (-1,), (-1, *(1,) * (x.dim() - 2))
    centred = grouped if rms else grouped - grouped.mean(dim=dims, keepdim=True)
    scale = centred.detach().square().mean(dim=dims, keepdim=True).add(eps).rsqrt()
    path = (centred * scale).reshape(x.shape)
    if weight is not None:
        path = path * weight.detach().view(shape)
    bias = None if bias is None else bias.detach().view(shape)
    value = call.value()
    if rms:
        return trace.step(value, lambda g: (g,), path, depth=call.depth)
    return trace.summed(Layer("normalisation", call.depth, bias=bias), value, path)


# --- ids -----------------------------------------------------------------------------------------


def embedding(trace: Trace, call: Call, rows: Tensor | None = None) -> Tensor:
    """The vectors of explained ids, by `nn.Embedding` or by index: what they get, their ids get."""
    ids, *more = (t for t in call.tensors() if not t.is_floating_point())
    mark = trace.mark_of(ids)
    if mark is None or mark.ids is None or more or signals_of(trace, call):
        raise call.refuse("of weights that are to be explained; explain the ids")
    value = call.value() if rows is None else rows
    if mark.places is None or value.shape[: ids.dim()] != ids.shape:
        raise call.refuse("of rows in another order; index the first dimension")
    return trace.replace(value, mark.ids, mark.places)


def embedding_bag(trace: Trace, call: Call) -> Tensor:
    """The mean or the sum of the rows."""
    mode = call.argument("mode", 6, "mean")
    odd = ("padding_idx", 10), ("per_sample_weights", 8), ("offsets", 2)
    if mode not in ("mean", "sum") or any(call.argument(*name) is not None for name in odd):
        raise call.refuse(f"with mode {mode!r}, offsets, weights or padding")
    ids, weight = sorted(call.tensors(), key=Tensor.is_floating_point)
    rows = embedding(trace, call, weight.detach()[ids])
    path = rows.mean(dim=1) if mode == "mean" else rows.sum(dim=1)
    return trace.summed(Layer("pooling", call.depth), call.value(), path)


# --- the head ------------------------------------------------------------------------------------


def difference(trace: Trace, call: Call) -> Tensor:
    """R_delta, divided between the two operands by the split of the trace."""
    x_i, x_j = call.args
    if trace.split == "signed" or len(signals_of(trace, call)) < 2:
        x_i, x_j = _with_constants(trace, call).args
        return _marked(trace, call, x_i - x_j)
    delta = (x_i - x_j).detach()
    of_i, of_j = head.shares(trace.split, x_i.detach(), x_j.detach(), delta)
    return trace.per_unit(delta, (x_i, of_i), (x_j, of_j), depth=call.depth)
