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

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from explainrec_boutique.design import MAX_ITEM
from explainrec_boutique.groups import FEATURES, GROUPS, Group
from explainrec_boutique.limits import Range, check_dials, check_number
from explainrec_lab.data.contracts import DOES_NOT_APPLY, Schema

TASTE, CHOICE, POPULARITY = (MAX_ITEM + number for number in (1, 2, 3))
"""Streams of randomness under one seed, apart from each other and from the items' own."""

STRONG_RANGE = (0.7, 1.2)
"""Strength of a strong preference before centring."""

CHUNK = 256
"""Shoppers valued at a time: memory is a few times chunk x items x 4 bytes."""


@dataclass(frozen=True)
class ShopperDials:
    """How shoppers differ and choose. Utilities are in units of the Gumbel noise's scale.

    Attributes:
        purchases: purchases a shopper, all different items.
        strength: weight of taste in the utility; 0 = she ignores attributes.
        noise: standard deviation of the weak preferences under the strong ones.
        popularity: weight of an item's standard-normal popularity.
        colour: what the favourite colour family adds.
        strong: number of strong preferences, (attribute, class) pairs.
        groups: number of groups, the first of `groups.GROUPS`.
        group_pull: log-odds by which a group's favourites are likelier to be strong preferences.
        feature_signal: chance that a shopper ticks her group's typical value of a feature; else
            any value, all equally likely.
        reason_above: preference from which an attribute can be the reason of a purchase (in units
            of theta, so its contribution must exceed strength * reason_above).
    """

    purchases: int = 8
    strength: float = 5.0
    noise: float = 0.12
    popularity: float = 0.7
    colour: float = 0.6
    strong: int = 3
    groups: int = 5
    group_pull: float = 2.0
    feature_signal: float = 0.6
    reason_above: float = 0.4

    def __post_init__(self) -> None:
        check_dials(self, ALLOWED)


ALLOWED: dict[str, Range] = {
    "purchases": (1, 1_000),
    "strength": (0.0, 100.0),
    "noise": (0.0, 10.0),
    "popularity": (0.0, 100.0),
    "colour": (0.0, 100.0),
    "strong": (0, 12),
    "groups": (1, len(GROUPS)),
    "group_pull": (0.0, 20.0),
    "feature_signal": (0.0, 1.0),
    "reason_above": (0.0, 10.0),
}


@dataclass(frozen=True)
class Shelf:
    """What a shopper goes by.

    Attributes:
        attributes: int64 `[item, attribute]`, class codes, -1 = does not apply.
        colour_family: int64 `[item]`.
        popularity: float32 `[item]`, standard normal.
    """

    attributes: Int[ndarray, "item attribute"]
    colour_family: Int[ndarray, " item"]
    popularity: Float[ndarray, " item"]

    def __len__(self) -> int:
        return len(self.attributes)


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
        return replace(
            self,
            group=self.group[users],
            preference=self.preference[users],
            colour_family=self.colour_family[users],
            features=self.features.iloc[users],
        )


class Purchases(NamedTuple):
    """What they took: int64 `[user, purchase]`, in the order drawn; reason -1 = no single one."""

    item: Int[ndarray, "user purchase"]
    reason: Int[ndarray, "user purchase"]


def draw_popularity(n_items: int, seed: int) -> Float[ndarray, " item"]:
    """How popular each item is with everyone: standard normal, float32 `[item]`."""
    rng = np.random.default_rng([seed, POPULARITY])
    return rng.standard_normal(n_items).astype(np.float32)


# --- taste -------------------------------------------------------------------------------------


def draw_shoppers(
    n_shoppers: int, schema: Schema, n_families: int, seed: int, dials: ShopperDials
) -> Shoppers:
    """Draw who the shoppers are: group, taste, favourite colour family and features.

    Args:
        schema: the attributes and classes that theta is about.
        n_families: number of colour families.
    """
    exists = class_exists(schema)
    odds = np.stack([_strong_odds(group, schema, dials) for group in GROUPS[: dials.groups]])
    drawn = [
        _draw_one(np.random.default_rng([seed, TASTE, user]), odds, exists, n_families, dials)
        for user in range(n_shoppers)
    ]
    group, theta, family, *ticked = (np.array(column) for column in zip(*drawn, strict=True))
    features = {
        name: pd.Categorical.from_codes(codes, list(values))
        for (name, values), codes in zip(FEATURES.items(), ticked, strict=True)
    }
    return Shoppers(group, theta, family, pd.DataFrame(features))


def class_exists(schema: Schema) -> Bool[ndarray, "attribute class"]:
    """Which cells of a padded `[attribute, class]` table are classes of the schema."""
    counts = np.array([len(classes) for classes in schema.classes.values()])
    return np.arange(counts.max()) < counts[:, None]


def _strong_odds(
    group: Group, schema: Schema, dials: ShopperDials
) -> Float[ndarray, "attribute class"]:
    """Log-odds of each class to be a strong preference; -inf where there is no class."""
    odds = np.where(class_exists(schema), 0.0, -np.inf)
    for attribute, value in group.favourites.items():
        odds[schema.attribute(attribute), schema.code(attribute, value)] = dials.group_pull
    return odds


def _draw_one(
    rng: np.random.Generator,
    odds: Float[ndarray, "group attribute class"],
    exists: Bool[ndarray, "attribute class"],
    n_families: int,
    dials: ShopperDials,
) -> tuple:
    """One shopper: group, theta, favourite colour family, one code a feature."""
    group = int(rng.integers(dials.groups))
    theta = _draw_theta(rng, odds[group], exists, dials)
    return group, theta, int(rng.integers(n_families)), *_tick_features(rng, GROUPS[group], dials)


def _draw_theta(
    rng: np.random.Generator,
    odds: Float[ndarray, "attribute class"],
    exists: Bool[ndarray, "attribute class"],
    dials: ShopperDials,
) -> Float[ndarray, "attribute class"]:
    """A few strong entries over weak noise, centred within each attribute, float32."""
    theta = rng.normal(0.0, dials.noise, exists.shape)
    lots = (odds + rng.gumbel(size=odds.shape)).ravel()
    strong = np.argsort(-lots)[: dials.strong]  # drawn without replacement, by the same odds
    theta.ravel()[strong] += rng.uniform(*STRONG_RANGE, dials.strong)
    theta[~exists] = 0.0
    centred = theta - theta.sum(axis=1, keepdims=True) / exists.sum(axis=1, keepdims=True)
    return np.where(exists, centred, 0.0).astype(np.float32)


def _tick_features(rng: np.random.Generator, group: Group, dials: ShopperDials) -> list[int]:
    """The code of each feature: the group's typical value, or any."""
    return [
        values.index(group.typical[name])
        if rng.random() < dials.feature_signal
        else int(rng.integers(len(values)))
        for name, values in FEATURES.items()
    ]


# --- utility -----------------------------------------------------------------------------------


def utility(shoppers: Shoppers, shelf: Shelf, dials: ShopperDials) -> Float[ndarray, "user item"]:
    """What each item is worth to each shopper before the Gumbel noise: U - e, float32.

    This is the best score that any recommender could give: the ceiling of the data set.
    """
    values = np.zeros((len(shoppers), len(shelf)), np.float32)
    padded = _with_nothing(shoppers.preference)
    for k, codes in enumerate(shelf.attributes.T):
        values += np.take(padded[:, k], codes, axis=1)
    values *= np.float32(dials.strength)
    values += np.float32(dials.popularity) * shelf.popularity
    likes = shoppers.colour_family[:, None] == shelf.colour_family
    return values + np.float32(dials.colour) * likes


def contributions(
    shoppers: Shoppers, items: Int[ndarray, "user purchase"], shelf: Shelf, dials: ShopperDials
) -> Float[ndarray, "user purchase attribute"]:
    """What each attribute adds to the utility of the items beside each shopper; 0 if it's absent.

    Args:
        items: for each shopper, the items to explain.
    """
    user = np.arange(len(shoppers))[:, None, None]
    attribute = np.arange(shelf.attributes.shape[1])
    theta = _with_nothing(shoppers.preference)[user, attribute, shelf.attributes[items]]
    return np.float32(dials.strength) * theta


def _with_nothing(
    preference: Float[ndarray, "user attribute class"],
) -> Float[ndarray, "user attribute class_and_nothing"]:
    """Theta with a zero behind the last class, where code -1 (does not apply) points."""
    assert DOES_NOT_APPLY == -1
    return np.pad(preference, ((0, 0), (0, 0), (0, 1)))


# --- choice ------------------------------------------------------------------------------------


def draw_purchases(
    shoppers: Shoppers, shelf: Shelf, seed: int, dials: ShopperDials, chunk: int = CHUNK
) -> Purchases:
    """Let every shopper choose, and note why she chose what.

    Args:
        chunk: shoppers valued at a time; bounds the memory and changes nothing else.

    Raises:
        ValueError: more purchases than items.
    """
    check_number("purchases", dials.purchases, (1, len(shelf)))
    parts = []
    for start in range(0, len(shoppers), chunk):
        some = shoppers[start : start + chunk]
        items = _choose(some, shelf, seed, start, dials)
        parts.append(Purchases(items, _reasons(some, items, shelf, dials)))
    return Purchases(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _choose(
    shoppers: Shoppers, shelf: Shelf, seed: int, first: int, dials: ShopperDials
) -> Int[ndarray, "user purchase"]:
    """The `purchases` best items of each shopper of a chunk that starts at user `first`."""
    values = utility(shoppers, shelf, dials)
    for row, user in enumerate(range(first, first + len(shoppers))):
        rng = np.random.default_rng([seed, CHOICE, user])
        values[row] -= np.log(rng.standard_exponential(len(shelf)))  # -log(Exp(1)) is Gumbel
    best = np.argpartition(-values, dials.purchases - 1, axis=1)[:, : dials.purchases]
    order = np.argsort(-np.take_along_axis(values, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


def _reasons(
    shoppers: Shoppers, items: Int[ndarray, "user purchase"], shelf: Shelf, dials: ShopperDials
) -> Int[ndarray, "user purchase"]:
    """The attribute with the largest contribution if that is large enough, else -1."""
    share = contributions(shoppers, items, shelf, dials)
    enough = share.max(axis=-1) > dials.strength * dials.reason_above
    return np.where(enough, share.argmax(axis=-1), -1)
