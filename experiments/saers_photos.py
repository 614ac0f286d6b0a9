"""SAERS on real photos: attributes of Fashion Product Images, purchases of H&M's customers.

The network learns on one shop's photos and labels and then looks at another shop's photos, as in
the paper. Nobody labelled H&M's attributes, and nobody told why its customers bought: what can be
checked is whether the network agrees with the words of H&M's descriptions, and how well purchases
are ranked. The settings of every model are searched alike, on the development purchases of the
first division.

Source: SAERS, §4.1 to §4.3. The photos stay where they are; only numbers leave.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from operator import itemgetter
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from experiments import photo_attributes, saers_search
from experiments.photo_attributes import SETTINGS
from experiments.record import Columns, Result, results, rows_by
from experiments.saers import CPU, VARIANTS, scenarios, scores_of, trained
from experiments.saers_models import UNTRAINED, Shop, pooled_vectors
from explainrec_lab import data, saers
from explainrec_lab.data.contracts import DOES_NOT_APPLY, Dataset, Schema, present

# The second VBPR sees vectors of the network before it learned any attribute.
COMPARED = (
    *("Random", "PopRank", "BPR-MF"),
    *("VBPR, ImageNet", "VBPR", "DeepStyle", "JRL"),
    *("SAERS", "SAERS, ours + picture", "SAERS, ours"),
)

# Searched for every model that learns, by AUC on development purchases.
GRID = saers_search.GRID | {"epochs": (20,), "regularizer": (1e-5, 1e-4)}

# Contests of a trial of the search.
SEARCHED_WITH = 2000

# H&M's groups for which the shares of attributes are counted.
GROUPS = ("Garment Upper body", "Garment Lower body", "Garment Full body", "Shoes")

# Attribute -> class -> how H&M's descriptions of garments say it.
WORDS = {
    "Neck": {
        "Round Neck": r"round[- ]neck|crew[- ]neck",
        "V-Neck": r"v-neck",
        "Boat Neck": r"boat neck",
    },
    "Sleeve Length": {
        "Short Sleeves": r"short[- ]sleeve|short[^.,;]{0,30} sleeves",
        "Long Sleeves": r"long[- ]sleeve|long[^.,;]{0,30} sleeves",
        "Sleeveless": r"sleeveless",
        "Three-Quarter Sleeves": r"3/4[- ]length sleeve|3/4[- ]sleeve",
    },
    "Waist Rise": {
        "Mid-Rise": r"regular waist|mid[- ]rise",
        "Low-Rise": r"low[- ]waist|low[- ]rise",
        "High-Rise": r"high[- ]waist|high[- ]rise",
    },
}


@dataclass(frozen=True)
class PhotoShop(Shop):
    """A shop whose photos were also seen by a network that knows ImageNet alone.

    Attributes:
        plain: one vector a picture, as `found.whole`.
    """

    plain: Float[Tensor, "item m"]


def saers_photos(seeds: int = 3) -> Iterator[Result]:
    """Attributes by division into products; then H&M by division of its purchases.

    H&M's photos are seen by the first division's network.

    Raises:
        DataNotFound: an archive or ImageNet's weights are not here.
    """
    dataset = data.load("hm", size=SETTINGS.size)
    products = photo_attributes.products()
    schema = present("schema", products.schema)
    images = present("images", dataset.catalogue.images)[:]
    for seed in reversed(range(seeds)):  # the first comes last, and goes on
        parts = photo_attributes.divided(products, seed)
        network = photo_attributes.trained(parts[0], seed)
        shared = {"data": "fashion-product-images", "seed": seed, "settings": asdict(SETTINGS)}
        yield from results(photo_attributes.accuracies(network, parts), **shared)
    found = saers.extract(network, images)
    labels = spoken(dataset, schema)
    told = photo_attributes.compared(found.predicted, labels, labels, schema)
    yield from results([*seen(dataset, found, schema), *told], data="hm", seed=0)
    plain = pooled_vectors(photo_attributes.untrained(schema), images)
    division = data.leave_one_out(dataset.interactions, 0, least=5)
    first = PhotoShop(dataset, division, found, plain)
    learning = [name for name in COMPARED if name not in UNTRAINED]
    trials = []
    for trial in saers_search.searched(learning, first, CPU.d, GRID, SEARCHED_WITH, seen_by):
        trials += [trial] if trial["measure"] == "AUC" else []
        yield from results([trial], data="hm")
    for seed in range(seeds):
        shop = replace(first, parts=data.leave_one_out(dataset.interactions, seed, least=5))
        yield from ranked(shop, trials, schema, seed)


# --------------------------------------------------------------------------- what is seen


def seen(dataset: Dataset, found: saers.Extracted, schema: Schema) -> Iterator[Columns]:
    """Share of H&M's items in which the network sees each attribute, by H&M's own groups."""
    group = dataset.catalogue.items["group"].to_numpy()
    some = found.applies.any(axis=1).mean()
    yield {"method": "network", "measure": "items with an attribute", "value": some}
    for name in GROUPS:
        inside = group == name
        row = {"method": "network", "measure": "share", "group": name, "n": int(inside.sum())}
        for attribute, own in zip(schema.attributes, found.applies[inside].T, strict=True):
            if inside.any():
                yield row | {"attribute": attribute, "value": own.mean()}


def spoken(dataset: Dataset, schema: Schema) -> Int[ndarray, "item attribute"]:
    """Class codes by the words of the descriptions; -1 where they say none or several."""
    items = dataset.catalogue.items
    text = items["description"].fillna("").str.lower()
    garment = items["group"].fillna("").str.startswith("Garment").to_numpy()
    labels = np.full((len(items), len(schema.attributes)), DOES_NOT_APPLY)
    for attribute, words in WORDS.items():
        if attribute not in schema.classes:
            continue
        known = {name: each for name, each in words.items() if name in schema.classes[attribute]}
        said = np.stack([text.str.contains(re.compile(each)) for each in known.values()], axis=1)
        codes = np.array([schema.code(attribute, name) for name in known])
        one = garment & (said.sum(axis=1) == 1)
        labels[one, schema.attribute(attribute)] = codes[said[one].argmax(axis=1)]
    return labels


# --------------------------------------------------------------------------- who buys what


AGREEMENT = "attention and contribution name the same"


def ranked(shop: PhotoShop, trials: list[Columns], schema: Schema, seed: int) -> Iterator[Result]:
    """AUC and NDCG@N of every model on one division's test purchases, All Items and Cold Items,
    each with the settings of its best trial."""
    drawn = scenarios(shop, seed)
    users = {scenario: len(np.unique(some.user)) for scenario, some in drawn.items()}
    best: dict[tuple[str, ...], dict[str, Any]] = {}
    for each in sorted(trials, key=itemgetter("value"), reverse=True):
        best.setdefault((each["method"], each["variant"]), each["settings"])
    for name in COMPARED:
        how = best.get(VARIANTS.get(name, (name, "")), {})
        model, columns = trained(name, shop, CPU.d, seed, seen_by, **how)
        for found in scores_of(model, drawn):
            yield {"data": "hm", "n": users[found["group"]], **columns, **found}
        if isinstance(model, saers.SAERS):
            yield from results(named(model, shop, schema), data="hm", **columns)


def seen_by(variant: str, shop: Shop, seed: int) -> Shop:
    """The shop as a variant sees it: with ImageNet's eyes, or as it is."""
    assert isinstance(shop, PhotoShop)
    whole = shop.plain.numpy() if variant == "ImageNet" else shop.found.whole
    return replace(shop, found=replace(shop.found, whole=whole))


def named(model: saers.SAERS, shop: PhotoShop, schema: Schema) -> Iterator[Columns]:
    """How often each attribute is the reason given for a test purchase, and whether ways agree.

    Purchases of items in which the network saw two attributes or more. There is no truth to hold
    the reasons against.
    """
    events = shop.parts.test
    several = shop.found.applies[events.item].sum(axis=1) > 1
    if not several.any():
        return
    users, items = events.user[several], events.item[several]
    added = np.nanargmax(saers.answers(model, users, items, "contribution"), axis=1)
    share = np.bincount(added, minlength=len(schema.attributes)) / len(added)
    reasons = dict(zip(schema.attributes, share, strict=True))
    yield from rows_by("attribute", reasons, measure="reason given")
    if model.fusion == "attention":
        weighed = np.nanargmax(saers.answers(model, users, items, "attention"), axis=1)
        chance = (1 / shop.found.applies[items].sum(axis=1)).mean()
        yield {"measure": AGREEMENT, "value": (weighed == added).mean()}
        yield {"method": "guessing", "variant": "", "measure": AGREEMENT, "value": chance}
