"""Relevance propagation as the textbooks write it: one matrix per layer, one sample, float64.

Source: Bach et al. 2015 (epsilon, alpha-beta), Montavon et al. 2017 and 2019 (z+, w-squared, z-box,
gamma), Andéol et al. 2021 (gamma for inputs of either sign).

A net is a list of `Step`s that read named values. A linear step becomes its matrix A `[out, in]`,
made column by column by applying the layer to unit vectors, and its bias b `[out]`. Every rule is
a function of (x, A, b, R). Slow on purpose: nothing here is shared with the package.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

Layer = Callable[[Tensor], Tensor]


def stabilised(z: Tensor, epsilon: float) -> Tensor:
    """z + epsilon * sign(z), where sign(0) = +1."""
    return z + epsilon * torch.where(z < 0, -1.0, 1.0).to(z)


def affine(layer: Layer, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The matrix and the bias of a layer on one sample of `shape`, from unit vectors."""
    size = torch.Size(shape).numel()
    with torch.no_grad():
        b = layer(torch.zeros(1, *shape, dtype=torch.float64)).reshape(-1)
        units = torch.eye(size, dtype=torch.float64).reshape(size, *shape)
        columns = layer(units).reshape(size, -1) - b
    return columns.T, b


# --------------------------------------------------------------------------- rules


@dataclass(frozen=True)
class Shares:
    """Where the relevance of a layer's outputs went: to its inputs `[in]`, to its biases."""

    inputs: Tensor
    biases: float


def weigh(contributions: Tensor, bias: Tensor, R: Tensor, epsilon: float) -> Shares:
    """Each output's relevance, shared in proportion to its contributions `[out, in]`.

    A sum of exactly 0 has nothing to share.
    """
    sums = stabilised(contributions.sum(1) + bias, epsilon)
    messages = torch.where(sums == 0, 0.0, R / torch.where(sums == 0, 1.0, sums))
    return Shares((contributions * messages[:, None]).sum(0), float((bias * messages).sum()))


@dataclass(frozen=True)
class Epsilon:
    """R_j = sum_k a_j w_jk / (z_k + epsilon sign z_k) R_k."""

    epsilon: float = 1e-6

    def __call__(self, x: Tensor, A: Tensor, b: Tensor, R: Tensor) -> Shares:
        return weigh(A * x, b, R, self.epsilon)


@dataclass(frozen=True)
class Gamma:
    """Positive outputs: contributions that push up count (1 + gamma) times; negative: down."""

    gamma: float = 0.25
    epsilon: float = 1e-6

    def __call__(self, x: Tensor, A: Tensor, b: Tensor, R: Tensor) -> Shares:
        z, c = A @ x + b, A * x
        up = weigh(c + self.gamma * c.clamp(min=0), b + self.gamma * b.clamp(min=0),
                   torch.where(z > 0, R, 0.0), self.epsilon)  # fmt: skip
        down = weigh(c + self.gamma * c.clamp(max=0), b + self.gamma * b.clamp(max=0),
                     torch.where(z < 0, R, 0.0), self.epsilon)  # fmt: skip
        return Shares(up.inputs + down.inputs, up.biases + down.biases)


@dataclass(frozen=True)
class AlphaBeta:
    """alpha times the shares among positive contributions minus beta times the negative ones."""

    alpha: float = 2.0
    beta: float = 1.0
    epsilon: float = 1e-6

    def __call__(self, x: Tensor, A: Tensor, b: Tensor, R: Tensor) -> Shares:
        c = A * x
        up = weigh(c.clamp(min=0), b.clamp(min=0), self.alpha * R, self.epsilon)
        down = weigh(c.clamp(max=0), b.clamp(max=0), self.beta * R, self.epsilon)
        return Shares(up.inputs - down.inputs, up.biases - down.biases)


@dataclass(frozen=True)
class ZPlus:
    """Only positive contributions: alpha = 1, beta = 0."""

    epsilon: float = 1e-6

    def __call__(self, x: Tensor, A: Tensor, b: Tensor, R: Tensor) -> Shares:
        return AlphaBeta(1.0, 0.0, self.epsilon)(x, A, b, R)


@dataclass(frozen=True)
class WSquare:
    """Shares in proportion to the squared weights; no bias."""

    epsilon: float = 1e-6

    def __call__(self, x: Tensor, A: Tensor, b: Tensor, R: Tensor) -> Shares:
        return weigh(A.square(), torch.zeros_like(b), R, self.epsilon)


@dataclass(frozen=True)
class ZBox:
    """x w - low w+ - high w-, for inputs between low and high; the bias falls out."""

    low: float
    high: float
    epsilon: float = 1e-6

    def __call__(self, x: Tensor, A: Tensor, b: Tensor, R: Tensor) -> Shares:
        c = A * x - self.low * A.clamp(min=0) - self.high * A.clamp(max=0)
        return weigh(c, torch.zeros_like(b), R, self.epsilon)


Rule = Callable[[Tensor, Tensor, Tensor, Tensor], Shares]


# --------------------------------------------------------------------------- nets


@dataclass(frozen=True)
class Step:
    """`name` = `run`(values of `reads`); `kind`: affine, copy, pass, max, add, concat."""

    name: str
    kind: str
    reads: tuple[str, ...]
    run: Callable[..., Tensor]
    rule: Rule | None = None


@dataclass
class Books:
    """The relevance of the net's input, and what the biases took on the way."""

    relevance: Tensor
    output: float
    biases: float = 0.0
    values: dict[str, Tensor] = field(default_factory=dict)


def explain(steps: Sequence[Step], x: Tensor, index: int, pooling: Rule | None = None) -> Books:
    """Relevance of one sample `[1, ...]` for output `index` of the last step.

    `pooling` is the rule of sums without weights: additions and average pooling.
    """
    pooling = pooling or Epsilon()
    values = {"x": x.double()}
    for step in steps:
        with torch.no_grad():
            values[step.name] = step.run(*(values[name] for name in step.reads))
    R = {name: torch.zeros_like(value) for name, value in values.items()}
    last = steps[-1].name
    R[last].view(-1)[index] = values[last].view(-1)[index]
    books = Books(x, float(values[last].view(-1)[index]), values=values)
    for step in reversed(steps):
        shares, biases = _back(step, [values[n] for n in step.reads], R[step.name], pooling)
        books.biases += biases
        for name, share in zip(step.reads, shares, strict=True):
            R[name] = R[name] + share
    books.relevance = R["x"]
    return books


def _back(step: Step, reads: list[Tensor], R: Tensor, pooling: Rule) -> tuple[list[Tensor], float]:
    if step.kind == "pass":
        return [R.reshape(reads[0].shape)], 0.0
    if step.kind == "max":
        return [_winners(step.run, reads[0], R)], 0.0
    if step.kind == "concat":
        return list(R.split([value.shape[1] for value in reads], dim=1)), 0.0
    if step.kind == "add":
        return _addition(reads, R, pooling)
    A, b = affine(step.run, reads[0].shape[1:])
    if step.kind == "copy":
        return [(A.T @ R.reshape(-1)).reshape(reads[0].shape)], 0.0
    shares = (step.rule or pooling)(reads[0].reshape(-1), A, b, R.reshape(-1))
    return [shares.inputs.reshape(reads[0].shape)], shares.biases


def _addition(reads: list[Tensor], R: Tensor, rule: Rule) -> tuple[list[Tensor], float]:
    """One long input, and the matrix [I I]."""
    eye = torch.eye(R.numel(), dtype=torch.float64)
    x = torch.cat([value.reshape(-1) for value in reads])
    A = torch.cat([eye] * len(reads), dim=1)
    shares = rule(x, A, torch.zeros(R.numel(), dtype=torch.float64), R.reshape(-1))
    return [share.reshape(R.shape) for share in shares.inputs.chunk(len(reads))], shares.biases


def _winners(pool: Callable[..., Tensor], x: Tensor, R: Tensor) -> Tensor:
    """Each pooled value's relevance goes whole to the place where that value sits.

    Places are found by pooling the ranks of the values instead of the values.
    """
    order = x.reshape(-1).argsort(descending=True, stable=True).flip(0)  # of equals, the first wins
    ranks = torch.empty_like(x).reshape(-1)
    ranks[order] = torch.arange(len(order), dtype=x.dtype)
    won = pool(ranks.reshape(x.shape)).reshape(-1).long()
    out = torch.zeros_like(x).reshape(-1)
    return out.index_add(0, order[won], R.reshape(-1)).reshape(x.shape)


# --------------------------------------------------------------------------- the same net in torch


class Program(nn.Module):
    """Runs the steps as an ordinary PyTorch module; linear layers are its submodules."""

    def __init__(self, steps: Sequence[Step]) -> None:
        super().__init__()
        self.steps = list(steps)
        self.layers = nn.ModuleDict(
            {step.name: step.run for step in steps if isinstance(step.run, nn.Module)}
        )
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        values = {"x": x}
        for step in self.steps:
            values[step.name] = step.run(*(values[name] for name in step.reads))
        return values[self.steps[-1].name].flatten(1)


def add(*values: Tensor) -> Tensor:
    return sum(values[1:], start=values[0])


def concat(*values: Tensor) -> Tensor:
    return torch.cat(values, dim=1)


def chain(*layers: nn.Module, rule: Rule | None = None) -> list[Step]:
    """A sequential net as steps; a `Sequential` inside is one linear step (a folded batch norm)."""
    steps, before = [], "x"
    for number, layer in enumerate(layers):
        name = f"layer{number}"
        steps.append(
            Step(name, _kind(layer), (before,), layer.double().eval(), rule_of(layer, rule))
        )
        before = name
    return steps


def rule_of(layer: nn.Module, rule: Rule | None) -> Rule | None:
    """Pooling has no weights: it keeps the rule of plain sums."""
    return None if "Pool" in type(layer).__name__ else rule


def _kind(layer: nn.Module) -> str:
    if isinstance(layer, (nn.ReLU, nn.Flatten, nn.Dropout, nn.Identity, nn.SiLU, nn.GELU, nn.Tanh)):
        return "pass"
    name = type(layer).__name__
    return "max" if "MaxPool" in name else "copy" if "Pad" in name else "affine"


# --------------------------------------------------------------------------- attention


def through_linear(x: Tensor, A: Tensor, b: Tensor, R: Tensor) -> Tensor:
    """LRP-0, token by token: x `[token, in]`, A `[out, in]`, R `[token, out]`."""
    rows = [Epsilon(0.0)(x[t], A, b, R[t]).inputs for t in range(len(x))]
    return torch.stack(rows)


def through_product(a: Tensor, b: Tensor, R: Tensor) -> tuple[Tensor, Tensor]:
    """Half of each product's relevance to each factor (AttnLRP, Proposition 3.3)."""
    R_a, R_b, z = torch.zeros_like(a), torch.zeros_like(b), a @ b
    for row in range(len(a)):
        for column in range(b.shape[1]):
            for inner in range(len(b)):
                part = a[row, inner] * b[inner, column] / z[row, column] * R[row, column]
                R_a[row, inner] += part / 2
                R_b[inner, column] += part / 2
    return R_a, R_b


def through_weights(a: Tensor, b: Tensor, R: Tensor) -> Tensor:
    """All of it to b: a holds weights (CP-LRP)."""
    return 2 * through_product(a, b, R)[1]


def through_softmax(x: Tensor, R: Tensor) -> Tensor:
    """Taylor's expansion at x, row by row, from the Jacobian (AttnLRP, Proposition 3.1)."""
    out = torch.zeros_like(x)
    for row in range(len(x)):
        seen = [i for i in range(x.shape[1]) if x[row, i] != -torch.inf]
        s = torch.softmax(x[row, seen], 0)
        jacobian = torch.diag(s) - s[:, None] * s[None, :]
        for place, i in enumerate(seen):
            for other, j in enumerate(seen):
                out[row, i] += jacobian[other, place] * x[row, i] / s[other] * R[row, j]
    return out


def through_layer_norm(x: Tensor, norm: nn.LayerNorm, R: Tensor) -> Tensor:
    """The standard deviation is a constant; what is left is a matrix and a bias."""
    size, out = x.shape[1], []
    centre = torch.eye(size, dtype=x.dtype) - 1 / size
    for row, relevance in zip(x, R, strict=True):
        deviation = (row.var(unbiased=False) + norm.eps).sqrt()
        A = norm.weight.detach()[:, None] * centre / deviation
        out.append(Epsilon(0.0)(row, A, norm.bias.detach(), relevance).inputs)
    return torch.stack(out)


def through_sum(a: Tensor, b: Tensor, R: Tensor) -> tuple[Tensor, Tensor]:
    return a / (a + b) * R, b / (a + b) * R
