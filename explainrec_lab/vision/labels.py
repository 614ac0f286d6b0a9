"""Batches of labelled pictures, and a loss in which rare labels count as much as common ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from explainrec_lab.data.contracts import DOES_NOT_APPLY, Images
from explainrec_lab.vision.backbone import half_mirrored


@dataclass(frozen=True)
class Labelled:
    """A batch of pictures, uint8 `[item, 3, h, w]`, and what is on them, `[item, question]`."""

    pictures: Tensor
    labels: Int[Tensor, "item question"]

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, index: int, count: int) -> Labelled:
        return Labelled(self.pictures[index::count], self.labels[index::count])

    def to(self, device: torch.device | str) -> Labelled:
        return Labelled(self.pictures.to(device), self.labels.to(device))


def labelled(
    images: Images, labels: ndarray, size: int, rng: np.random.Generator
) -> Iterator[Labelled]:
    """All pictures once in random order, half of them mirrored."""
    order = rng.permutation(len(labels))
    for ids in np.array_split(order, max(1, len(order) // size)):
        pictures = half_mirrored(torch.as_tensor(images[ids]), rng)
        yield Labelled(pictures, torch.from_numpy(labels[ids]))


def balanced_losses(
    answers: Sequence[Float[Tensor, "item class"]],
    labels: Int[Tensor, "item question"],
    weights: Sequence[Float[Tensor, " class"]] | None = None,
) -> Float[Tensor, " item"]:
    """Cross-entropy summed over questions; rare questions weigh as much as common ones.

    A question that does not apply to an item (label -1) costs nothing there.

    Args:
        weights: of the classes of each question; all 1 by default.
    """
    counting = [None] * len(answers) if weights is None else [w.to(labels.device) for w in weights]
    losses = torch.zeros(len(labels), device=labels.device, dtype=answers[0].dtype)
    for logits, truth, each in zip(answers, labels.T, counting, strict=True):
        applies = truth != DOES_NOT_APPLY
        rarity = len(truth) / applies.sum().clamp(min=1)
        own = F.cross_entropy(logits, truth, each, ignore_index=DOES_NOT_APPLY, reduction="none")
        losses = losses + rarity * own
    return losses


def class_weights(
    labels: Int[ndarray, "item question"], n_classes: Sequence[int]
) -> list[Float[Tensor, " class"]]:
    """Weights with which the classes of a question count alike; 1 on average over its labels."""
    weights = []
    for column, count in zip(labels.T, n_classes, strict=True):
        found = np.bincount(column[column != DOES_NOT_APPLY], minlength=count)
        there = np.maximum(found, 1)  # a class without examples has no loss to weigh
        weights.append(torch.from_numpy(found.sum() / (max((found > 0).sum(), 1) * there)).float())
    return weights
