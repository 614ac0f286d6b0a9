"""Where a recommendation comes from: the relevance of every feature.

The paper's three propagation steps and their closed form for one layer are here to be read;
`relevance` is their bulk form, with the comparison with the average user and item that the paper
does not make, and `explain_many` ranks. The last part goes on to *the product's* attributes, which
the paper does not: look up their relevance in the profile (`looked_up`), pass the relevance of each
purchase on to the attributes that it shares with the product (`passed_on`), or ask which classes
the model's scores favour for this user (`favoured`).

Source: RecoNet, §4.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from explainrec_lab.baselines.taste import Codes, Ids, Scores, Taste, one_hot
from explainrec_lab.data.contracts import DOES_NOT_APPLY, Catalogue, check_ids, present, require
from explainrec_lab.reconet.data import FeatureSpace, Sets
from explainrec_lab.reconet.model import RecoNet

Items = Sequence[int] | Int[np.ndarray | Tensor, "*n"]
# An average profile: the share of each feature.
Profile = Float[Tensor, " m"]
Reference = Profile | None
# Shares of features, or what they hold.
Share = Float[Tensor, "profile m"]

# What the epsilon rule adds to a denominator, away from zero.
EPSILON = 1e-9

# --------------------------------------------------------------------------- to be read


def closed_form(q: Float[Tensor, "n d"], w: Float[Tensor, " d"]) -> Float[Tensor, " n"]:
    """Z_k = W_j . q_k / |FS_u|: what the three steps come to for the one-layer model."""
    return (q @ w) / len(q)


def three_steps(model: RecoNet, profile: Sets, item: int) -> Float[Tensor, " n"]:
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
        R = epsilon_rule(x, H, b, relevance_of_pooling(h, model.W[item]))
    return relevance_of_features(relevance_of_latent_factors(q, R))


def relevance_of_pooling(x: Float[Tensor, " d"], w_j: Float[Tensor, " d"]) -> Float[Tensor, " d"]:
    """Step 1, one linear layer: R_i = w_ji x_i. Source: RecoNet, §4.3, step 1."""
    return w_j * x


def epsilon_rule(
    x: Float[Tensor, "*user inputs"],
    w: Float[Tensor, "units inputs"],
    b: Float[Tensor, " units"],
    R: Float[Tensor, "*user units"],
    epsilon: float = EPSILON,
) -> Float[Tensor, "*user inputs"]:
    """Step 1 through a layer: each unit hands its relevance to its inputs in proportion to
    z_ji = w_ji x_i, over the stabilised pre-activation sum_i z_ji + b_j.

    The bias counts once; the paper's formula, read to the letter, adds it once for every input.

    Source: RecoNet, §4.3, step 1.
    """
    z = x @ w.T + b
    return x * ((R / torch.where(z >= 0, z + epsilon, z - epsilon)) @ w)


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


# --------------------------------------------------------------------------- in bulk


@torch.no_grad()
def relevance(model: RecoNet, profiles: Sets, items: Items, reference: Reference = None) -> Share:
    """Z of every feature for one item of each profile; 0 for a feature that the profile lacks.

    The three steps always come to Z_k = (g . q_k) I_u(k) / |FS_u|, with g = W_j for the one-layer
    model and g_i = R_i / x_i, by the epsilon rule, with a hidden layer.

    With a reference, the question is what is personal:

        Z_k = (W_j - mean W) . q_k (I_u(k) / |FS_u| - reference_k)

    These relevances sum to how far item j lies above the average item, for this user more than
    for the reference. Both comparisons are needed: adding one vector to all rows of W changes no
    probability, and changes none of these numbers. In the shares I_u(k) / |FS_u| the score is
    linear, and these are its Shapley values against the reference. A feature that the profile
    lacks has one too: not being there speaks for or against the item. So does a feature that the
    profile holds with a smaller share than the reference, 1 / |FS_u| < reference_k, as common
    features are in long profiles: the sign is turned, and what supports the item appears against
    it, because the user has *less* of it than the reference.

    Args:
        reference: an average profile, such as `mean_profile` gives. One-layer model only.

    Raises:
        ValueError: items that are not one of the catalogue for each profile, a reference that is
            not one number a feature, or one for a model with a hidden layer.
    """
    g = model.W[items_of(model.space, profiles, items)]
    share = profiles.shares(model.space.m)
    if reference is not None:
        require(model.hidden is None, "reference: only the one-layer model has this closed form")
        shape, m = tuple(reference.shape), model.space.m
        require(shape == (m,), f"reference: shape {shape}; needs a number for each of {m} features")
        g, share = g - model.W.mean(dim=0), share - reference
    elif model.hidden is not None:
        x, H, b = model.pool(profiles), model.hidden.weight, model.hidden.bias
        R = epsilon_rule(x, H, b, relevance_of_pooling(F.relu(x @ H.T + b), g))
        g = torch.where(x == 0, torch.zeros_like(x), R / x)
    return (g @ model.Q.T) * share.to(g)


def mean_profile(profiles: Sets, m: int) -> Profile:
    """The average of I_u / |FS_u| over the users that have a profile: each feature's share."""
    share = (1 / profiles.sizes.clamp(min=1))[profiles.owners]
    filled = (profiles.sizes > 0).sum().clamp(min=1)
    return torch.zeros(m).index_add(0, profiles.ids, share) / filled


def items_of(space: FeatureSpace, profiles: Sets, items: Items, many: bool = False) -> Tensor:
    """These items as an int64 tensor. Raises a ValueError unless they are one (or `many`: one row)
    for each profile."""
    chosen = torch.as_tensor(items)
    if chosen.ndim != 1 + many or len(chosen) != len(profiles):
        one = "one row" if many else "one"
        raise ValueError(f"items: shape {tuple(chosen.shape)}; needs {one} for each profile")
    check_ids("items", chosen.cpu().numpy().ravel(), space.n_items, "item")
    return chosen


# --------------------------------------------------------------------------- one explanation


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
        columns = (self.features, self.present, self.below, self.relevance)
        rows = []
        for i, there, below, Z in zip(*(column.tolist() for column in columns), strict=True):
            word = "less " if below else "" if there else "no "
            rows.append((word + self.space.names[i], self.space.kind(i), Z))
        return pd.DataFrame(rows, columns=["feature", "kind", "relevance"])


@torch.no_grad()
def explain(model: RecoNet, profile: Sets, item: int, reference: Reference = None) -> Explanation:
    """Relevance of each feature of one profile for one item, highest first; ties by lot.

    Args:
        reference: an average profile, such as `mean_profile` gives. With it, the explanation
            answers 'what is personal here?', of all features: see `relevance`.

    Raises:
        ValueError: an item outside the catalogue; a batch of several profiles, one with an unknown
            feature, or, without a reference, an empty one; a reference that is not one number a
            feature, or for a model with a hidden layer.
    """
    (item,) = check_ids("item", item, model.space.n_items, "item").tolist()
    model.space.check_one(profile, "explain", may_be_empty=reference is not None)
    ids = profile.ids if reference is None else torch.arange(model.space.m)
    Z = relevance(model, profile, [item], reference)[0, ids]
    output = Z.sum() if model.hidden is None else model(profile)[0, item]
    lot = np.random.default_rng(0).permutation(len(Z))
    order = torch.from_numpy(np.lexsort((lot, -Z.cpu().numpy())))
    features = ids[order]
    present, below = torch.isin(features, profile.ids), torch.zeros_like(ids, dtype=torch.bool)
    if reference is not None:
        below = present & (1 / max(len(profile.ids), 1) < reference[features])
    return Explanation(model.space, item, float(output), features, Z[order], present, below)


# --------------------------------------------------------------------------- the best of many

# Users ranked together; changes memory only.
AT_ONCE = 128


@torch.no_grad()
def explain_many(
    model: RecoNet, profiles: Sets, items: Int[np.ndarray, "user n"], best: int = 10
) -> tuple[Int[np.ndarray, "user n best"], Float[np.ndarray, "user n best"]]:
    """The `best` most supporting features of n items for every user, by the closed form.

    P = W Q^T is computed once, for the items that occur; users are ranked in blocks of like profile
    length.

    Returns:
        Feature ids (-1 past the end of a profile) and relevances Z, best first; ties by lot.

    Raises:
        ValueError: a model with a hidden layer, an item outside the catalogue, items that are not
            one row a profile, or `best` below 1.
    """
    require(model.hidden is None, "model: only the one-layer model has a closed form: use explain")
    require(best >= 1, f"best: {best} must be at least 1")
    wanted, row = items_of(model.space, profiles, items, many=True).unique(return_inverse=True)
    ids, Z = torch.full((*row.shape, best), -1), torch.zeros(*row.shape, best)
    nothing = model.space.m  # one more column, for the padding of short profiles
    P = (model.W[wanted] @ F.pad(model.Q, (0, 0, 0, 1)).T).float()
    P[:, nothing], lots = -torch.inf, torch.Generator().manual_seed(0)
    for who in profiles.sizes.argsort().split(AT_ONCE) if row.numel() else ():
        own = pad_sequence([profiles[u] for u in who], batch_first=True, padding_value=nothing)
        own = F.pad(own, (0, best), value=nothing)[:, None]
        own = own[..., torch.randperm(own.shape[-1], generator=lots)]
        at = own + (nothing + 1) * row[who, :, None]
        score, place = P.view(-1).index_select(0, at.view(-1)).view(at.shape).topk(best)
        there = score > -torch.inf
        ids[who] = torch.where(there, own.expand(-1, row.shape[1], -1).gather(2, place), -1)
        Z[who] = torch.where(there, score / profiles.sizes[who, None, None], 0.0)
    return ids.numpy(), Z.numpy()


# -------------------------------------------------------------------------- attributes


def attribute_features(catalogue: Catalogue, space: FeatureSpace) -> Codes:
    """The feature id of each attribute of each item, such as that of 'neckline: V'; -1 = none.

    Raises:
        ValueError: the catalogue knows no attributes.
    """
    codes = present("attributes of the catalogue", catalogue.attributes)
    schema = present("schema of the catalogue", catalogue.schema)
    place = {name: space.n_items + k for k, name in enumerate(space.item_features.names)}
    features = np.full(codes.shape, -1)
    for a, (attribute, classes) in enumerate(schema.classes.items()):
        word = schema.display(attribute)
        names = [f"{word}: {schema.display(attribute, code)}" for code in range(len(classes))]
        ids = np.array([place.get(name, -1) for name in names] + [-1])  # code -1: the last
        features[:, a] = ids[codes[:, a]]
    return features


def looked_up(relevance: Share, features: Codes, share: Share | None = None) -> Scores:
    """The relevance of the item's own attributes; -inf where one does not apply.

    Args:
        relevance: as `explain.relevance` gives.
        features: ids of the item's attributes, `[event, attribute]`.
        share: I_u / |FS_u|. With it, an attribute that the profile lacks gets -inf as well: the
            paper's Z says nothing about it, which is not the same as 0.
    """
    found, place = features >= 0, np.maximum(features, 0)
    if share is not None:
        found &= np.take_along_axis(np.asarray(share), place, axis=1) > 0
    return np.where(found, np.take_along_axis(np.asarray(relevance), place, axis=1), -np.inf)


def passed_on(relevance: Share, items: Ids, codes: Codes, features: Codes, share: Share) -> Scores:
    """One step further back: purchase v hands its relevance, in equal parts, to the attributes
    that it shares with the item; each attribute adds what it has itself.

        R_a = Z_a + sum over v in V(u) that share a with the item of
                    Z_v / (number of attributes shared)

    Lost is what belongs to purchases that share nothing, and to the features of the user and of
    other attributes; with personal relevance, also what belongs to items that she did not buy.
    -inf where an attribute does not apply.

    Args:
        share: I_u / |FS_u| of the user of each event: V(u) is where an item's is above 0.
    """
    total = looked_up(relevance, features[items])
    bought = np.where(np.asarray(share) > 0, np.asarray(relevance), 0.0)[:, : len(codes)]
    for item in np.unique(items):
        asked = items == item
        shared = (codes == codes[item]) & (codes[item] != DOES_NOT_APPLY)
        part = shared / np.maximum(shared.sum(axis=1, keepdims=True), 1)
        total[asked] += bought[asked] @ part
    return total


@torch.no_grad()
def favoured(model: RecoNet, share: Share, reference: Profile, codes: Codes) -> Taste:
    """How far the items of a class rise above the average item, for her more than for the crowd.

    It is the sum of her personal relevances for the average item of that class.

    Args:
        share: I_u / |FS_u|, `[user, m]`.
    """
    y = ((share - reference).to(model.W) @ model.Q @ model.W.T).numpy()
    classes = one_hot(codes)
    mean = np.tensordot(y, classes, axes=1) / np.maximum(classes.sum(axis=0), 1)
    return np.where(classes.any(axis=0), mean - y.mean(axis=1)[:, None, None], 0.0)
