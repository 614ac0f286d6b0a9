"""The table: which operation gets which treatment.

What is not in it is an error, unless no floating-point numbers come out of it: shapes, comparisons
and indices have no relevance in them.

With g = R / x carried instead of R, it says how little most operations ask for. Names are those of
functions and methods alike, without underscores (`add_`, `__iadd__` and `add` are one) and without
dimensions (`conv1d` and `conv2d` are one).
"""

from __future__ import annotations

from explainrec_lab.lrp.engine import treatments as t

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
        pow float_power sqrt rsqrt exp expm1 log log1p log2 log10 sin cos tan atan asinh erf
        reciprocal rdiv rtruediv normalize local_response_norm rms_norm elementwise
        """),
    (t.gate, "sigmoid hardsigmoid"),
    (t.batch_norm, "batch_norm"),
    (t.sample_norm, "layer_norm group_norm"),
    (t.embedding, "embedding"),
    (t.embedding_bag, "embedding_bag"),
    (t.difference, "difference"),
    (t.homogeneous, "homogeneous"),
    (t.refused("explain a logit instead of a probability"), "softmax log_softmax"),
    (t.refused("it cuts the value off from the inputs"), "detach data"),
    (t.refused("it takes the value out of the program"), "item tolist numpy array dlpack"),
    (t.refused("attention has no rule"), "scaled_dot_product_attention"),
    (t.refused("attention has no rule"), "multi_head_attention_forward"),
]  # fmt: skip

OPERATIONS = {name: treatment for treatment, names in ROWS for name in names.split()}
IN_PLACE = (t.move, t.ordinary, t.relu, t.join)
"""Treatments that may write into their target: the ordinary gradient knows how."""
