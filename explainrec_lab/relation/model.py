"""The relation model: two pictures, a user and a kind of relation in; the logit q - d out.

A distance d for each user and kind: M(u) = L L^T, whatever L is. Such a product is positive
semi-definite, so no distance is negative. L is the sum of a shared factor, one a kind, and a
personal one, one a user and kind. A user that training never saw, `NEW_USER`, has the shared factor
and the mean of the personal ones.

At the end, `recommend`: the items of a category that are most probably related to a query (§3.4,
Eq. 5). For one user and kind, q is a constant and sigma rises, so that the most probable item is
the nearest one in z = x L. All queries of a user and kind are one matrix product.

Source: LRP for explainable recommendations, §2.1 (Eq. 1 and 2) and §2.2. The difference of the
two feature vectors and the squared length are marked for `lrp`, so that relevance passes through
them to both pictures. Not here: the loss and training (`train.py`).
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import sparse
from torch import Tensor, nn

from explainrec_boutique.vocabulary import RELATION_KINDS
from explainrec_lab.data.contracts import Images, check_choice, check_ids, check_least, require
from explainrec_lab.evaluate.ranking import top_k
from explainrec_lab.lrp import difference, homogeneous
from explainrec_lab.relation.data import Features, Pairs, Pictures, Values
from explainrec_lab.vision.backbone import Backbone, pixels
from explainrec_lab.vision.homogeneous import ScaleNorm
from explainrec_lab.vision.naming import Naming, above_mean

Ids = int | Sequence[int] | Tensor | np.ndarray
Kinds = Ids | str

SCALE = 3.0  # a feature that is sure of its class
BATCH = 256  # pictures that pass the network together

# --------------------------------------------------------------------------- the distance

# The user to name for somebody that training never saw: she has the average factor.
NEW_USER = -1

METRICS = ("full", "low rank", "diagonal")


@homogeneous(1)
def placed(x: Float[Tensor, "pair D"], factor: Tensor) -> Float[Tensor, "pair r"]:
    """z = x L, L being one for all pairs, `[D, r]`, or one a pair: a weight that takes no rule."""
    return torch.matmul(x[:, None], factor)[:, 0]


@homogeneous(2)
def squared_length(delta: Float[Tensor, "pair D"], factor: Tensor) -> Float[Tensor, " pair"]:
    """|delta L|^2 = delta M delta^T."""
    return placed(delta, factor).square().sum(-1)


class _UserMetric(nn.Module):
    """L(u, kind) = shared(kind) + personal(u, kind).

    Args:
        dimensions: D, the length of a feature vector.
        n_users: how many of them.
        metric: 'full' (L is D x D), 'low rank' (D x rank) or 'diagonal'.
        rank: columns of L under 'low rank'.
        seed: of the initialisation.

    Raises:
        ValueError: an unknown metric, or dimensions, a rank or counts below 1.
    """

    def __init__(self, dimensions: int, n_users: int, metric: str, rank: int, seed: int) -> None:
        super().__init__()
        check_least(dimensions=dimensions, n_users=n_users, rank=rank)
        check_choice("metric", metric, METRICS)
        self.metric, D = metric, dimensions
        L = {"full": (D, D), "low rank": (D, rank), "diagonal": (1, D)}[metric]
        shape, scale = (len(RELATION_KINDS), *L), math.sqrt(2 / math.prod(L))
        generator = torch.Generator().manual_seed(seed)
        self.shared = nn.Parameter(torch.randn(shape, generator=generator) * scale)
        personal = torch.randn(n_users, *shape, generator=generator) * scale
        self.personal = nn.Parameter(0.3 * personal)

    def factor(self, user: Int[Tensor, " n"], kind: Int[Tensor, " n"]) -> Float[Tensor, "n D r"]:
        """L of each (user, kind)."""
        own = self.personal[user.clamp(min=0), kind]
        new = user == NEW_USER
        if bool(new.any()):
            own = torch.where(new[:, None, None], self.personal.mean(dim=0)[kind], own)
        L = self.shared[kind] + own
        return L.squeeze(1).diag_embed() if self.metric == "diagonal" else L


def squared_distances(
    a: Float[Tensor, "*n i r"], b: Float[Tensor, "*n j r"]
) -> Float[Tensor, "*n i j"]:
    """|a|^2 + |b|^2 - 2 a.b for all pairs, by one matrix product; never below zero."""
    lengths = a.square().sum(-1)[..., :, None] + b.square().sum(-1)[..., None, :]
    return (lengths - 2 * a @ b.transpose(-1, -2)).clamp(min=0)


# --------------------------------------------------------------------------- the features


class Projection(nn.Sequential):
    """Flat vectors -> x of length D, as in the paper: linear, normalised, never below zero.

    On a network without additive terms it has none either.
    """

    def __init__(self, size: int, D: int, additive: bool = True, seed: int = 0) -> None:
        linear = nn.Linear(size, D, bias=additive)
        generator = torch.Generator().manual_seed(seed)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu", generator=generator)
        if additive:
            nn.init.zeros_(linear.bias)
        norm = nn.BatchNorm1d(D, affine=False) if additive else ScaleNorm(D)
        super().__init__(linear, norm, nn.ReLU())
        self.dimensions = D


class Shares(nn.Module):
    """Flat vectors -> x whose units are the named classes of `naming`: how sure it is of each.

    The score of a class above the mean of its question's classes, cut at zero and squared, is its
    evidence; its share is the evidence over that of all answers, 'does not apply' among them. So a
    unit has a name, and relevance passes through it: there is no softmax, and nothing is added.
    Ours.
    """

    def __init__(self, naming: Naming) -> None:
        super().__init__()
        self.scores, self.questions = naming.head, naming.questions
        self.dimensions = sum(naming.n_classes)

    def forward(self, flat: Float[Tensor, "item size"]) -> Float[Tensor, "item D"]:
        scores = self.scores(flat).split([each.size for each in self.questions], dim=1)
        own = zip(scores, self.questions, strict=True)
        return torch.cat([self.shares(each, len(q.classes)) for each, q in own], dim=1)

    @staticmethod
    def shares(scores: Float[Tensor, "item answer"], classes: int) -> Float[Tensor, "item class"]:
        """`SCALE` times the share of each of the first `classes` answers of one question."""
        evidence = above_mean(scores, classes).relu().square()
        return SCALE * (evidence / (evidence.sum(dim=1, keepdim=True) + 1e-6))[:, :classes]


# --------------------------------------------------------------------------- the model


class RelationModel(nn.Module):
    """logit = q(kind) - d_u(x_i, x_j), with x the D features of a picture.

    Args:
        network: pictures -> flat vectors.
        head: flat vectors -> x, a `Projection` or `Shares`.
        n_users: users, or groups of them, with a metric of their own.
        metric, rank: form of M(u), see `_UserMetric`.
        seed: of the metric.

    Attributes:
        q: `[kind]`, the learned thresholds.
        dimensions: D.
        seconds: CPU seconds that its training took, also where it was read from a file.
    """

    def __init__(
        self,
        network: Backbone,
        head: Projection | Shares,
        n_users: int,
        *,
        metric: str = "low rank",
        rank: int = 24,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.network, self.head = network, head
        self.dimensions, self.n_users = head.dimensions, n_users
        self.metric = _UserMetric(head.dimensions, n_users, metric, rank, seed)
        self.q = nn.Parameter(torch.full((len(RELATION_KINDS),), 4.0))
        self.seconds = 0.0

    def features(self, images: Float[Tensor, "item 3 height width"]) -> Float[Tensor, "item D"]:
        """x of each picture.

        Raises:
            ValueError: pictures that are not `[item, 3, height, width]`, or not floats.
        """
        check_pictures(images=images)
        return self.head(self.network(images))

    def both(self, images_i: Tensor, images_j: Tensor) -> tuple[Tensor, ...]:
        """x of both pictures of each pair, by one call of the network."""
        return self.features(torch.cat([images_i, images_j])).chunk(2)

    def distance(self, x_i: Features, x_j: Features, user: Ids, kind: Kinds) -> Values:
        """d_u = (x_i - x_j) M(u) (x_i - x_j)^T. Source: §2.1, Eq. 1.

        Args:
            user: one for all pairs or one a pair; `NEW_USER` has the average factor.
            kind: position in `RELATION_KINDS` or its name, one for all pairs or one a pair.

        Raises:
            ValueError: an unknown user or kind, or features of different shapes.
        """
        told = f"x_i and x_j: shapes {tuple(x_i.shape)} and {tuple(x_j.shape)}"
        require(x_i.shape == x_j.shape and x_i.ndim == 2, told)
        return squared_length(difference(x_i, x_j), self.factor(user, kind, len(x_i)))

    def forward(self, images_i: Pictures, images_j: Pictures, user: Ids, kind: Kinds) -> Values:
        """The logit q - d: above zero, the pair is probably related."""
        check_pictures(images_i=images_i, images_j=images_j)
        x_i, x_j = self.both(images_i, images_j)
        return self.logit(x_i, x_j, user, kind)

    def logit(self, x_i: Features, x_j: Features, user: Ids, kind: Kinds) -> Values:
        """q - d from the features."""
        return self.q[self.kinds(kind)] - self.distance(x_i, x_j, user, kind)

    def probability(self, i: Pictures, j: Pictures, user: Ids, kind: Kinds) -> Values:
        """P_u(related) = sigma(q - d). Source: §2.1, Eq. 2."""
        return self(i, j, user, kind).sigmoid()

    def M(self, user: int, kind: int | str) -> Float[Tensor, "D D"]:
        """M(u) = L L^T of one user and kind; `NEW_USER` gives that of the average factor."""
        L = self.factor(user, kind, 1)
        return L @ L.T

    def factor(self, user: Ids, kind: Kinds, pairs: int) -> Float[Tensor, "*pair D r"]:
        """L: one for all pairs where they agree on user and kind, else one a pair."""
        users, kinds = self.users(user), self.kinds(kind)
        for name, ids in (("user", users), ("kind", kinds)):
            fits = ids.numel() == 1 or len(ids) == pairs
            require(fits, f"{name}: {ids.numel()} of them for {pairs} pairs")
        if users.numel() == kinds.numel() == 1:
            return self.metric.factor(users.reshape(1), kinds.reshape(1))[0]
        return self.metric.factor(users.expand(pairs), kinds.expand(pairs))

    def users(self, user: Ids) -> Tensor:
        """Users as a tensor. Raises ValueError for one that the model never met."""
        users = torch.as_tensor(user, device=self.q.device)
        _check_codes("user", users, NEW_USER, self.n_users, "NEW_USER (-1) has the average factor")
        return users

    def kinds(self, kind: Kinds) -> Tensor:
        """Kinds as a tensor of positions. Raises ValueError for an unknown one."""
        if isinstance(kind, str):
            check_choice("kind", kind, RELATION_KINDS)
            kind = RELATION_KINDS.index(kind)
        kinds = torch.as_tensor(kind, device=self.q.device)
        _check_codes("kind", kinds, 0, len(RELATION_KINDS), ", ".join(RELATION_KINDS))
        return kinds


def _check_codes(name: str, codes: Tensor, low: int, count: int, hint: str) -> None:
    """Raise a ValueError that names the first code outside low..count-1."""
    whole = not codes.is_floating_point() and codes.dtype != torch.bool
    require(whole, f"{name}: must be whole numbers, got {codes.dtype}")
    bad = codes[(codes < low) | (codes >= count)]
    if bad.numel():
        raise ValueError(f"{name}: {int(bad.flatten()[0])} is not in 0..{count - 1} ({hint})")


def check_pictures(**images: Tensor) -> None:
    """Raise a ValueError unless these are floating-point pictures, all of one shape."""
    for name, tensor in images.items():
        if tensor.ndim != 4 or tensor.shape[1] != 3:
            raise ValueError(f"{name}: shape {tuple(tensor.shape)}; needs [item, 3, height, width]")
        if not tensor.is_floating_point():
            raise ValueError(f"{name}: dtype {tensor.dtype}; needs floats in 0..1, see pixels()")
    shapes = [str(tuple(tensor.shape)) for tensor in images.values()]
    require(len({*shapes}) <= 1, f"{', '.join(images)}: different shapes {', '.join(shapes)}")


@torch.no_grad()
def features_of(model: RelationModel, images: Images, items: np.ndarray) -> Float[Tensor, "item D"]:
    """x of some items, `BATCH` pictures at a time; the model must be in eval mode."""
    require(not model.training, "model: it is in training mode; call model.eval() first")
    parts = (items[start : start + BATCH] for start in range(0, len(items), BATCH))
    x = [model.features(pixels(images[ids]).to(model.q.device)) for ids in parts]
    return torch.cat(x) if x else torch.zeros(0, model.dimensions, device=model.q.device)


@torch.no_grad()
def logits_of(model: RelationModel, images: Images, pairs: Pairs) -> Float[np.ndarray, " pair"]:
    """q - d of each pair; every picture goes through the network once."""
    items, place = np.unique(np.stack([pairs.source, pairs.target]), return_inverse=True)
    x = features_of(model, images, items)
    i, j = torch.from_numpy(place.reshape(2, -1)).to(x.device)
    user, kind = (torch.from_numpy(column).to(x.device) for column in (pairs.user, pairs.kind))
    chunks = torch.arange(len(pairs), device=x.device).split(4096)
    logits = [model.logit(x[i[r]], x[j[r]], user[r], kind[r]) for r in chunks]
    return torch.cat(logits).cpu().numpy()


def mean_features(
    model: RelationModel, images: Images, items: Int[np.ndarray, " item"], group: np.ndarray
) -> Float[Tensor, "group D"]:
    """The mean feature vector of each group of items, in the order of the groups' names.

    Args:
        items: ids; training items, so that tested ones stay unseen.
        group: `[item]`, what kind each of them is: a category, say.

    Raises:
        ValueError: no items, or not one group an item.
    """
    if len(items) != len(group) or not len(items):
        raise ValueError(f"group: {len(group)} for {len(items)} items; needs one each, and items")
    x = features_of(model, images, items)
    each = (torch.from_numpy(np.asarray(group) == name).to(x.device) for name in np.unique(group))
    return torch.stack([x[members].mean(dim=0) for members in each])


# --------------------------------------------------------------------------- the best partners


@torch.no_grad()
def recommend(
    model: RelationModel,
    x: Features,
    query: Ids,
    user: int,
    kind: int | str,
    candidates: Ids,
    k: int = 10,
) -> tuple[Int[Tensor, "*query k"], Float[Tensor, "*query k"]]:
    """The k candidates that are most probably related to each query item, best first; ties by lot
    (`evaluate.ranking.top_k`).

    A user without a history is `NEW_USER`. A k beyond the candidates that are left is refused.

    Args:
        x: features of all items, `[item, D]` (`features_of`).
        query: one item id, or many. A query never recommends itself.
        user: one for all queries; `NEW_USER` has the average metric.
        candidates: item ids of a category, each once.
        k: at most the number of candidates, less one where a query is among them.

    Returns:
        Item ids and probabilities: `[k]` for one query, `[query, k]` for many.

    Raises:
        ValueError: an empty category, an unknown item, user or kind, a candidate given twice,
            features that are not finite, or k outside 1..candidates left.

    Source: §3.4, Eq. 5.
    """
    shape = torch.as_tensor(query).shape
    queries = _checked("query", query, x).reshape(-1)
    candidates = _checked("candidates", candidates, x)
    require(len(candidates), "candidates: the category is empty")
    once = len(candidates.unique()) == len(candidates)
    require(once, "candidates: some item stands there twice; give each once")
    factor = model.factor(user, kind, 1)
    d = squared_distances(x[queries] @ factor, x[candidates] @ factor)
    place = top_k(-d, k, sparse.csr_array((candidates == queries[:, None]).cpu().numpy()))
    logit = model.q[model.kinds(kind)] - d.gather(1, place)
    return candidates[place].reshape(*shape, k), logit.sigmoid().reshape(*shape, k)


def _checked(name: str, ids: Ids, x: Tensor) -> Int[Tensor, "*n"]:
    """Known items whose features are finite."""
    items = check_ids(name, torch.as_tensor(ids).cpu().numpy(), len(x), "item")
    found = torch.from_numpy(items).to(x.device)
    if len(broken := found[~x[found].isfinite().all(dim=-1)]):
        raise ValueError(f"x: the features of item {int(broken[0])} are not finite")
    return found
