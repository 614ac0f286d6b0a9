"""The relation model on the boutique: Table 1's layout, its baseline, and relevance feedback."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from typing import cast

import numpy as np

from experiments.record import Columns, Result, results, timed
from experiments.relation_feedback import FED_BACK, closeness, train_with_feedback
from explainrec_lab import data, evaluate, relation
from explainrec_lab.data.boutique import RelationDials
from explainrec_lab.data.contracts import Dataset
from explainrec_lab.evaluate.truth import rule_holds
from explainrec_lab.relation import truth_table
from explainrec_lab.settings import SIZES, Relation
from explainrec_lab.vision.homogeneous import folded

CPU = cast(Relation, SIZES["relation"]["cpu"])
SMALL = replace(CPU, epochs=5, network=replace(CPU.network, photos=4000, epochs=6))
"""Less than a minute of a processor, naming included."""
FEEDBACK = replace(SMALL, items=4000, epochs=6)
"""What relevance is fed back into: seven models a seed."""

PAPER = replace(
    CPU,
    network=replace(CPU.network, backbone="vgg11", width=0.25, norm="batch", epochs=8),
    features="projection",
)
"""The paper's kind of network at a laptop's size: VGG with batch norm, and D numbers a picture."""

COMPARED: list[tuple[str, Relation]] = [
    ("", CPU),
    ("small", SMALL),
    ("network fixed", replace(CPU, end_to_end=False)),
    ("projection", replace(CPU, features="projection")),
    ("diagonal M(u)", replace(CPU, metric="diagonal")),
    ("full M(u)", replace(CPU, metric="full")),
    *(("paper's network", replace(PAPER, D=D, rank=min(D, CPU.rank))) for D in (10, 100, 500)),
    ("paper's network fixed", replace(PAPER, end_to_end=False)),
]
"""Ours, its variants, and the paper's three sizes and its baseline."""

EXPLAINER = "LRP w²-gamma-epsilon"
"""Of `truth_table.METHODS`, what localisation is measured with."""


def shop_of(settings: Relation) -> Dataset:
    """The boutique of some settings, with its label noise on."""
    dials = RelationDials(pairs=settings.pairs)
    return data.load("boutique", items=settings.items, size=settings.size, relating=dials)


def relation_table_1(seeds: int = 3) -> Iterator[Result]:
    """Accuracy on relations of unseen boutique items, balanced pairs, by kind and category.

    Four numbers for each kind: against what was recorded (label noise on), against the rule on
    pairs whose label the rule confirms, both also for unrelated pairs of the kind's categories
    only.

    Source: LRP paper, §3.2 and Table 1.
    """
    dataset = shop_of(CPU)
    assert dataset.relations is not None
    for seed in range(seeds):
        split = relation.split(dataset.relations, seed)
        for variant, settings in COMPARED:
            model = relation.trained(settings, dataset, split, seed)
            shared = {"variant": variant, "d": model.dimensions, "settings": asdict(settings)}
            shared |= {"method": "relation model", "seed": seed, "cost": model.seconds}
            rows = _accuracies(model, dataset, split, seed)
            yield from results(rows, data="boutique", **shared)


def _accuracies(
    model: relation.RelationModel, dataset: Dataset, split: relation.Split, seed: int
) -> Iterator[Columns]:
    """By kind: over all pairs, what the rule itself reaches, and by category of the source."""
    assert dataset.catalogue.images is not None
    own = dataset.catalogue.items["category"].to_numpy()
    for category, group in ((None, "any categories"), (own, "right categories")):
        pairs = relation.test_pairs(split.test, seed, category=category)
        hit = relation.logits_of(model, dataset.catalogue.images, pairs) > 0
        right, confirmed = hit == pairs.related, rule_holds(dataset, pairs) == pairs.related
        everything = np.ones(len(pairs), bool)
        recorded = {"group": group, "labels": "recorded"}
        yield from _by_kind(pairs, right, everything, **recorded)
        yield from _by_kind(pairs, right, confirmed, group=group, labels="rule")
        if category is None:
            yield from _by_kind(pairs, confirmed, everything, method="the rule itself", **recorded)
            for name in sorted(set(own.tolist())):
                inside = own[pairs.source] == name
                yield from _by_kind(pairs, right, inside, group=name, labels="recorded")


def _by_kind(
    pairs: relation.Pairs, right: np.ndarray, counted: np.ndarray, **columns: str
) -> Iterator[Columns]:
    """Accuracy on the counted pairs; none where a kind has no such pair."""
    shares = relation.accuracy(right[counted], np.ones(counted.sum(), bool), pairs.kind[counted])
    for kind, value in shares.items():
        if not np.isnan(value):
            yield {"measure": "accuracy", "kind": kind, "value": value, **columns}


def relation_feedback(seeds: int = 3) -> Iterator[Result]:
    """Relevance fed back into training in two forms, with controls, at equal training.

    Accuracy against the rule, mean over kinds; relevance mass over area and pointing in the true
    regions of related test pairs that all compared models predict right.

    Source: LRP paper, §4.
    """
    dataset = shop_of(FEEDBACK)
    relations, images = dataset.relations, dataset.catalogue.images
    assert relations is not None and images is not None
    images[:]  # drawing is not training
    for seed in range(seeds):
        split = relation.split(relations, seed)
        test = relation.test_pairs(split.test, seed)
        sure, right = rule_holds(dataset, test) == test.related, test.related
        models: list[tuple[relation.RelationModel, Columns]] = []
        found: list[Columns] = []
        for how in FED_BACK:
            model = relation.pretrained(FEEDBACK, relations.n_groups, seed)
            given = (model, dataset, split, FEEDBACK, seed, *how)
            cost = timed(partial(train_with_feedback, *given))[1]
            row = {"method": how[0], "variant": how[1], "cost": cost}
            logits = relation.logits_of(model.eval(), images, test)
            hits = _by_kind(test, (logits > 0) == test.related, sure)
            value = float(np.mean([each["value"] for each in hits]))
            found.append(row | {"measure": "accuracy", "labels": "rule", "value": value})
            models.append((folded(model), row))
            right = right & (logits > 0)
        chosen = truth_table.right_pairs(dataset, test, np.where(right, 1.0, -1.0), each=100)
        methods = {EXPLAINER: truth_table.METHODS[EXPLAINER]}
        for model, row in models:
            close = closeness(model, dataset, split.train.items)
            table = truth_table.truth_table(close, dataset, chosen, methods, references=False)
            means = truth_table.summary(table).loc[EXPLAINER]
            for measure, name in (("mass_ratio", "mass over area"), ("pointing", "pointing")):
                value = float(means[measure])
                found.append(row | {"measure": name, "how": EXPLAINER, "value": value})
        yield from results(found, data="boutique", seed=seed, settings=asdict(FEEDBACK))


def relation_truth(seeds: int = 3) -> Iterator[Result]:
    """Explainers against the known truth, and three models of which one deserves an explanation.

    75 related test pairs of each kind that the trained model predicts right; the same pairs for a
    model with random weights and for one that learned from shuffled relations.

    Source: LRP paper, §3.3; the truth is the boutique's.
    """
    dataset = shop_of(CPU)
    assert dataset.relations is not None and dataset.catalogue.images is not None
    for seed in range(seeds):
        split = relation.split(dataset.relations, seed)
        trained = relation.trained(CPU, dataset, split, seed)
        pairs = relation.test_pairs(split.test, seed)
        logits = relation.logits_of(trained, dataset.catalogue.images, pairs)
        right = truth_table.right_pairs(dataset, pairs, logits, each=75)
        checks = {
            "": trained,
            "random weights": evaluate.faithfulness.randomised(trained, seed).eval(),
            "shuffled relations": relation.trained(CPU, dataset, split, seed, shuffled=True),
        }
        for variant, model in checks.items():
            close = closeness(model, dataset, split.train.items[:1000])
            methods = truth_table.METHODS
            if variant:
                methods = {name: each for name, each in methods.items() if "LRP" in name}
            table = truth_table.truth_table(close, dataset, right, methods, references=not variant)
            means = truth_table.summary(table)[list(truth_table.MEASURES)]
            found = (
                {"method": method, "measure": measure, "value": float(value)}
                for (method, measure), value in means.stack().items()
            )
            shared = {"variant": variant, "seed": seed, "cost": trained.seconds}
            yield from results(found, data="boutique", settings=asdict(CPU), **shared)
