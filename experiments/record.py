"""One measured number, and what it depends on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import torch

from explainrec_lab._version import __version__


@dataclass(frozen=True)
class Result:
    """One measured number.

    Attributes:
        method, data, measure: what was measured, on what, in which unit.
        settings: hyperparameters; cost: CPU seconds of training.
    """

    method: str
    data: str
    measure: str
    value: float
    seed: int
    cost: float
    settings: dict[str, Any] = field(default_factory=dict)


def where() -> dict[str, Any]:
    """What the numbers depend on besides data and seed; no name of a machine."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return {
        "version": __version__,
        "date": date.today().isoformat(),
        "hardware": f"{device}, {os.cpu_count()} cores, {platform.machine()}",
        "torch": torch.__version__.split("+")[0],
        "matmul precision": torch.get_float32_matmul_precision(),
    }
