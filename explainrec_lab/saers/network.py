"""The Semantic Extraction Network: twelve questions about one picture.

A convolutional network gives the last feature map F; one head answers for each attribute which
class it has, and one more output whether the attribute applies at all. Attributes that do not
apply cost nothing in the loss, and rare ones weigh as much as common ones.

Source: SAERS, §3.1, Eq. 1. The paper trains one softmax an attribute and does not say what an
attribute that a picture lacks is taught; masks, weights and the question "does it apply?" are ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn

from explainrec_lab.data.contracts import DOES_NOT_APPLY
from explainrec_lab.training import fast_half
from explainrec_lab.vision.backbone import Backbone, pixels
from explainrec_lab.vision.labels import Labelled, balanced_losses

HEADS = ("pooled", "linear", "hidden")
"""From F to the answers: linear on its mean (a ResNet's own), on all cells, or a hidden layer."""

HIDDEN = 100
"""Size of the hidden layer."""


class SemanticExtraction(nn.Module):
    """Pixels in 0..1 -> the last feature map F -> a logit for each class of each attribute.

    Attributes:
        network: gives F; its `grid` is the side of F.
        n_classes: classes of each attribute.
        seconds: CPU seconds of training, once trained.
    """

    def __init__(self, network: Backbone, n_classes: Sequence[int], head: str = "hidden") -> None:
        super().__init__()
        self.network, self.n_classes = network, list(n_classes)
        self.head = _head(head, network, sum(self.n_classes) + len(self.n_classes))
        self.seconds = 0.0

    def maps(self, images: Float[Tensor, "item 3 h w"]) -> Float[Tensor, "item channel row column"]:
        """F, the last feature map."""
        return self.network.maps(images)

    def answers(
        self, maps: Float[Tensor, "item channel row column"]
    ) -> tuple[Float[Tensor, "item class"], Float[Tensor, "item attribute"]]:
        """Logits of all classes, one attribute after the other, and of 'it applies'."""
        scores = self.head(maps)
        classes, applies = scores.split([sum(self.n_classes), len(self.n_classes)], dim=1)
        return classes, applies

    def forward(self, images: Float[Tensor, "item 3 h w"]) -> Float[Tensor, "item class"]:
        """Logits of all classes, one attribute after the other."""
        return self.answers(self.maps(images))[0]

    def predicted(self, classes: Float[Tensor, "item class"]) -> Int[Tensor, "item attribute"]:
        """The most likely class of each attribute, whether it applies or not."""
        own = classes.split(self.n_classes, dim=1)
        return torch.stack([each.argmax(dim=1) for each in own], dim=1)

    def columns(self, codes: Int[Tensor, "item attribute"]) -> Int[Tensor, "item attribute"]:
        """Where the logits of these classes stand among all.

        Raises:
            ValueError: a code that is no class of its attribute.
        """
        limits = torch.tensor(self.n_classes, device=codes.device)
        bad = ((codes < 0) | (codes >= limits)).nonzero()
        if len(bad):
            item, attribute = bad[0].tolist()
            raise ValueError(
                f"codes: {int(codes[item, attribute])} is no class of attribute {attribute} "
                f"(0..{self.n_classes[attribute] - 1}), at item {item}"
            )
        return codes + (limits.cumsum(0) - limits)


def _head(kind: str, network: Backbone, answers: int) -> nn.Sequential:
    """From F to the answers. Raises ValueError for an unknown kind."""
    if kind == "pooled":
        mean = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return nn.Sequential(*mean, nn.Linear(network.channels, answers))
    if kind == "linear":
        return nn.Sequential(nn.Flatten(), nn.Linear(network.size, answers))
    if kind != "hidden":
        raise ValueError(f"head: {kind!r}; choose from {', '.join(HEADS)}")
    hidden = (nn.Linear(network.size, HIDDEN), nn.BatchNorm1d(HIDDEN), nn.ReLU())
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(HIDDEN, answers))


def classification_losses(
    classes: Sequence[Float[Tensor, "item class"]],
    labels: Int[Tensor, "item attribute"],
    weights: Sequence[Float[Tensor, " class"]] | None = None,
) -> Float[Tensor, " item"]:
    """-log p of the true classes, summed over the attributes that apply; rare ones weigh more.

    Args:
        weights: of the classes of each attribute; all 1 by default.

    Source: SAERS, Eq. 1, with weights.
    """
    return balanced_losses(classes, labels, weights)


class Lesson(nn.Module):
    """The network as training asks it: uint8 pictures in, all answers out."""

    def __init__(self, network: SemanticExtraction) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, pictures: UInt8[Tensor, "item 3 h w"]
    ) -> tuple[list[Float[Tensor, "item class"]], Float[Tensor, "item attribute"]]:
        """Logits of the classes, attribute by attribute, and of 'it applies'."""
        with fast_half(pictures.device):
            classes, applies = self.network.answers(self.network.maps(pixels(pictures)))
        return list(classes.float().split(self.network.n_classes, dim=1)), applies.float()


def lesson_losses(
    model: nn.Module, batch: Labelled, weights: Sequence[Float[Tensor, " class"]] | None = None
) -> Float[Tensor, " item"]:
    """Eq. 1, perhaps with weights of classes, and the cross-entropy of 'it applies'."""
    classes, applies = model(batch.pictures)
    own = classification_losses(classes, batch.labels, weights)
    return own + applying_losses(applies, batch.labels != DOES_NOT_APPLY)


def applying_losses(
    logits: Float[Tensor, "item attribute"], applies: Bool[Tensor, "item attribute"]
) -> Float[Tensor, " item"]:
    """Cross-entropy of 'it applies', summed over attributes."""
    each = F.binary_cross_entropy_with_logits(logits, applies.float(), reduction="none")
    return each.sum(dim=1)
