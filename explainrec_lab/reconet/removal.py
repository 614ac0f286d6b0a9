"""Remove features from profiles and watch the score of a recommendation: is the relevance right?

Source: RecoNet, §5.4, Figures 6 and 7. A feature can leave an average in two ways: the average is
taken over those that are left ('renormalised': what the model does with a shorter profile), or
still divided by the old size ('held': an entry of I_u is set to zero and |FS_u| stays). Both are
here, always named.

For the one-layer model the effect of removing k of n features follows from the sum of their
relevances alone, -sum Z_S (held) or (k y - n sum Z_S) / (n - k) (renormalised), and falls as it
grows: so the k features with the most relevance are the best k to remove. Item attributes stay when
their items go.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from explainrec_lab.baselines.surrogate import BlackBox
from explainrec_lab.data.contracts import check_choice, check_ids
from explainrec_lab.data.splits import rank_within
from explainrec_lab.evaluate.faithfulness import band
from explainrec_lab.reconet.data import Sets
from explainrec_lab.reconet.explain import items_of
from explainrec_lab.reconet.model import RecoNet

# Over what the average is taken after a removal: the features left, or as many as before.
AVERAGES = ("renormalised", "held")

# When each feature of each profile goes, in the order of `Sets.ids`.
Turns = Int[np.ndarray, " total"]

# --------------------------------------------------------------------------- one profile


@torch.no_grad()
def change_of_output(black_box: BlackBox, n: int, removed: Sequence[int] | Tensor) -> float:
    """Delta y_c = f_c(x | x_k = 0) - f_c(x): the score of an item without some of n features,
    minus the score with all, by asking the model twice.

    Args:
        black_box: as `score_of_masks` gives. removed: places in the profile, 0..n-1.

    Source: RecoNet, §5.4.
    """
    masks = torch.ones(2, n, dtype=torch.float64)
    masks[1, check_ids("removed", removed, n, "place")] = 0
    before, after = black_box(masks)
    return float(after - before)


def score_of_masks(
    model: RecoNet, profile: Sets, item: int, average: str = AVERAGES[0], probability: bool = False
) -> BlackBox:
    """The model as a black box: which features are present -> y_item, or p_item.

    A mask has one number a feature of the profile, 1 = present. Numbers between 0 and 1 are taken
    as they are, for methods that walk from nothing to everything. Without any feature, x is zero.

    Raises:
        ValueError: an item outside the catalogue, several profiles, or an unknown `average`.
    """
    check_choice("average", average, AVERAGES)
    (item,) = check_ids("item", item, model.space.n_items, "item").tolist()
    model.space.check_one(profile, "explain")
    q, n = model.Q[profile.ids].detach(), len(profile.ids)

    def score(masks: Float[Tensor, "sample n"]) -> Float[Tensor, " sample"]:
        held = masks.to(q.dtype)
        size = held.sum(dim=1, keepdim=True) if average == "renormalised" else n
        x = held @ q / torch.as_tensor(size, dtype=q.dtype).clamp(min=torch.finfo(q.dtype).tiny)
        if probability:
            return (model.head(x) @ model.W.detach().T).softmax(dim=1)[:, item]
        return model.head(x) @ model.W[item].detach()

    return score


# --------------------------------------------------------------------------- many profiles


@dataclass(frozen=True)
class Removal:
    """What removal did to the score of one item for each of many users.

    Attributes:
        changes: Delta y after k = 0, 1, ... removals; nan once nothing is left, or nothing that
            may still go.
    """

    changes: Float[np.ndarray, "step user"]

    @property
    def long_enough(self) -> Bool[np.ndarray, " user"]:
        """The users who keep a feature to the last step: they alone enter the table."""
        return ~np.isnan(self.changes).any(axis=0)

    def table(self) -> pd.DataFrame:
        """Mean change with its 95 % band (`evaluate.faithfulness.band`), one row a number of
        removals.

        The same users in every row: a mean over those still left would follow the long profiles.
        """
        whole = self.changes[:, self.long_enough]
        low, high = band(whole)
        mean = whole.mean(axis=1) if whole.shape[1] else np.full(len(whole), np.nan)
        index = pd.Index(range(len(whole)), name="removed")
        return pd.DataFrame({"change": mean, "low": low, "high": high}, index=index)


def turns(profiles: Sets, relevance: Float[Tensor, "user m"] | None = None, seed: int = 0) -> Turns:
    """When each feature of each profile goes: 0, 1, ... within the profile, in the order of
    `profiles.ids`. The most relevant goes first; ties, and all without relevances, fall by lot.

    Args:
        relevance: as `explain.relevance` gives.

    Raises:
        ValueError: relevances that are not one row a profile.
    """
    owners = profiles.owners.numpy()
    keys = [np.random.default_rng(seed).random(len(owners))]
    if relevance is not None:
        if len(relevance) != len(profiles):
            raise ValueError(f"relevance: needs one row for each of {len(profiles)} profiles")
        keys.append(-relevance[owners, profiles.ids].numpy())
    return rank_within(owners, *keys)


@torch.no_grad()
def remove(
    model: RecoNet,
    profiles: Sets,
    items: Int[Tensor, " user"],
    turn: Turns,
    *,
    steps: int = 50,
    average: str = "renormalised",
) -> Removal:
    """Delta y of one item a user after the features with a turn below k are gone, k = 0..`steps`.

    The sum of each profile's latent vectors loses those of the features that go; every step
    averages what is left and scores it.

    Args:
        turn: when each feature goes, such as `turns` gives.

    Raises:
        ValueError: names the argument and what it needs.
    """
    check_choice("average", average, AVERAGES)
    if turn.shape != tuple(profiles.ids.shape):
        raise ValueError(f"turn: shape {turn.shape}; needs one for each of {len(profiles.ids)}")
    w = model.W[items_of(model.space, profiles, items)]
    sizes, Q = profiles.sizes[:, None], model.Q.double()
    left, total = sizes.clone(), (model.pool(profiles) * sizes).double()
    scores = torch.full((steps + 1, len(profiles)), torch.nan, dtype=torch.float64)
    may_go = torch.ones(len(profiles), dtype=torch.bool)
    for step in range(steps + 1):
        x = (total / (left if average == "renormalised" else sizes)).to(w)
        scores[step] = (model.head(x) * w).sum(dim=1).double()
        scores[step, ~may_go | (left[:, 0] == 0)] = torch.nan
        going = torch.from_numpy(np.flatnonzero(turn == step))
        owners = profiles.owners[going]
        total.index_add_(0, owners, -Q[profiles.ids[going]])
        gone = owners.bincount(minlength=len(profiles))
        left, may_go = left - gone[:, None], gone > 0
    return Removal((scores - scores[0]).numpy())
