"""How large a chapter runs: `ci`, `cpu` or `gpu`, one frozen dataclass a chapter.

The numbers stand in `settings.toml`. `EXPLAINREC_SETTINGS` chooses; without it, `cpu`. `ci`
executes the whole book in minutes on two cores; `cpu` is for reading on a laptop. `gpu` has the
papers' networks and sizes: it is for `python -m experiments train`; the pages' sentences are about
the other two.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from explainrec_lab import training
from explainrec_lab.data.contracts import check_choice, require
from explainrec_lab.data.store import table_beside

if TYPE_CHECKING:
    from lightning_fabric import Fabric

NAMES = ("ci", "cpu", "gpu")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


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
    """The devices of the settings in force: GPUs under `gpu`, else CPU processes; one of them.

    More are asked for by EXPLAINREC_DEVICES (a number a machine, or 'auto': every GPU) and
    EXPLAINREC_NODES (machines); the script then starts itself again, once for each. Under torchrun,
    `fabric run` or srun there are as many as these started. EXPLAINREC_PRECISION: `PRECISIONS`.

    Raises:
        ValueError: rubbish in one of these, devices that are not there, two launchers at once,
            or several processes asked for in a notebook.
    """
    kind, precision = _accelerator(), os.environ.get("EXPLAINREC_PRECISION") or None
    check_choice("EXPLAINREC_PRECISION", precision or PRECISIONS[0], PRECISIONS)
    devices, nodes = _asked(kind)
    how = {"accelerator": kind, "devices": devices, "num_nodes": nodes, "precision": precision}
    return training.processes(_launcher(), **how)


def together() -> Fabric | None:
    """The processes that train together; None where there is one."""
    return fabric() if max(_asked(_accelerator())) > 1 else None


def _accelerator() -> str:
    """'cuda' under `gpu`, else 'cpu'. Raises ValueError: there is none."""
    if _current() != "gpu":
        return "cpu"
    if not torch.cuda.is_available():
        raise ValueError("EXPLAINREC_SETTINGS is 'gpu', but torch finds no GPU: choose 'cpu'")
    return "cuda"


def _launcher() -> str:
    """What started this process as one of several; '' where nothing did, or Fabric for us."""
    if os.environ.get("LT_CLI_USED") == "1":
        return "fabric run"
    return "torchrun" if "TORCHELASTIC_RUN_ID" in os.environ else "srun" * bool(training.tasks())


def _asked(kind: str) -> tuple[int, int]:
    """Processes a machine, and machines: as asked for, or as a launcher started them."""
    most = torch.cuda.device_count() if kind == "cuda" else max(2, os.cpu_count() or 1)
    if by := _launcher():
        here = _number("LOCAL_WORLD_SIZE" if by != "srun" else "SLURM_NTASKS_PER_NODE", None)
        there = here, training.started() // here
        asked = _number("EXPLAINREC_DEVICES", here), _number("EXPLAINREC_NODES", there[1])
        told = f"{by} started {there[0]} processes on each of {there[1]} machines, but {asked[0]}"
        require(asked == there, f"EXPLAINREC_DEVICES: {told} on {asked[1]} are asked for: unset it")
        nodes = int(os.environ.get("SLURM_NNODES") or 1)
        twice = f"srun and {by} both start processes: give srun one task a machine"
        require(by == "srun" or training.tasks() <= nodes, twice)
        return there
    every = most if kind == "cuda" else 1
    devices, nodes = _number("EXPLAINREC_DEVICES", 1, every), _number("EXPLAINREC_NODES", 1)
    told = f"EXPLAINREC_DEVICES is {devices}, but this machine has {most} {kind} devices"
    require(devices <= most, told)
    console = hasattr(sys, "ps1") or not hasattr(sys.modules["__main__"], "__file__")
    told = "EXPLAINREC_DEVICES: a notebook or console trains in one process: unset it, or run"
    alone = devices * nodes == 1
    require(alone or not console, f"{told} `python -m experiments train --help` in a terminal")
    told = f"EXPLAINREC_NODES is {nodes}: let torchrun or srun start it, or set MASTER_ADDR,"
    require(nodes == 1 or "NODE_RANK" in os.environ, f"{told} MASTER_PORT and NODE_RANK on each")
    return devices, nodes


def _number(name: str, usual: int | None, every: int | None = None) -> int:
    """A whole number of the environment; `usual` where it says nothing, or 'auto'."""
    told = os.environ.get(name) or str(usual or "")
    told = str(every or usual) if told == "auto" else told
    right = told.isascii() and told.isdigit() and int(told) > 0
    require(right, f"{name}: {told!r} must be a whole number from 1")
    return int(told)
