"""SAERS on the boutique: Figures 4 to 6, Table 2, and whether its attention is the reason."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache, partial
from itertools import product
from typing import Any, cast

import numpy as np
import pandas as pd
import torch

from experiments.record import Columns, Result, results, rows_by, timed
from experiments.saers_models import ELSEWHERE, TUNED, Shop, learn, open_shop, pooled_vectors
from explainrec_lab import data, saers
from explainrec_lab.baselines.visual import Ranker
from explainrec_lab.data.contracts import Interactions, present
from explainrec_lab.data.store import DataNotFound
from explainrec_lab.evaluate import truth
from explainrec_lab.evaluate.ranking import NEGATIVES, Contests, contests, sampled_auc, sampled_ndcg
from explainrec_lab.saers.model import SAERS
from explainrec_lab.settings import SIZES, Saers
from explainrec_lab.vision.backbone import Backbone, backbone

# The chapter's settings for reading on a laptop, with the network of the record.
CPU = cast(Saers, SIZES["saers"]["cpu"])

SETTINGS = TUNED | ELSEWHERE

SHUFFLED = "SAERS, ours, shuffled features"

# Name -> the model of the line-up that it is, and what it sees instead of what others see.
VARIANTS = {name: tuple(name.rsplit(", ", 1)) for name in (*ELSEWHERE, SHUFFLED)}

VISUAL = ("VBPR", "DeepStyle", "JRL")
COMPARED = (
    *("Random", "PopRank", "BPR-MF", *VISUAL, *(f"{name}, ImageNet" for name in VISUAL)),
    *("SAERS, all twelve", "SAERS", "SAERS, with bias", "SAERS, ours"),
)
ABLATION = ("SAFo", "VBPR", "VBPR + SAF", "SAERS - SAF", "SAERS")
Ints = tuple[int, ...]
DIMENSIONS = (10, 30, 50, 100)
CUTS = (5, 10, 20, 50)
# Pixels of the pictures that ImageNet's networks learned on.
IMAGENET_SIDE = 224

# Fewer than the paper's 500: both shops have some 300 items that nobody bought in training.
COLD_NEGATIVES = 150

# Models whose answers are scored. Weights of a sum are all alike, so they answer nothing.
EXPLAINED = (
    *("SAERS", "SAERS, all twelve", "SAERS, classes"),
    *("SAERS, a sum with bias", "SAERS, ours", SHUFFLED),
)

PURCHASES = (4, 8, 32)
# Purchases a shopper for which the epochs were chosen.
USUAL = 8


def saers_auc(seeds: int = 3) -> Iterator[Result]:
    """AUC and NDCG@N with sampled negatives, All Items and Cold Items, for four sizes d.

    Source: SAERS, §4.3 and Figures 4 to 6.
    """
    return _table(seeds, DIMENSIONS, COMPARED, CUTS)


def saers_ablation(seeds: int = 3) -> Iterator[Result]:
    """Table 2's five models. Source: SAERS, §4.4."""
    return _table(seeds, (CPU.d,), ABLATION)


def _table(seeds: int, sizes: Ints, names: Iterable[str], cuts: Ints = ()) -> Iterator[Result]:
    """Scores of each model, on one division of the purchases after the other."""
    for seed in range(seeds):
        shop = open_shop(CPU, seed)
        drawn = scenarios(shop, seed)
        for d, name in product(sizes, names):
            model, columns = trained(name, shop, d, seed)
            yield from results(scores_of(model, drawn, cuts), data="boutique", **columns)


def scenarios(shop: Shop, seed: int) -> dict[str, Contests]:
    """The paper's contests, and the same among items that training never saw."""
    draw = partial(contests, shop.parts.test, shop.dataset.interactions, seed=seed)
    return {
        "all items": draw(negatives=NEGATIVES),
        "cold items": draw(negatives=COLD_NEGATIVES, candidates=data.cold_items(shop.parts)),
    }


def scores_of(model: Ranker, drawn: dict[str, Contests], cuts: Ints = ()) -> Iterator[Columns]:
    """AUC, and NDCG@N for each cut N, averaged over contests, for each scenario."""
    scores = model.scores()
    for scenario, some in drawn.items():
        yield {"measure": "AUC", "group": scenario, "value": sampled_auc(scores, some).mean()}
        ndcg = {N: sampled_ndcg(scores, some, N)[:, -1].mean() for N in cuts}
        yield from rows_by("k", ndcg, measure="NDCG", group=scenario)


def trained(name: str, shop: Shop, d: int, seed: int, **how: Any) -> tuple[Ranker, Columns]:
    """A model with its settings or others, and the columns that it gives to its results."""
    method, variant = VARIANTS.get(name, (name, ""))
    shop = seen_by(variant, shop, seed)
    how = SETTINGS.get(name, SETTINGS.get(method, {})) | how
    (model, _), seconds = timed(lambda: learn(method, shop, d, seed=seed, **how))
    columns = {"method": method, "variant": variant, "d": d, "seed": seed}
    return model, columns | {"cost": seconds, "settings": how}


def seen_by(variant: str, shop: Shop, seed: int) -> Shop:
    """The shop as a variant of a model sees it."""
    if variant == "ImageNet":
        return replace(shop, found=replace(shop.found, whole=imagenet_vectors(CPU).numpy()))
    if variant == "all twelve":
        return replace(shop, found=open_shop(CPU, every=True).found)
    if variant == "shuffled features":
        named = shuffled(torch.from_numpy(shop.found.predicted), shop.found.applies, seed)
        return replace(shop, found=replace(shop.found, predicted=named.numpy()))
    return shop


@cache
def imagenet_vectors(settings: Saers) -> torch.Tensor:
    """What a ResNet-18 that knows only ImageNet sees in the pictures of the settings' boutique."""
    network = of_imagenet("resnet18").eval()
    images = data.load("boutique", items=settings.items, size=settings.size).catalogue.images
    return pooled_vectors(network, present("images", images), size=IMAGENET_SIDE)


def of_imagenet(name: str, **options: Any) -> Backbone:
    """A network with ImageNet's weights; `options` of `vision.backbone`.

    Raises:
        DataNotFound: they are not here and could not be downloaded.
    """
    network = backbone(name, weights="imagenet", **options)
    if network.origin != "imagenet":
        raise DataNotFound("weights: connect, or let EXPLAINREC_WEIGHTS name a folder with them")
    return network


# --------------------------------------------------------------------------- the whole picture

EPOCHS = 5

# AlexNet's share of the learning rate: it has learned before.
NETWORK_RATE = 3e-3

# Table 2's name -> how attributes are joined.
FUSION_OF = {"SAERS - SAF": "none", "SAERS": "attention"}


def saers_siamese(seeds: int = 1) -> Iterator[Result]:
    """AUC of two models with three kinds of f_g: as the paper trains it, a siamese AlexNet that
    learns with the preferences, end to end; the same AlexNet kept as ImageNet left it; and the
    attribute network kept as it is, which the pages use.

    All have the same rates and epochs. An epoch passes every picture of every batch through
    AlexNet and back, so there are fewer epochs than in the other experiments, one division, and
    pictures of 64 pixels, of which AlexNet's last map is a single cell; AlexNet's share of the
    rate was set once, not searched.

    Source: SAERS, §3.2 and §3.3; Table 2 for the two models.
    """
    for seed in range(seeds):
        shop = open_shop(CPU, seed)
        drawn = scenarios(shop, seed)
        kinds = ("attribute network", "AlexNet, kept", "AlexNet, end to end")
        for (name, fusion), kind in product(FUSION_OF.items(), kinds):
            whole, users = whole_of(kind, shop, seed), shop.dataset.interactions.n_users
            model = saers.saers(users, shop.found, CPU.d, fusion=fusion, whole=whole, seed=seed)
            how = TUNED[name] | {"epochs": EPOCHS}
            own: dict[str, Any] = {"own_rate": {"whole.network": NETWORK_RATE}, "seed": seed}
            _, cost = timed(partial(saers.train, model, shop.parts.train, **own, **how))
            row = {"method": name, "variant": kind, "d": CPU.d, "seed": seed, "cost": cost}
            row |= {"data": "boutique", "settings": {"network rate": NETWORK_RATE, **how}}
            yield from results(scores_of(model, drawn), **row)


def whole_of(kind: str, shop: Shop, seed: int) -> saers.LinearFeature | saers.SiameseFeature:
    """f_g by its name in the record."""
    if kind == "attribute network":
        return saers.LinearFeature(torch.from_numpy(shop.found.whole), CPU.d, seed)
    network = of_imagenet("alexnet", grid=1)
    images = present("images", shop.dataset.catalogue.images)
    if kind == "AlexNet, end to end":
        return saers.SiameseFeature(images, network, CPU.d, seed)
    return saers.LinearFeature(pooled_vectors(network.eval(), images), CPU.d, seed)


# --------------------------------------------------------------------------- the reason


def saers_truth(seeds: int = 3) -> Iterator[Result]:
    """How often each answer names the true reason of a held-out purchase.

    References: a blind guess, the most frequent reason, and our model trained on features that
    were exchanged between items with the same attributes.
    """
    for seed in range(seeds):
        for purchases in PURCHASES:
            shop = open_shop(CPU, seed, purchases=purchases)
            drawn = {"all items": contests(shop.parts.test, shop.dataset.interactions, seed=seed)}
            for name in EXPLAINED:
                usual = SETTINGS["SAERS, ours" if name == SHUFFLED else name]
                model, columns = trained(name, shop, CPU.d, seed, **longer(usual, purchases))
                assert isinstance(model, SAERS)
                found = [*scores_of(model, drawn), *rates_of(model, shop)]
                found += health_of(model, shop.parts.test)
                yield from results(found, data="boutique", purchases=purchases, **columns)
            known = truth.references(shop.dataset, shop.parts)
            rates = rows_by("method", known, measure="hit rate")
            yield from results(rates, data="boutique", purchases=purchases, seed=seed)


def rates_of(model: SAERS, shop: Shop) -> Iterator[Columns]:
    """How often each way names the true reason."""
    for how in saers.EXPLAINERS if model.fusion == "attention" else ("contribution", "swap"):
        rate = saers.hit_rate(model, shop.dataset, shop.parts.test, how)
        yield {"measure": "hit rate", "how": how, "value": rate}


def health_of(model: Ranker, events: Interactions) -> Iterator[Columns]:
    """Whether a model's attention lives; nothing of a model without one."""
    if isinstance(model, SAERS) and model.fusion == "attention":
        yield from rows_by("measure", saers.health(model, events))


def longer(how: dict[str, Any], purchases: int) -> dict[str, Any]:
    """Fewer epochs where an epoch is longer: steps grow with the square root of the purchases."""
    return how | {"epochs": max(1, round(how["epochs"] * (USUAL / purchases) ** 0.5))}


def shuffled(features: torch.Tensor, applies: np.ndarray, seed: int) -> torch.Tensor:
    """Features exchanged at random between items that have the same attributes."""
    rng = np.random.default_rng([seed, 7])
    _, kind = np.unique(applies, axis=0, return_inverse=True)
    source = pd.Series(range(len(features))).groupby(kind).transform(rng.permutation)
    return features[torch.from_numpy(source.to_numpy(copy=True))]
