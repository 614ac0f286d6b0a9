"""python -m experiments train CHAPTER: train a chapter's model, on whatever devices there are.

Alone, it starts as many processes as --devices says. Under torchrun, `fabric run` or srun it takes
those that are there, and --devices and --nodes are left out:

    python -m experiments train reconet --devices 2
    torchrun --nproc-per-node 8 -m experiments train relation --settings gpu
    PYTHONPATH=. fabric run --devices 8 experiments/__main__.py train saers --settings gpu

A line an epoch tells loss, speed and memory. A run that was broken off goes on after its last whole
epoch: give the same command again, on as many devices as you like. At the end the first process
scores the model on what training never saw, and writes its weights beside the checkpoint.
"""

import argparse
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from experiments.reconet import likes, masks
from experiments.relation import shop_of
from experiments.saers_models import TUNED, Shop, make
from explainrec_lab import data, reconet, relation, saers
from explainrec_lab.data.contracts import Dataset, check_least, present
from explainrec_lab.data.store import cache_dir, whole_file
from explainrec_lab.evaluate.ranking import NEGATIVES, contests, mean_recall, sampled_auc
from explainrec_lab.settings import NAMES, PRECISIONS, fabric, settings

# A trained model, what its score on held-out data is called, and what computes it.
Trained = tuple[nn.Module, str, Callable[[], float]]


def main(arguments: list[str]) -> None:
    """Run one training."""
    asked = _parser().parse_args(arguments)
    check_least(**{"--threads": asked.threads, "--epochs": asked.epochs or 1})
    wishes = {name: getattr(asked, name) for name in ("settings", "devices", "nodes", "precision")}
    os.environ |= {f"EXPLAINREC_{name.upper()}": told for name, told in wishes.items() if told}
    torch.set_num_threads(asked.threads)
    first = fabric().is_global_zero  # from here on, all processes are there
    logging.basicConfig(level=logging.INFO if first else logging.WARNING, format="%(message)s")
    own, learn = CHAPTERS[asked.chapter]
    name = f"{asked.chapter}-{asked.data or own}-{asked.seed}"
    how = {"checkpoint": asked.checkpoint / f"{name}.checkpoint"}
    model, what, score = learn(asked.data or own, asked.epochs, asked.seed, how)
    if first:
        print(f"{what}: {score():.4f}")
        with whole_file(weights := asked.checkpoint / f"{name}.safetensors") as file:
            file.write_bytes(save({key: part.clone() for key, part in model.state_dict().items()}))
        print("weights written to", weights)


def _parser() -> argparse.ArgumentParser:
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m experiments train", description=__doc__, formatter_class=shape
    )
    parser.add_argument("chapter", choices=CHAPTERS)
    parser.add_argument("--data", help="a source of `python -m experiments data`")
    parser.add_argument("--settings", choices=NAMES, help="how large; default: gpu if there is one")
    parser.add_argument("--devices", help="processes a machine, or 'auto': one a GPU")
    parser.add_argument("--nodes", help="machines, if this command runs on each of them")
    parser.add_argument("--precision", choices=PRECISIONS)
    parser.add_argument("--epochs", type=int, help="default: those of the settings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    folder = {"type": Path, "metavar": "FOLDER", "default": cache_dir() / "runs"}
    parser.add_argument("--checkpoint", **folder, help="state and weights; default: %(default)s")
    return parser


def _reconet(name: str, epochs: int | None, seed: int, how: dict[str, Any]) -> Trained:
    sizes: Any = settings("reconet")
    parts = likes(seed, attributes=True, source=name)
    titles, features = map(str, range(parts.train.n_items)), parts.train.item_features
    space = reconet.FeatureSpace(tuple(titles), features, parts.train.user_features.names)
    model = reconet.RecoNet(space, sizes.d, seed=seed)
    examples = reconet.RemovedItems(parts.train, space, batch_size=sizes.batch_size, seed=seed)
    reconet.train(model, examples, replace(sizes, epochs=epochs or sizes.epochs), **how)

    @torch.no_grad()
    def recall() -> float:
        known = masks(("", ""), parts)[""]
        scores = model(space.profiles(parts.train))
        return mean_recall(scores, 50, parts.test.matrix, known)[-1]

    return model, "recall@50 of held-out items", recall


def _relation(name: str, epochs: int | None, seed: int, how: dict[str, Any]) -> Trained:
    sizes: Any = settings("relation")
    sizes = replace(sizes, epochs=epochs or sizes.epochs)
    shop = shop_of(sizes) if name == "boutique" else data.load(name)
    recorded, images = present("relations", shop.relations), _images(shop)
    split = relation.split(recorded, seed)
    model = relation.pretrained(sizes, recorded.n_groups, seed)
    relation.train(model, split.train, images, sizes, seed, **how)

    def accuracy() -> float:
        pairs = relation.test_pairs(split.test, seed)
        return ((relation.logits_of(model, images, pairs) > 0) == pairs.related).mean()

    return model, "accuracy on pairs of unseen items", accuracy


def _saers(name: str, epochs: int | None, seed: int, how: dict[str, Any]) -> Trained:
    sizes: Any = settings("saers")
    tuned = TUNED["SAERS, ours"]
    own = {word: getattr(sizes, word) for word in ("items", "shoppers", "size")}
    dataset = data.load(name, **(own if name == "boutique" else {}))
    found = saers.extracted(saers.trained_network(sizes), _images(dataset))
    shop = Shop(dataset, data.leave_one_out(dataset.interactions, seed), found)
    model = make("SAERS, ours", shop, sizes.d, seed)
    how = tuned | {"epochs": epochs or tuned["epochs"]} | how
    saers.train(model, shop.parts.train, seed=seed, **how)

    def auc() -> float:
        drawn = contests(shop.parts.test, dataset.interactions, negatives=NEGATIVES, seed=seed)
        return sampled_auc(model.scores(), drawn).mean()

    return model, "AUC of held-out purchases", auc


def _images(shop: Dataset) -> Any:
    return present(f"pictures of {shop.name!r}", shop.catalogue.images)


# chapter -> its usual data, and what trains it.
CHAPTERS: dict[str, tuple[str, Callable[..., Trained]]] = {
    "reconet": ("completejourney", _reconet),
    "relation": ("boutique", _relation),
    "saers": ("boutique", _saers),
}
