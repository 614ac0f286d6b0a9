"""The relation model on the boutique: Table 1's layout, its baseline, relevance fed back, and
explanations on trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, cosine_similarity

from experiments.record import Columns, Rows, results, rows_by, timed
from explainrec_lab import data, lrp, relation
from explainrec_lab.data.boutique import RelationDials
from explainrec_lab.data.contracts import Dataset, check_choice, present, require
from explainrec_lab.data.store import table_beside
from explainrec_lab.evaluate import faithfulness, localisation
from explainrec_lab.evaluate.truth import rule_holds
from explainrec_lab.relation import Closeness, Pairs, RelationModel, Split, truth_table
from explainrec_lab.relation.data import N_KINDS, Batch, Images
from explainrec_lab.relation.explain import Explanation
from explainrec_lab.relation.model import placed
from explainrec_lab.relation.train import BatchLoss, fixed_features
from explainrec_lab.relation.truth_table import CONDITIONAL, METHODS, Explainer, propagated
from explainrec_lab.settings import SIZES, Relation
from explainrec_lab.vision.backbone import flat_vectors
from explainrec_lab.vision.homogeneous import folded

CPU = cast(Relation, SIZES["relation"]["cpu"])
_TABLE = table_beside(__file__)


def _settings(given: dict[str, Any]) -> Relation:
    """The settings `cpu`, but for what a row of the table says."""
    return replace(CPU, **given | {"network": replace(CPU.network, **given.get("network", {}))})


SMALL, FEEDBACK, PAPER = (_settings(_TABLE[name]) for name in ("small", "feedback", "paper"))
# The rows of Table 1, by name and size.
COMPARED = [(row.pop("variant"), _settings(row)) for row in _TABLE["compared"]]

# Of `truth_table.METHODS`, what localisation is measured with.
EXPLAINER = "LRP w²-gamma-epsilon"


def shop_of(settings: Relation) -> Dataset:
    """The boutique of some settings, with its label noise on."""
    dials = RelationDials(pairs=settings.pairs)
    return data.load("boutique", items=settings.items, size=settings.size, relating=dials)


def relation_table_1(seeds: int = 3) -> Rows:
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
            yield from results(accuracies(model, dataset, split, seed), data="boutique", **shared)


def accuracies(model: RelationModel, shop: Dataset, split: Split, seed: int) -> Rows:
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


def _by_kind(pairs: Pairs, right: np.ndarray, counted: np.ndarray, **row: str) -> Rows:
    """Accuracy on the counted pairs; none where a kind has no such pair."""
    shares = relation.accuracy(right[counted], np.ones(counted.sum(), bool), pairs.kind[counted])
    for kind, value in shares.items():
        if not np.isnan(value):
            yield {"measure": "accuracy", "kind": kind, "value": value, **row}


# ---------------------------------------------------------------------------------------- feedback

# Relevance fed back into training: the outer loop that the paper announces, in two forms.
#
# The paper wants the convolutional layers to "give more weight to the regions of the image where
# highly relevant pixels are present", with relevance taken on the validation set, in "an outer
# training loop over the existing framework". It gives no formula. Here a round of the loop is:
#
# 1. train for some epochs;
# 2. predict the pairs of the validation set, and take the relevance of those predicted right at the
#    cells of the feature maps (`validated`);
# 3. a 1 x 1 convolution learns to predict each picture's shares of relevance (`learned`), so that
#    what held on the validation set can be asked of any picture;
# 4. *maps weighted*: from now on its prediction multiplies the maps of every picture (`Gate`). Or
#    *relevance pulled*: from now on the loss asks the relevance of training pairs to lie where it
#    is predicted (`PullingLoss`).
#
# The weight of a cell depends on the picture, so no layer behind the maps can undo it, as it could
# undo a constant.
#
# Source: LRP for explainable recommendations, §4.

Maps = Float[Tensor, "item channel g g"]
Cells = Float[Tensor, "item g g"]

ROUNDS = 3
FORMS = ("maps weighted", "relevance pulled")
# Where relevance shall lie: where it lay, where it lay on another picture, or on the garment.
TARGETS = ("by relevance", "by another picture", "by the silhouette")
# What is compared, the first without feedback.
FED_BACK = [("no feedback", ""), *product(FORMS, TARGETS)]


def shares(values: Cells) -> Cells:
    """The positive part of each picture over its sum; zeros where nothing is positive."""
    positive = values.clamp(min=0)
    return positive / positive.sum((1, 2), keepdim=True).clamp(min=1e-12)


def apart(wanted: Cells, found: Cells) -> Float[Tensor, " item"]:
    """1 - the cosine between what is wanted of the cells and what is found there."""
    return 1 - cosine_similarity(wanted.flatten(1), found.flatten(1))


def predicted(maps: Maps, weight: Float[Tensor, " channel"]) -> Cells:
    """Shares of relevance by a 1 x 1 convolution to one channel, and a softmax over the cells."""
    scores = torch.einsum("ichw, c -> ihw", maps, weight)
    return scores.flatten(1).softmax(1).view_as(scores)


class Gate(nn.Module):
    """Each cell times 1 - strength + strength * its predicted share over the mean share.

    The shares count as constants: neither gradients nor relevance flow through them.
    """

    strength = 0.5

    def __init__(self, weight: Float[Tensor, " channel"]) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)

    @lrp.homogeneous(1)
    def forward(self, maps: Maps) -> Maps:
        over_mean = predicted(maps.detach(), self.weight) * maps[0, 0].numel()
        return maps * (1 - self.strength + self.strength * over_mean)[:, None]


def cell_relevance(close: Closeness, flat: Float[Tensor, "item size"], *pairs: Tensor) -> Cells:
    """Relevance of the cells for the closeness of pictures to their partners.

    What a unit of the maps says for the closeness counts as a constant, so that its activation,
    and with it the convolutions, can be trained for where relevance shall lie.

    Args:
        flat: feature maps of the pictures.
        pairs: which of the pictures it is, `[pair]`, the features of its partner, `[pair, D]`,
            user and kind, `[pair]`.

    Source: §2.3.
    """
    inside, partner, user, kind = pairs
    with torch.no_grad():
        factor = close.model.factor(user, kind, len(inside))
        towards = placed(partner - close.nearest(partner), factor)

    def closeness_of(maps: Tensor) -> Float[Tensor, " pair"]:
        x = close.model.head(maps)
        return (placed((x - close.nearest(x))[inside], factor) * towards).sum(1)

    says = torch.where(flat == 0, 0.0, lrp.relevance(closeness_of, flat.detach()) / flat).detach()
    return as_maps(close.model, flat * says).sum(1)


def as_maps(model: RelationModel, flat: Float[Tensor, "item size"]) -> Maps:
    """The network's flat vectors as feature maps."""
    return flat.unflatten(1, (-1, model.network.grid, model.network.grid))


class PullingLoss(BatchLoss):
    """The loss of each relation, and how far its picture's relevance is from where it shall lie."""

    strength = 3.0

    def __init__(self, n_items: int, close: Closeness, weight: Tensor) -> None:
        super().__init__(n_items)
        self.close, self.weight = close, weight

    def __call__(self, model: Any, batch: Batch) -> Float[Tensor, " pair"]:
        flat = flat_vectors(model.network, batch.pictures)
        losses = super().__call__(model, replace(batch, pictures=flat))
        assert self.memory is not None
        old = self.known[batch.other]
        cell, partner = batch.cell[old], self.memory[batch.other[old]]
        self.close.eval()  # relevance as it will be explained: by the norms of all batches
        asked = batch.inside[old], partner, cell // N_KINDS, cell % N_KINDS
        found = cell_relevance(self.close, flat, *asked)
        self.close.train()
        far = apart(predicted(as_maps(model, flat.detach()), self.weight), found)
        return losses + self.strength * far[batch.inside]


def validated(close: Closeness, images: Images, pairs: Pairs) -> tuple[Tensor, Maps, Cells]:
    """The pictures of the related pairs predicted right: items, maps, and shares of relevance.

    Args:
        pairs: of the validation set.

    Raises:
        ValueError: no related pair is predicted right.
    """
    right = pairs[pairs.related & (relation.logits_of(close.model, images, pairs) > 0)]
    require(len(right), "pairs: the model predicts no related one right")
    ends = torch.from_numpy(np.concatenate([right.source, right.target]))
    items, inside = ends.unique(return_inverse=True)
    user, kind = (torch.from_numpy(ids).repeat(2) for ids in (right.user, right.kind))
    flat = fixed_features(close.model, images[items.numpy()])
    partner = close.model.head(flat).detach()[inside.roll(len(right))]
    lay = cell_relevance(close, flat, inside, partner, user, kind)
    return items, as_maps(close.model, flat), shares(lay)


def targets(shop: Dataset, items: Tensor, lay: Cells) -> dict[str, Cells]:
    """Where relevance shall lie on each picture, from where it lay: `TARGETS`."""
    shape = torch.from_numpy(localisation.reference_maps(shop, items.numpy())["silhouette"])
    garment = shares(adaptive_avg_pool2d(shape.to(lay), lay.shape[-1]))
    return dict(zip(TARGETS, (lay, lay.roll(1, 0), garment), strict=True))


def learned(maps: Maps, target: Cells, decay: float = 1e-3) -> Float[Tensor, " channel"]:
    """Weights of a 1 x 1 convolution whose predicted shares come near the target's."""
    size = maps.square().mean((0, 2, 3)).sqrt().clamp(min=1e-6)
    weight = torch.zeros_like(size, requires_grad=True)
    optimiser = torch.optim.Adam([weight], 0.05)
    for _ in range(200):
        far = apart(target, predicted(maps, weight / size)).mean()
        optimiser.zero_grad()
        (far + decay * weight.square().sum()).backward()
        optimiser.step()
    return (weight / size).detach()


def closeness(model: RelationModel, shop: Dataset, items: np.ndarray) -> Closeness:
    """The model as it is explained: beside the mean features of these items' categories."""
    images = present("images", shop.catalogue.images)
    category = shop.catalogue.items["category"].to_numpy()
    return Closeness(model, relation.mean_features(model, images, items, category[items]))


def train_with_feedback(
    model: RelationModel, shop: Dataset, split: Split, settings: Relation, seed: int, *how: str
) -> None:
    """The outer loop, in place: `ROUNDS` times a share of the epochs, feedback in between.

    Args:
        split: relevance is taken on its development pairs.
        settings: whose epochs the rounds divide.
        how: form and target, one of `FED_BACK`.

    Raises:
        ValueError: an unknown form and target.

    Source: §4.
    """
    check_choice("how", how, FED_BACK)
    images, part, losses = present("images", shop.catalogue.images), split.train, None
    a_round = replace(settings, epochs=settings.epochs // ROUNDS)
    for number in range(ROUNDS):
        relation.train(model, part, images, a_round, seed + 100 * number, losses)
        if how == FED_BACK[0] or number == ROUNDS - 1:
            continue
        close = closeness(model.eval(), shop, part.items)
        items, maps, lay = validated(close, images, relation.test_pairs(split.development, seed))
        weight = learned(maps, targets(shop, items, lay)[how[1]])
        if how[0] == FORMS[0]:
            model.network.pool = nn.Sequential(model.network.pool, Gate(weight))
        else:
            losses = PullingLoss(len(part.items), close, weight)


def relation_feedback(seeds: int = 3) -> Rows:
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


# ------------------------------------------------------------------------------------ explanations

# The relation model's explanations on trial: against the known truth, ours beside the paper's
# network; and by perturbation (Figure 3), over several seeds and with what the figure leaves out.
#
# Column `labels` says what a map is scored against (a key of `evaluate.localisation.TRUTHS`): the
# part mask of the key attribute, the silhouette where colour is part of the reason, or both. Column
# `group` says which pairs count: all, those whose kind's rule asks for the attribute alone, those
# whose rule asks for colour as well, or those of one kind.
#
# Source: LRP paper, §3.3, which judges heatmaps by eye; the truth is the boutique's.

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
    scored = {name: localisation.scores(each, truth) for name, each in maps.items()}
    mass = {name: each["mass_ratio"].mean() for name, each in scored.items()}
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
