"""The relation model on the boutique: Table 1's layout, its baseline, and relevance feedback."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from typing import cast

import numpy as np
import torch
from scipy.special import expit

from experiments.record import Columns, Result, results, timed
from experiments.relation_feedback import CONTROLS, train_with_feedback
from explainrec_lab import data, relation
from explainrec_lab.data.boutique import RelationDials
from explainrec_lab.data.contracts import RELATION_KINDS, SUBSTITUTES, Dataset
from explainrec_lab.evaluate.truth import rule_holds
from explainrec_lab.relation import truth_table
from explainrec_lab.settings import SIZES, Relation

CPU = cast(Relation, SIZES["relation"]["cpu"])
SMALL = replace(CPU, epochs=5, network=replace(CPU.network, photos=4000, epochs=6))
"""What the feedback loop is tried on: less than a minute of a processor, naming included."""

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

NAMES = ("gains from relevance", "gains in shuffled places", "no gains")
METHOD_OF = dict(zip(CONTROLS, NAMES, strict=True))
"""How the record names the controls."""

EXPLAINER = "LRP epsilon, blurred"
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
    """Relevance fed back into training against its two controls, at equal training.

    Accuracy against the rule, mean over kinds; relevance mass over area in the true regions of
    related test pairs that all three models predict right.

    Source: LRP paper, §4.
    """
    dataset = shop_of(SMALL)
    relations, images = dataset.relations, dataset.catalogue.images
    assert relations is not None and images is not None
    for seed in range(seeds):
        split = relation.split(relations, seed)
        development, test = (
            relation.test_pairs(part, seed) for part in (split.development, split.test)
        )
        given = (split.train, images[:], development, SMALL)
        sure = rule_holds(dataset, test) == test.related
        models, right = [], np.ones(len(test), dtype=bool)
        found: list[Columns] = []
        for control, method in METHOD_OF.items():
            model = relation.pretrained(SMALL, relations.n_groups, seed)
            train = partial(train_with_feedback, model, *given, control=control, seed=seed)
            row = {"method": method, "cost": timed(train)[1]}
            models.append((model.eval(), row))
            hit = (relation.logits_of(model, images, test) > 0) == test.related
            right &= hit
            value = np.mean([each["value"] for each in _by_kind(test, hit, sure)])
            found.append(row | {"measure": "accuracy", "labels": "rule", "value": float(value)})
        for model, row in models:
            mass = localisation(model, dataset, split, test, right)
            found.append(row | {"measure": "mass over area", "how": EXPLAINER, "value": mass})
        yield from results(found, data="boutique", seed=seed, settings=asdict(SMALL))


def localisation(
    model: relation.RelationModel,
    dataset: Dataset,
    split: relation.Split,
    pairs: relation.Pairs,
    right: np.ndarray,
) -> float:
    """Positive relevance of the closeness in the true regions over their area, both pictures.

    Args:
        right: bool `[pair]`, which pairs count: those that all compared models predict right.
    """
    close = closeness(model, dataset, split.train.items)
    chosen = truth_table.right_pairs(dataset, pairs, np.where(right, 1.0, -1.0), each=100)
    methods = {EXPLAINER: truth_table.METHODS[EXPLAINER]}
    table = truth_table.truth_table(close, dataset, chosen, methods, references=False)
    return float(truth_table.summary(table)["mass_ratio"].item())


def closeness(
    model: relation.RelationModel, dataset: Dataset, items: np.ndarray
) -> relation.Closeness:
    """The model as it is explained: beside the mean features of these items' categories."""
    images, category = dataset.catalogue.images, dataset.catalogue.items["category"].to_numpy()
    assert images is not None
    return relation.Closeness(model, relation.mean_features(model, images, items, category[items]))


def relation_recommendation(seeds: int = 3) -> Iterator[Result]:
    """The three most probable test items for 200 tops, beside three at random, for each group.

    Substitutes are tops, complements shoes. `probability` is what the model says, `obeys the rule`
    what is true: the share whose relation the boutique's own definition confirms.

    Source: LRP paper, §3.4.
    """
    dataset = shop_of(CPU)
    assert dataset.relations is not None and dataset.catalogue.images is not None
    category = dataset.catalogue.items["category"].to_numpy()
    for seed in range(seeds):
        split = relation.split(dataset.relations, seed)
        model = relation.trained(CPU, dataset, split, seed)
        items = split.test.items
        x = torch.zeros(len(category), model.dimensions)
        x[items] = relation.features_of(model, dataset.catalogue.images, items)
        tops, shoes = (items[category[items] == name] for name in ("top", "shoes"))
        for kind in RELATION_KINDS:
            pool = tops if kind in SUBSTITUTES else shoes
            rows = _recommended(model, dataset, x, tops[:200], pool, kind, seed)
            shared = {"kind": kind, "seed": seed, "k": 3, "cost": model.seconds}
            yield from results(rows, data="boutique", settings=asdict(CPU), **shared)


def _recommended(
    model: relation.RelationModel,
    dataset: Dataset,
    x: torch.Tensor,
    queries: np.ndarray,
    pool: np.ndarray,
    kind: str,
    seed: int,
) -> Iterator[Columns]:
    """Probability and truth of the model's choice and of a random one, means over all groups."""
    assert dataset.catalogue.images is not None
    drawn = np.random.default_rng([seed, 5]).choice(pool, (model.n_users, len(queries), 3))
    found = [
        relation.recommend(model, x, queries, u, kind, pool, k=3)[0] for u in range(model.n_users)
    ]
    for method, chosen in (("recommended", torch.stack(found).numpy()), ("at random", drawn)):
        user, query, _ = (each.ravel() for each in np.indices(chosen.shape))
        number = np.full(len(user), RELATION_KINDS.index(kind))
        pairs = relation.Pairs(
            user,
            queries[query],
            chosen.ravel(),
            number,
            np.ones(len(user), bool),
            -np.ones_like(user),
        )
        logits = relation.logits_of(model, dataset.catalogue.images, pairs)
        means = {"probability": expit(logits), "obeys the rule": rule_holds(dataset, pairs)}
        for measure, values in means.items():
            yield {
                "method": method,
                "measure": measure,
                "value": float(values.mean()),
                "n": len(user),
            }
