"""What chapter 3's maps and boxes of a picture cost; what training costs is in its records.

All are measured in one process, taking turns, in CPU time; the median is printed, one JSON line a
result, beside its ratio to one forward and backward pass of the network. Its weights are random,
which does not change the cost of Grad-AAM's maps, though boxes of trained networks are smaller. A
forward pass alone stands beside that of the paper's kind of network at a laptop's size.

    python benchmarks/saers.py
"""

import torch
from captum.attr import LayerGradCam
from measure import Action, in_turns, say

from explainrec_lab import saers, vision
from explainrec_lab.settings import Network

BATCH, ROUNDS = 64, 7
APPLYING = 3  # attributes of a typical picture


def main() -> None:
    torch.set_num_threads(1)
    medians = in_turns(maps(), ROUNDS).median()
    for name, median in medians.items():
        ratio = round(median / medians.iloc[0], 2)
        say(name, round(median, 5), "CPU-seconds", ratio=ratio, batch=BATCH, rounds=ROUNDS)


def maps() -> dict[str, Action]:
    """Maps and boxes; relevance for the few attributes that apply to a picture."""
    settings = Network()
    network = vision.folded(vision.naming.untrained(settings)).eval()
    vgg = vision.naming.untrained(Network(backbone="vgg11", width=0.25, norm="batch")).eval()
    images = torch.rand(BATCH, 3, settings.size, settings.size)
    pictures, twelve = (255 * images).byte(), torch.ones(len(images), 12, dtype=torch.bool)
    few = twelve & (torch.arange(12) < APPLYING)
    oracle = LayerGradCam(network, network.network.convolutions)

    def once() -> object:
        leaf = images.clone().requires_grad_()
        return torch.autograd.grad(network(leaf).sum(), leaf)

    def captum() -> object:
        columns = saers.look(network, pictures, twelve).columns
        return [oracle.attribute(images, columns[:, a]) for a in range(12)]

    forward = torch.no_grad()(lambda model: model(images))
    return {
        "forward and backward": once,
        "forward": lambda: forward(network),
        "forward, VGG-11 with batch norm": lambda: forward(vgg),
        "Grad-AAM, 12 maps": lambda: saers.grad_aam_maps(saers.look(network, pictures, twelve)),
        "Grad-AAM, 12 maps and boxes": lambda: saers.PAPER(saers.look(network, pictures, twelve)),
        "captum, 12 maps on the grid": captum,
        f"ours, {APPLYING} maps and boxes": lambda: saers.OURS(saers.look(network, pictures, few)),
    }


if __name__ == "__main__":
    main()
