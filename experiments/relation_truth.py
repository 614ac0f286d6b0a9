"""The relation model's explanations against the known truth, ours beside the paper's network.

Column `labels` says what a map is scored against (a key of `evaluate.localisation.TRUTHS`): the
part mask of the key attribute, the silhouette where colour is part of the reason, or both. Column
`group` says which pairs count: all, those whose kind's rule asks for the attribute alone, those
whose rule asks for colour as well, or those of one kind.

Source: LRP paper, §3.3, which judges heatmaps by eye; the truth is the boutique's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from experiments.record import Columns, Result, results
from experiments.relation import CPU, PAPER, closeness, shop_of
from explainrec_lab import lrp, relation
from explainrec_lab.data.contracts import Dataset, present
from explainrec_lab.evaluate import faithfulness
from explainrec_lab.relation import truth_table
from explainrec_lab.relation.explain import Explanation
from explainrec_lab.relation.truth_table import CONDITIONAL, METHODS
from explainrec_lab.settings import Relation

NETWORKS = (("", CPU), ("paper's network", PAPER))
RULES: dict[str, lrp.Rule | None] = {"LRP epsilon": lrp.Epsilon(1e-6), "LRP w²-gamma-epsilon": None}
# Measures that are recorded against each truth, over all kinds and by what their rule asks for.
RECORDED = {
    "attribute": truth_table.MEASURES,
    "colour": ("mass_ratio", "pointing"),
    "together": ("mass_ratio", "pointing"),
}
PAPERS_WAY = "LRP epsilon, of the logit"


@dataclass(frozen=True)
class Tested:
    """A trained model, the closeness to explain, and related test pairs that it gets right."""

    model: relation.RelationModel
    close: relation.Closeness
    right: relation.Pairs
    every: relation.Pairs
    split: relation.Split


def tested(settings: Relation, dataset: Dataset, seed: int, each: int) -> Tested:
    """Trained, or read from the cache; `each` right pairs of each kind with a known reason."""
    split = relation.split(present("relations", dataset.relations), seed)
    model = relation.trained(settings, dataset, split, seed)
    pairs = relation.test_pairs(split.test, seed)
    logits = relation.logits_of(model, present("images", dataset.catalogue.images), pairs)
    right = truth_table.right_pairs(dataset, pairs, logits, each=each)
    close = closeness(model, dataset, split.train.items[:1000])
    return Tested(model, close, right, pairs, split)


def relation_truth(seeds: int = 3) -> Iterator[Result]:
    """Explainers against the truth, for two networks, and for two that deserve no explanation.

    100 related test pairs of each kind that a network gets right. Ours also with random weights,
    and after learning shuffled relations, on the same pairs. Beside the maps: what the units name,
    its ceiling (what switching an attribute does, for 15 pairs of each kind), and what share of
    the distance of 200 pairs reaches the pixels.
    """
    dataset = shop_of(CPU)
    for seed in range(seeds):
        for variant, settings in NETWORKS:
            found = tested(settings, dataset, seed, 100)
            shared = {"data": "boutique", "seed": seed, "cost": found.model.seconds}
            shared |= {"variant": variant, "settings": asdict(settings)}
            yield from results(_maps(found.close, dataset, found.right), **shared)
            yield from results(_books(found, dataset), **shared)
            if variant:
                continue
            yield from results(_units(found, dataset), **shared)
            shuffled = relation.trained(settings, dataset, found.split, seed, shuffled=True)
            random = faithfulness.randomised(found.model, seed).eval()
            for name, model in (("random weights", random), ("shuffled relations", shuffled)):
                zero = closeness(model, dataset, found.split.train.items[:1000])
                rows = _maps(zero, dataset, found.right, references=False)
                yield from results(rows, **shared | {"variant": name})


def _maps(
    close: relation.Closeness, dataset: Dataset, pairs: relation.Pairs, references: bool = True
) -> Iterator[Columns]:
    """Scores of all explainers that a model allows, or of propagation alone without references."""
    named = hasattr(close.model.head, "questions")
    methods = {
        name: each
        for name, each in METHODS.items()
        if (named or name not in CONDITIONAL) and (references or "LRP" in name)
    }
    methods[PAPERS_WAY] = lambda _, *asked: METHODS["LRP epsilon"](close.model, *asked)
    table = truth_table.truth_table(close, dataset, pairs, methods, references=references)
    for of, measures in RECORDED.items():
        yield from _means(table[table["truth"] == of], measures, labels=of)
    part = table[table["truth"] == "attribute"]
    for kind, own in part.groupby("kind", sort=False):
        yield from _means(own, ("densest",), groups=False, labels="attribute", kind=kind)


def _means(
    table: pd.DataFrame, measures: Sequence[str], groups: bool = True, **columns: Any
) -> Iterator[Columns]:
    """A row a method and measure, over all pairs and by what the rule of their kind asks for."""
    parts = [("all kinds", table), *(table.groupby("rule") if groups else ())]
    for group, own in parts:
        means = truth_table.summary(own.drop(columns="truth", errors="ignore"))
        for method, row in means.iterrows():
            told = columns | {"method": method, "group": group, "n": int(row["pairs"])}
            for measure, value in row[list(measures)].dropna().items():
                yield told | {"measure": measure, "value": value}


def _units(found: Tested, dataset: Dataset) -> Iterator[Columns]:
    """What the units name, of the closeness and of the logit; guessing, and the ceiling."""
    few = truth_table.right_pairs(dataset, found.right, np.ones(len(found.right)), each=15)
    nothing = np.zeros((len(found.right), 2, truth_table.COLOUR + 1))
    effects = truth_table.switch_effects(found.model, dataset, few)
    asked = {"units": "closeness", "units of the logit": "logit"}
    told = {}
    for name, of in asked.items():
        blocks = explained(found, dataset, found.right, of=of, level="units").blocks()
        told[name] = (found.right, blocks.permute(1, 0, 2).numpy())
    told |= {"a blind guess": (found.right, nothing), "switching": (few, effects)}
    for name, (pairs, relevance) in told.items():
        table = truth_table.unit_scores(dataset, pairs, relevance).assign(method=name)
        yield from _means(table, truth_table.UNIT_MEASURES)


def explained(
    found: Tested, dataset: Dataset, pairs: relation.Pairs, of: str, **how: Any
) -> Explanation:
    """`relation.explain` of some pairs."""
    i, j = pairs.pictures(present("images", dataset.catalogue.images))
    how |= {"references": found.close.references} if of == "closeness" else {}
    return relation.explain(found.model, i, j, pairs.user, pairs.kind, of=of, **how)


def _books(found: Tested, dataset: Dataset) -> Iterator[Columns]:
    """Where the distance of any 200 test pairs goes, in shares of it."""
    chosen = np.random.default_rng(0).permutation(len(found.every))[:200]
    some = found.every[chosen]
    for name, rule in RULES.items():
        table = explained(found, dataset, some, of="distance", rule=rule).ledger.table()
        for account, share in table["share of output"].drop("output").items():
            row = {"method": name, "measure": "share of the distance", "how": account}
            yield row | {"value": share, "n": len(some)}
