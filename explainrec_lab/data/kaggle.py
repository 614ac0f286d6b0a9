"""Fashion shops whose archives lie behind a login at Kaggle: purchases with photos, and labels.

- `hm`: two years of purchases, with a photo of each article. The archive holds `articles.csv`,
  `transactions_train.csv` and `images/<first 3 digits>/<article_id>.jpg`. Source: H&M Personalized
  Fashion Recommendations, 2022; terms: non-commercial.
- `fashion-product-images`: photos of products, with attributes that a shop's staff filled in. The
  archive holds, below `fashion-dataset`, `styles.csv`, `styles/<id>.json` (attributes under
  `data.articleAttributes`) and `images/<id>.jpg`. Source: Fashion Product Images Dataset, 2019. A
  missing attribute may not apply, or nobody filled it in: both are -1 here, and the files do not
  tell them apart.

Archives lie under the data folder, each in the folder of its name, as Kaggle gives them. Getting
them needs an account there, so nothing is downloaded here. Names and pages stand in `kaggle.toml`.
"""

import zipfile
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd

from explainrec_lab.data.archives import json_object, opened, table
from explainrec_lab.data.contracts import Catalogue, Dataset, Schema, check_filled
from explainrec_lab.data.frames import from_frames
from explainrec_lab.data.photos import Photos, codes
from explainrec_lab.data.store import data_dir, table_beside

TABLE = table_beside(__file__)
HM, PRODUCTS = TABLE["hm"], TABLE["fashion-product-images"]
REGION_ATTRIBUTES = PRODUCTS["region_attributes"]
INSIDE = "fashion-dataset"
# Two names for one class.
SAME = {(attribute, name): other for attribute, name, other in PRODUCTS["same"]}

# Customers with fewer articles are left out, as in SAERS, §4.1.
MIN_PURCHASES = 5
# A class with fewer products is not learned: its products count as unlabelled there.
MIN_PRODUCTS = 15


def path(name: str) -> Path:
    """Where an archive belongs."""
    return data_dir() / name / TABLE[name]["archive"]


def _opened(name: str) -> AbstractContextManager[zipfile.ZipFile]:
    """The archive. Raises DataNotFound with the steps that bring it."""
    home, page = path(name), TABLE[name]["page"]
    put = f"put it, as it is, at {home}; EXPLAINREC_DATA names the folder above"
    there = f"download the archive from {page} (needs an account{TABLE[name]['consent']})"
    return opened(home, f"{name}: {there} and {put} `{name}`")


# ------------------------------------------------------------------------------ H&M


def load_hm(size: int = 224, min_purchases: int = MIN_PURCHASES) -> Dataset:
    """Customers x articles; each pair once, with its first day and `value`, how often.

    Time is in days since 1970. Article numbers have ten digits: zeros that a program took from
    their front come back. Items have the columns `group`, `colour` and `description`; item
    features: group and colour. Photos are read from the archive when they are asked for.

    Args:
        size: pixels of a picture's side.
        min_purchases: leave out customers who bought fewer different articles.

    Raises:
        DataNotFound: the archive is not here; the message is the steps that bring it.
        ValueError: a damaged archive, a missing file or column in it, a date that is none, a
            purchase without a customer, day or known article, or nobody with so many purchases.
    """
    with _opened("hm") as file:
        articles = table(file, "articles.csv", list(HM["articles"])).rename(columns=HM["articles"])
        purchases = table(file, "transactions_train.csv", list(HM["purchases"]))
    check_filled("articles.csv", articles[["item"]], "fetch it again")
    articles = articles.assign(item=_ten_digits(articles.item))
    found = from_frames(
        _events(purchases.rename(columns=HM["purchases"]), min_purchases),
        items=articles,
        item_columns={"group": "group", "colour": "colour"},
        name="hm",
    )
    names = [f"images/{item[:3]}/{item}.jpg" for item in articles.item]
    photos = Photos(names, size, archive=path("hm"))
    return replace(found, catalogue=Catalogue(found.catalogue.items, photos))


def _ten_digits(numbers: pd.Series) -> pd.Series:
    """Articles' numbers as the photos have them: 108775015 and 108775015.0 are 0108775015."""
    return numbers.str.removesuffix(".0").str.zfill(10)


def _days(day: str) -> int:
    """Since 1970. Raises ValueError for what is no date, such as 'NaT'."""
    try:
        return (date.fromisoformat(day) - date(1970, 1, 1)).days
    except ValueError:
        told = f"t_dat: {day!r} is no date such as 2020-09-22; mend or drop the row"
        raise ValueError(f"transactions_train.csv: {told}") from None


def _events(purchases: pd.DataFrame, min_purchases: int) -> pd.DataFrame:
    """One row a customer and article, of customers with enough articles."""
    check_filled("transactions_train.csv", purchases, "fetch it again")
    days = {day: _days(day) for day in purchases.day.unique()}
    said = {"time": purchases.day.map(days).astype("int64"), "item": _ten_digits(purchases.item)}
    grouped = purchases.assign(**said).groupby(["user", "item"])["time"]
    events = grouped.agg(time="min", value="size").reset_index()
    count = events.groupby("user")["item"].transform("size")
    if not (count >= min_purchases).any():
        most = 0 if count.empty else int(count.max())
        raise ValueError(f"min_purchases: {min_purchases} leaves no customer; the most is {most}")
    return events[count >= min_purchases].reset_index(drop=True)


# ----------------------------------------------------------------- Fashion Product Images


def load_products(size: int = 224, min_products: int = MIN_PRODUCTS) -> Dataset:
    """Products with photos and attribute labels; nobody buys anything here.

    Items have the columns `gender`, `colour` and `product_file` ('read', 'missing' or 'damaged':
    without its file a product has no labels). Photos are read when they are asked for.

    Args:
        size: pixels of a picture's side.
        min_products: leave out classes with fewer products, and attributes with fewer than two
            classes.

    Raises:
        DataNotFound: the archive is not here; the message is the steps that bring it.
        ValueError: a damaged archive, no `styles.csv`, a missing column in it, or a repeated id.
    """
    with _opened("fashion-product-images") as file:
        items = table(file, f"{INSIDE}/styles.csv", list(PRODUCTS["columns"]), commas=True)
        items = items.rename(columns=PRODUCTS["columns"])
        if bad := items.item[items.item.isna() | items.item.duplicated()].tolist():
            raise ValueError(f"styles.csv: id {bad[0]!r} is missing or repeated")
        products = [_product(file, item) for item in items.item]
    rows, states = [row for row, _ in products], [state for _, state in products]
    labels = pd.DataFrame(rows, columns=REGION_ATTRIBUTES, dtype=object)
    schema = _frequent(labels, min_products)
    names = [f"{INSIDE}/images/{item}.jpg" for item in items.item]
    photos = Photos(names, size, archive=path("fashion-product-images"))
    nothing, items = pd.DataFrame(columns=["user", "item"]), items.assign(product_file=states)
    found = from_frames(nothing, items=items, name="fashion-product-images")
    shown = Catalogue(found.catalogue.items, photos, codes(labels, schema), schema)
    without = f"{len(states) - states.count('read')} of {len(states)}"
    notes = (*found.notes, f"items: {without} have no readable product file, so no labels")
    return replace(found, catalogue=shown, notes=notes)


def _product(file: zipfile.ZipFile, product: str) -> tuple[dict[str, str], str]:
    """The labels in the file of one product, and the file's state."""
    try:
        data = json_object(file, f"{INSIDE}/styles/{product}.json").get("data")
    except FileNotFoundError:
        return {}, "missing"
    except ValueError:
        return {}, "damaged"
    given = data.get("articleAttributes") if isinstance(data, dict) else None
    given = {} if given in (None, []) else given  # an empty list stands for no attributes
    if not isinstance(given, dict):
        return {}, "damaged"
    named = {name: given[name] for name in REGION_ATTRIBUTES if isinstance(given.get(name), str)}
    known = {name: SAME.get((name, value), value) for name, value in named.items() if value != "NA"}
    return known, "read"


def _frequent(labels: pd.DataFrame, min_products: int) -> Schema:
    """Attributes with two classes or more of `min_products` products; the largest class first."""
    classes = {}
    for name in labels:
        counts = labels[name].value_counts().sort_index()
        counts = counts.sort_values(ascending=False, kind="stable")
        kept = counts.index[counts >= min_products]
        if len(kept) > 1:
            classes[str(name)] = tuple(kept[: PRODUCTS["largest"].get(str(name))])
    return Schema(classes)
