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

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from explainrec_lab.data.contracts import Dataset, Interactions, Schema, check_choice, check_ids
from explainrec_lab.evaluate import faithfulness, truth
from explainrec_lab.saers.model import SAERS, Parts, prediction
from explainrec_lab.saers.regions import Extracted

# Pairs of a user and an item explained together, to bound the memory.
EVENTS_AT_A_TIME = 2048


def _attention(model: SAERS, users: Tensor, parts: Parts) -> Float[Tensor, "n A"]:
    """The weight of each attribute of each item for its user, in 0..1."""
    return model.weights(users, parts)[:, 0]


def _contribution(model: SAERS, users: Tensor, parts: Parts) -> Float[Tensor, "n A"]:
    """What each attribute adds to the score."""
    return _attention(model, users, parts) * prediction(users, parts.transferred[:, 0])


def _swap(model: SAERS, users: Tensor, parts: Parts) -> Float[Tensor, "n A"]:
    """How far the score falls when one attribute's feature becomes the average one."""
    average = torch.einsum("am,amd->ad", average_features(model), model.E)
    this = torch.eye(len(average), dtype=torch.bool, device=average.device)[..., None]
    copies = parts._replace(  # as many of each item as it could have attributes
        transferred=torch.where(this, average, parts.transferred),
        applies=parts.applies.expand(-1, len(average), -1),
    )
    return model.match(users, parts) - model.match(users, copies)


@torch.no_grad()
def average_features(model: SAERS) -> Float[Tensor, "A m"]:
    """The mean feature of each attribute over the items that have it; zero where none has."""
    return model.features.sum(dim=0) / model.applies.sum(dim=0).clamp(min=1)[:, None]


# Name -> (model, vectors of users, parts of one item for each) -> a score for each attribute.
EXPLAINERS = {"attention": _attention, "contribution": _contribution, "swap": _swap}


@torch.no_grad()
def answers(model: SAERS, users: Any, items: Any, how: str) -> Float[np.ndarray, "event A"]:
    """Each attribute's part in many recommendations; nan where it does not apply.

    Args:
        users, items: ids, one item a user.
        how: a key of `EXPLAINERS`.

    Raises:
        ValueError: unknown users, items or `how`, or a model without attribute features.
    """
    check_choice("how", how, EXPLAINERS)
    if model.fusion == "none":
        raise ValueError("model: fusion='none' has no attribute features to explain with")
    user = torch.from_numpy(check_ids("users", users, model.n_users, "user"))
    item = torch.from_numpy(check_ids("items", items, model.n_items, "item"))
    if len(user) != len(item):
        raise ValueError(f"users and items: {len(user)} and {len(item)}; needs one item a user")
    some = zip(user.split(EVENTS_AT_A_TIME), item.split(EVENTS_AT_A_TIME), strict=True)
    found = [EXPLAINERS[how](model, model.user[u], model.parts(i[:, None])) for u, i in some]
    return torch.cat(found).masked_fill(~model.applies[item], torch.nan).numpy()


def hit_rate(model: SAERS, dataset: Dataset, events: Interactions, how: str) -> float:
    """Share of explainable purchases whose true reason has the highest answer, in 0..1.

    All attributes that have an answer compete, so naming one that the item lacks is a miss; so is
    an item of which the model sees no attribute. Ties are shared. Explainable: the purchase has a
    reason, and the item at least two attributes.

    Args:
        events: such as the test purchases.
        how: a key of `EXPLAINERS`.
    """
    reason, applies = truth.purchase_reasons(dataset, events), truth.applies_to(dataset, events)
    found = answers(model, events.user, events.item, how)
    answered = ~np.isnan(found)
    counted = truth.explainable(reason, applies)
    asked = counted & answered.any(axis=1)
    scores = np.where(answered, found, -np.inf)[asked]
    rate = truth.reason_hit_rate(scores, reason[asked], (answered | applies)[asked])
    return rate * float(asked.sum() / counted.sum())


def health(model: SAERS, events: Interactions) -> pd.Series:
    """Is the attention alive on these purchases? To be asked before it is put on trial.

    What `evaluate.faithfulness.health` finds in the ReLUs of D at the attributes that apply, the
    entropy of alpha, and `personal`: the share of alpha, in 0..1, that moves when another shopper
    asks for the same item. A model whose weights are the same for everybody tells nobody's taste.

    Raises:
        ValueError: a model without attention.
    """
    if model.fusion != "attention":
        raise ValueError(f"model: fusion={model.fusion!r} has no attention that could die")
    users, items = torch.from_numpy(events.user), torch.from_numpy(events.item)
    there, asked = model.applies[items][:, None], (users, items[:, None])
    alpha, other = (answers(model, u, items, "attention") for u in (users, users.roll(1)))
    found = faithfulness.health(model, *asked, axis=-1, places=there, weights=alpha)
    several = (~np.isnan(alpha)).sum(axis=1) > 1
    found["personal"] = float(np.nansum(np.abs(alpha - other), axis=1)[several].mean() / 2)
    return found


# --------------------------------------------------------------------------- one explanation


@dataclass(frozen=True)
class Explanation:
    """The paper's three parts for every attribute of one recommended item, strongest first.

    Attributes:
        attribute: positions in the schema. weight: what `how` says of each.
        box: (y0, x0, y1, x1) in pixels, half open. predicted: the class that the network sees.
        how: name of the answer, a key of `EXPLAINERS`.
    """

    user: int
    item: int
    attribute: Int[np.ndarray, " k"]
    weight: Float[np.ndarray, " k"]
    box: Int[np.ndarray, "k 4"]
    predicted: Int[np.ndarray, " k"]
    how: str

    def table(self, schema: Schema) -> pd.DataFrame:
        """One row an attribute, under its name: its class, the weight and the box."""
        names = [schema.attributes[a] for a in self.attribute]
        pairs = zip(names, self.predicted.tolist(), strict=True)
        named = {"class": [schema.display(*pair) for pair in pairs], self.how: self.weight}
        boxes = [tuple(box) for box in self.box.tolist()]
        return pd.DataFrame(named | {"box": boxes}, [schema.display(name) for name in names])


def explain(
    model: SAERS, user: int, item: int, found: Extracted, how: str = "contribution"
) -> Explanation:
    """The three parts: where on the picture, which attribute and class, and how much.

    Attributes that weigh the same stand in an order drawn by lot. An item without attributes has an
    empty explanation.

    Args:
        found: what the network saw in the catalogue's pictures.

    Raises:
        ValueError: an unknown user, item or `how`, or a `found` of another catalogue.

    Source: SAERS, §3.4.
    """
    if found.applies.shape != (model.n_items, model.n_attributes):
        has = f"the model has {(model.n_items, model.n_attributes)}"
        raise ValueError(f"found: {found.applies.shape} items and attributes; {has}")
    weights = answers(model, [user], [item], how)[0]
    lot = np.random.default_rng(0).permutation(len(weights))
    order = np.lexsort((lot, -weights))[: int((~np.isnan(weights)).sum())]
    boxes, classes = found.boxes[item, order], found.predicted[item, order]
    return Explanation(user, item, order, weights[order], boxes, classes, how)
