"""f_g as the paper trains it: a siamese AlexNet that learns with the preferences, end to end.

Beside it, with the same rates and epochs, the same AlexNet kept as ImageNet left it, and the
attribute network kept as it is, which the pages use. An epoch passes every picture of every batch
through AlexNet and back, so there are fewer epochs than in the other experiments, one division, and
pictures of 64 pixels, of which AlexNet's last map is a single cell; AlexNet's share of the rate was
set once, not searched.

Source: SAERS, §3.2 and §3.3; Table 2 for the two models.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from experiments.record import Result, results, timed
from experiments.saers import CPU, aucs_of, of_imagenet, scenarios
from experiments.saers_models import TUNED, Shop, open_shop, pooled_vectors
from explainrec_lab import saers
from explainrec_lab.data.contracts import present

EPOCHS = 5

# AlexNet's share of the learning rate: it has learned before.
NETWORK_RATE = 3e-3

# Table 2's name -> how attributes are joined.
MODELS = {"SAERS - SAF": "none", "SAERS": "attention"}


def saers_siamese(seeds: int = 1) -> Iterator[Result]:
    """AUC of two models with three kinds of f_g."""
    for seed in range(seeds):
        shop = open_shop(CPU, seed)
        drawn = scenarios(shop, seed)
        for name, fusion in MODELS.items():
            for kind in ("attribute network", "AlexNet, kept", "AlexNet, end to end"):
                whole = whole_of(kind, shop, seed)
                model = saers.saers(
                    shop.n_users, shop.found, CPU.d, fusion=fusion, whole=whole, seed=seed
                )
                how = TUNED[name] | {"epochs": EPOCHS}
                own: dict[str, Any] = {"own_rate": {"whole.network": NETWORK_RATE}, "seed": seed}
                _, cost = timed(partial(saers.train, model, shop.parts.train, **own, **how))
                row = {"method": name, "variant": kind, "d": CPU.d, "seed": seed, "cost": cost}
                settings = {"network rate": NETWORK_RATE, **how}
                yield from results(aucs_of(model, drawn), data="boutique", settings=settings, **row)


def whole_of(kind: str, shop: Shop, seed: int) -> saers.LinearFeature | saers.SiameseFeature:
    """f_g by its name in the record."""
    if kind == "attribute network":
        return saers.LinearFeature(torch.from_numpy(shop.found.whole), CPU.d, seed)
    network = of_imagenet("alexnet", grid=1)
    images = present("images", shop.dataset.catalogue.images)
    if kind == "AlexNet, end to end":
        return saers.SiameseFeature(images, network, CPU.d, seed)
    return saers.LinearFeature(pooled_vectors(network.eval(), images), CPU.d, seed)
