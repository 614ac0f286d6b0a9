"""Relevance fed back into training: the outer loop that the paper announces and nobody has built.

The paper wants the convolutional layers to "give more weight to the regions of the image where
highly relevant pixels are present", with relevance taken on the validation set, in "an outer
training loop over the existing framework". Here a round of it is:

1. train for some epochs;
2. predict the development pairs and propagate relevance to the pooled feature maps;
3. multiply every unit of the maps by its *gain*: its share of the relevance, averaged over pairs
   and images, blended with one.

The paper gives no formula. A gain is one number for each channel and place of the last maps, the
same for all pictures; the weights of the convolutions change only by training on.

Source: LRP for explainable recommendations, §4. Not here: what it brings (`relation.py`).
"""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from explainrec_lab import lrp
from explainrec_lab.data.contracts import Images
from explainrec_lab.relation import Pairs, Part, RelationModel, train
from explainrec_lab.relation.train import fixed_features
from explainrec_lab.settings import Relation

CONTROLS = ("relevance", "shuffled", "none")
"""What the gains are made of: relevance, the same numbers in random places, or nothing."""


class FlatHead(nn.Module):
    """(flat_i, flat_j) -> d of some pairs: the model behind its convolutional part."""

    def __init__(self, model: RelationModel, user: Tensor, kind: Tensor) -> None:
        super().__init__()
        self.model, self.user, self.kind = model, user, kind

    def forward(self, flat_i: Tensor, flat_j: Tensor) -> Float[Tensor, " pair"]:
        x_i, x_j = self.model.head(flat_i), self.model.head(flat_j)
        return self.model.distance(x_i, x_j, self.user, self.kind)


def unit_relevance(
    model: RelationModel, images: Images, pairs: Pairs, batch: int = 512
) -> Float[Tensor, "channel grid grid"]:
    """Mean share of each unit of the feature maps in the absolute relevance of the distance.

    Only pairs that the model predicts right count. The shares sum to one.

    Args:
        images: pictures by item id.
        pairs: of the validation set.

    Raises:
        ValueError: no pair is predicted right.

    Source: §4 and §2.3 (epsilon rule).
    """
    model.eval()
    items, place = np.unique(np.stack([pairs.source, pairs.target]), return_inverse=True)
    flat = fixed_features(model, images[items])
    i, j = torch.from_numpy(place.reshape(2, -1))
    user, kind = torch.from_numpy(pairs.user), torch.from_numpy(pairs.kind)
    related = torch.from_numpy(pairs.related)
    total, right = flat.new_zeros(flat.shape[1]), 0
    for rows in torch.arange(len(pairs)).split(batch):
        head = FlatHead(model, user[rows], kind[rows]).eval()
        with torch.no_grad():
            predicted = model.q[kind[rows]] > head(flat[i[rows]], flat[j[rows]])
        both = lrp.relevance(head, (flat[i[rows]], flat[j[rows]]), rule=lrp.Epsilon())
        share = sum(each.abs() for each in both)[predicted == related[rows]]
        total += (share / share.sum(1, keepdim=True).clamp(min=1e-12)).sum(0)
        right += len(share)
    if not right:
        raise ValueError("pairs: the model predicts none of them right")
    return (total / right).reshape(model.network.gain.shape)


def fed_back(
    gain: Float[Tensor, "channel grid grid"],
    relevance: Float[Tensor, "channel grid grid"],
    strength: float = 0.3,
    most: float = 3.0,
) -> Float[Tensor, "channel grid grid"]:
    """New gains: the old ones, blended with relevance over its mean; their mean stays one.

    Args:
        strength: 0 changes nothing, 1 multiplies by relevance alone.
        most: no unit's relevance counts for more than so many times the mean.

    Raises:
        ValueError: a strength outside 0..1.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"strength: {strength} must be in 0..1")
    ratio = (relevance / relevance.mean()).clamp(max=most)
    changed = gain * (1 - strength + strength * ratio)
    return changed / changed.mean()


def train_with_feedback(
    model: RelationModel,
    part: Part,
    images: Images,
    development: Pairs,
    settings: Relation,
    rounds: int = 3,
    control: str = "relevance",
    seed: int = 0,
) -> None:
    """The outer loop, in place: `rounds` times the settings' epochs / rounds, gains in between.

    Args:
        part, images: as in `train`.
        development: pairs of the validation set, from which relevance is taken.
        control: one of `CONTROLS`; the two others tell what relevance itself brings.

    Raises:
        ValueError: an unknown control, or rounds that do not divide the epochs.

    Source: §4.
    """
    if control not in CONTROLS:
        raise ValueError(f"control: {control!r}; choose from {', '.join(CONTROLS)}")
    if rounds < 1 or settings.epochs % rounds:
        raise ValueError(f"rounds: {rounds} must divide the {settings.epochs} epochs")
    units = model.network.gain.numel()
    order = torch.randperm(units, generator=torch.Generator().manual_seed(seed))
    a_round = replace(settings, epochs=settings.epochs // rounds)
    for number in range(rounds):
        train(model, part, images, a_round, seed + 100 * number)
        if control == "none" or number == rounds - 1:
            continue
        relevance = unit_relevance(model, images, development)
        if control == "shuffled":
            relevance = relevance.flatten()[order].reshape(relevance.shape)
        model.network.gain.copy_(fed_back(model.network.gain, relevance))
