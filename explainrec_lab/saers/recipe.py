"""The Semantic Extraction Network from settings to weights: trained once, kept in the cache.

The paper trains it on two labelled data sets and then uses it on a shop without labels. Here the
labels come from *another* boutique (another seed: no item in common), and the shop whose items are
recommended is seen for the first time when its pictures are extracted.

Source: SAERS, §3.1 ("we borrow a fine-grained labeled data and pre-train").
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch

from explainrec_boutique.vocabulary import SCHEMA
from explainrec_lab import data, weights
from explainrec_lab.data.contracts import Catalogue, Schema
from explainrec_lab.saers.network import Lesson, SemanticExtraction, lesson_losses
from explainrec_lab.settings import Saers, fabric
from explainrec_lab.training import History, Optimisation, fit
from explainrec_lab.vision.backbone import backbone
from explainrec_lab.vision.labels import Labelled, class_weights, labelled

NAME = "saers"
"""Of the network's file in `weights`."""

RECIPE_VERSION = 1
"""Part of the cache's key: raise it when the same settings give another network."""

LABELLED_SHOP = 1000
"""Added to the seed: the shop whose labels are learned."""

SEEING = (
    "size",
    "photos",
    "backbone",
    "width",
    "stride",
    "head",
    "hidden",
    "batch_norm",
    "epochs",
    "learning_rate",
    "batch_size",
)
"""The settings that the network depends on."""


def labelled_shop(settings: Saers, seed: int = 0) -> Catalogue:
    """Pictures with attribute labels: another boutique than the one with the shoppers."""
    return data.load(
        "boutique", items=settings.photos, size=settings.size, seed=LABELLED_SHOP + seed
    ).catalogue


def untrained_network(
    settings: Saers, seed: int = 0, schema: Schema = SCHEMA
) -> SemanticExtraction:
    """The network of a profile with random weights, or ImageNet's if the profile asks for them.

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


def trained_network(
    settings: Saers, seed: int = 0, *, progress: bool = False
) -> SemanticExtraction:
    """The network of a profile: read from the package or the cache, else trained and kept there."""
    network = untrained_network(settings, seed)

    def learn() -> float:
        shop = labelled_shop(settings, seed)
        assert shop.images is not None
        shop.images[:]  # drawing is not training
        begin = time.process_time()
        train(network, shop, settings, seed, progress=progress)
        return time.process_time() - begin

    chosen = recipe(settings, seed, network.network.origin)
    network.seconds = weights.trained(network, NAME, chosen, learn)
    return network.eval()


def train(
    network: SemanticExtraction,
    catalogue: Catalogue,
    settings: Saers,
    seed: int = 0,
    *,
    balanced: bool = False,
    progress: bool = False,
) -> History:
    """Fit in place by Adam, on the device of the profile in force; it comes back to the CPU.

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
    lesson, on = Lesson(network), fabric()
    counting = class_weights(labels, network.n_classes) if balanced else None
    if counting is not None:
        counting = [each.to(on.device) for each in counting]
    losses = partial(lesson_losses, weights=counting)
    history = fit(lesson, batches, losses, optimisation, fabric=on, progress=progress)
    network.cpu()
    return history
