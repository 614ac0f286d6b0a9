"""Each rule of the engine against the textbook formula in matrix form, on small random nets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from oracles import naive_lrp as naive
from oracles.naive_lrp import Program, Step, add, chain, concat, explain
from torch import Tensor, nn

from explainrec_lab import lrp

TOLERANCE = 1e-9
SEEDS = range(3)


def assert_close(ours: Tensor, oracle: Tensor, relative: float = TOLERANCE) -> None:
    """The largest difference, relative to the largest value."""
    assert ours.shape == oracle.shape
    assert float(oracle.abs().max()) > 0, "an oracle of zeros shows nothing"
    assert float((ours - oracle).abs().max()) <= relative * float(oracle.abs().max())


def normed(layer: nn.Module, norm: nn.Module) -> nn.Sequential:
    """A batch norm with statistics of its own behind a layer: one linear step."""
    return nn.Sequential(layer, randomised(norm))


def randomised(norm: nn.Module) -> nn.Module:
    nn.init.uniform_(norm.running_var, 0.3, 2.0)
    for values in (norm.running_mean, norm.weight.data, norm.bias.data):
        nn.init.normal_(values)
    return norm


Layers = Callable[[], list[nn.Module]]
IMAGE, SIGNAL = (2, 7, 6), (2, 9)
CHAINS: dict[str, tuple[tuple[int, ...], Layers]] = {
    "linear": ((5,), lambda: [nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)]),
    "linear without bias": (
        (5,),
        lambda: [nn.Linear(5, 6, bias=False), nn.ReLU(), nn.Linear(6, 3, bias=False)],
    ),
    "linear over positions": (
        (4, 5),
        lambda: [nn.Linear(5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3)],
    ),
    "convolution": (
        IMAGE,
        lambda: [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(60, 3)],
    ),
    "strided, padded, dilated": (
        IMAGE,
        lambda: [
            nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False),
            nn.ReLU(),
            nn.Conv2d(4, 3, (2, 3), dilation=(2, 1), padding=(0, 1)),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(18, 3),
        ],
    ),
    "grouped": (
        IMAGE,
        lambda: [
            nn.Conv2d(2, 4, 3, groups=2),
            nn.ReLU(),
            nn.Conv2d(4, 4, 3, groups=4, padding="same"),
            nn.Flatten(),
            nn.Linear(80, 3),
        ],
    ),
    "one dimension": (
        SIGNAL,
        lambda: [nn.Conv1d(2, 3, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3)],
    ),
    "three dimensions": (
        (1, 4, 4, 3),
        lambda: [nn.Conv3d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)],
    ),
    "transposed": (
        (2, 4, 3),
        lambda: [
            nn.ConvTranspose2d(2, 4, 3, stride=2, padding=1, output_padding=1, groups=2),
            nn.ReLU(),
            nn.ConvTranspose2d(4, 2, 2, bias=False),
            nn.Flatten(),
            nn.Linear(126, 3),
        ],
    ),
    "padding of other modes": (
        IMAGE,
        lambda: [
            nn.ReflectionPad2d(1),
            nn.Conv2d(2, 3, 3),
            nn.ReLU(),
            nn.CircularPad2d(1),
            nn.Conv2d(3, 2, 3),
            nn.Flatten(),
            nn.Linear(84, 3),
        ],
    ),
    "max pooling": (
        IMAGE,
        lambda: [
            nn.Conv2d(2, 3, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.Flatten(),
            nn.Linear(36, 3),
        ],
    ),
    "average pooling": (
        IMAGE,
        lambda: [
            nn.Conv2d(2, 3, 3, padding=1),
            nn.ReLU(),
            nn.AvgPool2d(3, stride=2, padding=1),
            nn.Flatten(),
            nn.Linear(36, 3),
        ],
    ),
    "adaptive pooling": (
        IMAGE,
        lambda: [
            nn.Conv2d(2, 3, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d((5, 4)),
            nn.AdaptiveAvgPool2d((3, 2)),
            nn.Flatten(),
            nn.Linear(18, 3),
        ],
    ),
    "batch norm": (
        IMAGE,
        lambda: [
            normed(nn.Conv2d(2, 6, 3, bias=False), nn.BatchNorm2d(6)),
            nn.ReLU(),
            normed(nn.Conv2d(6, 5, 3), nn.BatchNorm2d(5)),
            nn.ReLU(),
            nn.Flatten(),
            normed(nn.Linear(30, 12), nn.BatchNorm1d(12)),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(12, 3),
        ],
    ),
}
RULES: dict[str, tuple[dict[str, Any], str]] = {
    "gamma": ({"gamma": 0.25, "epsilon": 1e-6}, "Gamma"),
    "gamma 2": ({"gamma": 2.0, "epsilon": 1e-2}, "Gamma"),
    "alpha 2 beta 1": ({"alpha": 2.0, "beta": 1.0, "epsilon": 1e-6}, "AlphaBeta"),
    "alpha 1.5 beta .5": ({"alpha": 1.5, "beta": 0.5, "epsilon": 1e-3}, "AlphaBeta"),
    "z plus": ({"epsilon": 1e-6}, "ZPlus"),
}
FIRST: dict[str, tuple[dict[str, Any], str]] = {
    "w squared": ({}, "WSquare"),
    "z box": ({"low": -2.5, "high": 2.0}, "ZBox"),
}


def net(case: str, seed: int, rule: naive.Rule) -> tuple[list[Step], Program, Tensor]:
    torch.manual_seed(seed)
    shape, layers = CHAINS[case]
    steps = chain(*layers(), rule=rule)
    return steps, Program(steps), torch.randn(2, *shape, dtype=torch.float64)


def by_hand(steps: list[Step], x: Tensor, index: int, pooling: naive.Rule) -> list[naive.Books]:
    return [explain(steps, sample[None], index, pooling) for sample in x]


def check(case: str, seed: int, ours: Any, rule: Any, pooling: naive.Rule) -> None:
    """Relevance and the ledger of two samples at once, against one sample at a time."""
    steps, program, x = net(case, seed, rule)
    compare(steps, program, x, ours, pooling)


def compare(steps: list[Step], program: Program, x: Tensor, ours: Any, pooling: Any) -> None:
    books = by_hand(steps, x, 1, pooling)
    relevance, ledger = lrp.relevance(program, x, 1, ours, ledger=True)
    assert_close(relevance, torch.cat([book.relevance for book in books]))
    output = sum(book.output for book in books)
    biases = sum(book.biases for book in books)
    kept = sum(float(book.relevance.sum()) for book in books)
    scale = abs(output) + abs(biases) + abs(kept)
    assert abs(ledger.output - output) <= TOLERANCE * scale
    assert abs(ledger.inputs - kept) <= TOLERANCE * scale
    assert abs(ledger.biases - biases) <= TOLERANCE * scale
    assert abs(ledger.epsilon - (output - kept - biases)) <= TOLERANCE * scale
    assert abs(ledger.gap) <= TOLERANCE * scale


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("case", CHAINS)
@pytest.mark.oracle("lrp", "epsilon-rule")
def test_epsilon_rule_shares_by_contribution(case: str, seed: int) -> None:
    for epsilon in (1e-6, 0.3):
        rule = naive.Epsilon(epsilon)
        check(case, seed, lrp.Epsilon(epsilon), rule, rule)


@pytest.mark.parametrize("case", CHAINS)
@pytest.mark.oracle("lrp", "epsilon-rule")
def test_a_relative_epsilon_is_measured_in_the_layer_s_own_size(case: str) -> None:
    rule = naive.Epsilon(0.1, relative=True)
    check(case, 0, lrp.Epsilon(0.1, relative=True), rule, rule)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("case", CHAINS)
def test_rule_in_every_layer(case: str, name: str) -> None:
    settings, rule = RULES[name]
    by_hand, ours = getattr(naive, rule)(**settings), getattr(lrp, rule)(**settings)
    for seed in SEEDS:
        check(case, seed, ours, by_hand, naive.Epsilon(by_hand.epsilon))


@pytest.mark.parametrize("name", FIRST)
@pytest.mark.parametrize("case", CHAINS)
def test_rule_of_the_first_layer(case: str, name: str) -> None:
    """Rules that look at the weights or the bounds; the epsilon rule behind them."""
    settings, rule = FIRST[name]
    by_hand = getattr(naive, rule)(**settings)
    ours = lrp.Composite([(lrp.first_layer, getattr(lrp, rule)(**settings))])
    for seed in SEEDS:
        torch.manual_seed(seed)
        shape, layers = CHAINS[case]
        steps = chain(*layers(), rule=naive.Epsilon())
        first = next(n for n, step in enumerate(steps) if step.kind == "affine")
        steps[first] = replace(steps[first], rule=by_hand)
        x = torch.randn(2, *shape, dtype=torch.float64)
        compare(steps, Program(steps), x, ours, naive.Epsilon())


@pytest.mark.parametrize("name", FIRST)
def test_rule_of_the_first_layer_in_every_layer(name: str) -> None:
    """They give relevance to any input; where no unit is zero, it goes on from there."""
    settings, rule = FIRST[name]
    for seed in SEEDS:
        torch.manual_seed(seed)
        steps = chain(
            nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Conv2d(3, 3, 3, groups=3), nn.Flatten(),
            nn.Linear(18, 5), nn.Tanh(), nn.Linear(5, 3), rule=getattr(naive, rule)(**settings),
        )  # fmt: skip
        x = torch.randn(2, 2, 7, 6, dtype=torch.float64)
        compare(steps, Program(steps), x, getattr(lrp, rule)(**settings), naive.Epsilon())


@pytest.mark.parametrize("name", FIRST)
def test_what_a_unit_of_value_zero_cannot_hold_is_booked(name: str) -> None:
    """Behind a ReLU these rules give to units that are zero; zennit passes it on, we book it."""
    settings, rule = FIRST[name]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)).double().eval()
    x = torch.randn(2, 5, dtype=torch.float64)
    assert bool((model[:2](x) == 0).any())
    _, ledger = lrp.relevance(model, x, 1, getattr(lrp, rule)(**settings), ledger=True)
    assert any(abs(sink) > 1e-3 for sink in ledger.sinks.values())
    assert abs(ledger.gap) <= 1e-12


def test_z_box_takes_bounds_per_channel() -> None:
    """Bounds `[1, channel, 1, 1]`: by hand, one z-box per channel and one more weighted sum."""
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 3, 3).double().eval()
    x = torch.rand(1, 2, 6, 6, dtype=torch.float64)
    low = torch.tensor([-0.5, -1.0], dtype=torch.float64).view(1, 2, 1, 1)
    high = torch.tensor([1.5, 2.0], dtype=torch.float64).view(1, 2, 1, 1)
    A, _ = naive.affine(layer, x.shape[1:])
    lows, highs = (bound.expand_as(x).reshape(-1) for bound in (low, high))
    c = A * x.reshape(-1) - lows * A.clamp(min=0) - highs * A.clamp(max=0)
    z = layer(x).detach().reshape(-1)
    z = z * z.sum() / naive.stabilised(z.sum(), 1e-6)  # the sum that is explained is a layer too
    oracle = naive.weigh(c, torch.zeros_like(z), z, 1e-6).inputs.reshape(x.shape)
    ours = lrp.relevance(layer, x, lambda y: y.flatten(1).sum(1), lrp.ZBox(low, high))
    assert_close(ours, oracle)


# --------------------------------------------------------------------------- graphs


def conv(rule: naive.Rule | None, name: str, reads: str, inside: int, out: int) -> Step:
    return Step(name, "affine", (reads,), nn.Conv2d(inside, out, 3, padding=1).double(), rule)


def residual(rule: naive.Rule) -> list[Step]:
    return [
        conv(rule, "a", "x", 2, 3),
        Step("b", "pass", ("a",), torch.relu),
        conv(rule, "c", "b", 3, 3),
        Step("sum", "add", ("c", "b"), add),
        Step("d", "pass", ("sum",), torch.relu),
        Step("flat", "pass", ("d",), nn.Flatten()),
        Step("out", "affine", ("flat",), nn.Linear(60, 3).double(), rule),
    ]


def dense(rule: naive.Rule) -> list[Step]:
    return [
        conv(rule, "a", "x", 2, 2),
        Step("b", "pass", ("a",), torch.relu),
        Step("ab", "concat", ("x", "b"), concat),
        conv(rule, "c", "ab", 4, 2),
        Step("d", "pass", ("c",), torch.relu),
        Step("abc", "concat", ("ab", "d"), concat),
        Step("pool", "max", ("abc",), nn.MaxPool2d(2)),
        Step("flat", "pass", ("pool",), nn.Flatten()),
        Step("out", "affine", ("flat",), nn.Linear(24, 3).double(), rule),
    ]


def shared(rule: naive.Rule) -> list[Step]:
    """One convolution three times, one pooling twice."""
    layer = nn.Conv2d(2, 2, 3, padding=1).double()
    pool = nn.MaxPool2d(2, stride=1, padding=1)
    return [
        Step("a", "affine", ("x",), layer, rule),
        Step("b", "pass", ("a",), torch.relu),
        Step("p", "max", ("b",), pool),
        Step("c", "affine", ("p",), layer, rule),
        Step("d", "pass", ("c",), torch.relu),
        Step("q", "max", ("d",), pool),
        Step("e", "affine", ("q",), layer, rule),
        Step("flat", "pass", ("e",), nn.Flatten()),
    ]


GRAPHS = {"residual": residual, "dense": dense, "shared": shared}
ALL_RULES = {"epsilon": ({"epsilon": 1e-6}, "Epsilon"), **RULES}


@pytest.mark.parametrize("name", ALL_RULES)
@pytest.mark.parametrize("graph", GRAPHS)
def test_rule_in_a_graph(graph: str, name: str) -> None:
    settings, rule = ALL_RULES[name]
    for seed in SEEDS:
        torch.manual_seed(seed)
        steps = GRAPHS[graph](getattr(naive, rule)(**settings))
        x = torch.randn(1, 2, 5, 4, dtype=torch.float64)
        oracle = explain(steps, x, 1, naive.Epsilon(settings.get("epsilon", 1e-6)))
        ours, ledger = lrp.relevance(
            Program(steps), x, 1, getattr(lrp, rule)(**settings), ledger=True
        )
        assert_close(ours, oracle.relevance)
        scale = abs(oracle.output) + float(oracle.relevance.abs().sum())
        assert abs(ledger.biases - oracle.biases) <= TOLERANCE * scale
        assert abs(ledger.gap) <= TOLERANCE * scale


@pytest.mark.parametrize("seed", SEEDS)
def test_a_batch_norm_of_its_own_is_a_linear_layer(seed: int) -> None:
    """Before a ReLU, as in DenseNet, there is nothing to fold it into."""
    torch.manual_seed(seed)
    steps = chain(
        nn.Conv2d(2, 3, 3), nn.ReLU(), randomised(nn.BatchNorm2d(3)), nn.ReLU(),
        nn.Conv2d(3, 3, 3), nn.Flatten(), nn.Linear(18, 3), rule=naive.Epsilon(),
    )  # fmt: skip
    x = torch.randn(1, 2, 7, 6, dtype=torch.float64)
    assert_close(
        lrp.relevance(Program(steps), x, 1, lrp.Epsilon(1e-6)), explain(steps, x, 1).relevance
    )


# --------------------------------------------------------------------------- composites


def test_the_first_matching_entry_of_a_composite_wins() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten()]
    steps = chain(*layers, nn.Linear(12, 3))
    rules = {"layer0": naive.WSquare(), "layer2": naive.Gamma(0.5), "layer5": naive.Epsilon(0.1)}
    steps = [Step(s.name, s.kind, s.reads, s.run, rules.get(s.name)) for s in steps]
    ours = lrp.Composite(
        [
            (lrp.first_layer, lrp.WSquare()),
            (lrp.kind("convolution"), lrp.Gamma(0.5)),
            (lrp.kind("linear"), lrp.Epsilon(0.1)),
            (lrp.kind("convolution"), lrp.ZPlus()),
        ]
    )
    x = torch.randn(2, 2, 7, 6, dtype=torch.float64)
    oracle = [explain(steps, sample[None], 1).relevance for sample in x]
    assert_close(lrp.relevance(Program(steps), x, 1, ours), torch.cat(oracle))


def test_epsilon_gamma_box_is_box_then_gamma_then_epsilon() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 3), nn.ReLU(), nn.AvgPool2d(2)]
    steps = chain(*layers, nn.Flatten(), nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 3))
    rules = {
        "layer0": naive.ZBox(-3.0, 3.0),
        "layer2": naive.Gamma(0.25),
        "layer6": naive.Epsilon(1e-6),
        "layer8": naive.Epsilon(1e-6),
    }
    steps = [Step(s.name, s.kind, s.reads, s.run, rules.get(s.name)) for s in steps]
    x = torch.randn(2, 2, 7, 6, dtype=torch.float64)
    oracle = [explain(steps, sample[None], 1).relevance for sample in x]
    ours = lrp.relevance(Program(steps), x, 1, lrp.epsilon_gamma_box(-3.0, 3.0))
    assert_close(ours, torch.cat(oracle))


# --------------------------------------------------------------------------- the paper's equations


@pytest.mark.oracle("lrp", "neuron")
def test_a_neuron_worked_by_hand() -> None:
    """x = (2, -1), w = (3, 4), b = 1: z = 3, contributions 6 and -4 of it."""
    layer = nn.Linear(2, 1).double().eval()
    layer.weight.data = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    layer.bias.data = torch.tensor([1.0], dtype=torch.float64)
    x = torch.tensor([[2.0, -1.0]], dtype=torch.float64)
    relevance, ledger = lrp.relevance(layer, x, 0, lrp.Epsilon(1.0), ledger=True)
    assert relevance.tolist() == [[6 * 3 / 4, -4 * 3 / 4]]
    assert (ledger.biases, ledger.epsilon) == (3 / 4, 3 / 4)
    assert (ledger.output, ledger.inputs) == (3.0, 3 / 2)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.oracle("lrp", "conservation")
def test_relevance_is_conserved_without_biases_and_epsilon(seed: int) -> None:
    """In every layer: the relevance of each layer's input sums to the output explained."""
    torch.manual_seed(seed)
    layers = [nn.Linear(6, 6, bias=False), nn.ReLU()] * 3
    model = nn.Sequential(*layers, nn.Linear(6, 2, bias=False)).double().eval()
    x = torch.randn(4, 6, dtype=torch.float64)
    output = model(x).detach()[:, 1]
    for depth in range(0, len(model), 2):
        before, after = model[:depth], model[depth:]
        relevance = lrp.relevance(after.eval(), before(x).detach(), 1, lrp.Epsilon(0.0))
        assert_close(relevance.sum(1), output)


@pytest.mark.parametrize("rule", [lrp.ZBox(-3.0, 3.0), lrp.Gamma(0.25), lrp.AlphaBeta(2.0, 1.0)])
def test_a_batch_taken_part_by_part_is_the_batch(rule: lrp.Rule) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 2)
    )
    model, x = model.double().eval(), torch.randn(5, 3, 8, 8, dtype=torch.float64)
    whole, books = lrp.relevance(model, x, 1, rule, ledger=True)
    found = [lrp.relevance(model, part, 1, rule, ledger=True) for part in x.split(2)]
    torch.testing.assert_close(torch.cat([part for part, _ in found]), whole)
    assert sum(theirs.biases for _, theirs in found) == pytest.approx(books.biases)
    assert sum(theirs.epsilon for _, theirs in found) == pytest.approx(books.epsilon)
