"""The relation model on real data: H&M's photos, and Amazon's relations.

The first paper's main claim on H&M's photos: end to end against a network kept as it is.

H&M's purchases give two of the four kinds of relation. A customer's article counts once, on the
day of its first purchase. *Bought together*: two articles of one day. *Also bought*: one of a day,
the other of her next such day, at most 30 days later. Nobody's views are recorded, so the other two
kinds do not exist. All customers are one group. Colours of one garment have nearly the same photo:
they stay in one part, and are no pair.

Column `group` says which unrelated pairs are told from the related ones: 'any articles', or 'same
type, as popular' (`exchanged`). Column `how` says which part they are of.

Source: LRP paper, §2.2, §3.2 and Table 1; the frozen network is McAuley et al. (2015).
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from itertools import accumulate, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from numpy import ndarray
from scipy.stats import mannwhitneyu
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from experiments.record import Rows, results, rows_by, timed
from experiments.relation import CPU, closeness
from explainrec_lab import data, relation
from explainrec_lab.data.amazon import RECORD, ImageFeatures
from explainrec_lab.data.contracts import RELATION_KINDS, Dataset, Relations, present
from explainrec_lab.data.store import table_beside
from explainrec_lab.evaluate import faithfulness
from explainrec_lab.relation import Pairs, RelationModel, Split, truth_table
from explainrec_lab.relation.data import N_KINDS, Part
from explainrec_lab.relation.model import Projection
from explainrec_lab.relation.train import fixed_features
from explainrec_lab.settings import Network, Relation
from explainrec_lab.vision.backbone import pixels

# Kind -> how many such days later the second article was bought.
LATER = {"also_bought": 1, "bought_together": 0}

VARIANTS = table_beside(__file__)
VGG = Network(backbone="vgg16", norm=None, weights="imagenet", stride=16)
START: dict[str, Any] = {"start": "fresh", "features": "projection", "network": VGG}
BASE = Relation("photos", 0, 0, 64, 3, **START, learning_rate=5e-4, network_rate=0.1)

EXPLAINERS = ("LRP w²-gamma-epsilon", "LRP epsilon", "gradient x input")
STEPS: dict[str, Any] = {"patch": 4, "steps": 10, "per_step": 12}

# Of pairs of one kind.
Logits = Callable[[Pairs], ndarray]


def relation_photos(seeds: int = 3) -> Rows:
    """Accuracy on pairs of unseen articles by kind, D and split, frozen and end to end.

    Beside them what looks at no photo: how often two types are bought together, and how often an
    article was bought (which nobody knows of a new one); and the frozen model on smaller pictures.
    Then heatmaps of the first split's model, judged by perturbation.
    """
    found = data.load("hm", size=BASE.size, min_purchases=1)
    found = replace(found, relations=(known := relations_of(found)))
    images = present("images", found.catalogue.images)
    vectors = {
        "VGG-16": fixed_features(relation.pretrained(BASE, 1), images),
        "8 x 8 pixels": adaptive_avg_pool2d(pixels(images[:]), 8).flatten(1),
    }
    splits = [relation.split(known, seed, alike=garments(found)) for seed in range(seeds)]
    for seed, split in enumerate(splits):
        for method, logits in _blind(found, split.train).items():
            yield from results(_judged(logits, found, split, seed), method=method, seed=seed)
    for variant, given in VARIANTS.items():
        for D, most in given["splits"].items():
            how = {"D": int(D), "rank": min(int(D), BASE.rank)} | given.get("settings", {})
            for seed, split in enumerate(splits[:most]):
                asked = replace(BASE, **how), found, split, seed
                model, logits = _trained(*asked, vectors.get(given["sees"]))
                told = {"variant": variant, "d": int(D), "seed": seed, "cost": model.seconds}
                told |= {"method": "relation model", "settings": asdict(asked[0])}
                yield from results(_judged(logits, found, split, seed), **told)
    yield from results(_areas(found, splits[0]), data="hm", seed=0)


# ------------------------------------------------------------------------------ the relations


def garments(found: Dataset) -> ndarray:
    """The garment of each article: its number without the three digits of its colour."""
    return found.catalogue.items["original_id"].str[:-3].to_numpy()


def relations_of(found: Dataset) -> Relations:
    """Each pair of different garments once a kind, whoever bought it, in whichever order."""
    bought, pairs = found.interactions, []
    events = pd.DataFrame({"user": bought.user, "item": bought.item, "day": bought.time})
    events["garment"] = garments(found)[bought.item]
    events["visit"] = events.groupby("user")["day"].rank("dense").astype(int)
    for kind, later in LATER.items():
        then = events.assign(visit=events["visit"] - later)
        both = events.merge(then, on=["user", "visit"], suffixes=("", "_2"))
        near = both[both["day_2"] - both["day"] <= 30].query("garment != garment_2")
        ends = np.sort(near[["item", "item_2"]].to_numpy())
        pairs.append(np.insert(ends, 2, RELATION_KINDS.index(kind), axis=1))
    source, target, kinds = np.unique(np.concatenate(pairs), axis=0).T
    return Relations(np.zeros_like(kinds), source, target, kinds, bought.n_items, 1)


def exchanged(part: Part, category: ndarray, seed: int = 0) -> Pairs:
    """The relations of a part and, for each, an unrelated pair: its source, another's target.

    The other target is of the same user, kind and category. So neither the categories nor how often
    an item is in a relation tells related from unrelated. Where the exchange gives a recorded
    relation or one item twice, both pairs are left out.

    Args:
        category: `[item]`.
    """
    found, true, every = relation.test_pairs(part, seed), part.relations, part.recorded
    alike = pd.Series(true.target).groupby([true.group, true.kind, category[true.target]])
    target = alike.transform(np.random.default_rng([seed, 5]).permutation).to_numpy()

    def pairs(of: Relations, ends: ndarray) -> pd.MultiIndex:
        ordered = np.sort([of.source, ends], axis=0)
        return pd.MultiIndex.from_arrays([of.group, of.kind, *ordered])

    new = (true.source != target) & ~pairs(true, target).isin(pairs(every, every.target))
    ends = np.tile(true.source, 2), np.concatenate([true.target, target])
    return replace(found, source=ends[0], target=ends[1])[np.tile(new, 2)]


# What related pairs are told from.
UNRELATED: dict[str, Callable[[Part, ndarray, int], Pairs]] = {
    "any articles": lambda part, _, seed: relation.test_pairs(part, seed),
    "same type, as popular": exchanged,
}


# ------------------------------------------------------------------------------ who judges pairs


def _trained(
    settings: Relation, found: Dataset, split: Split, seed: int, vectors: Tensor | None
) -> tuple[RelationModel, Logits]:
    """A model upon vectors, or, without any, end to end; and q - d of pairs that are judged."""
    if vectors is None:
        model = relation.trained(settings, found, split, seed)
        vectors = fixed_features(model, present("images", found.catalogue.images))
    else:
        model = relation.pretrained(settings, 1, seed)
        model.head = Projection(vectors.shape[1], settings.D, seed=seed)
        learn = partial(relation.train, model, split.train, vectors, settings, seed)
        model.seconds = timed(learn)[1]
    with torch.no_grad():
        x = model.head(vectors)
    q = partial(model.logit, user=0)
    return model, lambda p: q(x[p.source], x[p.target], kind=int(p.kind[0])).numpy(force=True)


def _blind(found: Dataset, part: Part) -> dict[str, Logits]:
    """What looks at no photo: the types of two articles, and how often they were bought."""
    true, type_ = part.relations, pd.factorize(found.catalogue.items["category"])[0]
    share = np.bincount(type_[part.items], minlength=type_.max() + 1) / len(part.items)
    seen = np.zeros((N_KINDS, len(share), len(share)))
    np.add.at(seen, (true.kind, type_[true.source], type_[true.target]), 1)
    seen += seen.swapaxes(1, 2)
    odds = np.log((seen + 1) / (seen.sum((1, 2), keepdims=True) * np.outer(share, share) + 1))
    often = np.log1p(np.bincount(found.interactions.item, minlength=len(type_)))
    middle = often[part.items].mean() + often[true.source].mean()
    return {
        "types of the two": lambda p: odds[p.kind, type_[p.source], type_[p.target]],
        "purchases of the two": lambda p: often[p.source] + often[p.target] - middle,
    }


def _judged(logits: Logits, found: Dataset, split: Split, seed: int) -> Rows:
    """Accuracy (balanced pairs) and AUC by kind, against both sorts of unrelated pairs; of the
    first split on the training part as well."""
    category = found.catalogue.items["category"].to_numpy()
    parts = [*zip(("training", "development", "test"), vars(split).values(), strict=True)]
    for (how, part), group in product(parts[seed > 0 :], UNRELATED):
        pairs = UNRELATED[group](part, category, seed)
        for kind in LATER:
            own = pairs[pairs.kind == RELATION_KINDS.index(kind)]
            value, told = logits(own), {"data": "hm", "kind": kind, "group": group, "how": how}
            yes, no = value[own.related], value[~own.related]
            auc = mannwhitneyu(yes, no).statistic / (len(yes) * len(no))
            values = {"accuracy": ((yes > 0).mean() + (no <= 0).mean()) / 2, "AUC": auc}
            yield from rows_by("measure", values, n=len(own), **told)


# ------------------------------------------------------------------------------ heatmaps


def _areas(found: Dataset, split: Split, count: int = 30) -> Rows:
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
    maps = {
        name + end: [*truth_table.explained(truth_table.METHODS[name], of, found, right)]
        for name, (end, of) in product(EXPLAINERS, explained.items())
    }
    grounds = {"noise": None, "background": [*map(faithfulness.background, images)]}
    for how, order in product(grounds, ("most", "least")):
        asked: dict[str, Any] = {"context": context, "instead": grounds[how], **STEPS}
        curve = partial(faithfulness.perturb, model, images, **asked)
        chance = faithfulness.aopc(curve(order="random"))
        told = {"how": how, "order": order, "n": len(right), "d": BASE.D}
        yield {"method": "random", "measure": "area over the curve", "value": chance.mean(), **told}
        for name, both in maps.items():
            area = faithfulness.aopc(curve(relevance=both, order=order))
            values = {"area over the curve": area.mean(), "above random": (area > chance).mean()}
            yield from rows_by("measure", values, method=name, **told)


# ---------------------------------------------------------------------------------- mirrored pairs

# What a symmetric distance gains from mirrored pairs, on Amazon's real relations.
#
# McAuley et al. divide *pairs*: (a, b) may be trained on and (b, a) tested, and an item stands on
# both sides. The LRP paper takes over this division. Here the same relations are divided as they
# do, with mirrors apart and together, and by items as we do. Two answer: *mirror memory*, which
# says "related" if it was trained on the mirrored pair, and the relation model.
#
# The features that the model learns from are **generated**, and written as Amazon's are published:
# each step of a product's category path has a random direction, and each product noise of its own.
# So the accuracies compare divisions; they say nothing about photos.
#
# Source: McAuley et al., 2015, §4.1; LRP for explainable recommendations, §3.1 and §3.2.

HOW: dict[str, Any] = {"epochs": 20, "D": 100, "rank": 24}
SIZE = RECORD["x"].shape[0]


def relation_mirrors(seeds: int = 3) -> Rows:
    """Accuracy by division and kind, and the share of related test pairs with a trained mirror."""
    shop = data.load("amazon", category="Digital_Music", photos=False)
    with TemporaryDirectory(ignore_cleanup_errors=True) as home:
        for seed in range(seeds):
            x = generated(Path(home, f"image_features_{seed}.b"), shop, seed)
            for how, train, test in divisions(present("relations", shop.relations), seed):
                shared = {"data": "amazon-2014", "how": how, "seed": seed, "settings": HOW}
                yield from results(answers(train, test, x, seed), **shared)


def generated(file: Path, shop: Dataset, seed: int) -> ImageFeatures:
    """Features in the published layout, written to a file and read from it."""
    rng, items = np.random.default_rng([seed, 6]), shop.catalogue.items
    paths = [[*accumulate(path.split(" / "), "{} / {}".format)] for path in items["path"]]
    steps = sorted({step for path in paths for step in path})
    of = dict(zip(steps, rng.standard_normal((len(steps), SIZE)), strict=True))
    table = np.zeros(len(items), RECORD)
    table["asin"] = items["original_id"]
    table["x"] = [sum(of[step] for step in path) + rng.standard_normal(SIZE) for path in paths]
    np.maximum(table["x"], 0, out=table["x"])
    table.tofile(file)
    return ImageFeatures(file, items["original_id"])


def divisions(recorded: Relations, seed: int) -> Iterator[tuple[str, Part, Pairs]]:
    """What is trained on and tested; of the last, no kind has more relations than the first's most
    frequent one."""
    ours = relation.split(recorded, seed)
    yield "by items", ours.train, relation.test_pairs(ours.test, seed)
    few = 2 * int(np.bincount(ours.train.relations.kind).max())
    for mirrors, most in (("apart", {}), ("together", {}), ("together", {"most": few})):
        train, _, test = relation.mcauley_split(recorded, seed, mirrors, **most)
        fewer = ", fewer relations" * len(most)
        yield f"by pairs, mirrors {mirrors}{fewer}", train, test


def answers(train: Part, test: Pairs, x: ImageFeatures, seed: int) -> Rows:
    """What mirror memory and the model say of the test pairs, by kind."""
    known = train.relations
    backwards = pd.MultiIndex.from_arrays([known.kind, known.target, known.source])
    asked = pd.MultiIndex.from_arrays([test.kind, test.source, test.target])
    mirrored, every = asked.isin(backwards), np.ones(len(test), bool)
    said, cost = timed(lambda: learned(train, test, x, seed))
    for method, measure, seconds, counted, value in [
        ("mirror memory", "mirror in training", 0, test.related, mirrored),
        ("mirror memory", "accuracy", 0, every, mirrored == test.related),
        ("relation model", "accuracy", cost, every, said == test.related),
    ]:
        told = {"method": method, "measure": measure, "cost": seconds}
        for number, some in pd.Series(value[counted]).groupby(test.kind[counted]):
            kind = RELATION_KINDS[cast(int, number)]
            yield told | {"kind": kind, "n": len(some), "value": some.mean()}


def learned(train: Part, test: Pairs, x: ImageFeatures, seed: int) -> ndarray:
    """Which test pairs a model trained on features calls related; its network is never asked."""
    head, nothing = Projection(SIZE, HOW["D"], seed=seed), cast(Any, torch.nn.Identity())
    model = RelationModel(nothing, head, 1, rank=HOW["rank"], seed=seed)
    relation.train(model, train, x, replace(CPU, **HOW), seed)
    with torch.no_grad():
        features = head(torch.from_numpy(x[:]))
        logits = model.logit(features[test.source], features[test.target], 0, test.kind)
    return (logits > 0).numpy()
