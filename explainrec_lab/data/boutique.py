"""The boutique: a procedurally drawn shop whose truth is known.

`load` puts it together from a seed: designs (`design.py`), their pictures, drawn when first
looked at (`gallery.py`), shoppers and their purchases (`shoppers.py`), and relations between
items (`relations.py`). Why each purchase and each relation happened stands in `Dataset.truth`.

    dataset = data.load("boutique", items=2500, shoppers=1500, size=64, seed=0)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from numpy import ndarray

from explainrec_boutique.design import MAX_SEED, Design, Dials, sample
from explainrec_boutique.gallery import Gallery
from explainrec_boutique.groups import FEATURES, GROUPS
from explainrec_boutique.limits import Range, check_number
from explainrec_boutique.relations import Goods, RelationDials, draw_relations
from explainrec_boutique.render import SIZES
from explainrec_boutique.shoppers import (
    Purchases,
    Shelf,
    ShopperDials,
    Shoppers,
    draw_popularity,
    draw_purchases,
    draw_shoppers,
    utility,
)
from explainrec_boutique.vocabulary import CATEGORIES, FAMILIES, SCHEMA, display
from explainrec_lab.data.contracts import (
    DOES_NOT_APPLY,
    Catalogue,
    Dataset,
    Features,
    Interactions,
    Truth,
    check_ids,
)

__all__ = ["Dials", "RelationDials", "ShopperDials", "goods_of", "load", "shelf_of", "true_utility"]

DRAWING, SHOPPING, RELATING = Dials(), ShopperDials(), RelationDials()
"""The dials as they stand by default."""

ALLOWED: dict[str, Range] = {
    "items": (1, 1_000_000),
    "shoppers": (1, 10_000_000),
    "size": SIZES,
    "seed": (0, MAX_SEED),
}


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
    asked = {"items": items, "shoppers": shoppers, "size": size, "seed": seed}
    for name, value in asked.items():
        check_number(name, value, ALLOWED[name])
    check_number("shopping.purchases", shopping.purchases, (1, items))
    designs = [sample(seed, item, drawing) for item in range(items)]
    catalogue = _catalogue(designs, Gallery(designs, size), draw_popularity(items, seed))
    people = draw_shoppers(shoppers, SCHEMA, len(FAMILIES), seed, shopping)
    purchases = draw_purchases(people, shelf_of(catalogue), seed, shopping)
    relations, why = draw_relations(
        goods_of(catalogue), CATEGORIES, SCHEMA, shopping.groups, seed, relating
    )
    truth = Truth(people.preference, purchases.reason.ravel(), why, people.group)
    return Dataset(
        "boutique", catalogue, _interactions(people, purchases, catalogue), relations, truth
    )


def true_utility(
    dataset: Dataset, users: Sequence[int] | ndarray | None = None, dials: ShopperDials = SHOPPING
) -> Float[ndarray, "user item"]:
    """What each item is truly worth to each user, before noise: the ceiling of any model.

    Args:
        dataset: a boutique.
        users: ids of some users; all of them by default.
        dials: what the data set was loaded with (`shopping`).

    Raises:
        ValueError: a data set that is no boutique, or an unknown user.
    """
    if dataset.name != "boutique" or dataset.truth is None:
        raise ValueError(f"dataset: {dataset.name!r} has no true utility; the boutique has")
    truth, table = dataset.truth, dataset.interactions.users
    chosen = np.arange(len(table)) if users is None else users
    chosen = check_ids("users", chosen, len(table), "user")
    family = _family_codes(table["favourite_colour"])
    people = Shoppers(truth.group_of_user, truth.preference, family, table[list(FEATURES)])
    return utility(people[chosen], shelf_of(dataset.catalogue), dials)


def _catalogue(designs: list[Design], gallery: Gallery, popularity: ndarray) -> Catalogue:
    attributes = np.array([design.codes for design in designs], dtype=np.int64)
    return Catalogue(
        items=_item_table(designs, popularity),
        images=gallery,
        attributes=attributes,
        schema=SCHEMA,
        masks=gallery.mask,
    )


def _item_table(designs: list[Design], popularity: ndarray) -> pd.DataFrame:
    """One row an item: what a shop would print, and its true popularity (standard normal)."""
    columns = ("title", "category", "colour", "family", "pattern", "mark")
    table = {column: [getattr(design, column) for design in designs] for column in columns}
    identity = [f"boutique-{item:06d}" for item in range(len(designs))]
    frame = pd.DataFrame({"item_id": identity, **table, "popularity": popularity})
    return frame.rename(columns={"family": "colour_family"}).fillna({"mark": "none"})


def shelf_of(catalogue: Catalogue) -> Shelf:
    """What the boutique's shoppers go by in a catalogue that `load` made."""
    assert catalogue.attributes is not None
    popularity = catalogue.items["popularity"].to_numpy(np.float32)
    family = _family_codes(catalogue.items["colour_family"])
    return Shelf(catalogue.attributes, family, popularity)


def goods_of(catalogue: Catalogue) -> Goods:
    """What relations go by in a catalogue that `load` made."""
    assert catalogue.attributes is not None
    category = np.array([CATEGORIES.index(name) for name in catalogue.items["category"]])
    return Goods(category, _family_codes(catalogue.items["colour_family"]), catalogue.attributes)


def _family_codes(names: pd.Series) -> Int[ndarray, " row"]:
    return pd.Categorical(names, categories=list(FAMILIES)).codes.astype(np.int64)


def _interactions(people: Shoppers, purchases: Purchases, catalogue: Catalogue) -> Interactions:
    """Purchases as events; a shopper's `time` counts her purchases from 0."""
    n_users, each = purchases.item.shape
    events = pd.DataFrame(
        {
            "user": np.repeat(np.arange(n_users), each),
            "item": purchases.item.ravel(),
            "time": np.tile(np.arange(each), n_users),
        }
    )
    users = _user_table(people)
    return Interactions.from_frame(
        events,
        users=users,
        n_items=len(catalogue),
        user_features=Features.from_columns(users, {name: name for name in FEATURES}),
        item_features=_item_features(catalogue),
    )


def _user_table(people: Shoppers) -> pd.DataFrame:
    """One row a user: what she says about herself, and, for the truth, what she doesn't."""
    return pd.DataFrame(
        {
            "user_id": [f"shopper-{user:06d}" for user in range(len(people))],
            **people.features.astype(str),
            "group": [GROUPS[group].name for group in people.group],
            "favourite_colour": [FAMILIES[family] for family in people.colour_family],
        }
    )


def _item_features(catalogue: Catalogue) -> Features:
    """Binary features such as 'neckline: V', 'colour: warm family' and 'category: top'."""
    assert catalogue.attributes is not None
    words = {name: display(name) for name in SCHEMA.attributes}
    table = pd.DataFrame(
        {
            name: [None if code == DOES_NOT_APPLY else display(classes[code]) for code in column]
            for (name, classes), column in zip(
                SCHEMA.classes.items(), catalogue.attributes.T, strict=True
            )
        }
    ).assign(
        colour=catalogue.items["colour_family"] + " family",
        category=catalogue.items["category"],
    )
    return Features.from_columns(table, {**words, "colour": "colour", "category": "category"})
