"""The table: which operation gets which treatment.

What is not in it is an error, unless no floating-point numbers come out of it: shapes, comparisons
and indices have no relevance in them.

With g = R / x carried instead of R, it says how little most operations ask for. Names are those of
functions and methods alike, without underscores (`add_`, `__iadd__` and `add` are one) and without
dimensions (`conv1d` and `conv2d` are one).

Every call of the program is met once, by a `TorchFunctionMode`: it needs no module hooks, changes
no model, and meets functional calls, shared modules and in-place operations as what they are.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from explainrec_lab.lrp.engine import treatments as t
from explainrec_lab.lrp.engine.calls import Call
from explainrec_lab.lrp.engine.trace import Trace

ROWS: list[tuple[t.Treatment, str]] = [
    (t.untouched, """
        requires_grad grad_fn zeros_like ones_like empty_like full_like rand_like randn_like
        new_zeros new_ones new_empty new_full new_tensor sign
        """),
    (t.move, """
        view reshape flatten unflatten ravel squeeze unsqueeze permute transpose t T mT H mH
        movedim moveaxis swapaxes swapdims contiguous clone to float double half bfloat16 type
        type_as as_strided expand expand_as repeat repeat_interleave tile split split_with_sizes
        chunk tensor_split unbind iter narrow select getitem index_select gather take
        take_along_dim masked_select flip fliplr flipud roll rot90 view_as reshape_as atleast_1d
        atleast_2d atleast_3d broadcast_to pixel_shuffle pixel_unshuffle channel_shuffle unfold
        fold tril triu diagonal diag real cpu cuda dropout alpha_dropout feature_dropout
        feature_alpha_dropout pad
        """),
    (t.ordinary, """
        leaky_relu rrelu prelu abs absolute neg negative pos positive max_pool
        max_pool_with_indices adaptive_max_pool adaptive_max_pool_with_indices
        fractional_max_pool max amax min amin topk sort median norm vector_norm frobenius_norm
        interpolate upsample cumsum
        """),
    (t.relu, "relu"),
    (t.join, """
        cat concat concatenate stack hstack vstack dstack column_stack where masked_fill setitem
        copy
        """),
    (t.extreme, "maximum minimum fmax fmin"),
    (t.addition, "add sub subtract rsub"),
    (t.pool, "avg_pool adaptive_avg_pool mean sum"),
    (t.product, """
        linear conv conv_transpose matmul rmatmul mm bmm mv dot inner outer einsum tensordot
        bilinear addmm baddbmm
        """),
    (t.scaling, "mul multiply"),
    (t.division, "div divide true_divide truediv"),
    (t.elementwise, """
        relu6 hardtanh clamp clamp_min clamp_max clip silu gelu mish elu selu celu hardswish tanh
        logsigmoid log_sigmoid softplus softsign tanhshrink softshrink hardshrink threshold square
        pow float_power sqrt exp expm1 log log1p log2 log10 sin cos tan atan asinh erf normalize
        local_response_norm elementwise
        """),
    (t.gate, "sigmoid hardsigmoid rsqrt reciprocal rdiv rtruediv"),
    (t.batch_norm, "batch_norm"),
    (t.sample_norm, "layer_norm group_norm rms_norm"),
    (t.softmax, "softmax"),
    (t.attention, "scaled_dot_product_attention"),
    (t.written_out, "multi_head_attention_forward"),
    (t.embedding, "embedding"),
    (t.embedding_bag, "embedding_bag"),
    (t.difference, "difference"),
    (t.homogeneous, "homogeneous"),
    (t.refused("explain a logit instead of a probability"), "log_softmax"),
    (t.refused("write its steps out with linear layers, sigmoid and tanh, which have rules"), """
        lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell
        """),
    (t.refused("it cuts the value off from the inputs"), "detach data"),
    (t.refused("it takes the value out of the program"), "item tolist numpy array dlpack"),
]  # fmt: skip

OPERATIONS = {name: treatment for treatment, names in ROWS for name in names.split()}
# Treatments that may write into their target: the ordinary gradient knows how.
IN_PLACE = (t.move, t.ordinary, t.relu, t.join)


# -------------------------------------------------------------------------- asked at every call


class Watch(TorchFunctionMode):
    """Builds the graph for one backward pass of relevance while a program runs inside it."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self.trace = trace
        trace.watch = self

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        call = Call.of(func, args, kwargs or {})
        treatment = OPERATIONS.get(call.operation, t.unknown)
        if treatment is t.untouched:
            return call.run()
        for tensor in call.tensors():
            if tensor.requires_grad and not tensor.is_leaf and not self.trace.mark_of(tensor):
                maker = type(tensor.grad_fn).__name__
                raise call.refuse(f"{maker} hides it: a custom autograd function, a compiled part?")
        known = [tensor for tensor in call.tensors() if self.trace.mark_of(tensor)]
        if not known:
            return self._constant(call, treatment)
        if treatment is t.unknown:
            return treatment(self.trace, call)
        if not any(self.trace.carries(tensor) for tensor in known):
            if call.name not in ("embedding", "embedding_bag", "getitem"):
                raise call.refuse("of ids that are to be explained; give images as floats")
            treatment = t.embedding if call.name == "getitem" else treatment
            return treatment(self.trace, call)
        return self._signals(call, treatment)

    def _constant(self, call: Call, treatment: t.Treatment) -> Any:
        """A call without signals: no gradient, but a row of a parameter keeps its name."""
        with torch.no_grad():
            result = call.run()
        if treatment is t.move:
            self.trace.is_part(result, call.args[0])
        return result

    def _signals(self, call: Call, treatment: t.Treatment) -> Any:
        """A call that relevance flows through."""
        if not torch.is_grad_enabled():
            raise call.refuse("it runs in no_grad or in a custom autograd function")
        signals = t.signals_of(self.trace, call)
        marks: list[Any] = [self.trace.mark_of(tensor) for tensor in signals]
        gates = {mark.gate for mark in marks}
        call.depth, call.gate = max(m.depth for m in marks), gates.pop() if len(gates) == 1 else ""
        sums = [(mark.sum, x) for mark, x in zip(marks, signals, strict=True) if mark.sum]
        for found, x in sums:
            found.use(x)
        result = self._in_place(call, treatment) if call.in_place else treatment(self.trace, call)
        for found, _ in sums:
            found.source = None
        return result

    def _in_place(self, call: Call, treatment: t.Treatment) -> Any:
        """Write where autograd knows how; else run on a copy and write the result back."""
        trace, target = self.trace, call.args[0]
        mark = trace.mark_of(target)
        made = None if mark is None else mark.sum
        alone = treatment is t.relu and made is not None and made.uses == 1
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
