"""Ways to find the pixels of an attribute: the paper's, and ones that the boutique's truth prefers.

A `Locator` is two functions: one draws a map for each asked (picture, attribute), the other turns
maps into boxes. `PAPER` is Grad-AAM with the 20 % rule. `OURS` propagates relevance (chapter 1)
from the logit to the pixels of the picture and of its mirror image, and boxes the brightest half.

Source: SAERS, §3.1, for `PAPER`; the rest is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from explainrec_lab import lrp
from explainrec_lab.saers.activation import grad_aam, gradients_of, hires_aam, importance
from explainrec_lab.saers.network import SemanticExtraction
from explainrec_lab.saers.regions import (
    boxes_of,
    brightest,
    largest_region,
    segment,
    side_of,
    upsampled,
)

AT_A_TIME = 256
"""Pictures that relevance goes through together."""

BLUR = 1 / 32
"""Width of the blur of relevance, as a share of the picture's side."""


@dataclass(frozen=True)
class Seen:
    """A batch as the network saw it, and what shall be located.

    Attributes:
        images: pixels in 0..1.
        maps: F.
        predicted: the class to locate, for each attribute.
        asked: which attributes to locate.
    """

    network: SemanticExtraction
    images: Float[Tensor, "item 3 height width"]
    maps: Float[Tensor, "item channel row column"]
    predicted: Int[Tensor, "item attribute"]
    asked: Bool[Tensor, "item attribute"]

    @property
    def columns(self) -> Int[Tensor, "item attribute"]:
        """The logits of these classes among all."""
        return self.network.columns(self.predicted)


Mapper = Callable[[Seen], Float[Tensor, "asked height width"]]
Boxer = Callable[[Float[Tensor, "asked height width"]], Int[Tensor, "asked 4"]]


@dataclass(frozen=True)
class Locator:
    """How to find an attribute: `draw` its map, `frame` it."""

    draw: Mapper
    frame: Boxer

    def __call__(self, seen: Seen) -> Int[Tensor, "item attribute 4"]:
        """Boxes in pixels; the whole picture for what is not asked."""
        height, width = side_of(seen.images)
        whole = torch.tensor([0, 0, height, width], device=seen.asked.device)
        boxes = whole.expand(*seen.asked.shape, 4).clone()
        if bool(seen.asked.any()):
            boxes[seen.asked] = self.frame(self.draw(seen))
        return boxes


# --------------------------------------------------------------------------- maps


def grad_aam_maps(seen: Seen) -> Float[Tensor, "asked height width"]:
    """Eq. 2 and 3, upsampled to the picture."""
    alpha = importance(_gradients(seen))
    return _fine(grad_aam(seen.maps, alpha), seen)


def hires_maps(seen: Seen) -> Float[Tensor, "asked height width"]:
    """HiResCAM: no average over the cells."""
    return _fine(hires_aam(seen.maps, _gradients(seen)), seen)


def relevance_maps(
    seen: Seen, rule: lrp.Composite | None = None, *, mirrored: bool = True
) -> Float[Tensor, "asked height width"]:
    """Positive relevance of the asked logits at the pixels, blurred.

    Args:
        rule: by default z-box at the pixels, gamma in the convolutions, epsilon in the head.
        mirrored: add the relevance of the mirror image, mirrored back: no attribute depends on
            left and right, so what the two disagree on is noise.
    """
    item, attribute = seen.asked.nonzero(as_tuple=True)
    chosen = seen.columns[item, attribute]
    rule = rule or default_rule(seen.network)
    parts = []
    for some in torch.arange(len(item), device=item.device).split(AT_A_TIME):
        images, wanted = seen.images[item[some]], chosen[some]
        found = _relevance(seen.network, images, wanted, rule)
        if mirrored:
            found = found + _relevance(seen.network, images.flip(-1), wanted, rule).flip(-1)
        parts.append(found)
    return _blurred(torch.cat(parts))


def default_rule(network: SemanticExtraction) -> lrp.Composite:
    """z-box from black to white as the first convolution sees them, gamma, epsilon."""
    eyes = network.network
    return lrp.epsilon_gamma_box((0 - eyes.mean) / eyes.std, (1 - eyes.mean) / eyes.std)


def _relevance(
    network: SemanticExtraction, images: Tensor, columns: Tensor, rule: lrp.Composite
) -> Float[Tensor, "asked height width"]:
    """Relevance of one logit a picture, summed over colours."""
    found: Tensor = lrp.relevance(network, images, columns, rule)
    return found.sum(dim=1)


def _blurred(maps: Float[Tensor, "asked height width"]) -> Float[Tensor, "asked height width"]:
    sigma = BLUR * maps.shape[-1]
    width = 2 * round(3 * sigma) + 1
    return gaussian_blur(maps[:, None], [width, width], [sigma, sigma])[:, 0].relu()


def _gradients(seen: Seen) -> Float[Tensor, "item attribute channel row column"]:
    return gradients_of(lambda maps: seen.network.answers(maps)[0], seen.maps, seen.columns)


def _fine(
    maps: Float[Tensor, "item attribute row column"], seen: Seen
) -> Float[Tensor, "asked height width"]:
    return upsampled(maps[seen.asked][:, None], side_of(seen.images))[:, 0]


# --------------------------------------------------------------------------- boxes


def paper_frame(maps: Float[Tensor, "asked height width"]) -> Int[Tensor, "asked 4"]:
    """Above 20 % of the maximum, the largest connected region. Source: SAERS, §3.1."""
    return boxes_of(largest_region(segment(maps)))


def half_frame(maps: Float[Tensor, "asked height width"]) -> Int[Tensor, "asked 4"]:
    """Around the fewest pixels that hold half of the map: both sleeves, not the larger one."""
    return boxes_of(brightest(maps, 0.5))


PAPER = Locator(grad_aam_maps, paper_frame)
OURS = Locator(relevance_maps, half_frame)
