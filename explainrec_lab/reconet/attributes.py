"""From the reasons of a recommendation to the attribute of the product that they name.

RecoNet's reasons are features of the *profile*: purchases and attributes. 'What is it about this
product?' asks for one of the *product's* attributes. Three ways to get there from the same model:
look up the relevance of those attributes in the profile (`looked_up`), pass the relevance of each
purchase on to the attributes that it shares with the product (`passed_on`), or ask which classes
the model's scores favour for this user (`favoured`).

Source: RecoNet, §4.3, up to the relevance of the features; the step from there is not the paper's.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from explainrec_lab.baselines.taste import Codes, Ids, Taste, one_hot
from explainrec_lab.data.contracts import DOES_NOT_APPLY, Catalogue
from explainrec_lab.reconet.data import FeatureSpace
from explainrec_lab.reconet.explain import Profile
from explainrec_lab.reconet.model import RecoNet

Shares: TypeAlias = Float[Tensor, "event m"]
Scores: TypeAlias = Float[ndarray, "event attribute"]


def attribute_features(catalogue: Catalogue, space: FeatureSpace) -> Codes:
    """The feature id of each attribute of each item, such as that of 'neckline: V'; -1 = none.

    Raises:
        ValueError: the catalogue knows no attributes.
    """
    schema = catalogue.schema
    if catalogue.attributes is None or schema is None:
        raise ValueError("catalogue: it knows no attributes; the boutique's does")
    place = {name: space.n_items + k for k, name in enumerate(space.item_features.names)}
    features = np.full(catalogue.attributes.shape, -1)
    for a, (attribute, classes) in enumerate(schema.classes.items()):
        word = schema.display(attribute)
        names = [f"{word}: {schema.display(attribute, code)}" for code in range(len(classes))]
        ids = np.array([place.get(name, -1) for name in names] + [-1])  # code -1: the last
        features[:, a] = ids[catalogue.attributes[:, a]]
    return features


def looked_up(relevance: Shares, features: Codes, share: Shares | None = None) -> Scores:
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


def passed_on(
    relevance: Shares, items: Ids, codes: Codes, features: Codes, share: Shares
) -> Scores:
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
def favoured(model: RecoNet, share: Shares, reference: Profile, codes: Codes) -> Taste:
    """How far the items of a class rise above the average item, for her more than for the crowd.

    It is the sum of her personal relevances for the average item of that class.

    Args:
        share: I_u / |FS_u|, `[user, m]`.
    """
    y = ((share - reference).to(model.W) @ model.Q @ model.W.T).numpy()
    classes = one_hot(codes)
    mean = np.tensordot(y, classes, axes=1) / np.maximum(classes.sum(axis=0), 1)
    return np.where(classes.any(axis=0), mean - y.mean(axis=1)[:, None, None], 0.0)
