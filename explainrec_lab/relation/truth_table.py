"""Which explainer finds the reason of a relation? All of them against the boutique's known truth.

    right = right_pairs(shop, pairs, logits, each=100)
    table = truth_table(relation.Closeness(model, references), shop, right)
    summary(table)                                # against the attribute, all kinds
    summary(table, ["method", "rule"])            # kinds with and without colour in their rule
    summary(table, ["truth", "method"])           # attribute, colour, and both together

An explainer is a function `(model, images_i, images_j, user, kind) -> (map_i, map_j)`; `METHODS`
is a plain dict of them, so add yours. `model` is any module with one value a pair, such as a
`Closeness` or the relation model itself (the logit q - d, as in the paper). Relevance must speak
*for* the relation where it is positive; only that part is scored.

Some kinds of relation need equal colour families beside matching attributes. So each map is scored
against three truths (`localisation.TRUTHS`): the *part mask* of the key attribute, which is the
headline; the item's *silhouette*, which has the colour, for those kinds only; and both together.
Where an explanation is told in named features instead of pixels, `unit_scores` asks the same.

Not here: the scores themselves (`evaluate.localisation`, `evaluate.truth`), and whether the model
reacts when the pixels are spoilt (`evaluate.faithfulness`).

`accuracy` says how often the model is right about pairs that it has never seen (§3.2, Table 1).

Source: LRP for explainable recommendations, §2.3 and §3.3, which judges heatmaps by perturbation
and by eye; the truth, the scores and the other explainers are ours or of the field around it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from explainrec_boutique.design import Design
from explainrec_boutique.gallery import Gallery
from explainrec_boutique.render import render
from explainrec_boutique.vocabulary import COLOURS_OF_FAMILY, SCHEMA
from explainrec_lab import lrp
from explainrec_lab.baselines import attribution
from explainrec_lab.data.contracts import RELATION_KINDS, Dataset, present, require
from explainrec_lab.evaluate import localisation, truth
from explainrec_lab.evaluate.localisation import TRUTHS, VIEWS
from explainrec_lab.evaluate.truth import NO_REASON
from explainrec_lab.relation.data import Pairs
from explainrec_lab.relation.explain import Closeness
from explainrec_lab.relation.explain import explain as asked_of
from explainrec_lab.relation.model import RelationModel
from explainrec_lab.vision.backbone import Backbone, pixels
from explainrec_lab.vision.homogeneous import convolutions, default_rule

# Relevance of both pictures: `[pair, 3, height, width]` each, or without channels.
Maps: TypeAlias = tuple[Tensor, Tensor]
# Of each question, in the source and in the target.
OfUnits: TypeAlias = Float[ndarray, "pair 2 question"]
# (model, images_i, images_j, user, kind) -> maps.
Explainer: TypeAlias = Callable[[nn.Module, Tensor, Tensor, Tensor, Tensor], Maps]

MEASURES = ("mass_ratio", "rank_accuracy", "pointing", "densest")
COLOUR = len(SCHEMA.attributes) + 1  # the colour family's place: after the attributes and category
UNIT_MEASURES = ("attribute_named", "colour_named", "colour_share")


# --------------------------------------------------------------------------- explainers


def propagated(rule: lrp.Rule | Callable[[nn.Module], lrp.Composite]) -> Explainer:
    """Layer-wise relevance by a rule, or by a function from the model to a composite."""

    def explain(model: nn.Module, i: Tensor, j: Tensor, user: Tensor, kind: Tensor) -> Maps:
        chosen = rule if isinstance(rule, lrp.Rule) else rule(model)
        return lrp.relevance(lambda *images: model(*images, user, kind), (i, j), rule=chosen)

    return explain


def _conditional(only: str) -> Explainer:
    """Relevance by the default rule that passes some units alone: `only` of `relation.explain`."""

    def explain(model: Any, *asked: Tensor) -> Any:
        if not isinstance(model, Closeness):
            return asked_of(model, *asked, of="logit", only=only).maps
        near = model.references
        return asked_of(model.model, *asked, of="closeness", references=near, only=only).maps

    return explain


def _attributed(method: Callable[..., Any], **options: Any) -> Explainer:
    """An explainer of `baselines.attribution`."""
    return lambda m, i, j, *ids: method(lambda *images: m(*images, *ids), (i, j), **options)


def network(model: nn.Module) -> Backbone:
    """The network that looks at the pictures. Raises ValueError if the model has none."""
    found = [part for part in model.modules() if isinstance(part, Backbone)]
    require(found, "model: has no vision.Backbone, whose layers the explainer asks for")
    return found[0]


def _epsilon_gamma_box(model: nn.Module) -> lrp.Composite:
    """z-box for the pixels, gamma for the convolutions, epsilon for the dense layer.

    The box goes from black to white as the first convolution sees them, after normalisation.
    """
    net = network(model)
    return lrp.epsilon_gamma_box((0 - net.mean) / net.std, (1 - net.mean) / net.std)


def _falling_gamma(model: nn.Module) -> lrp.Composite:
    """gamma 1, 1/4 and 1/16 in three thirds of the convolutions, epsilon in the dense layer."""
    third = -(-convolutions(model) // 3)
    thirds = (lrp.depth(n * third, (n + 1) * third) for n in range(3))
    return lrp.Composite([(each, lrp.Gamma(0.25**n)) for n, each in enumerate(thirds)])


# What needs units with names: the default rule from some of them alone.
CONDITIONAL: dict[str, Explainer] = {
    "LRP through attributes": _conditional("attributes"),
    "LRP through the main attribute": _conditional("main attribute"),
}
# The explainers of the table; all but the first are what the paper does not try.
METHODS: dict[str, Explainer] = {
    "LRP epsilon": propagated(lrp.Epsilon(1e-6)),
    "LRP epsilon-gamma-box": propagated(_epsilon_gamma_box),
    "LRP gamma falling with depth": propagated(_falling_gamma),
    "LRP z+": propagated(lrp.ZPlus()),
    "LRP w²-gamma-epsilon": propagated(default_rule),
    "gradient": _attributed(attribution.gradient),
    "gradient x input": _attributed(attribution.gradient_x_input),
    "integrated gradients": _attributed(attribution.integrated_gradients, steps=8),
    # at the end of all convolutions
    "Grad-CAM": lambda *a: _attributed(attribution.grad_cam, layer=network(a[0]).convolutions)(*a),
    "random": _attributed(attribution.random_map),
    **CONDITIONAL,
}


def explained(
    explainer: Explainer, model: nn.Module, shop: Dataset, pairs: Pairs, batch: int = 64
) -> Float[Tensor, "2 pair height width"]:
    """The maps of both pictures of all pairs, summed over channels, `batch` pairs at a time.

    Raises:
        ValueError: a model in training mode.
    """
    require(not model.training, "model: is in training mode; call model.eval() first")
    device = next(model.parameters()).device
    found = []
    for rows in np.array_split(np.arange(len(pairs)), max(1, -(-len(pairs) // batch))):
        some = pairs[rows]
        context = (torch.from_numpy(ids) for ids in (some.user, some.kind))
        pictures = some.pictures(present("images", shop.catalogue.images))
        asked = [each.to(device) for each in (*pictures, *context)]
        maps = [each.detach() for each in explainer(model, *asked)]
        found.append(torch.stack([each.sum(1) if each.ndim == 4 else each for each in maps]))
    return torch.cat(found, dim=1).cpu()


# --------------------------------------------------------------------------- the table


def right_pairs(shop: Dataset, pairs: Pairs, logits: ndarray, each: int | None = None) -> Pairs:
    """Related pairs that the model predicts right and whose reason is known.

    Args:
        logits: q - d of the pairs, `[pair]` (`relation.logits_of`).
        each: at most so many pairs of each kind, drawn at random; None = all of them.

    Raises:
        ValueError: a data set without truth, or logits that are not one a pair.
    """
    require(len(logits) == len(pairs), f"logits: {len(logits)} for {len(pairs)} pairs")
    good = pairs.related & (logits > 0) & (reasons_of(shop, pairs) != NO_REASON).all(axis=1)
    rng = np.random.default_rng(0)
    rows = [np.flatnonzero(good & (pairs.kind == kind)) for kind in range(len(RELATION_KINDS))]
    return pairs[np.concatenate([np.sort(rng.permutation(some)[:each]) for some in rows])]


def reasons_of(shop: Dataset, pairs: Pairs) -> Int[ndarray, "pair 2"]:
    """The attribute behind each pair in source and target; -1 = none, or not recorded.

    Raises:
        ValueError: a data set without truth.
    """
    known = present(f"reasons of relations of {shop.name!r}", shop.truth)
    return np.where(pairs.rows[:, None] >= 0, known.relation_reason[pairs.rows], NO_REASON)


def _asked(shop: Dataset, pairs: Pairs) -> tuple[Int[ndarray, "pair 2"], pd.DataFrame]:
    """`reasons_of` pairs that all have one; their `kind`, and the `rule`: what the kind asks for.

    Raises:
        ValueError: pairs without a reason.
    """
    reasons = reasons_of(shop, pairs)
    if (reasons == NO_REASON).any():
        raise ValueError("pairs: some have no reason to find; take `right_pairs`")
    colour = present("truth", shop.truth).relation_colour[pairs.rows]
    rule = np.where(colour, "attribute and colour", "attribute")
    return reasons, pd.DataFrame({"kind": np.array(RELATION_KINDS)[pairs.kind], "rule": rule})


def truth_table(
    model: nn.Module,
    shop: Dataset,
    pairs: Pairs,
    methods: Mapping[str, Explainer] = METHODS,
    *,
    references: bool = True,
) -> pd.DataFrame:
    """All scores of all explainers on all pairs.

    Args:
        model: what is explained, one value a pair; in eval mode.
        pairs: with a reason (`right_pairs`).
        methods: name -> explainer.
        references: add maps that look at no model: the items' silhouettes and a centre bias.

    Returns:
        One row a method, truth, pair and view ('source', 'target', 'pooled'): `method`, `kind`,
        `rule` (what the kind asks for), `truth` and `mask` (what the row is scored against: a key
        and a value of `localisation.TRUTHS`), `pair`, `view`, `area`, `mass`, and `MEASURES`.
        Truth 'colour' has rows only where colour is part of the reason. `densest` says whether the
        part mask of the true attribute is the densest of the item's (ties shared); nan for the
        other truths, in the pooled view, and for an item with a single attribute.

    Raises:
        ValueError: pairs without a reason, beside what `explained` refuses.
    """
    reasons, asked = _asked(shop, pairs)
    items = np.concatenate([pairs.source, pairs.target])  # the order of the views
    maps = {name: explained(each, model, shop, pairs).numpy() for name, each in methods.items()}
    if references:
        blind = localisation.reference_maps(shop, items)
        maps |= {name: np.array(np.split(blind[name], 2)) for name in ("centre", "silhouette")}
    regions = localisation.attribute_masks(shop, items)
    there, tables = np.asarray(regions.any(axis=(2, 3))), []
    for of, mask in TRUTHS.items():
        true = localisation.relation_masks(shop, pairs.rows, of)
        for name, found in maps.items():
            table = localisation.pair_scores(list(found), true).reset_index()
            if of == "attribute":
                density = localisation.densest_attribute(np.concatenate(found), regions)
                table.loc[: len(items) - 1, "densest"] = _hits_of(density, reasons.T.ravel(), there)
            tables.append(table.assign(method=name, truth=of, mask=mask))
    return pd.concat(tables, ignore_index=True).dropna(subset="area").join(asked, on="pair")


def _hits_of(scores: ndarray, reason: ndarray, applies: ndarray) -> ndarray:
    """`truth.reason_hit_rate` of every event by itself, `[event]`; nan where there is nothing to
    choose."""
    events = (slice(n, n + 1) for n in range(len(reason)))
    return np.array([truth.reason_hit_rate(scores[e], reason[e], applies[e]) for e in events])


def unit_scores(shop: Dataset, pairs: Pairs, relevance: OfUnits) -> pd.DataFrame:
    """Does an explanation in named features name the true attribute, and colour where it counts?

    Only what speaks *for* a relation names anything, and ties are shared, so that an explanation
    without an opinion gets what a blind guess gets.

    Args:
        pairs: with a reason (`right_pairs`).
        relevance: of each attribute of `SCHEMA`, the category and the colour family, in the source
            and in the target.

    Returns:
        One row a pair and view ('source', 'target'): `pair`, `view`, `kind`, `rule`;
        `attribute_named`: whether the true attribute has most relevance of those that the item
        has (nan if it has one only); `colour_named`: whether colour has more than every attribute
        that is no reason (nan if there is none); `colour_share`: its share of all that speaks for
        the relation (nan if nothing does). Colour *should* be named where the rule has it. Where
        the rule has none, a model that ignores colour names it as often as a blind guess would,
        when all that is left beside the key is next to nothing: the share tells that.

    Raises:
        ValueError: pairs without a reason, another shape, or nan.
    """
    reasons, asked = _asked(shop, pairs)
    if relevance.shape != (len(pairs), 2, COLOUR + 1):
        raise ValueError(f"relevance: {relevance.shape}; needs {(len(pairs), 2, COLOUR + 1)}")
    items = np.stack([pairs.source, pairs.target], axis=1).ravel()
    row, reason = np.arange(len(items)), reasons.ravel()
    rivals = np.pad(present("attributes", shop.catalogue.attributes)[items] >= 0, ((0, 0), (0, 2)))
    scores = np.maximum(relevance, 0).reshape(rivals.shape)
    table = pd.DataFrame({"pair": row // 2, "view": VIEWS[:2] * len(pairs)})
    table["attribute_named"] = _hits_of(scores, reason, rivals)
    rivals[row, reason], rivals[:, COLOUR] = False, True
    table["colour_named"] = _hits_of(scores, np.full_like(reason, COLOUR), rivals)
    table["colour_share"] = pd.Series(scores[:, COLOUR]) / scores.sum(axis=1)
    return table.join(asked, on="pair")


def summary(table: pd.DataFrame, by: str | list[str] = "method", draws: int = 0) -> pd.DataFrame:
    """Means of a truth table or of unit scores, in the order of their rows.

    Args:
        by: columns that make a row: 'method', or with 'truth', 'rule', 'kind' or 'view'. Where it
            does not tell truths apart, the attribute's rows count.
        draws: how often the pairs are drawn again, both pictures of a pair together (bootstrap);
            0 = no intervals.

    Returns:
        `MEASURES` or `UNIT_MEASURES` over both images (each by itself), `pooled` (the mass ratio
        of both together) and `pairs`; with `draws`, also the ends of each mean's 95 % interval,
        such as `densest_low` and `densest_high`. Where all of few pairs score the same, the
        interval is a point, and too short: nothing varies that could be drawn again.
    """
    keys = [by] if isinstance(by, str) else by
    if "truth" in table and "truth" not in keys:
        table = table[table["truth"] == "attribute"]
    both = table["view"] == "pooled"
    scores = table.filter([*MEASURES, *UNIT_MEASURES]).mask(both)
    if "mass_ratio" in scores:
        scores.insert(1, "pooled", table["mass_ratio"].where(both))
    scores.index = pd.MultiIndex.from_frame(table[[*keys, "pair"]])
    groups = scores.groupby(level=keys, sort=False)
    found = groups.mean()
    if draws:
        again = groups.apply(_drawn_again, draws).groupby(level=keys, sort=False)
        for end, share in (("low", 0.025), ("high", 0.975)):
            found = found.join(again.quantile(share).add_suffix(f"_{end}"))
        found = found[[f"{name}{end}" for name in scores for end in ("", "_low", "_high")]]
    return found.assign(pairs=table.groupby(keys, sort=False)["pair"].nunique())


def _drawn_again(scores: pd.DataFrame, draws: int) -> pd.DataFrame:
    """Means over pairs drawn with replacement, as many, each with all its rows."""
    pairs = scores.groupby(level="pair")
    total, count = pairs.sum(), pairs.count()
    times = np.random.default_rng(0).multinomial(len(total), [1 / len(total)] * len(total), draws)
    return (times @ total) / (times @ count)


# --------------------------------------------------------------------------- beside the table


@torch.no_grad()
def switch_effects(model: RelationModel, shop: Dataset, pairs: Pairs) -> OfUnits:
    """What the model itself goes by: how far d rises when one thing is drawn differently.

    Each attribute of each item is switched to its other classes, and its main colour to one of
    each other family, all else staying as it is; the rise of d is averaged over them (0 where it
    falls, where an attribute does not apply, and for the category, which cannot be switched).
    No explainer can be asked for more than to name what counts most here: the ceiling of
    `unit_scores`, which takes these effects as they are.

    Raises:
        ValueError: a data set whose pictures cannot be drawn again.
    """
    gallery = shop.catalogue.images
    if not isinstance(gallery, Gallery):
        raise ValueError(f"dataset {shop.name!r}: its pictures cannot be drawn again")
    sides = (pairs.source, pairs.target)
    x = [model.features(each.to(model.q.device)) for each in pairs.pictures(gallery)]
    d = model.distance(*x, *map(torch.from_numpy, (pairs.user, pairs.kind)))
    effects = np.zeros((len(pairs), 2, COLOUR + 1))
    for row, side in np.ndindex(len(pairs), 2):
        for question, designs in _switched(gallery.designs[int(sides[side][row])]).items():
            images = np.stack([render(each, gallery.size).image for each in designs])
            others = model.features(pixels(images).to(model.q.device))
            partner = x[1 - side][row].expand_as(others)
            far = model.distance(others, partner, int(pairs.user[row]), int(pairs.kind[row]))
            effects[row, side, question] = max(float((far - d[row]).mean()), 0.0)
    return effects


def _switched(design: Design) -> dict[int, list[Design]]:
    """Attribute (or `COLOUR`) -> the item with each other class of it."""
    colours = [family[0] for family in COLOURS_OF_FAMILY.values() if design.colour not in family]
    drawn = {COLOUR: [replace(design, colour=each) for each in colours]}
    for name, own in design.attributes.items():
        others = [value for value in SCHEMA.classes[name] if value != own]
        drawn[SCHEMA.attribute(name)] = [design.switched(name, value) for value in others]
    return drawn


def accuracy(predicted: ndarray, true: ndarray, kind: ndarray) -> dict[str, float]:
    """Share of right predictions for each kind of relation; nan where there are no pairs. All are
    `[pair]`, the first two bool."""
    right = pd.Series(np.asarray(predicted) == np.asarray(true))
    return right.groupby(np.array(RELATION_KINDS)[kind]).mean().reindex(RELATION_KINDS).to_dict()
