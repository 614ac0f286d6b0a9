"""What relevance costs beside gradient x input, captum's and zennit's: VGG-16 at 224 pixels.

    python benchmarks/relevance.py

And chapter 1's heatmaps of a pair, by its default rule, over forward passes of the two pictures;
and a vision transformer's, by AttnLRP and CP-LRP.

One JSON line a result. All methods take turns in one process on one thread, in CPU time, and the
ratio to gradient x input is taken within each round; its median counts. Who is right where is a
matter of tests: `tests/oracles/test_lrp_peers.py`, `test_lrp_programs.py`, `test_lrp_zoo.py`.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import cast

import torch
from captum.attr import LRP, InputXGradient
from measure import Action, in_turns, say
from torch import Tensor, nn
from torchvision import models
from zennit import composites, rules, types
from zennit.core import Composite

from explainrec_lab import lrp, relation
from explainrec_lab.settings import SIZES, Relation
from explainrec_lab.vision.homogeneous import default_rule, folded

LOW, HIGH = -2.5, 2.5
BATCHES = (1, 4, 16)
ROUNDS = 5


def by_zennit(composite: Composite, model: nn.Module, x: Tensor) -> Tensor:
    leaf = x.detach().clone().requires_grad_()
    with composite.context(model) as hooked:
        explained = hooked(leaf)[:, 0]
        return torch.autograd.grad(explained, leaf, explained.detach())[0]


LAYERS = [*composites.layer_map_base(1e-6), (types.Linear, rules.Epsilon(1e-6))]
ZENNIT_EPSILON = composites.LayerMapComposite(LAYERS)
EPSILON, BOX = lrp.Epsilon(1e-6), lrp.epsilon_gamma_box(LOW, HIGH)
ZENNIT_BOX = composites.EpsilonGammaBox(LOW, HIGH)
CP = lrp.Composite(rest=EPSILON, attention="CP-LRP")
BASE = "gradient x input"
Methods = dict[str, Callable[[nn.Module, Tensor], object]]
METHODS: Methods = {
    BASE: lambda model, x: InputXGradient(model).attribute(x.clone(), target=0),
    "epsilon": lambda model, x: lrp.relevance(model, x, 0, EPSILON),
    "epsilon, ledger": lambda model, x: lrp.relevance(model, x, 0, EPSILON, ledger=True),
    "epsilon-gamma-box": lambda model, x: lrp.relevance(model, x, 0, BOX),
    "epsilon-gamma-box, ledger": lambda model, x: lrp.relevance(model, x, 0, BOX, ledger=True),
    "captum epsilon": lambda model, x: LRP(model).attribute(x.clone(), target=0),
    "zennit epsilon": partial(by_zennit, ZENNIT_EPSILON),
    "zennit epsilon-gamma-box": partial(by_zennit, ZENNIT_BOX),
}


ATTENTION = {BASE: METHODS[BASE], "AttnLRP": METHODS["epsilon"]}
ATTENTION["CP-LRP"] = partial(lrp.relevance, output=0, rule=CP)


def of_a_pair(rounds: int) -> None:
    """Relevance of both pictures of a pair, under the settings `ci`."""
    model = folded(relation.untrained(cast(Relation, SIZES["relation"]["ci"]), 1))
    program, rule = partial(model, user=0, kind=0), default_rule(model)
    for batch in BATCHES:
        pair = tuple(torch.rand(2, batch, 3, 64, 64))
        forward = torch.no_grad()(partial(program, *pair))
        propagate = partial(lrp.relevance, program, pair, rule=rule)
        seconds = in_turns({"forward": forward, "LRP": propagate}, rounds)
        ratio = (seconds["LRP"] / seconds["forward"]).median().round(2)
        say("pair", ratio, "x two forward passes", batch=batch, rounds=rounds)


def compare(name: str, model: nn.Module, methods: Methods, *batches: int) -> None:
    """Cost of each method over gradient x input, a line a batch size."""
    for batch in batches:
        x = torch.rand(batch, 3, 224, 224) * (HIGH - LOW) + LOW
        runs: dict[str, Action] = {key: partial(m, model, x) for key, m in methods.items()}
        seconds = in_turns(runs, ROUNDS)
        ratios = seconds.div(seconds[BASE], axis=0).round(3)
        for method in methods:
            some = {"range": [*ratios[method].agg(["min", "max"])], "rounds": ROUNDS}
            some |= {"batch": batch, "cpu_seconds": seconds[method].median()}
            say(f"{name}, {method}", ratios[method].median(), "x gradient x input", **some)


def main() -> None:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=UserWarning)
    torch.manual_seed(0)
    of_a_pair(10 * ROUNDS)
    model = models.vgg16(weights=None).eval()  # random, by He's rule, so that signals live
    for layer in model.modules():
        if isinstance(layer, nn.ReLU):
            layer.inplace = False  # captum refuses those in place
    compare("vgg16", model, METHODS, *BATCHES)
    model = models.vit_b_16(weights=None).eval()
    nn.init.normal_(model.heads.head.weight)  # zeros would explain nothing
    compare("vit_b_16", model, ATTENTION, *BATCHES[:2])


if __name__ == "__main__":
    main()
