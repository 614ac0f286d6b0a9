"""The whole shop from a seed, as plain tables and arrays: `load` is the boutique's door.

Designs (`design.py`) and their pictures, drawn when first looked at (`gallery.py`); shoppers and
their purchases (`shoppers.py`); relations between items (`relations.py`); and why each purchase
and each relation happened.

    shop = explainrec_boutique.load(items=300, shoppers=100, size=64, seed=0)
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from .design import Design, ItemFacts, sample
from .dials import DRAWING, RELATING, SHOPPING, Dials, RelationDials, ShopperDials, check_number
from .gallery import Gallery
from .relations import draw_relations
from .shoppers import Purchases, Shoppers, draw_popularity, draw_purchases, draw_shoppers
from .vocabulary import FAMILIES, GROUPS


class Shop(NamedTuple):
    """All there is to know about a boutique. Ids count from 0.

    Attributes:
        items: one row an item: `item_id`, `title`, `category`, `colour`, `colour_family`,
            `pattern`, `mark` and `popularity` (standard normal).
        attributes: int64 `[item, attribute]`, codes of `vocabulary.SCHEMA`, -1 = does not apply.
        gallery: pictures and masks by item.
        shoppers: groups, tastes, favourite colours and features.
        users: one row a shopper: what she says about herself, and, for the truth, what she doesn't.
        purchases: one row an event: `user`, `item`, `time` (counts each shopper's purchases from
            0), and the attribute that is its `reason`, -1 = no single one.
        relations: one row a pair of items; columns as in `relations.draw_relations`.
    """

    items: pd.DataFrame
    attributes: np.ndarray
    gallery: Gallery
    shoppers: Shoppers
    users: pd.DataFrame
    purchases: pd.DataFrame
    relations: pd.DataFrame


def load(
    items: int = 2500,
    shoppers: int = 1500,
    size: int = 64,
    seed: int = 0,
    *,
    drawing: Dials = DRAWING,
    shopping: ShopperDials = SHOPPING,
    relating: RelationDials = RELATING,
    cache: Path | None = None,
) -> Shop:
    """Set up the shop. Nothing is drawn until a picture is looked at.

    Args:
        items: number of items in the catalogue; at least `shopping.purchases`.
        shoppers: number of shoppers.
        size: height and width of the pictures, in pixels.
        seed: the same seed and dials give the same shop, bytes and all.
        drawing: how pictures vary beyond their attributes.
        shopping: how shoppers differ and choose.
        relating: how many relations there are and how clean.
        cache: folder that keeps what was drawn; by default one in the user's home.

    Raises:
        ValueError: names the argument, its value and the allowed range.
    """
    check_number("items", items, (1, 1_000_000))
    check_number("shoppers", shoppers, (1, 10_000_000))
    check_number("shopping.purchases", shopping.purchases, (1, items))
    designs = [sample(seed, item, drawing) for item in range(items)]
    attributes = np.array([design.codes for design in designs], dtype=np.int64)
    table = _item_table(designs, draw_popularity(items, seed))
    facts, people = ItemFacts.of(table, attributes), draw_shoppers(shoppers, seed, shopping)
    return Shop(
        items=table,
        attributes=attributes,
        gallery=Gallery(designs, size, cache or Path.home() / ".cache" / "explainrec_boutique"),
        shoppers=people,
        users=_user_table(people),
        purchases=_purchase_table(draw_purchases(people, facts, seed, shopping)),
        relations=draw_relations(facts, shopping.groups, seed, relating),
    )


def _item_table(designs: list[Design], popularity: np.ndarray) -> pd.DataFrame:
    columns = ("title", "category", "colour", "colour_family", "pattern", "mark")
    rows = [[getattr(design, column) for column in columns] for design in designs]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(0, "item_id", [f"boutique-{item:06d}" for item in range(len(designs))])
    return table.assign(popularity=popularity).fillna({"mark": "none"})


def _user_table(people: Shoppers) -> pd.DataFrame:
    users = people.features.astype(str)
    users.insert(0, "user_id", [f"shopper-{user:06d}" for user in range(len(users))])
    colours = [FAMILIES[family] for family in people.colour_family]
    return users.assign(group=[GROUPS[g].name for g in people.group], favourite_colour=colours)


def _purchase_table(purchases: Purchases) -> pd.DataFrame:
    user, time = np.indices(purchases.item.shape)
    events = np.stack([user, purchases.item, time, purchases.reason], axis=-1).reshape(-1, 4)
    return pd.DataFrame(events, columns=["user", "item", "time", "reason"])
