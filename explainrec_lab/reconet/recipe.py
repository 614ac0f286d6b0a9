"""How a RecoNet is trained in this course: the profile's optimisation, on the profile's device.

The loop itself is `training.fit`; the examples are §4.2's (`examples`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

from explainrec_lab import profiles, training
from explainrec_lab.reconet.examples import Examples, cross_entropy
from explainrec_lab.reconet.model import RecoNet


def train(
    model: RecoNet,
    examples: Callable[[int], Iterable[Examples]],
    settings: profiles.RecoNet,
    *,
    epochs: int | None = None,
    after_epoch: Callable[[int, nn.Module], Any] | None = None,
) -> training.History:
    """Train `model` in place with the settings of a profile, and bring it back to the CPU.

    Args:
        examples: epoch -> batches, such as `RemovedItems` or `SingleLabel`.
        epochs: instead of the profile's.
        after_epoch: see `training.fit`.
    """
    history = training.fit(
        model,
        examples,
        cross_entropy,
        settings.optimisation(epochs),
        fabric=profiles.fabric(),
        after_epoch=after_epoch,
    )
    model.cpu()
    return history
