"""What chapter 3 costs: a picture through the network, its maps and boxes, an epoch of each ranker.

All of a kind are measured in one process, taking turns, in CPU time; the median is printed, one
JSON line a result, beside its ratio to the first. Maps stand over one forward and backward pass of
the network; its weights are random, which does not change the cost of Grad-AAM's maps, though boxes
of trained networks are smaller. Rankers stand over VBPR, on features drawn at random. Networks
stand over the paper's kind at a laptop's size, a VGG-11 of a quarter of its width with batch norm.

    python benchmarks/saers.py forward
    python benchmarks/saers.py maps
    python benchmarks/saers.py maps --backbone resnet50 --width 1 --size 224 --stride 32 --batch 4
    python benchmarks/saers.py training --batch 256
"""

import argparse
from functools import partial

import torch
from captum.attr import LayerGradCam
from measure import Action, in_turns, say

from explainrec_lab import data, saers, vision
from explainrec_lab.baselines.visual import BPRMF, VBPR, DeepStyle, Ranker
from explainrec_lab.saers.train import ranking_losses
from explainrec_lab.settings import Network

APPLYING = 3
"""Attributes of a typical picture."""

ITEMS, SHOPPERS, D, M = 2500, 1500, 32, 128

Runs = dict[str, Action]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=RUNS)
    parser.add_argument("--backbone", default="compact")
    parser.add_argument("--width", type=float, default=1.0)
    for name, usual in {"stride": 8, "size": 64, "batch": 64, "repeats": 7, "threads": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=usual)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    medians = in_turns(RUNS[asked.what](asked), asked.repeats).median()
    for name, median in medians.items():
        ratio = round(median / medians.iloc[0], 2)
        say(name, round(median, 5), "CPU-seconds", ratio=ratio, **vars(asked))


def forward(asked: argparse.Namespace) -> Runs:
    """The paper's kind of network and ours, whose scales are folded into its filters."""
    networks = {"VGG-11, batch norm": ("vgg11", 0.25, "batch"), "ours": ("compact", 1.0, "weights")}
    images, runs = torch.rand(asked.batch, 3, asked.size, asked.size), {}
    for name, (backbone, width, norm) in networks.items():
        settings = Network(size=asked.size, backbone=backbone, width=width, norm=norm)
        network = vision.folded(vision.naming.untrained(settings))
        runs[name] = torch.no_grad()(partial(network, images))
    return runs


def maps(asked: argparse.Namespace) -> Runs:
    """Maps and boxes; relevance for the few attributes that apply to a picture."""
    own = vision.backbone(
        asked.backbone,
        asked.width,
        grid=asked.size // asked.stride,
        stride=asked.stride,
        norm="weights" if asked.backbone == "compact" else None,
    )
    network = vision.folded(vision.naming.Naming(own))
    images = torch.rand(asked.batch, 3, asked.size, asked.size)
    pictures, twelve = (255 * images).byte(), torch.ones(len(images), 12, dtype=torch.bool)
    few = twelve & (torch.arange(12) < APPLYING)
    oracle = LayerGradCam(network, network.network.convolutions)

    def once() -> object:
        leaf = images.clone().requires_grad_()
        return torch.autograd.grad(network(leaf).sum(), leaf)

    def captum() -> object:
        columns = saers.look(network, pictures, twelve).columns
        return [oracle.attribute(images, columns[:, a]) for a in range(12)]

    return {
        "forward and backward": once,
        "Grad-AAM, 12 maps": lambda: saers.grad_aam_maps(saers.look(network, pictures, twelve)),
        "Grad-AAM, 12 maps and boxes": lambda: saers.PAPER(saers.look(network, pictures, twelve)),
        "captum, 12 maps on the grid": captum,
        f"ours, {APPLYING} maps and boxes": lambda: saers.OURS(saers.look(network, pictures, few)),
    }


def training(asked: argparse.Namespace) -> Runs:
    """An epoch of each ranker on the same triples."""
    shop, rng = data.load("boutique", items=ITEMS, shoppers=SHOPPERS), torch.Generator()
    vectors = torch.randn(ITEMS, M, generator=rng)
    has = torch.from_numpy(shop.catalogue.attributes >= 0)
    features = torch.randn(*has.shape, M, generator=rng)
    whole = [saers.LinearFeature(vectors, D) for _ in range(2)]
    summed = saers.SAERS(SHOPPERS, features, has, whole[1], D, fusion="sum", bias=True)
    models: dict[str, Ranker] = {
        "VBPR": VBPR(SHOPPERS, vectors, D),
        "BPR-MF": BPRMF(SHOPPERS, ITEMS, D),
        "DeepStyle": DeepStyle(SHOPPERS, vectors, torch.arange(ITEMS) % 3, D),
        "SAERS": saers.SAERS(SHOPPERS, features, has, whole[0], D),
        "SAERS, a sum": summed,
    }
    batches = list(saers.Triples(data.leave_one_out(shop.interactions).train, asked.batch)(0))
    losses = ranking_losses(1e-4)

    def epoch(model: Ranker, optimiser: torch.optim.Optimizer) -> None:
        for batch in batches:
            loss = losses(model, batch).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    optimisers = {
        name: torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
        for name, model in models.items()
    }
    return {name: lambda name=name: epoch(models[name], optimisers[name]) for name in models}


RUNS = {"forward": forward, "maps": maps, "training": training}

if __name__ == "__main__":
    main()
