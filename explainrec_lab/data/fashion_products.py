"""Fashion Product Images: photos of products, with attributes that a shop's staff filled in.

File: `fashion-product-images/fashion-product-images-dataset.zip` under the data folder, as Kaggle
gives it: `fashion-dataset/styles.csv`, `fashion-dataset/styles/<id>.json` (attributes under
`data.articleAttributes`), `fashion-dataset/images/<id>.jpg`. Getting it needs an account there, so
nothing is downloaded here. Source: Fashion Product Images Dataset, Kaggle, 2019.

A missing attribute may not apply, or nobody filled it in: both are -1 here, and the files do not
tell them apart.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int
from numpy import ndarray

from explainrec_lab.data.archives import by_hand, json_object, opened, table
from explainrec_lab.data.contracts import (
    DOES_NOT_APPLY,
    Catalogue,
    Dataset,
    Interactions,
    Schema,
)
from explainrec_lab.data.photos import Photos
from explainrec_lab.data.store import data_dir

PAGE = "https://www.kaggle.com/datasets/paramaggarwal/fashion-product-images-dataset"

REGION_ATTRIBUTES = (
    "Neck", "Collar", "Sleeve Length", "Sleeve Styling", "Length", "Hemline", "Waist Rise",
    "Waistband", "Toe Shape", "Heel Height", "Heel Type", "Ankle Height", "Fastening",
    "Fastening and Back Detail",
)  # fmt: skip
"""Attributes with a place on the picture, from the neck down to the shoe."""

MIN_PRODUCTS = 15
"""A class with fewer products is not learned: its products count as unlabelled there."""

LARGEST = {"Neck": 5}
"""Attributes of which only so many classes are kept, the largest."""

SAME = {("Sleeve Length", "No Sleeves"): "Sleeveless"}
"""Two names for one class."""

COLUMNS = {
    "id": "item",
    "productDisplayName": "title",
    "articleType": "category",
    "gender": "gender",
    "baseColour": "colour",
}


def path() -> Path:
    """Where the archive belongs."""
    return data_dir() / "fashion-product-images" / "fashion-product-images-dataset.zip"


def load(size: int = 224, min_products: int = MIN_PRODUCTS) -> Dataset:
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
    archive = path()
    with opened(archive, by_hand("fashion-product-images", PAGE, "", archive)) as file:
        items = _items(table(file, "fashion-dataset/styles.csv", list(COLUMNS), commas=True))
        labels, state = _labels(file, items.original_id)
    schema = _frequent(labels, min_products)
    names = [f"fashion-dataset/images/{item}.jpg" for item in items.original_id]
    catalogue = Catalogue(
        items.assign(product_file=state),
        Photos(names, size, archive=archive),
        codes(labels, schema),
        schema,
    )
    return Dataset("fashion-product-images", catalogue, _nobody(len(items)))


def _items(styles: pd.DataFrame) -> pd.DataFrame:
    """One row a product."""
    items = styles.rename(columns=COLUMNS).rename(columns={"item": "original_id"})
    if items.original_id.isna().any() or items.original_id.duplicated().any():
        bad = items.original_id[items.original_id.isna() | items.original_id.duplicated()]
        raise ValueError(f"styles.csv: id {bad.tolist()[0]!r} is missing or repeated")
    return items.assign(title=items.title.fillna("-"), category=items.category.fillna("-"))


def _labels(file: zipfile.ZipFile, ids: pd.Series) -> tuple[pd.DataFrame, list[str]]:
    """Names of the region attributes' classes as they stand in the files, and each file's state."""
    found = [_product(file, product) for product in ids]
    labels = pd.DataFrame([row for row, _ in found], columns=list(REGION_ATTRIBUTES), dtype=object)
    return labels, [state for _, state in found]


def _product(file: zipfile.ZipFile, product: str) -> tuple[dict[str, str], str]:
    """The labels in the file of one product, and the file's state."""
    try:
        return _named(json_object(file, f"fashion-dataset/styles/{product}.json")), "read"
    except FileNotFoundError:
        return {}, "missing"
    except ValueError:
        return {}, "damaged"


def _named(product: dict) -> dict[str, str]:
    """The region attributes of one product file. Raises ValueError for another layout."""
    data = product.get("data")
    given = data.get("articleAttributes") if isinstance(data, dict) else None
    if given in (None, []):  # an empty list stands for no attributes
        return {}
    if not isinstance(given, dict):
        raise ValueError("articleAttributes: no object")
    named = {name: given[name] for name in REGION_ATTRIBUTES if isinstance(given.get(name), str)}
    return {name: SAME.get((name, value), value) for name, value in named.items() if value != "NA"}


def _frequent(labels: pd.DataFrame, min_products: int) -> Schema:
    """Attributes with two classes or more of `min_products` products; the largest class first."""
    classes = {}
    for name in labels:
        counts = Counter(labels[name].dropna())
        ordered = sorted(counts, key=lambda value: (-counts[value], value))
        kept = [value for value in ordered if counts[value] >= min_products]
        if len(kept) > 1:
            classes[str(name)] = tuple(kept[: LARGEST.get(str(name))])
    return Schema(classes)


def codes(labels: pd.DataFrame, schema: Schema) -> Int[ndarray, "item attribute"]:
    """Class codes; -1 where there is no label, or one that is no class of the schema."""
    columns = [
        labels[name].map({value: code for code, value in enumerate(classes)})
        for name, classes in schema.classes.items()
    ]
    found = [column.fillna(DOES_NOT_APPLY).to_numpy(np.int64) for column in columns]
    return np.array(found, np.int64).reshape(len(found), len(labels)).T


def _nobody(n_items: int) -> Interactions:
    """No users and no purchases."""
    nothing = pd.DataFrame({"user": np.zeros(0, np.int64), "item": np.zeros(0, np.int64)})
    users = pd.DataFrame({"original_id": []})
    return Interactions.from_frame(nothing, users=users, n_items=n_items)
