"""The relation model on the boutique: Table 1's layout, its baseline, and relevance feedback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, replace

import numpy as np

from experiments.record import Result
from experiments.relation_feedback import CONTROLS, train_with_feedback
from explainrec_lab import data, evaluate, relation
from explainrec_lab.data.boutique import RelationDials
from explainrec_lab.data.contracts import RELATION_KINDS, Dataset
from explainrec_lab.evaluate.truth import rule_holds
from explainrec_lab.relation import truth_table
from explainrec_lab.settings import SIZES, Relation


def profile(name: str) -> Relation:
    """Settings of one profile."""
    found = SIZES["relation"][name]
    assert isinstance(found, Relation)
    return found


CPU = profile("cpu")
SMALL = replace(CPU, items=4000, epochs_before=3, epochs=6)
"""What the feedback loop is tried on."""

MODELS: dict[str, Relation] = {
    "D = 10": replace(CPU, D=10, rank=10),
    "D = 100": CPU,
    "D = 500": replace(CPU, D=500),
    "D = 100, network fixed": replace(CPU, end_to_end=False),
    "D = 100, diagonal M(u)": replace(CPU, metric="diagonal"),
    "D = 100, full M(u)": replace(CPU, metric="full"),
}
"""What is compared: the paper's three sizes, its baseline, and the three forms of M(u)."""


METHOD_OF = {
    "relevance": "gains from relevance",
    "shuffled": "gains in shuffled places",
    "none": "no gains",
}
"""How the record names the controls."""

EXPLAINER = "LRP epsilon, blurred"
"""Of `truth_table.METHODS`, what localisation is measured with."""


def shop_of(settings: Relation) -> Dataset:
    """The boutique of some settings, with its label noise on."""
    dials = RelationDials(pairs=settings.pairs)
    return data.load("boutique", items=settings.items, size=settings.size, relating=dials)


def relation_table_1(seeds: int = 3) -> Iterator[Result]:
    """Accuracy on relations of unseen boutique items, balanced pairs, by kind and category.

    Four numbers for each: against what was recorded (label noise on), against the rule on pairs
    whose label the rule confirms, both also for unrelated pairs of the kind's categories only.

    Source: LRP paper, §3.2 and Table 1.
    """
    shop = shop_of(CPU)
    for seed in range(seeds):
        for method, settings in MODELS.items():
            yield from _accuracies(method, shop, settings, seed)


def _accuracies(method: str, dataset: Dataset, settings: Relation, seed: int) -> Iterator[Result]:
    assert dataset.relations is not None
    assert dataset.catalogue.images is not None
    split = relation.split(dataset.relations, seed)
    model = relation.trained(settings, dataset, split, seed)
    categories = dataset.catalogue.items["category"].to_numpy()
    columns = ((None, "any categories"), (categories, "right categories"))
    for category, which in columns:
        pairs = relation.test_pairs(split.test, seed, category=category)
        logits = relation.logits_of(model, dataset.catalogue.images, pairs)
        confirmed = rule_holds(dataset, pairs) == pairs.related
        for labels, counted in (("recorded", np.ones(len(pairs), bool)), ("rule", confirmed)):
            shares = relation.accuracy(
                logits[counted] > 0, pairs.related[counted], pairs.kind[counted]
            )
            for kind, value in shares.items():
                measure = f"accuracy, {kind}, {labels}, {which}"
                yield _result(method, measure, value, seed, model.seconds, settings)
        if category is None:
            ceiling = relation.accuracy(confirmed, np.ones(len(pairs), bool), pairs.kind)
            for kind, value in ceiling.items():
                measure = f"the rule itself, {kind}, recorded, {which}"
                yield _result(method, measure, value, seed, model.seconds, settings)
            table = relation.table_1(
                {settings.D: logits}, pairs, dataset.catalogue.items["category"].to_numpy()
            )
            for (name, _), row in table.iterrows():
                for kind in RELATION_KINDS:
                    if row[kind] != relation.scores.NO_PAIRS:
                        measure = f"table 1, {name}, {kind}"
                        value = float(row[kind]) / 100
                        yield _result(method, measure, value, seed, model.seconds, settings)


def relation_feedback(seeds: int = 3) -> Iterator[Result]:
    """Relevance fed back into training against its two controls, at equal training.

    Accuracy against the rule, mean over kinds; relevance mass over area in the true regions of
    related test pairs that all three models predict right.

    Source: LRP paper, §4.
    """
    settings = SMALL
    dataset = shop_of(settings)
    relations, images = dataset.relations, dataset.catalogue.images
    assert relations is not None
    assert images is not None
    for seed in range(seeds):
        split = relation.split(relations, seed)
        development = relation.test_pairs(split.development, seed)
        test = relation.test_pairs(split.test, seed)
        models, costs, right = {}, {}, np.ones(len(test), dtype=bool)
        for control in CONTROLS:
            model = relation.pretrained(settings, relations.n_groups, seed)
            begin = time.process_time()
            train_with_feedback(
                model,
                split.train,
                images[:],
                development,
                settings,
                control=control,
                seed=seed,
            )
            models[control], costs[control] = model.eval(), time.process_time() - begin
            logits = relation.logits_of(model, images, test)
            right &= (logits > 0) == test.related
            sure = rule_holds(dataset, test) == test.related
            shares = relation.accuracy(logits[sure] > 0, test.related[sure], test.kind[sure])
            value = float(np.mean(list(shares.values())))
            method = METHOD_OF[control]
            yield _result(method, "accuracy, rule", value, seed, costs[control], settings)
        for control, model in models.items():
            mass = localisation(model, dataset, split, test, right)
            measure = f"mass over area, {EXPLAINER}"
            yield _result(METHOD_OF[control], measure, mass, seed, costs[control], settings)


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
    images, category = dataset.catalogue.images, dataset.catalogue.items["category"].to_numpy()
    assert images is not None
    items = split.train.items
    references = relation.mean_features(model, images, items, category[items])
    close = relation.Closeness(model, references)
    chosen = truth_table.right_pairs(dataset, pairs, np.where(right, 1.0, -1.0), each=100)
    masks = evaluate.localisation.relation_masks(dataset, chosen.rows)
    maps = truth_table.explained(truth_table.METHODS[EXPLAINER], close, dataset, chosen)
    sides = [
        evaluate.localisation.mass_ratio(maps[side].numpy(), masks[:, side]) for side in (0, 1)
    ]
    return float(np.nanmean(sides))


def relation_truth(seeds: int = 3) -> Iterator[Result]:
    """Explainers against the known truth, and three models of which one deserves an explanation.

    75 related test pairs of each kind that the trained model predicts right; the same pairs for a
    model with random weights and for one that learned from shuffled relations.

    Source: LRP paper, §3.3; the truth is the boutique's.
    """
    dataset = shop_of(CPU)
    images, category = dataset.catalogue.images, dataset.catalogue.items["category"].to_numpy()
    assert dataset.relations is not None
    assert images is not None
    for seed in range(seeds):
        split = relation.split(dataset.relations, seed)
        trained = relation.trained(CPU, dataset, split, seed)
        items = split.train.items[:1000]
        pairs = relation.test_pairs(split.test, seed)
        logits = relation.logits_of(trained, images, pairs)
        right = truth_table.right_pairs(dataset, pairs, logits, each=75)
        checks = {
            "": trained,
            ", random weights": evaluate.sanity.randomised(trained, seed).eval(),
            ", shuffled relations": relation.trained(CPU, dataset, split, seed, shuffled=True),
        }
        for check, model in checks.items():
            references = relation.mean_features(model, images, items, category[items])
            close = relation.Closeness(model, references)
            methods = truth_table.METHODS
            if check:
                methods = {name: each for name, each in methods.items() if "LRP" in name}
            table = truth_table.truth_table(close, dataset, right, methods, references=not check)
            for method, row in truth_table.summary(table).iterrows():
                for measure in ("mass_ratio", "rank_accuracy", "pointing", "densest"):
                    value = float(row[measure])
                    yield _result(f"{method}{check}", measure, value, seed, trained.seconds, CPU)


def _result(
    method: str, measure: str, value: float, seed: int, cost: float, settings: Relation
) -> Result:
    return Result(
        method, "boutique", measure, round(value, 5), seed, round(cost, 1), asdict(settings)
    )
