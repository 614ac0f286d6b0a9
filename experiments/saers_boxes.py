"""Attributes seen, and boxes held against the truth: networks, maps and frames.

The networks learn on one boutique, the settings of our boxes (blur, rule, mirror, share of a map)
were chosen by hand on the items of a second (`CHOSEN_ON`; the trials are not recorded), and what is
recorded is measured on a third.
"""

from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from typing import cast

import numpy as np
import pandas as pd
import torch

from experiments.record import Columns, Result, results, rows_by
from experiments.relation import PAPER
from experiments.saers import CPU
from explainrec_lab import data, saers
from explainrec_lab.data import labels as labelled
from explainrec_lab.data.contracts import DOES_NOT_APPLY, Catalogue, present
from explainrec_lab.saers import boxes
from explainrec_lab.saers.regions import Maps, Seen, grad_aam_maps, look
from explainrec_lab.settings import SIZES, Saers
from explainrec_lab.training import timed
from explainrec_lab.vision import naming
from explainrec_lab.vision.homogeneous import folded
from explainrec_lab.vision.naming import Naming

# Seed of the boutique on which settings were chosen; never recorded.
CHOSEN_ON = 5

# Unseen pictures on which accuracy is measured.
ITEMS = 1500

# Of these, pictures whose boxes are measured.
BOXED = 400


VGG = PAPER.network

# Pictures that a network sees at a time.
BATCH = 128
# What is compared: ours, and with the first seed alone a VGG, also with the paper's head (linear on
# the mean of F).
NETWORKS = {
    "ours": CPU,
    "VGG, batch norm": replace(CPU, network=VGG),
    "VGG, pooled head": replace(CPU, network=replace(VGG, head="pooled")),
}

# What other networks than ours are asked for.
FEW = {name: boxes.MAPS[name] for name in ("Grad-AAM", "HiResCAM", "LRP, mirrored")}


def saers_boxes(seeds: int = 3) -> Iterator[Result]:
    """Accuracy of each network by attribute; IoU and pointing of each map, frame and attribute.

    Boxes are scored against part masks (their bounding boxes), for the predicted class, where the
    attribute applies.

    Source: SAERS, §3.1; the truth is the boutique's.
    """
    for seed in range(seeds):
        unseen = seed + (seed >= CHOSEN_ON)  # pictures new to the network and to the settings
        shop = data.load("boutique", items=ITEMS, size=CPU.size, seed=unseen)
        for variant, settings in NETWORKS.items():
            if seed and settings != CPU:
                continue
            network = saers.trained_network(settings, seed)
            shared = {"data": "boutique", "seed": seed, "cost": network.seconds}
            shared |= {"settings": asdict(settings)}
            right = accuracy(network, shop.catalogue)
            every = pd.Series({"mean": right.mean(), "lowest": right.min(), **right})
            row = {"method": "network", "variant": variant, **shared}
            yield from rows_by("attribute", every, measure="accuracy", **row)
            main = settings == CPU
            maps = boxes.MAPS if main else FEW
            table = boxes.table(network, shop, np.arange(BOXED), maps, references=main)
            yield from results(_boxes(table, variant), **shared)


@torch.no_grad()
def accuracy(network: Naming, catalogue: Catalogue) -> pd.Series:
    """Share of right classes, attribute by attribute, where it applies and has a label.

    Raises:
        ValueError: a catalogue without pictures or labels.
    """
    labels, schema = catalogue.attributes, present("schema", catalogue.schema)
    labels, images = present("attributes", labels), present("images", catalogue.images)
    parts = [look(network, images[n : n + BATCH]).predicted for n in range(0, len(images), BATCH)]
    right = torch.cat(parts).cpu().numpy() == labels
    asked = (labels != DOES_NOT_APPLY) & (
        catalogue.labelled if catalogue.labelled is not None else True
    )
    share = {name: right[asked[:, k], k] for k, name in enumerate(schema.attributes)}
    return pd.Series({name: each.mean() for name, each in share.items() if len(each)})


# Of photos: the network of the paper.
REAL = cast(Saers, SIZES["saers"]["gpu"]).network


def saers_fashionpedia(seeds: int = 1) -> Iterator[Result]:
    """Boxes on real photos, against those that people drew: collar, lapel, neckline and sleeves.

    The network learns from UT-Zap50K and FashionAI, as the paper's did. Beside its maps stand the
    whole picture, and Grad-AAM's maps moved to a random place.

    Source: SAERS, §3.1; the truth is Fashionpedia's.
    """
    shown, learned = data.load("fashionpedia", size=REAL.size), labelled.both(REAL.size)
    references = {"whole picture": _everywhere, "Grad-AAM, moved at random": _elsewhere}
    for seed in range(seeds):
        network = naming.untrained(REAL, seed, naming.questions_of(labelled.SCHEMA))
        _, cost = timed(partial(naming.train, network, learned.catalogue, REAL, seed))
        row = {"data": "fashionpedia", "seed": seed, "cost": cost, "settings": asdict(REAL)}
        right = accuracy(network.eval(), learned.catalogue)
        yield from rows_by("attribute", right, method="network", measure="accuracy, learned", **row)
        items, maps = np.arange(len(shown.catalogue)), FEW | references
        table = boxes.table(folded(network), shown, items, maps, references=False)
        yield from results(_boxes(table, ""), **row)


def _everywhere(seen: Seen) -> Maps:
    return seen.images.new_ones(int(seen.asked.sum()), *seen.images.shape[-2:])


def _elsewhere(seen: Seen) -> Maps:
    """Grad-AAM's maps, each rolled by a random way down and to the right."""
    maps = grad_aam_maps(seen)
    ways = np.random.default_rng(len(maps)).integers(0, maps.shape[-1], (len(maps), 2)).tolist()
    moved = [each.roll(way, (0, 1)) for each, way in zip(maps, ways, strict=True)]
    return torch.stack(moved)


def _boxes(table: pd.DataFrame, variant: str) -> Iterator[Columns]:
    for (name, frame), rows in table.groupby(["map", "frame"], sort=False):
        row = {"method": name, "variant": variant if name in boxes.MAPS else "", "how": frame}
        for measure in ("iou", "pointing"):
            yield row | {"measure": measure, "attribute": "mean", "value": rows[measure].mean()}
            every = rows.groupby("attribute", sort=False)[measure].mean()
            yield from rows_by("attribute", every, measure=measure, **row)
