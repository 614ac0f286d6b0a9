"""The relation model's explanations on trial: against the known truth, ours beside the paper's
network; and by perturbation (Figure 3), over several seeds and with what the figure leaves out.

Column `labels` says what a map is scored against (a key of `evaluate.localisation.TRUTHS`): the
part mask of the key attribute, the silhouette where colour is part of the reason, or both. Column
`group` says which pairs count: all, those whose kind's rule asks for the attribute alone, those
whose rule asks for colour as well, or those of one kind.

Source: LRP paper, §3.3, which judges heatmaps by eye; the truth is the boutique's.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import Tensor

from experiments.record import Rows, results, rows_by
from experiments.relation import CPU, PAPER, closeness, shop_of
from explainrec_lab import lrp, relation
from explainrec_lab.data.contracts import Dataset, present
from explainrec_lab.evaluate import faithfulness, localisation
from explainrec_lab.relation import Closeness, Pairs, RelationModel, Split, truth_table
from explainrec_lab.relation.explain import Explanation
from explainrec_lab.relation.truth_table import CONDITIONAL, METHODS, Explainer, propagated
from explainrec_lab.settings import Relation

NETWORKS = (("", CPU), ("paper's network", PAPER))
RULES: dict[str, lrp.Rule | None] = {"LRP epsilon": lrp.Epsilon(1e-6), "LRP w²-gamma-epsilon": None}
# Measures that are recorded against each truth, over all kinds and by what their rule asks for.
OF_REGIONS = ("mass_ratio", "pointing")
RECORDED = {"attribute": truth_table.MEASURES, "colour": OF_REGIONS, "together": OF_REGIONS}
PAPERS_WAY = "LRP epsilon, of the logit"


@dataclass(frozen=True)
class Tested:
    """A trained model, the closeness to explain, and related test pairs that it gets right."""

    model: RelationModel
    close: Closeness
    right: Pairs
    every: Pairs
    split: Split


def tested(settings: Relation, dataset: Dataset, seed: int, each: int) -> Tested:
    """Trained, or read from the cache; `each` right pairs of each kind with a known reason."""
    split = relation.split(present("relations", dataset.relations), seed)
    model = relation.trained(settings, dataset, split, seed)
    pairs = relation.test_pairs(split.test, seed)
    logits = relation.logits_of(model, present("images", dataset.catalogue.images), pairs)
    right = truth_table.right_pairs(dataset, pairs, logits, each=each)
    return Tested(model, closeness(model, dataset, split.train.items[:1000]), right, pairs, split)


def relation_truth(seeds: int = 3) -> Rows:
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


def _maps(close: Closeness, dataset: Dataset, pairs: Pairs, references: bool = True) -> Rows:
    """Scores of all explainers that a model allows, or of propagation alone without references."""
    unfit = () if hasattr(close.model.head, "questions") else CONDITIONAL
    chosen = [name for name in METHODS if name not in unfit and (references or "LRP" in name)]
    methods = {name: METHODS[name] for name in chosen}
    methods[PAPERS_WAY] = lambda _, *asked: METHODS["LRP epsilon"](close.model, *asked)
    table = truth_table.truth_table(close, dataset, pairs, methods, references=references)
    for of, measures in RECORDED.items():
        yield from _means(table[table["truth"] == of], measures, labels=of)
    for kind, own in table[table["truth"] == "attribute"].groupby("kind", sort=False):
        yield from _means(own, ("densest",), groups=False, labels="attribute", kind=kind)


def _means(
    table: pd.DataFrame, measures: Sequence[str], groups: bool = True, **columns: Any
) -> Rows:
    """A row a method and measure, over all pairs and by what the rule of their kind asks for."""
    for group, own in [("all kinds", table), *(table.groupby("rule") if groups else ())]:
        means = truth_table.summary(own.drop(columns="truth", errors="ignore"))
        for method, row in means.iterrows():
            told = columns | {"method": method, "group": group, "n": int(row["pairs"])}
            yield from rows_by("measure", row[list(measures)].dropna(), **told)


def _units(found: Tested, dataset: Dataset) -> Rows:
    """What the units name, of the closeness and of the logit; guessing, and the ceiling."""
    few = truth_table.right_pairs(dataset, found.right, np.ones(len(found.right)), each=15)
    nothing = np.zeros((len(found.right), 2, truth_table.COLOUR + 1))
    effects = truth_table.switch_effects(found.model, dataset, few)
    told = {}
    for name, of in {"units": "closeness", "units of the logit": "logit"}.items():
        blocks = explained(found, dataset, found.right, of=of, level="units").blocks()
        told[name] = (found.right, blocks.permute(1, 0, 2).numpy())
    told |= {"a blind guess": (found.right, nothing), "switching": (few, effects)}
    for name, (pairs, relevance) in told.items():
        table = truth_table.unit_scores(dataset, pairs, relevance).assign(method=name)
        yield from _means(table, truth_table.UNIT_MEASURES)


def explained(found: Tested, dataset: Dataset, pairs: Pairs, of: str, **how: Any) -> Explanation:
    """`relation.explain` of some pairs."""
    i, j = pairs.pictures(present("images", dataset.catalogue.images))
    how |= {"references": found.close.references} if of == "closeness" else {}
    return relation.explain(found.model, i, j, pairs.user, pairs.kind, of=of, **how)


def _books(found: Tested, dataset: Dataset) -> Rows:
    """Where the distance of any 200 test pairs goes, in shares of it."""
    some = found.every[np.random.default_rng(0).permutation(len(found.every))[:200]]
    for name, rule in RULES.items():
        table = explained(found, dataset, some, of="distance", rule=rule).ledger.table()
        row = {"method": name, "measure": "share of the distance", "n": len(some)}
        yield from rows_by("how", table["share of output"].drop("output"), **row)


# --------------------------------------------------------------------------- perturbation

STABILISERS = {
    f"LRP epsilon {value:g}": propagated(lrp.Epsilon(value)) for value in (1e-6, 0.01, 1.0)
}
RIVALS = (
    *("LRP w²-gamma-epsilon", "LRP through the main attribute", "LRP epsilon-gamma-box"),
    *("gradient x input", "Grad-CAM"),
)
CHOSEN: dict[str, Explainer] = STABILISERS | {name: METHODS[name] for name in RIVALS}
PATCHES = 16  # along the side of a picture


def relation_perturbation(seeds: int = 3) -> Rows:
    """Areas over the curve on 50 right pairs of each kind, in units of the logit.

    The target of each pair is spoiled patch by patch, the most relevant first, and the logit
    watched. Beside the paper's rule stand other rules, gradients, maps that look at no model, and
    a random order; beside its uniform noise stands the background of the picture itself. Beside
    the areas, each map's mass over area in the part masks, and the rank correlation of the two
    over all maps that do not know the truth.

    Source: LRP paper, §2.3 and §3.3, Figure 3.
    """
    dataset = shop_of(CPU)
    for seed in range(seeds):
        found = tested(CPU, dataset, seed, 50)
        shared = {"data": "boutique", "seed": seed, "cost": found.model.seconds}
        yield from results(_areas(found, dataset), settings=asdict(CPU), **shared)


def _targets(found: Tested, dataset: Dataset) -> dict[str, Tensor]:
    """Relevance of the targets: by the explainers, and without any model."""
    first, drawn, asked = next(iter(CHOSEN)), truth_table.explained, (dataset, found.right)
    maps = {f"{first}, of the logit": drawn(CHOSEN[first], found.model, *asked)[1]}
    maps |= {name: drawn(each, found.close, *asked)[1] for name, each in CHOSEN.items()}
    shape = localisation.reference_maps(dataset, found.right.target)["silhouette"]
    maps["silhouette"] = torch.from_numpy(shape).float()
    return maps


def _areas(found: Tested, dataset: Dataset) -> Rows:
    """Mass over area of all maps, the areas over their curves, and how the two agree."""
    truth = torch.from_numpy(localisation.relation_masks(dataset, found.right.rows)[:, 1])
    maps = _targets(found, dataset) | {"true region": truth.float()}
    mass = {name: np.nanmean(localisation.mass_ratio(each, truth)) for name, each in maps.items()}
    source, target = found.right.pictures(present("images", dataset.catalogue.images))
    with torch.no_grad():
        x, n = found.model.features(source), len(found.right)
    yield from rows_by("method", mass, measure="mass_ratio", n=n)
    orders = [(name, order) for name in maps for order in ("most", "least")]
    for how in ("noise", "background"):
        areas = {}
        for name, order in [*orders, ("random", "random")]:
            area = _area(found, x, target, maps.get(name), order, how)
            row = {"method": name, "measure": "area over the curve", "how": how, "order": order}
            yield row | {"value": area, "n": n}
            areas[name, order] = area
        blind = [name for name in maps if name != "true region"]
        alike = spearmanr([areas[name, "most"] for name in blind], [mass[name] for name in blind])
        row = {"method": "all maps", "measure": "rank correlation with mass_ratio", "how": how}
        yield row | {"value": alike.statistic, "n": len(blind)}


def _area(
    found: Tested, x: Tensor, target: Tensor, relevance: Tensor | None, order: str, how: str
) -> float:
    """The area over one curve: the sources, with features x, stay whole; the targets suffer."""

    def logit(image: Tensor, x: Tensor, user: Tensor, kind: Tensor) -> Tensor:
        return found.model.logit(x, found.model.features(image), user, kind)

    context = (x, *map(torch.from_numpy, (found.right.user, found.right.kind)))
    instead = faithfulness.background(target) if how == "background" else None
    own: dict[str, Any] = {"order": order, "context": context, "instead": instead}
    own |= {"patch": target.shape[-1] // PATCHES, "steps": 10, "per_step": 6}
    return float(faithfulness.aopc(faithfulness.perturb(logit, target, relevance, **own)).mean())
