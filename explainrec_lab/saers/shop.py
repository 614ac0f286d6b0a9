"""A shop as a ranker sees it: purchases, divided, and what a network sees in every picture.

The network is `recipe.trained_network`'s, which learned on another shop's labels; here it looks at
pictures whose attributes nobody told it. What it sees is kept in the cache.

Source: SAERS, §4.1.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from explainrec_lab import data
from explainrec_lab.data.boutique import ShopperDials
from explainrec_lab.data.contracts import Dataset, Images
from explainrec_lab.data.store import cache_dir, content_key, one_at_a_time, whole_file
from explainrec_lab.saers.extraction import Extracted, extract
from explainrec_lab.saers.network import SemanticExtraction
from explainrec_lab.saers.recipe import trained_network
from explainrec_lab.saers.whole import pooled_vectors
from explainrec_lab.settings import Saers

SHOP_VERSION = 1
"""Part of the cache's key: raise it when the same network sees something else."""


@dataclass(frozen=True)
class Shop:
    """Everything a ranker can be made of.

    Attributes:
        parts: one purchase a shopper for development, one for the test.
        found: attribute features, boxes and classes of every item.
        vectors: one vector a picture as a whole, `whole.pooled_vectors`.
    """

    dataset: Dataset
    parts: data.Split
    found: Extracted
    vectors: Float[Tensor, "item m"]

    @property
    def n_users(self) -> int:
        return self.dataset.interactions.n_users

    @cached_property
    def category(self) -> Int[Tensor, " item"]:
        """The category of each item as a number."""
        return torch.from_numpy(self.dataset.catalogue.items["category"].factorize()[0])


def open_shop(
    settings: Saers,
    seed: int = 0,
    *,
    purchases: int = 8,
    network: SemanticExtraction | None = None,
    every: bool = False,
) -> Shop:
    """The boutique of a profile, its purchases divided, its pictures seen.

    Args:
        seed: of the division into parts.
        purchases: purchases a shopper.
        network: what looks at the pictures; by default the profile's trained one.
        every: all attributes of every item, also those that it lacks: a network that is asked for
            a shoe's neckline has a map of it, a box and a vector. The paper says no less.
    """
    dataset = data.load(
        "boutique",
        items=settings.items,
        shoppers=settings.shoppers,
        size=settings.size,
        shopping=ShopperDials(purchases=purchases),
    )
    images = dataset.catalogue.images
    assert images is not None
    found, vectors = _seen(network or trained_network(settings), images, settings, every)
    return Shop(dataset, data.leave_one_out(dataset.interactions, seed), found, vectors)


def _seen(
    network: SemanticExtraction, images: Images, settings: Saers, every: bool
) -> tuple[Extracted, Float[Tensor, "item m"]]:
    """What the network sees in all pictures, from the cache if it saw them before."""
    weights = b"".join(value.numpy().tobytes() for value in network.state_dict().values())
    key = content_key(
        version=SHOP_VERSION,
        items=settings.items,
        size=settings.size,
        every=every,
        network=zlib.crc32(weights),
    )
    asked = np.ones((len(images), len(network.n_classes)), bool) if every else None
    path = cache_dir() / "saers" / f"{key}.npz"
    with one_at_a_time(path):
        kept = _read(path)
        if kept is None:
            found = extract(network, images, applies=asked)
            kept = found, pooled_vectors(network, images)
            with whole_file(path) as part, part.open("wb") as file:
                np.savez(file, vectors=kept[1].numpy(), **vars(kept[0]))
    return kept


def _read(path: Path) -> tuple[Extracted, Float[Tensor, "item m"]] | None:
    """What was kept, or None; a damaged file is removed."""
    if not path.exists():
        return None
    try:
        with np.load(path) as file:
            kept = dict(file)
        vectors = torch.from_numpy(kept.pop("vectors"))
        return Extracted(**kept), vectors
    except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile, zlib.error):
        path.unlink(missing_ok=True)
        return None
