"""What ImageNet is to the paper: weights to start from, learned on another shop's labels.

The paper starts from a network that has learned to classify ImageNet and goes on end to end; a
laptop cannot. Here the network first learns to name what is on the pictures of *another* boutique
(a different seed: no item, shopper or relation in common): attributes, category and colour family.

Source: LRP for explainable recommendations, §3.2 ("we use the pre-trained model to only initialize
the weights"). Not here: learning relations (`examples.py`, `recipe.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from explainrec_boutique.design import ItemFacts
from explainrec_lab.data.contracts import Catalogue
from explainrec_lab.settings import fabric
from explainrec_lab.training import History, Optimisation, fit
from explainrec_lab.vision.backbone import Backbone, flat_vectors
from explainrec_lab.vision.labels import Labelled, balanced_losses, labelled


class Naming(nn.Module):
    """A hidden layer on the network's vectors, then one linear classifier a question."""

    def __init__(self, network: Backbone, n_classes: list[int], hidden: int = 100) -> None:
        super().__init__()
        self.network, self.n_classes = network, n_classes
        self.head = nn.Sequential(
            nn.Linear(network.size, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, sum(n_classes)),
        )

    def forward(self, pictures: Tensor) -> tuple[Float[Tensor, "item class"], ...]:
        return self.head(flat_vectors(self.network, pictures)).split(self.n_classes, dim=1)


def labels_of(catalogue: Catalogue) -> Int[ndarray, "item question"]:
    """Class codes of the attributes (-1 = does not apply), the category and the colour family."""
    assert catalogue.attributes is not None
    facts = ItemFacts.of(catalogue.items, catalogue.attributes)
    return np.column_stack([facts.attributes, facts.category, facts.colour_family])


def naming_losses(model: nn.Module, batch: Labelled) -> Float[Tensor, " item"]:
    """Cross-entropy summed over questions; rare questions weigh as much as common ones."""
    return balanced_losses(model(batch.pictures), batch.labels)


def pretrain(
    network: Backbone,
    catalogue: Catalogue,
    epochs: int,
    learning_rate: float = 2e-3,
    batch_size: int = 32,
    seed: int = 0,
    *,
    progress: bool = False,
) -> History:
    """Teach the network, in place, to name what is on pictures.

    Args:
        catalogue: of a boutique, better another one than the one to be learned.

    Raises:
        ValueError: a catalogue without pictures.
    """
    if catalogue.images is None:
        raise ValueError("catalogue: it has no pictures to learn from")
    labels = labels_of(catalogue)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        naming = Naming(network, (labels.max(axis=0) + 1).tolist())
    images = catalogue.images[:]

    def batches(epoch: int) -> Iterator[Labelled]:
        yield from labelled(images, labels, batch_size, np.random.default_rng([seed, 3, epoch]))

    optimisation = Optimisation(epochs, learning_rate)
    history = fit(naming, batches, naming_losses, optimisation, fabric=fabric(), progress=progress)
    network.cpu()
    return history
