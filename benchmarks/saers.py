"""What twelve maps and boxes of a picture cost, over one forward and backward pass of the network.

All are measured in one process, taking turns, in CPU time; the median is printed, one JSON line a
result. The weights are random: they do not change the cost of Grad-AAM's maps, though boxes of
trained networks are smaller. Relevance is measured for one attribute and for the three or so that
apply to a picture.

    python benchmarks/saers.py
    python benchmarks/saers.py --backbone resnet50 --width 1 --size 224 --stride 32 --batch 4
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from captum.attr import LayerGradCam

from explainrec_boutique.vocabulary import SCHEMA
from explainrec_lab import saers, vision
from explainrec_lab.saers import locating

APPLYING = 3
"""Attributes of a typical picture."""


def main() -> None:
    asked = _arguments()
    torch.set_num_threads(asked.threads)
    network, images = _network(asked), torch.rand(asked.batch, 3, asked.size, asked.size)
    runs = _runs(network, images)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(asked.repeats + 1):
        for name, run in runs.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    medians = {name: statistics.median(each[1:]) for name, each in seconds.items()}
    for name, median in medians.items():
        ratio = median / medians["forward and backward"]
        result = {"benchmark": name, "seconds": round(median, 5), "over one pass": round(ratio, 2)}
        print(json.dumps(result | vars(asked)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="vgg11")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--stride", type=int, default=8)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=7, help="the median of these is printed")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _network(asked: argparse.Namespace) -> saers.SemanticExtraction:
    grid = asked.size // asked.stride
    own = vision.backbone(
        asked.backbone, asked.width, grid=grid, stride=asked.stride, batch_norm=asked.width < 1
    )
    return saers.SemanticExtraction(own, [len(each) for each in SCHEMA.classes.values()]).eval()


def _runs(
    network: saers.SemanticExtraction, images: torch.Tensor
) -> dict[str, Callable[[], object]]:
    """What takes turns."""
    pictures = (255 * images).byte()
    twelve = torch.ones(len(images), len(network.n_classes), dtype=torch.bool)
    few = twelve & (torch.arange(len(network.n_classes)) < APPLYING)
    oracle = LayerGradCam(network, network.network.convolutions)

    def once() -> object:
        leaf = images.clone().requires_grad_()
        return torch.autograd.grad(network(leaf).sum(), leaf)

    def boxes(locator: saers.Locator, asked: torch.Tensor) -> object:
        return locator(saers.look(network, pictures, asked))

    def captum() -> object:
        columns = saers.look(network, pictures, twelve).columns
        return [oracle.attribute(images, columns[:, a]) for a in range(columns.shape[1])]

    return {
        "forward and backward": once,
        "Grad-AAM, 12 maps": lambda: locating.grad_aam_maps(saers.look(network, pictures, twelve)),
        "Grad-AAM, 12 maps and boxes": lambda: boxes(saers.PAPER, twelve),
        "captum, 12 maps on the grid": captum,
        f"ours, {APPLYING} maps and boxes": lambda: boxes(saers.OURS, few),
    }


if __name__ == "__main__":
    main()
