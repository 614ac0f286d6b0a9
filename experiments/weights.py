"""Writes `explainrec_lab/weights/`: each network trained in full, rounded, scored, with its card.

    python -m experiments weights

A network is written in half precision; its scores are those of the rounded weights, on items that
it never saw, so that a test can compute them again.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from itertools import takewhile
from typing import Any

from safetensors.torch import save
from torch import nn

from experiments.relation import CPU, accuracies, shop_of
from experiments.saers import accuracy
from explainrec_lab import __version__, data, relation
from explainrec_lab.data.contracts import Dataset, present, require
from explainrec_lab.data.store import whole_file
from explainrec_lab.relation import RelationModel, Split
from explainrec_lab.relation.train import recipe as relation_recipe
from explainrec_lab.vision import folded, naming
from explainrec_lab.weights import FOLDER, recipe_key

# A network, what its card says of it beside what all cards say, and its scores.
Written = tuple[Any, dict[str, Any], Callable[[], dict[str, float]]]

SEED = 0
# Items of chapter 3's shop on which scores are taken; the network learned from another's.
UNSEEN = 1500
VERSIONS = {name: version(name).split("+")[0] for name in ("torch", "torchvision")}


def attribute_network() -> Written:
    """Chapters 1 and 3: the network that names what is on a picture."""
    network, settings = naming.trained(CPU.network, SEED), CPU.network
    card = {"key": recipe_key(naming.recipe(settings, SEED)), "settings": asdict(settings)}
    return network, card | {"unseen items": UNSEEN}, lambda: attribute_scores(network)


def attribute_scores(network: naming.Naming) -> dict[str, float]:
    """Accuracy on unseen items: the mean over attributes, the lowest, and each."""
    found = accuracy(folded(network), data.load("boutique", items=UNSEEN, size=CPU.size).catalogue)
    return {"mean accuracy": found.mean(), "lowest accuracy": found.min(), **found}


def relation_network() -> Written:
    """Chapter 1: the model after relation training, of size `cpu`."""
    shop = shop_of(CPU)
    split = relation.split(present("relations", shop.relations), SEED)
    model = relation.trained(CPU, shop, split, SEED)
    recipe = relation_recipe(CPU, split.train, present("images", shop.catalogue.images), SEED)
    card = {"key": recipe_key(recipe), "settings": asdict(CPU)}
    unseen = {"unseen items": len(split.test.items)}
    return model, card | unseen, lambda: relation_scores(model, shop, split)


def relation_scores(model: RelationModel, shop: Dataset, split: Split) -> dict[str, float]:
    """Accuracy on pairs of unseen items: against what was recorded, and against the rule."""
    said = {"recorded": "recorded", "rule": "by the rule"}
    found = takewhile(lambda row: "method" not in row, accuracies(model, shop, split, SEED))
    return {f"{row['kind']}, {said[row['labels']]}": row["value"] for row in found}


# Name of the file -> the network that pages use.
NETWORKS = {naming.NAME: attribute_network, "relation": relation_network}


def write() -> None:
    """Train or read every network, and write its rounded weights and its card."""
    for name, network in NETWORKS.items():
        model, card, scored = network()
        content = _rounded(name, model)
        card |= {"name": name, "command": "python -m experiments weights", "seed": SEED}
        card |= {"versions": {"explainrec-lab": __version__, **VERSIONS}}
        card |= {"date": date.today().isoformat(), "cpu seconds": round(model.seconds, 1)}
        card |= {"sha256": hashlib.sha256(content).hexdigest()}
        card |= {"scores": {key: round(float(value), 4) for key, value in scored().items()}}
        with whole_file(FOLDER / f"{name}.safetensors") as file:
            file.write_bytes(content)
        with whole_file(FOLDER / f"{name}.json") as file:
            file.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        print(name, f"{len(content) / 1e6:.2f} MB", card["scores"])


def _rounded(name: str, model: nn.Module) -> bytes:
    """The file of a model, whose own weights are rounded to half precision as well."""
    halves = model.half().state_dict()  # counters stay as they are
    for part, value in halves.items():
        require(value.isfinite().all(), f"{name}: {part} is not finite in half precision")
    content = save({part: value.contiguous() for part, value in halves.items()})
    model.float()
    return content
