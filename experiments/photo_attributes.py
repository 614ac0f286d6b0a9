"""Attributes learned from photos: the network, the division into products, and its accuracy.

Photos of one style in two colours, and one photo under two numbers, never stand on both sides of
the division: products are divided by their name without its colour, and by their picture.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int
from numpy import ndarray
from scipy import sparse

from experiments.record import Columns, rows_by, timed
from explainrec_lab import data, weights
from explainrec_lab.data.contracts import Catalogue, Images, Schema, present, require
from explainrec_lab.data.store import DataNotFound
from explainrec_lab.saers.attributes import look
from explainrec_lab.settings import Network
from explainrec_lab.vision import naming
from explainrec_lab.vision.naming import Naming

# ResNet-18 from ImageNet's weights, with a last map of 4 x 4; shops and `photos` are real ones.
SETTINGS = Network(
    *(0, 128, "resnet18", 1.0, None, "imagenet", 32), epochs=4, learning_rate=5e-4, hidden=32
)

# Share of the products that the network learns from.
TRAINING = 0.8


# A class of each attribute of each item, -1 where there is none.
Codes = Int[ndarray, "item attribute"]
# Products to learn from, and others to be judged by.
Division = tuple[Catalogue, Catalogue]


def products() -> Catalogue:
    """Products with at least one label, their pictures in memory. Raises DataNotFound."""
    found = data.load("fashion-product-images", size=SETTINGS.size).catalogue
    labels = present("attributes", found.attributes)
    return _only(found, (labels != data.DOES_NOT_APPLY).any(axis=1))


def _only(catalogue: Catalogue, chosen: Bool[ndarray, " item"]) -> Catalogue:
    return replace(
        catalogue,
        items=catalogue.items[chosen].reset_index(drop=True),
        images=present("images", catalogue.images)[np.flatnonzero(chosen)],
        attributes=present("attributes", catalogue.attributes)[chosen],
    )


def divided(catalogue: Catalogue, seed: int) -> Division:
    """Whole groups of look-alikes in random order: the first `TRAINING` of the products, the rest.

    Raises:
        ValueError: fewer than two groups.
    """
    group = look_alikes(catalogue)
    sizes = np.bincount(group)
    require(len(sizes) >= 2, "catalogue: all products look alike, so they cannot be divided")
    order = np.random.default_rng([seed, 11]).permutation(len(sizes))
    before = np.cumsum(sizes[order]) - sizes[order]
    inside = np.isin(group, order[before < TRAINING * len(group)])
    return _only(catalogue, inside), _only(catalogue, ~inside)


def look_alikes(catalogue: Catalogue) -> Int[ndarray, " item"]:
    """A number for each product; those with the same style or the same picture share it."""
    items, images = catalogue.items, present("images", catalogue.images)
    style = pd.factorize(items.title.combine(items.colour, without_colour))[0]
    n = len(items)
    picture = pd.factorize(np.array([zlib.crc32(images[item].tobytes()) for item in range(n)]))[0]
    links = sparse.coo_array((np.ones(n), (style, picture + n)), shape=(2 * n, 2 * n))
    linked = sparse.csgraph.connected_components(links, directed=False)[1][style]
    return pd.factorize(linked)[0]


def without_colour(title: str, colour: object) -> str:
    """'Acme Men Navy Blue Polo', 'Navy Blue' -> 'acme men polo'."""
    words = str(colour).lower().split() if isinstance(colour, str) else []
    return " ".join(word for word in re.findall(r"\w+", title.lower()) if word not in words)


def untrained(schema: Schema, seed: int = 0) -> Naming:
    """A network that knows ImageNet alone. Raises DataNotFound where its weights are not here."""
    network = naming.untrained(SETTINGS, seed, naming.questions_of(schema))
    if network.network.origin != (SETTINGS.weights or "scratch"):
        raise DataNotFound("weights: connect, or let EXPLAINREC_WEIGHTS name a folder with them")
    return network.eval()


def trained(catalogue: Catalogue, seed: int) -> Naming:
    """A network that saw these products; trained once, then read from the cache.

    Raises:
        DataNotFound: ImageNet's weights are not here.
    """
    schema, images = present("schema", catalogue.schema), present("images", catalogue.images)
    network = untrained(schema, seed)
    own = {"schema": schema.classes, "learned": zlib.crc32(images[:].tobytes())}
    train = partial(naming.train, network, catalogue, SETTINGS, seed, balanced=True)
    chosen = naming.recipe(SETTINGS, seed, network.network.origin) | own | {"balanced": True}
    network.seconds = weights.trained(network, "photos", chosen, lambda: timed(train)[1])
    return network.eval()


def accuracies(network: Naming, parts: Division) -> Iterator[Columns]:
    """Scores of each attribute on held-out products; the majority is the training products'."""
    train, test = (present("attributes", part.attributes) for part in parts)
    predicted = seen_classes(network, present("images", parts[1].images))
    for columns in compared(predicted, test, train, present("schema", parts[1].schema)):
        yield columns | {"cost": network.seconds if columns["method"] == "network" else 0.0}


def compared(predicted: Codes, labels: Codes, train: Codes, schema: Schema) -> Iterator[Columns]:
    """Accuracy and balanced accuracy of each attribute, of the network and of the majority, which
    names the commonest class of `train`."""
    guesses = {"network": predicted, "majority": np.tile(majority(train), (len(labels), 1))}
    for method, classes in guesses.items():
        for name, scores in judged(classes, labels, schema).iterrows():
            row = {"attribute": name, "n": int(scores.products), "classes": int(scores.classes)}
            found = scores[["accuracy", "balanced accuracy"]]
            yield from rows_by("measure", found, method=method, **row)


# Pictures that a network sees at a time.
BATCH = 128


@torch.no_grad()
def seen_classes(network: Naming, images: Images) -> Codes:
    """The most likely class of every attribute."""
    starts = range(0, len(images), BATCH)
    parts = [look(network, images[start : start + BATCH]).predicted for start in starts]
    return torch.cat(parts).cpu().numpy()


def majority(labels: Codes) -> Int[ndarray, " attribute"]:
    """The commonest class of each attribute; 0 where there is no label."""
    counts = [np.bincount(column[column >= 0], minlength=1) for column in labels.T]
    return np.array([count.argmax() for count in counts], np.int64)


def judged(predicted: Codes, labels: Codes, schema: Schema) -> pd.DataFrame:
    """One row an attribute: how many products carry a label, in how many classes, and the scores.

    Balanced accuracy is the mean, over the classes that occur, of the share of their products that
    are recognised.
    """
    rows = {}
    for k, name in enumerate(schema.attributes):
        asked = labels[:, k] != data.DOES_NOT_APPLY
        right = (predicted[asked, k] == labels[asked, k]).astype(float)
        recall = pd.Series(right).groupby(labels[asked, k]).mean()
        if asked.any():
            rows[name] = (len(right), len(recall), right.mean(), recall.mean())
    columns = ["products", "classes", "accuracy", "balanced accuracy"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)
