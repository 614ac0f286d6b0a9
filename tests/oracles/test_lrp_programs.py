"""Whole programs: what they call, share, overwrite and multiply must not matter to LRP-0.

The oracle of a program is its `twin`: the same function with the factors that LRP holds constant
detached, so that gradient x input of the twin *is* LRP-0. Piecewise-linear programs are their own
twins. An activation counts as the factor f(z)/z, a gate and a standard deviation as weights, and a
product of two signals is linear in each, half and half.
"""

from __future__ import annotations

import copy
import gc
import itertools
import random
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainrec_lab import lrp

TOLERANCE = 1e-10
Twin = Callable[..., Tensor]


def assert_close(ours: Tensor, oracle: Tensor, relative: float = TOLERANCE) -> None:
    """The largest difference, relative to the largest value."""
    assert ours.shape == oracle.shape
    assert float(oracle.abs().max()) > 0, "an oracle of zeros shows nothing"
    assert float((ours - oracle).abs().max()) <= relative * float(oracle.abs().max())


def gradient_times_input(twin: Twin, *inputs: Tensor, index: int = 1) -> tuple[Tensor, ...]:
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    output = twin(*leaves)
    value = (output if output.dim() == 1 else output[..., index]).sum()
    return tuple(
        x.detach() * g for x, g in zip(leaves, torch.autograd.grad(value, leaves), strict=True)
    )


def factor(f: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """f(z), linear in z with the factor f(z) / z held constant."""
    return z * (f(z) / z).detach()


def halves(f: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
    """f(a, b), bilinear, half of it through each operand."""
    return (f(a, b.detach()) + f(a.detach(), b)) / 2


def conv(inside: int, out: int, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(inside, out, 3, bias=False, **{"padding": 1, **options})


def linear(inside: int, out: int) -> nn.Linear:
    return nn.Linear(inside, out, bias=False)


class Net(nn.Module):
    """Two convolutions and a head without biases; cases put between them what they test.

    All else is made of modules, so that a peer that sees modules only can fail for one reason.
    """

    def __init__(self, head: int = 4) -> None:
        super().__init__()
        self.a, self.b, self.head = conv(3, 4), conv(4, 4), linear(head, 3)
        self.first, self.second, self.relu = nn.ReLU(), nn.ReLU(), nn.ReLU(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def pooled(self, x: Tensor) -> Tensor:
        return self.head(torch.flatten(self.pool(x), 1))


# --------------------------------------------------------------------------- piecewise linear


class Residual(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.a(x))
        return self.pooled(self.second(self.b(x) + x))


class InPlaceAddition(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.a(x))
        y = self.b(x)
        y += x
        return self.pooled(self.relu(y))


class IgnoredReturnValue(Net):
    """`self.relu(x)` alone on its line: the tensor changes under its old name."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        self.relu(x)
        y = self.b(x)
        y.mul_(2.0)
        F.relu_(y)
        return self.pooled(y)


class ReusedConvolution(Net):
    def __init__(self) -> None:
        super().__init__()
        self.relus = nn.ModuleList(nn.ReLU() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.a(x))
        for relu in self.relus:
            x = relu(self.b(x))
        return self.pooled(x)


class ReusedPooling(Net):
    def __init__(self) -> None:
        super().__init__()
        self.max = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.pooled(self.max(self.b(self.max(self.first(self.a(x))))))


class Flattened(Net):
    def __init__(self) -> None:
        super().__init__(4 * 64)
        self.flatten = nn.Flatten()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.flatten(self.second(self.b(self.first(self.a(x))))))


class Functional(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.conv2d(x, self.a.weight, padding=1))
        x = F.relu(torch.conv2d(x, self.b.weight, None, 1, 1))
        x = F.adaptive_avg_pool2d(x, 1)
        return F.linear(x.view(len(x), -1), self.head.weight)


class MatrixProduct(Net):
    """A weight as an operand: `@`, matmul, einsum."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.second(self.b(self.first(self.a(x))))).flatten(1)
        y = x @ self.head.weight.T + torch.matmul(x, self.head.weight.t())
        return y + torch.einsum("nc,oc->no", x, self.head.weight)


class Normed(Net):
    def __init__(self, bias: bool = False) -> None:
        super().__init__()
        self.norm, self.alone = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        for norm in (self.norm, self.alone):
            nn.init.uniform_(norm.running_var, 0.5, 2.0)
            nn.init.normal_(norm.weight)
            if bias:
                nn.init.normal_(norm.running_mean)
                nn.init.normal_(norm.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.alone(self.first(self.norm(self.a(x))))
        return self.pooled(self.second(self.b(x)))


class DenseBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(conv(3 + 2 * i, 2) for i in range(3))
        self.relus = nn.ModuleList(nn.ReLU() for _ in range(3))
        self.head, self.pool = linear(9, 3), nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer, relu in zip(self.layers, self.relus, strict=True):
            features.append(relu(layer(torch.cat(features, 1))))
        return self.head(self.pool(torch.cat(features, 1)).flatten(1))


class Splits(Net):
    """Channel split, shuffle, slices, stack, pad, permute: only places change."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.a(x))
        left, right = x.chunk(2, dim=1)
        x = torch.cat([right, self.second(self.b(x))[:, 1:3]], 1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().reshape(n, c, h, w)
        x = F.pad(x, (1, 0, 1, 0))[:, :, :-1, 1:] + torch.stack([left, left], 2).flatten(1, 2)
        first, second = torch.split(x, [1, 3], 1)
        return self.pooled(torch.cat([second, first], 1).permute(0, 1, 3, 2))


class Convolutions(nn.Module):
    """Dilated, grouped, strided, transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            conv(3, 4, dilation=2, padding=2), nn.ReLU(), conv(4, 4, groups=2), nn.ReLU(),
            conv(4, 4, groups=4, stride=2), nn.ReLU(),
            nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1, bias=False),
            nn.ReLU(), nn.Dropout2d(), nn.AdaptiveAvgPool2d((3, 2)), nn.Flatten(), nn.Dropout(),
            linear(24, 3),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Activations(Net):
    """Leaky, parametric, clipped: piecewise linear with f(0) = 0 and no constant piece reached."""

    def __init__(self) -> None:
        super().__init__()
        self.prelu = nn.PReLU(4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.a(x), 0.2)
        return self.pooled(self.prelu(self.b(x)).abs())


class Scaled(Net):
    """Constants and masks multiply; a number divides; a sign changes."""

    def forward(self, x: Tensor) -> Tensor:
        x = 0.5 * self.first(self.a(x)) / 3.0
        x = x * torch.linspace(0.5, 1.5, 4, dtype=x.dtype).view(1, -1, 1, 1)
        y = -self.b(x)
        return self.pooled(y.clamp(min=0) - x)


class Upsampled(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(self.first(self.a(x)), scale_factor=2, mode="nearest")
        x = F.interpolate(self.second(self.b(x)), size=(5, 5), mode="bilinear", align_corners=False)
        return self.pooled(x)


class Maxima(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.a(x))
        x = torch.maximum(x, self.b(x))
        return self.head(F.max_pool2d(x, 3, 2, 1).amax((2, 3)))


PIECEWISE: dict[str, Callable[[], nn.Module]] = {
    "residual": Residual,
    "in-place addition": InPlaceAddition,
    "in-place with the return value ignored": IgnoredReturnValue,
    "reused convolution": ReusedConvolution,
    "reused pooling": ReusedPooling,
    "nn.Flatten": Flattened,
    "functional": Functional,
    "matrix product": MatrixProduct,
    "batch norm": Normed,
    "batch norm with shifts": lambda: Normed(bias=True),
    "dense block": DenseBlock,
    "splits": Splits,
    "convolutions": Convolutions,
    "activations": Activations,
    "scaled": Scaled,
    "upsampled": Upsampled,
    "maxima": Maxima,
}


def made(case: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return case().double().eval()


def image(samples: int = 2) -> Tensor:
    return torch.randn(samples, 3, 8, 8, dtype=torch.float64)


@pytest.mark.parametrize("case", PIECEWISE)
def test_lrp_0_is_gradient_times_input_of_a_piecewise_linear_program(case: str) -> None:
    for seed in range(3):
        model = made(PIECEWISE[case], seed)
        x = image()
        relevance, ledger = lrp.relevance(model, x, 1, lrp.Epsilon(0.0), ledger=True)
        assert_close(relevance, gradient_times_input(model, x)[0])
        assert abs(ledger.gap) <= TOLERANCE * float(relevance.abs().sum())


@pytest.mark.parametrize("case", PIECEWISE)
def test_the_traced_program_computes_what_it_always_computes(case: str) -> None:
    """The output is that of the program, and the images themselves stay as they are.

    But for the last digits: a library may add up otherwise where gradients are wanted.
    """
    model, x = made(PIECEWISE[case]), image(1)
    before = x.clone()
    for index in range(3):
        _, ledger = lrp.relevance(model, x, index, ledger=True)
        with torch.no_grad():
            assert ledger.output == pytest.approx(float(model(x)[0, index]), rel=1e-12)
    assert torch.equal(x, before)
    assert not x.requires_grad


# --------------------------------------------------------------------------- with a twin


@dataclass(frozen=True)
class Case:
    """A program and its twin, called with the program and its inputs."""

    program: Callable[[], nn.Module]
    twin: Callable[..., Tensor]
    inputs: Callable[[], tuple[Tensor, ...]]


def rows(*sizes: int, samples: int = 3) -> Callable[[], tuple[Tensor, ...]]:
    return lambda: tuple(torch.randn(samples, size, dtype=torch.float64) for size in sizes)


def around(f: Callable[[Tensor], Tensor]) -> Case:
    """linear, f, linear, f, linear; a module `f` is a module there."""

    class Program(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = linear(5, 6), linear(6, 6), linear(6, 3)
            self.f, self.g = f, copy.deepcopy(f)

        def forward(self, x: Tensor) -> Tensor:
            return self.c(self.g(self.b(self.f(self.a(x)))))

    def twin(m: Any, x: Tensor) -> Tensor:
        return m.c(factor(f, m.b(factor(f, m.a(x)))))

    return Case(Program, twin, rows(5))


class Normalised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm, self.b = linear(5, 6), nn.LayerNorm(6, bias=False), linear(6, 3)
        self.relu = nn.ReLU()
        nn.init.normal_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.norm(self.relu(self.a(x))))


def layer_norm_twin(m: Normalised, x: Tensor) -> Tensor:
    h = torch.relu(m.a(x))
    deviation = (h.var(-1, unbiased=False, keepdim=True) + m.norm.eps).sqrt().detach()
    return m.b((h - h.mean(-1, keepdim=True)) / deviation * m.norm.weight)


class GroupNormalised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm, self.b = linear(5, 6), nn.GroupNorm(2, 6), linear(6, 3)
        self.relu = nn.ReLU()
        nn.init.normal_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.norm(self.relu(self.a(x))))


def group_norm_twin(m: GroupNormalised, x: Tensor) -> Tensor:
    h = torch.relu(m.a(x)).view(len(x), 2, 3)
    deviation = (h.var(-1, unbiased=False, keepdim=True) + m.norm.eps).sqrt().detach()
    return m.b(((h - h.mean(-1, keepdim=True)) / deviation).view(len(x), 6) * m.norm.weight)


class UnitLength(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.relu, self.b = linear(5, 6), nn.ReLU(), linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(F.normalize(self.relu(self.a(x)), dim=-1))


def unit_length_twin(m: UnitLength, x: Tensor) -> Tensor:
    h = torch.relu(m.a(x))
    return m.b(h / h.norm(dim=-1, keepdim=True).detach())


class Two(nn.Module):
    """Two inputs, each through a layer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.p, self.q = linear(5, 6), linear(4, 6), nn.ReLU(), nn.ReLU()

    def signals(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return self.p(self.a(x)), self.q(self.b(y))


class BilinearHead(Two):
    def __init__(self) -> None:
        super().__init__()
        self.bilinear = nn.Bilinear(6, 6, 3, bias=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.bilinear(*self.signals(x, y))


class Product(Two):
    def __init__(self) -> None:
        super().__init__()
        self.c = linear(6, 3)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        p, q = self.signals(x, y)
        return self.c(p * q)


class Concatenation(Two):
    def __init__(self) -> None:
        super().__init__()
        self.d = linear(12, 3)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.d(torch.cat(self.signals(x, y), -1))


class Outer(Two):
    """A product of two matrices of signals."""

    def signals(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return self.a(x), self.b(y)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        p, q = self.signals(x, y)
        return (p.view(-1, 3, 2) @ q.view(-1, 2, 3)).flatten(1)[:, :3]


class DotProduct(Two):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        p, q = self.signals(x, y)
        return (p * q).sum(-1)


class Gate(nn.Module):
    """Squeeze and excitation: the gate is a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.gate, self.b = linear(5, 6), linear(6, 6), linear(6, 3)
        self.relu, self.sigmoid = nn.ReLU(), nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        h = self.relu(self.a(x))
        return self.b(self.sigmoid(self.gate(h)) * h)


def gate_twin(m: Gate, x: Tensor) -> Tensor:
    h = torch.relu(m.a(x))
    return m.b(torch.sigmoid(m.gate(h)).detach() * h)


class ByHandSiLU(Gate):
    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        return self.b(h * h.sigmoid())


def by_hand_silu_twin(m: ByHandSiLU, x: Tensor) -> Tensor:
    return m.b(factor(F.silu, m.a(x)))


class Mahalanobis(nn.Module):
    """d = delta M delta of two images' features."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.relu, self.b = linear(5, 6), nn.ReLU(), linear(6, 4)
        root = torch.randn(4, 4, dtype=torch.float64)  # A A' is symmetric but for the last digit
        self.M = nn.Parameter(root @ root.T)

    def features(self, x: Tensor) -> Tensor:
        return self.b(self.relu(self.a(x)))

    def distance(self, delta: Tensor) -> Tensor:
        return ((delta @ self.M) * delta).sum(-1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.distance(self.features(x) - self.features(y))


def mahalanobis_twin(m: Mahalanobis, x: Tensor, y: Tensor) -> Tensor:
    delta = m.features(x) - m.features(y)
    return halves(lambda p, q: ((p @ m.M) * q).sum(-1), delta, delta)


class Einsum(Mahalanobis):
    def distance(self, delta: Tensor) -> Tensor:
        return torch.einsum("ni,ij,nj->n", delta, self.M, delta)


class SquareRoot(Mahalanobis):
    """M = A A^T, and the distance is the squared length of A^T delta."""

    def distance(self, delta: Tensor) -> Tensor:
        return (delta @ self.M).pow(2).sum(-1)


def square_root_twin(m: SquareRoot, x: Tensor, y: Tensor) -> Tensor:
    long = (m.features(x) - m.features(y)) @ m.M
    return (long * long.detach()).sum(-1)


class HeadModule(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.M = nn.Parameter(torch.randn(4, 4))

    def forward(self, p: Tensor, q: Tensor) -> Tensor:
        delta = p - q
        return ((delta @ (self.M @ self.M.T)) * delta).sum(-1)


class AsModule(Mahalanobis):
    def __init__(self) -> None:
        super().__init__()
        self.metric = HeadModule()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.metric(self.features(x), self.features(y))


def as_module_twin(m: AsModule, x: Tensor, y: Tensor) -> Tensor:
    delta, M = m.features(x) - m.features(y), m.metric.M @ m.metric.M.T
    return halves(lambda p, q: ((p @ M) * q).sum(-1), delta, delta)


CASES = {
    "ReLU6": around(nn.ReLU6()),
    "SiLU": around(nn.SiLU()),
    "GELU": around(nn.GELU()),
    "tanh": around(nn.Tanh()),
    "ELU": around(nn.ELU()),
    "softplus": around(nn.Softplus()),
    "sigmoid": around(nn.Sigmoid()),
    "hard swish": around(nn.Hardswish()),
    "Mish": around(nn.Mish()),
    "clamp": around(lambda z: z.clamp(-0.5, 0.5)),
    "layer norm": Case(Normalised, layer_norm_twin, rows(5)),
    "group norm": Case(GroupNormalised, group_norm_twin, rows(5)),
    "F.normalize": Case(UnitLength, unit_length_twin, rows(5)),
    "nn.Bilinear": Case(
        BilinearHead, lambda m, x, y: halves(m.bilinear, *m.signals(x, y)), rows(5, 4)
    ),
    "product": Case(Product, lambda m, x, y: m.c(halves(torch.mul, *m.signals(x, y))), rows(5, 4)),
    "dot product": Case(
        DotProduct, lambda m, x, y: halves(torch.mul, *m.signals(x, y)).sum(-1), rows(5, 4)
    ),
    "product of matrices": Case(
        Outer,
        lambda m, x, y: halves(
            lambda p, q: (p.view(-1, 3, 2) @ q.view(-1, 2, 3)).flatten(1)[:, :3], *m.signals(x, y)
        ),
        rows(5, 4),
    ),
    "two inputs, concatenated": Case(Concatenation, lambda m, x, y: m(x, y), rows(5, 4)),
    "squeeze and excitation": Case(Gate, gate_twin, rows(5)),
    "SiLU by hand": Case(ByHandSiLU, by_hand_silu_twin, rows(5)),
    "siamese, Mahalanobis": Case(Mahalanobis, mahalanobis_twin, rows(5, 5)),
    "siamese, einsum": Case(Einsum, mahalanobis_twin, rows(5, 5)),
    "siamese, squared": Case(SquareRoot, square_root_twin, rows(5, 5)),
    "siamese, distance as a module": Case(AsModule, as_module_twin, rows(5, 5)),
}


@pytest.mark.parametrize("name", CASES)
def test_lrp_0_is_gradient_times_input_of_the_twin(name: str) -> None:
    case = CASES[name]
    for seed in range(3):
        model = made(case.program, seed)
        inputs = case.inputs()
        output = model(*inputs).detach()
        assert_close(case.twin(model, *inputs).detach(), output)
        index = None if output.dim() == 1 else 1
        given = inputs[0] if len(inputs) == 1 else inputs
        ours, ledger = lrp.relevance(model, given, index, lrp.Epsilon(0.0), ledger=True)
        ours = ours if isinstance(ours, tuple) else (ours,)
        oracle = gradient_times_input(lambda *x: case.twin(model, *x), *inputs)  # noqa: B023
        for relevance, expected in zip(ours, oracle, strict=True):
            assert_close(relevance, expected)
        size = sum(float(relevance.abs().sum()) for relevance in ours)
        assert abs(ledger.gap) <= TOLERANCE * max(size, abs(ledger.output))


# --------------------------------------------------------------------------- embeddings


class Profile(nn.Module):
    """RecoNet's shape: the mean of the features' embeddings, then a linear layer."""

    def __init__(self, bag: bool, mode: str = "mean") -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(20, 6, mode=mode) if bag else nn.Embedding(20, 6)
        self.bag, self.head = bag, linear(6, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.table(ids) if self.bag else self.table(ids).mean(1))


@pytest.mark.parametrize("bag", [False, True], ids=["embedding and mean", "embedding bag"])
def test_relevance_of_a_feature_is_its_embedding_times_the_target_over_n(bag: bool) -> None:
    model = made(lambda: Profile(bag))
    ids = torch.tensor([[3, 7, 7, 1], [0, 19, 4, 3]])
    expected = (model.table.weight[ids] @ model.head.weight[1] / ids.shape[1]).detach()
    relevance, ledger = lrp.relevance(model, ids, 1, lrp.Epsilon(0.0), ledger=True)
    assert_close(relevance, expected)
    assert abs(ledger.gap) <= TOLERANCE * float(expected.abs().sum())


def test_embedding_bag_adds() -> None:
    model = made(lambda: Profile(True, "sum"))
    ids = torch.tensor([[3, 7, 7, 1]])
    expected = model.table.weight[ids] @ model.head.weight[1]
    assert_close(lrp.relevance(model, ids, 1, lrp.Epsilon(0.0)), expected.detach())


def test_ids_and_an_image_can_be_explained_together() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.layer, self.head = nn.Embedding(9, 4), linear(5, 4), linear(8, 3)

        def forward(self, ids: Tensor, x: Tensor) -> Tensor:
            return self.head(torch.cat([self.table(ids).mean(1), torch.relu(self.layer(x))], 1))

    model = made(Both)
    ids, x = torch.tensor([[1, 2, 8]]), torch.randn(1, 5, dtype=torch.float64)
    of_ids, of_x = lrp.relevance(model, (ids, x), 1, lrp.Epsilon(0.0))
    weights = model.head.weight[1]
    assert_close(of_ids, (model.table.weight[ids] @ weights[:4] / 3).detach())
    assert_close(of_x, gradient_times_input(lambda x: model(ids, x), x)[0])


# --------------------------------------------------------------------------- several outputs


def test_output_may_be_an_index_a_tensor_of_indices_or_a_function() -> None:
    model, x = made(Residual), image(3)
    chosen = torch.tensor([2, 0, 1])
    by_tensor = lrp.relevance(model, x, chosen)
    for sample, index in enumerate(chosen.tolist()):
        one = lrp.relevance(model, x[sample : sample + 1], index)
        assert_close(by_tensor[sample : sample + 1], one)
    contrast = lrp.relevance(model, x, lambda y: y[:, 0] - y[:, 2], lrp.Epsilon(0.0))
    (first,) = gradient_times_input(model, x, index=0)
    (third,) = gradient_times_input(model, x, index=2)
    assert_close(contrast, first - third)


def test_a_program_may_return_several_tensors() -> None:
    class Several(Residual):
        def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:  # type: ignore[override]
            y = super().forward(x)
            return y, {"other": 2 * y}

    model, x = made(Several), image()
    ours = lrp.relevance(model, x, lambda out: out[1]["other"][:, 1], lrp.Epsilon(0.0))
    (once,) = gradient_times_input(lambda x: model(x)[0], x)
    assert_close(ours, 2 * once)


def test_samples_do_not_see_each_other() -> None:
    model, x = made(InPlaceAddition), image(4)
    together = lrp.relevance(model, x, 1)
    for sample in range(4):
        one = lrp.relevance(model, x[sample : sample + 1], 1)
        assert_close(together[sample : sample + 1], one)


# --------------------------------------------------------------------------- the distance head


class Siamese(Mahalanobis):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return _squared(lrp.difference(self.features(x), self.features(y)), self.M)


@lrp.homogeneous(2)
def _squared(delta: Tensor, M: Tensor) -> Tensor:
    return ((delta @ M) * delta).sum(-1)


def shares(split: str, z_i: Tensor, z_j: Tensor, R: Tensor) -> tuple[Tensor, Tensor]:
    """How R_delta is divided between z_i and z_j: the relevance of each, feature by feature."""
    delta = z_i - z_j
    if split == "signed":
        return z_i * R / delta, -z_j * R / delta
    if split == "midpoint":
        return R / 2, R / 2
    if split == "one-sided":
        return torch.where(delta > 0, R, 0.0), torch.where(delta > 0, 0.0, R)
    size = z_i.abs() + z_j.abs()
    return z_i.abs() * R / size, z_j.abs() * R / size


@pytest.mark.parametrize("split", ["signed", "midpoint", "one-sided", "proportional"])
def test_difference_is_split_as_named(split: str) -> None:
    for seed in range(3):
        model = made(Siamese, seed)
        x, y = rows(5, 5)()
        z_i, z_j = model.features(x).detach(), model.features(y).detach()
        delta = z_i - z_j
        R = delta * (delta @ model.M.detach())
        ours, ledger = lrp.relevance(
            model, (x, y), None, lrp.Epsilon(0.0), split=split, ledger=True
        )
        for relevance, image, z, share in zip(
            ours, (x, y), (z_i, z_j), shares(split, z_i, z_j, R), strict=True
        ):
            leaf = image.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(model.features(leaf), leaf, share / z)
            assert_close(relevance, image * gradient)
        assert_close(ours[0].sum(-1) + ours[1].sum(-1), R.sum(-1))
        assert abs(ledger.gap) <= TOLERANCE * float(R.abs().sum())


def test_an_unmarked_distance_and_a_marked_one_agree_on_delta() -> None:
    """Explained from delta on, halves of a product are the Euler share of a quadratic form."""
    model = made(Siamese)
    delta = torch.randn(3, 4, dtype=torch.float64)
    M = model.M.detach()

    class Marked(nn.Module):
        def forward(self, delta: Tensor) -> Tensor:
            return _squared(delta, M)

    class Plain(nn.Module):
        def forward(self, delta: Tensor) -> Tensor:
            return ((delta @ M) * delta).sum(-1)

    expected = delta * (delta @ M)
    for head in (Marked(), Plain()):
        assert_close(lrp.relevance(head.eval(), delta, None, lrp.Epsilon(0.0)), expected)


def test_difference_and_distance_compute_what_they_say() -> None:
    model = made(Siamese)
    x, y = rows(5, 5)()
    delta = model.features(x) - model.features(y)
    assert_close(lrp.difference(model.features(x), model.features(y)), delta)
    assert_close(model(x, y), ((delta @ model.M) * delta).sum(-1))


# --------------------------------------------------------------------------- what is left behind


def state(model: nn.Module) -> dict[str, Any]:
    """Everything of a model that a call could leave changed."""
    hooks = "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"
    return {
        "modes": [module.training for module in model.modules()],
        "names": [sorted(vars(module)) for module in model.modules()],
        "hooks": [len(getattr(module, hook)) for module in model.modules() for hook in hooks],
        "ids": [id(parameter) for parameter in model.parameters()],
        "wants": [parameter.requires_grad for parameter in model.parameters()],
        "grads": [parameter.grad is None for parameter in model.parameters()],
        "versions": [parameter._version for parameter in model.parameters()],
    }


@pytest.mark.parametrize("wants", [True, False])
@pytest.mark.parametrize("case", ["residual", "batch norm with shifts", "convolutions"])
def test_a_model_is_left_as_it_was(case: str, wants: bool) -> None:
    model = made(PIECEWISE[case]).requires_grad_(wants)
    values = {name: value.clone() for name, value in model.state_dict().items()}
    before = state(model)
    lrp.relevance(model, image(), 1, lrp.epsilon_gamma_box(-3.0, 3.0))
    assert state(model) == before
    assert all(torch.equal(value, values[name]) for name, value in model.state_dict().items())


def test_a_model_is_left_as_it_was_after_an_error() -> None:
    class Fails(Residual):
        def forward(self, x: Tensor) -> Tensor:
            super().forward(x)
            raise RuntimeError("on purpose")

    model = made(Fails)
    before = state(model)
    with pytest.raises(RuntimeError, match="on purpose"):
        lrp.relevance(model, image(), 1)
    assert state(model) == before
    healthy = made(Residual)
    x = image()
    assert_close(
        lrp.relevance(healthy, x, 1, lrp.Epsilon(0.0)), gradient_times_input(healthy, x)[0]
    )


def test_no_activation_outlives_the_call() -> None:
    activations: list[weakref.ref[Tensor]] = []

    class Watched(Residual):
        def forward(self, x: Tensor) -> Tensor:
            y = torch.relu(self.a(x))
            activations.append(weakref.ref(y))
            y = self.b(y)
            activations.append(weakref.ref(y))
            return self.pooled(y)

    model = made(Watched)
    relevance = lrp.relevance(model, image(), 1)
    gc.collect()
    assert [ref() for ref in activations] == [None, None]
    assert not relevance.requires_grad


def test_gradients_may_be_off_around_the_call() -> None:
    model, x = made(Residual), image()
    expected = lrp.relevance(model, x, 1)
    with torch.no_grad():
        assert_close(lrp.relevance(model, x, 1), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_low_precision_stays_near_double(dtype: torch.dtype) -> None:
    limit = {torch.bfloat16: 0.95, torch.float16: 0.999, torch.float32: 0.999999}[dtype]
    for case in ("residual", "batch norm with shifts", "convolutions", "reused pooling"):
        model, x = made(PIECEWISE[case]), image()
        reference = lrp.relevance(model, x, 1, lrp.Epsilon(1e-3))
        ours = lrp.relevance(model.to(dtype), x.to(dtype), 1, lrp.Epsilon(1e-3))
        assert ours.dtype == torch.float32  # shares of pixels are too small for less
        assert float(F.cosine_similarity(ours.double().flatten(), reference.flatten(), 0)) >= limit


# --------------------------------------------------------------------------- random programs


class RandomProgram(nn.Module):
    """A random piecewise-linear graph on maps of four channels, drawn from a seed.

    Each step reads one or two of the values made so far and makes another, of the same shape.
    """

    def __init__(self, seed: int, biases: bool) -> None:
        super().__init__()
        draw = random.Random(seed)
        torch.manual_seed(seed)
        self.stem = nn.Conv2d(3, 4, 3, padding=1, bias=biases)
        self.convs = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1, bias=biases) for _ in range(3))
        self.wide = nn.Conv2d(8, 4, 1, bias=biases)
        self.norms = nn.ModuleList(nn.BatchNorm2d(4) for _ in range(2))
        self.head = nn.Linear(4, 5, bias=biases)
        for norm in self.norms:
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
            nn.init.normal_(norm.weight)
            if biases:
                nn.init.normal_(norm.running_mean)
                nn.init.normal_(norm.bias)
        kinds = "conv conv relu relu_ add add_ concat max avg norm conv_norm split scale mean skip"
        self.plan = [
            (draw.choice(kinds.split()), draw.random(), draw.random(), draw.randrange(6))
            for _ in range(draw.randrange(6, 16))
        ]

    def forward(self, x: Tensor) -> Tensor:
        values = [self.stem(x)]
        for kind, first, second, which in self.plan:
            a = values[int(first * len(values))] if second < 0.3 else values[-1]
            b = values[int(second * len(values))]
            values.append(self.step(kind, a, b, which))
        return self.head(values[-1].mean((2, 3)) + torch.relu(values[0]).amax((2, 3)))

    def step(self, kind: str, a: Tensor, b: Tensor, which: int) -> Tensor:
        conv, norm = self.convs[which % 3], self.norms[which % 2]
        if kind == "conv":
            return conv(a)
        if kind == "conv_norm":
            return norm(conv(a))
        if kind == "norm":
            return norm(a)
        if kind == "relu":
            return torch.relu(a)
        if kind == "relu_":
            return torch.relu_(conv(a))
        if kind == "add":
            return a + b
        if kind == "add_":
            c = conv(a)
            c += b
            return c
        if kind == "concat":
            return self.wide(torch.cat([a, b], 1))
        if kind == "max":
            return F.max_pool2d(a, 3, 1, 1)
        if kind == "avg":
            return F.avg_pool2d(a, 3, 1, 1)
        if kind == "split":
            left, right = a.chunk(2, 1)
            return torch.cat([F.relu(right), left], 1)
        if kind == "scale":
            return F.leaky_relu(a, 0.1) * 0.7
        if kind == "mean":
            return a - a.mean((2, 3), keepdim=True)
        return F.dropout(a, training=self.training)


PROGRAMS = list(itertools.product(range(40), [False, True]))


@pytest.mark.parametrize(("seed", "biases"), PROGRAMS)
def test_random_program(seed: int, biases: bool) -> None:
    """LRP-0 is gradient x input, biases or not; the ledger closes under every rule."""
    model = RandomProgram(seed, biases).double().eval()
    x = image()
    relevance, ledger = lrp.relevance(model, x, 1, lrp.Epsilon(0.0), ledger=True)
    assert_close(relevance, gradient_times_input(model, x)[0], 1e-9)
    assert abs(ledger.inputs - float(relevance.sum())) <= 1e-9 * relevance.abs().sum()
    best = model(x).abs().argmax(1)
    for rule in (lrp.Epsilon(1e-6), lrp.Epsilon(0.1), lrp.Gamma(0.25), lrp.ZPlus()):
        _, ledger = lrp.relevance(model, x, best, rule, ledger=True)
        booked = [abs(e) for e in (ledger.output, ledger.inputs, ledger.biases)]
        assert abs(ledger.gap) <= TOLERANCE * max(booked)


@pytest.mark.parametrize("seed", range(0, 40, 4))
def test_the_biases_of_a_random_program_take_bias_times_gradient(seed: int) -> None:
    model = RandomProgram(seed, True).double().eval()
    x = image()
    _, ledger = lrp.relevance(model, x, 1, lrp.Epsilon(0.0), ledger=True)
    output = float(model(x)[:, 1].sum().detach())
    (expected,) = gradient_times_input(model, x)
    assert ledger.output == pytest.approx(output, rel=1e-12)
    assert ledger.biases == pytest.approx(output - float(expected.sum()), rel=1e-8)
    assert abs(ledger.epsilon) <= 1e-9 * abs(output)
    assert not any(abs(sink) for sink in ledger.sinks.values())
