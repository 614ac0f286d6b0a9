"""Every chapter's training in miniature, in this process or as a script of several.

    EXPLAINREC_DEVICES=2 python tests/learners.py OUT [CHECKPOINTS]

starts itself a second time, and each of the two writes the losses and weights that it has to
OUT.RANK; CHECKPOINTS is a folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from toys import shop

from explainrec_lab import reconet, relation, saers, weights
from explainrec_lab.data import Relations
from explainrec_lab.relation import RelationModel
from explainrec_lab.relation.model import Projection
from explainrec_lab.saers.regions import Extracted
from explainrec_lab.settings import RecoNet, Relation, fabric
from explainrec_lab.training import History
from explainrec_lab.vision import backbone

# Two batches an epoch: fifty steps.
EPOCHS = 25
SIZES = RecoNet("toy", 4, EPOCHS, 7, 0.02, 0.01)
PICTURES = Relation("toy", 30, 200, 16, EPOCHS, learning_rate=0.002, batch_size=9)

Learned = tuple[nn.Module, History]


def of_reconet(attributes: bool, **how: Any) -> Learned:
    data = shop(1, users=13)
    events = data.interactions if attributes else data.interactions.without_features()
    space = reconet.FeatureSpace.of(data, events)
    model = reconet.RecoNet(space, SIZES.d)
    examples = reconet.RemovedItems(events, space, batch_size=SIZES.batch_size)
    return model, reconet.train(model, examples, SIZES, **how)


def of_relation(end_to_end: bool, **how: Any) -> Learned:
    """Through a network and a norm that looks at the whole batch; nine pictures a batch."""
    rng = np.random.default_rng(0)
    source, target = rng.permuted(np.tile(np.arange(30), (200, 1)), axis=1)[:, :2].T
    group, kind = rng.integers(2, size=200), rng.integers(4, size=200)
    part = relation.split(Relations(group, source, target, kind, 30, 2), 0, (0.6, 0.2, 0.2)).train
    network = backbone("compact", width=0.1, norm="weights", stride=8, grid=2)
    model = RelationModel(network, Projection(network.size, 5, additive=False), 2, rank=2)
    images = rng.integers(256, size=(30, 3, 16, 16), dtype=np.uint8)
    sizes = Relation(**{**vars(PICTURES), "end_to_end": end_to_end})
    return model, relation.train(model, part, images, sizes, **how)


def of_saers(**how: Any) -> Learned:
    events = shop(2, users=13).interactions.without_features()
    rng = np.random.default_rng(3)
    applies = rng.random((events.n_items, 3)) < 0.8
    features = rng.normal(size=(*applies.shape, 6)).astype("f4") * applies[..., None]
    boxes, whole = np.zeros((*applies.shape, 4), int), rng.normal(size=(len(applies), 5))
    found = Extracted(features, applies, boxes, boxes[..., 0], whole.astype("f4"))
    model, size = saers.saers(events.n_users, found, 4), (events.matrix.nnz + 1) // 2
    size = {"epochs": EPOCHS, "batch_size": size, "learning_rate": 0.02, "regularizer": 1e-3}
    return model, saers.train(model, events, **size, **how)


LEARNERS: dict[str, Callable[..., Learned]] = {
    "reconet, attributes": lambda **how: of_reconet(True, **how),
    "reconet": lambda **how: of_reconet(False, **how),
    "relation, end to end": lambda **how: of_relation(True, **how),
    "relation, frozen": lambda **how: of_relation(False, **how),
    "saers": of_saers,
}


def learned(checkpoints: Path | None = None) -> dict[str, dict[str, Any]]:
    """The losses of every epoch, and the weights, of each."""
    found = {}
    for name, learner in LEARNERS.items():
        file = None if checkpoints is None else checkpoints / f"{name}.checkpoint"
        model, history = learner(checkpoint=file)
        found[name] = {"loss": history.loss, "weights": model.state_dict()}
    return found


def kept_once() -> dict[str, Tensor]:
    """A network that the first process alone looks for, and that all train."""
    model = nn.Linear(1, 1)
    with torch.no_grad():
        model.weight.fill_(float(fabric().global_rank))  # unlike from process to process

    def learn() -> float:
        # would wait for ever if one process trained alone
        both = fabric().all_reduce(model.weight.detach() + 1, reduce_op="sum")
        model.load_state_dict({"weight": both, "bias": torch.zeros(1)})
        return 1.0

    weights.trained(model, "toy", {"toy": 1}, learn)
    return model.state_dict()


if __name__ == "__main__":
    print("process", os.getpid(), flush=True)  # whom to kill
    everything = learned(*map(Path, sys.argv[2:3])) | {"kept": kept_once()}
    here = fabric()
    torch.save(everything | {"processes": here.world_size}, f"{sys.argv[1]}.{here.global_rank}")
