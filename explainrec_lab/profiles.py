"""How large a chapter runs: `ci`, `cpu` or `gpu`, one frozen dataclass a chapter.

`EXPLAINREC_PROFILE` chooses; without it, `gpu` where there is one, else `cpu`. `ci` executes the
whole book in minutes on two cores; `cpu` is for reading on a laptop; `gpu` is the full size.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from explainrec_lab import training

if TYPE_CHECKING:
    from lightning_fabric import Fabric

NAMES = ("ci", "cpu", "gpu")


def current() -> str:
    """Name of the profile in force.

    Raises:
        ValueError: EXPLAINREC_PROFILE is set to something else.
    """
    name = os.environ.get("EXPLAINREC_PROFILE") or ("gpu" if torch.cuda.is_available() else "cpu")
    if name not in NAMES:
        raise ValueError(f"EXPLAINREC_PROFILE: {name!r}; choose from {', '.join(NAMES)}")
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


PROFILES: dict[str, dict[str, Boutique | RecoNet]] = {
    "boutique": {
        "ci": Boutique("ci", items=300, shoppers=400, size=64),
        "cpu": Boutique("cpu", items=2500, shoppers=1500, size=64),
        "gpu": Boutique("gpu", items=10_000, shoppers=10_000, size=128),
    },
    "reconet": {
        "ci": RecoNet("ci", 64, 60, 128, 1e-2, 0.1),
        "cpu": RecoNet("cpu", 128, 120, 128, 1e-2, 0.12),
        "gpu": RecoNet("gpu", 128, 240, 128, 1e-2, 0.12),
    },
}


def profile(chapter: str) -> Boutique | RecoNet:
    """The settings of one chapter under the profile in force.

    Raises:
        ValueError: an unknown chapter, or an unknown profile in EXPLAINREC_PROFILE.
    """
    if chapter not in PROFILES:
        raise ValueError(f"chapter: {chapter!r}; choose from {', '.join(PROFILES)}")
    return PROFILES[chapter][current()]


def fabric() -> Fabric:
    """The device of the profile in force: one GPU under `gpu`, else one CPU process.

    Raises:
        ValueError: the profile is `gpu` and there is none.
    """
    if current() != "gpu":
        return training.cpu()
    if not torch.cuda.is_available():
        raise ValueError("EXPLAINREC_PROFILE is 'gpu', but torch finds no GPU: choose 'cpu'")
    from lightning_fabric import Fabric

    return Fabric(accelerator="cuda", devices=1)
