"""What a symmetric distance gains from mirrored pairs, on Amazon's real relations.

McAuley et al. divide *pairs*: (a, b) may be trained on and (b, a) tested, or an item stand on both
sides. The LRP paper takes over this division. Here the same relations are divided as they do, with
mirrors apart and together, and by items as we do; and two answer: *mirror memory*, which says
"related" if it has seen the mirrored pair, and the relation model.

The features that the model learns from are **generated**, and written as Amazon's are published:
each step of a product's category path has a random direction, and each product noise of its own.
So the accuracies compare divisions; they say nothing about photos.

Source: McAuley et al., 2015, §4.1; LRP for explainable recommendations, §3.1 and §3.2.
"""

from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
import torch

from experiments.record import Columns, Result, results
from explainrec_lab import data, relation
from explainrec_lab.data import amazon
from explainrec_lab.data.contracts import RELATION_KINDS, Dataset, Images, present
from explainrec_lab.relation import Pairs, RelationModel
from explainrec_lab.relation.data import Batches, Part
from explainrec_lab.relation.model import Projection
from explainrec_lab.relation.train import BatchLoss
from explainrec_lab.training import Optimisation, fit, timed
from explainrec_lab.vision.backbone import Backbone

HOW = Optimisation(epochs=20, learning_rate=0.002)
D, NOISE = 100, 1.0


def relation_mirrors(seeds: int = 3) -> Iterator[Result]:
    """Accuracy by division and kind, and the share of related test pairs with a trained mirror."""
    shop = data.load("amazon")
    recorded = present("relations", shop.relations)
    with TemporaryDirectory() as home:
        for seed in range(seeds):
            x = generated(Path(home, f"image_features_{seed}.b"), shop, seed)
            ours = relation.split(recorded, seed)
            divided = {"by items": (ours.train, relation.test_pairs(ours.test, seed))}
            for mirrors in ("apart", "together"):
                own = relation.mcauley_split(recorded, seed, mirrors)
                divided[f"by pairs, mirrors {mirrors}"] = own.train, own.test
            for how, (train, test) in divided.items():
                found = answers(train, test, x, seed)
                yield from results(found, data="amazon-2014", how=how, seed=seed)


def generated(file: Path, shop: Dataset, seed: int) -> amazon.ImageFeatures:
    """Features in the published layout, written to a file and read from it."""
    rng, items = np.random.default_rng([seed, 6]), shop.catalogue.items
    table = np.zeros(len(items), amazon.RECORD)
    table["asin"] = items["original_id"]
    paths = [list(accumulate(path.split(" / "), "{} / {}".format)) for path in items["path"]]
    steps = sorted({step for path in paths for step in path})
    of = dict(zip(steps, rng.standard_normal((len(steps), table["x"].shape[1])), strict=True))
    means = np.stack([sum(of[step] for step in path) for path in paths])
    table["x"] = np.maximum(means + NOISE * rng.standard_normal(means.shape), 0)
    table.tofile(file)
    return amazon.ImageFeatures(file, items["original_id"])


def answers(train: Part, test: Pairs, x: amazon.ImageFeatures, seed: int) -> Iterator[Columns]:
    """What mirror memory and the model say of the test pairs, by kind."""
    columns = ("kind", "target", "source")
    seen = set(zip(*(getattr(train.relations, name).tolist() for name in columns), strict=True))
    asked = zip(test.kind.tolist(), test.source.tolist(), test.target.tolist(), strict=True)
    mirrored = np.array([pair in seen for pair in asked])
    learned, cost = timed(lambda: learn(train, x, seed))
    found = [
        ("mirror memory", "mirror in training", test.related, mirrored, 0.0),
        ("mirror memory", "accuracy", test.related | True, mirrored == test.related, 0.0),
        ("relation model", "accuracy", test.related | True, said(learned, test, x), cost),
    ]
    for method, measure, counted, right, cost in found:
        told = {"method": method, "measure": measure, "cost": cost}
        for number, kind in enumerate(RELATION_KINDS):
            asked = right[counted & (test.kind == number)]
            yield told | {"kind": kind, "n": len(asked), "value": asked.mean()}


def learn(train: Part, x: amazon.ImageFeatures, seed: int) -> RelationModel:
    """The model trained on features in place of pictures: its network is never asked."""
    torch.manual_seed(seed)
    head = Projection(amazon.RECORD["x"].shape[0], D, seed=seed)
    model = RelationModel(cast(Backbone, torch.nn.Identity()), head, 1, seed=seed)
    batches = Batches(train, cast(Images, x), 64, seed)
    fit(model, batches, BatchLoss(len(train.items), seed=seed), HOW)
    return model


@torch.no_grad()
def said(model: RelationModel, test: Pairs, x: amazon.ImageFeatures) -> np.ndarray:
    """Whether the model is right about each pair."""
    features = model.head(torch.from_numpy(x[:]))
    ends = features[test.source], features[test.target]
    return (model.logit(*ends, 0, test.kind) > 0).numpy() == test.related
