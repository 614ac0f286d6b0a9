"""Fine-grained Preferences Attention: which attributes of an item a user goes by.

An item comes as twelve attribute features f_a^k, zeros where an attribute does not apply. Each is
brought to d dimensions by its own matrix E^k, weighted by the user's attention (Eq. 5), summed
(Eq. 6), and joined by f_g, a feature of the whole picture (Eq. 7). The score is the inner product
with the user (Eq. 8), learned from triples (Eq. 9).

Two things are ours. The paper's softmax runs over all twelve attributes, also over those that an
item lacks; ours over those that `applies` names (name all, and it is the paper's). And
`fusion="sum"` leaves attention out: the score is a plain sum over attributes, so that its terms
explain it. `explain.py` says why. An item without any attribute has only its whole picture.

At the end, `recommend`: the best items of each user that she has not bought yet (§4.1, top-N).

Source: SAERS, §3.2 and §3.3. Where features come from (`regions.py`) and how triples are drawn
(`train.py`) is elsewhere.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from explainrec_lab.baselines import visual
from explainrec_lab.data.contracts import Images, check_choice, check_least, require
from explainrec_lab.data.splits import Split
from explainrec_lab.evaluate.ranking import top_k_of
from explainrec_lab.saers.regions import BATCH, Extracted, spread
from explainrec_lab.vision.backbone import Backbone, flat_vectors

# Attribute features joined by Eq. 5 and 6, by Eq. 4, by a plain sum, or left out (SAERS - SAF).
FUSIONS = ("attention", "average", "sum", "none")

# Units of the attention's first layer.
HIDDEN = 16

# Users whose scores of all items are computed together: what they need fits in a cache.
USERS_AT_A_TIME = 16

# Pictures from which the scale of an untrained network's vectors is taken.
SAMPLE = 1024


# --------------------------------------------------------------------------- equations


def attention_weights(
    logits: Float[Tensor, "*n A"], applies: Bool[Tensor, "*n A"]
) -> Float[Tensor, "*n A"]:
    """alpha: the softmax of D(f(u), E^k f_a^k(i)) over attributes.

    Args:
        applies: the attributes that an item has; the others get exactly 0, and no
            attribute at all gives zeros.

    Source: SAERS, Eq. 5.
    """
    return logits.masked_fill(~applies, -torch.inf).softmax(dim=-1).masked_fill(~applies, 0.0)


def attended(
    alpha: Float[Tensor, "*n A"], transferred: Float[Tensor, "*n A d"]
) -> Float[Tensor, "*n d"]:
    """f(i) = sum_k alpha^k E^k f_a^k(i). Source: SAERS, Eq. 6."""
    return torch.einsum("...k,...kd->...d", alpha, transferred)


def embedding(fused: Float[Tensor, "*n d"], whole: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
    """f(i) = (what its attributes say) + f_g(i). Source: SAERS, Eq. 7."""
    return fused + whole


def prediction(
    users: Float[Tensor, "*n d"], items: Float[Tensor, "*n c d"]
) -> Float[Tensor, "*n c"]:
    """y = f(u) . f(i) for c items of each user. Source: SAERS, Eq. 8."""
    return torch.einsum("...d,...cd->...c", users, items)


def bpr(
    y: Float[Tensor, "triple 2"], parameters: Iterable[Tensor], regularizer: float
) -> Float[Tensor, " triple"]:
    """-ln sigma(y_ui - y_uj) + lambda |Theta|^2, for scores of (i, j).

    Here lambda stands in each triple's loss, whose mean is minimised; the paper's stands once in
    a sum over all triples.

    Source: SAERS, Eq. 9.
    """
    size = sum((theta.square().sum() for theta in parameters), y.new_zeros(()))
    return -F.logsigmoid(y[:, 0] - y[:, 1]) + regularizer * size


# --------------------------------------------------------------------------- the whole picture


class LinearFeature(nn.Module):
    """f_g(i) = W g_i with one vector an item, g_i, that stays as it is."""

    def __init__(self, vectors: Float[Tensor, "item m"], d: int, seed: int = 0) -> None:
        super().__init__()
        check_least(d=d)
        self.vectors = nn.Buffer(visual.check_features(vectors))
        self.W = visual.projection(d, vectors.shape[1], visual.generator(seed))

    def __len__(self) -> int:
        return len(self.vectors)

    def forward(self, items: Int[Tensor, "n c"]) -> Float[Tensor, "n c d"]:
        return self.vectors[items] @ self.W.T


class SiameseFeature(nn.Module):
    """f_g(i) = W network(picture i), which learns along: both pictures of a triple pass it.

    "We leverage a Siamese CNN architecture based on the AlexNet." The network's vectors are
    brought to mean 0 and length 1 by what it saw in `SAMPLE` pictures before any training.

    Args:
        images: pictures by item id, in memory or read as they are asked for.
        network: such as `vision.backbone("alexnet", grid=1)`.

    Source: SAERS, §3.2 (Eq. 7) and §3.3.
    """

    def __init__(self, images: Images, network: Backbone, d: int, seed: int = 0) -> None:
        super().__init__()
        check_least(d=d)
        self.images, self.network = images, network
        self.W = visual.projection(d, network.size, visual.generator(seed))
        some = np.random.default_rng(seed).permutation(len(images))[:SAMPLE]
        was_training = network.training
        with torch.no_grad():
            network.eval()
            seen = torch.cat([self._vectors(part) for part in torch.from_numpy(some).split(BATCH)])
        network.train(was_training)
        self.centre = nn.Buffer(seen.mean(dim=0))
        self.spread = nn.Buffer(spread(seen))

    def __len__(self) -> int:
        return len(self.images)

    def forward(self, items: Int[Tensor, "n c"]) -> Float[Tensor, "n c d"]:
        """An item that comes twice in a batch passes the network once."""
        different, place = items.unique(return_inverse=True)
        size = len(different) if torch.is_grad_enabled() else BATCH
        vectors = torch.cat([self._vectors(part) for part in different.split(size)])
        return ((vectors - self.centre) / self.spread @ self.W.T)[place]

    def _vectors(self, items: Int[Tensor, " n"]) -> Float[Tensor, "n size"]:
        pictures = torch.as_tensor(self.images[items.cpu().numpy()]).to(items.device)
        return flat_vectors(self.network, pictures)


# --------------------------------------------------------------------------- the model


class Parts(NamedTuple):
    """What a score is made of, for some items.

    Attributes:
        transferred: E^k f_a^k(i), zeros where an attribute does not apply.
        applies: which attributes the items have.
        whole: f_g(i). bias: b_i. Zeros where the model has none.
    """

    transferred: Float[Tensor, "n c A d"]
    applies: Bool[Tensor, "n c A"]
    whole: Float[Tensor, "n c d"]
    bias: Float[Tensor, "n c"]


class SAERS(visual.Ranker):
    """Scores of users and items through attributes.

    Args:
        n_users: number of users.
        features: f_a^k, `[item, attribute, m]`. applies: which attributes each item has.
        whole: item ids -> f_g, a `LinearFeature` or `SiameseFeature` of the same d, or None.
        fusion: one of `FUSIONS`.
        bias: learn how popular an item is, as BPR-MF and VBPR do and the paper's model does not.

    Raises:
        ValueError: shapes that do not agree, features that are not finite, an unknown fusion.
    """

    def __init__(
        self,
        n_users: int,
        features: Float[Tensor, "item A m"],
        applies: Bool[Tensor, "item A"],
        whole: LinearFeature | SiameseFeature | None = None,
        d: int = 32,
        *,
        fusion: str = "attention",
        bias: bool = False,
        seed: int = 0,
    ) -> None:
        check_least(d=d)
        check_choice("fusion", fusion, FUSIONS)
        given, got = (f"{x.dtype} of shape {tuple(x.shape)}" for x in (features, applies))
        shape, right = tuple(features.shape[:2]), features.ndim == 3
        right &= features.is_floating_point()
        require(right, f"features: {given}; needs floats [item, attribute, m]")
        right = applies.shape == shape and applies.dtype == torch.bool
        require(right, f"applies: {got}; needs bool {shape}, as features")
        visual.check_features(features.flatten(1))
        if whole is not None and (len(whole), whole.W.shape[0]) != (len(features), d):
            given = f"{len(whole)} items and {whole.W.shape[0]} dimensions"
            raise ValueError(f"whole: {given}; needs {len(features)} and {d}")
        super().__init__(n_users, len(features))
        self.d, self.fusion, self.whole = d, fusion, whole
        self.n_attributes, m = features.shape[1:]
        self.features = nn.Buffer(features * applies[..., None])
        self.applies = nn.Buffer(applies)
        rng = visual.generator(seed)
        self.user = visual.table(n_users, d, rng)
        self.b = nn.Parameter(torch.zeros(self.n_items)) if bias else None
        if fusion != "none":
            self.E = nn.Parameter(torch.randn(self.n_attributes, m, d, generator=rng) / m**0.5)
        if fusion == "attention":
            self.D_user, self.D_attribute = (visual.projection(HIDDEN, d, rng) for _ in range(2))
            self.D_bias = nn.Parameter(torch.zeros(HIDDEN))
            self.D_out = nn.Parameter(torch.randn(HIDDEN, generator=rng) / HIDDEN**0.5)

    def parts(self, items: Int[Tensor, "n c"]) -> Parts:
        """Everything about some items that does not depend on a user."""
        nothing = self.user.new_zeros(*items.shape, self.d)
        if self.fusion == "none":
            transferred = nothing[..., None, :].expand(*items.shape, self.n_attributes, self.d)
        else:
            transferred = torch.einsum("ncam,amd->ncad", self.features[items], self.E)
        whole = nothing if self.whole is None else self.whole(items)
        bias = nothing[..., 0] if self.b is None else self.b[items]
        return Parts(transferred, self.applies[items], whole, bias)

    def weights(self, users: Float[Tensor, "n d"], parts: Parts) -> Float[Tensor, "n c A"]:
        """What each attribute's feature is multiplied by on its way into f(i).

        Under average: 1/A (Eq. 4). Under attention: alpha, by a two-layer perceptron D on
        [f(u), E^k f_a^k(i)]. Its first layer is split into the user's half, computed once, and
        the attributes' half.
        """
        if self.fusion != "attention":
            share = 1 / self.n_attributes if self.fusion == "average" else 1.0
            return parts.applies.to(users.dtype) * share
        user = (users @ self.D_user.T + self.D_bias)[:, None, None]
        logits = F.relu(user + F.linear(parts.transferred, self.D_attribute)) @ self.D_out
        return attention_weights(logits, parts.applies)

    def match(self, users: Float[Tensor, "n d"], parts: Parts) -> Float[Tensor, "n c"]:
        """y, the scores of items for users; n or c of the parts may be 1."""
        fused = attended(self.weights(users, parts), parts.transferred)
        return prediction(users, embedding(fused, parts.whole)) + parts.bias

    def forward(self, users: Int[Tensor, " n"], items: Int[Tensor, "n c"]) -> Float[Tensor, "n c"]:
        return self.match(self.user[users], self.parts(items))

    def of_everything(self, users: Int[Tensor, " n"]) -> Float[Tensor, "n item"]:
        """Scores of all items, which are prepared once for all users."""
        parts = self.parts(self.everything[None])
        blocks = self.user[users].split(USERS_AT_A_TIME)
        return torch.cat([self.match(block, parts) for block in blocks])


def saers(
    n_users: int,
    found: Extracted,
    d: int = 32,
    *,
    features: Float[Tensor, "item A m"] | str = "regions",
    whole: LinearFeature | SiameseFeature | bool = True,
    fusion: str = "attention",
    bias: bool = False,
    seed: int = 0,
) -> SAERS:
    """The model on what a network saw in the pictures of a shop.

    Args:
        features: 'regions' (the paper's), 'classes' (`class_features`), or some of your own.
        whole: f_g; True for a trained map of the picture's vector, False for none.
        fusion, bias: see `SAERS`.
    """
    if isinstance(features, str):
        own = {"regions": torch.from_numpy(found.features), "classes": class_features(found)}
        features = own[features]
    f_g = LinearFeature(torch.from_numpy(found.whole), d, seed) if whole is True else whole or None
    applies = torch.from_numpy(found.applies)
    return SAERS(n_users, _scaled(features), applies, f_g, d, fusion=fusion, bias=bias, seed=seed)


def class_features(found: Extracted) -> Float[Tensor, "item A class"]:
    """The class that the network names, as zeros and a one.

    A region's vector carries everything that is in the region, colours too. A class carries what
    its name says and nothing else.
    """
    named = F.one_hot(torch.from_numpy(found.predicted)).float()
    return named * torch.from_numpy(found.applies).unsqueeze(-1)


def _scaled(features: Float[Tensor, "item A m"]) -> Float[Tensor, "item A m"]:
    """The same features, of which those that are not zero have length 1 on average."""
    lengths = features.norm(dim=-1)
    return features / lengths[lengths > 0].mean().nan_to_num(1.0)


# --------------------------------------------------------------------------- the best items


def recommend(model: visual.Ranker, split: Split, k: int = 5) -> np.ndarray:
    """The k best items of each user, `[user, k]`, best first, without her training and development
    purchases; ties by lot (`evaluate.ranking.top_k`).

    A user without a training purchase is refused: her taste was never trained, so that her list
    would be that of the first weights. So is a k beyond the items that are left.

    Raises:
        ValueError: k is outside 1..items left, of any user, or a user has no training purchase.
    """
    untrained = np.bincount(split.train.user, minlength=split.train.n_users) == 0
    advice = "the model knows nothing of her; keep users with purchases enough for every part"
    require(not untrained.any(), f"split: user {untrained.argmax()} has none to train on, {advice}")
    return top_k_of(model.scores, k, split.train.matrix + split.development.matrix).numpy()
