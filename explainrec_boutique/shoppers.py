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
who she is depends neither on the catalogue nor on how many others there are, and nothing depends
on the size of the chunks that bound the memory.
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
from .groups import FEATURES, GROUPS, Group
from .vocabulary import FAMILIES, SCHEMA

# Streams of randomness under one seed, apart from each other and from the items' own.
TASTE, CHOICE, POPULARITY = (MAX_ITEM + number for number in (1, 2, 3))
STRONG_RANGE = (0.7, 1.2)  # strength of a strong preference before centring
CHUNK = 256  # shoppers valued at a time: memory is a few times chunk x items x 4 bytes

N_CLASSES = np.array([len(classes) for classes in SCHEMA.classes.values()])
# Which cells of a padded `[attribute, class]` table are classes of the schema.
CLASS_EXISTS = np.arange(N_CLASSES.max()) < N_CLASSES[:, None]

Table = Float[ndarray, "attribute class"]
Chosen = Int[ndarray, "user purchase"]


@dataclass(frozen=True)
class Shoppers:
    """Who the shoppers are.

    Attributes:
        group: int64 `[user]`, position in `groups.GROUPS`.
        preference: theta, float32 `[user, attribute, class]`; 0 beyond an attribute's classes.
        colour_family: int64 `[user]`, the favourite colour family.
        features: one row a user, one column a feature of `groups.FEATURES`.
    """

    group: Int[ndarray, " user"]
    preference: Float[ndarray, "user attribute class"]
    colour_family: Int[ndarray, " user"]
    features: pd.DataFrame

    def __len__(self) -> int:
        return len(self.group)

    def __getitem__(self, users: slice | Int[ndarray, " chosen"]) -> Shoppers:
        """Some of the shoppers."""
        rest = (self.group[users], self.preference[users], self.colour_family[users])
        return Shoppers(*rest, self.features.iloc[users])


class Purchases(NamedTuple):
    """What they took: int64 `[user, purchase]`, in the order drawn; reason -1 = no single one."""

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


# --- utility -----------------------------------------------------------------------------------


def _utility(people: Shoppers, facts: ItemFacts, dials: ShopperDials) -> ndarray:
    """What each item is worth to each shopper before the Gumbel noise: U - e, `[user, item]`,
    float32.

    This is the best score that any recommender could give: the ceiling of the data set.
    """
    values = np.zeros((len(people), len(facts)), np.float32)
    padded = _with_nothing(people.preference)
    for k, codes in enumerate(facts.attributes.T):
        values += np.take(padded[:, k], codes, axis=1)
    values *= np.float32(dials.strength)
    values += np.float32(dials.popularity) * facts.popularity
    likes = people.colour_family[:, None] == facts.colour_family
    return values + np.float32(dials.colour) * likes


def _contributions(
    people: Shoppers, items: Chosen, facts: ItemFacts, dials: ShopperDials
) -> Float[ndarray, "user purchase attribute"]:
    """What each attribute adds to the utility of the items beside each shopper; 0 if it's absent.

    Args:
        items: for each shopper, the items to explain.
    """
    user = np.arange(len(people))[:, None, None]
    attribute = np.arange(facts.attributes.shape[1])
    theta = _with_nothing(people.preference)[user, attribute, facts.attributes[items]]
    return np.float32(dials.strength) * theta


def _with_nothing(preference: ndarray) -> Float[ndarray, "user attribute class_and_nothing"]:
    """Theta with a zero behind the last class, where code -1 (does not apply) points."""
    return np.pad(preference, ((0, 0), (0, 0), (0, 1)))


# --- choice ------------------------------------------------------------------------------------


def draw_purchases(people: Shoppers, facts: ItemFacts, seed: int, dials: ShopperDials) -> Purchases:
    """Let every shopper choose, and note why she chose what."""
    chunks = []
    for start in range(0, len(people), CHUNK):
        some = people[start : start + CHUNK]
        items = _choose(some, facts, seed, start, dials)
        chunks.append(Purchases(items, _reasons(some, items, facts, dials)))
    return Purchases(*map(np.concatenate, zip(*chunks, strict=True)))


def _choose(
    people: Shoppers, facts: ItemFacts, seed: int, first: int, dials: ShopperDials
) -> Chosen:
    """The `purchases` best items of each shopper of a chunk that starts at user `first`."""
    values = _utility(people, facts, dials)
    for row in range(len(people)):
        rng = default_rng([seed, CHOICE, first + row])
        values[row] -= np.log(rng.standard_exponential(len(facts)))  # -log(Exp(1)) is Gumbel
    best = np.argpartition(-values, dials.purchases - 1, axis=1)[:, : dials.purchases]
    order = np.argsort(-np.take_along_axis(values, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


def _reasons(people: Shoppers, items: Chosen, facts: ItemFacts, dials: ShopperDials) -> Chosen:
    """The attribute with the largest contribution if that is large enough, else -1."""
    share = _contributions(people, items, facts, dials)
    enough = share.max(axis=-1) > dials.strength * dials.reason_above
    return np.where(enough, share.argmax(axis=-1), -1)
