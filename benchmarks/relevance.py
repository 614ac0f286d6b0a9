"""What relevance costs, needs and gets right, beside gradient x input, captum and zennit.

    python benchmarks/relevance.py cost     # CPU time over gradient x input, VGG-16 at 224 pixels
    python benchmarks/relevance.py memory   # peak memory over gradient x input's increment
    python benchmarks/relevance.py cases    # small programs against exact LRP-0

One JSON line a result. Cost: all methods take turns in one process on one thread, and the ratio is
taken within each round; its median counts. Memory: a fresh process a measure, the kernel's
high-water mark of resident memory during the call minus what was resident before it (Linux only).
The oracles of `cases` are those of tests/oracles, where `test_lrp_zoo.py` covers torchvision.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models

from explainrec_lab import lrp

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
LOW, HIGH = -2.5, 2.5
Method = Callable[[nn.Module, Tensor], Tensor]


def say(benchmark: str, value: float | str, unit: str, **settings: Any) -> None:
    print(
        json.dumps({"benchmark": benchmark, "value": value, "unit": unit, **settings}), flush=True
    )


# --------------------------------------------------------------------------- methods


def gradient_times_input(model: nn.Module, x: Tensor) -> Tensor:
    leaf = x.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf)[:, 0].sum(), leaf)
    return leaf.detach() * gradient


def engine(rule: Any, ledger: bool = False) -> Method:
    return lambda model, x: lrp.relevance(model, x, 0, rule, ledger=ledger)


def captum_epsilon(model: nn.Module, x: Tensor) -> Tensor:
    """Captum refuses in-place ReLUs: they are not in place while it runs."""
    from captum.attr import LRP

    relus = [layer for layer in model.modules() if isinstance(layer, nn.ReLU)]
    for layer in relus:
        layer.inplace = False
    try:
        return LRP(model).attribute(x.clone(), target=0)
    finally:
        for layer in relus:
            layer.inplace = True


def zennit(name: str, *settings: float) -> Method:
    def method(model: nn.Module, x: Tensor) -> Tensor:
        from zennit import composites, rules, types

        if name == "EpsilonGammaBox":
            composite = composites.EpsilonGammaBox(*settings)
        else:
            layers = [*composites.layer_map_base(), (types.Linear, rules.Epsilon(*settings))]
            composite = composites.LayerMapComposite(layers)
        leaf = x.detach().clone().requires_grad_()
        with composite.context(model) as hooked:
            output = hooked(leaf)
            seed = torch.zeros_like(output)
            seed[:, 0] = output[:, 0].detach()
            return torch.autograd.grad(output, leaf, seed)[0]

    return method


EPSILON, BOX = lrp.Epsilon(1e-6), lrp.epsilon_gamma_box(LOW, HIGH)
BASE = "gradient x input"
METHODS: dict[str, Method] = {
    BASE: gradient_times_input,
    "epsilon": engine(EPSILON),
    "epsilon, ledger": engine(EPSILON, True),
    "epsilon-gamma-box": engine(BOX),
    "epsilon-gamma-box, ledger": engine(BOX, True),
    "captum epsilon": captum_epsilon,
    "zennit epsilon": zennit("Epsilon", 1e-6),
    "zennit epsilon-gamma-box": zennit("EpsilonGammaBox", LOW, HIGH),
}


def vgg16() -> nn.Module:
    """Random weights by He's rule, so that signals live; made without a transient copy."""
    torch.manual_seed(0)
    with torch.device("meta"):
        model = models.vgg16(weights=None)
    model = model.to_empty(device="cpu").eval()
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.normal_(layer.bias, std=0.01)
    return model


def pictures(batch: int) -> Tensor:
    generator = torch.Generator().manual_seed(batch)
    return torch.rand(batch, 3, 224, 224, generator=generator) * (HIGH - LOW) + LOW


# --------------------------------------------------------------------------- cost and memory


def cost(batches: list[int], rounds: int, peers: bool) -> None:
    model = vgg16()
    methods = {n: m for n, m in METHODS.items() if peers or not n.startswith(("captum", "zennit"))}
    for batch in batches:
        x = pictures(batch)
        for method in methods.values():
            method(model, pictures(1))  # first calls import and allocate
        times = [{n: cpu_seconds(m, model, x) for n, m in methods.items()} for _ in range(rounds)]
        for name in methods:
            ratios = [one[name] / one[BASE] for one in times]
            seconds = statistics.median(one[name] for one in times)
            say("cost", round(statistics.median(ratios), 3), "x gradient x input", method=name,
                batch=batch, cpu_seconds=round(seconds, 3), rounds=rounds,
                range=[round(min(ratios), 3), round(max(ratios), 3)])  # fmt: skip


def cpu_seconds(method: Method, model: nn.Module, x: Tensor) -> float:
    start = time.process_time()
    method(model, x)
    return time.process_time() - start


def memory(batch: int, peers: bool) -> None:
    increments: dict[str, float] = {}
    for name in METHODS:
        if peers or not name.startswith(("captum", "zennit")):
            increments[name] = in_a_fresh_process(name, batch)
            say("memory", round(increments[name] / increments[BASE], 3), "x gradient x input's",
                method=name, batch=batch, MiB=round(increments[name] / 2**20))  # fmt: skip


def in_a_fresh_process(name: str, batch: int) -> float:
    command = [sys.executable, __file__, "increment", "--method", name, "--batches", str(batch)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.strip().splitlines()[-1])


def increment(name: str, batch: int) -> None:
    """Bytes that the call adds to what is resident before it, at their peak."""
    model, x = vgg16(), pictures(batch)
    METHODS[name](model, pictures(1))
    before = forget_peak()
    METHODS[name](model, x)
    print(status("VmHWM") - before)


def forget_peak() -> int:
    """Resident bytes now; the kernel's high-water mark starts from here."""
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) * 1024


# --------------------------------------------------------------------------- right or wrong


def verdict(relevance: Callable[[], tuple[Tensor, ...]], oracle: tuple[Tensor, ...]) -> str:
    """'right' within a thousandth of the largest value; else how far off, or the error."""
    try:
        ours = relevance()
    except Exception as error:
        return f"error: {type(error).__name__}: {str(error).strip().splitlines()[0][:90]}"
    if any(r is None for r in ours):
        return "error: no gradient"
    scale = max(float(o.abs().max()) for o in oracle)
    off = max(float((r - o).abs().max()) for r, o in zip(ours, oracle, strict=True)) / scale
    return "right" if off <= 1e-3 else f"wrong: off by {off:.2g} x the largest relevance"


def by_engine(model: nn.Module, inputs: tuple[Tensor, ...], index: Any) -> tuple[Tensor, ...]:
    given = inputs[0] if len(inputs) == 1 else inputs
    ours = lrp.relevance(model, given, index, lrp.Epsilon(0.0))
    return ours if isinstance(ours, tuple) else (ours,)


def by_captum(model: nn.Module, inputs: tuple[Tensor, ...], index: Any) -> tuple[Tensor, ...]:
    from captum.attr import LRP

    return tuple(LRP(model).attribute(tuple(x.clone() for x in inputs), target=index))


def by_zennit(model: nn.Module, inputs: tuple[Tensor, ...], index: Any) -> tuple[Tensor, ...]:
    """With the canonizer that folds batch norms."""
    from zennit import canonizers, composites, rules, types

    layers = [*composites.layer_map_base(1e-9), (types.Linear, rules.Epsilon(1e-9))]
    fold = [canonizers.SequentialMergeBatchNorm()]
    composite = composites.LayerMapComposite(layers, canonizers=fold)
    leaves = [x.clone().requires_grad_() for x in inputs]
    with composite.context(model) as hooked:
        output = hooked(*leaves)
        explained = output if index is None else output[:, index]
        return torch.autograd.grad(explained, leaves, explained.detach())


PEERS = {"explainrec_lab": by_engine, "captum": by_captum, "zennit": by_zennit}


def cases() -> None:
    from oracles import test_lrp_programs as programs

    counts = dict.fromkeys(PEERS, 0)
    table = {name: _piecewise(programs, make) for name, make in programs.PIECEWISE.items()}
    table |= {name: _with_twin(programs, case) for name, case in programs.CASES.items()}
    for name, (make, inputs, oracle) in table.items():
        verdicts = {}
        for peer, relevance in PEERS.items():
            model = make()
            index = 1 if model(*inputs).dim() > 1 else None
            verdicts[peer] = verdict(lambda: relevance(model, inputs, index), oracle)  # noqa: B023
            counts[peer] += verdicts[peer] == "right"
        say("case", verdicts["explainrec_lab"], "verdict", case=name, **verdicts)
    for peer, right in counts.items():
        say("cases", right, f"right of {len(table)}", method=peer)


def _piecewise(programs: Any, make: Any) -> tuple[Any, tuple[Tensor, ...], tuple[Tensor, ...]]:
    model, x = programs.made(make), programs.image()
    return lambda: programs.made(make), (x,), programs.gradient_times_input(model, x)


def _with_twin(programs: Any, case: Any) -> tuple[Any, tuple[Tensor, ...], tuple[Tensor, ...]]:
    model, inputs = programs.made(case.program), case.inputs()
    oracle = programs.gradient_times_input(lambda *x: case.twin(model, *x), *inputs)
    return lambda: programs.made(case.program), inputs, oracle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["cost", "memory", "cases", "increment"])
    parser.add_argument("--batches", type=int, nargs="+", default=None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without-peers", action="store_true", help="in cost and memory")
    parser.add_argument("--method", choices=METHODS, help="of `increment`, which `memory` calls")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=UserWarning)
    if asked.what == "cost":
        cost(asked.batches or [1, 4, 16], asked.rounds, not asked.without_peers)
    elif asked.what == "memory":
        memory((asked.batches or [16])[0], not asked.without_peers)
    elif asked.what == "increment":
        increment(asked.method, asked.batches[0])
    else:
        cases()


if __name__ == "__main__":
    main()
