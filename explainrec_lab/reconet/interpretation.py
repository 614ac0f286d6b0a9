"""Recommendations, and the relevance of every feature for one of them.

Source: RecoNet, §4.3: the three propagation steps, their closed form for one layer, and a
comparison with the average household and item that the paper does not make.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from explainrec_lab.data.contracts import check_ids
from explainrec_lab.reconet.features import FeatureSpace, Sets
from explainrec_lab.reconet.model import RecoNet


@torch.no_grad()
def recommend(model: RecoNet, profile: Sets, k: int = 10) -> tuple[Tensor, Tensor]:
    """The k items with the highest activation that the profile does not hold yet.

    Works for users the model has never seen: nothing is trained.

    Returns:
        items, activations: both `[k]`, best first.

    Raises:
        ValueError: k is larger than the number of items left, or the profile is empty, holds an
            unknown feature or is a batch of several.
    """
    _require_one(profile, model.space.m, "recommend for")
    y = model(profile)[0]
    owned = profile.ids[profile.ids < model.space.n_items]
    left = model.space.n_items - len(owned)
    if not 1 <= k <= left:
        raise ValueError(f"k: {k} is outside 1..{left}, the number of items not in the profile")
    y[owned] = -torch.inf
    activations, items = y.topk(k)
    return items, activations


def _require_one(profile: Sets, m: int, do: str, may_be_empty: bool = False) -> None:
    if len(profile) != 1:
        raise ValueError(f"profile: got {len(profile)} profiles; {do} one at a time")
    if not len(profile.ids) and not may_be_empty:
        raise ValueError("profile: it is empty, and all items score alike; give a feature at least")
    check_ids("profile", profile.ids.cpu(), m, "feature")


# --------------------------------------------------------------------------- relevance


@dataclass(frozen=True)
class Explanation:
    """Why one item: the relevance of every feature of a profile, most supporting first.

    Attributes:
        output: y_j, which the relevances sum to (but for what a hidden layer's biases and the
            epsilon rule absorb).
        features: ids in the model's `FeatureSpace`, `[n]`. relevance: Z, `[n]`.
        present: whether the profile holds the feature; all true without a reference.
        below: whether it holds the feature with a smaller share than the reference has; all false
            without one. Such a feature counts as one that is partly missing.
    """

    space: FeatureSpace
    item: int
    output: float
    features: Int[Tensor, " n"]
    relevance: Float[Tensor, " n"]
    present: Bool[Tensor, " n"]
    below: Bool[Tensor, " n"]

    def table(self) -> pd.DataFrame:
        """One row a feature: its name, kind and relevance. The name begins with 'no' if the
        profile lacks the feature, with 'less' if it has less of it than the reference."""
        ids = self.features.tolist()
        held = zip(self.present.tolist(), self.below.tolist(), strict=True)
        words = ["no " if not there else "less " if below else "" for there, below in held]
        return pd.DataFrame(
            {
                "feature": [word + self.space.names[i] for word, i in zip(words, ids, strict=True)],
                "kind": [self.space.kind(i) for i in ids],
                "relevance": self.relevance.tolist(),
            }
        )


@torch.no_grad()
def explain(
    model: RecoNet, profile: Sets, item: int, reference: Float[Tensor, " m"] | None = None
) -> Explanation:
    """Relevance of each feature of one profile for one item.

    The one-layer model has a closed form; a model with a hidden layer takes the paper's three
    steps.

    Args:
        reference: an average profile, such as `mean_profile` gives. With it, the explanation
            answers 'what is personal here?': see `personal_relevance`. One-layer model only.

    Raises:
        ValueError: an item outside the catalogue; a batch of several profiles, one with an unknown
            feature, or, without a reference, an empty one; a reference that is not one number a
            feature, or for a model with a hidden layer.
    """
    (item,) = check_ids("item", item, model.space.n_items, "item").tolist()
    _require_one(profile, model.space.m, "explain", may_be_empty=reference is not None)
    if reference is not None and reference.shape != (model.space.m,):
        shape, m = tuple(reference.shape), model.space.m
        raise ValueError(f"reference: shape {shape}; needs one number for each of {m} features")
    features = profile.ids
    if reference is not None:
        relevance = personal_relevance(model, profile, item, reference)
        features, output = torch.arange(model.space.m), float(relevance.sum())
    elif model.hidden is None:
        relevance = closed_form(model.Q[profile.ids], model.W[item])
        output = float(relevance.sum())
    else:
        relevance = three_steps(model, profile, item)
        output = float(model(profile)[0, item])
    order = relevance.argsort(descending=True)
    features = features[order]
    present = torch.isin(features, profile.ids)
    below = torch.zeros_like(present)
    if reference is not None:
        below = present & (1 / max(len(profile.ids), 1) < reference[features])
    return Explanation(model.space, item, output, features, relevance[order], present, below)


def mean_profile(profiles: Sets, m: int) -> Float[Tensor, " m"]:
    """The average of I_u / |FS_u| over the users that have a profile: each feature's share."""
    share = (1 / profiles.sizes.clamp(min=1))[profiles.owners]
    filled = (profiles.sizes > 0).sum().clamp(min=1)
    return torch.zeros(m).index_add(0, profiles.ids, share) / filled


def personal_relevance(
    model: RecoNet, profile: Sets, item: int, reference: Float[Tensor, " m"]
) -> Float[Tensor, " m"]:
    """(W_j - mean W) . q_k (I_u(k) / |FS_u| - reference_k): compared with the average twice.

    The relevances sum to how far item j lies above the average item, for this user more than for
    the reference. Both comparisons are needed: adding one vector to all rows of W changes no
    probability, and changes none of these numbers. In the shares I_u(k) / |FS_u| the score is
    linear, and these are its Shapley values against the reference. A feature that the profile
    lacks has one too: not being there speaks for or against the item. So does a feature that the
    profile holds with a smaller share than the reference, 1 / |FS_u| < reference_k, as common
    features are in long profiles: the sign is turned, and what supports the item appears against
    it, because the household has *less* of it than the reference.
    """
    if model.hidden is not None:
        raise ValueError("reference: only the one-layer model has this closed form")
    own = torch.zeros_like(reference)
    own[profile.ids] = 1 / max(len(profile.ids), 1)
    w = model.W[item] - model.W.mean(dim=0)
    return (model.Q @ w) * (own - reference)


def closed_form(q: Float[Tensor, "n d"], w: Float[Tensor, " d"]) -> Float[Tensor, " n"]:
    """Z_k = W_j . q_k / |FS_u|: what the three steps come to for the one-layer model."""
    return (q @ w) / len(q)


def three_steps(
    model: RecoNet, profile: Sets, item: int, epsilon: float = 1e-9
) -> Float[Tensor, " n"]:
    """The paper's propagation: output -> pooling layer -> latent factors -> features.

    Source: RecoNet, §4.3.
    """
    q = model.Q[profile.ids]
    x = q.sum(dim=0) / len(q)  # the sum that step 2 divides by, rounded alike: errors cancel
    if model.hidden is None:
        R = relevance_of_pooling(x, model.W[item])
    else:
        b, H = model.hidden.bias, model.hidden.weight
        h = F.relu(H @ x + b)
        R = epsilon_rule(x, H, b, relevance_of_pooling(h, model.W[item]), epsilon)
    return relevance_of_features(relevance_of_latent_factors(q, R))


def relevance_of_pooling(x: Float[Tensor, " d"], w_j: Float[Tensor, " d"]) -> Float[Tensor, " d"]:
    """Step 1, one linear layer: R_i = w_ji x_i. Source: RecoNet, §4.3, step 1."""
    return w_j * x


def epsilon_rule(
    x: Float[Tensor, " inputs"],
    w: Float[Tensor, "units inputs"],
    b: Float[Tensor, " units"],
    R: Float[Tensor, " units"],
    epsilon: float,
) -> Float[Tensor, " inputs"]:
    """Step 1 through a layer: each unit hands its relevance to its inputs in proportion to
    z_ji = w_ji x_i, over the stabilised pre-activation sum_i z_ji + b_j.

    The bias counts once; the paper's formula, read to the letter, adds it once for every input.

    Source: RecoNet, §4.3, step 1.
    """
    z = w @ x + b
    return x * (w.T @ (R / torch.where(z >= 0, z + epsilon, z - epsilon)))


def relevance_of_latent_factors(
    q: Float[Tensor, "n d"], R: Float[Tensor, " d"]
) -> Float[Tensor, "n d"]:
    """Step 2: Z_ik = q_ik / (sum_p q_ip I_u(p)) R_i, for the features k in FS_u.

    Where the latent vectors cancel in a dimension, x_i and with it R_i is zero, and so is Z_ik.

    Source: RecoNet, §4.3, step 2.
    """
    total = q.sum(dim=0)
    return q * torch.where(total == 0, torch.zeros_like(R), R / total)


def relevance_of_features(Z: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Step 3: Z_phi_k = sum_i Z_ik. Source: RecoNet, §4.3, step 3."""
    return Z.sum(dim=1)
