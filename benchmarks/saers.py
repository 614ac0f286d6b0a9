"""What chapter 3's maps and boxes of a picture cost; what training costs is in its records.

All are measured in one process, taking turns, in CPU time; the median is printed, one JSON line a
result, beside its ratio to one forward and backward pass of the network. Its weights are random,
which does not change the cost of Grad-AAM's maps, though boxes of trained networks are smaller. A
forward pass alone stands beside that of the paper's kind of network at a laptop's size.

    python benchmarks/saers.py
    python benchmarks/saers.py --backbone resnet50 --width 1 --size 224 --stride 32 --batch 4
"""

import argparse

import torch
from captum.attr import LayerGradCam
from measure import Action, in_turns, say

from explainrec_lab import saers, vision
from explainrec_lab.settings import Network

APPLYING = 3  # attributes of a typical picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="compact")
    parser.add_argument("--width", type=float, default=1.0)
    for name, usual in {"stride": 8, "size": 64, "batch": 64, "repeats": 7, "threads": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=usual)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    medians = in_turns(maps(asked), asked.repeats).median()
    for name, median in medians.items():
        ratio = round(median / medians.iloc[0], 2)
        say(name, round(median, 5), "CPU-seconds", ratio=ratio, **vars(asked))


def maps(asked: argparse.Namespace) -> dict[str, Action]:
    """Maps and boxes; relevance for the few attributes that apply to a picture."""
    own = vision.backbone(
        asked.backbone,
        asked.width,
        grid=asked.size // asked.stride,
        stride=asked.stride,
        norm="weights" if asked.backbone == "compact" else None,
    )
    network = vision.folded(vision.naming.Naming(own)).eval()
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

    vgg = vision.naming.untrained(
        Network(size=asked.size, backbone="vgg11", width=0.25, norm="batch")
    )
    forward = torch.no_grad()(lambda model: model(images))
    return {
        "forward and backward": once,
        "forward": lambda: forward(network),
        "forward, VGG-11 with batch norm": lambda: forward(vgg.eval()),
        "Grad-AAM, 12 maps": lambda: saers.grad_aam_maps(saers.look(network, pictures, twelve)),
        "Grad-AAM, 12 maps and boxes": lambda: saers.PAPER(saers.look(network, pictures, twelve)),
        "captum, 12 maps on the grid": captum,
        f"ours, {APPLYING} maps and boxes": lambda: saers.OURS(saers.look(network, pictures, few)),
    }


if __name__ == "__main__":
    main()
