"""How large a chapter runs: `ci`, `cpu` or `gpu`, one frozen dataclass a chapter.

The numbers stand in `settings.toml`. `EXPLAINREC_SETTINGS` chooses; without it, `cpu`. `ci`
executes the whole book in minutes on two cores; `cpu` is for reading on a laptop. `gpu` has the
papers' networks and sizes: it is for `python -m experiments train`; the pages' sentences are about
the other two.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from explainrec_lab import training
from explainrec_lab.data.contracts import check_choice
from explainrec_lab.data.store import table_beside

if TYPE_CHECKING:
    from lightning_fabric import Fabric

NAMES = ("ci", "cpu", "gpu")


def _current() -> str:
    """Name of the settings in force.

    Raises:
        ValueError: EXPLAINREC_SETTINGS is set to something else.
    """
    name = os.environ.get("EXPLAINREC_SETTINGS") or "cpu"
    check_choice("EXPLAINREC_SETTINGS", name, NAMES)
    return name


@dataclass(frozen=True)
class Boutique:
    """The boutique's chapter: how many pictures, how large, how many shoppers."""

    name: str
    items: int
    shoppers: int
    size: int


@dataclass(frozen=True)
class RecoNet:
    """Chapter 2: size of the model and length of training."""

    name: str
    d: int
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float

    def optimisation(self, epochs: int | None = None) -> training.Optimisation:
        """How `training.fit` shall train, for these settings' number of epochs or another."""
        chosen = self.epochs if epochs is None else epochs
        return training.Optimisation(chosen, self.learning_rate, self.weight_decay)


@dataclass(frozen=True)
class Network:
    """The network that names what is on a picture; chapters 1 and 3 start from it.

    `ci` and `cpu` show the same one, which is in `weights`.

    Attributes:
        photos, size: labelled pictures of another boutique, and pixels of their side.
        backbone, width, norm, weights: see `vision.backbone`.
        stride: pixels of a cell of the last feature map.
        head: see `vision.naming.HEADS`; hidden: units of its hidden layer.
        epochs, learning_rate, batch_size: of its training.
    """

    photos: int = 8000
    size: int = 64
    backbone: str = "compact"
    width: float = 1.0
    norm: str | None = "weights"
    weights: str | None = None
    stride: int = 8
    head: str = "hidden"
    hidden: int = 192
    epochs: int = 16
    learning_rate: float = 2e-3
    batch_size: int = 32


@dataclass(frozen=True)
class Relation:
    """Chapter 1: its boutique, its network, the size of M(u), and the length of training.

    `ci` and `cpu` show the same model, which is in `weights`.

    Attributes:
        pairs: relations drawn for each group and kind; items, size: of the boutique.
        network: what it sees with.
        start: 'named' (the network has learned to name what is on pictures), or 'fresh'.
        features: 'classes' (the network's answers), or 'projection' to D numbers as in the paper.
        network_rate: the network's share of the learning rate.
        end_to_end: False keeps the network as it is at the start.
        D, metric, rank: see `relation.model`; D counts under 'projection' alone.
        batch_size: items in a batch.
        shrinkage: weight decay of the personal part of M(u).
    """

    name: str
    items: int
    pairs: int
    size: int
    epochs: int
    network: Network = Network()
    start: str = "named"
    features: str = "classes"
    learning_rate: float = 2e-3
    network_rate: float = 0.3
    batch_size: int = 64
    end_to_end: bool = True
    D: int = 100
    metric: str = "low rank"
    rank: int = 24
    shrinkage: float = 0.01


@dataclass(frozen=True)
class Saers(Boutique):
    """Chapter 3: its shop, the network that sees attributes, and the model of preferences.

    Attributes:
        items, shoppers, size: of the boutique whose items are recommended.
        d: size of the embeddings of users and items; `saers.train.TUNED` holds the rest.
        network: what sees the attributes.
    """

    d: int
    network: Network = Network()


Chapter = Boutique | RecoNet | Relation | Saers
KINDS = {"boutique": Boutique, "reconet": RecoNet, "relation": Relation, "saers": Saers}


def _sized(kind: Callable[..., Chapter], name: str, given: dict[str, Any]) -> Chapter:
    """The settings that the table gives a chapter in one size."""
    if own := given.get("network"):
        own |= {word: None for word, value in own.items() if value == ""}
        given = given | {"network": Network(**own)}
    return kind(name=name, **given)


# Chapter -> size -> settings.
SIZES = {
    chapter: {name: _sized(KINDS[chapter], name, given) for name, given in sizes.items()}
    for chapter, sizes in table_beside(__file__).items()
}


def settings(chapter: str) -> Chapter:
    """The settings of one chapter, in the size in force.

    Raises:
        ValueError: an unknown chapter, or an unknown size in EXPLAINREC_SETTINGS.
    """
    check_choice("chapter", chapter, SIZES)
    return SIZES[chapter][_current()]


def fabric() -> Fabric:
    """The device of the settings in force: one GPU under `gpu`, else one CPU process.

    Raises:
        ValueError: the settings are `gpu` and there is none.
    """
    if _current() != "gpu":
        return training.on_one("cpu")
    if not torch.cuda.is_available():
        raise ValueError("EXPLAINREC_SETTINGS is 'gpu', but torch finds no GPU: choose 'cpu'")
    return training.on_one("cuda")
