"""The boutique, a procedurally drawn shop whose truth is known, as a data set like any other.

What it sells, who shops there and why is the business of `explainrec_boutique`; here its tables
become the contracts that every source keeps.

    dataset = data.load("boutique", items=2500, shoppers=1500, size=64, seed=0)
"""

from typing import Any

import numpy as np
import pandas as pd

from explainrec_boutique.dials import Dials, RelationDials, ShopperDials
from explainrec_boutique.relations import COLOUR_KINDS, NO_REASON
from explainrec_boutique.shop import DRAWING, RELATING, SHOPPING, Shop
from explainrec_boutique.shop import load as open_shop
from explainrec_boutique.vocabulary import DOES_NOT_APPLY, FEATURES, RELATION_KINDS, SCHEMA
from explainrec_lab.data import contracts
from explainrec_lab.data.contracts import Catalogue, Dataset, Features, Interactions
from explainrec_lab.data.store import cache_dir


def load(
    items: int = 2500,
    shoppers: int = 1500,
    size: int = 64,
    seed: int = 0,
    *,
    drawing: Dials = DRAWING,
    shopping: ShopperDials = SHOPPING,
    relating: RelationDials = RELATING,
) -> Dataset:
    """Set up the shop. Nothing is drawn until a picture is looked at.

    Args:
        items: number of items in the catalogue; at least `shopping.purchases`.
        shoppers: number of shoppers.
        size: height and width of the pictures, in pixels.
        seed: the same seed and dials give the same shop, bytes and all.
        drawing: how pictures vary beyond their attributes.
        shopping: how shoppers differ and choose.
        relating: how many relations there are and how clean.

    Returns:
        A data set with everything known: pictures with masks, attributes, purchases (`time`
        counts each shopper's purchases from 0), user and item features, relations, and the truth.

    Raises:
        ValueError: names the argument, its value and the allowed range.
    """
    dials: dict[str, Any] = {"drawing": drawing, "shopping": shopping, "relating": relating}
    shop = open_shop(items, shoppers, size, seed, **dials, cache=cache_dir() / "boutique")
    pictures = shop.gallery
    catalogue = Catalogue(shop.items, pictures, shop.attributes, SCHEMA, pictures.mask)
    users, tastes = shop.users, Features.from_columns(shop.users, {name: name for name in FEATURES})
    user, item, time = np.array(shop.purchases[["user", "item", "time"]].T)
    ones = np.ones(len(shop.purchases), np.float32)
    interactions = Interactions(user, item, time, ones, users, items, tastes, _item_features(shop))
    columns = ("group", "source", "target", "kind")
    pairs = {column: shop.relations[column].to_numpy() for column in columns}
    relations = contracts.Relations(**pairs, n_items=items, n_groups=shopping.groups)
    reason = shop.relations[["source_reason", "target_reason"]].to_numpy()
    colour = shop.relations["kind"].isin([RELATION_KINDS.index(each) for each in COLOUR_KINDS])
    truth = contracts.Truth(
        preference=shop.shoppers.preference,
        purchase_reason=shop.purchases["reason"].to_numpy(),
        relation_reason=reason,
        relation_colour=colour & (reason != NO_REASON).all(axis=1),
    )
    return Dataset("boutique", catalogue, interactions, relations, truth)


def _item_features(shop: Shop) -> Features:
    """Binary features such as 'neckline: V', 'colour: warm family' and 'category: top'."""
    table = {}
    for name, codes in zip(SCHEMA.attributes, shop.attributes.T, strict=True):
        seen = [None if code == DOES_NOT_APPLY else SCHEMA.display(name, code) for code in codes]
        table[SCHEMA.display(name)] = seen
    table["colour"] = shop.items["colour_family"] + " family"
    table["category"] = shop.items["category"]
    return Features.from_columns(pd.DataFrame(table), {name: name for name in table})
