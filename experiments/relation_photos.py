"""The first paper's main claim on real photos: end to end against a network kept as it is.

H&M's purchases give two of the four kinds of relation. *Bought together*: two articles that a
customer bought on one day. *Also bought*: one on a day, the other on her next day of shopping, at
most `NEXT` days later. Nobody's views are recorded, so the other two kinds do not exist. All
customers are one group. Colours of one garment have nearly the same photo: they stay in one part,
and are no pair.

Column `group` says which unrelated pairs are told from the related ones: 'any articles', or 'same
type, as popular' (`relation.exchanged_pairs`). Column `how` says which part they are of.

Source: LRP paper, §2.2, §3.2 and Table 1; the frozen network is McAuley et al. (2015).
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy import ndarray
from scipy.stats import mannwhitneyu
from torch.nn.functional import adaptive_avg_pool2d

from experiments.record import Columns, Result, results, rows_by, timed
from experiments.relation_feedback import closeness
from explainrec_lab import data, relation
from explainrec_lab.data.contracts import RELATION_KINDS, Dataset, Relations, present
from explainrec_lab.data.store import table_beside
from explainrec_lab.evaluate import faithfulness
from explainrec_lab.relation import Pairs, RelationModel, Split, truth_table
from explainrec_lab.relation.data import N_KINDS, Part
from explainrec_lab.relation.model import Projection
from explainrec_lab.relation.train import fixed_features
from explainrec_lab.settings import Network, Relation
from explainrec_lab.vision.backbone import pixels

# Days after which a customer's next day of shopping counts no more.
NEXT = 30
# Kind -> how many days of shopping later the second article was bought.
LATER = {"also_bought": 1, "bought_together": 0}

VARIANTS = table_beside(__file__)
VGG = Network(backbone="vgg16", norm=None, weights="imagenet", stride=16)
START: dict[str, Any] = {"start": "fresh", "features": "projection", "network": VGG}
BASE = Relation("photos", 0, 0, 64, 3, **START, learning_rate=5e-4, network_rate=0.1)

EXPLAINERS = ("LRP w²-gamma-epsilon", "LRP epsilon", "gradient x input")
STEPS: dict[str, Any] = {"patch": 4, "steps": 10, "per_step": 12}

Logits = Callable[[Pairs], ndarray]


def relation_photos(seeds: int = 3) -> Iterator[Result]:
    """Accuracy on pairs of unseen articles by kind, D and split, frozen and end to end.

    Beside them what looks at no photo: how often two types are bought together, and how often an
    article was bought (which nobody knows of a new one); and the frozen model on smaller pictures.
    Then heatmaps of the first split's model, judged by perturbation.
    """
    found = shop()
    seen = _seen(found)
    for seed in range(seeds):
        split = relation.split(present("relations", found.relations), seed, alike=garments(found))
        for method, logits in _blind(found, split.train).items():
            yield from results(_judged(logits, found, split, seed), method=method, seed=seed)
        for variant, given in VARIANTS.items():
            sees, sizes, splits = given["sees"], given["D"], given.get("splits", seeds)
            own = {name: given[name] for name in given.keys() - {"sees", "D", "splits"}}
            for D in sizes if seed < splits else ():
                settings = replace(BASE, D=D, rank=min(D, BASE.rank), **own)
                model = _trained(settings, found, seen[sees], split, seed)
                told = {"variant": variant, "d": D, "seed": seed, "cost": model.seconds}
                told |= {"method": "relation model", "settings": asdict(settings)}
                logits = partial(relation.logits_of, model, seen[sees])
                yield from results(_judged(logits, found, split, seed), **told)
        if seed == 0:
            yield from results(_areas(found, split), data="hm", seed=seed)


# ------------------------------------------------------------------------------ the relations


def shop() -> Dataset:
    """H&M with relations, and its pictures in memory."""
    found = data.load("hm", size=BASE.size, min_purchases=1)
    images = present("images", found.catalogue.images)[:]
    catalogue = replace(found.catalogue, images=images)
    return replace(found, catalogue=catalogue, relations=relations_of(found))


def garments(found: Dataset) -> ndarray:
    """The garment of each article: its number without the three digits of its colour."""
    return found.catalogue.items["original_id"].str[:-3].to_numpy()


def relations_of(found: Dataset) -> Relations:
    """Each pair of different garments once a kind, whoever bought it, in whichever order."""
    bought, garment, pairs = found.interactions, garments(found), []
    events = pd.DataFrame({"user": bought.user, "item": bought.item, "day": bought.time})
    events["visit"] = events.groupby("user")["day"].rank("dense").astype(int)
    for kind, later in LATER.items():
        then = events.assign(visit=events["visit"] - later)
        both = events.merge(then, on=["user", "visit"], suffixes=("", "_2"))
        near = both.loc[both["day_2"] - both["day"] <= NEXT, ["item", "item_2"]].to_numpy()
        pairs.append(
            np.column_stack([np.sort(near), np.full(len(near), RELATION_KINDS.index(kind))])
        )
    source, target, kind = np.unique(np.concatenate(pairs), axis=0).T
    other = garment[source] != garment[target]
    source, target, kind = (column[other] for column in (source, target, kind))
    return Relations(np.zeros_like(kind), source, target, kind, bought.n_items, 1)


# ------------------------------------------------------------------------------ who judges pairs


def _seen(found: Dataset) -> dict[str, Any]:
    """What models see of the pictures: themselves, or vectors, `[item, size]`."""
    images = present("images", found.catalogue.images)
    seen = {"photos": images, "VGG-16": fixed_features(relation.pretrained(BASE, 1), images)}
    for name, side in (("8 x 8 pixels", 8), ("mean colour", 1)):
        seen[name] = adaptive_avg_pool2d(pixels(images[:]), side).flatten(1)
    return seen


def _trained(
    settings: Relation, found: Dataset, seen: Any, split: Split, seed: int
) -> RelationModel:
    """End to end on pictures, or upon vectors that stay as they are."""
    if not isinstance(seen, torch.Tensor):
        return relation.trained(settings, found, split, seed)
    model = relation.pretrained(settings, 1, seed)
    model.head = Projection(seen.shape[1], settings.D, seed=seed)
    learn = partial(relation.train, model, split.train, seen, settings, seed)
    model.seconds = timed(learn)[1]
    return model


def _blind(found: Dataset, part: Part) -> dict[str, Logits]:
    """What looks at no photo: the types of two articles, and how often they were bought."""
    true, type_ = part.relations, types(found)
    share = np.bincount(type_[part.items], minlength=type_.max() + 1) / len(part.items)
    seen = np.zeros((N_KINDS, len(share), len(share)))
    np.add.at(seen, (true.kind, type_[true.source], type_[true.target]), 1)
    seen += seen.swapaxes(1, 2)
    odds = np.log((seen + 1) / (seen.sum((1, 2), keepdims=True) * np.outer(share, share) + 1))
    often = np.log(np.bincount(found.interactions.item, minlength=len(type_)))

    def bought(pairs: Pairs) -> ndarray:
        logits = often[pairs.source] + often[pairs.target]
        return logits - np.median(logits)

    return {
        "types of the two": lambda p: odds[p.kind, type_[p.source], type_[p.target]],
        "purchases of the two": bought,
    }


def types(found: Dataset) -> ndarray:
    """The type of each article, as a number."""
    return found.catalogue.items["category"].astype("category").cat.codes.to_numpy()


def _judged(logits: Logits, found: Dataset, split: Split, seed: int) -> Iterator[Columns]:
    """Accuracy (balanced pairs) and AUC by kind, against both sorts of unrelated pairs."""
    for how, part in (("development", split.development), ("test", split.test)):
        every = relation.test_pairs(part, seed), relation.exchanged_pairs(part, types(found), seed)
        for group, pairs in zip(("any articles", "same type, as popular"), every, strict=True):
            value = logits(pairs)
            for kind in LATER:
                own = pairs.kind == RELATION_KINDS.index(kind)
                yes, no = value[own & pairs.related], value[own & ~pairs.related]
                right = ((yes > 0).mean() + (no <= 0).mean()) / 2
                auc = mannwhitneyu(yes, no).statistic / (len(yes) * len(no))
                told = {"data": "hm", "kind": kind, "group": group, "how": how, "n": int(own.sum())}
                yield from rows_by("measure", {"accuracy": right, "AUC": auc}, **told)


# ------------------------------------------------------------------------------ heatmaps


def _areas(found: Dataset, split: Split, count: int = 60) -> Iterator[Columns]:
    """Areas over the curve in units of the logit, both pictures spoiled, on related test pairs that
    the model of D = 100 gets right; and for how many pairs they exceed those of a random order.
    """
    model = relation.trained(BASE, found, split)
    pictures, pairs = present("images", found.catalogue.images), relation.test_pairs(split.test)
    good = np.flatnonzero(pairs.related & (relation.logits_of(model, pictures, pairs) > 0))
    right = pairs[np.random.default_rng(0).permutation(good)[:count]]
    images = right.pictures(pictures)
    context = [torch.from_numpy(each) for each in (right.user, right.kind)]
    explained = {"": closeness(model, found, split.train.items[:1000]), ", of the logit": model}
    maps: dict[str, Any] = {"random": None}
    for name, (end, of) in product(EXPLAINERS, explained.items()):
        drawn = truth_table.explained(truth_table.METHODS[name], of, found, right)
        maps[name + end] = list(drawn)
    for how, instead in (("noise", None), ("background", [*map(faithfulness.background, images)])):
        areas = {}
        for name, order in product(maps, ("most", "least")):
            asked = {"order": order if maps[name] else "random", "instead": instead}
            curve = faithfulness.perturb(
                model, images, maps[name], context=context, **asked, **STEPS
            )
            areas[name] = areas.get(name, {}) | {order: faithfulness.aopc(curve)}
            area = areas[name][order]
            values = {"area over the curve": area.mean()}
            values["above random"] = (area > areas["random"][order]).mean()
            told = {"method": name, "how": how, "order": order, "n": len(right), "d": BASE.D}
            yield from rows_by("measure", values, **told)
