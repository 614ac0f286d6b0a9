"""The relation model on the boutique: Table 1's layout, its baseline, and relevance feedback."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from itertools import product
from typing import cast

import numpy as np
import pandas as pd
import torch

from experiments.record import Columns, Result, results, timed
from experiments.relation_feedback import FED_BACK, closeness, train_with_feedback
from explainrec_boutique.vocabulary import SUBSTITUTES
from explainrec_lab import data, relation
from explainrec_lab.data.boutique import RelationDials
from explainrec_lab.data.contracts import RELATION_KINDS, Dataset, present
from explainrec_lab.evaluate.truth import rule_holds
from explainrec_lab.relation import Pairs, RelationModel, Split, truth_table
from explainrec_lab.settings import SIZES, Relation
from explainrec_lab.vision.homogeneous import folded

CPU = cast(Relation, SIZES["relation"]["cpu"])
# Less than a minute of a processor, naming included.
SMALL = replace(CPU, epochs=5, network=replace(CPU.network, photos=4000, epochs=6))
# What relevance is fed back into: seven models a seed.
FEEDBACK = replace(SMALL, items=4000, epochs=6)

# The paper's kind of network at a laptop's size: VGG with batch norm, and D numbers a picture.
PAPER = replace(
    CPU,
    network=replace(CPU.network, backbone="vgg11", width=0.25, norm="batch", epochs=8),
    features="projection",
)

# Ours, its variants, and the paper's three sizes and its baseline.
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

# Of `truth_table.METHODS`, what localisation is measured with.
EXPLAINER = "LRP w²-gamma-epsilon"


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
    for seed in range(seeds):
        split = relation.split(present("relations", dataset.relations), seed)
        for variant, settings in COMPARED:
            model = relation.trained(settings, dataset, split, seed)
            shared = {"variant": variant, "d": model.dimensions, "settings": asdict(settings)}
            shared |= {"method": "relation model", "seed": seed, "cost": model.seconds}
            yield from results(_accuracies(model, dataset, split, seed), data="boutique", **shared)


def _accuracies(model: RelationModel, shop: Dataset, split: Split, seed: int) -> Iterator[Columns]:
    """By kind: over all pairs, what the rule itself reaches, and by category of the source."""
    images = present("images", shop.catalogue.images)
    own = shop.catalogue.items["category"].to_numpy()
    for category, group in ((None, "any categories"), (own, "right categories")):
        pairs = relation.test_pairs(split.test, seed, category=category)
        hit = relation.logits_of(model, images, pairs) > 0
        right, confirmed = hit == pairs.related, rule_holds(shop, pairs) == pairs.related
        everything = np.ones(len(pairs), bool)
        recorded = {"group": group, "labels": "recorded"}
        yield from _by_kind(pairs, right, everything, **recorded)
        yield from _by_kind(pairs, right, confirmed, group=group, labels="rule")
        if category is None:
            yield from _by_kind(pairs, confirmed, everything, method="the rule itself", **recorded)
            for name in sorted(set(own.tolist())):
                inside = own[pairs.source] == name
                yield from _by_kind(pairs, right, inside, group=name, labels="recorded")


def _by_kind(pairs: Pairs, right: np.ndarray, counted: np.ndarray, **row: str) -> Iterator[Columns]:
    """Accuracy on the counted pairs; none where a kind has no such pair."""
    shares = relation.accuracy(right[counted], np.ones(counted.sum(), bool), pairs.kind[counted])
    for kind, value in shares.items():
        if not np.isnan(value):
            yield {"measure": "accuracy", "kind": kind, "value": value, **row}


def relation_feedback(seeds: int = 3) -> Iterator[Result]:
    """Relevance fed back into training in two forms, with controls, at equal training.

    Accuracy against the rule, mean over kinds; relevance mass over area and pointing in the true
    regions of related test pairs that all compared models predict right.

    Source: LRP paper, §4.
    """
    dataset = shop_of(FEEDBACK)
    relations = present("relations", dataset.relations)
    images = present("images", dataset.catalogue.images)
    images[:]  # drawing is not training
    for seed in range(seeds):
        split = relation.split(relations, seed)
        test = relation.test_pairs(split.test, seed)
        sure, right = rule_holds(dataset, test) == test.related, test.related
        models: list[tuple[RelationModel, Columns]] = []
        found: list[Columns] = []
        for how in FED_BACK:
            model = relation.pretrained(FEEDBACK, relations.n_groups, seed)
            given = (model, dataset, split, FEEDBACK, seed, *how)
            cost = timed(partial(train_with_feedback, *given))[1]
            row = {"method": how[0], "variant": how[1], "cost": cost}
            logits = relation.logits_of(model.eval(), images, test)
            hits = _by_kind(test, (logits > 0) == test.related, sure)
            value = np.mean([each["value"] for each in hits])
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
                found.append(row | {"measure": name, "how": EXPLAINER, "value": means[measure]})
        yield from results(found, data="boutique", seed=seed, settings=asdict(FEEDBACK))


def relation_recommendation(seeds: int = 3) -> Iterator[Result]:
    """The three most probable test items for 200 tops, beside three at random, means over groups.

    Substitutes are tops, complements shoes. `probability` is what the model says, `obeys the rule`
    what is true: the share whose relation the boutique's own definition confirms.

    Source: LRP paper, §3.4.
    """
    dataset = shop_of(CPU)
    images = present("images", dataset.catalogue.images)
    category = dataset.catalogue.items["category"].to_numpy()
    for seed in range(seeds):
        split = relation.split(present("relations", dataset.relations), seed)
        model = relation.trained(CPU, dataset, split, seed)
        items = split.test.items
        x = torch.zeros(len(category), model.dimensions)
        x[items] = relation.features_of(model, images, items)
        of = {name: items[category[items] == name] for name in ("top", "shoes")}
        judged = pd.concat(_recommended(model, dataset, x, of, seed))
        every = judged.melt(["kind", "method"], var_name="measure")
        means = every.groupby(["kind", "method", "measure"], sort=False)["value"].mean()
        shared = {"seed": seed, "k": 3, "cost": model.seconds, "settings": asdict(CPU)}
        yield from results(means.reset_index().to_dict("records"), data="boutique", **shared)


@torch.no_grad()
def _recommended(
    model: RelationModel, dataset: Dataset, x: torch.Tensor, of: dict[str, np.ndarray], seed: int
) -> Iterator[pd.DataFrame]:
    """Probability and truth of the model's choices and of random ones, by kind and group."""
    rng, source = np.random.default_rng([seed, 5]), of["top"][:200].repeat(3)
    for (number, kind), user in product(enumerate(RELATION_KINDS), range(model.n_users)):
        pool = of["top" if kind in SUBSTITUTES else "shoes"]
        best = relation.recommend(model, x, source[::3], user, kind, pool, k=3)[0]
        chosen = {"recommended": best.flatten().numpy(), "at random": rng.choice(pool, len(source))}
        for method, target in chosen.items():
            p = model.logit(x[source], x[target], user, kind).sigmoid().numpy()
            asked = {"source": source, "target": target, "user": user, "kind": number}
            told = {"probability": p, "obeys the rule": rule_holds(dataset, pd.DataFrame(asked))}
            yield pd.DataFrame(told | {"kind": kind, "method": method})
