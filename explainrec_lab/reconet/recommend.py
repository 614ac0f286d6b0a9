"""Recommendations for one profile, of a user known or new. Source: RecoNet, §4.3."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from explainrec_lab.reconet.data import Sets
from explainrec_lab.reconet.model import RecoNet


@torch.no_grad()
def recommend(
    model: RecoNet, profile: Sets, k: int = 10
) -> tuple[Int[Tensor, " k"], Float[Tensor, " k"]]:
    """The k items with the highest activation that the profile does not hold yet, best first.

    Works for users the model has never seen: nothing is trained.

    Returns:
        items, activations.

    Raises:
        ValueError: k is larger than the number of items left, or the profile is empty, holds an
            unknown feature or is a batch of several.
    """
    model.space.check_one(profile, "recommend for")
    y = model(profile)[0]
    owned = profile.ids[profile.ids < model.space.n_items]
    left = model.space.n_items - len(owned)
    if not 1 <= k <= left:
        raise ValueError(f"k: {k} is outside 1..{left}, the number of items not in the profile")
    y[owned] = -torch.inf
    activations, items = y.topk(k)
    return items, activations
