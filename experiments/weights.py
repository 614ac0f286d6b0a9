"""Writes `explainrec_lab/weights/`: each network trained in full, rounded, scored, with its card.

    python -m experiments weights

A network is written in half precision; its scores are those of the rounded weights, on items that
it never saw, so that a test can compute them again.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import date
from importlib.metadata import version

from safetensors.torch import save

from experiments.relation import CPU, shop_of
from experiments.saers import accuracy
from explainrec_lab import __version__, data, relation
from explainrec_lab.data.contracts import Dataset, present, require
from explainrec_lab.data.store import whole_file
from explainrec_lab.evaluate.truth import rule_holds
from explainrec_lab.relation import RelationModel, Split
from explainrec_lab.relation.train import recipe as relation_recipe
from explainrec_lab.settings import Network, Relation
from explainrec_lab.vision import folded, naming
from explainrec_lab.weights import FOLDER, recipe_key

Trained = RelationModel | naming.Naming
Scored = Callable[[], Mapping[str, float]]

SEED = 0
# Items of chapter 3's shop on which scores are taken; the network learned from another's.
UNSEEN = 1500
# Pixels of a picture's side.
SIDE = 64
VERSIONS = {name: version(name).split("+")[0] for name in ("torch", "torchvision")}


def attribute_network() -> None:
    """Chapters 1 and 3: the network that names what is on a picture."""
    settings = CPU.network
    network = naming.trained(settings, SEED)
    key = recipe_key(naming.recipe(settings, SEED))
    _write(naming.NAME, network, key, settings, UNSEEN, lambda: attribute_scores(network))


def attribute_scores(network: naming.Naming) -> dict[str, float]:
    """Accuracy on unseen items: the mean over attributes, the lowest, and each."""
    found = accuracy(folded(network), data.load("boutique", items=UNSEEN, size=SIDE).catalogue)
    return {"mean accuracy": found.mean(), "lowest accuracy": found.min(), **found}


def relation_network() -> None:
    """Chapter 1: the model after relation training, of size `cpu`."""
    shop = shop_of(CPU)
    split = relation.split(present("relations", shop.relations), SEED)
    model = relation.trained(CPU, shop, split, SEED)
    images = present("images", shop.catalogue.images)
    key = recipe_key(relation_recipe(CPU, split.train, images, SEED))
    unseen = len(split.test.items)
    _write("relation", model, key, CPU, unseen, lambda: relation_scores(model, shop, split))


def relation_scores(model: RelationModel, shop: Dataset, split: Split) -> dict[str, float]:
    """Accuracy on pairs of unseen items: against what was recorded, and against the rule."""
    pairs = relation.test_pairs(split.test, SEED)
    predicted = relation.logits_of(model, present("images", shop.catalogue.images), pairs) > 0
    sure = rule_holds(shop, pairs) == pairs.related
    recorded = relation.accuracy(predicted, pairs.related, pairs.kind)
    by_rule = relation.accuracy(predicted[sure], pairs.related[sure], pairs.kind[sure])
    scores = {f"{kind}, recorded": value for kind, value in recorded.items()}
    return scores | {f"{kind}, by the rule": value for kind, value in by_rule.items()}


# Name of the file -> what writes the network that pages use.
NETWORKS = {naming.NAME: attribute_network, "relation": relation_network}


def write() -> None:
    """Train or read every network, and write its file and card."""
    for network in NETWORKS.values():
        network()


def _write(
    name: str, model: Trained, key: str, settings: Relation | Network, unseen: int, scored: Scored
) -> None:
    """The rounded weights, and the rest of their card: what they score among others."""
    halves = model.half().state_dict()  # counters stay as they are
    for part, value in halves.items():
        require(value.isfinite().all(), f"{name}: {part} is not finite in half precision")
    content = save({part: value.contiguous() for part, value in halves.items()})
    model.float()
    scores = {key: round(float(value), 4) for key, value in scored().items()}
    card = {
        "name": name,
        "command": "python -m experiments weights",
        "key": key,
        "sha256": hashlib.sha256(content).hexdigest(),
        "seed": SEED,
        "settings": asdict(settings),
        "versions": {"explainrec-lab": __version__, **VERSIONS},
        "date": date.today().isoformat(),
        "cpu seconds": round(model.seconds, 1),
        "unseen items": unseen,
        "scores": scores,
    }
    with whole_file(FOLDER / f"{name}.safetensors") as file:
        file.write_bytes(content)
    with whole_file(FOLDER / f"{name}.json") as file:
        file.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    print(name, f"{len(content) / 1e6:.2f} MB", scores)
