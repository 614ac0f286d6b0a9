"""Any small program, however it is spelled, gets the relevance that the rules promise.

Hypothesis draws a program (`random_programs.py`), an independent propagation interprets its
description in float64 (`oracles/naive_programs.py`), and `lrp.relevance` follows the PyTorch code.
300 programs by default; the nightly setting tries 2,000:

    python -m pytest tests/laws/test_random_programs.py --hypothesis-profile=nightly
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from laws.random_programs import Program, Written, programs
from oracles import naive_lrp as naive
from oracles.naive_programs import Found, Policy, explain
from torch import Tensor

from explainrec_lab import lrp

PROGRAMS = max(300, settings().max_examples)
law = settings(
    max_examples=PROGRAMS,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
    ],
)

# --------------------------------------------------------------------------- rules


@dataclass(frozen=True)
class Rule:
    """A rule, or a composite, of the package and of the oracle."""

    ours: Any
    naive: Policy


def everywhere(rule: naive.Rule, rest: naive.Rule) -> Policy:
    return Policy([(lambda kind, depth: kind in ("linear", "convolution"), rule)], rest)


def epsilon(value: float) -> Rule:
    return Rule(lrp.Epsilon(value), Policy([], naive.Epsilon(value)))


def one(name: str, *numbers: float, e: float = 1e-6) -> Rule:
    rule = getattr(naive, name)(*numbers, e)
    return Rule(getattr(lrp, name)(*numbers, epsilon=e), everywhere(rule, naive.Epsilon(e)))


def first(name: str, *numbers: float) -> Rule:
    """A rule for the layers that see the inputs, gamma for other convolutions."""
    ours = getattr(lrp, name)(*numbers)
    table: list[Any] = [
        (lambda kind, depth: depth == 0, getattr(naive, name)(*numbers)),
        (lambda kind, depth: kind == "convolution", naive.Gamma(0.5)),
    ]
    composite = lrp.Composite([(lrp.first_layer, ours), (lrp.kind("convolution"), lrp.Gamma(0.5))])
    return Rule(composite, Policy(table, naive.Epsilon()))


def mixed() -> Rule:
    """By depth and by kind, an epsilon of their own for sums without weights."""
    ours = lrp.Composite(
        [
            (lrp.kind("addition", "pooling"), lrp.Epsilon(0.2)),
            (lrp.depth(0, 2), lrp.Gamma(1.0, epsilon=1e-3)),
            (lrp.kind("linear"), lrp.AlphaBeta(2.0, 1.0)),
        ],
        rest=lrp.Epsilon(0.05),
    )
    table: list[Any] = [
        (lambda kind, depth: kind in ("addition", "pooling"), naive.Epsilon(0.2)),
        (lambda kind, depth: depth < 2, naive.Gamma(1.0, 1e-3)),
        (lambda kind, depth: kind == "linear", naive.AlphaBeta(2.0, 1.0)),
    ]
    return Rule(ours, Policy(table, naive.Epsilon(0.05)))


RULES: dict[str, Rule] = {
    "epsilon 0": epsilon(0.0),
    "epsilon": epsilon(1e-6),
    "large epsilon": epsilon(0.3),
    "gamma": one("Gamma", 0.25),
    "gamma 2": one("Gamma", 2.0, e=1e-2),
    "z plus": one("ZPlus"),
    "alpha 2 beta 1": one("AlphaBeta", 2.0, 1.0, e=1e-3),
    "alpha 1.5 beta .5": one("AlphaBeta", 1.5, 0.5),
    "w squared first": first("WSquare"),
    "z box first": first("ZBox", -4.0, 3.5),
    "by kind and depth": mixed(),
    "CP-LRP": Rule(
        lrp.Composite([(lrp.kind("linear"), lrp.Gamma(0.5))], attention="CP-LRP"),
        Policy(
            [(lambda kind, depth: kind == "linear", naive.Gamma(0.5))], naive.Epsilon(), "CP-LRP"
        ),
    ),
}


def named(program: Program, data: Any) -> Rule:
    """Gamma for the layers of one step and of those that share its weights, epsilon elsewhere."""
    place = data.draw(st.integers(0, len(program.steps) - 1))
    about = program.steps[place].about
    same = [i for i, step in enumerate(program.steps) if step.about is about]
    assume(all(program.steps[i].name in ("linear", "convolution") for i in same))
    for spelled in program.spellings:  # as modules: a function's layer is named by its caller
        for i in same:
            spelled[i] = "weight_norm" if spelled[i] == "weight_norm" else "nn"
    ours = lrp.Composite([(lrp.named(f"homes.{i}.*"), lrp.Gamma(0.5)) for i in same])
    return Rule(ours, Policy([], naive.Epsilon(), steps={id(about): naive.Gamma(0.5)}))


# --------------------------------------------------------------------------- the law

# Rounding of values, and the least error to allow, as a share of the relevance that moves.
NOISE = {torch.float64: 1e-13, torch.float32: 1e-7, torch.bfloat16: 4e-3}
FLOOR = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 2e-2}
# What a program may blow rounding up to; others say nothing about right and wrong.
WORST = {torch.float64: 1e-7, torch.float32: 1e-3, torch.bfloat16: 0.1}


def tolerance(program: Program, found: Found, oracle: Callable[..., Found]) -> float:
    """How far relevance may be off: by what rounding does to the oracle itself."""
    off = 0.0
    for seed in range(3):
        other = oracle(noise=NOISE[program.dtype], seed=seed)
        pairs = zip(other.relevance, found.relevance, strict=True)
        off = max(off, *(float((a - b).abs().max()) for a, b in pairs if a.numel()))
        off = max(off, abs(other.absorbed + other.at_zero - found.absorbed - found.at_zero))
    assume(off <= WORST[program.dtype] * found.size)
    return 30 * off + FLOOR[program.dtype] * found.size


def started(output: Any) -> Callable[[Tensor], Tensor]:
    """Relevance at the end: the chosen number of each sample."""

    def start(y: Tensor) -> Tensor:
        flat, R = y.flatten(1), torch.zeros(len(y), y[0].numel()).double()
        index = torch.as_tensor(output).expand(len(y))[:, None]
        return R.scatter(1, index, flat.gather(1, index)).view(y.shape)

    return start


def kept(model: Written) -> dict[str, Any]:
    parameters = dict(model.named_parameters())
    return {
        "values": {name: value.clone() for name, value in model.state_dict().items()},
        "grads": [value.grad for value in parameters.values()],
        "wants": [value.requires_grad for value in parameters.values()],
        "versions": [value._version for value in [*parameters.values(), *model.buffers()]],
        "modes": [module.training for module in model.modules()],
    }


def assert_kept(model: Written, before: dict[str, Any]) -> None:
    after = kept(model)
    values, others = before.pop("values"), after.pop("values")
    assert after == before
    assert all(torch.equal(value, others[name]) for name, value in values.items())


@law
@given(program=programs(), name=st.sampled_from([*RULES, "by name"]), data=st.data())
def test_relevance_of_a_random_program(program: Program, name: str, data: Any) -> None:
    check(program, name, data)


@settings(law, max_examples=PROGRAMS // 4)
@given(
    program=programs(dtypes=(torch.float32, torch.bfloat16)),
    name=st.sampled_from(list(RULES)),
    data=st.data(),
)
def test_low_precision_is_right_up_to_rounding(program: Program, name: str, data: Any) -> None:
    check(program, name, data)


def check(program: Program, name: str, data: Any) -> None:
    rule = RULES[name] if name in RULES else named(program, data)
    softened = any(step.name == "softmax" for step in program.steps)
    assume(not (softened and name == "CP-LRP"))  # what it makes of a softmax depends on its use
    with torch.no_grad():
        width = program.written(0)(*program.given()).shape[1]
    split = data.draw(st.sampled_from(lrp.SPLITS))
    samples, index = len(program.inputs[0]), data.draw(st.integers(0, width - 1))
    indices = torch.tensor(
        data.draw(st.lists(st.integers(0, width - 1), min_size=samples, max_size=samples))
    )
    asked, chosen = data.draw(st.sampled_from(questions(index, indices, width)))

    def oracle(**noise: Any) -> Found:
        return explain(program.steps, program.inputs, started(chosen), rule.naive, split, **noise)

    expected = oracle()
    assume(expected.size > 0)
    off = tolerance(program, expected, oracle)
    for number in range(len(program.spellings)):
        answer = relevance_of(program, number, asked, rule.ours, split)
        event("refused" if answer is None else "right")
        if answer is not None:
            assert_right(answer, expected, off)


def questions(index: int, indices: Tensor, width: int) -> list[tuple[Any, Any]]:
    """Ways to ask for one number a sample, and which numbers they ask for."""
    every = torch.arange(len(indices))
    ways: list[tuple[Any, Any]] = [
        (index, index),
        (index - width, index),
        (torch.tensor(index), index),
        (indices, indices),
        (lambda y: y[:, index], index),
        (lambda y: y[every, indices], indices),
    ]
    return [*ways, (None, 0)] if width == 1 else ways


def relevance_of(program: Program, number: int, output: Any, rule: Any, split: str) -> Any:
    """Relevance and ledger of one writing, which is left as it was; None where it is refused."""
    model, given_ = program.written(number), program.given()
    with torch.no_grad():
        plain = model(*program.given())
    before = kept(model)
    table = rule.table if isinstance(rule, lrp.Composite) else ()
    by_name = any(isinstance(selects, lrp.named) for selects, _ in table)
    try:
        if len(given_) > 1 or number or by_name:  # a function has no names
            return lrp.relevance(model, given_, output, rule, split=split, ledger=True)
        (x,) = given_  # a tensor alone, and a word that goes along with it
        alone, ledger = lrp.relevance(model, x, output, rule, split=split, ledger=True)
        (again, nothing), _ = lrp.relevance(
            lambda x, word: model(x), (x, "word"), output, rule, split=split, ledger=True
        )
        assert nothing is None
        torch.testing.assert_close(again, alone)
        return (alone,), ledger
    except lrp.UnsupportedOperation as refusal:
        assert may_refuse(model, str(refusal)), refusal
        return None
    finally:
        if all(step.name != "renormed" for step in program.steps):  # which PyTorch does in place
            assert_kept(model, before)
        assert all(torch.equal(a, b) for a, b in zip(given_, program.given(), strict=True))
        with torch.no_grad():
            # an embedding with a largest norm is renormed in place, by each call anew
            slack = {"rtol": 0.05, "atol": 0.05} if plain.dtype == torch.bfloat16 else {}
            torch.testing.assert_close(model(*program.given()), plain, **slack)


def may_refuse(model: Written, message: str) -> bool:
    """A softmax of which a logit is to be explained; a change in place of what a gradient needs;
    a spelling without a rule, which the message names, and its line."""
    if "a softmax" in message or ("out of place" in message and model.writes):
        return True
    return any(way.refusable for way in model.spellings) and "called at" in message


def assert_right(answer: Any, expected: Found, off: float) -> None:
    ours, ledger = answer
    for relevance, truth in zip(ours, expected.relevance, strict=True):
        assert relevance.shape == truth.shape
        assert not relevance.requires_grad
        assert float((relevance.double() - truth).abs().max()) <= off
    assert abs(ledger.output - expected.output) <= off
    assert abs(ledger.gap) <= off
    absorbed = ledger.biases + sum(ledger.sinks.values())
    assert abs(absorbed - expected.absorbed - expected.at_zero) <= off


# --------------------------------------------------------------------------- at the edges


@settings(law, max_examples=PROGRAMS // 5)
@given(program=programs(spellings=1), name=st.sampled_from(list(RULES)))
def test_no_samples_have_no_relevance(program: Program, name: str) -> None:
    """Zeros of the inputs' shape."""
    model, nothing = program.written(0), [x[:0] for x in program.given()]
    try:
        model(*nothing)
    except (RuntimeError, IndexError, ValueError):
        assume(False)  # PyTorch's own business
    try:
        ours, ledger = lrp.relevance(model, nothing, 0, RULES[name].ours, ledger=True)
    except lrp.UnsupportedOperation as refusal:
        assert may_refuse(model, str(refusal)), refusal
        return
    assert [tuple(r.shape) for r in ours] == [tuple(x.shape) for x in nothing]
    assert (ledger.output, ledger.inputs, ledger.gap) == (0, 0, 0)


@settings(law, max_examples=15)
@given(program=programs(spellings=1), name=st.sampled_from(list(RULES)))
def test_nothing_outlives_a_call(program: Program, name: str) -> None:
    """Whether it ends well, with an index that does not exist, or inside the program."""
    model, given_, rule = program.written(0), program.given(), RULES[name].ours
    with contextlib.suppress(ValueError, RuntimeError):
        lrp.relevance(model, given_, 0, rule, ledger=True)
    with pytest.raises((ValueError, lrp.UnsupportedOperation)):
        lrp.relevance(model, given_, 10**6, rule)

    def breaks(*inputs: Tensor) -> Tensor:
        model(*inputs)
        raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt, lrp.UnsupportedOperation):
        lrp.relevance(breaks, given_, 0, rule)
    gc.collect()
    assume(model.made)  # a program may be refused at its first step
    assert [ref() for ref in model.made if ref() is not None] == []


def test_what_a_softmax_read_may_be_overwritten() -> None:
    """Found by the law: the softmax's account was booked from the numbers that came later."""

    def program(x: Tensor) -> Tensor:
        h = x * 2
        h -= h.softmax(-1)
        return h

    x = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)
    _, ledger = lrp.relevance(program, x, 1, lrp.Epsilon(0.0), ledger=True)
    assert abs(ledger.gap) <= 1e-12
