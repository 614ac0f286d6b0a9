"""What the experiments of chapter 3 compare: a shop as rankers see it, and rankers by name.

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

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from explainrec_lab import data, saers
from explainrec_lab.baselines.visual import BPRMF, JRL, VBPR, DeepStyle, PopRank, Random, Ranker
from explainrec_lab.data.boutique import ShopperDials
from explainrec_lab.data.contracts import Dataset, Images, check_choice, present
from explainrec_lab.data.store import table_beside
from explainrec_lab.saers.regions import Extracted, standardised
from explainrec_lab.settings import Saers
from explainrec_lab.training import History
from explainrec_lab.vision.backbone import Backbone, pixels
from explainrec_lab.vision.naming import Naming

_TABLES = table_beside(__file__)
VERSIONS: dict[str, dict[str, Any]] = saers.VERSIONS | _TABLES["versions"]
# Arguments of `saers.train`; of models of the line-up that see something else, searched like them.
TUNED: dict[str, dict[str, Any]] = saers.TUNED | _TABLES["tuned"]
ELSEWHERE: dict[str, dict[str, Any]] = _TABLES["elsewhere"]
# Models with nothing to learn by gradient.
UNTRAINED = ("Random", "PopRank")

MODELS = (*UNTRAINED, "BPR-MF", "VBPR", "DeepStyle", "JRL", "VBPR + SAF", *VERSIONS)


@dataclass(frozen=True)
class Shop:
    """Purchases, divided, and what a network saw in every picture."""

    dataset: Dataset
    parts: data.Split
    found: Extracted


def open_shop(settings: Saers, seed: int = 0, *, purchases: int = 8, every: bool = False) -> Shop:
    """The boutique of some settings; `seed` divides its purchases, `every`: see `extracted`."""
    own = {name: getattr(settings, name) for name in ("items", "shoppers", "size")}
    dataset = data.load("boutique", **own, shopping=ShopperDials(purchases=purchases))
    return shop_with(dataset, settings, seed, every=every)


def shop_with(dataset: Dataset, settings: Saers, seed: int, *, every: bool = False) -> Shop:
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
    others: dict[str, Callable[[], Ranker]] = {
        "Random": lambda: Random(n_users, len(whole), seed),
        "PopRank": lambda: PopRank(shop.parts.train),
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
def pooled_vectors(network: Naming | Backbone, images: Images, size: int | None = None) -> Tensor:
    """Every picture's last feature map, averaged over its cells and standardised over the items:
    `[item, m]`.

    Args:
        size: pixels of a side to which pictures are brought first, such as the network is used to.
    """
    parts = []
    for start in range(0, len(images), 128):
        some = pixels(images[start : start + 128])
        if size is not None:
            some = F.interpolate(some, size=(size, size), mode="bilinear", antialias=True)
        parts.append(network.maps(some).mean(dim=(2, 3)))
    return standardised(torch.cat(parts))
