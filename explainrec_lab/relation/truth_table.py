"""Which explainer finds the reason of a relation? All of them against the boutique's known truth.

    right = right_pairs(shop, pairs, logits, each=100)
    table = truth_table(relation.Closeness(model, references), shop, right)
    summary(table)

An explainer is a function `(model, images_i, images_j, user, kind) -> (map_i, map_j)`; `METHODS`
is a plain dict of them, so add yours. `model` is any module with one value a pair, such as a
`Closeness` or the relation model itself (the logit q - d, as in the paper). Relevance must speak
*for* the relation where it is positive; only that part is scored (`sign`).

Not here: the scores themselves (`evaluate.localisation`, `evaluate.truth`), and whether the model
reacts when the pixels are spoilt (`evaluate.faithfulness`).

`accuracy` says how often the model is right about pairs that it has never seen (§3.2, Table 1).

Source: LRP for explainable recommendations, §2.3 and §3.3, which judges heatmaps by perturbation
and by eye; the truth, the scores and the other explainers are ours or of the field around it.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor, nn
from torchvision.transforms.functional import gaussian_blur

from explainrec_boutique.gallery import Gallery
from explainrec_boutique.render import render
from explainrec_boutique.vocabulary import SCHEMA
from explainrec_lab import lrp
from explainrec_lab.baselines import attribution
from explainrec_lab.data.contracts import RELATION_KINDS, Dataset
from explainrec_lab.evaluate import localisation, truth
from explainrec_lab.evaluate.truth import NO_REASON
from explainrec_lab.relation.data import Pairs
from explainrec_lab.relation.explain import Closeness
from explainrec_lab.relation.explain import explain as asked_of
from explainrec_lab.relation.model import RelationModel
from explainrec_lab.vision.backbone import Backbone, pixels
from explainrec_lab.vision.homogeneous import convolutions, default_rule

Maps: TypeAlias = tuple[Tensor, Tensor]
"""Relevance of both pictures: `[pair, 3, height, width]` each, or without channels."""

Explainer: TypeAlias = Callable[[nn.Module, Tensor, Tensor, Tensor, Tensor], Maps]
"""(model, images_i, images_j, user, kind) -> maps."""

MEASURES = ("mass_ratio", "rank_accuracy", "pointing", "densest")


# --------------------------------------------------------------------------- explainers


def propagated(rule: lrp.Rule | Callable[[nn.Module], lrp.Composite]) -> Explainer:
    """Layer-wise relevance by a rule, or by a function from the model to a composite."""

    def explain(model: nn.Module, i: Tensor, j: Tensor, user: Tensor, kind: Tensor) -> Maps:
        chosen = rule if isinstance(rule, lrp.Rule) else rule(model)
        return lrp.relevance(lambda *images: model(*images, user, kind), (i, j), rule=chosen)

    return explain


def conditional(only: str) -> Explainer:
    """Relevance by the default rule that passes some units alone: `only` of `relation.explain`."""

    def explain(model: Any, *asked: Tensor) -> Maps:
        if not isinstance(model, Closeness):
            return asked_of(model, *asked, of="logit", only=only).maps
        how = {"of": "closeness", "references": model.references}
        return asked_of(model.model, *asked, **how, only=only).maps

    return explain


def _attributed(method: Callable[..., Any], **options: Any) -> Explainer:
    """An explainer of `baselines.attribution`."""
    return lambda model, *asked: method(model, asked, **options)[:2]


def _grad_cam(model: nn.Module, *asked: Tensor) -> Maps:
    """Grad-CAM at the end of all convolutions."""
    layer = network(model).convolutions
    return attribution.grad_cam(model, asked, layer=layer)[:2]


def blurred(explainer: Explainer) -> Explainer:
    """Relevance summed over channels and spread over a few pixels, so that noise cancels."""

    def explain(model: nn.Module, *asked: Tensor) -> Maps:
        maps = (each.sum(dim=1, keepdim=True) for each in explainer(model, *asked))
        return tuple(gaussian_blur(each, [7, 7], [1.0, 1.0]) for each in maps)

    return explain


def network(model: nn.Module) -> Backbone:
    """The network that looks at the pictures. Raises ValueError if the model has none."""
    for part in model.modules():
        if isinstance(part, Backbone):
            return part
    raise ValueError("model: has no vision.Backbone, whose layers the explainer asks for")


def epsilon_gamma_box(model: nn.Module) -> lrp.Composite:
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


CONDITIONAL: dict[str, Explainer] = {
    "LRP through attributes": conditional("attributes"),
    "LRP through the main attribute": conditional("main attribute"),
}
"""What needs units with names: the default rule from some of them alone."""

METHODS: dict[str, Explainer] = {
    "LRP epsilon": propagated(lrp.Epsilon(1e-6)),
    "LRP epsilon, blurred": blurred(propagated(lrp.Epsilon(1e-6))),
    "LRP epsilon-gamma-box": propagated(epsilon_gamma_box),
    "LRP gamma falling with depth": propagated(_falling_gamma),
    "LRP z+": propagated(lrp.ZPlus()),
    "LRP w²-gamma-epsilon": propagated(default_rule),
    "gradient": _attributed(attribution.gradient),
    "gradient x input": _attributed(attribution.gradient_x_input),
    "integrated gradients": _attributed(attribution.integrated_gradients, steps=8),
    "Grad-CAM": _grad_cam,
    "random": _attributed(attribution.random_map),
    **CONDITIONAL,
}
"""The explainers of the table; all but the first are what the paper does not try."""


def explained(
    explainer: Explainer, model: nn.Module, shop: Dataset, pairs: Pairs, batch: int = 64
) -> Float[Tensor, "2 pair height width"]:
    """The maps of both pictures of all pairs, summed over channels, `batch` pairs at a time.

    Raises:
        ValueError: a model in training mode.
    """
    if model.training:
        raise ValueError("model: is in training mode; call model.eval() first")
    device = next(model.parameters()).device
    found = []
    for rows in np.array_split(np.arange(len(pairs)), max(1, -(-len(pairs) // batch))):
        some = pairs[rows]
        context = (torch.from_numpy(ids) for ids in (some.user, some.kind))
        pictures = some.pictures(shop.catalogue.images)  # type: ignore[arg-type]
        asked = [each.to(device) for each in (*pictures, *context)]
        maps = [each.detach() for each in explainer(model, *asked)]
        found.append(torch.stack([each.sum(1) if each.ndim == 4 else each for each in maps]))
    return torch.cat(found, dim=1).cpu()


# --------------------------------------------------------------------------- the table


def right_pairs(
    shop: Dataset,
    pairs: Pairs,
    logits: Float[ndarray, " pair"],
    each: int | None = None,
    seed: int = 0,
) -> Pairs:
    """Related pairs that the model predicts right and whose reason is known.

    Args:
        logits: q - d of the pairs (`relation.logits_of`).
        each: at most so many pairs of each kind, drawn at random; None = all of them.

    Raises:
        ValueError: a data set without truth, or logits that are not one a pair.
    """
    if len(logits) != len(pairs):
        raise ValueError(f"logits: {len(logits)} for {len(pairs)} pairs")
    good = pairs.related & (logits > 0) & (reasons_of(shop, pairs) != NO_REASON).all(axis=1)
    rng = np.random.default_rng(seed)
    chosen = [
        np.sort(rng.permutation(np.flatnonzero(good & (pairs.kind == kind)))[:each])
        for kind in range(len(RELATION_KINDS))
    ]
    return pairs[np.concatenate(chosen)]


def reasons_of(shop: Dataset, pairs: Pairs) -> Int[ndarray, "pair 2"]:
    """The attribute behind each pair in source and target; -1 = none, or not recorded.

    Raises:
        ValueError: a data set without truth.
    """
    if shop.truth is None:
        raise ValueError(f"dataset {shop.name!r}: why its items are related is not known")
    known = shop.truth.relation_reason[pairs.rows]
    return np.where(pairs.rows[:, None] >= 0, known, NO_REASON)


def truth_table(
    model: nn.Module,
    shop: Dataset,
    pairs: Pairs,
    methods: Mapping[str, Explainer] = METHODS,
    *,
    references: bool = True,
    sign: str = "positive",
) -> pd.DataFrame:
    """All scores of all explainers on all pairs.

    Args:
        model: what is explained, one value a pair; in eval mode.
        pairs: with a reason (`right_pairs`).
        methods: name -> explainer.
        references: add maps that look at no model: the items' silhouettes and a centre bias.
        sign: which relevance counts, see `evaluate.localisation`.

    Returns:
        One row a method, pair and view ('source', 'target', 'pooled'): `method`, `kind`, `pair`,
        `view`, `area`, `mass`, and `MEASURES`. `densest` says whether the true attribute is the
        densest of the item's (ties shared); nan in the pooled view, and for an item with a single
        attribute.

    Raises:
        ValueError: pairs without a reason, beside what `explained` refuses.
    """
    reasons = reasons_of(shop, pairs)
    if (reasons == NO_REASON).any():
        raise ValueError("pairs: some have no reason to find; take `right_pairs`")
    sides = (pairs.source, pairs.target)
    maps = {name: explained(each, model, shop, pairs).numpy() for name, each in methods.items()}
    if references:
        both = [localisation.reference_maps(shop, items) for items in sides]
        maps |= {name: np.stack([each[name] for each in both]) for name in ("centre", "silhouette")}
    regions = np.stack([localisation.attribute_masks(shop, items) for items in sides])
    there = np.asarray(regions.any(axis=(3, 4)))
    true = localisation.relation_masks(shop, pairs.rows)
    tables = []
    for name, found in maps.items():
        table = localisation.pair_scores(list(found), true, sign).reset_index()
        for side, view in enumerate(("source", "target")):
            density = localisation.densest_attribute(found[side], regions[side], sign)
            hits = hits_of(density, reasons[:, side], there[side])
            table.loc[table["view"] == view, "densest"] = hits
        kinds = np.array(RELATION_KINDS)[pairs.kind[table["pair"]]]
        tables.append(table.assign(method=name, kind=kinds))
    return pd.concat(tables, ignore_index=True)


def hits_of(
    scores: Float[ndarray, "event attribute"], reason: Int[ndarray, " event"], applies: ndarray
) -> Float[ndarray, " event"]:
    """`truth.reason_hit_rate` of every event by itself; nan where there is nothing to choose."""
    events = (slice(n, n + 1) for n in range(len(reason)))
    return np.array([truth.reason_hit_rate(scores[e], reason[e], applies[e]) for e in events])


def summary(table: pd.DataFrame, by: str | list[str] = "method") -> pd.DataFrame:
    """Means of a truth table, in the order of its methods.

    Args:
        by: columns that make a row: 'method', or with 'kind' or 'view'.

    Returns:
        `mass_ratio`, `rank_accuracy`, `pointing` and `densest` over both images (each by itself),
        `pooled` (the mass ratio of both together) and `pairs`.
    """
    alone = table[table["view"] != "pooled"].groupby(by, sort=False)
    found = alone[list(MEASURES)].mean()
    both = table[table["view"] == "pooled"].groupby(by, sort=False)["mass_ratio"].mean()
    found.insert(1, "pooled", both.reindex(found.index))
    return found.assign(pairs=alone["pair"].nunique())


# --------------------------------------------------------------------------- beside the table


@torch.no_grad()
def switch_effects(
    model: RelationModel, shop: Dataset, pairs: Pairs
) -> Float[ndarray, "2 pair attribute"]:
    """What the model itself goes by: how far d rises when one attribute is drawn differently.

    Each attribute of each item is switched to its other classes, all else staying as it is, and
    the rise of d is averaged over them (0 where it falls, and where the attribute does not apply).
    No explainer can be asked for more than to name the attribute that counts most here.

    Raises:
        ValueError: a data set whose pictures cannot be drawn again.
    """
    gallery = shop.catalogue.images
    if not isinstance(gallery, Gallery):
        raise ValueError(f"dataset {shop.name!r}: its pictures cannot be drawn again")
    sides = (pairs.source, pairs.target)
    x = [model.features(each.to(model.q.device)) for each in pairs.pictures(gallery)]
    d = model.distance(*x, *map(torch.from_numpy, (pairs.user, pairs.kind)))
    drawn = {item: _switched(model, gallery, item) for item in np.unique(sides).tolist()}
    effects = np.zeros((2, len(pairs), len(SCHEMA.attributes)))
    for side, row in np.ndindex(2, len(pairs)):
        for attribute, others in drawn[int(sides[side][row])].items():
            partner = x[1 - side][row].expand_as(others)
            far = model.distance(others, partner, int(pairs.user[row]), int(pairs.kind[row]))
            effects[side, row, attribute] = max(float((far - d[row]).mean()), 0.0)
    return effects


def _switched(model: RelationModel, gallery: Gallery, item: int) -> dict[int, Tensor]:
    """attribute -> features of the item with each other class of it, `[class, D]`."""
    design, found = gallery.designs[item], {}
    for name, own in design.attributes.items():
        others = [design.switched(name, value) for value in SCHEMA.classes[name] if value != own]
        images = np.stack([render(each, gallery.size).image for each in others])
        found[SCHEMA.attribute(name)] = model.features(pixels(images).to(model.q.device))
    return found


def accuracy(
    predicted: Bool[ndarray, " pair"], true: Bool[ndarray, " pair"], kind: ndarray
) -> dict[str, float]:
    """Share of right predictions for each kind of relation; nan where there are no pairs."""
    right = np.asarray(predicted) == np.asarray(true)
    return {
        name: float(right[kind == number].mean()) if (kind == number).any() else float("nan")
        for number, name in enumerate(RELATION_KINDS)
    }
