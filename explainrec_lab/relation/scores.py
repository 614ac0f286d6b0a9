"""How often the model is right about pairs of items that it has never seen.

Source: LRP for explainable recommendations, §3.2 and Table 1: accuracy on as many related as
sampled unrelated pairs, by kind of relation.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from explainrec_lab.data.contracts import RELATION_KINDS, Images
from explainrec_lab.relation.data import Pairs
from explainrec_lab.relation.model import RelationModel
from explainrec_lab.vision.backbone import pixels


@torch.no_grad()
def features_of(
    model: RelationModel, images: Images, items: ndarray, batch: int = 256
) -> Float[Tensor, "item D"]:
    """x of some items, `batch` pictures at a time; the model must be in eval mode."""
    if model.training:
        raise ValueError("model: it is in training mode; call model.eval() first")
    device = model.q.device
    parts = (items[start : start + batch] for start in range(0, len(items), batch))
    x = [model.features(pixels(images[ids]).to(device)) for ids in parts]
    return torch.cat(x) if x else torch.zeros(0, model.dimensions, device=device)


@torch.no_grad()
def logits_of(model: RelationModel, images: Images, pairs: Pairs) -> Float[ndarray, " pair"]:
    """q - d of each pair; every picture goes through the network once."""
    items, place = np.unique(np.stack([pairs.source, pairs.target]), return_inverse=True)
    x = features_of(model, images, items)
    i, j = torch.from_numpy(place.reshape(2, -1)).to(x.device)
    user, kind = (torch.from_numpy(column).to(x.device) for column in (pairs.user, pairs.kind))
    distances = [
        model.distance(x[i[rows]], x[j[rows]], user[rows], kind[rows])
        for rows in torch.arange(len(pairs), device=x.device).split(4096)
    ]
    d = torch.cat(distances) if distances else x.new_zeros(0)
    return (model.q[kind] - d).cpu().numpy()


def accuracy(
    predicted: Bool[ndarray, " pair"], true: Bool[ndarray, " pair"], kind: ndarray
) -> dict[str, float]:
    """Share of right predictions for each kind of relation; nan where there are no pairs."""
    right = np.asarray(predicted) == np.asarray(true)
    return {
        name: float(right[kind == number].mean()) if (kind == number).any() else float("nan")
        for number, name in enumerate(RELATION_KINDS)
    }
