"""The chapter's model from settings to weights: trained once, kept in the cache.

Source: LRP for explainable recommendations, §2.2 (end to end, Adam) and §3.2 (weights to start
from). With `end_to_end=False` it is the model that the paper compares itself with (McAuley et al.,
2015): the network stays as it was before, and only the feature layer, M(u) and q are learned.

    learned = trained(lab.settings("relation"))
    baseline = trained(replace(settings, end_to_end=False))
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from explainrec_lab import data
from explainrec_lab.data.boutique import RelationDials
from explainrec_lab.data.contracts import Dataset, Images, Relations
from explainrec_lab.data.store import cache_dir, content_key
from explainrec_lab.relation.examples import HandLosses, Hands, Parts, split_items
from explainrec_lab.relation.model import RelationModel
from explainrec_lab.relation.pretraining import pretrain
from explainrec_lab.settings import Relation, fabric
from explainrec_lab.training import History, Optimisation, fit, kept
from explainrec_lab.vision.backbone import backbone, flat_vectors

RECIPE_VERSION = 3
"""Part of the cache's key: raise it when the same settings give another model."""

OTHER_SHOP = 1000
"""Added to the seed of the shop whose relations are learned: the shop to start from."""


@dataclass(frozen=True)
class Trained:
    """A trained model with what it was trained on.

    Attributes:
        seconds: CPU seconds of training, the start included, also when it came from the cache.
    """

    model: RelationModel
    dataset: Dataset
    parts: Parts
    seconds: float


def dataset_of(settings: Relation) -> Dataset:
    """The boutique of a profile, with its label noise on."""
    dials = RelationDials(pairs=settings.pairs)
    return data.load("boutique", items=settings.items, size=settings.size, relating=dials)


def trained(
    settings: Relation, seed: int = 0, *, shuffled: bool = False, progress: bool = False
) -> Trained:
    """The model of a profile, trained on the first call and read from the cache from then on.

    Args:
        seed: of the division of the items, of the weights and of the order of training.
        shuffled: learn from relations whose targets were exchanged at random, a check that
            explanations depend on what was learned.
    """
    dataset = dataset_of(settings)
    images, recorded = dataset.catalogue.images, dataset.relations
    assert recorded is not None
    assert images is not None
    parts = split_items(recorded, seed)
    model = untrained(settings, recorded.n_groups, seed)
    chosen = asdict(settings) | {"seed": seed, "shuffled": shuffled}
    if settings.weights == "imagenet":
        chosen |= {"origin": model.network.origin}  # a failed download must not be kept as ImageNet
    key = content_key(version=RECIPE_VERSION, **chosen)

    def learn() -> float:
        begun, seconds = started(settings, recorded.n_groups, seed, progress=progress)
        model.load_state_dict(begun.state_dict())
        relations = parts.relations["train"]
        if shuffled:
            order = np.random.default_rng([seed, 4]).permutation(len(relations))
            relations = replace(relations, target=relations.target[order])
        pictures = images[:] if settings.items <= IN_MEMORY else images
        begin = time.process_time()
        train(model, relations, parts.items["train"], pictures, settings, seed, progress=progress)
        return seconds + time.process_time() - begin

    seconds = kept(cache_dir() / "relation" / f"{key}.safetensors", model, learn)
    return Trained(model.eval(), dataset, parts, seconds)


IN_MEMORY = 20_000
"""Up to so many pictures are read at once; more are read hand by hand."""


def untrained(settings: Relation, n_users: int, seed: int = 0) -> RelationModel:
    """The model of a profile with random weights, or ImageNet's if the profile asks for them."""
    network = backbone(
        settings.backbone,
        settings.width,
        "imagenet" if settings.weights == "imagenet" else None,
        grid=settings.grid,
        batch_norm=settings.batch_norm,
        seed=seed,
    )
    return RelationModel(
        network,
        n_users,
        dimensions=settings.D,
        metric=settings.metric,
        rank=settings.rank,
        seed=seed,
    )


def started(
    settings: Relation, n_users: int, seed: int = 0, *, progress: bool = False
) -> tuple[RelationModel, float]:
    """The model as training on relations finds it, and the CPU seconds that it took.

    Under `weights="boutique"` the network has learned to name what is on the pictures of another
    shop (`pretraining.py`). That network is cached: every D and form of M(u) starts from it.
    """
    model = untrained(settings, n_users, seed)
    if settings.weights != "boutique":
        return model, 0.0
    names = ("backbone", "width", "grid", "batch_norm", "size", "items", "epochs_before")
    chosen = {name: value for name, value in asdict(settings).items() if name in names}
    key = content_key(version=RECIPE_VERSION, seed=seed, start="boutique", **chosen)

    def learn() -> float:
        other = data.load(
            "boutique", items=settings.items, size=settings.size, seed=OTHER_SHOP + seed
        )
        assert other.catalogue.images is not None
        other.catalogue.images[:]  # drawing is not training
        begin = time.process_time()
        pretrain(
            model.network, other.catalogue, settings.epochs_before, seed=seed, progress=progress
        )
        return time.process_time() - begin

    return model, kept(cache_dir() / "relation" / f"{key}.safetensors", model.network, learn)


def train(
    model: RelationModel,
    relations: Relations,
    items: np.ndarray,
    images: Images,
    settings: Relation,
    seed: int = 0,
    *,
    progress: bool = False,
) -> History:
    """Fit in place by Adam, on the device of the profile in force; the model comes back to the CPU.

    Args:
        items: the training items; `relations` must stay among them.
        images: pictures by item id.
    """
    pictures = images if settings.end_to_end else fixed_features(model, images)
    hands = Hands(relations, items, pictures, settings.hand, seed=seed)
    optimisation = Optimisation(
        settings.epochs,
        settings.learning_rate,
        own_decay={"metric.personal": settings.shrinkage},
        own_rate={"network": settings.network_rate},
    )
    losses = HandLosses(len(items), seed=seed)
    history = fit(model, hands, losses, optimisation, fabric=fabric(), progress=progress)
    model.cpu()
    return history


@torch.no_grad()
def fixed_features(
    model: RelationModel, images: Images, batch: int = 256
) -> Float[Tensor, "item size"]:
    """Flat vectors of all pictures by the network as it is. Source: §3.2, McAuley et al. (2015)."""
    was_training = model.training
    model.eval()
    flat = []
    for start in range(0, len(images), batch):
        pictures = torch.as_tensor(images[start : start + batch]).to(model.q.device)
        flat.append(flat_vectors(model.network, pictures))
    model.train(was_training)
    return torch.cat(flat)
