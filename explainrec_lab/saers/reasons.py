"""Why this item: three answers to "which attribute did it?", and the explanation made of one.

- **attention**: the paper's answer, the weight alpha of Eq. 5;
- **contribution**: what the attribute adds to the score, alpha <u, E^k f_a^k>;
- **swap**: how far the score falls when the attribute's feature is exchanged for that of the
  average item. A counterfactual: it asks the model, and not one of its parts. What f_g sees of the
  attribute stays, so the answer is whole only for a model without f_g.

Where the score is a plain sum over attributes (`fusion="sum"`), swap and contribution differ by a
constant of the user and the attribute, and the contributions add up to the score, less its bias and
f_g where it has them.

Which answer is right can be counted where the true reason is known: `hit_rate`.

Source: SAERS, §3.4; contribution, swap and the count are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from explainrec_lab.data.contracts import Schema, check_ids
from explainrec_lab.evaluate import truth
from explainrec_lab.saers.extraction import Extracted
from explainrec_lab.saers.preference import NOTHING, SAERS, Parts, prediction
from explainrec_lab.saers.shop import Shop

EVENTS_AT_A_TIME = 2048
"""Pairs of a user and an item explained together, to bound the memory."""


def attention_of(model: SAERS, users: Any, items: Any) -> Float[ndarray, "event attribute"]:
    """The weight of each attribute of each item for its user, in 0..1; nan where it doesn't apply.

    Raises:
        ValueError: unknown users or items, or a model without attribute features.
    """

    def weight(u: Tensor, parts: Parts, attribute: Tensor) -> Tensor:
        return model.weights(u, parts)[:, 0]

    return _by_attribute(model, users, items, weight)


def contribution_of(model: SAERS, users: Any, items: Any) -> Float[ndarray, "event attribute"]:
    """What each attribute adds to the score; nan where it doesn't apply. Raises: see above."""

    def added(u: Tensor, parts: Parts, attribute: Tensor) -> Tensor:
        return model.weights(u, parts)[:, 0] * prediction(u, parts.transferred[:, 0])

    return _by_attribute(model, users, items, added)


def swap_of(
    model: SAERS, users: Any, items: Any, average: Float[Tensor, "attribute m"] | None = None
) -> Float[ndarray, "event attribute"]:
    """How far the score falls when one attribute becomes the average one; nan where none is.

    Args:
        average: what to exchange for; by default `average_features(model)`.

    Raises:
        ValueError: unknown users or items, or a model without attribute features.
    """
    found = average_features(model) if average is None else average

    def fall(u: Tensor, parts: Parts, attribute: Tensor) -> Tensor:
        transferred = (found.to(u.device)[:, None] @ model.E).squeeze(1)
        replaced = _each_replaced(parts, transferred[attribute.clamp(min=0)])
        return model.match(u, parts) - model.match(u, replaced)

    return _by_attribute(model, users, items, fall)


EXPLAINERS: dict[str, Callable[..., Float[ndarray, "event attribute"]]] = {
    "attention": attention_of,
    "contribution": contribution_of,
    "swap": swap_of,
}
"""Name -> (model, users, items) -> scores of attributes, `[event, attribute]`."""


@torch.no_grad()
def average_features(model: SAERS, items: Any = None) -> Float[Tensor, "attribute m"]:
    """The mean feature of each attribute over the items that have it; zero where none has.

    Args:
        items: which items count, such as those of the training data; all by default.
    """
    chosen = slice(None) if items is None else check_ids("items", items, model.n_items, "item")
    features = model.features.view(*model.attribute.shape, -1)[chosen].flatten(0, 1)
    attribute = model.attribute[chosen].flatten()
    there = attribute != NOTHING
    total = features.new_zeros(model.n_attributes, features.shape[1])
    total.index_add_(0, attribute[there], features[there])
    count = torch.bincount(attribute[there], minlength=model.n_attributes)
    return total / count.clamp(min=1).unsqueeze(1)


def _each_replaced(parts: Parts, replacement: Float[Tensor, "n k d"]) -> Parts:
    """k copies of each item (c = 1); the p-th has another feature in its p-th place."""
    places = replacement.shape[1]
    here = torch.eye(places, dtype=torch.bool, device=replacement.device)[..., None]
    transferred = torch.where(here, replacement[:, None], parts.transferred)
    applies = parts.applies.expand(-1, places, -1)
    return parts._replace(transferred=transferred, applies=applies)


@torch.no_grad()
def _by_attribute(
    model: SAERS,
    users: Any,
    items: Any,
    ask: Callable[[Tensor, Parts, Tensor], Float[Tensor, "n k"]],
) -> Float[ndarray, "event attribute"]:
    """Answers for the places of each item, put where their attributes are."""
    if model.fusion == "none":
        raise ValueError("model: fusion='none' has no attribute features to explain with")
    user = torch.from_numpy(check_ids("users", users, model.n_users, "user"))
    item = torch.from_numpy(check_ids("items", items, model.n_items, "item"))
    if len(user) != len(item):
        raise ValueError(f"users and items: {len(user)} and {len(item)}; needs one item a user")
    result = np.full((len(user), model.n_attributes), np.nan, np.float32)
    for start in range(0, len(user), EVENTS_AT_A_TIME):
        chosen = slice(start, start + EVENTS_AT_A_TIME)
        attribute = model.attribute[item[chosen]]
        answer = ask(model.user[user[chosen]], model.parts(item[chosen, None]), attribute)
        row, place = (attribute != NOTHING).nonzero(as_tuple=True)
        result[start + row.numpy(), attribute[row, place].numpy()] = answer[row, place].numpy()
    return result


def hit_rate(model: SAERS, shop: Shop, how: str) -> float:
    """Share of explainable test purchases whose true reason has the highest answer, in 0..1.

    All attributes that have an answer compete, so naming one that the item lacks is a miss; so is
    an item of which the model sees no attribute. Ties are shared. Explainable: the purchase has a
    reason, and the item at least two attributes.

    Args:
        how: a key of `EXPLAINERS`.
    """
    events = shop.parts.test
    reason = truth.purchase_reasons(shop.dataset, events)
    applies = truth.applies_to(shop.dataset, events)
    answers = EXPLAINERS[how](model, events.user, events.item)
    answered = ~np.isnan(answers)
    counted = truth.explainable(reason, applies)
    asked = counted & answered.any(axis=1)
    scores = np.where(answered, answers, -np.inf)[asked]
    rate = truth.reason_hit_rate(scores, reason[asked], (answered | applies)[asked])
    return rate * float(asked.sum() / counted.sum())


# --------------------------------------------------------------------------- one explanation


@dataclass(frozen=True)
class Explanation:
    """The paper's three parts for every attribute of one recommended item, strongest first.

    Attributes:
        score: y_ui, all of it.
        attribute: positions in the schema. weight: what `how` says of each.
        box: (y0, x0, y1, x1) in pixels, half open. predicted: the class that the network sees.
        how: name of the answer, a key of `EXPLAINERS`.
    """

    user: int
    item: int
    score: float
    attribute: Int[ndarray, " k"]
    weight: Float[ndarray, " k"]
    box: Int[ndarray, "k 4"]
    predicted: Int[ndarray, " k"]
    how: str

    def __len__(self) -> int:
        return len(self.attribute)

    def table(self, schema: Schema) -> pd.DataFrame:
        """One row an attribute: its name, its class, the weight and the box."""
        names = [schema.attributes[a] for a in self.attribute]
        classes = [schema.name(name, int(c)) for name, c in zip(names, self.predicted, strict=True)]
        columns = {"attribute": names, "class": classes, self.how: self.weight}
        return pd.DataFrame(columns | {"box": [tuple(map(int, box)) for box in self.box]})


def explain(
    model: SAERS, user: int, item: int, found: Extracted, how: str = "contribution"
) -> Explanation:
    """The three parts: where on the picture, which attribute and class, and how much.

    An item without attributes has an explanation of length 0.

    Args:
        found: what the network saw in the catalogue's pictures.

    Raises:
        ValueError: an unknown user, item or `how`, or a `found` of another catalogue.

    Source: SAERS, §3.4.
    """
    if how not in EXPLAINERS:
        raise ValueError(f"how: {how!r}; choose from {', '.join(EXPLAINERS)}")
    if found.applies.shape != (model.n_items, model.n_attributes):
        raise ValueError(
            f"found: {found.applies.shape} items and attributes; the model has "
            f"{(model.n_items, model.n_attributes)}"
        )
    weights = EXPLAINERS[how](model, [user], [item])[0]
    order = np.argsort(-weights, kind="stable")[: int((~np.isnan(weights)).sum())]
    score = float(model.scores([user])[0, item])
    return Explanation(
        user,
        item,
        score,
        order,
        weights[order],
        found.boxes[item, order],
        found.predicted[item, order],
        how,
    )
