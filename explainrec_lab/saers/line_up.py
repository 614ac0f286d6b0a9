"""The models that are compared, by the names of the paper's figures and tables.

| name | what it goes by |
|---|---|
| Random, PopRank, BPR-MF | nothing, popularity, purchases |
| VBPR, DeepStyle, JRL | purchases, and one vector a picture |
| SAFo | attribute features, all alike (Eq. 4) |
| VBPR + SAF | VBPR, whose picture vectors are joined by the attribute features |
| SAERS - SAF | the feature of the whole picture alone |
| SAERS | Eq. 7, attention over the attributes that apply |
| SAERS, with bias | the same as SAERS, and how popular an item is |
| SAERS, a sum | no attention: the attributes' terms are added |
| SAERS, a sum with bias | both |
| SAERS, classes | attention, to the classes that the network names instead of its regions |
| SAERS, ours + picture | a sum over named classes, with bias |
| SAERS, ours | the same without f_g: nothing is left to explain beside its terms |

Source: SAERS, §4.2 and §4.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from explainrec_lab.baselines.visual import BPRMF, JRL, VBPR, DeepStyle, PopRank, Random, Ranker
from explainrec_lab.saers.learning import fit_ranker
from explainrec_lab.saers.preference import SAERS, WholeFeature
from explainrec_lab.saers.shop import Shop
from explainrec_lab.saers.whole import LinearFeature, standardised
from explainrec_lab.training import History

Maker = Callable[[Shop, int, int], Ranker]
"""(shop, d, seed) -> an untrained model."""


def saers(
    shop: Shop,
    d: int,
    seed: int = 0,
    *,
    features: Tensor | None = None,
    whole: WholeFeature | bool = True,
    **options: Any,
) -> SAERS:
    """SAERS on what the network saw.

    Args:
        features: instead of the shop's attribute features.
        whole: f_g; True for a trained map of the pooled picture, False for none.
        options: see `SAERS`.
    """
    if features is None:
        features = torch.from_numpy(shop.found.features)
    applies = torch.from_numpy(shop.found.applies)
    if whole is True:
        whole = LinearFeature(shop.vectors, d, seed)
    return SAERS(
        shop.n_users,
        scaled(features),
        applies,
        None if whole is False else whole,
        d,
        seed=seed,
        **options,
    )


def scaled(features: Tensor) -> Tensor:
    """The same features, of which those that are not zero have length 1 on average."""
    lengths = features.norm(dim=-1)
    there = lengths > 0
    return features / lengths[there].mean() if bool(there.any()) else features


def class_features(shop: Shop) -> Tensor:
    """The class that the network names, as zeros and a one: `[item, attribute, class]`.

    A region's vector carries everything that is in the region, colours too. A class carries what
    its name says and nothing else.
    """
    predicted = torch.from_numpy(shop.found.predicted)
    named = torch.nn.functional.one_hot(predicted).float()
    return named * torch.from_numpy(shop.found.applies).unsqueeze(-1)


def joined_vectors(shop: Shop) -> Tensor:
    """Picture vectors and the mean of the attribute features, side by side (VBPR + SAF)."""
    mean = torch.from_numpy(shop.found.features).mean(dim=1)
    return torch.cat([shop.vectors, standardised(mean)], dim=1)


MODELS: dict[str, Maker] = {
    "Random": lambda shop, d, seed: Random(shop.n_users, len(shop.vectors), seed),
    "PopRank": lambda shop, d, seed: PopRank(shop.parts.train),
    "BPR-MF": lambda shop, d, seed: BPRMF(shop.n_users, len(shop.vectors), d, seed),
    "VBPR": lambda shop, d, seed: VBPR(shop.n_users, shop.vectors, d, seed),
    "DeepStyle": lambda shop, d, seed: DeepStyle(
        shop.n_users, shop.vectors, shop.category, d, seed
    ),
    "JRL": lambda shop, d, seed: JRL(shop.n_users, shop.vectors, d, seed=seed),
    "SAFo": lambda shop, d, seed: saers(shop, d, seed, fusion="average", whole=False),
    "VBPR + SAF": lambda shop, d, seed: VBPR(shop.n_users, joined_vectors(shop), d, seed),
    "SAERS - SAF": lambda shop, d, seed: saers(shop, d, seed, fusion="none"),
    "SAERS": lambda shop, d, seed: saers(shop, d, seed),
    "SAERS, with bias": lambda shop, d, seed: saers(shop, d, seed, bias=True),
    "SAERS, a sum": lambda shop, d, seed: saers(shop, d, seed, fusion="sum"),
    "SAERS, a sum with bias": lambda shop, d, seed: saers(shop, d, seed, fusion="sum", bias=True),
    "SAERS, classes": lambda shop, d, seed: saers(shop, d, seed, features=class_features(shop)),
    "SAERS, ours + picture": lambda shop, d, seed: saers(
        shop, d, seed, features=class_features(shop), fusion="sum", bias=True
    ),
    "SAERS, ours": lambda shop, d, seed: saers(
        shop, d, seed, features=class_features(shop), fusion="sum", bias=True, whole=False
    ),
}
"""Name -> how it is made; see the top of this file."""

UNTRAINED = ("Random", "PopRank")
"""Models with nothing to learn by gradient."""


def settings_of(*rows: tuple[str, int, float, float]) -> dict[str, dict[str, Any]]:
    """Name -> arguments of `learning.fit_ranker`, from (name, epochs, learning rate, lambda)."""
    names = ("epochs", "learning_rate", "regularizer")
    return {name: dict(zip(names, values, strict=True)) for name, *values in rows}


TUNED = settings_of(
    ("BPR-MF", 40, 3e-2, 3e-5),
    ("VBPR", 40, 1e-1, 3e-5),
    ("DeepStyle", 40, 1e-1, 3e-5),
    ("JRL", 20, 1e-2, 3e-5),
    ("SAFo", 40, 1e-1, 1e-5),
    ("VBPR + SAF", 40, 1e-1, 3e-5),
    ("SAERS - SAF", 40, 1e-1, 3e-5),
    ("SAERS", 40, 3e-2, 1e-5),
    ("SAERS, with bias", 40, 3e-2, 1e-5),
    ("SAERS, a sum", 40, 3e-2, 3e-5),
    ("SAERS, a sum with bias", 40, 3e-2, 3e-5),
    ("SAERS, classes", 40, 1e-1, 3e-5),
    ("SAERS, ours + picture", 40, 1e-1, 1e-4),
    ("SAERS, ours", 40, 1e-1, 1e-4),
)
"""How each learns: the best of one grid, by AUC on development purchases (`saers-search`)."""


def make(name: str, shop: Shop, d: int, seed: int = 0) -> Ranker:
    """An untrained model by its name. Raises ValueError for an unknown one."""
    if name not in MODELS:
        raise ValueError(f"name: {name!r}; choose from {', '.join(MODELS)}")
    return MODELS[name](shop, d, seed)


def learn(name: str, shop: Shop, d: int, *, seed: int = 0, **how: Any) -> tuple[Ranker, History]:
    """A model by its name, trained on the shop's training purchases.

    Args:
        how: for `learning.fit_ranker`; what is not given comes from `TUNED`.
    """
    model = make(name, shop, d, seed)
    if name in UNTRAINED:
        return model, History()
    return model, fit_ranker(model, shop.parts.train, seed=seed, **TUNED[name] | how)
