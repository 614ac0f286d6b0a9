"""What the trace knows about operations: a name is in one of these lists, or it is an error.

With g = R / x carried instead of R, the lists say how little most operations ask for. Names are
those of functions and methods alike, without underscores (`add_`, `__iadd__` and `add` are one).
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


MOVES = _names("""
    view reshape flatten unflatten ravel squeeze unsqueeze permute transpose t T mT H mH movedim
    moveaxis swapaxes swapdims contiguous clone to float double half bfloat16 type type_as
    as_strided expand expand_as repeat repeat_interleave tile split split_with_sizes chunk
    tensor_split unbind iter narrow select getitem index_select gather take take_along_dim
    masked_select flip fliplr flipud roll rot90 view_as reshape_as atleast_1d atleast_2d
    atleast_3d broadcast_to pixel_shuffle pixel_unshuffle channel_shuffle unfold fold tril triu
    diagonal diag real cpu cuda dropout dropout1d dropout2d dropout3d alpha_dropout
    feature_dropout feature_alpha_dropout copy setitem pad
    """)
"""Numbers move, stay, or are left out: the ordinary gradient is the rule."""

HOMOGENEOUS = _names("""
    relu leaky_relu rrelu prelu abs absolute neg negative pos positive
    max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices
    max_pool3d_with_indices adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
    adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices
    adaptive_max_pool3d_with_indices fractional_max_pool2d fractional_max_pool3d
    max amax min amin topk sort median norm vector_norm frobenius_norm
    interpolate upsample cumsum
    """)
"""f(t x) = t f(x) for t > 0, so x * gradient is f again (Euler): the ordinary gradient is the rule.

For max-pooling this is winner-takes-all; for ReLU, relevance passes the units that are on.
"""

EXTREMES = _names("maximum minimum fmax fmin")
"""Like the above of two signals; of a signal and a constant, a function of each number alone."""

ADDITIONS = _names("add sub subtract rsub")
"""Sums and differences of two tensors, one of which may be a constant."""

JOINS = _names("""
    cat concat concatenate stack hstack vstack dstack column_stack where masked_fill
    """)
"""Tensors side by side; constants among them take the relevance of biases."""

POOLS = _names("""
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    mean sum
    """)
"""Sums with fixed weights: the epsilon rule."""

ELEMENTWISE = _names("""
    relu6 hardtanh clamp clamp_min clamp_max clip silu gelu mish elu selu celu hardswish tanh
    sigmoid hardsigmoid logsigmoid log_sigmoid softplus softsign tanhshrink softshrink hardshrink
    threshold square pow float_power sqrt rsqrt exp expm1 log log1p log2 log10 sin cos tan atan
    asinh erf reciprocal rdiv rtruediv
    """)
"""Functions of each number alone: relevance passes unchanged, g_in = g * f(x) / x."""

SCALED = _names("normalize local_response_norm rms_norm")
"""x times a scale that depends on x: the scale counts as a constant, g_in = g * y / x."""

GATES = _names("sigmoid hardsigmoid")
"""Outputs that count as weights where they multiply a signal (squeeze-and-excitation)."""

SCALINGS = _names("mul multiply")
DIVISIONS = _names("div divide true_divide truediv")
"""Of two signals, the divisor counts as a constant."""

LAYERS = _names("""
    linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
    """)
CONTRACTIONS = _names(
    "matmul rmatmul mm bmm mv dot inner outer einsum tensordot bilinear addmm baddbmm"
)
"""With one signal a weighted sum, which takes the layer's rule; with k signals each gets 1/k."""

NORMS = _names("batch_norm layer_norm group_norm instance_norm")
"""Affine maps once their statistics are held constant."""

EMBEDDINGS = _names("embedding embedding_bag")

INERT = _names("""
    size shape dim ndim ndimension numel nelement dtype device layout is_cuda is_cpu is_leaf
    is_floating_point is_complex is_contiguous requires_grad grad_fn stride storage_offset
    element_size len eq ne lt le gt ge equal isnan isinf isfinite isclose allclose argmax argmin
    argsort any all logical_not logical_and logical_or logical_xor bool repr format str hash
    is_sparse is_quantized is_meta is_mps is_nested names get_device data_ptr version
    is_same_size is_inference is_signed nonzero searchsorted bucketize zeros_like ones_like
    empty_like full_like new_zeros new_ones new_empty new_full new_tensor rand_like randn_like
    sign itemsize nbytes retains_grad output_nr dim_order is_neg is_conj untyped_storage is_xpu
    is_xla is_ipu is_mkldnn is_vulkan is_maia is_mtia is_pinned is_shared register_hook
    retain_grad
    """)
"""Shapes, comparisons and indices: no relevance in them."""

HINTS = {
    "softmax": "explain a logit instead of a probability",
    "log_softmax": "explain a logit instead of a log-probability",
    "detach": "it cuts the value off from the inputs",
    "data": "it cuts the value off from the inputs",
    "item": "it takes the value out of the program",
    "tolist": "it takes the value out of the program",
    "numpy": "it takes the value out of the program",
    "array": "it takes the value out of the program",
    "scaled_dot_product_attention": "attention has no rule here",
    "multi_head_attention_forward": "attention has no rule here",
}
