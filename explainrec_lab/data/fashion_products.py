"""Fashion Product Images: photos of products, with attributes that a shop's staff filled in.

File: `fashion-product-images/fashion-product-images-dataset.zip` under the data folder, as Kaggle
gives it: `fashion-dataset/styles.csv`, `fashion-dataset/styles/<id>.json` (attributes under
`data.articleAttributes`), `fashion-dataset/images/<id>.jpg`. Getting it needs an account there, so
nothing is downloaded here. Source: Fashion Product Images Dataset, Kaggle, 2019.

A missing attribute may not apply, or nobody filled it in: both are -1 here, and the files do not
tell them apart.
"""

import zipfile
from dataclasses import replace
from pathlib import Path

import pandas as pd

from explainrec_lab.data.archives import by_hand, json_object, opened, table
from explainrec_lab.data.contracts import Catalogue, Dataset, Schema
from explainrec_lab.data.frames import from_frames
from explainrec_lab.data.photos import Photos, codes
from explainrec_lab.data.store import data_dir, table_beside

INSIDE = "fashion-dataset"
PAGE = "https://www.kaggle.com/datasets/paramaggarwal/fashion-product-images-dataset"

# A class with fewer products is not learned: its products count as unlabelled there.
MIN_PRODUCTS = 15
# Attributes with a place on the picture, and the words that differ.
TABLE = table_beside(__file__)
COLUMNS, REGION_ATTRIBUTES = TABLE["columns"], TABLE["region_attributes"]
# Two names for one class.
SAME = {(attribute, name): other for attribute, name, other in TABLE["same"]}


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
        items = table(file, f"{INSIDE}/styles.csv", list(COLUMNS), commas=True)
        items = items.rename(columns=COLUMNS)
        if bad := items.item[items.item.isna() | items.item.duplicated()].tolist():
            raise ValueError(f"styles.csv: id {bad[0]!r} is missing or repeated")
        products = [_product(file, item) for item in items.item]
    rows, states = [row for row, _ in products], [state for _, state in products]
    labels = pd.DataFrame(rows, columns=REGION_ATTRIBUTES, dtype=object)
    schema = _frequent(labels, min_products)
    photos = Photos([f"{INSIDE}/images/{item}.jpg" for item in items.item], size, archive=archive)
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
            classes[str(name)] = tuple(kept[: TABLE["largest"].get(str(name))])
    return Schema(classes)
