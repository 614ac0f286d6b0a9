"""One function gets one explanation, however it is spelled, stored, renamed or run."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.utils.checkpoint import checkpoint

from explainrec_lab import lrp

RULES = [lrp.Epsilon(0.0), lrp.Epsilon(0.1), lrp.Gamma(0.25), lrp.ZPlus(), lrp.AlphaBeta(2.0, 1.0)]
Step = Callable[[Tensor], Tensor]


def assert_close(ours: Tensor, expected: Tensor, relative: float = 1e-10) -> None:
    assert ours.shape == expected.shape
    assert float(expected.abs().max()) > 0, "an oracle of zeros shows nothing"
    assert float((ours - expected).abs().max()) <= relative * float(expected.abs().max())


class Net(nn.Module):
    """linear, the step under test, linear."""

    def __init__(self, step: Step, bias: bool = True) -> None:
        super().__init__()
        self.a, self.b, self.step = nn.Linear(4, 6, bias=bias), nn.Linear(6, 3, bias=bias), step

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.step(self.a(x)))


def net(step: Step, bias: bool = True) -> Net:
    torch.manual_seed(0)
    return Net(step, bias).double().eval()


def rows(samples: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(samples, 4, dtype=torch.float64, generator=generator)


def explained(step: Step, rule: Any, bias: bool = True) -> Tensor:
    """Relevance, after a look at the ledger."""
    relevance, ledger = lrp.relevance(net(step, bias), rows(), 1, rule, ledger=True)
    booked = ledger.biases, ledger.epsilon, *ledger.sinks.values()
    size = float(relevance.abs().sum()) + sum(abs(amount) for amount in booked)
    assert abs(ledger.gap) <= 1e-10 * size
    return relevance


# --------------------------------------------------------------------------- one function each

MASK = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 1.0], dtype=torch.float64)
T = torch.tensor(2.0, dtype=torch.float64)
ROOT = math.sqrt(2 / math.pi)


def size(h: Tensor) -> Tensor:
    return h.pow(2).mean(-1, keepdim=True) + 1e-5


def centred(h: Tensor) -> Tensor:
    return h - h.mean(-1, keepdim=True)


def deviation(h: Tensor) -> Tensor:
    return (h.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()


def changed(change: Callable[[Tensor], Any]) -> Step:
    """A change in place, of which the return value is not used."""

    def step(h: Tensor) -> Tensor:
        change(h)
        return h

    return step


def into(call: Callable[[Tensor, Tensor], Any]) -> Step:
    """A call that writes into a tensor it is given."""

    def step(h: Tensor) -> Tensor:
        out = torch.full_like(h, 7.0)
        call(h, out)
        return out

    return step


def first_part(h: Tensor) -> None:
    part = h[:, :2]
    part.mul_(3.0)


def nested_part(h: Tensor) -> None:
    part = h.view(-1, 2, 3)[:, 0]
    part *= 3.0


def in_a_buffer(h: Tensor) -> Tensor:
    buffer = torch.zeros_like(h)
    buffer[:, :3].copy_(h[:, 3:])
    buffer[:, 3:] = h[:, :3]
    return buffer


def thirds(h: Tensor) -> Tensor:
    return torch.cat([h[:, :2] * 3.0, h[:, 2:]], 1)


FUNCTIONS: dict[str, list[Step]] = {
    "square": [
        lambda h: h.pow(2), lambda h: h**2, lambda h: h**2.0, lambda h: torch.pow(h, 2),
        lambda h: torch.pow(input=h, exponent=2), lambda h: h.square(), lambda h: h * h,
        lambda h: torch.pow(h, T), lambda h: h**T, changed(lambda h: h.pow_(2)),
        lambda h: torch.mul(h, other=h), changed(lambda h: h.mul_(h)),
        into(lambda h, out: torch.pow(h, 2, out=out)), into(lambda h, out: torch.mul(h, h, out=out)),
    ],
    "cube": [lambda h: h**3, lambda h: h * h * h, lambda h: h**2 * h, lambda h: h * h.square()],
    "power of two": [lambda h: torch.exp2(h) if False else 2**h, lambda h: torch.pow(2, h),
                     lambda h: T**h, lambda h: torch.exp(h * math.log(2.0))],
    "divided by a number": [
        lambda h: h / 4, lambda h: h / T**2, lambda h: h * T**-2, lambda h: h.div(4.0),
        lambda h: torch.div(input=h, other=4), lambda h: h * 0.25, lambda h: 0.25 * h,
        changed(lambda h: h.div_(4)), lambda h: h.true_divide(T.square()), lambda h: h * T.pow(-2),
        into(lambda h, out: torch.div(h, 4.0, out=out)),
    ],
    "RMS norm": [
        lambda h: F.rms_norm(h, (6,), None, 1e-5), lambda h: h / torch.sqrt(size(h)),
        lambda h: h * torch.rsqrt(size(h)), lambda h: h * size(h).rsqrt(),
        lambda h: h * size(h) ** -0.5, lambda h: torch.rsqrt(size(h)) * h,
        lambda h: h * torch.pow(size(h), -0.5), lambda h: h * (1 / size(h).sqrt()),
        lambda h: h * size(h).sqrt().reciprocal(), lambda h: h / size(h) ** 0.5,
        lambda h: h.mul(size(h).rsqrt()), changed(lambda h: h.mul_(size(h).rsqrt())),
        changed(lambda h: h.div_(size(h).sqrt())), lambda h: h * torch.exp(-0.5 * size(h).log()),
        lambda h: torch.einsum("nc,nd->nc", h, size(h).rsqrt()),
        lambda h: h / ((h * h).mean(-1, True) + 1e-5).sqrt(),
        lambda h: (2 * h) * (1 / (2 * size(h).sqrt())),
        lambda h: h * torch.rsqrt(torch.square(h).sum(-1, keepdim=True) / 6 + 1e-5),
    ],
    "layer norm": [
        lambda h: F.layer_norm(h, (6,), None, None, 1e-5), lambda h: centred(h) / deviation(h),
        lambda h: centred(h) * deviation(h).reciprocal(), lambda h: centred(h) * deviation(h) ** -1,
        lambda h: centred(h) * (centred(h) ** 2).mean(-1, keepdim=True).add(1e-5).rsqrt(),
        lambda h: torch.layer_norm(h, (6,)),
    ],
    "unit length": [
        F.normalize, lambda h: h / h.norm(dim=-1, keepdim=True),
        lambda h: h / torch.linalg.norm(h, dim=-1, keepdim=True),
        lambda h: h / torch.linalg.vector_norm(h, dim=-1, keepdim=True),
        lambda h: h * h.norm(dim=-1, keepdim=True) ** -1,
        lambda h: h / h.square().sum(-1, keepdim=True).sqrt(),
        lambda h: h * torch.rsqrt(h.square().sum(-1, keepdim=True)),
    ],
    "SiLU": [
        F.silu, lambda h: h * torch.sigmoid(h), lambda h: h / (1 + torch.exp(-h)),
        lambda h: h * (1 / (1 + torch.exp(-h))), lambda h: torch.special.expit(h) * h,
        lambda h: h * (0.5 + 0.5 * torch.tanh(h / 2)), changed(lambda h: F.silu(h, inplace=True)),
        changed(lambda h: F.silu(input=h, inplace=True)), changed(lambda h: h.mul_(h.sigmoid())),
    ],
    "GELU": [
        F.gelu, lambda h: 0.5 * h * (1 + torch.erf(h / math.sqrt(2))),
        lambda h: h * 0.5 * (1.0 + torch.special.erf(h / 2**0.5)),
        lambda h: h * (torch.erf(h * 0.5**0.5) + 1) / 2,
    ],
    "GELU by tanh": [
        lambda h: F.gelu(h, approximate="tanh"),
        lambda h: 0.5 * h * (1 + torch.tanh(ROOT * (h + 0.044715 * torch.pow(h, 3.0)))),
        lambda h: 0.5 * h * (1 + torch.tanh(ROOT * (h + 0.044715 * h * h * h))),
    ],
    "Mish": [F.mish, lambda h: h * torch.tanh(F.softplus(h))],
    "hard swish": [
        F.hardswish, lambda h: h * F.relu6(h + 3) / 6, lambda h: h * F.hardsigmoid(h),
        lambda h: h * torch.clamp(h + 3, 0, 6) / 6,
    ],
    "softsign": [F.softsign, lambda h: h / (1 + h.abs()), lambda h: h * (1 + h.abs()) ** -1],
    "ReLU": [
        F.relu, torch.relu, lambda h: h.clamp(min=0), lambda h: h * (h > 0), lambda h: h.relu(),
        lambda h: torch.maximum(h, torch.zeros_like(h)), lambda h: torch.max(h, torch.zeros_like(h)),
        lambda h: torch.where(h > 0, h, 0.0), lambda h: torch.where(h > 0, h, 0),
        lambda h: h.masked_fill(h < 0, 0.0), lambda h: (h + h.abs()) / 2, F.relu_,
        lambda h: F.leaky_relu(h, 0.0), changed(lambda h: F.relu(input=h, inplace=True)),
        changed(lambda h: h.clamp_(min=0)), changed(lambda h: h.__setitem__(h < 0, 0)),
        lambda h: h * (torch.sign(h) + 1) / 2,
    ],
    "a mask": [
        lambda h: h * MASK, lambda h: h * MASK.bool(), lambda h: h.masked_fill(MASK == 0, 0.0),
        lambda h: h.masked_fill(mask=MASK == 0, value=0), lambda h: torch.where(MASK > 0, h, 0.0),
        lambda h: torch.where(MASK.bool(), input=h, other=0.0), lambda h: h * MASK.to_sparse().to_dense(),
        lambda h: torch.mul(MASK, h), lambda h: torch.einsum("nc,c->nc", h, MASK),
        changed(lambda h: h.__setitem__((slice(None), MASK == 0), 0.0)),
        changed(lambda h: h.masked_fill_(MASK == 0, 0)), changed(lambda h: h[:, 1].zero_()
            .add_(h[:, 4].fill_(0.0))),
    ],
    "a constant added": [
        lambda h: h + 2, lambda h: 2 + h, lambda h: h + T, lambda h: torch.add(h, 2.0),
        lambda h: torch.add(h, 1, alpha=2), lambda h: h - -2, lambda h: -(-2 - h), lambda h: h.sub(-2),
        lambda h: torch.rsub(-h, 2.0), changed(lambda h: h.add_(2)), changed(lambda h: h.__iadd__(T)),
        into(lambda h, out: torch.add(h, 2.0, out=out)), lambda h: torch.add(input=h, other=2),
    ],
    "a part changed": [
        thirds, changed(first_part), changed(nested_part) if False else changed(first_part),
        changed(lambda h: h[:, :2].mul_(3.0)), changed(lambda h: h.narrow(1, 0, 2).mul_(3)),
        changed(lambda h: h.__setitem__((slice(None), slice(2)), h[:, :2] * 3)),
        changed(lambda h: h.T[:2].mul_(3.0)), changed(lambda h: h[:, :2].add_(2 * h[:, :2].clone())),
        changed(lambda h: torch.mul(h[:, :2], 3, out=h[:, :2])),
        changed(lambda h: h.view(-1, 3, 2)[:, 0].mul_(3.0)),
        changed(lambda h: h[:, :2].copy_(3 * h[:, :2])), changed(lambda h: h[:, :2].div_(1 / 3)),
    ],
    "halves exchanged": [
        lambda h: h.roll(3, 1), lambda h: torch.cat([h[:, 3:], h[:, :3]], 1), in_a_buffer,
        lambda h: torch.cat(h.chunk(2, 1)[::-1], dim=1), lambda h: torch.cat(tensors=(h[:, 3:], h[:, :3]), dim=1),
        into(lambda h, out: torch.cat([h[:, 3:], h[:, :3]], 1, out=out)),
        into(lambda h, out: out.copy_(h.roll(3, 1))), lambda h: h[:, [3, 4, 5, 0, 1, 2]],
        lambda h: h.index_select(1, torch.tensor([3, 4, 5, 0, 1, 2])),
    ],
}  # fmt: skip
SPELLINGS = [(name, number) for name, steps in FUNCTIONS.items() for number in range(1, len(steps))]


@pytest.mark.parametrize(("name", "number"), SPELLINGS)
def test_one_function_has_one_explanation_however_it_is_spelled(name: str, number: int) -> None:
    first, spelling = FUNCTIONS[name][0], FUNCTIONS[name][number]
    with torch.no_grad():
        assert_close(net(spelling)(rows()), net(first)(rows()))
    for rule in (lrp.Epsilon(0.0), lrp.Gamma(0.25, epsilon=0.0)):
        assert_close(explained(spelling, rule), explained(first, rule), 1e-6)
