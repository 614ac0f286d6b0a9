"""What relevance costs, needs and gets right, beside gradient x input, captum and zennit.

    python benchmarks/relevance.py cost     # CPU time over gradient x input, VGG-16 at 224 pixels
    python benchmarks/relevance.py memory   # peak memory over gradient x input's increment
    python benchmarks/relevance.py cases    # small programs against exact LRP-0

One JSON line a result. Cost: all methods take turns in one process on one thread, and the ratio is
taken within each round; its median counts. Memory: a fresh process a measure, the kernel's
high-water mark of resident memory during the call minus what was resident before it (Linux only).
The oracles of `cases` are those of tests/oracles, where `test_lrp_zoo.py` covers torchvision.
"""

import argparse
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from captum.attr import LRP
from measure import Action, in_turns, say
from torch import Tensor, nn
from torchvision import models
from zennit import canonizers, composites, rules, types
from zennit.core import Composite

from explainrec_lab import lrp

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
LOW, HIGH = -2.5, 2.5
Inputs = tuple[Tensor, ...]
BATCHES = (1, 4, 16)
Method = Callable[[nn.Module, Tensor], object]


# --------------------------------------------------------------------------- methods


def gradient_times_input(model: nn.Module, x: Tensor) -> Tensor:
    leaf = x.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf)[:, 0].sum(), leaf)
    return leaf.detach() * gradient


def captum_epsilon(model: nn.Module, x: Tensor) -> Tensor:
    """Captum refuses in-place ReLUs: they are not in place while it runs."""
    relus = [layer for layer in model.modules() if isinstance(layer, nn.ReLU)]
    for layer in relus:
        layer.inplace = False
    try:
        return LRP(model).attribute(x.clone(), target=0)
    finally:
        for layer in relus:
            layer.inplace = True


def by_zennit(composite: Composite, model: nn.Module, inputs: Inputs, index: Any) -> Inputs:
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    with composite.context(model) as hooked:
        output = hooked(*leaves)
        explained = output if index is None else output[:, index]
        return torch.autograd.grad(explained, leaves, explained.detach())


def zennit_epsilon(epsilon: float) -> Composite:
    """With the canonizer that folds batch norms."""
    layers = [*composites.layer_map_base(epsilon), (types.Linear, rules.Epsilon(epsilon))]
    return composites.LayerMapComposite(layers, canonizers=[canonizers.SequentialMergeBatchNorm()])


EPSILON, BOX = lrp.Epsilon(1e-6), lrp.epsilon_gamma_box(LOW, HIGH)
ZENNIT_BOX = composites.EpsilonGammaBox(LOW, HIGH)
BASE = "gradient x input"
METHODS: dict[str, Method] = {
    BASE: gradient_times_input,
    "epsilon": lambda model, x: lrp.relevance(model, x, 0, EPSILON),
    "epsilon, ledger": lambda model, x: lrp.relevance(model, x, 0, EPSILON, ledger=True),
    "epsilon-gamma-box": lambda model, x: lrp.relevance(model, x, 0, BOX),
    "epsilon-gamma-box, ledger": lambda model, x: lrp.relevance(model, x, 0, BOX, ledger=True),
    "captum epsilon": captum_epsilon,
    "zennit epsilon": lambda model, x: by_zennit(zennit_epsilon(1e-6), model, (x,), 0),
    "zennit epsilon-gamma-box": lambda model, x: by_zennit(ZENNIT_BOX, model, (x,), 0),
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


def cost(rounds: int) -> None:
    model = vgg16()
    for batch in BATCHES:
        x = pictures(batch)
        runs: dict[str, Action] = {name: partial(m, model, x) for name, m in METHODS.items()}
        seconds = in_turns(runs, rounds)
        ratios = seconds.div(seconds[BASE], axis=0).round(3)
        for name in METHODS:
            some = {"method": name, "batch": batch, "rounds": rounds}
            some |= {
                "cpu_seconds": seconds[name].median(),
                "range": [*ratios[name].agg(["min", "max"])],
            }
            say("cost", ratios[name].median(), "x gradient x input", **some)


def memory() -> None:
    increments: dict[str, float] = {}
    for name in METHODS:
        increments[name] = in_a_fresh_process(name)
        ratio, size = increments[name] / increments[BASE], increments[name] / 2**20
        say("memory", round(ratio, 3), "x gradient x input's", method=name, MiB=round(size))


def in_a_fresh_process(name: str) -> float:
    command = [sys.executable, __file__, "increment", "--method", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.strip().splitlines()[-1])


def increment(name: str) -> None:
    """Bytes that the call adds to what is resident before it, at their peak."""
    model, x = vgg16(), pictures(BATCHES[-1])
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


def verdict(relevance: Callable[[], Inputs], oracle: Inputs) -> str:
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


def by_engine(model: nn.Module, inputs: Inputs, index: Any) -> Inputs:
    return lrp.relevance(model, inputs, index, lrp.Epsilon(0.0))


def by_captum(model: nn.Module, inputs: Inputs, index: Any) -> Inputs:
    return LRP(model).attribute(tuple(x.clone() for x in inputs), target=index)


PEERS: dict[str, Callable[[nn.Module, Inputs, Any], Inputs]] = {
    "explainrec_lab": by_engine,
    "captum": by_captum,
    "zennit": lambda *asked: by_zennit(zennit_epsilon(1e-9), *asked),
}


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


def _piecewise(programs: Any, make: Any) -> tuple[Any, Inputs, Inputs]:
    model, x = programs.made(make), programs.image()
    return lambda: programs.made(make), (x,), programs.gradient_times_input(model, x)


def _with_twin(programs: Any, case: Any) -> tuple[Any, Inputs, Inputs]:
    model, inputs = programs.made(case.program), case.inputs()
    oracle = programs.gradient_times_input(lambda *x: case.twin(model, *x), *inputs)
    return lambda: programs.made(case.program), inputs, oracle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["cost", "memory", "cases", "increment"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--method", choices=METHODS, help="of `increment`, which `memory` calls")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=UserWarning)
    if asked.what == "cost":
        cost(asked.rounds)
    elif asked.what == "increment":
        increment(asked.method)
    else:
        {"memory": memory, "cases": cases}[asked.what]()


if __name__ == "__main__":
    main()
