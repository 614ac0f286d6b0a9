"""One function gets one explanation, however it is spelled, stored, named or run."""

# ruff: noqa: E501 (one spelling beside the other)

from __future__ import annotations

import gc
import math
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
    part = h.view(-1, 3, 2)[:, 0]
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
    "power of two": [lambda h: 2**h, lambda h: torch.pow(2, h),
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
        changed(lambda h: h.div_(size(h).sqrt())),
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
        thirds, changed(first_part), changed(nested_part),
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


# --------------------------------------------------------------------------- how it runs


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_checkpointed_part_is_explained_as_it_is_without(rule: Any, reentrant: bool) -> None:
    """Its function runs once, watched; nothing is run again while nobody watches."""

    def part(h: Tensor) -> Tensor:
        return torch.relu(h).pow(2) - 1.0

    ours = explained(lambda h: checkpoint(part, h, use_reentrant=reentrant), rule)
    assert_close(ours, explained(part, rule))
    leaf, calls = rows().requires_grad_(), []

    def counted(h: Tensor) -> Tensor:
        calls.append(len(h))
        return part(h)

    checkpoint(counted, leaf, use_reentrant=reentrant).sum().backward()
    assert len(calls) == 2, "afterwards torch checkpoints again"


def wrapped(kind: str, layer: nn.Module) -> None:
    """A layer whose weight is computed when it is asked for."""

    class Twice(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return 2 * weight

        def right_inverse(self, weight: Tensor) -> Tensor:
            return weight / 2

    ways: dict[str, Callable[[], Any]] = {
        "weight norm": lambda: parametrizations.weight_norm(layer),
        "spectral norm": lambda: parametrizations.spectral_norm(layer),
        "pruned": lambda: prune.l1_unstructured(layer, "weight", 5),
        "an own one": lambda: parametrize.register_parametrization(layer, "weight", Twice()),
    }
    ways[kind]()


@pytest.mark.parametrize("kind", ["weight norm", "spectral norm", "pruned", "an own one"])
def test_rules_reach_layers_by_name_whose_weight_is_computed(kind: str) -> None:
    by_name = lrp.Composite([(lrp.named("a"), lrp.ZPlus()), (lrp.named("b"), lrp.Gamma(0.5))])
    by_depth = lrp.Composite([(lrp.first_layer, lrp.ZPlus()), (lrp.depth(1), lrp.Gamma(0.5))])
    computed, plain = net(torch.relu), net(torch.relu)
    wrapped(kind, computed.a)
    computed.eval()
    plain.a.weight.data = computed.a.weight.detach().clone()
    assert_close(
        lrp.relevance(computed, rows(), 1, by_name), lrp.relevance(plain, rows(), 1, by_depth)
    )


def test_a_layer_goes_by_the_module_that_runs_it() -> None:
    """Tied weights, another module's parameter, a module with two names, a bound method."""

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)
            self.two.weight = self.one.weight
            self.alias = self.two
            self.bare = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.two(torch.relu(self.one(x)))) @ self.bare.weight.T

    torch.manual_seed(0)
    model = Tied().double().eval()
    for names, depths in (("one", (0, 1)), ("two", (1, 2)), ("alias", (1, 2)), ("bare", (2, 3))):
        by_name = lrp.Composite([(lrp.named(names), lrp.ZPlus())])
        by_depth = lrp.Composite([(lrp.depth(*depths), lrp.ZPlus())])
        expected = lrp.relevance(model, rows(), 1, by_depth)
        assert_close(lrp.relevance(model, rows(), 1, by_name), expected)
        assert_close(lrp.relevance(model.forward, rows(), 1, by_name), expected)


def test_a_name_that_no_module_has_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no module is named 'c\.\*'"):
        lrp.relevance(net(torch.relu), rows(), 1, lrp.Composite([(lrp.named("c.*"), lrp.ZPlus())]))


@pytest.mark.parametrize("rule", [*RULES, lrp.WSquare()], ids=str)
def test_autocast_and_inference_mode_change_digits_only(rule: Any) -> None:
    model, x = net(torch.relu).float(), rows().float()
    expected = lrp.relevance(model, x, 1, rule)

    def mixed(x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return model(x)

    ours = [lrp.relevance(mixed, x, 1, rule)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours.append(lrp.relevance(model, x, 1, rule))
    ours.append(lrp.relevance(net(torch.relu).bfloat16(), x.bfloat16(), 1, rule))
    for relevance in ours:
        assert float(F.cosine_similarity(relevance.flatten(), expected.flatten(), 0)) > 0.99
    with torch.inference_mode():
        inside, again = x.clone(), net(torch.relu).float()
        assert_close(lrp.relevance(again, inside, 1, rule), expected, 1e-5)
    assert_close(lrp.relevance(again, inside, 1, rule), expected, 1e-5)


@pytest.mark.parametrize("rule", [lrp.Epsilon(0.0), lrp.Gamma(0.25), lrp.ZPlus()], ids=str)
@pytest.mark.parametrize("groups", [1, 2])
def test_a_batch_norm_is_folded_into_every_kind_of_layer(rule: Any, groups: int) -> None:
    """As into the dense layer that computes the same."""
    torch.manual_seed(0)
    layer, norm = nn.ConvTranspose1d(4, 6, 2, stride=2, groups=groups), nn.BatchNorm1d(6)
    for values in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(values)
    program = nn.Sequential(layer, norm, nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)).double().eval()
    x = torch.randn(2, 4, 3, dtype=torch.float64)
    with torch.no_grad():
        first = lambda x: program[1](program[0](x.view(-1, 4, 3))).flatten(1)  # noqa: E731
        bias = first(torch.zeros(1, 12, dtype=torch.float64))[0]
        dense = nn.Linear(12, 36).double()
        dense.weight.data, dense.bias.data = (first(torch.eye(12).double()) - bias).T.clone(), bias
    whole = nn.Sequential(nn.Flatten(), dense, nn.ReLU(), program[4]).eval()
    assert_close(lrp.relevance(program, x, 1, rule), lrp.relevance(whole, x, 1, rule), 1e-6)


def test_an_exported_program_is_explained_and_a_script_is_refused_by_name() -> None:
    torch.manual_seed(0)
    layers = nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(), nn.Linear(5, 3)
    model = nn.Sequential(*layers).eval()
    nn.init.normal_(model[1].running_mean)
    x = rows().float()
    exported = torch.export.export(model, (x,)).module()
    assert_close(
        lrp.relevance(exported, x, 1, lrp.Gamma()), lrp.relevance(model, x, 1, lrp.Gamma()), 1e-5
    )
    script = torch.jit.trace(model, x)
    for program in (script, torch.jit.freeze(script)):
        with pytest.raises(lrp.UnsupportedOperation, match=r"script; give its own module"):
            lrp.relevance(program, x, 1)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_no_samples_have_no_relevance(rule: Any) -> None:
    relevance, ledger = lrp.relevance(net(torch.relu), rows(0), 1, rule, ledger=True)
    assert relevance.shape == (0, 4)
    assert ledger.output == ledger.inputs == 0


# --------------------------------------------------------------------------- ids and masks


class Fields(nn.Module):
    """Ids of several fields: one table each, or one table with offsets; `how` they are looked up."""

    def __init__(self, how: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.table, self.head, self.how = nn.Embedding(9, 2), nn.Linear(6, 3), how
        self.register_buffer("offsets", torch.tensor([0, 3, 6]))
        self.register_buffer("mapped", torch.arange(9).flip(0))

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.how(self, ids).reshape(len(ids), -1))


LOOKUPS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "all at once": lambda m, ids: m.table(ids + m.offsets),
    "field by field": lambda m, ids: torch.stack([m.table(ids[:, k] + 3 * k) for k in range(3)], 1),
    "flat": lambda m, ids: m.table((m.offsets + ids).view(-1)).view(len(ids), 3, 2),
    "an index": lambda m, ids: m.table.weight[(ids + m.offsets).long()],
    "unbound": lambda m, ids: torch.cat(
        [m.table(i + 3 * k) for k, i in enumerate(ids.unbind(1))], 1
    ),
    "mapped": lambda m, ids: m.table(m.mapped[m.mapped[ids + m.offsets]]),
    "renormalised": lambda m, ids: F.embedding(ids + m.offsets, m.table.weight, max_norm=100.0),
}


@pytest.mark.parametrize("how", LOOKUPS)
def test_ids_keep_their_places_however_they_are_looked_up(how: str) -> None:
    torch.manual_seed(0)
    model, ids = Fields(LOOKUPS[how]).double().eval(), torch.tensor([[0, 1, 2], [2, 2, 0]])
    rows = model.table.weight[ids + model.offsets]
    expected = (rows * model.head.weight[1].view(3, 2)).sum(-1).detach()
    assert_close(lrp.relevance(model, ids, 1, lrp.Epsilon(0.0)), expected)


def test_an_embedding_that_renormalises_is_explained_with_the_rows_it_uses() -> None:
    torch.manual_seed(0)
    model = (
        nn.Sequential(nn.Embedding(5, 3, max_norm=0.5), nn.Flatten(), nn.Linear(6, 3))
        .double()
        .eval()
    )
    ids = torch.tensor([[0, 4]])
    ours = lrp.relevance(model, ids, 1, lrp.Epsilon(0.0))
    used = model[0].weight[ids].detach()
    assert float(used.norm(dim=-1).max()) <= 0.5 + 1e-6
    assert_close(ours, (used * model[2].weight[1].view(2, 3)).sum(-1).detach())


def test_a_mask_among_the_inputs_counts_as_a_constant() -> None:
    model, mask = net(torch.relu), torch.tensor([True, False, True, True])
    program = lambda x, mask: model(x.masked_fill(~mask, 0.0) * mask.float())  # noqa: E731
    ours, of_mask = lrp.relevance(program, (rows(), mask), 1)
    assert_close(ours, lrp.relevance(lambda x: model(x * mask), rows(), 1))
    assert not of_mask.any()
    with pytest.raises(lrp.UnsupportedOperation, match="masks as booleans"):
        lrp.relevance(program, (rows(), mask.long()), 1)


def test_a_sparse_constant_weighs_as_a_dense_one() -> None:
    links = torch.tensor([[0.0, 2.0, 1.0], [0.5, 0.0, 0.0], [0.0, -1.0, 3.0]], dtype=torch.float64)
    model = net(torch.relu)
    for rule in RULES:
        dense = lrp.relevance(lambda x: model(links @ x), rows(), 1, rule)
        for sparse in (links.to_sparse(), links.to_sparse_csr()):
            assert_close(lrp.relevance(lambda x: model(sparse @ x), rows(), 1, rule), dense)  # noqa: B023
            ours = lrp.relevance(lambda x: model(torch.sparse.mm(sparse, x)), rows(), 1, rule)  # noqa: B023
            assert_close(ours, dense)


# --------------------------------------------------------------------------- refused by name


REFUSED: dict[str, tuple[Step, str]] = {
    "copies of numbers": (lambda h: torch.full_like(h, 1.0) * h.new_tensor(h), "copies numbers"),
    "a rounded quotient": (lambda h: torch.div(h, 2.0, rounding_mode="floor"), "rounds"),
    "a hook": (lambda h: (h.register_hook(lambda g: 2 * g), h)[1], "way back"),
    "a view of many": (lambda h: (h.chunk(2, 1)[0].mul_(2.0), h)[1], "out of place"),
    "a scaled bias": (lambda h: torch.addmm(T * torch.ones(6).double(), h, torch.eye(6).double(), beta=2), "bias"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_right_is_refused_by_name(case: str) -> None:
    step, why = REFUSED[case]
    with pytest.raises(lrp.UnsupportedOperation, match=why):
        lrp.relevance(net(step), rows(), 1)


@pytest.mark.parametrize("output", [0, -1, True, torch.tensor([1, 1])])
@pytest.mark.parametrize("shape", [(2, 3, 1, 1), (2, 3, 4, 4), (2, 5, 3), (3,)])
def test_an_index_that_picks_no_one_value_a_sample_is_refused(shape: Any, output: Any) -> None:
    weight = torch.ones(4, 3)
    values = lambda x: (x @ weight[:, :1]).view(-1, *(1,) * (len(shape) - 1)).expand(shape)  # noqa: E731
    with pytest.raises(ValueError, match=r"output.*give a function"):
        lrp.relevance(values, torch.ones(shape[0], 4), output)


def test_calls_that_fail_leave_nothing_without_the_collector() -> None:
    """Errors of the index, of an operation, and Ctrl-C: what reference counts free is freed."""

    def stopped(h: Tensor) -> Tensor:
        raise KeyboardInterrupt

    ways: list[tuple[Step, Any]] = [(torch.relu, 7), (torch.cumprod, 1), (stopped, 1)]
    gc.collect()
    gc.disable()
    try:
        counts = []
        for round_ in range(70):
            for step, output in ways:
                with pytest.raises((ValueError, TypeError, KeyboardInterrupt)):
                    lrp.relevance(net(step), rows(), output, lrp.Gamma(), ledger=True)
            if round_ % 23 == 0:
                counts.append(sum(issubclass(type(thing), Tensor) for thing in gc.get_objects()))
    finally:
        gc.enable()
    assert counts[-1] <= counts[1]
