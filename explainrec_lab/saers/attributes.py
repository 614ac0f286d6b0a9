"""The Semantic Extraction Network, looking: which class of which attribute, and which apply.

The network is `vision.naming.Naming`: a convolutional network gives the last feature map F, and a
head the scores of the classes of each attribute (Eq. 1). Chapter 1 starts from the same one.

Source: SAERS, §3.1. The paper trains the network on two labelled data sets and then uses it on a
shop without labels; here the labels come from another boutique.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray
from torch import Tensor

from explainrec_lab.data.contracts import require
from explainrec_lab.settings import Saers
from explainrec_lab.vision import naming
from explainrec_lab.vision.backbone import pixels
from explainrec_lab.vision.homogeneous import folded
from explainrec_lab.vision.naming import Naming


def trained_network(settings: Saers, seed: int = 0) -> Naming:
    """The network of the settings, trained: folded into plain layers, ready to look."""
    return folded(naming.trained(settings.network, seed))


@dataclass(frozen=True)
class Seen:
    """A batch as the network saw it, and which of its attributes are asked for.

    Attributes:
        images: pixels in 0..1.
        maps: F.
        predicted: the most likely class of each attribute.
        asked: the attributes that apply, or are said to.
    """

    network: Naming
    images: Float[Tensor, "item 3 height width"]
    maps: Float[Tensor, "item channel row column"]
    predicted: Int[Tensor, "item attribute"]
    asked: Bool[Tensor, "item attribute"]

    @property
    def columns(self) -> Int[Tensor, "item attribute"]:
        """The scores of these classes among all."""
        return self.network.columns(self.predicted)


@torch.no_grad()
def look(
    network: Naming,
    pictures: UInt8[ndarray, "item 3 height width"] | Tensor,
    applies: Bool[ndarray, "item attribute"] | Tensor | None = None,
) -> Seen:
    """One batch through the network: F, the most likely classes, and which attributes apply.

    Which attributes apply is not said in the paper; here the network says it, unless the caller
    knows better. A picture of one colour (the stand-in of a missing photo) has no attribute.

    Raises:
        ValueError: a network in training mode, or pictures that are no uint8
            `[item, 3, height, width]`.
    """
    require(not network.training, "network: is in training mode; call network.eval() first")
    if pictures.ndim != 4 or pictures.shape[1] != 3:
        raise ValueError(f"images: shape {tuple(pictures.shape)}; needs [item, 3, height, width]")
    device = next(network.parameters()).device
    images = pixels(pictures).to(device)
    maps = network.maps(images)
    classes, there = network.answers(maps)
    n = network.n_attributes
    predicted, there = network.predicted(classes)[:, :n], there[:, :n]
    asked = there > 0 if applies is None else torch.as_tensor(applies).to(device).bool()
    blank = (images.amax(dim=(-2, -1)) == images.amin(dim=(-2, -1))).all(dim=1)
    return Seen(network, images, maps, predicted, asked & ~blank[:, None])
