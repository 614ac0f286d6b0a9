"""Small data sets and models that tests share: random, seeded, large enough to break a law."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
import torch

from explainrec_lab.data import Dataset, Interactions, from_frames
from explainrec_lab.reconet import FeatureSpace, RecoNet, Sets


def interactions(events: pd.DataFrame, users: int, items: int) -> Interactions:
    """Events between so many users and items, whose ids count from 0."""
    people, things = pd.DataFrame({"user": range(users)}), pd.DataFrame({"item": range(items)})
    return from_frames(events, users=people, items=things).interactions


@lru_cache
def shop(seed: int = 0, users: int = 12, items: int = 9, share: float = 0.4) -> Dataset:
    """A random shop: genres of items, gender and age band of users; nobody without a purchase."""
    rng = np.random.default_rng(seed)
    bought = rng.random((users, items)) < share
    bought[np.arange(users), rng.integers(items, size=users)] = True
    user, item = bought.nonzero()
    genres = np.array(["action", "comedy", "drama"])
    return from_frames(
        pd.DataFrame({"user": user, "item": item, "time": rng.permutation(len(user))}),
        items=pd.DataFrame(
            {
                "item": range(items),
                "title": [f"Film {n}" for n in range(items)],
                "genres": ["|".join(genres[rng.random(3) < 0.5]) for _ in range(items)],
            }
        ),
        users=pd.DataFrame(
            {
                "user": range(users),
                "gender": rng.choice(["f", "m"], users),
                "age": rng.choice([18, 25, 35], users),
            }
        ),
        item_sets={"genres": "genre"},
        user_columns={"gender": "gender", "age": "age"},
        name="toy",
    )


def model_of(
    dataset: Dataset,
    d: int = 5,
    hidden: int | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> RecoNet:
    """An untrained model with biases that are not zero, in `dtype`."""
    model = RecoNet(FeatureSpace.of(dataset), d=d, hidden=hidden, seed=seed).to(dtype)
    if model.hidden is not None:
        torch.nn.init.normal_(
            model.hidden.bias, std=0.2, generator=torch.Generator().manual_seed(seed)
        )
    return model.eval()


def profiles_of(dataset: Dataset) -> Sets:
    """FS_u of every user."""
    return FeatureSpace.of(dataset).profiles(dataset.interactions)
