"""Simulated shoppers: tastes that are known, purchases that follow them, and the reason of each.

A shopper u values an item i at

    U(u, i) = strength * sum_k theta[u, k, v_k(i)] + popularity * pop_i
              + colour * [i has u's favourite colour family] + e_ui,

where v_k(i) is the item's class of attribute k (an attribute that does not apply adds nothing)
and e_ui is standard Gumbel noise. `theta` has a few strong entries a shopper, picked with a lean
towards her group's favourites, over weak noise, and is centred within each attribute.

She takes the items of the highest U without replacement, the highest first. With Gumbel noise
this top-k *is* sequential multinomial-logit choice, exactly: the first purchase is drawn with
probability proportional to exp(U - e), the second likewise among the items left, and so on
(the Plackett-Luce model). One draw of noise an item therefore gives the whole ordered history.

Every shopper is drawn from two generators of her own, one for her taste and one for her choices:
who she is depends neither on the catalogue nor on how many others there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from numpy import ndarray
from numpy.random import Generator, default_rng

from .design import ItemFacts
from .dials import MAX_ITEM, ShopperDials
from .vocabulary import DOES_NOT_APPLY, FAMILIES, FEATURES, GROUPS, SCHEMA, Group

# Streams of randomness under one seed, apart from each other and from the items' own.
TASTE, CHOICE, POPULARITY = (MAX_ITEM + number for number in (1, 2, 3))
STRONG_RANGE = (0.7, 1.2)  # strength of a strong preference before centring

N_CLASSES = np.array([len(classes) for classes in SCHEMA.classes.values()])
# Which cells of a padded `[attribute, class]` table are classes of the schema.
CLASS_EXISTS = np.arange(N_CLASSES.max()) < N_CLASSES[:, None]

Table = Float[ndarray, "attribute class"]
Chosen = Int[ndarray, "*user purchase"]


@dataclass(frozen=True)
class Shoppers:
    """Who the shoppers are.

    Attributes:
        group: int64 `[user]`, position in `vocabulary.GROUPS`.
        preference: theta, float32 `[user, attribute, class]`; 0 beyond an attribute's classes.
        colour_family: int64 `[user]`, the favourite colour family.
        features: one row a user, one column a feature of `vocabulary.FEATURES`.
    """

    group: Int[ndarray, " user"]
    preference: Float[ndarray, "user attribute class"]
    colour_family: Int[ndarray, " user"]
    features: pd.DataFrame


class Purchases(NamedTuple):
    """What was taken: int64 `[(user,) purchase]`, in the order drawn; reason -1 = no single one."""

    item: Chosen
    reason: Chosen


def draw_popularity(n_items: int, seed: int) -> Float[ndarray, " item"]:
    """How popular each item is with everyone: standard normal, float32 `[item]`."""
    return default_rng([seed, POPULARITY]).standard_normal(n_items).astype(np.float32)


# --- taste -------------------------------------------------------------------------------------


def draw_shoppers(n_shoppers: int, seed: int, dials: ShopperDials) -> Shoppers:
    """Draw who the shoppers are: group, taste, favourite colour family and features."""
    odds = np.stack([_strong_odds(group, dials) for group in GROUPS[: dials.groups]])
    streams = (default_rng([seed, TASTE, user]) for user in range(n_shoppers))
    drawn = [_draw_one(rng, odds, dials) for rng in streams]
    group, theta, family, ticked = (np.array(column) for column in zip(*drawn, strict=True))
    told = zip(FEATURES.items(), ticked.T, strict=True)
    features = {name: pd.Categorical.from_codes(c, list(values)) for (name, values), c in told}
    return Shoppers(group, theta, family, pd.DataFrame(features))


def _strong_odds(group: Group, dials: ShopperDials) -> Table:
    """Log-odds of each class to be a strong preference; -inf where there is no class."""
    odds = np.where(CLASS_EXISTS, 0.0, -np.inf)
    for attribute, value in group.favourites.items():
        odds[SCHEMA.attribute(attribute), SCHEMA.code(attribute, value)] = dials.group_pull
    return odds


def _draw_one(rng: Generator, odds: ndarray, dials: ShopperDials) -> tuple:
    """One shopper: group, theta, favourite colour family, one code a feature.

    Args:
        odds: `[group, attribute, class]`, as `_strong_odds` gives them.
    """
    group = int(rng.integers(dials.groups))
    theta = _draw_theta(rng, odds[group], dials)
    family = int(rng.integers(len(FAMILIES)))
    return group, theta, family, _tick_features(rng, GROUPS[group], dials)


def _draw_theta(rng: Generator, odds: Table, dials: ShopperDials) -> Table:
    """A few strong entries over weak noise, centred within each attribute, float32."""
    theta = rng.normal(0.0, dials.noise, odds.shape)
    lots = (odds + rng.gumbel(size=odds.shape)).ravel()
    strong = np.argsort(-lots)[: dials.strong]  # drawn without replacement, by the same odds
    theta.ravel()[strong] += rng.uniform(*STRONG_RANGE, dials.strong)
    theta[~CLASS_EXISTS] = 0.0
    centred = theta - theta.sum(axis=1, keepdims=True) / N_CLASSES[:, None]
    return np.where(CLASS_EXISTS, centred, 0.0).astype(np.float32)


def _tick_features(rng: Generator, group: Group, dials: ShopperDials) -> list[int]:
    """The code of each feature: the group's typical value, or any."""
    return [
        values.index(group.typical[name])
        if rng.random() < dials.feature_signal
        else int(rng.integers(len(values)))
        for name, values in FEATURES.items()
    ]


# --- choice ------------------------------------------------------------------------------------


def draw_purchases(people: Shoppers, facts: ItemFacts, seed: int, dials: ShopperDials) -> Purchases:
    """Let every shopper choose, and note why she chose what."""
    drawn = []
    for user, taste in enumerate(zip(people.preference, people.colour_family, strict=True)):
        drawn.append(_draw_history(*taste, facts, default_rng([seed, CHOICE, user]), dials))
    return Purchases(*map(np.stack, zip(*drawn, strict=True)))


def _draw_history(
    theta: Table, family: int, facts: ItemFacts, rng: Generator, dials: ShopperDials
) -> Purchases:
    """One shopper's purchases: the items of the highest utility, each with its reason.

    The reason is the attribute with the largest contribution if that is large enough, else -1.
    """
    liking = _liking(theta, facts)
    values = _utility(liking, family, facts, dials)
    values -= np.log(rng.standard_exponential(len(facts)))  # -log(Exp(1)) is Gumbel
    best = np.argpartition(-values, dials.purchases - 1)[: dials.purchases]
    items = best[np.argsort(-values[best], kind="stable")]
    share = np.float32(dials.strength) * liking[:, items]
    enough = share.max(axis=0) > dials.strength * dials.reason_above
    return Purchases(items, np.where(enough, share.argmax(axis=0), -1))


def _liking(theta: Table, facts: ItemFacts) -> Float[ndarray, "attribute item"]:
    """Theta of each item's classes; 0 where an attribute does not apply."""
    codes = facts.attributes.T
    return np.take_along_axis(theta, codes, axis=1) * (codes != DOES_NOT_APPLY)


def _utility(
    liking: ndarray, family: int, facts: ItemFacts, dials: ShopperDials
) -> Float[ndarray, " item"]:
    """What each item is worth to a shopper before the Gumbel noise: U - e, float32.

    This is the best score that any recommender could give: the ceiling of the data set.
    """
    values = np.float32(dials.strength) * liking.sum(axis=0)
    values += np.float32(dials.popularity) * facts.popularity
    return values + np.float32(dials.colour) * (facts.colour_family == family)
