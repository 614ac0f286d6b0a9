"""Recommendations for one profile, of a user known or new. Source: RecoNet, §4.3."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from explainrec_lab.evaluate.ranking import top_k
from explainrec_lab.reconet.data import Sets
from explainrec_lab.reconet.model import RecoNet


@torch.no_grad()
def recommend(
    model: RecoNet, profile: Sets, k: int = 10
) -> tuple[Int[Tensor, " k"], Float[Tensor, " k"]]:
    """The k items with the highest activation that the profile does not hold yet, best first; ties
    by lot (`evaluate.ranking.top_k`).

    Works for users the model has never seen: nothing is trained. An empty profile is refused, since
    all items score alike; so is a k beyond the items that are left.

    Returns:
        items, activations.

    Raises:
        ValueError: k is outside 1..items left, or the profile is empty, holds an unknown feature
            or is a batch of several.
    """
    model.space.check_one(profile, "recommend for")
    y = model(profile)[0]
    new = torch.ones_like(y, dtype=torch.bool)
    new[profile.ids[profile.ids < len(new)]] = False
    items = new.nonzero()[:, 0]
    items = items[top_k(y[None, items], k)[0]]
    return items, y[items]
