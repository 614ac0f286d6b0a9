"""SAERS on the boutique: Figures 4 to 6, Table 2, its boxes, and whether attention is the reason.

What is compared, by name; a shop as rankers see it (`Shop`):

| name | what it goes by |
|---|---|
| Random, PopRank, BPR-MF | nothing, popularity, purchases |
| VBPR, DeepStyle, JRL | purchases, and one vector a picture |
| SAFo | attribute features, all alike (Eq. 4) |
| VBPR + SAF | VBPR, whose picture vectors are joined by the attribute features |
| SAERS - SAF | the feature of the whole picture alone |
| the others | `saers.train.VERSIONS` |

Source: SAERS, §4.2 and §4.4.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from itertools import product
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from experiments.record import Columns, Rows, results, rows_by, timed
from experiments.relation import PAPER
from explainrec_lab import data, saers
from explainrec_lab.baselines.collaborative import Popularity
from explainrec_lab.baselines.visual import BPRMF, JRL, VBPR, DeepStyle, Ranker, Untrained
from explainrec_lab.data import labels as labelled
from explainrec_lab.data.boutique import ShopperDials
from explainrec_lab.data.contracts import DOES_NOT_APPLY, Images, check_choice, present
from explainrec_lab.data.store import DataNotFound, table_beside
from explainrec_lab.evaluate import truth
from explainrec_lab.evaluate.ranking import NEGATIVES, Contests, contests, sampled_auc, sampled_ndcg
from explainrec_lab.saers import boxes
from explainrec_lab.saers.model import SAERS
from explainrec_lab.saers.regions import Extracted, Maps, Seen, look, standardised
from explainrec_lab.settings import SIZES, Saers
from explainrec_lab.training import History
from explainrec_lab.vision import naming
from explainrec_lab.vision.backbone import Backbone, backbone, pixels
from explainrec_lab.vision.homogeneous import folded
from explainrec_lab.vision.naming import Naming

_TABLES = table_beside(__file__)
VERSIONS: dict[str, dict[str, Any]] = saers.VERSIONS | _TABLES["versions"]
# Arguments of `saers.train`; of models of the line-up that see something else, searched like them.
TUNED: dict[str, dict[str, Any]] = saers.TUNED | _TABLES["tuned"]
ELSEWHERE: dict[str, dict[str, Any]] = _TABLES["elsewhere"]
# Pictures that a network sees at a time.
BATCH = 128
# Models with nothing to learn by gradient.
UNTRAINED = ("Random", "PopRank")

MODELS = (*UNTRAINED, "BPR-MF", "VBPR", "DeepStyle", "JRL", "VBPR + SAF", *VERSIONS)


@dataclass(frozen=True)
class Shop:
    """Purchases, divided, and what a network saw in every picture."""

    dataset: data.Dataset
    parts: data.Split
    found: Extracted


def open_shop(settings: Saers, seed: int = 0, *, purchases: int = 8, every: bool = False) -> Shop:
    """The boutique of some settings; `seed` divides its purchases, `every`: see `extracted`."""
    own = {name: getattr(settings, name) for name in ("items", "shoppers", "size")}
    dataset = data.load("boutique", **own, shopping=ShopperDials(purchases=purchases))
    return shop_with(dataset, settings, seed, every=every)


def shop_with(dataset: data.Dataset, settings: Saers, seed: int, *, every: bool = False) -> Shop:
    """A data set as rankers see it."""
    images = present("images", dataset.catalogue.images)
    found = saers.extracted(saers.trained_network(settings), images, every=every)
    return Shop(dataset, data.leave_one_out(dataset.interactions, seed), found)


def make(name: str, shop: Shop, d: int, seed: int = 0) -> Ranker:
    """An untrained model by its name. Raises ValueError for an unknown one."""
    n_users, whole = shop.dataset.interactions.n_users, torch.from_numpy(shop.found.whole)
    if name in VERSIONS:
        return saers.saers(n_users, shop.found, d, seed=seed, **VERSIONS[name])
    mean = torch.from_numpy(shop.found.features).mean(dim=1)
    category = torch.from_numpy(shop.dataset.catalogue.items["category"].factorize()[0])
    rng = torch.Generator().manual_seed(seed)
    others: dict[str, Callable[[], Ranker]] = {
        "Random": lambda: Untrained(torch.rand(n_users, len(whole), generator=rng)),
        "PopRank": lambda: Untrained(Popularity().scores(shop.parts.train)),
        "BPR-MF": lambda: BPRMF(n_users, len(whole), d, seed),
        "VBPR": lambda: VBPR(n_users, whole, d, seed),
        "VBPR + SAF": lambda: VBPR(n_users, torch.cat([whole, standardised(mean)], 1), d, seed),
        "DeepStyle": lambda: DeepStyle(n_users, whole, category, d, seed),
        "JRL": lambda: JRL(n_users, whole, d, seed),
    }
    check_choice("name", name, MODELS)
    return others[name]()


def learn(name: str, shop: Shop, d: int, *, seed: int = 0, **how: Any) -> tuple[Ranker, History]:
    """A model by its name, trained; `how`: for `saers.train`, what is not given from `TUNED`."""
    model = make(name, shop, d, seed)
    if name in UNTRAINED:
        return model, History()
    return model, saers.train(model, shop.parts.train, seed=seed, **TUNED[name] | how)


@torch.no_grad()
def pooled_vectors(network: Naming | Backbone, images: Images, size: int) -> Tensor:
    """Every picture, brought to `size` pixels a side: its last feature map, averaged over the cells
    and standardised over the items, `[item, m]`."""
    parts = []
    for start in range(0, len(images), BATCH):
        some = pixels(images[start : start + BATCH])
        some = F.interpolate(some, size=(size, size), mode="bilinear", antialias=True)
        parts.append(network.maps(some).mean(dim=(2, 3)))
    return standardised(torch.cat(parts))


# ---------------------------------------------------------------------------------------- line-ups

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


def saers_auc(seeds: int = 3) -> Rows:
    """AUC and NDCG@N with sampled negatives, All Items and Cold Items, for four sizes d.

    Source: SAERS, §4.3 and Figures 4 to 6.
    """
    return _table(seeds, DIMENSIONS, COMPARED, CUTS)


def saers_ablation(seeds: int = 3) -> Rows:
    """Table 2's five models. Source: SAERS, §4.4."""
    return _table(seeds, (CPU.d,), ABLATION)


def _table(seeds: int, sizes: Ints, names: Iterable[str], cuts: Ints = ()) -> Rows:
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


def scores_of(model: Ranker, drawn: dict[str, Contests], cuts: Ints = ()) -> Rows:
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
    """What a ResNet-18 that knows only ImageNet sees in the pictures of the settings' boutique.

    Raises:
        DataNotFound: its weights are not here and could not be downloaded.
    """
    network = backbone("resnet18", weights="imagenet").eval()
    if network.origin != "imagenet":
        raise DataNotFound("weights: connect, or let EXPLAINREC_WEIGHTS name a folder with them")
    images = data.load("boutique", items=settings.items, size=settings.size).catalogue.images
    return pooled_vectors(network, present("images", images), IMAGENET_SIDE)


# --------------------------------------------------------------------------- the reason


def saers_truth(seeds: int = 3) -> Rows:
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
            known = truth.references(shop.dataset, shop.parts.test, shop.parts.train)
            rates = rows_by("method", known, measure="hit rate")
            yield from results(rates, data="boutique", purchases=purchases, seed=seed)


def rates_of(model: SAERS, shop: Shop) -> Rows:
    """How often each way names the true reason."""
    for how in saers.EXPLAINERS if model.fusion == "attention" else ("contribution", "swap"):
        rate = saers.hit_rate(model, shop.dataset, shop.parts.test, how)
        yield {"measure": "hit rate", "how": how, "value": rate}


def health_of(model: Ranker, events: data.Interactions) -> Rows:
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


# --------------------------------------------------------------------------------------- the boxes

# The networks learn on one boutique, the settings of our boxes (blur, rule, mirror, share of a map)
# were chosen by hand on the items of a second (`CHOSEN_ON`; the trials are not recorded), and what
# is recorded is measured on a third.

# Seed of the boutique on which settings were chosen; never recorded.
CHOSEN_ON = 5

# Unseen pictures on which accuracy is measured.
ITEMS = 1500

# Of these, pictures whose boxes are measured.
BOXED = 400


VGG = PAPER.network

# What is compared: ours, and with the first seed alone a VGG, also with the paper's head (linear on
# the mean of F).
NETWORKS = {
    "ours": CPU,
    "VGG, batch norm": replace(CPU, network=VGG),
    "VGG, pooled head": replace(CPU, network=replace(VGG, head="pooled")),
}

# What other networks than ours are asked for.
FEW = {name: boxes.MAPS[name] for name in ("Grad-AAM", "HiResCAM", "LRP, mirrored")}


def saers_boxes(seeds: int = 3) -> Rows:
    """Accuracy of each network by attribute; IoU and pointing of each map, frame and attribute.

    Boxes are scored against part masks (their bounding boxes), for the predicted class, where the
    attribute applies.

    Source: SAERS, §3.1; the truth is the boutique's.
    """
    for seed in range(seeds):
        unseen = seed + (seed >= CHOSEN_ON)  # pictures new to the network and to the settings
        shop = data.load("boutique", items=ITEMS, size=CPU.size, seed=unseen)
        for variant, settings in NETWORKS.items():
            if seed and settings != CPU:
                continue
            network = saers.trained_network(settings, seed)
            shared = {"data": "boutique", "seed": seed, "cost": network.seconds}
            shared |= {"settings": asdict(settings)}
            right = accuracy(network, shop.catalogue)
            every = pd.Series({"mean": right.mean(), "lowest": right.min(), **right})
            row = {"method": "network", "variant": variant, **shared}
            yield from rows_by("attribute", every, measure="accuracy", **row)
            main = settings == CPU
            maps = boxes.MAPS if main else FEW
            table = boxes.table(network, shop, np.arange(BOXED), maps, references=main)
            yield from results(_boxes(table, variant), **shared)


@torch.no_grad()
def accuracy(network: Naming, catalogue: data.Catalogue) -> pd.Series:
    """Share of right classes, attribute by attribute, where it applies and has a label.

    Raises:
        ValueError: a catalogue without pictures or labels.
    """
    labels, schema = catalogue.attributes, present("schema", catalogue.schema)
    labels, images = present("attributes", labels), present("images", catalogue.images)
    parts = [look(network, images[n : n + BATCH]).predicted for n in range(0, len(images), BATCH)]
    right = torch.cat(parts).cpu().numpy() == labels
    judged = True if catalogue.labelled is None else catalogue.labelled
    asked = (labels != DOES_NOT_APPLY) & judged
    share = {name: right[asked[:, k], k] for k, name in enumerate(schema.attributes)}
    return pd.Series({name: each.mean() for name, each in share.items() if len(each)})


# Of photos: the network of the paper.
REAL = cast(Saers, SIZES["saers"]["gpu"]).network


def saers_fashionpedia(seeds: int = 1) -> Rows:
    """Boxes on real photos, against those that people drew: collar, lapel, neckline and sleeves.

    The network learns from UT-Zap50K and FashionAI, as the paper's did. Beside its maps stands
    the whole picture.

    Source: SAERS, §3.1; the truth is Fashionpedia's.
    """
    shown, learned = data.load("fashionpedia", size=REAL.size), labelled.both(REAL.size)
    items, maps = np.arange(len(shown.catalogue)), FEW | {"whole picture": _everywhere}
    for seed in range(seeds):
        network = naming.untrained(REAL, seed, naming.questions_of(labelled.SCHEMA))
        _, cost = timed(partial(naming.train, network, learned.catalogue, REAL, seed))
        row = {"data": "fashionpedia", "seed": seed, "cost": cost, "settings": asdict(REAL)}
        right = accuracy(network.eval(), learned.catalogue)
        yield from rows_by("attribute", right, method="network", measure="accuracy, learned", **row)
        table = boxes.table(folded(network), shown, items, maps, references=False)
        yield from results(_boxes(table, ""), **row)


def _everywhere(seen: Seen) -> Maps:
    return seen.images.new_ones(int(seen.asked.sum()), *seen.images.shape[-2:])


def _boxes(table: pd.DataFrame, variant: str) -> Rows:
    for (name, frame), rows in table.groupby(["map", "frame"], sort=False):
        row = {"method": name, "variant": variant if name in boxes.MAPS else "", "how": frame}
        for measure in ("iou", "pointing"):
            yield row | {"measure": measure, "attribute": "mean", "value": rows[measure].mean()}
            every = rows.groupby("attribute", sort=False)[measure].mean()
            yield from rows_by("attribute", every, measure=measure, **row)
