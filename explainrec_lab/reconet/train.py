"""How a RecoNet is trained in this course: the settings' optimisation, on the settings' device.

The loop itself is `training.fit`; the examples are §4.2's (`data`); the loss is §4.1's.
"""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from explainrec_lab import training, weights
from explainrec_lab.data.contracts import Interactions, check_least
from explainrec_lab.data.store import digest
from explainrec_lab.reconet.data import Examples, FeatureSpace, RemovedItems
from explainrec_lab.reconet.model import RecoNet
from explainrec_lab.settings import RecoNet as Settings
from explainrec_lab.settings import fabric

# Part of the cache's key: raise it when the same settings give another model.
RECIPE_VERSION = 1
# Items up to which the softmax is over all: 1,024 users x 2**20 items are 4 GB of activations, and
# with gradients and copies five times that. Above, `train` draws so many negatives a batch, and
# says so.
MOST_ITEMS, NEGATIVES = 2**20, 2**14


def cross_entropy(model: nn.Module, examples: Examples) -> Float[Tensor, " target"]:
    """-log p of each target, where the silenced items take no part in the softmax.

    Source: RecoNet, §4.1.
    """
    y = model(examples.inputs)
    silenced, targets = examples.silenced, examples.targets
    y = y.index_put((silenced.owners, silenced.ids), y.new_tensor(-float("inf")))
    return y.logsumexp(dim=1)[targets.owners] - y[targets.owners, targets.ids]


def sampled_cross_entropy(
    model: RecoNet, examples: Examples, negatives: int = NEGATIVES, seed: int = 0
) -> Float[Tensor, " target"]:
    """`cross_entropy` over the targets of a batch and some other items, the same for all its users.

    The others are drawn uniformly, and each stands for as many as were left out: log of that number
    is added to its activation (the "log Q correction"). So the sum below the fraction is right on
    average, and exact when all items are drawn. Its logarithm is a little low on average, the less
    the more negatives. A process draws for the targets of its own share.

    Args:
        negatives: items drawn, repeats and targets among them. seed: with the targets, of the draw.
    """
    silenced, targets, n_items = examples.silenced, examples.targets, model.space.n_items
    rng = torch.Generator().manual_seed(seed + int(targets.ids.sum()))
    some = torch.randint(n_items, (negatives,), generator=rng)
    drawn = (some if negatives < n_items else torch.arange(n_items)).to(targets.ids.device)
    items = torch.cat([targets.ids, drawn]).unique()
    own = torch.isin(items, targets.ids)
    left_out = (n_items - own.sum()) / (~own).sum().clamp(min=1)
    y = model(examples.inputs, items) + torch.where(own, 0.0, left_out.log())
    place = torch.searchsorted(items, silenced.ids).clamp(max=len(items) - 1)
    there = items[place] == silenced.ids
    y = y.index_put((silenced.owners[there], place[there]), y.new_tensor(-float("inf")))
    asked = y[targets.owners, torch.searchsorted(items, targets.ids)]
    return y.logsumexp(dim=1)[targets.owners] - asked


def train(
    model: RecoNet,
    examples: Callable[[int], Iterable[Examples]],
    settings: Settings,
    negatives: int | None = None,
    **more: Any,
) -> training.History:
    """Train `model` in place with these settings, and bring it back to the CPU.

    Args:
        examples: epoch -> batches, such as `RemovedItems` or `SingleLabel`.
        negatives: of `sampled_cross_entropy`; 0 for the softmax over all items. By default that is
            so up to `MOST_ITEMS`; above, a warning says that it is sampled.
        more: `after_epoch` and `checkpoint` of `training.fit`.
    """
    losses: Any = cross_entropy
    if negatives is None and (n_items := model.space.n_items) > MOST_ITEMS:
        negatives, told = NEGATIVES, f"{n_items:,} items: the softmax is over the targets and"
        warnings.warn(f"{told} {NEGATIVES:,} drawn items; negatives=0 takes all", stacklevel=2)
    if negatives:
        check_least(negatives=negatives)
        losses = partial(sampled_cross_entropy, negatives=negatives)
    return training.fit(model, examples, losses, settings.optimisation(), fabric=fabric(), **more)


def trained(
    interactions: Interactions,
    space: FeatureSpace,
    settings: Settings,
    *,
    hidden: int | None = None,
    seed: int = 0,
) -> RecoNet:
    """The chapter's model, trained on the first call and read from the cache from then on.

    Its examples are `RemovedItems`: half of each history at a time.

    Args:
        interactions: what to learn from. space: the features that the model may see.
        hidden: units of an extra layer, as in `RecoNet`.
    """
    model = RecoNet(space, settings.d, hidden, seed)
    examples = RemovedItems(interactions, space, batch_size=settings.batch_size, seed=seed)
    seen = (interactions.matrix, interactions.user_features.matrix, space.item_features.matrix)
    asked = {"version": RECIPE_VERSION, "seed": seed, "hidden": hidden, "seen": digest(*seen)}
    learn = partial(training.timed, lambda: train(model, examples, settings))
    weights.trained(model, "reconet", asked | asdict(settings), lambda: learn()[1])
    return model.eval()
