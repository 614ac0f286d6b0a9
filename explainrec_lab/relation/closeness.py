"""What to explain when two pictures are related: their closeness, not their distance.

A relation is predicted because d is *small*. Relevance of d, or of the logit q - d, divides what
little distance is left: it shows where related pictures still differ, and the threshold q, which
no pixel carries, holds all the evidence in favour. Closeness asks for the evidence itself: by how
much is d(i, j) below what i has to other items and j to other items?

    closeness = mean over n, m of  d(n, j) + d(i, m) - d(n, m) - d(i, j)
              = 2 (x_i - r_i) M(u) (x_j - r_j)^T

for items n of i's kind and m of j's kind, whose mean features are r_i and r_j: the squares cancel,
and so does q. Closeness is positive where both pictures depart from their kind in the same
direction, and its positive relevance speaks for the relation.

Source: ours; the double difference is Gower's double centring (1966) of squared distances. The
distance and its threshold are those of LRP for explainable recommendations, §2.1, Eq. 1 and 2.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from explainrec_lab.data.contracts import Images
from explainrec_lab.lrp import homogeneous
from explainrec_lab.relation.metric import placed
from explainrec_lab.relation.model import Ids, Kinds, RelationModel
from explainrec_lab.relation.scores import features_of


class Closeness(nn.Module):
    """closeness(images_i, images_j, user, kind): how much nearer than the average of their kinds.

    Args:
        model: in eval mode.
        references: `[group, D]`, mean features of groups of items (`mean_features`). A picture is
            compared with the nearest one; a single row is the average of all items.

    Raises:
        ValueError: references that do not have the model's D.
    """

    references: Tensor

    def __init__(self, model: RelationModel, references: Float[Tensor, "group D"]) -> None:
        super().__init__()
        if references.ndim != 2 or references.shape[1] != model.dimensions:
            raise ValueError(
                f"references: shape {tuple(references.shape)}; needs [group, {model.dimensions}]"
            )
        self.model = model
        self.register_buffer("references", references.detach().clone())
        self.train(model.training)

    @classmethod
    def of(
        cls,
        model: RelationModel,
        images: Images,
        items: Int[ndarray, " item"],
        group: ndarray,
        batch: int = 256,
    ) -> Closeness:
        """With the mean features of each group of some items as references.

        Args:
            items: ids; training items, so that tested ones stay unseen.
            group: `[item]`, what kind each of them is: a category, say.
        """
        return cls(model, mean_features(model, images, items, group, batch))

    def forward(
        self,
        images_i: Float[Tensor, "pair 3 height width"],
        images_j: Float[Tensor, "pair 3 height width"],
        user: Ids,
        kind: Kinds,
    ) -> Float[Tensor, " pair"]:
        """2 (x_i - r_i) M(u) (x_j - r_j)^T."""
        x_i, x_j = self.model.features(images_i), self.model.features(images_j)
        factor = self.model.factor(user, kind, len(images_i))
        return twice_product(x_i - self.nearest(x_i), x_j - self.nearest(x_j), factor)

    def nearest(self, x: Float[Tensor, "item D"]) -> Float[Tensor, "item D"]:
        """The nearest reference of each feature vector, whoever looks.

        |x - r|^2 is least where x r^T - |r|^2 / 2 is greatest.
        """
        towards = x @ self.references.T - self.references.square().sum(dim=1) / 2
        return self.references[towards.argmax(dim=1)]


@homogeneous(2)
def twice_product(a: Tensor, b: Tensor, factor: Tensor) -> Float[Tensor, " pair"]:
    """2 a M b^T, with M = L L^T.

    Args:
        a, b: `[pair, D]`.
        factor: L, in any of the shapes that `metric.placed` takes.
    """
    return 2 * (placed(a, factor) * placed(b, factor)).sum(-1)


def mean_features(
    model: RelationModel,
    images: Images,
    items: Int[ndarray, " item"],
    group: ndarray,
    batch: int = 256,
) -> Float[Tensor, "group D"]:
    """The mean feature vector of each group of items, in the order of the groups' names.

    Raises:
        ValueError: no items, or not one group an item.
    """
    if len(items) != len(group) or not len(items):
        raise ValueError(f"group: {len(group)} for {len(items)} items; needs one each, and items")
    x = features_of(model, images, items, batch)
    place = torch.from_numpy(np.unique(group, return_inverse=True)[1].reshape(-1)).to(x.device)
    return torch.stack([x[place == number].mean(dim=0) for number in place.unique()])
