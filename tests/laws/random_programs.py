"""Random programs: drawn as a list of steps, written in PyTorch in drawn spellings."""

from __future__ import annotations

import re
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
from hypothesis import assume
from hypothesis import strategies as st
from laws.program_steps import OPS, TABLES, Op, Shape, Source, Spelling, Step
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

# Numbers a sample: matrices of the oracle stay small.
LARGEST = 120

# Spellings that the engine is known to get wrong, by the reason: not drawn until it is mended.
OPEN: dict[str, str] = {
    "a batch norm is not folded in behind a move": "linear: one row more",
    "at an untouched input, where relu holds back what falls on units that are off": (
        "relu: clamped, relu: clamp_min, relu: maximum, relu: threshold, relu: in_place_clamp, "
        "relu: in_place_clamp, on a copy, relu6: in_place, on a copy"
    ),
}
WEIGHTED = ("linear", "convolution")
CLOSED = {name for names in OPEN.values() for name in re.split(r", (?!on a copy)", names)}


@dataclass
class Program:
    """A described program and its inputs, in float64 but rounded to `dtype`."""

    inputs: list[Tensor]
    steps: list[Step]
    dtype: torch.dtype
    spellings: list[list[str]] = field(default_factory=list)
    checkpointed: tuple[int, int] = (0, 0)
    wants: bool = True
    layout: str = "plain"

    def __repr__(self) -> str:
        shapes = [tuple(x.shape) for x in self.inputs]
        lines = [f"inputs {shapes} {self.dtype} {self.layout}, checkpoint {self.checkpointed}"]
        lines.append(f"  parameters want gradients: {self.wants}")
        for place, step in enumerate(self.steps):
            spelled = " | ".join(one[place] for one in self.spellings)
            shared = [i for i in range(place) if self.steps[i].about is step.about]
            numbers = {
                k: tuple(v.shape) if isinstance(v, Tensor) and v.numel() > 1 else v
                for k, v in vars(step.about).items()
            }
            lines.append(
                f"  v{place + len(self.inputs)} = {step.name}{step.reads} {numbers} "
                f"spelled {spelled}" + (f" shares with {shared}" if shared else "")
            )
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def written(self, number: int) -> Written:
        return Written(self, self.spellings[number])

    def given(self) -> list[Tensor]:
        """The inputs as the program gets them."""
        found = [x.to(self.dtype) if x.is_floating_point() else x.clone() for x in self.inputs]
        if self.layout == "turned":
            found = [x.transpose(0, -1).contiguous().transpose(0, -1) for x in found]
        if self.layout == "wants gradients":
            found = [x.requires_grad_(x.is_floating_point()) for x in found]
        return found

    def overwritable(self, place: int) -> bool:
        """Whether what step `place` reads first, and all that shares its memory, ends here."""
        base = list(range(len(self.inputs)))
        for step in self.steps:
            base.append(base[step.reads[0]] if step.op.alias else len(base))
        target, *others = (base[read] for read in self.steps[place].reads)
        others += [base[read] for step in self.steps[place + 1 :] for read in step.reads]
        last, made = place == len(self.steps) - 1, base[len(self.inputs) + place]
        needed = others if last else [*others, base[-1]]
        return target >= len(self.inputs) and target not in [*needed, made]


class Home(nn.Module):
    """What a step owns: its tensors, as parameters or buffers, and its module."""

    def __init__(self, step: Step, spelling: Spelling) -> None:
        super().__init__()
        for name, value in vars(step.about).items():
            kept = name in ("weight", "bias", "M") or (
                name == "c" and getattr(step.about, "kept", 0)
            )
            if not isinstance(value, Tensor):
                object.__setattr__(self, name, value)
            elif kept:
                self.register_parameter(name, nn.Parameter(value.clone()))
            else:
                self.register_buffer(name, value.clone())
        if step.op.module is not None:
            wrap = spelling.wrap or (lambda module: module)
            self.module = wrap(step.op.module(step.about).double())


class Written(nn.Module):
    """The program in PyTorch."""

    def __init__(self, program: Program, spellings: Sequence[str]) -> None:
        super().__init__()
        self.program, self.homes, homes = program, nn.ModuleList(), {}
        self.spellings = [s.op.spellings[n] for s, n in zip(program.steps, spellings, strict=True)]
        for step, spelling in zip(program.steps, self.spellings, strict=True):
            key = id(step.about), spelling.wrap
            homes[key] = homes.get(key) or Home(step, spelling)
            self.homes.append(homes[key])
        self.writes = any(
            way.in_place or "copy" in name or "place" in name
            for way, name in zip(self.spellings, spellings, strict=True)
        )
        self.made: list[weakref.ref[Tensor]] = []
        self.to(program.dtype).eval().requires_grad_(program.wants)

    def forward(self, *inputs: Tensor) -> Tensor:
        values, place = list(inputs), 0
        start, stop = self.program.checkpointed
        while place < len(self.homes):
            if place == start < stop:
                before = list(values)
                made = checkpoint(
                    lambda *b: self.steps(b, start, stop), *before, use_reentrant=False
                )
                values += made
                place = stop
            else:
                values += self.steps(values, place, place + 1)
                place += 1
        self.made += [weakref.ref(value) for value in values[len(inputs) :]]
        return values[-1].flatten(1)

    def steps(self, values: Sequence[Tensor], start: int, stop: int) -> tuple[Tensor, ...]:
        values, count = list(values), len(self.program.inputs)
        for place in range(start, stop):
            reads = (values[read] for read in self.program.steps[place].reads)
            values.append(self.spellings[place].run(self.homes[place], *reads))
        return tuple(values[count + start :])


# --------------------------------------------------------------------------- drawing

# Steps that are drawn more often than others: the layers that rules are about.
FIRST = (
    "linear", "linear", "linear", "convolution", "convolution", "convolution", "convolution",
    "transposed convolution", "transposed convolution", "transposed convolution",
    "matrix product", "layer norm", "relu", "relu", "addition", "addition", "part scaled",
    "attention", "attention",
)  # fmt: skip
INPUTS: tuple[Shape, ...] = ((4,), (6,), (3, 4), (2, 6), (2, 4, 4), (3, 4, 3), (4, 3, 3))


def rounded(value: Any, dtype: torch.dtype) -> Any:
    floating = isinstance(value, Tensor) and value.is_floating_point()
    return value.to(dtype).double() if floating else value


def a_step(s: Source, values: list[Tensor], steps: list[Step], dtype: Any) -> Step | None:
    """One more step: an operation that fits the last value, or one of the others."""
    first = len(values) - 1 if s.one(True, True, False) else s.one(*range(len(values)))
    if not values[first].is_floating_point():
        first = len(values) - 1
    shape = tuple(values[first].shape[1:])
    partners: dict[str, list[int]] = {}
    for name, op in OPS.items():
        if len(shape) in op.ranks:
            fit = [
                place for place, other in enumerate(values)
                if op.reads == 2 and other.is_floating_point()
                and op.meets(shape, tuple(other.shape[1:]))
            ]  # fmt: skip
            if op.reads == 1 or fit:
                partners[name] = fit
    maker = steps[first - len(values)].op.kind if first >= len(values) - len(steps) else ""
    often = [*FIRST, *["batch norm"] * (25 if maker in WEIGHTED else 0)]
    name = s.one(*partners, *(name for name in often if name in partners))
    op = OPS[name]
    product = name == "batch norm" and steps[first - len(values) :][:1]
    if product and product[0].name in ("matrix product", "mix positions"):
        return None  # OPEN: folded in behind some spellings and not behind others
    reads = (first,) if op.reads == 1 else (first, s.one(*partners[name]))
    if name == "product" and len(set(reads)) == 2:
        # Of a number and what was computed from it, one counts as a weight: other spellings of
        # functions such as GELU, which are drawn as such.
        before = [near(steps, place, len(values) - len(steps)) for place in reads]
        if before[0] & before[1]:
            return None
    shapes = [tuple(values[place].shape[1:]) for place in reads]
    same = [
        step for step in steps if step.name == name
        and [tuple(values[place].shape[1:]) for place in step.reads] == shapes
    ]  # fmt: skip
    if same and s.flag():
        return Step(name, reads, same[-1].about, op)
    about = op.about(s, *shapes)
    if about is None:
        return None
    about = {key: rounded(value, dtype) for key, value in about.items()}
    return Step(name, reads, SimpleNamespace(**about), op)


def near(steps: list[Step], place: int, inputs: int) -> set[int]:
    """The value and those that it was computed from, without a layer in between."""
    step = steps[place - inputs] if place >= inputs else None
    if step is None or step.op.kind in WEIGHTED:
        return {place}
    return {place}.union(*(near(steps, read, inputs) for read in step.reads))


def sound(y: Tensor) -> bool:
    """Small, finite, not all zero."""
    if y[0].numel() > LARGEST or not y[0].numel() or not bool(torch.isfinite(y).all()):
        return False
    return 1e-2 < float(y.abs().max()) < 1e3


@st.composite
def programs(
    draw: Any, spellings: int = 2, dtypes: Sequence[torch.dtype] = (torch.float64,)
) -> Program:
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    program = drawn(Source(draw, generator), spellings, dtypes)
    assume(program.steps)
    return program


def drawn(s: Source, spellings: int, dtypes: Sequence[torch.dtype]) -> Program:
    dtype, batch = s.one(*dtypes), s.one(2, 1, 3)
    inputs: list[Tensor] = []
    for _ in range(s.one(1, 1, 2)):
        inputs.append(rounded(s.normal(batch, *s.one(*INPUTS)), dtype))
    if s.one(False, False, False, True):
        ids = torch.randint(0, 7, (batch, 3), generator=s.generator)
        inputs = [ids, *inputs[:1]] if s.flag() else [ids]
    values, steps = list(inputs), []
    if not inputs[0].is_floating_point():
        closed = {n for n in TABLES if all(f"{n}: {way}" in CLOSED for way in TABLES[n].spellings)}
        name = s.one(*(n for n in TABLES if n not in closed))
        op = TABLES[name]
        about = {k: rounded(v, dtype) for k, v in op.about(s, inputs[0].shape[1:]).items()}
        steps.append(Step(name, (0,), SimpleNamespace(**about), op))
        values.append(op.value(steps[-1].about, inputs[0]))
    for _ in range(s.one(*range(1, 8))):
        step = a_step(s, values, steps, dtype)
        if step is None:
            continue
        y = step.op.value(step.about, *(values[place] for place in step.reads))
        if sound(y):
            steps.append(step)
            values.append(y)
    program = Program(inputs, steps, dtype, wants=s.flag())
    program.layout = s.one("plain", "turned", "wants gradients")
    if len(steps) > 2 and s.one(False, False, False, True):
        start = s.one(*range(len(steps) - 1))
        program.checkpointed = (start, s.one(*range(start + 1, len(steps))))
    program.spellings = [
        [spelled(s, program, place) for place in range(len(steps))] for _ in range(spellings)
    ]
    return program


def spelled(s: Source, program: Program, place: int) -> str:
    op: Op = program.steps[place].op
    step, (start, stop) = program.steps[place], program.checkpointed
    free = program.overwritable(place) and not start <= place < stop
    return s.one(*(
        name for name, way in op.spellings.items()
        if (free or not way.in_place) and f"{step.name}: {name}" not in CLOSED
    ))  # fmt: skip
