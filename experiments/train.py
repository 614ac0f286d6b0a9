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

import logging
import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_model

from experiments.reconet import likes, masks, space_of
from experiments.relation import shop_of
from experiments.saers import TUNED, make, shop_with
from explainrec_lab import data, reconet, relation, saers
from explainrec_lab.data.contracts import check_least, present
from explainrec_lab.data.store import cache_dir, whole_file
from explainrec_lab.evaluate.ranking import contests, mean_recall, sampled_auc
from explainrec_lab.settings import fabric, settings

WISHES = ("settings", "devices", "nodes", "precision")


def main(asked: Namespace) -> None:
    """Run one training."""
    check_least(**{"--threads": asked.threads, "--epochs": asked.epochs or 1})
    wishes = {f"EXPLAINREC_{name.upper()}": getattr(asked, name) for name in WISHES}
    os.environ |= {name: told for name, told in wishes.items() if told}
    torch.set_num_threads(asked.threads)
    first = fabric().is_global_zero  # from here on, all processes are there
    logging.basicConfig(level=logging.INFO if first else logging.WARNING, format="%(message)s")
    own, learn = CHAPTERS[asked.chapter]
    folder = Path(asked.checkpoint or cache_dir() / "runs")
    file = folder / f"{asked.chapter}-{asked.data or own}-{asked.seed}.checkpoint"
    sizes: Any = settings(asked.chapter)
    more = {"epochs": asked.epochs} if asked.epochs else {}
    steps = learn(asked.data or own, sizes, asked.seed, more, file)
    model = next(steps)
    if first:
        print(*next(steps))
        with whole_file(weights := file.with_suffix(".safetensors")) as part:
            save_model(model, str(part))
        print("weights written to", weights)


# ------------------- each: a trained model, then what its score on held-out data is, and the score


def _reconet(name: str, sizes: Any, seed: int, more: Any, checkpoint: Path) -> Iterator[Any]:
    parts = likes(seed, attributes=True, source=name)
    space = space_of(parts.train)
    model = reconet.RecoNet(space, sizes.d, seed=seed)
    examples = reconet.RemovedItems(parts.train, space, batch_size=sizes.batch_size, seed=seed)
    reconet.train(model, examples, replace(sizes, **more), checkpoint=checkpoint)
    yield model
    known = masks(("", ""), parts)[""]
    scores = model(space.profiles(parts.train)).detach()
    yield "recall@50 of held-out items", mean_recall(scores, 50, parts.test.matrix, known)[-1]


def _relation(name: str, sizes: Any, seed: int, more: Any, checkpoint: Path) -> Iterator[Any]:
    sizes = replace(sizes, **more)
    shop = shop_of(sizes) if name == "boutique" else data.load(name)
    recorded = present("relations", shop.relations)
    images = present("images", shop.catalogue.images)
    split = relation.split(recorded, seed)
    model = relation.pretrained(sizes, recorded.n_groups, seed)
    relation.train(model, split.train, images, sizes, seed, checkpoint=checkpoint)
    yield model
    pairs = relation.test_pairs(split.test, seed)
    right = (relation.logits_of(model, images, pairs) > 0) == pairs.related
    yield "accuracy on pairs of unseen items", right.mean()


def _saers(name: str, sizes: Any, seed: int, more: Any, checkpoint: Path) -> Iterator[Any]:
    own = {word: getattr(sizes, word) for word in ("items", "shoppers", "size")}
    dataset = data.load(name, **(own if name == "boutique" else {}))
    shop = shop_with(dataset, sizes, seed)
    model = make("SAERS, ours", shop, sizes.d, seed)
    how = TUNED["SAERS, ours"] | more
    saers.train(model, shop.parts.train, seed=seed, checkpoint=checkpoint, **how)
    yield model
    drawn = contests(shop.parts.test, dataset.interactions, seed=seed)
    yield "AUC of held-out purchases", sampled_auc(model.scores(), drawn).mean()


# chapter -> its usual data, and what trains it.
CHAPTERS: dict[str, tuple[str, Callable[..., Iterator[Any]]]] = {
    "reconet": ("completejourney", _reconet),
    "relation": ("boutique", _relation),
    "saers": ("boutique", _saers),
}
