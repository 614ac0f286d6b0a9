"""Fine-grained Preferences Attention: which attributes of an item a user goes by.

An item comes as up to twelve attribute features f_a^k, one vector for each attribute that it has.
Each is brought to d dimensions by its own matrix E^k, weighted by the user's attention (Eq. 5),
summed (Eq. 6), and joined by a feature of the whole picture (Eq. 7). The score is the inner product
with the user (Eq. 8), learned from triples (Eq. 9).

Two things are ours. The paper's softmax runs over all twelve attributes, also over those that an
item lacks; ours over those that `applies` names (name all, and it is the paper's). And
`fusion="sum"` leaves attention out: the score is a plain sum over attributes, so that its terms
explain it. `reasons.py` says why.

An item without any attribute has only its whole picture.

Source: SAERS, §3.2 and §3.3. Where features come from (`extraction`, `whole`) and how triples are
drawn (`sampling`) is elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from explainrec_lab.baselines.visual import (
    USERS_AT_A_TIME,
    Ranker,
    check_size,
    generator,
    projection,
    table,
)
from explainrec_lab.saers.whole import LinearFeature, SiameseFeature

WholeFeature = LinearFeature | SiameseFeature

FUSIONS = ("attention", "average", "sum", "none")
"""Attribute features joined by Eq. 5 and 6, by Eq. 4, by a plain sum, or left out (SAERS - SAF)."""

NOTHING = -1
"""In the place of an attribute where an item has fewer attributes than others."""


# --------------------------------------------------------------------------- equations


def average_fusion(
    transferred: Float[Tensor, "*n k d"], n_attributes: int
) -> Float[Tensor, "*n d"]:
    """f(i) = 1/A sum_k E^k f_a^k(i); attributes that do not apply add zero.

    Source: SAERS, Eq. 4.
    """
    return transferred.sum(dim=-2) / n_attributes


def attention_weights(
    logits: Float[Tensor, "*n k"],
    applies: Bool[Tensor, "*n k"],
) -> Float[Tensor, "*n k"]:
    """alpha: the softmax of D(f(u), E^k f_a^k(i)) over attributes.

    Args:
        applies: places that hold an attribute; the others get exactly 0, and no attribute at all
            gives zeros.

    Source: SAERS, Eq. 5.
    """
    alpha = logits.masked_fill(~applies, -torch.inf).softmax(dim=-1)
    return alpha.masked_fill(~applies, 0.0)


def attended(
    alpha: Float[Tensor, "*n k"], transferred: Float[Tensor, "*n k d"]
) -> Float[Tensor, "*n d"]:
    """f(i) = sum_k alpha^k E^k f_a^k(i). Source: SAERS, Eq. 6."""
    return (alpha.unsqueeze(-1) * transferred).sum(dim=-2)


def embedding(fused: Float[Tensor, "*n d"], whole: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
    """f(i) = (what its attributes say) + f_g(i). Source: SAERS, Eq. 7."""
    return fused + whole


def prediction(
    users: Float[Tensor, "*n d"], items: Float[Tensor, "*n c d"]
) -> Float[Tensor, "*n c"]:
    """y = f(u) . f(i) for c items of each user. Source: SAERS, Eq. 8."""
    return (items * users.unsqueeze(-2)).sum(dim=-1)


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


# --------------------------------------------------------------------------- the model


class Parts(NamedTuple):
    """Items on their way into a score; k runs over the places for an item's own attributes.

    Attributes:
        transferred: E^k f_a^k(i), zeros in empty places.
        applies: which places are filled.
        whole: f_g(i). bias: b_i, zeros where the model has none.
    """

    transferred: Float[Tensor, "n c k d"]
    applies: Bool[Tensor, "n c k"]
    whole: Float[Tensor, "n c d"]
    bias: Float[Tensor, "n c"]


class SAERS(Ranker):
    """Scores of users and items through attributes.

    Args:
        n_users: number of users.
        features: f_a^k, `[item, attribute, m]`. applies: which attributes each item has.
        whole: item ids -> f_g, a `LinearFeature` or `SiameseFeature` of the same d, or None.
        hidden: units of the attention's first layer.
        fusion: one of `FUSIONS`.
        bias: learn how popular an item is, as BPR-MF and VBPR do and the paper's model does not.

    Attributes:
        attribute: int64 `[item, place]`, which attribute stands in each place of an item.
        features: `[item * places + place, m]`, what was given of them.

    Raises:
        ValueError: shapes that do not agree, features that are not finite, an unknown fusion.
    """

    attribute: Tensor
    features: Tensor

    def __init__(
        self,
        n_users: int,
        features: Float[Tensor, "item attribute m"],
        applies: Bool[Tensor, "item attribute"],
        whole: WholeFeature | None = None,
        d: int = 32,
        *,
        hidden: int = 16,
        fusion: str = "attention",
        bias: bool = False,
        seed: int = 0,
    ) -> None:
        features, applies = torch.as_tensor(features), torch.as_tensor(applies)
        _check_shapes(features, applies, whole, d)
        if fusion not in FUSIONS:
            raise ValueError(f"fusion: {fusion!r}; choose from {', '.join(FUSIONS)}")
        super().__init__(n_users, len(features))
        self.d, self.fusion, self.whole = d, fusion, whole
        self.n_attributes, m = features.shape[1:]
        self._keep(features, applies)
        rng = generator(seed)
        self.user = table(n_users, d, rng)
        self.b = nn.Parameter(torch.zeros(self.n_items)) if bias else None
        if fusion != "none":
            self.E = nn.Parameter(torch.randn(self.n_attributes, m, d, generator=rng) / m**0.5)
        if fusion == "attention":
            self.W_user, self.W_attribute = (projection(hidden, d, rng) for _ in range(2))
            self.b_hidden = nn.Parameter(torch.zeros(hidden))
            self.w = nn.Parameter(torch.randn(hidden, generator=rng) / hidden**0.5)

    def _keep(self, features: Tensor, applies: Tensor) -> None:
        """Keep only what applies: most items have three or four attributes of twelve."""
        places = max(int(applies.sum(dim=1).max()), 1)
        first = applies.int().argsort(dim=1, descending=True, stable=True)[:, :places]
        lacks = ~applies.gather(1, first)
        self.register_buffer("attribute", first.masked_fill(lacks, NOTHING))
        rows = torch.arange(len(features))[:, None]
        self.register_buffer("features", features[rows, first].flatten(0, 1))

    def transfer(
        self, items: Int[Tensor, "n c"]
    ) -> tuple[Float[Tensor, "n c k d"], Bool[Tensor, "n c k"]]:
        """E^k f_a^k(i) of every filled place: one product for each attribute."""
        k = self.attribute[items]
        applies = k != NOTHING
        filled = applies.flatten().nonzero().squeeze(1)
        own, order = k.flatten()[filled].sort(stable=True)
        filled = filled[order]
        places = k.shape[-1]
        row = items.flatten()[filled // places] * places + filled % places
        groups = self.features.index_select(0, row).split(
            torch.bincount(own, minlength=self.n_attributes).tolist()
        )
        products = [f @ E_k for f, E_k in zip(groups, self.E.unbind(), strict=True)]
        nothing = self.E.new_zeros(1, self.d)  # for empty places
        target = torch.full((k.numel(),), len(row), device=k.device)
        target[filled] = torch.arange(len(row), device=k.device)
        transferred = torch.cat([*products, nothing]).index_select(0, target)
        return transferred.view(*k.shape, self.d), applies

    def parts(self, items: Int[Tensor, "n c"]) -> Parts:
        """Everything about some items that does not depend on a user."""
        if self.fusion == "none":
            transferred = self.user.new_zeros(*items.shape, 0, self.d)
            applies = transferred.new_zeros(transferred.shape[:-1], dtype=torch.bool)
        else:
            transferred, applies = self.transfer(items)
        nothing = self.user.new_zeros(*items.shape, self.d)
        whole = nothing if self.whole is None else self.whole(items)
        bias = nothing[..., 0] if self.b is None else self.b[items]
        return Parts(transferred, applies, whole, bias)

    def attention(self, users: Float[Tensor, "n d"], parts: Parts) -> Float[Tensor, "n c k"]:
        """alpha, by a two-layer perceptron D on [f(u), E^k f_a^k(i)].

        Its first layer is split into the user's half, computed once, and the attributes' half.
        """
        user = (users @ self.W_user.T + self.b_hidden)[:, None, None]
        logits = F.relu(user + F.linear(parts.transferred, self.W_attribute)) @ self.w
        return attention_weights(logits, parts.applies)

    def weights(self, users: Float[Tensor, "n d"], parts: Parts) -> Float[Tensor, "n c k"]:
        """What each attribute's feature is multiplied by on its way into f(i)."""
        if self.fusion == "attention":
            return self.attention(users, parts)
        share = 1 / self.n_attributes if self.fusion == "average" else 1.0
        return parts.applies * share

    def match(self, users: Float[Tensor, "n d"], parts: Parts) -> Float[Tensor, "n c"]:
        """y, the scores of items for users; n or c of the parts may be 1."""
        if self.fusion == "attention":
            fused = attended(self.attention(users, parts), parts.transferred)
        elif self.fusion == "average":
            fused = average_fusion(parts.transferred, self.n_attributes)
        else:
            fused = parts.transferred.sum(dim=-2)
        return prediction(users, embedding(fused, parts.whole)) + parts.bias

    def forward(self, users: Int[Tensor, " n"], items: Int[Tensor, "n c"]) -> Float[Tensor, "n c"]:
        return self.match(self.user[users], self.parts(items))

    def of_everything(self, users: Int[Tensor, " n"]) -> Float[Tensor, "n item"]:
        """Scores of all items, which are prepared once for all users."""
        parts = self.parts(self.everything[None])
        blocks = self.user[users].split(USERS_AT_A_TIME)
        return torch.cat([self.match(block, parts) for block in blocks])


def _check_shapes(features: Tensor, applies: Tensor, whole: WholeFeature | None, d: int) -> None:
    check_size("d", d)
    if features.ndim != 3 or not features.is_floating_point():
        raise ValueError(
            f"features: {features.dtype} of shape {tuple(features.shape)}; "
            "needs floats [item, attribute, m]"
        )
    if applies.shape != features.shape[:2] or applies.dtype != torch.bool:
        raise ValueError(
            f"applies: {applies.dtype} of shape {tuple(applies.shape)}; "
            f"needs bool {tuple(features.shape[:2])}, as features say"
        )
    if not torch.isfinite(features).all():
        raise ValueError("features: not all finite; look at the network that they come from")
    if whole is None:
        return
    items = len(whole)
    if items != len(features) or whole.W.shape[0] != d:
        raise ValueError(
            f"whole: {items} items and {whole.W.shape[0]} dimensions; needs {len(features)} and {d}"
        )
