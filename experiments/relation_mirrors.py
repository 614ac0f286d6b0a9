"""What a symmetric distance gains from mirrored pairs, on Amazon's real relations.

McAuley et al. divide *pairs*: (a, b) may be trained on and (b, a) tested, and an item stands on
both sides. The LRP paper takes over this division. Here the same relations are divided as they do,
with mirrors apart and together, and by items as we do. Two answer: *mirror memory*, which says
"related" if it was trained on the mirrored pair, and the relation model.

The features that the model learns from are **generated**, and written as Amazon's are published:
each step of a product's category path has a random direction, and each product noise of its own.
So the accuracies compare divisions; they say nothing about photos.

Source: McAuley et al., 2015, §4.1; LRP for explainable recommendations, §3.1 and §3.2.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import torch

from experiments.record import Columns, Result, results
from experiments.relation import CPU
from explainrec_lab import data, relation
from explainrec_lab.data.amazon import RECORD, ImageFeatures
from explainrec_lab.data.contracts import RELATION_KINDS, Dataset, Images, Relations, present
from explainrec_lab.relation import Pairs, RelationModel
from explainrec_lab.relation.data import Part
from explainrec_lab.relation.model import Projection
from explainrec_lab.training import timed
from explainrec_lab.vision.backbone import Backbone

HOW: dict[str, Any] = {"epochs": 20, "D": 100, "rank": 24}
MOST = 2_000_000  # pairs of training, as in the paper
SIZE = RECORD["x"].shape[0]


def relation_mirrors(seeds: int = 3) -> Iterator[Result]:
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
    """What is trained on and tested; the last has as few relations as the first."""
    ours = relation.split(recorded, seed)
    yield "by items", ours.train, relation.test_pairs(ours.test, seed)
    few = 2 * int(np.bincount(ours.train.relations.kind).max())
    for mirrors, most in (("apart", MOST), ("together", MOST), ("together", few)):
        pairs = relation.mcauley_split(recorded, seed, mirrors, most)
        fewer = ", fewer relations" * (most == few)
        yield f"by pairs, mirrors {mirrors}{fewer}", pairs.train, pairs.test


def answers(train: Part, test: Pairs, x: ImageFeatures, seed: int) -> Iterator[Columns]:
    """What mirror memory and the model say of the test pairs, by kind."""
    of = [(part.kind, part.source, part.target) for part in (train.relations, test)]
    known, asked = ([*zip(*map(np.ndarray.tolist, each), strict=True)] for each in of)
    backwards = {(kind, target, source) for kind, source, target in known}
    mirrored, every = np.array([pair in backwards for pair in asked]), np.ones(len(test), bool)
    said, cost = timed(lambda: learned(train, test, x, seed))
    for method, measure, counted, value in [
        ("mirror memory", "mirror in training", test.related, mirrored),
        ("mirror memory", "accuracy", every, mirrored == test.related),
        ("relation model", "accuracy", every, said == test.related),
    ]:
        for number in np.unique(test.kind[counted]):
            some = value[counted & (test.kind == number)]
            told: Columns = {"method": method, "measure": measure}
            told |= {"kind": RELATION_KINDS[number], "n": len(some)}
            yield told | {"value": some.mean(), "cost": cost if method == "relation model" else 0}


def learned(train: Part, test: Pairs, x: ImageFeatures, seed: int) -> np.ndarray:
    """Which test pairs a model trained on features calls related; its network is never asked."""
    head, nothing = Projection(SIZE, HOW["D"], seed=seed), cast(Backbone, torch.nn.Identity())
    model = RelationModel(nothing, head, 1, rank=HOW["rank"], seed=seed)
    relation.train(model, train, cast(Images, x), replace(CPU, **HOW), seed)
    with torch.no_grad():
        features = head(torch.from_numpy(x[:]))
        logits = model.logit(features[test.source], features[test.target], 0, test.kind)
    return (logits > 0).numpy()
