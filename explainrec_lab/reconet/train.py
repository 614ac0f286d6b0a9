"""How a RecoNet is trained in this course: the settings' optimisation, on the settings' device.

The loop itself is `training.fit`; the examples are §4.2's (`data`); the loss is §4.1's.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from explainrec_lab import training, weights
from explainrec_lab.data.contracts import Interactions
from explainrec_lab.data.store import digest
from explainrec_lab.reconet.data import Examples, FeatureSpace, RemovedItems
from explainrec_lab.reconet.model import RecoNet
from explainrec_lab.settings import RecoNet as Settings
from explainrec_lab.settings import fabric

# Part of the cache's key: raise it when the same settings give another model.
RECIPE_VERSION = 1


def cross_entropy(model: nn.Module, examples: Examples) -> Float[Tensor, " target"]:
    """-log p of each target, where the silenced items take no part in the softmax.

    Source: RecoNet, §4.1.
    """
    y = model(examples.inputs)
    silenced, targets = examples.silenced, examples.targets
    y = y.index_put((silenced.owners, silenced.ids), y.new_tensor(-float("inf")))
    return y.logsumexp(dim=1)[targets.owners] - y[targets.owners, targets.ids]


def train(
    model: RecoNet,
    examples: Callable[[int], Iterable[Examples]],
    settings: Settings,
    **more: Any,
) -> training.History:
    """Train `model` in place with these settings, and bring it back to the CPU.

    Args:
        examples: epoch -> batches, such as `RemovedItems` or `SingleLabel`.
        more: `after_epoch` and `checkpoint` of `training.fit`.
    """
    how, here = settings.optimisation(), fabric()
    return training.fit(model, examples, cross_entropy, how, fabric=here, **more)


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
