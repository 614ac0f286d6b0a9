"""Relevance fed back into training: the outer loop that the paper announces, in two forms.

The paper wants the convolutional layers to "give more weight to the regions of the image where
highly relevant pixels are present", with relevance taken on the validation set, in "an outer
training loop over the existing framework". It gives no formula. Here a round of the loop is:

1. train for some epochs;
2. predict the pairs of the validation set, and take the relevance of those predicted right at the
   cells of the feature maps (`validated`);
3. a 1 x 1 convolution learns to predict each picture's shares of relevance (`learned`), so that
   what held on the validation set can be asked of any picture;
4. *maps weighted*: from now on its prediction multiplies the maps of every picture (`Gate`). Or
   *relevance pulled*: from now on the loss asks the relevance of training pairs to lie where it is
   predicted (`PullingLoss`).

The weight of a cell depends on the picture, so no layer behind the maps can undo it, as it could
undo a constant.

Source: LRP for explainable recommendations, §4. Not here: what it brings (`relation.py`).
"""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, cosine_similarity

from explainrec_lab import lrp, relation
from explainrec_lab.data.contracts import Dataset, Images, check_choice, present, require
from explainrec_lab.evaluate.localisation import reference_maps
from explainrec_lab.relation import Closeness, Pairs, RelationModel, Split
from explainrec_lab.relation.data import N_KINDS, Batch
from explainrec_lab.relation.model import placed
from explainrec_lab.relation.train import BatchLoss, fixed_features
from explainrec_lab.settings import Relation
from explainrec_lab.vision.backbone import flat_vectors

Maps = Float[Tensor, "item channel g g"]
Cells = Float[Tensor, "item g g"]

ROUNDS = 3
FORMS = ("maps weighted", "relevance pulled")
# Where relevance shall lie: where it lay, where it lay on another picture, or on the garment.
TARGETS = ("by relevance", "by another picture", "by the silhouette")
# What is compared, the first without feedback.
FED_BACK = [("no feedback", ""), *product(FORMS, TARGETS)]


def shares(values: Cells) -> Cells:
    """The positive part of each picture over its sum; zeros where nothing is positive."""
    positive = values.clamp(min=0)
    return positive / positive.sum((1, 2), keepdim=True).clamp(min=1e-12)


def apart(wanted: Cells, found: Cells) -> Float[Tensor, " item"]:
    """1 - the cosine between what is wanted of the cells and what is found there."""
    return 1 - cosine_similarity(wanted.flatten(1), found.flatten(1))


def predicted(maps: Maps, weight: Float[Tensor, " channel"]) -> Cells:
    """Shares of relevance by a 1 x 1 convolution to one channel, and a softmax over the cells."""
    scores = torch.einsum("ichw, c -> ihw", maps, weight)
    return scores.flatten(1).softmax(1).view_as(scores)


class Gate(nn.Module):
    """Each cell times 1 - strength + strength * its predicted share over the mean share.

    The shares count as constants: neither gradients nor relevance flow through them.
    """

    strength = 0.5

    def __init__(self, weight: Float[Tensor, " channel"]) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)

    @lrp.homogeneous(1)
    def forward(self, maps: Maps) -> Maps:
        over_mean = predicted(maps.detach(), self.weight) * maps[0, 0].numel()
        return maps * (1 - self.strength + self.strength * over_mean)[:, None]


def cell_relevance(close: Closeness, flat: Float[Tensor, "item size"], *pairs: Tensor) -> Cells:
    """Relevance of the cells for the closeness of pictures to their partners.

    What a unit of the maps says for the closeness counts as a constant, so that its activation,
    and with it the convolutions, can be trained for where relevance shall lie.

    Args:
        flat: feature maps of the pictures.
        pairs: which of the pictures it is, `[pair]`, the features of its partner, `[pair, D]`,
            user and kind, `[pair]`.

    Source: §2.3.
    """
    inside, partner, user, kind = pairs
    with torch.no_grad():
        factor = close.model.factor(user, kind, len(inside))
        towards = placed(partner - close.nearest(partner), factor)

    def closeness_of(maps: Tensor) -> Float[Tensor, " pair"]:
        x = close.model.head(maps)
        return (placed((x - close.nearest(x))[inside], factor) * towards).sum(1)

    says = torch.where(flat == 0, 0.0, lrp.relevance(closeness_of, flat.detach()) / flat).detach()
    return as_maps(close.model, flat * says).sum(1)


def as_maps(model: RelationModel, flat: Float[Tensor, "item size"]) -> Maps:
    """The network's flat vectors as feature maps."""
    return flat.unflatten(1, (-1, model.network.grid, model.network.grid))


class PullingLoss(BatchLoss):
    """The loss of each relation, and how far its picture's relevance is from where it shall lie."""

    strength = 3.0

    def __init__(self, n_items: int, close: Closeness, weight: Tensor) -> None:
        super().__init__(n_items)
        self.close, self.weight = close, weight

    def __call__(self, model: Any, batch: Batch) -> Float[Tensor, " pair"]:
        flat = flat_vectors(model.network, batch.pictures)
        losses = super().__call__(model, replace(batch, pictures=flat))
        assert self.memory is not None
        old = self.known[batch.other]
        cell, partner = batch.cell[old], self.memory[batch.other[old]]
        self.close.eval()  # relevance as it will be explained: by the norms of all batches
        asked = batch.inside[old], partner, cell // N_KINDS, cell % N_KINDS
        found = cell_relevance(self.close, flat, *asked)
        self.close.train()
        far = apart(predicted(as_maps(model, flat.detach()), self.weight), found)
        return losses + self.strength * far[batch.inside]


def validated(close: Closeness, images: Images, pairs: Pairs) -> tuple[Tensor, Maps, Cells]:
    """The pictures of the related pairs predicted right: items, maps, and shares of relevance.

    Args:
        pairs: of the validation set.

    Raises:
        ValueError: no related pair is predicted right.
    """
    right = pairs[pairs.related & (relation.logits_of(close.model, images, pairs) > 0)]
    require(len(right), "pairs: the model predicts no related one right")
    ends = torch.from_numpy(np.concatenate([right.source, right.target]))
    items, inside = ends.unique(return_inverse=True)
    user, kind = (torch.from_numpy(ids).repeat(2) for ids in (right.user, right.kind))
    flat = fixed_features(close.model, images[items.numpy()])
    partner = close.model.head(flat).detach()[inside.roll(len(right))]
    lay = cell_relevance(close, flat, inside, partner, user, kind)
    return items, as_maps(close.model, flat), shares(lay)


def targets(shop: Dataset, items: Tensor, lay: Cells) -> dict[str, Cells]:
    """Where relevance shall lie on each picture, from where it lay: `TARGETS`."""
    garment = torch.from_numpy(reference_maps(shop, items.numpy())["silhouette"]).to(lay)
    garment = shares(adaptive_avg_pool2d(garment, lay.shape[-1]))
    return dict(zip(TARGETS, (lay, lay.roll(1, 0), garment), strict=True))


def learned(maps: Maps, target: Cells, decay: float = 1e-3) -> Float[Tensor, " channel"]:
    """Weights of a 1 x 1 convolution whose predicted shares come near the target's."""
    size = maps.square().mean((0, 2, 3)).sqrt().clamp(min=1e-6)
    weight = torch.zeros_like(size, requires_grad=True)
    optimiser = torch.optim.Adam([weight], 0.05)
    for _ in range(200):
        far = apart(target, predicted(maps, weight / size)).mean()
        optimiser.zero_grad()
        (far + decay * weight.square().sum()).backward()
        optimiser.step()
    return (weight / size).detach()


def closeness(model: RelationModel, shop: Dataset, items: np.ndarray) -> Closeness:
    """The model as it is explained: beside the mean features of these items' categories."""
    images = present("images", shop.catalogue.images)
    category = shop.catalogue.items["category"].to_numpy()
    return Closeness(model, relation.mean_features(model, images, items, category[items]))


def train_with_feedback(
    model: RelationModel, shop: Dataset, split: Split, settings: Relation, seed: int, *how: str
) -> None:
    """The outer loop, in place: `ROUNDS` times a share of the epochs, feedback in between.

    Args:
        split: relevance is taken on its development pairs.
        settings: whose epochs the rounds divide.
        how: form and target, one of `FED_BACK`.

    Raises:
        ValueError: an unknown form and target.

    Source: §4.
    """
    check_choice("how", how, FED_BACK)
    images, part, losses = present("images", shop.catalogue.images), split.train, None
    a_round = replace(settings, epochs=settings.epochs // ROUNDS)
    for number in range(ROUNDS):
        relation.train(model, part, images, a_round, seed + 100 * number, losses)
        if how == FED_BACK[0] or number == ROUNDS - 1:
            continue
        close = closeness(model.eval(), shop, part.items)
        items, maps, lay = validated(close, images, relation.test_pairs(split.development, seed))
        weight = learned(maps, targets(shop, items, lay)[how[1]])
        if how[0] == FORMS[0]:
            model.network.pool = nn.Sequential(model.network.pool, Gate(weight))
        else:
            losses = PullingLoss(len(part.items), close, weight)
