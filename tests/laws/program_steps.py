"""The steps that random programs are made of: what each computes, and ways to spell it.

A step's `value` is written once, plainly, for the oracle (`naive_programs.py`). Its spellings are
what people write: as a method, a function, an operator, a module, in place, by keyword. All
spellings of a step are one function, so one explanation is right for all of them.

`kind` says how relevance goes back, as the docstrings of `explainrec_lab.lrp` promise it:

| kind | what goes back |
|---|---|
| linear, convolution | a weighted sum with the rule of the layer |
| batch norm | a weighted sum together with the layer that feeds it, or by itself |
| pooling, addition, normalisation | a weighted sum with the epsilon rule |
| carry | in proportion to x * dy/dx, times the operand's degree; added constants take part |
| each | a function of each number: unchanged |
| table | the vectors of ids: to the ids |
| difference | as the split says |
| softmax, attention | by the equations of AttnLRP, or of CP-LRP |
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace as About
from typing import Any

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.parametrize import register_parametrization
from torch.utils.checkpoint import checkpoint

from explainrec_lab import lrp

Shape = tuple[int, ...]


@dataclass
class Source:
    """Where numbers come from: choices from hypothesis (they shrink), values from a seed."""

    draw: Any
    generator: torch.Generator

    def one(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def flag(self) -> bool:
        return self.draw(st.booleans())

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=self.generator)

    def positive(self, *shape: int) -> Tensor:
        return 0.5 + torch.rand(*shape, dtype=torch.float64, generator=self.generator)


@dataclass(frozen=True)
class Spelling:
    """One way to write a step.

    Attributes:
        run: (home, *values) -> value; the home holds the step's parameters and module.
        wrap: what is done to the step's module first, such as weight_norm.
        in_place: it overwrites its first argument, which nothing may read afterwards.
        refusable: why the engine may refuse it; '' where it must give the right value.
    """

    run: Callable[..., Tensor]
    wrap: Callable[[nn.Module], nn.Module] | None = None
    in_place: bool = False
    refusable: str = ""


@dataclass(frozen=True)
class Op:
    """One kind of step.

    Attributes:
        about: (source, *shapes of the reads) -> the step's numbers and tensors, or None.
        value: (about, *values) -> value, plainly.
        ranks: dimensions of the first read, without the samples.
        degrees: the part of the relevance that each operand of a 'carry' gets.
        added: names of constants that take relevance.
        module: the step as an nn.Module.
        path: (about, x) -> the linear function that a normalisation is, its scale held constant.
        alias: its result may share memory with what it read.
    """

    kind: str
    value: Callable[..., Tensor]
    spellings: dict[str, Spelling]
    about: Callable[..., dict[str, Any] | None] = lambda s, *shapes: {}
    ranks: tuple[int, ...] = (1, 2, 3)
    reads: int = 1
    meets: Callable[[Shape, Shape], bool] = operator.eq
    degrees: tuple[float, ...] = (1.0,)
    added: tuple[str, ...] = ()
    module: Callable[[About], nn.Module] | None = None
    path: Callable[[About, Tensor], Callable[[Tensor], Tensor]] | None = None
    alias: bool = False


OPS: dict[str, Op] = {}


def spelled(
    plain: dict[str, Any], in_place: dict[str, Any] | None = None, **refusable: Any
) -> dict[str, Spelling]:
    """Spellings from functions, those that overwrite, and those that may be refused."""
    found = {
        name: run if isinstance(run, Spelling) else Spelling(run) for name, run in plain.items()
    }
    found |= {name: Spelling(run, in_place=True) for name, run in (in_place or {}).items()}
    return found | {
        name: Spelling(run, refusable=f"{name} has no rule") for name, run in refusable.items()
    }


def through(view: Callable[[Tensor], Tensor], change: Callable[..., Any]) -> Callable[..., Tensor]:
    """A change in place that is written through a view; the values are read from the base."""

    def run(h: Any, x: Tensor, *others: Tensor) -> Tensor:
        change(h, view(x), *(view(other) for other in others))
        return x

    return run


def fresh(run: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """An in-place spelling on a copy, so that it is none to the rest of the program."""
    return lambda h, x, *others: run(h, x.clone(), *others)


# --------------------------------------------------------------------------- layers with weights


class Doubled(nn.Module):
    """A parametrisation: the weight is computed from another number."""

    def forward(self, w: Tensor) -> Tensor:
        return 2 * w

    def right_inverse(self, w: Tensor) -> Tensor:
        return w / 2


def doubled(module: nn.Module) -> nn.Module:
    register_parametrization(module, "weight", Doubled())
    return module


def loaded(module: nn.Module, a: About) -> nn.Module:
    module.weight.data = a.weight.clone()
    if a.bias is not None:
        module.bias.data = a.bias.clone()
    return module


MODULES: dict[str, Any] = {
    "nn": Spelling(lambda h, x: h.module(x)),
    "nn, by keyword": Spelling(lambda h, x: h.module(input=x)),
    "nn, forward": Spelling(lambda h, x: h.module.forward(x)),
    "nn in Sequential": Spelling(lambda h, x: h.module(x), lambda m: nn.Sequential(m)),
    "weight_norm": Spelling(lambda h, x: h.module(x), parametrizations.weight_norm),
    "parametrised": Spelling(lambda h, x: h.module(x), doubled),
    "pruned": Spelling(lambda h, x: h.module(x), lambda m: prune.identity(m, "weight")),
    "checkpoint": Spelling(lambda h, x: checkpoint(h.module, x, use_reentrant=False)),
    "functional_call": Spelling(
        lambda h, x: torch.func.functional_call(h.module, dict(h.module.named_parameters()), (x,))
    ),
}


def constant(h: Any) -> Tensor:
    with torch.no_grad():
        return h.weight * 1.0


def linear_about(s: Source, shape: Shape) -> dict[str, Any]:
    out = s.one(3, 2, 4, 1)
    bias = s.normal(out) if s.flag() else None
    return {"weight": s.normal(out, shape[-1]), "bias": bias}


OPS["linear"] = Op(
    "linear", lambda a, x: F.linear(x, a.weight, a.bias), about=linear_about, ranks=(1, 2),
    module=lambda a: loaded(nn.Linear(*a.weight.shape[::-1], bias=a.bias is not None), a),
    spellings=spelled(MODULES | {
        "F": lambda h, x: F.linear(x, h.weight, h.bias),
        "F, by keyword": lambda h, x: F.linear(input=x, weight=h.weight, bias=h.bias),
        "F, some keywords": lambda h, x: F.linear(x, bias=h.bias, weight=h.weight),
        "detached weight": lambda h, x: F.linear(x, h.weight.detach(), h.bias),
        "no_grad weight": lambda h, x: F.linear(x, constant(h), h.bias),
        "computed weight": lambda h, x: F.linear(x, h.weight + 0 * h.weight, h.bias),
        "float input": lambda h, x: F.linear(x.to(h.weight.dtype), h.weight, h.bias),
        "one row more": lambda h, x: F.linear(x[:, None], h.weight, h.bias)[:, 0],
    }),
)  # fmt: skip

OPS["matrix product"] = Op(
    "linear", lambda a, x: x @ a.weight.T, ranks=(1, 2),
    about=lambda s, shape: {"weight": s.normal(s.one(3, 2, 4), shape[-1])},
    spellings=spelled({
        "@": lambda h, x: x @ h.weight.T,
        "method": lambda h, x: x.matmul(h.weight.t()),
        "function": lambda h, x: torch.matmul(x, h.weight.mT),
        "by keyword": lambda h, x: torch.matmul(input=x, other=h.weight.T),
        "operator": lambda h, x: operator.matmul(x, h.weight.T),
        "weight first": lambda h, x: (h.weight @ x[..., None])[..., 0],
        "inner": lambda h, x: torch.inner(x, h.weight),
        "tensordot": lambda h, x: torch.tensordot(x, h.weight, dims=([-1], [1])),
        "einsum": lambda h, x: torch.einsum("...i,oi->...o", x, h.weight),
        "einsum, weight first": lambda h, x: torch.einsum("oi,...i->...o", h.weight, x),
        "einsum of a list": lambda h, x: torch.einsum("...i,oi->...o", [x, h.weight]),
        "F.linear": lambda h, x: F.linear(x, h.weight),
        "F.linear, bias None": lambda h, x: F.linear(x, weight=h.weight, bias=None),
        "bmm": lambda h, x: torch.bmm(
            x.reshape(len(x), -1, x.shape[-1]), h.weight.T.expand(len(x), -1, -1)
        ).reshape(*x.shape[:-1], -1),
        "numpy weight": lambda h, x: x @ torch.as_tensor(h.weight.detach().numpy().T)
        if h.weight.dtype != torch.bfloat16 else x @ h.weight.T,
        "checkpoint": lambda h, x: checkpoint(torch.matmul, x, h.weight.T, use_reentrant=False),
    }),
)  # fmt: skip

OPS["addmm"] = Op(
    "linear", lambda a, x: x @ a.weight.T + a.bias, ranks=(1,),
    about=lambda s, shape: {"weight": s.normal(3, shape[-1]), "bias": s.normal(3)},
    spellings=spelled({
        "addmm": lambda h, x: torch.addmm(h.bias, x, h.weight.T),
        "by keyword": lambda h, x: torch.addmm(input=h.bias, mat1=x, mat2=h.weight.t()),
        "method": lambda h, x: h.bias.addmm(x, h.weight.T),
        "alpha": lambda h, x: torch.addmm(h.bias, x, h.weight.T / 2, alpha=2.0),
        "beta": Spelling(
            lambda h, x: torch.addmm(h.bias * 2, x, h.weight.T, beta=0.5),
            refusable="its bias is scaled",
        ),
        "F.linear": lambda h, x: F.linear(x, h.weight, h.bias),
    }),
)  # fmt: skip

OPS["mix positions"] = Op(
    "linear", lambda a, x: torch.einsum("st,ntf->nsf", a.weight, x), ranks=(2,),
    about=lambda s, shape: {"weight": s.normal(s.one(2, 3), shape[0])},
    spellings=spelled({
        "@": lambda h, x: h.weight @ x,
        "matmul": lambda h, x: torch.matmul(h.weight, x),
        "by keyword": lambda h, x: torch.matmul(input=h.weight, other=x),
        "einsum": lambda h, x: torch.einsum("st,ntf->nsf", h.weight, x),
        "transposed": lambda h, x: F.linear(x.mT, h.weight).mT,
        "bmm": lambda h, x: torch.bmm(h.weight.expand(len(x), -1, -1), x),
    }),
)  # fmt: skip


def conv_about(s: Source, shape: Shape) -> dict[str, Any] | None:
    places = len(shape) - 1
    size = s.one(2, 3, 1)
    groups = s.one(*(g for g in (1, 2, 3) if shape[0] % g == 0))
    out = groups * s.one(1, 2, 3)
    dilation, padding = s.one(1, 1, 2), s.one(0, 1)
    if min(shape[1:]) + 2 * padding < dilation * (size - 1) + 1:
        return None
    return {
        "weight": s.normal(out, shape[0] // groups, *(size,) * places),
        "bias": s.normal(out) if s.flag() else None,
        "options": {
            "stride": s.one(1, 2), "padding": padding, "dilation": dilation, "groups": groups
        },
    }  # fmt: skip


def conv(a: Any, x: Tensor) -> Tensor:
    run = {1: F.conv1d, 2: F.conv2d}[a.weight.dim() - 2]
    return run(x, a.weight, a.bias, **a.options)


def conv_module(a: About) -> nn.Module:
    out, inside, *sizes = a.weight.shape
    made = {1: nn.Conv1d, 2: nn.Conv2d}[len(sizes)]
    inside *= a.options["groups"]
    return loaded(made(inside, out, tuple(sizes), bias=a.bias is not None, **a.options), a)


OPS["convolution"] = Op(
    "convolution", conv, about=conv_about, ranks=(2, 3), module=conv_module,
    spellings=spelled(MODULES | {
        "F": lambda h, x: conv(h, x),
        "by position": lambda h, x: {3: F.conv1d, 4: F.conv2d}[x.dim()](
            x, h.weight, h.bias, *h.options.values()
        ),
        "torch": lambda h, x: {3: torch.conv1d, 4: torch.conv2d}[x.dim()](
            x, h.weight, h.bias, **h.options
        ),
        "by keyword": lambda h, x: {3: F.conv1d, 4: F.conv2d}[x.dim()](
            input=x, weight=h.weight, bias=h.bias, **h.options
        ),
        "no_grad weight": lambda h, x: {3: F.conv1d, 4: F.conv2d}[x.dim()](
            x, constant(h), h.bias, **h.options
        ),
    }),
)  # fmt: skip


def transposed_about(s: Source, shape: Shape) -> dict[str, Any] | None:
    groups = s.one(*(g for g in (1, 2) if shape[0] % g == 0))
    size, stride, padding = s.one(2, 3), s.one(1, 2), s.one(0, 1)
    if (min(shape[1:]) - 1) * stride - 2 * padding + size + stride - 1 < 1:
        return None
    weight = s.normal(shape[0], s.one(1, 2), *(size,) * (len(shape) - 1))
    bias = s.normal(groups * weight.shape[1]) if s.flag() else None
    options = {"stride": stride, "padding": padding, "output_padding": stride - 1, "groups": groups}
    return {"weight": weight, "bias": bias, "options": options}


def transposed(a: Any, x: Tensor) -> Tensor:
    run = {1: F.conv_transpose1d, 2: F.conv_transpose2d}[a.weight.dim() - 2]
    return run(x, a.weight, a.bias, **a.options)


def transposed_module(a: About) -> nn.Module:
    inside, out, *sizes = a.weight.shape
    made = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d}[len(sizes)]
    out *= a.options["groups"]
    return loaded(made(inside, out, tuple(sizes), bias=a.bias is not None, **a.options), a)


OPS["transposed convolution"] = Op(
    "convolution", transposed, about=transposed_about, ranks=(2, 3), module=transposed_module,
    spellings=spelled(MODULES | {
        "F": lambda h, x: transposed(h, x),
        "by position": lambda h, x: {3: F.conv_transpose1d, 4: F.conv_transpose2d}[x.dim()](
            x, h.weight, h.bias, *h.options.values()
        ),
        "by keyword": lambda h, x: {3: F.conv_transpose1d, 4: F.conv_transpose2d}[x.dim()](
            input=x, weight=h.weight, bias=h.bias, **h.options
        ),
    }),
)  # fmt: skip


# --------------------------------------------------------------------------- norms


def batch_norm_about(s: Source, shape: Shape) -> dict[str, Any]:
    c = shape[0]
    affine = s.flag()
    return {
        "mean": s.normal(c), "var": s.positive(c), "eps": s.one(1e-5, 0.1),
        "weight": s.normal(c) if affine else None, "bias": s.normal(c) if affine else None,
    }  # fmt: skip


def batch_norm(a: Any, x: Tensor) -> Tensor:
    shape = (-1, *(1,) * (x.dim() - 2))
    y = (x - a.mean.view(shape)) / (a.var.view(shape) + a.eps).sqrt()
    return y if a.weight is None else y * a.weight.view(shape) + a.bias.view(shape)


class AnyBatchNorm(nn.modules.batchnorm._BatchNorm):
    def _check_input_dim(self, input: Tensor) -> None: ...


def batch_norm_module(a: About) -> nn.Module:
    made = AnyBatchNorm(len(a.mean), eps=a.eps, affine=a.weight is not None).double()
    made.running_mean, made.running_var = a.mean.clone(), a.var.clone()
    return made if a.weight is None else loaded(made, a)


OPS["batch norm"] = Op(
    "batch norm", batch_norm, about=batch_norm_about, module=batch_norm_module,
    spellings=spelled({
        "nn": lambda h, x: h.module(x),
        "F": lambda h, x: F.batch_norm(x, h.mean, h.var, h.weight, h.bias, False, 0.1, h.eps),
        "by keyword": lambda h, x: F.batch_norm(
            x, running_mean=h.mean, running_var=h.var, weight=h.weight, bias=h.bias, eps=h.eps
        ),
        "torch": lambda h, x: torch.batch_norm(
            x, h.weight, h.bias, h.mean, h.var, False, 0.1, h.eps, False
        ),
    }),
)  # fmt: skip


def layer_norm_path(a: Any, x: Tensor) -> Callable[[Tensor], Tensor]:
    deviation = (x.var(-1, unbiased=False, keepdim=True) + a.eps).sqrt()
    weight = 1.0 if a.weight is None else a.weight
    bias = 0.0 if a.bias is None else a.bias
    return lambda u: (u - u.mean(-1, keepdim=True)) / deviation * weight + bias


def layer_norm_about(s: Source, shape: Shape) -> dict[str, Any] | None:
    if shape[-1] < 3:
        return None
    affine = s.flag()
    bias = s.normal(shape[-1]) if affine and s.flag() else None
    weight = s.normal(shape[-1]) if affine else None
    return {"size": shape[-1:], "weight": weight, "bias": bias, "eps": s.one(1e-5, 0.1)}


def layer_norm_module(a: About) -> nn.Module:
    affine = a.weight is not None
    made = nn.LayerNorm(a.size, a.eps, affine, bias=a.bias is not None)
    return loaded(made, a) if affine else made


OPS["layer norm"] = Op(
    "normalisation", lambda a, x: layer_norm_path(a, x)(x), about=layer_norm_about,
    module=layer_norm_module, path=layer_norm_path,
    spellings=spelled({
        "nn": lambda h, x: h.module(x),
        "F": lambda h, x: F.layer_norm(x, h.size, h.weight, h.bias, h.eps),
        "by keyword": lambda h, x: F.layer_norm(
            x, normalized_shape=list(h.size), bias=h.bias, weight=h.weight, eps=h.eps
        ),
        "torch": lambda h, x: torch.layer_norm(x, h.size, h.weight, h.bias, h.eps),
    }),
)  # fmt: skip


def group_norm_path(a: Any, x: Tensor) -> Callable[[Tensor], Tensor]:
    def grouped(u: Tensor) -> Tensor:
        return u.reshape(len(u), a.groups, -1)

    deviation = (grouped(x).var(-1, unbiased=False, keepdim=True) + a.eps).sqrt()
    shape = (-1, *(1,) * (x.dim() - 2))

    def run(u: Tensor) -> Tensor:
        centred = (grouped(u) - grouped(u).mean(-1, keepdim=True)) / deviation
        return centred.reshape(u.shape) * a.weight.view(shape) + a.bias.view(shape)

    return run


def group_norm_about(s: Source, shape: Shape) -> dict[str, Any] | None:
    groups = s.one(*(g for g in (1, 2, 3) if shape[0] % g == 0))
    if torch.Size(shape).numel() // groups < 2:
        return None
    weight, bias = s.normal(shape[0]), s.normal(shape[0])
    return {"groups": groups, "eps": 1e-3, "weight": weight, "bias": bias}


OPS["group norm"] = Op(
    "normalisation", lambda a, x: group_norm_path(a, x)(x), ranks=(2, 3), path=group_norm_path,
    about=group_norm_about,
    module=lambda a: loaded(nn.GroupNorm(a.groups, len(a.weight), a.eps), a),
    spellings=spelled({
        "nn": lambda h, x: h.module(x),
        "F": lambda h, x: F.group_norm(x, h.groups, h.weight, h.bias, h.eps),
        "by keyword": lambda h, x: F.group_norm(
            input=x, num_groups=h.groups, weight=h.weight, bias=h.bias, eps=h.eps
        ),
    }),
)  # fmt: skip

OPS["rms norm"] = Op(
    "each", lambda a, x: x / (x.square().mean(-1, keepdim=True) + a.eps).sqrt() * a.weight,
    about=lambda s, shape: {"weight": s.normal(shape[-1]), "eps": 1e-3, "size": shape[-1:]},
    module=lambda a: loaded(nn.RMSNorm(a.size, a.eps), About(weight=a.weight, bias=None)),
    spellings=spelled({
        "nn": lambda h, x: h.module(x),
        "F": lambda h, x: F.rms_norm(x, h.size, h.weight, h.eps),
        "by keyword": lambda h, x: F.rms_norm(
            x, normalized_shape=h.size, weight=h.weight, eps=h.eps
        ),
        "/ sqrt": lambda h, x: x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + h.eps) * h.weight,
        "/ sqrt of **": lambda h, x: h.weight * (x / ((x**2).mean(-1, True) + h.eps).sqrt()),
        "* rsqrt": lambda h, x: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + h.eps) * h.weight,
        "rsqrt *": lambda h, x: h.weight * ((x * x).mean(-1, True) + h.eps).rsqrt() * x,
        "* ** -.5": lambda h, x: x * (x.square().mean(-1, True) + h.eps) ** -0.5 * h.weight,
    }),
)  # fmt: skip

OPS["unit length"] = Op(
    "each", lambda a, x: x / x.square().sum(-1, keepdim=True).sqrt(),
    spellings=spelled({
        "F": lambda h, x: F.normalize(x, dim=-1),
        "by keyword": lambda h, x: F.normalize(input=x, p=2.0, dim=-1),
        "/ norm": lambda h, x: x / x.norm(dim=-1, keepdim=True),
        "/ linalg": lambda h, x: x / torch.linalg.vector_norm(x, dim=-1, keepdim=True),
        "div": lambda h, x: torch.div(x, x.pow(2).sum(-1, True).sqrt()),
        "clamped": lambda h, x: x / x.norm(2, -1, True).clamp(min=1e-9),
    }),
)  # fmt: skip


# --------------------------------------------------------------------------- each number alone


def activation(kind: str, plain: Callable[..., Tensor], **ways: Any) -> Op:
    in_place = {name: run for name, run in ways.items() if name.startswith("in_place")}
    rest = {name: run for name, run in ways.items() if name not in in_place}
    copies = {f"{name}, on a copy": fresh(run) for name, run in in_place.items()}
    return Op(kind, lambda a, x: plain(x), spellings=spelled(rest | copies, in_place))


def with_module(op: Op, made: Callable[[], nn.Module]) -> Op:
    spellings = op.spellings | {"nn": Spelling(lambda h, x: h.module(x))}
    return Op(op.kind, op.value, spellings, module=lambda a: made())


OPS["relu"] = with_module(activation(
    "carry", torch.relu,
    function=lambda h, x: torch.relu(x),
    F=lambda h, x: F.relu(x),
    method=lambda h, x: x.relu(),
    keyword=lambda h, x: F.relu(input=x, inplace=False),
    clamped=lambda h, x: x.clamp(min=0),
    clamp_min=lambda h, x: torch.clamp_min(x, 0),
    maximum=lambda h, x: torch.maximum(x, torch.zeros_like(x)),
    where=lambda h, x: torch.where(x > 0, x, 0.0),
    mask=lambda h, x: x * (x > 0),
    filled=lambda h, x: x.masked_fill(x < 0, 0.0),
    threshold=lambda h, x: F.threshold(x, 0.0, 0.0),
    in_place_F=lambda h, x: F.relu(x, inplace=True),
    in_place_method=lambda h, x: x.relu_(),
    in_place_function=lambda h, x: torch.relu_(x),
    in_place_clamp=lambda h, x: x.clamp_(min=0),
    in_place_mask=lambda h, x: x.mul_(x > 0),
    in_place_ignored=through(lambda x: x, lambda h, x: F.relu_(x)),
    in_place_view=through(lambda x: x.unsqueeze(0), lambda h, x: x.relu_()),
    in_place_turned=through(lambda x: x.transpose(0, -1), lambda h, x: F.relu(x, inplace=True)),
), nn.ReLU)  # fmt: skip
OPS["leaky relu"] = with_module(activation(
    "carry", lambda x: F.leaky_relu(x, 0.2),
    F=lambda h, x: F.leaky_relu(x, 0.2),
    keyword=lambda h, x: F.leaky_relu(input=x, negative_slope=0.2),
    where=lambda h, x: torch.where(x > 0, x, 0.2 * x),
    maximum=lambda h, x: torch.maximum(x, x * 0.2),
    prelu=lambda h, x: F.prelu(x, torch.full((1,), 0.2, dtype=x.dtype)),
    in_place_F=lambda h, x: F.leaky_relu_(x, 0.2),
    in_place_view=through(lambda x: x.view_as(x), lambda h, x: F.leaky_relu_(x, 0.2)),
), lambda: nn.LeakyReLU(0.2))  # fmt: skip
OPS["abs"] = activation(
    "carry", torch.abs,
    builtin=lambda h, x: abs(x),
    method=lambda h, x: x.abs(),
    function=lambda h, x: torch.absolute(x),
    sign=lambda h, x: x * x.sign(),
    in_place=lambda h, x: x.abs_(),
)  # fmt: skip
OPS["negative"] = activation(
    "carry", torch.neg,
    operator=lambda h, x: -x,
    function=lambda h, x: torch.neg(input=x),
    method=lambda h, x: x.negative(),
    product=lambda h, x: x * -1,
    in_place=lambda h, x: x.neg_(),
)  # fmt: skip
OPS["silu"] = with_module(activation(
    "each", F.silu,
    F=lambda h, x: F.silu(x),
    product=lambda h, x: x * torch.sigmoid(x),
    gate_first=lambda h, x: x.sigmoid() * x,
    method=lambda h, x: x.mul(x.sigmoid()),
    keyword=lambda h, x: torch.mul(input=x, other=torch.sigmoid(input=x)),
    quotient=lambda h, x: x / (1 + torch.exp(-x)),
    in_place_F=lambda h, x: F.silu(x, inplace=True),
    in_place_product=lambda h, x: x.mul_(x.sigmoid()),
), nn.SiLU)  # fmt: skip
OPS["gelu"] = with_module(activation(
    "each", F.gelu,
    F=lambda h, x: F.gelu(x),
    keyword=lambda h, x: F.gelu(input=x, approximate="none"),
    by_hand=lambda h, x: x * (1 + torch.erf(x / 2**0.5)) / 2,
    half_first=lambda h, x: 0.5 * x * (1 + torch.erf(x * 0.5**0.5)),
), nn.GELU)  # fmt: skip
OPS["tanh"] = with_module(activation(
    "each", torch.tanh,
    function=lambda h, x: torch.tanh(x),
    method=lambda h, x: x.tanh(),
    keyword=lambda h, x: torch.tanh(input=x),
    in_place=lambda h, x: x.tanh_(),
    in_place_view=through(lambda x: x[...], lambda h, x: torch.tanh_(x)),
), nn.Tanh)  # fmt: skip
OPS["elu"] = with_module(activation(
    "each", F.elu, F=lambda h, x: F.elu(x), in_place_F=lambda h, x: F.elu_(x)
), nn.ELU)  # fmt: skip
OPS["relu6"] = with_module(activation(
    "each", F.relu6,
    F=lambda h, x: F.relu6(x),
    clamp=lambda h, x: x.clamp(0, 6),
    keyword=lambda h, x: torch.clamp(x, max=6, min=0),
    hardtanh=lambda h, x: F.hardtanh(x, 0.0, 6.0),
    in_place=lambda h, x: x.clamp_(0, 6),
), nn.ReLU6)  # fmt: skip
OPS["softplus"] = with_module(
    activation("each", F.softplus, F=lambda h, x: F.softplus(x)), nn.Softplus
)
OPS["square"] = activation(
    "each", torch.square,
    operator=lambda h, x: x**2,
    method=lambda h, x: x.pow(2),
    function=lambda h, x: torch.pow(x, 2.0),
    keyword=lambda h, x: torch.pow(input=x, exponent=2),
    square=lambda h, x: x.square(),
    product=lambda h, x: x * x,
    builtin=lambda h, x: pow(x, 2),
    einsum=lambda h, x: torch.einsum("...,...->...", x, x),
    in_place=lambda h, x: x.pow_(2),
    in_place_product=lambda h, x: x.mul_(x),
)  # fmt: skip
OPS["cube"] = activation(
    "each", lambda x: x**3,
    operator=lambda h, x: x**3,
    product=lambda h, x: x * x * x,
    powers=lambda h, x: x**2 * x,
    float_power=lambda h, x: torch.float_power(x, 3).to(x.dtype),
)  # fmt: skip
OPS["nothing"] = with_module(activation(
    "carry", lambda x: x,
    dropout=lambda h, x: F.dropout(x, training=False),
    clone=lambda h, x: x.clone(),
    contiguous=lambda h, x: x.contiguous(),
    plus=lambda h, x: +x,
    to=lambda h, x: x.to(x.dtype),
    to_other=lambda h, x: x.to(x),
    type_as=lambda h, x: x.type_as(x),
    view=lambda h, x: x.view(x.shape),
    ellipsis=lambda h, x: x[...],
    one=lambda h, x: x * 1,
    exponent=lambda h, x: x**1,
    zero=lambda h, x: x + 0,
    list=lambda h, x: torch.stack([*x.unbind(1)], 1),
    iterated=lambda h, x: torch.stack(list(x.transpose(0, 1)), 1),
), nn.Identity)  # fmt: skip
OPS["nothing"] = Op(**{**vars(OPS["nothing"]), "alias": True})
OPS["marked elementwise"] = activation(
    "each", lambda x: (x - 0.3) / 0.7,
    marked=lambda h, x: lrp.elementwise(lambda u: (u - 0.3) / 0.7)(x),
)  # fmt: skip


# --------------------------------------------------------------------------- constants


def like(s: Source, shape: Shape) -> dict[str, Any]:
    return {"c": s.normal(*(shape if s.flag() else shape[-1:])), "kept": s.flag()}


OPS["scaled"] = Op(
    "carry", lambda a, x: x * a.c, about=like,
    spellings=spelled({
        "*": lambda h, x: x * h.c,
        "constant first": lambda h, x: h.c * x,
        "method": lambda h, x: x.mul(h.c),
        "function": lambda h, x: torch.multiply(x, h.c),
        "by keyword": lambda h, x: torch.mul(input=x, other=h.c),
        "einsum": lambda h, x: torch.einsum("...,...->...", x, h.c.expand_as(x)),
        "quotient": lambda h, x: x / (1 / h.c) if x.dtype == torch.float64 else x * h.c,
        "*= on a copy": fresh(lambda h, x: operator.imul(x, h.c)),
        "through a view, on a copy": fresh(through(lambda x: x[:], lambda h, x: x.mul_(h.c))),
    }, {
        "mul_": lambda h, x: x.mul_(h.c),
        "*=": lambda h, x: operator.imul(x, h.c),
        "through a view": through(lambda x: x.view(x.shape), lambda h, x: x.mul_(h.c)),
        "[:]": lambda h, x: (operator.setitem(x, slice(None), x * h.c), x)[1],
    }),
)  # fmt: skip
OPS["times a number"] = Op(
    "carry", lambda a, x: x * a.number, about=lambda s, shape: {"number": s.one(0.5, -2.0, 3.0)},
    spellings=spelled({
        "*": lambda h, x: x * h.number,
        "number first": lambda h, x: h.number * x,
        "/": lambda h, x: x / (1 / h.number),
        "int": lambda h, x: x * int(2 * h.number) / 2,
        "tensor": lambda h, x: x * torch.tensor(h.number, dtype=x.dtype),
        "div": lambda h, x: torch.div(x, 1 / h.number),
        "true_divide": lambda h, x: x.true_divide(1 / h.number),
        "by keyword": lambda h, x: torch.mul(x, other=h.number),
    }, {
        "*=": lambda h, x: operator.imul(x, h.number),
        "/=": lambda h, x: operator.itruediv(x, 1 / h.number),
        "div_": lambda h, x: x.div_(1 / h.number),
    }, out=lambda h, x: torch.mul(x, h.number, out=torch.empty_like(x))),
)  # fmt: skip
OPS["part scaled"] = Op(
    "carry", lambda a, x: torch.cat([x[:, : a.k] * a.number, x[:, a.k :]], 1),
    about=lambda s, shape: {"k": s.one(*range(1, max(shape[0], 2))), "number": 3.0},
    spellings=spelled({
        "cat": lambda h, x: torch.cat([x[:, : h.k] * h.number, x[:, h.k :]], 1),
        "mask": lambda h, x: x * torch.where(torch.arange(x.shape[1]) < h.k, h.number, 1.0).to(
            x.dtype
        ).view(-1, *(1,) * (x.dim() - 2)),
        "view of a copy": lambda h, x: part_scaled_(h, x.clone()),
        "setitem on a copy": lambda h, x: part_set_(h, x.clone()),
    }, {
        "view": lambda h, x: part_scaled_(h, x),
        "setitem": lambda h, x: part_set_(h, x),
        "[] *=": lambda h, x: part_times_(h, x),
        "narrow": lambda h, x: (x.narrow(1, 0, h.k).mul_(h.number), x)[1],
        "chunks": lambda h, x: (x.split([h.k, x.shape[1] - h.k], 1)[0].mul_(h.number), x)[1],
        "view of a view": lambda h, x: (x[:, : h.k].flatten(2).unsqueeze(-1).mul_(h.number), x)[1]
        if x.dim() > 3 and x.is_contiguous() else part_scaled_(h, x),
    }),
)  # fmt: skip


def part_scaled_(h: Any, x: Tensor) -> Tensor:
    part = x[:, : h.k]
    part.mul_(h.number)
    return x


def part_set_(h: Any, x: Tensor) -> Tensor:
    x[:, : h.k] = x[:, : h.k] * h.number
    return x


def part_times_(h: Any, x: Tensor) -> Tensor:
    x[:, : h.k] *= h.number
    return x


OPS["plus a constant"] = Op(
    "carry", lambda a, x: x + a.c, about=like, added=("c",),
    spellings=spelled({
        "+": lambda h, x: x + h.c,
        "constant first": lambda h, x: h.c + x,
        "method": lambda h, x: x.add(h.c),
        "by keyword": lambda h, x: torch.add(input=x, other=h.c),
        "minus": lambda h, x: x - -h.c,
        "rsub": lambda h, x: -(-h.c - x),
        "alpha": lambda h, x: torch.add(x, h.c / 2, alpha=2),
    }, {
        "+=": lambda h, x: operator.iadd(x, h.c),
        "add_": lambda h, x: x.add_(h.c),
        "through a view": through(lambda x: x.unsqueeze(-1).squeeze(-1), lambda h, x: x.add_(h.c)),
    }),
)  # fmt: skip
OPS["plus a number"] = Op(
    "carry", lambda a, x: x + a.c,
    about=lambda s, shape: {"c": torch.tensor(s.one(0.5, -1.0)).double()},
    added=("c",),
    spellings=spelled({
        "+": lambda h, x: x + float(h.c),
        "number first": lambda h, x: float(h.c) + x,
        "-": lambda h, x: x - -float(h.c),
        "method": lambda h, x: x.add(float(h.c)),
        "by keyword": lambda h, x: torch.add(x, other=float(h.c)),
        "reversed": lambda h, x: -(-float(h.c) - x),
    }, {"+=": lambda h, x: operator.iadd(x, float(h.c))}),
)  # fmt: skip
OPS["at least a constant"] = Op(
    "each", lambda a, x: torch.maximum(x, a.c), about=like,
    spellings=spelled({
        "maximum": lambda h, x: torch.maximum(x, h.c),
        "constant first": lambda h, x: torch.maximum(h.c, x),
        "max": lambda h, x: torch.max(x, h.c),
        "method": lambda h, x: x.max(h.c.expand_as(x)),
        "clamp": lambda h, x: x.clamp(min=h.c.expand_as(x)),
        "fmax": lambda h, x: torch.fmax(input=x, other=h.c),
        "minimum": lambda h, x: -torch.minimum(-x, -h.c),
    }),
)  # fmt: skip
OPS["beside a constant"] = Op(
    "carry", lambda a, x: torch.cat([x, a.c.expand(len(x), *a.c.shape[1:])], 1), added=("c",),
    about=lambda s, shape: {"c": s.normal(1, 2, *shape[1:]), "kept": s.flag()},
    spellings=spelled({
        "cat": lambda h, x: torch.cat([x, h.c.expand(len(x), *h.c.shape[1:])], 1),
        "by keyword": lambda h, x: torch.cat(
            tensors=(x, h.c.repeat(len(x), *(1,) * (x.dim() - 1))), dim=1
        ),
        "concat": lambda h, x: torch.concat([x, h.c.expand(len(x), *h.c.shape[1:])], axis=1),
        "setitem": lambda h, x: filled(x, h.c),
    }),
)  # fmt: skip


def filled(x: Tensor, c: Tensor) -> Tensor:
    out = x.new_zeros(len(x), x.shape[1] + c.shape[1], *x.shape[2:])
    out[:, : x.shape[1]] = x
    out[:, x.shape[1] :] = c
    return out


OPS["masked"] = Op(
    "carry", lambda a, x: torch.where(a.mask, torch.full_like(x, a.number), x),
    about=lambda s, shape: {"mask": s.normal(*shape) > 0.5, "number": s.one(0.0, 0.0, 1.5)},
    spellings=spelled({
        "where": lambda h, x: torch.where(h.mask, torch.tensor(h.number, dtype=x.dtype), x),
        "where, a number": lambda h, x: torch.where(h.mask, h.number, x),
        "method": lambda h, x: x.where(~h.mask, torch.tensor(h.number, dtype=x.dtype)),
        "masked_fill": lambda h, x: x.masked_fill(h.mask, h.number),
        "by keyword": lambda h, x: torch.masked_fill(input=x, mask=h.mask, value=h.number),
        "on a copy": lambda h, x: x.clone().masked_fill_(h.mask, h.number),
        "[mask]": lambda h, x: mask_set(x.clone(), h),
    }, {
        "masked_fill_": lambda h, x: x.masked_fill_(h.mask, h.number),
        "[mask] in place": lambda h, x: mask_set(x, h),
    }),
)  # fmt: skip


def mask_set(x: Tensor, h: Any) -> Tensor:
    x[h.mask.expand_as(x)] = h.number
    return x


# --------------------------------------------------------------------------- two signals

OPS["addition"] = Op(
    "addition", lambda a, x, y: x + y, reads=2,
    spellings=spelled({
        "+": lambda h, x, y: x + y,
        "the other first": lambda h, x, y: y + x,
        "method": lambda h, x, y: x.add(y),
        "function": lambda h, x, y: torch.add(x, y),
        "by keyword": lambda h, x, y: torch.add(input=x, other=y),
        "sum()": lambda h, x, y: sum([x, y]),
        "minus minus": lambda h, x, y: x - (-y),
        "alpha": lambda h, x, y: torch.sub(x, y, alpha=-1),
        "stack and sum": lambda h, x, y: torch.stack([x, y]).sum(0),
        "on a copy": lambda h, x, y: x.clone().add_(y),
        "view of a copy": fresh(through(lambda x: x[:, :], lambda h, x, y: x.add_(y))),
    }, {
        "+=": lambda h, x, y: operator.iadd(x, y),
        "add_": lambda h, x, y: x.add_(y),
        "[:] +=": lambda h, x, y: (operator.setitem(x, slice(None), x[:] + y), x)[1],
        "through a view": through(lambda x: x.transpose(1, -1), lambda h, x, y: x.add_(y)),
    }, out=lambda h, x, y: torch.add(x, y, out=torch.empty_like(x))),
)  # fmt: skip
OPS["subtraction"] = Op(
    "addition", lambda a, x, y: x - y, reads=2,
    spellings=spelled({
        "-": lambda h, x, y: x - y,
        "method": lambda h, x, y: x.sub(y),
        "by keyword": lambda h, x, y: torch.subtract(input=x, other=y),
        "rsub": lambda h, x, y: torch.rsub(y, x),
        "plus": lambda h, x, y: x + -1 * y,
        "signed difference": lambda h, x, y: x.add(y, alpha=-1),
    }, {"-=": lambda h, x, y: operator.isub(x, y)}),
)  # fmt: skip
OPS["product"] = Op(
    "carry", lambda a, x, y: x * y, reads=2, degrees=(0.5, 0.5),
    spellings=spelled({
        "*": lambda h, x, y: x * y,
        "method": lambda h, x, y: x.mul(y),
        "function": lambda h, x, y: torch.multiply(y, x),
        "by keyword": lambda h, x, y: torch.mul(input=x, other=y),
        "einsum": lambda h, x, y: torch.einsum("...,...->...", x, y),
        "on a copy": lambda h, x, y: x.clone().mul_(y),
    }, {"*=": lambda h, x, y: operator.imul(x, y), "mul_": lambda h, x, y: x.mul_(y)}),
)  # fmt: skip
OPS["gated"] = Op(
    "carry", lambda a, x, y: torch.sigmoid(x) * y, reads=2, degrees=(0.0, 1.0),
    spellings=spelled({
        "*": lambda h, x, y: torch.sigmoid(x) * y,
        "gate last": lambda h, x, y: y * x.sigmoid(),
        "method": lambda h, x, y: y.mul(F.sigmoid(x)),
        "gate viewed": lambda h, x, y: torch.sigmoid(x.flatten()).view(x.shape) * y,
        "module": lambda h, x, y: nn.Sigmoid()(x) * y,
        "einsum": lambda h, x, y: torch.einsum("...,...->...", torch.sigmoid(x), y),
        "gate in place": lambda h, x, y: torch.sigmoid(x).mul_(y),
    }),
)  # fmt: skip
OPS["quotient"] = Op(
    "carry", lambda a, x, y: x / (1 + y.square()), reads=2, degrees=(1.0, 0.0),
    spellings=spelled({
        "/": lambda h, x, y: x / (1 + y.square()),
        "method": lambda h, x, y: x.div(1 + y**2),
        "by keyword": lambda h, x, y: torch.div(input=x, other=1 + y * y),
        "in place": lambda h, x, y: x.clone().div_(y.pow(2) + 1),
        "* reciprocal": lambda h, x, y: x * (1 + y.square()).reciprocal(),
        "* 1 /": lambda h, x, y: x * (1 / (1 + y.square())),
    }),
)  # fmt: skip
OPS["maximum"] = Op(
    "carry", lambda a, x, y: torch.maximum(x, y), reads=2, degrees=(1.0, 1.0),
    spellings=spelled({
        "maximum": lambda h, x, y: torch.maximum(x, y),
        "max": lambda h, x, y: torch.max(x, y),
        "fmax": lambda h, x, y: torch.fmax(x, other=y),
        "stack": lambda h, x, y: torch.stack([x, y], 1).amax(1),
        "where": lambda h, x, y: torch.where(x >= y, x, y),
    }),
)  # fmt: skip
OPS["side by side"] = Op(
    "carry", lambda a, x, y: torch.cat([x, y], 1), reads=2, degrees=(1.0, 1.0),
    meets=lambda s, t: s[1:] == t[1:],
    spellings=spelled({
        "cat": lambda h, x, y: torch.cat([x, y], 1),
        "by keyword": lambda h, x, y: torch.cat(dim=1, tensors=[x, y]),
        "negative dimension": lambda h, x, y: torch.concatenate((x, y), dim=1 - x.dim()),
        "hstack": lambda h, x, y: torch.hstack([x, y]),
        "setitem": lambda h, x, y: filled(x, y),
        "turned": lambda h, x, y: torch.cat([x.movedim(1, 0), y.movedim(1, 0)]).movedim(0, 1),
    }),
)  # fmt: skip
OPS["stacked"] = Op(
    "carry", lambda a, x, y: torch.stack([x, y], 1), reads=2, degrees=(1.0, 1.0), ranks=(1, 2),
    spellings=spelled({
        "stack": lambda h, x, y: torch.stack([x, y], 1),
        "by keyword": lambda h, x, y: torch.stack(tensors=(x, y), dim=1),
        "cat": lambda h, x, y: torch.cat([x[:, None], y.unsqueeze(1)], 1),
        "turned": lambda h, x, y: torch.stack([x, y]).movedim(0, 1),
    }),
)  # fmt: skip
OPS["matrix product of two"] = Op(
    "carry", lambda a, x, y: x @ y.mT, reads=2, degrees=(0.5, 0.5), ranks=(2,),
    meets=lambda s, t: s[-1] == t[-1] and len(s) == len(t),
    spellings=spelled({
        "@": lambda h, x, y: x @ y.mT,
        "bmm": lambda h, x, y: torch.bmm(x, y.transpose(1, 2)),
        "by keyword": lambda h, x, y: torch.matmul(input=x, other=y.transpose(-2, -1)),
        "einsum": lambda h, x, y: torch.einsum("nif,njf->nij", x, y),
        "turned": lambda h, x, y: (y @ x.mT).mT,
    }),
)  # fmt: skip


def bilinear_about(s: Source, x: Shape, y: Shape) -> dict[str, Any]:
    return {"weight": s.normal(2, x[-1], y[-1]), "bias": s.normal(2) if s.flag() else None}


def bilinear(a: Any, x: Tensor, y: Tensor) -> Tensor:
    z = torch.einsum("ni,oij,nj->no", x, a.weight, y)
    return z if a.bias is None else z + a.bias


OPS["bilinear"] = Op(
    "carry", bilinear, reads=2, degrees=(0.5, 0.5), added=("bias",), ranks=(1,),
    meets=lambda s, t: len(t) == 1, about=bilinear_about,
    module=lambda a: loaded(nn.Bilinear(*a.weight.shape[1:], 2, bias=a.bias is not None), a),
    spellings=spelled({
        "nn": lambda h, x, y: h.module(x, y),
        "F": lambda h, x, y: F.bilinear(x, y, h.weight, h.bias),
        "by keyword": lambda h, x, y: F.bilinear(x, y, weight=h.weight, bias=h.bias),
    }),
)  # fmt: skip
OPS["difference"] = Op(
    "difference", lambda a, x, y: x - y, reads=2,
    spellings=spelled({
        "lrp": lambda h, x, y: lrp.difference(x, y),
        "by keyword": lambda h, x, y: lrp.difference(x_i=x, x_j=y),
        "half keyword": lambda h, x, y: lrp.difference(x, x_j=y),
    }),
)  # fmt: skip
OPS["squared length"] = Op(
    "carry", lambda a, x: torch.einsum("ni,ij,nj->n", x, a.M, x)[:, None],
    degrees=(0.5,), ranks=(1,),
    about=lambda s, shape: {"M": s.normal(shape[-1], shape[-1])},
    spellings=spelled({
        "homogeneous": lambda h, x: lrp.homogeneous(2)(lambda u: ((u @ h.M) * u).sum(-1, True))(x),
        "einsum": lambda h, x: torch.einsum("ni,ij,nj->n", x, h.M, x)[:, None],
    }),
)  # fmt: skip


# --------------------------------------------------------------------------- attention


def scores(a: Any, x: Tensor, y: Tensor) -> Tensor:
    found = x @ y.mT * x.shape[-1] ** -0.5
    if a.mask is None:
        return found
    if a.mask.dtype == torch.bool:
        return found.masked_fill(~a.mask, -torch.inf)
    return found + a.mask


def mask_about(s: Source, x: Shape, y: Shape) -> dict[str, Any]:
    places = x[0], y[0]
    allowed = s.normal(*places) > -0.3
    allowed[:, 0] = True
    options = [None, allowed, s.normal(*places)]
    causal = torch.ones(places, dtype=torch.bool).tril()
    return {"mask": [*options, causal][s.one(0, 0, 1, 2, 3)]}


def fused(h: Any, x: Tensor, y: Tensor, *more: Any) -> Tensor:
    causal = h.mask is not None and torch.equal(h.mask, torch.ones_like(h.mask).tril())
    if causal and h.mask.dtype == torch.bool:
        return F.scaled_dot_product_attention(x, y, y, is_causal=True)
    return F.scaled_dot_product_attention(x, y, y, h.mask, *more)


OPS["attention"] = Op(
    "attention", lambda a, x, y: scores(a, x, y).softmax(-1) @ y, reads=2, ranks=(2,),
    meets=lambda s, t: len(s) == len(t) == 2 and s[1] == t[1], about=mask_about,
    spellings=spelled({
        "fused": lambda h, x, y: fused(h, x, y),
        "by position": lambda h, x, y: fused(h, x, y, 0.0, False),
        "by keyword": lambda h, x, y: F.scaled_dot_product_attention(
            query=x, value=y, key=y, attn_mask=h.mask, scale=x.shape[-1] ** -0.5
        ),
        "with heads": lambda h, x, y: F.scaled_dot_product_attention(
            x[:, None], y[:, None], y[:, None], h.mask
        )[:, 0],
        "softmax": lambda h, x, y: F.softmax(scores(h, x, y), dim=-1) @ y,
        "method": lambda h, x, y: scores(h, x, y).softmax(dim=-1).matmul(y),
        "module": lambda h, x, y: torch.bmm(nn.Softmax(-1)(scores(h, x, y)), y),
        "query scaled": lambda h, x, y: torch.softmax(
            scores(h, x * 2, y / 2), -1
        ) @ y,
        "einsum": lambda h, x, y: torch.einsum(
            "nij,njf->nif", torch.softmax(scores(h, x, y), dim=2), y
        ),
        "dropout": lambda h, x, y: F.dropout(scores(h, x, y).softmax(-1), 0.1, False) @ y,
    }),
)  # fmt: skip
OPS["softmax"] = Op(
    "softmax", lambda a, x: x.softmax(-1),
    spellings=spelled({
        "method": lambda h, x: x.softmax(-1),
        "F": lambda h, x: F.softmax(x, dim=-1),
        "torch": lambda h, x: torch.softmax(input=x, dim=x.dim() - 1),
        "module": lambda h, x: nn.Softmax(dim=-1)(x),
    }),
)  # fmt: skip


# --------------------------------------------------------------------------- sums and maxima


def pooled(s: Source, shape: Shape) -> dict[str, Any] | None:
    size = s.one(2, 3)
    if min(shape[1:]) < size:
        return None
    return {"size": size, "stride": s.one(1, 2), "padding": s.one(0, 1)}


def windows(name: str, **more: Any) -> Op:
    run = {2: getattr(F, f"{name}_pool1d"), 3: getattr(F, f"{name}_pool2d")}
    kind = "pooling" if name == "avg" else "carry"
    made = {"avg": (nn.AvgPool1d, nn.AvgPool2d), "max": (nn.MaxPool1d, nn.MaxPool2d)}[name]

    def places(h: Any, x: Tensor) -> Tensor:
        """The module, whatever the number of dimensions."""
        return made[x.dim() - 3](h.size, h.stride, h.padding)(x)

    def plainly(a: Any, x: Tensor) -> Tensor:
        return run[x.dim() - 1](x, a.size, a.stride, a.padding)

    return Op(kind, plainly, about=pooled, ranks=(2, 3), spellings=spelled({
        "F": plainly,
        "nn": places,
        "by keyword": lambda h, x: run[x.dim() - 1](
            input=x, kernel_size=h.size, padding=h.padding, stride=h.stride
        ),
    } | more))  # fmt: skip


OPS["average pooling"] = windows("avg")
OPS["max pooling"] = windows("max", with_indices=lambda h, x: (
    {3: F.max_pool1d, 4: F.max_pool2d}[x.dim()](
        x, h.size, h.stride, h.padding, return_indices=True)[0]
))  # fmt: skip
OPS["adaptive pooling"] = Op(
    "pooling", lambda a, x: F.adaptive_avg_pool2d(x, a.size), ranks=(3,),
    about=lambda s, shape: {"size": s.one((1, 1), (2, 2), (1, 2))},
    spellings=spelled({
        "F": lambda h, x: F.adaptive_avg_pool2d(x, h.size),
        "nn": lambda h, x: nn.AdaptiveAvgPool2d(h.size)(x),
        "by keyword": lambda h, x: F.adaptive_avg_pool2d(input=x, output_size=list(h.size)),
    }),
)  # fmt: skip
DIM: Any = lambda s, shape: {"dim": s.one(*range(1, len(shape) + 1))}  # noqa: E731
OPS["mean"] = Op(
    "pooling", lambda a, x: x.mean(a.dim), about=DIM, ranks=(2, 3),
    spellings=spelled({
        "method": lambda h, x: x.mean(h.dim),
        "function": lambda h, x: torch.mean(x, h.dim),
        "by keyword": lambda h, x: torch.mean(input=x, dim=h.dim),
        "axis": lambda h, x: x.mean(axis=h.dim),
        "kept": lambda h, x: x.mean(dim=(h.dim,), keepdim=True).squeeze(h.dim),
        "negative": lambda h, x: x.mean(h.dim - x.dim()),
    }),
)  # fmt: skip
OPS["sum"] = Op(
    "pooling", lambda a, x: x.sum(a.dim), about=DIM, ranks=(2, 3),
    spellings=spelled({
        "method": lambda h, x: x.sum(h.dim),
        "function": lambda h, x: torch.sum(x, dim=h.dim),
        "kept": lambda h, x: torch.sum(x, (h.dim,), keepdim=True).squeeze(h.dim),
        "moved": lambda h, x: x.movedim(h.dim, -1).sum(-1),
        "einsum": lambda h, x: torch.einsum("n...i->n...", x.movedim(h.dim, -1)),
    }),
)  # fmt: skip
OPS["largest"] = Op(
    "carry", lambda a, x: x.amax(a.dim), about=DIM, ranks=(2, 3),
    spellings=spelled({
        "amax": lambda h, x: x.amax(h.dim),
        "max": lambda h, x: x.max(h.dim).values,
        "max, unpacked": lambda h, x: torch.max(x, dim=h.dim)[0],
        "sorted": lambda h, x: x.sort(h.dim, descending=True).values.select(h.dim, 0),
        "topk": lambda h, x: torch.topk(x, 1, dim=h.dim)[0].squeeze(h.dim),
        "gathered": lambda h, x: x.gather(h.dim, x.argmax(h.dim, keepdim=True)).squeeze(h.dim),
        "min": lambda h, x: -(-x).amin(dim=h.dim),
    }),
)  # fmt: skip
OPS["cumulative"] = Op(
    "carry", lambda a, x: x.cumsum(1),
    spellings=spelled(
        {"method": lambda h, x: x.cumsum(1), "F": lambda h, x: torch.cumsum(x, dim=1)}
    ),
)  # fmt: skip
OPS["upsampled"] = Op(
    "carry", lambda a, x: F.interpolate(x, scale_factor=2, mode=a.mode), ranks=(3,),
    about=lambda s, shape: {"mode": s.one("nearest", "bilinear")},
    spellings=spelled({
        "F": lambda h, x: F.interpolate(x, scale_factor=2, mode=h.mode),
        "nn": lambda h, x: nn.Upsample(scale_factor=2, mode=h.mode)(x),
        "by size": lambda h, x: F.interpolate(
            input=x, size=(2 * x.shape[2], 2 * x.shape[3]), mode=h.mode
        ),
    }),
)  # fmt: skip

# --------------------------------------------------------------------------- places


def moved(value: Callable[..., Tensor], ranks: Any, about: Any, ways: dict[str, Any]) -> Op:
    return Op("carry", value, spelled(ways), about, ranks, alias=True)


OPS["flattened"] = moved(lambda a, x: x.flatten(1), (2, 3), lambda s, shape: {}, {
    "method": lambda h, x: x.flatten(1),
    "function": lambda h, x: torch.flatten(x, start_dim=1),
    "nn": lambda h, x: nn.Flatten()(x),
    "reshape": lambda h, x: x.reshape(x.shape[0], -1),
    "view": lambda h, x: x.contiguous().view(len(x), -1),
    "sizes": lambda h, x: torch.reshape(x, (x.size(0), x[0].numel())),
})  # fmt: skip
OPS["unflattened"] = moved(
    lambda a, x: x.reshape(len(x), 2, -1), (1,),
    lambda s, shape: {} if shape[0] % 2 == 0 else None, {
    "reshape": lambda h, x: x.reshape(len(x), 2, -1),
    "unflatten": lambda h, x: x.unflatten(1, (2, -1)),
    "chunk": lambda h, x: torch.stack(x.chunk(2, 1), 1),
    "view": lambda h, x: x.contiguous().view(x.shape[0], 2, x.shape[1] // 2),
})  # fmt: skip
OPS["turned"] = moved(lambda a, x: x.transpose(1, 2), (2, 3), lambda s, shape: {}, {
    "transpose": lambda h, x: x.transpose(1, 2),
    "swapaxes": lambda h, x: torch.swapaxes(x, 1, 2),
    "permute": lambda h, x: x.permute(0, 2, 1, *range(3, x.dim())),
    "contiguous": lambda h, x: x.transpose(dim0=2, dim1=1).contiguous(),
    "movedim": lambda h, x: x.movedim(1, 2),
    "einsum": lambda h, x: torch.einsum("nab...->nba...", x),
})  # fmt: skip
OPS["part"] = moved(
    lambda a, x: x[:, : a.k], (1, 2, 3),
    lambda s, shape: {"k": s.one(*range(1, shape[0]))} if shape[0] > 1 else None, {
    "slice": lambda h, x: x[:, : h.k],
    "narrow": lambda h, x: x.narrow(1, 0, h.k),
    "split": lambda h, x: x.split([h.k, x.shape[1] - h.k], dim=1)[0],
    "unpacked": lambda h, x: split_first(h, x),
    "list": lambda h, x: x[:, list(range(h.k))],
    "index_select": lambda h, x: torch.index_select(x, 1, torch.arange(h.k)),
    "tensor index": lambda h, x: x[:, torch.arange(h.k)],
    "mask": lambda h, x: x[:, torch.arange(x.shape[1]) < h.k],
    "tensor_split": lambda h, x: torch.tensor_split(x, (h.k,), 1)[0],
})  # fmt: skip


def split_first(h: Any, x: Tensor) -> Tensor:
    first, _ = torch.split(x, (h.k, x.shape[1] - h.k), 1)
    return first


OPS["reversed"] = moved(lambda a, x: x.flip(1), (1, 2, 3), lambda s, shape: {}, {
    "flip": lambda h, x: x.flip(1),
    "by keyword": lambda h, x: torch.flip(x, dims=[1]),
    "list": lambda h, x: x[:, list(reversed(range(x.shape[1])))],
})  # fmt: skip
OPS["padded"] = Op(
    "carry", lambda a, x: F.pad(x, (1, 0)),
    spellings=spelled({
        "F": lambda h, x: F.pad(x, (1, 0)),
        "by keyword": lambda h, x: F.pad(input=x, pad=[1, 0], mode="constant", value=0),
        "nn": lambda h, x: nn.ConstantPad1d((1, 0), 0.0)(x),
        "cat": lambda h, x: torch.cat([torch.zeros_like(x[..., :1]), x], -1),
    }),
)  # fmt: skip
OPS["expanded"] = Op(
    "carry", lambda a, x: x[:, None].repeat(1, 2, *(1,) * (x.dim() - 1)), ranks=(1, 2),
    spellings=spelled({
        "repeat": lambda h, x: x[:, None].repeat(1, 2, *(1,) * (x.dim() - 1)),
        "expand": lambda h, x: x.unsqueeze(1).expand(-1, 2, *x.shape[1:]).clone(),
        "stack": lambda h, x: torch.stack([x, x], 1),
        "interleave": lambda h, x: x.unsqueeze(1).repeat_interleave(2, dim=1),
        "tile": lambda h, x: torch.tile(x[:, None], (1, 2, *(1,) * (x.dim() - 1))),
    }),
)  # fmt: skip
OPS["shuffled"] = moved(
    lambda a, x: F.pixel_shuffle(x, 2), (3,), lambda s, shape: {} if shape[0] % 4 == 0 else None, {
    "F": lambda h, x: F.pixel_shuffle(x, 2),
    "nn": lambda h, x: nn.PixelShuffle(2)(x),
    "by keyword": lambda h, x: F.pixel_shuffle(input=x, upscale_factor=2),
})  # fmt: skip

# --------------------------------------------------------------------------- ids


def rows_about(s: Source, shape: Shape) -> dict[str, Any]:
    return {"weight": s.normal(7, s.one(3, 2))}


def rows_module(a: About) -> nn.Module:
    return loaded(nn.Embedding(*a.weight.shape), About(weight=a.weight, bias=None))


def bag_about(s: Source, shape: Shape) -> dict[str, Any]:
    return rows_about(s, shape) | {"mode": s.one("mean", "sum")}


def bag_module(a: About) -> nn.Module:
    return nn.EmbeddingBag(*a.weight.shape, mode=a.mode, _weight=a.weight.clone())


def renormed_about(s: Source, shape: Shape) -> dict[str, Any]:
    return rows_about(s, shape) | {"most": s.one(0.5, 1.0)}


def renormed(a: Any, ids: Tensor) -> Tensor:
    rows = a.weight[ids]
    sizes = rows.norm(dim=-1, keepdim=True)
    return torch.where(sizes > a.most, rows * a.most / (sizes + 1e-7), rows)  # as torch has it


TABLES = {
    "embedding": Op(
        "table",
        lambda a, ids: a.weight[ids],
        about=rows_about,
        module=rows_module,
        spellings=spelled(
            {
                "nn": lambda h, ids: h.module(ids),
                "nn, by keyword": lambda h, ids: h.module(input=ids),
                "F": lambda h, ids: F.embedding(ids, h.weight),
                "by keyword": lambda h, ids: F.embedding(input=ids, weight=h.weight, padding_idx=0),
                "[]": lambda h, ids: h.weight[ids],
                "[] detached": lambda h, ids: h.weight.detach()[ids],
                "torch": lambda h, ids: torch.embedding(h.weight, ids),
                "parametrised": Spelling(lambda h, ids: h.module(ids), doubled),
            },
            index_select=lambda h, ids: h.weight.index_select(0, ids.flatten()).view(
                *ids.shape, -1
            ),
        ),
    ),
    "bag": Op(
        "bag",
        lambda a, ids: getattr(a.weight[ids], a.mode)(1),
        about=bag_about,
        module=bag_module,
        spellings=spelled(
            {
                "nn": lambda h, ids: h.module(ids),
                "F": lambda h, ids: F.embedding_bag(ids, h.weight, mode=h.mode),
                "by keyword": lambda h, ids: F.embedding_bag(
                    input=ids, weight=h.weight, mode=h.mode
                ),
                "embedding": lambda h, ids: getattr(F.embedding(ids, h.weight), h.mode)(1),
                "[]": lambda h, ids: getattr(torch, h.mode)(h.weight[ids], dim=1),
            }
        ),
    ),
    "renormed": Op(
        "table",
        renormed,
        about=renormed_about,
        module=rows_module,
        spellings=spelled(
            {
                "F": lambda h, ids: F.embedding(ids, h.weight, max_norm=h.most),
                "by keyword": lambda h, ids: F.embedding(
                    input=ids, weight=h.weight, max_norm=h.most, norm_type=2.0
                ),
            }
        ),
    ),
}


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a program: what it does to which values, with which numbers.

    Attributes:
        reads: places of the values it reads; the inputs come first.
        about: its numbers and tensors; a step that shares its weights has the same object.
    """

    name: str
    reads: tuple[int, ...]
    about: About
    op: Op = field(repr=False)
