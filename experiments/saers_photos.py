"""SAERS on real photos: attributes of Fashion Product Images, purchases of H&M's customers.

The network learns on one shop's photos and labels and then looks at another shop's photos, as in
the paper. Nobody labelled H&M's attributes, and nobody told why its customers bought: what can be
checked is whether the network agrees with the words of H&M's descriptions, and how well purchases
are ranked. The settings of every model are searched alike, on the development purchases of the
first division.

Source: SAERS, §4.1 to §4.3. The photos stay where they are; only numbers leave.
"""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from experiments import photo_attributes
from experiments.photo_attributes import SETTINGS
from experiments.record import Result
from experiments.saers import scenarios, scores_of
from experiments.saers_models import UNTRAINED, Shop, make, pooled_vectors
from experiments.saers_search import points
from explainrec_lab import data, saers
from explainrec_lab.baselines.visual import Ranker
from explainrec_lab.data.contracts import DOES_NOT_APPLY, Dataset, Schema
from explainrec_lab.evaluate.sampled import NEGATIVES, contests, sampled_auc

IMAGENET = "VBPR, ImageNet"
"""VBPR with vectors of the network before it learned any attribute."""

COMPARED = (
    *("Random", "PopRank", "BPR-MF"),
    *(IMAGENET, "VBPR", "DeepStyle", "JRL"),
    *("SAERS", "SAERS, ours + picture", "SAERS, ours"),
)

EPOCHS = 20
GRID: dict[str, tuple[float, ...]] = {
    "learning_rate": (1e-2, 3e-2, 1e-1),
    "regularizer": (1e-5, 1e-4),
}
"""Searched for every model that learns, by AUC on development purchases."""

SEARCHED_WITH = 2000
"""Contests of a trial of the search."""

GROUPS = ("Garment Upper body", "Garment Lower body", "Garment Full body", "Shoes")
"""H&M's groups for which the shares of attributes are counted."""

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
"""Attribute -> class -> how H&M's descriptions of garments say it."""


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
    dataset = in_memory(data.load("hm", size=SETTINGS.size))
    products = photo_attributes.products()
    schema, images = products.schema, dataset.catalogue.images
    assert schema is not None and images is not None
    for seed in reversed(range(seeds)):  # the first comes last, and goes on
        parts = photo_attributes.divided(products, seed)
        network = photo_attributes.trained(parts.train, seed)
        yield from photo_attributes.accuracies(network, parts, seed)
    found = saers.extract(network, images)
    yield from seen(dataset, found, schema)
    yield from described(dataset, found, schema)
    plain = pooled_vectors(photo_attributes.untrained(schema), images)
    division = data.leave_one_out(dataset.interactions, 0, least=5)
    first = PhotoShop(dataset, division, found, plain)
    chosen = yield from searched(first)
    for seed in range(seeds):
        shop = replace(first, parts=data.leave_one_out(dataset.interactions, seed, least=5))
        yield from ranked(shop, chosen, schema, seed)


def in_memory(dataset: Dataset) -> Dataset:
    """The same with all pictures decoded."""
    images = dataset.catalogue.images
    assert images is not None
    return replace(dataset, catalogue=replace(dataset.catalogue, images=images[:]))


# --------------------------------------------------------------------------- what is seen


def seen(dataset: Dataset, found: saers.Extracted, schema: Schema) -> Iterator[Result]:
    """Share of H&M's items in which the network sees each attribute, by H&M's own groups."""
    group = dataset.catalogue.items["group"].to_numpy()
    yield _result("network", "items with an attribute", float(found.applies.any(axis=1).mean()), 0)
    for name in GROUPS:
        inside = group == name
        if not inside.any():
            continue
        settings = {"group": name, "items": int(inside.sum())}
        for attribute, share in zip(
            schema.attributes, found.applies[inside].mean(axis=0), strict=True
        ):
            yield _result("network", f"share, {attribute}", float(share), 0, settings=settings)


def described(dataset: Dataset, found: saers.Extracted, schema: Schema) -> Iterator[Result]:
    """Accuracy on garments whose description names exactly one class of an attribute."""
    labels = spoken(dataset, schema)
    guesses = {
        "network": found.predicted,
        "majority": np.tile(photo_attributes.majority(labels), (len(labels), 1)),
    }
    for method, predicted in guesses.items():
        for name, scores in photo_attributes.judged(predicted, labels, schema).iterrows():
            settings = {"items": int(scores.products), "classes": int(scores.classes)}
            for measure in ("accuracy", "balanced accuracy"):
                value = float(scores[measure])
                yield _result(method, f"{measure}, {name}", value, 0, settings=settings)


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

Settings = dict[str, dict[str, float]]
"""Model -> its point of the grid."""


def searched(shop: PhotoShop) -> Generator[Result, None, Settings]:
    """Development AUC of every trial; returns the best settings of each model."""
    everything = shop.dataset.interactions
    drawn = contests(shop.parts.development, everything, negatives=NEGATIVES, repeats=SEARCHED_WITH)
    best: Settings = {}
    for method in COMPARED:
        if method in UNTRAINED:
            continue
        trials = []
        for how in points(GRID):
            model, seconds = learned(method, shop, 0, how)
            auc = float(sampled_auc(model.scores(), drawn).mean())
            yield _result(method, "development AUC", auc, 0, seconds, _settings(how))
            trials.append((auc, how))
        best[method] = max(trials, key=lambda trial: trial[0])[1]
    return best


def ranked(shop: PhotoShop, chosen: Settings, schema: Schema, seed: int) -> Iterator[Result]:
    """AUC and NDCG@N of every model on one division's test purchases, All Items and Cold Items."""
    drawn = scenarios(shop, seed)
    for method in COMPARED:
        how = chosen.get(method, {})
        model, seconds = learned(method, shop, seed, how)
        for scenario, some in drawn.items():
            found = {"purchases": len(np.unique(some.user)), **_settings(how)}
            for measure, value in scores_of(model, some).items():
                yield _result(method, f"{measure}, {scenario}", value, seed, seconds, found)
        if isinstance(model, saers.SAERS):
            yield from named(method, model, shop, schema, seed)


def learned(method: str, shop: PhotoShop, seed: int, how: dict[str, float]) -> tuple[Ranker, float]:
    """A model with these settings, and the CPU seconds of its training."""
    start = time.process_time()
    if method == IMAGENET:
        shop = replace(shop, found=replace(shop.found, whole=shop.plain.numpy()))
    model = make(method.removesuffix(", ImageNet"), shop, SETTINGS.d, seed)
    if method not in UNTRAINED:
        saers.train(model, shop.parts.train, epochs=EPOCHS, seed=seed, **how)  # type: ignore[arg-type]
    return model, time.process_time() - start


def named(
    method: str, model: saers.SAERS, shop: PhotoShop, schema: Schema, seed: int
) -> Iterator[Result]:
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
    for attribute, value in zip(schema.attributes, share, strict=True):
        yield _result(method, f"reason given, {attribute}", float(value), seed)
    if model.fusion == "attention":
        weighed = np.nanargmax(saers.answers(model, users, items, "attention"), axis=1)
        agree = float((weighed == added).mean())
        chance = float((1 / shop.found.applies[items].sum(axis=1)).mean())
        yield _result(method, AGREEMENT, agree, seed)
        yield _result("guessing", AGREEMENT, chance, seed)


def _settings(how: dict[str, float]) -> dict[str, Any]:
    return {"d": SETTINGS.d, "epochs": EPOCHS, **how} if how else {}


def _result(
    method: str,
    measure: str,
    value: float,
    seed: int,
    cost: float = 0.0,
    settings: dict[str, Any] | None = None,
) -> Result:
    return Result(method, "hm", measure, round(value, 5), seed, round(cost, 1), settings or {})
