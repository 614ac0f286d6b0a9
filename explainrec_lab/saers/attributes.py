"""The Semantic Extraction Network: twelve questions about one picture, learned from labels.

A convolutional network gives the last feature map F; one head answers for each attribute which
class it has, and one more output whether the attribute applies at all. Attributes that do not
apply cost nothing in the loss, and rare ones weigh as much as common ones.

The paper trains the network on two labelled data sets and then uses it on a shop without labels.
Here the labels come from *another* boutique (another seed: no item in common).

Source: SAERS, §3.1, Eq. 1. The paper trains one softmax an attribute and does not say what an
attribute that a picture lacks is taught; masks, weights and the question "does it apply?" are ours.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray
from torch import Tensor, nn

from explainrec_boutique.vocabulary import SCHEMA
from explainrec_lab import data, weights
from explainrec_lab.data.contracts import DOES_NOT_APPLY, Catalogue, Schema
from explainrec_lab.settings import Saers, fabric
from explainrec_lab.training import History, Optimisation, fast_half, fit
from explainrec_lab.vision.backbone import Backbone, backbone, pixels
from explainrec_lab.vision.labels import Labelled, balanced_losses, class_weights, labelled

HEADS = ("pooled", "linear", "hidden")
"""From F to the answers: linear on its mean (a ResNet's own), on all cells, or a hidden layer."""

NAME = "saers"
"""Of the network's file in `weights`."""

RECIPE_VERSION = 1
"""Part of the recipe: raise it when the same settings give another network."""

LABELLED_SHOP = 1000
"""Added to the seed: the shop whose labels are learned."""

SEEING = (
    *("size", "photos", "backbone", "width", "stride", "head", "hidden", "batch_norm"),
    *("epochs", "learning_rate", "batch_size"),
)
"""The settings that the network depends on."""


# --------------------------------------------------------------------------- the network


class SemanticExtraction(nn.Module):
    """Pixels in 0..1 -> the last feature map F -> a logit for each class of each attribute.

    Attributes:
        network: gives F; its `grid` is the side of F.
        n_classes: classes of each attribute.
        seconds: CPU seconds of training, once trained.
    """

    def __init__(
        self, network: Backbone, n_classes: Sequence[int], head: str = "hidden", hidden: int = 32
    ) -> None:
        super().__init__()
        self.network, self.n_classes = network, list(n_classes)
        self.head = _head(head, network, hidden, sum(self.n_classes) + len(self.n_classes))
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


def _head(kind: str, network: Backbone, hidden: int, answers: int) -> nn.Sequential:
    """From F to the answers. Raises ValueError for an unknown kind."""
    if kind == "pooled":
        mean = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return nn.Sequential(*mean, nn.Linear(network.channels, answers))
    if kind == "linear":
        return nn.Sequential(nn.Flatten(), nn.Linear(network.size, answers))
    if kind != "hidden":
        raise ValueError(f"head: {kind!r}; choose from {', '.join(HEADS)}")
    layer = (nn.Linear(network.size, hidden), nn.BatchNorm1d(hidden), nn.ReLU())
    return nn.Sequential(nn.Flatten(), *layer, nn.Linear(hidden, answers))


# --------------------------------------------------------------------------- looking


@dataclass(frozen=True)
class Seen:
    """A batch as the network saw it, and which of its attributes are asked for.

    Attributes:
        images: pixels in 0..1.
        maps: F.
        predicted: the most likely class of each attribute.
        asked: the attributes that apply, or are said to.
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


@torch.no_grad()
def look(
    network: SemanticExtraction,
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
    if network.training:
        raise ValueError("network: is in training mode; call network.eval() first")
    if pictures.ndim != 4 or pictures.shape[1] != 3:
        raise ValueError(f"images: shape {tuple(pictures.shape)}; needs [item, 3, height, width]")
    device = next(network.parameters()).device
    images = pixels(pictures).to(device)
    maps = network.maps(images)
    classes, there = network.answers(maps)
    asked = there > 0 if applies is None else torch.as_tensor(applies).to(device).bool()
    blank = (images.amax(dim=(-2, -1)) == images.amin(dim=(-2, -1))).all(dim=1)
    return Seen(network, images, maps, network.predicted(classes), asked & ~blank[:, None])


# --------------------------------------------------------------------------- learning


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


class _Lesson(nn.Module):
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


def _lesson_losses(
    lesson: nn.Module, batch: Labelled, weights: Sequence[Float[Tensor, " class"]] | None = None
) -> Float[Tensor, " item"]:
    """Eq. 1, perhaps with weights of classes, and the cross-entropy of 'it applies'."""
    classes, applies = lesson(batch.pictures)
    true = (batch.labels != DOES_NOT_APPLY).float()
    applying = F.binary_cross_entropy_with_logits(applies, true, reduction="none").sum(dim=1)
    return classification_losses(classes, batch.labels, weights) + applying


def train_network(
    network: SemanticExtraction,
    catalogue: Catalogue,
    settings: Saers,
    seed: int = 0,
    *,
    balanced: bool = False,
) -> History:
    """Fit in place by Adam, on the device of the settings in force; it comes back to the CPU.

    Args:
        balanced: all classes of an attribute count alike, however rare they are.

    Raises:
        ValueError: a catalogue without pictures or labels.
    """
    if catalogue.images is None or catalogue.attributes is None:
        raise ValueError("catalogue: needs pictures and attribute labels to learn from")
    images, labels = catalogue.images[:], catalogue.attributes

    def batches(epoch: int) -> Iterator[Labelled]:
        rng = np.random.default_rng([seed, 3, epoch])
        yield from labelled(images, labels, settings.batch_size, rng)

    optimisation = Optimisation(settings.epochs, settings.learning_rate)
    counting = class_weights(labels, network.n_classes) if balanced else None
    losses = partial(_lesson_losses, weights=counting)
    history = fit(_Lesson(network), batches, losses, optimisation, fabric=fabric())
    network.cpu().eval()
    return history


def labelled_shop(settings: Saers, seed: int = 0) -> Catalogue:
    """Pictures with attribute labels: another boutique than the one with the shoppers."""
    return data.load(
        "boutique", items=settings.photos, size=settings.size, seed=LABELLED_SHOP + seed
    ).catalogue


def untrained_network(
    settings: Saers, seed: int = 0, schema: Schema = SCHEMA
) -> SemanticExtraction:
    """The network of the settings with random weights, or ImageNet's if they ask for them.

    Args:
        schema: what it shall see; by default the boutique's attributes.
    """
    network = backbone(
        settings.backbone,
        settings.width,
        settings.weights,
        grid=settings.size // settings.stride,
        stride=settings.stride,
        batch_norm=settings.batch_norm,
        seed=seed,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        n_classes = [len(each) for each in schema.classes.values()]
        return SemanticExtraction(network, n_classes, settings.head, settings.hidden)


def recipe(settings: Saers, seed: int = 0, origin: str = "scratch") -> dict[str, Any]:
    """What the weights of the network depend on, besides the boutique's drawing."""
    chosen = {name: value for name, value in asdict(settings).items() if name in SEEING}
    return {"version": RECIPE_VERSION, "seed": seed, "origin": origin, **chosen}


def trained_network(settings: Saers, seed: int = 0) -> SemanticExtraction:
    """The network of the settings: from the package or the cache, else trained and kept there."""
    network = untrained_network(settings, seed)

    def learn() -> float:
        shop = labelled_shop(settings, seed)
        assert shop.images is not None
        shop.images[:]  # drawing is not training
        begin = time.process_time()
        train_network(network, shop, settings, seed)
        return time.process_time() - begin

    chosen = recipe(settings, seed, network.network.origin)
    network.seconds = weights.trained(network, NAME, chosen, learn)
    return network.eval()
