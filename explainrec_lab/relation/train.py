"""Training end to end, and the weights that it starts from.

The paper prints 1 + log(1 + e^(d - q)) for an unrelated pair, where log(1 - P) is meant; here the
loss is minus the log-likelihood of related pairs R and as many sampled unrelated pairs S:

    loss = sum over R of log(1 + e^(d - q)) + sum over S of log(1 + e^(q - d)).

The paper starts from a network that has learned to classify ImageNet; a laptop cannot. Here the
network first learns to name what is on the pictures of *another* boutique (`vision.naming`). With
`end_to_end=False` the network stays as it is then, and only the feature layer, M(u) and q are
learned: the model that the paper compares itself with (McAuley et al., 2015).

Source: LRP for explainable recommendations, §2.2 (the objective, end to end, Adam) and §3.2
("we use the pre-trained model to only initialize the weights").
"""

from dataclasses import asdict, replace
from typing import Any
from zlib import crc32

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from explainrec_lab import weights
from explainrec_lab.data.contracts import Dataset, Images, check_choice, present
from explainrec_lab.relation.data import N_KINDS, Batch, Batches, Part, Split
from explainrec_lab.relation.model import Projection, RelationModel, Shares, squared_distances
from explainrec_lab.settings import Relation, fabric
from explainrec_lab.training import History, Optimisation, fit, summed, timed
from explainrec_lab.vision import naming
from explainrec_lab.vision.backbone import flat_vectors, held
from explainrec_lab.vision.homogeneous import folded, has_additive_terms

# Part of the recipe: raise it when the same settings give another model.
RECIPE_VERSION = 4
# Items sampled for each batch, with which its items are unrelated unless a relation says otherwise;
# of fewer items, all.
OTHERS = 256

# --------------------------------------------------------------------------- the loss


def loss(
    related: Float[Tensor, "*r"], unrelated: Float[Tensor, "*s"]
) -> tuple[Float[Tensor, "*r"], Float[Tensor, "*s"]]:
    """Losses of pairs in R and in S from their logits q - d: minus their log-likelihoods.

    -log sigma(q - d) = log(1 + e^(d - q)), and -log(1 - sigma(q - d)) = log(1 + e^(q - d)).

    Source: §2.2, with the signs that the likelihood asks for.
    """
    return F.softplus(-related), F.softplus(unrelated)


class BatchLoss:
    """(model, batch) -> the loss of each relation, with the share of S that goes with it.

    Keeps the feature vector of every training item from the last batch that it was in (cross-batch
    memory: Wang et al., CVPR 2020). Instead of one unrelated pair for each related one, the loss
    takes |R| times the mean over all unrelated pairs of the batch with `OTHERS` sampled items: what
    |S| = |R| gives on average, with less noise.

    Args:
        n_items: how many training items there are.
    """

    def __init__(self, n_items: int, seed: int = 0) -> None:
        self.n_items = n_items
        self.memory: Tensor | None = None
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, model: Any, batch: Batch) -> Float[Tensor, " pair"]:
        """Of a process that has some of the pictures: its share of each loss."""
        known = batch.pictures.dtype != torch.uint8  # flat vectors already
        x = model.head(batch.pictures if known else flat_vectors(model.network, batch.pictures))
        with torch.autocast(x.device.type, enabled=False):  # small distances of large vectors
            return self._losses(model, batch, x.to(model.q.dtype))

    def _losses(self, model: Any, batch: Batch, x: Float[Tensor, "own D"]) -> Tensor:
        x_all = self._remember(batch, x.detach())
        cells, cell = batch.cell.unique(return_inverse=True)
        users, kinds = cells // N_KINDS, cells % N_KINDS
        factor, q = model.metric.factor(users, kinds), model.q[kinds]
        z, z_all = x @ factor, x_all @ factor  # [cell, item, r]
        place = torch.full_like(batch.items, -1)
        place[batch.mine] = torch.arange(len(x), device=x.device)
        here = (place[batch.inside] >= 0).nonzero()[:, 0]
        at, other = cell[here], batch.other[here]
        d = (z[at, place[batch.inside[here]]] - z_all[at, other]).square().sum(-1)
        others = self._sample().to(z.device)
        apart = squared_distances(z, z_all[:, others])
        losses, of_others = loss(q[at] - d, q[:, None, None] - apart)
        unrelated = self._unrelated(batch, cell, len(cells), others)
        mean = (of_others * unrelated[:, batch.mine]).sum((1, 2))
        mean = mean / unrelated.sum((1, 2)).clamp(min=1)
        return mean[cell].index_add(0, here, losses) * self.known[batch.other]

    def state_dict(self) -> dict[str, Any]:
        """What it remembers, for a checkpoint."""
        return {"memory": self.memory, "known": self.known, "drawn": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember what was kept."""
        self.memory, self.known = state["memory"], state["known"]
        self._generator.set_state(state["drawn"])

    def _remember(self, batch: Batch, x: Tensor) -> Float[Tensor, "item D"]:
        """All feature vectors, those of this batch as new, of whatever process; zero where not
        known yet."""
        if self.memory is None:
            self.memory = x.new_zeros(self.n_items, x.shape[1])
            self.known = torch.zeros(self.n_items, dtype=torch.bool)
        new = summed(x.new_zeros(len(batch.items), x.shape[1]).index_copy(0, batch.mine, x))
        self.memory = self.memory.to(x.device).index_copy(0, batch.items, new)
        self.known = self.known.to(x.device)
        self.known[batch.items] = True
        return self.memory

    def _sample(self) -> Int[Tensor, " other"]:
        if self.n_items <= OTHERS:
            return torch.arange(self.n_items)
        return torch.randint(self.n_items, (OTHERS,), generator=self._generator)

    def _unrelated(self, batch: Batch, cell: Tensor, n_cells: int, others: Tensor) -> Tensor:
        """Which pairs of the batch's items and `others` belong to S: `[cell, item, other]`."""
        shape = (n_cells, len(batch.items), self.n_items)
        recorded = torch.zeros(shape, dtype=torch.bool, device=others.device)
        recorded[cell, batch.inside, batch.other] = True
        place = torch.full((self.n_items,), -1, device=others.device)
        place[batch.items] = torch.arange(len(batch.items), device=others.device)
        back = place[batch.other] >= 0  # both ends are inside: d is symmetric, so mark both ways
        ends = place[batch.other[back]], batch.items[batch.inside[back]]
        recorded[cell[back], *ends] = True
        itself = batch.items[:, None] == others
        return self.known[others] & ~itself & ~recorded[:, :, others]


# --------------------------------------------------------------------------- training


def train(
    model: RelationModel,
    part: Part,
    images: Images | Tensor,
    settings: Relation,
    seed: int = 0,
    losses: BatchLoss | None = None,
    **more: Any,
) -> History:
    """Fit in place by Adam, on the device of the settings in force; then back to the CPU.

    Args:
        part: the training part of a split.
        images: pictures by item id, or the `fixed_features` of all of them.
        losses: another loss than `BatchLoss`.
        more: `after_epoch` and `checkpoint` of `training.fit`.
    """
    model.network.requires_grad_(settings.end_to_end and not isinstance(images, Tensor))
    if not (isinstance(images, Tensor) or settings.end_to_end):
        images = fixed_features(model, images)
    decay, rate = {"metric.personal": settings.shrinkage}, {"network": settings.network_rate}
    how = Optimisation(settings.epochs, settings.learning_rate, own_decay=decay, own_rate=rate)
    batches = Batches(part, images, settings.batch_size, seed=seed)
    losses = losses or BatchLoss(len(part.items), seed=seed)
    return fit(model, batches, losses, how, fabric=fabric(), **more)


@torch.no_grad()
def fixed_features(model: RelationModel, images: Images) -> Float[Tensor, "item size"]:
    """Flat vectors of all pictures by the network as it is. Source: §3.2, McAuley et al. (2015)."""
    model.eval()
    some = (torch.as_tensor(images[n : n + 256]) for n in range(0, len(images), 256))
    return torch.cat([flat_vectors(model.network, each.to(model.q.device)) for each in some])


def trained(
    settings: Relation, shop: Dataset, split: Split, seed: int = 0, *, shuffled: bool = False
) -> RelationModel:
    """A trained model, folded into plain layers: trained once, and read from a file from then on.

    Args:
        seed: of the weights and of the order of training.
        shuffled: learn from relations whose targets were exchanged at random, a check that
            explanations depend on what was learned.

    Raises:
        ValueError: a shop without pictures or relations.
    """
    images = present(f"pictures of {shop.name!r}", shop.catalogue.images)
    recorded = present(f"relations of {shop.name!r}", shop.relations)
    part = split.train
    if shuffled:
        order = np.random.default_rng([seed, 4]).permutation(len(part.relations))
        part = replace(part, relations=replace(part.relations, target=part.relations.target[order]))
    model = folded(untrained(settings, recorded.n_groups, seed))

    def learn() -> float:
        begun = pretrained(settings, recorded.n_groups, seed)
        held(images)  # drawing is not training, if they fit
        _, seconds = timed(lambda: train(begun, part, images, settings, seed))
        model.load_state_dict(folded(begun).state_dict())
        return begun.seconds + seconds

    chosen = recipe(settings, part, images, seed, model.network.origin)
    model.seconds = weights.trained(model, "relation", chosen, learn)
    return model.eval()


def recipe(
    settings: Relation, part: Part, images: Images, seed: int = 0, origin: str = "scratch"
) -> dict[str, Any]:
    """What the weights depend on: settings, training relations and items, and how it is drawn."""
    columns = [getattr(part.relations, name) for name in ("group", "source", "target", "kind")]
    learned = (*columns, part.items, images[part.items[:1]])
    chosen = {name: value for name, value in asdict(settings).items() if name != "name"}
    chosen["network"] = naming.recipe(settings.network, seed, origin)
    digest = [crc32(np.ascontiguousarray(each).data) for each in learned]
    return {"version": RECIPE_VERSION, "seed": seed, "data": digest, **chosen}


# --------------------------------------------------------------------------- what it starts from


def untrained(settings: Relation, n_users: int, seed: int = 0) -> RelationModel:
    """The model of some settings with random weights, or ImageNet's if they ask for them."""
    return _upon(naming.untrained(settings.network, seed), settings, n_users, seed)


def pretrained(settings: Relation, n_users: int, seed: int = 0) -> RelationModel:
    """The model as training on relations finds it: under `start="named"`, able to name."""
    begin = naming.trained if settings.start == "named" else naming.untrained
    return _upon(begin(settings.network, seed), settings, n_users, seed)


def _upon(begun: naming.Naming, settings: Relation, n_users: int, seed: int) -> RelationModel:
    """The relation model on a network that names, or will. Raises ValueError for other features."""
    network = begun.network
    head: Shares | Projection = Shares(begun)
    check_choice("features", settings.features, ("classes", "projection"))
    if settings.features == "projection":
        head = Projection(network.size, settings.D, has_additive_terms(network), seed)
    form: dict[str, Any] = {"metric": settings.metric, "rank": settings.rank, "seed": seed}
    model = RelationModel(network, head, n_users, **form)
    model.seconds = begun.seconds
    return model
