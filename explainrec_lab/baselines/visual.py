"""Rankers that SAERS is compared with: known from the start, by purchases, by pictures.

Every ranker scores users and items (higher = recommended earlier) and is trained by the same loop
on the same triples as SAERS. Pictures come in as one vector an item, from a network that is not
trained further.

Sources: BPR-MF, Rendle et al. (2009); VBPR, He and McAuley (2016); DeepStyle, Liu et al. (2017);
JRL, Zhang et al. (2017), its image part. The comparison is SAERS, §4.2.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from explainrec_lab.data.contracts import check_ids, check_least, require

Vectors = Float[Tensor, "item m"]
# v and b of items: `[*n, d]`, and `[*n]` or a number.
OfItems = tuple[Tensor, Tensor | float]


class Ranker(nn.Module):
    """What all rankers share: ids that are checked at the door, and scores of everything.

    A ranker computes `forward`, from users `[n]` and items `[n, c]` to scores `[n, c]`; those whose
    training needs a second loss compute `auxiliary` too.
    """

    def __init__(self, n_users: int, n_items: int) -> None:
        super().__init__()
        self.n_users, self.n_items = n_users, n_items
        self.everything = nn.Buffer(torch.arange(n_items), persistent=False)

    def auxiliary(self, items: Int[Tensor, "n c"]) -> Float[Tensor, " n"] | float:
        """A second loss of each training example; none by default."""
        return 0.0

    @torch.no_grad()
    def scores(self, users: Any = None) -> Float[Tensor, "user item"]:
        """Scores of all items for some users, all of them by default.

        Raises:
            ValueError: an unknown user.
        """
        users = np.arange(self.n_users) if users is None else users
        chosen = torch.from_numpy(check_ids("users", users, self.n_users, "user"))
        return self.of_everything(chosen.to(self.everything.device))

    def of_everything(self, users: Int[Tensor, " n"]) -> Float[Tensor, "n item"]:
        """Scores of all items."""
        return self(users, self.everything.expand(len(users), -1))


class Untrained(Ranker):
    """Scores that are known from the start, `[user, item]`: drawn at random, for example, or of
    `collaborative.Popularity`."""

    def __init__(self, known: Float[Tensor, "user item"]) -> None:
        super().__init__(*known.shape)
        self.known = nn.Buffer(known)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        return self.known[users].gather(1, items)


class Factored(Ranker):
    """y = u . v_i + b_i: one product of users and items. What v_i is made of differs."""

    def __init__(self, n_users: int, n_items: int, d: int, rng: torch.Generator) -> None:
        super().__init__(n_users, n_items)
        check_least(d=d)
        self.user, self.item = table(n_users, d, rng), table(n_items, d, rng)

    def of_users(self, users: Int[Tensor, " n"]) -> Float[Tensor, "n d"]:
        """u."""
        return self.user[users]

    def of_items(self, items: Int[Tensor, "*n"]) -> OfItems:
        """v_i and b_i."""
        return self.item[items], 0.0

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        v, b = self.of_items(items)
        return torch.einsum("nd,ncd->nc", self.of_users(users), v) + b

    def of_everything(self, users: Tensor) -> Tensor:
        v, b = self.of_items(self.everything)
        return self.of_users(users) @ v.T + b


class BPRMF(Factored):
    """y = b_i + gamma_u . gamma_i: purchases alone, so an item nobody bought has no vector."""

    def __init__(self, n_users: int, n_items: int, d: int, seed: int = 0) -> None:
        super().__init__(n_users, n_items, d, generator(seed))
        self.bias = nn.Parameter(torch.zeros(n_items))

    def of_items(self, items: Tensor) -> OfItems:
        return self.item[items], self.bias[items]


class Seeing(Factored):
    """A ranker with one picture vector an item, which is not trained."""

    def __init__(self, n_users: int, features: Vectors, d: int, rng: torch.Generator) -> None:
        super().__init__(n_users, len(check_features(features)), d, rng)
        self.features = nn.Buffer(features)


class VBPR(Seeing):
    """y = b_i + gamma_u . gamma_i + theta_u . E f_i + beta . f_i.

    Half of the d dimensions are learned from purchases (gamma), half see the picture (theta), as
    in the paper's own comparisons.
    """

    def __init__(self, n_users: int, features: Vectors, d: int, seed: int = 0) -> None:
        check_least(2, d=d)
        rng = generator(seed)
        super().__init__(n_users, features, d // 2, rng)
        self.bias = nn.Parameter(torch.zeros(self.n_items))
        self.visual_user = table(n_users, d - d // 2, rng)
        self.E = projection(d - d // 2, features.shape[1], rng)
        self.visual_bias = nn.Parameter(torch.zeros(features.shape[1]))

    def of_users(self, users: Tensor) -> Tensor:
        return torch.cat([self.user[users], self.visual_user[users]], dim=-1)

    def of_items(self, items: Tensor) -> OfItems:
        f = self.features[items]
        v = torch.cat([self.item[items], f @ self.E.T], dim=-1)
        return v, self.bias[items] + f @ self.visual_bias


class DeepStyle(Seeing):
    """y = u . (E f_i - l_c(i) + q_i): what is left of a picture when its category is taken away.

    Args:
        category: int64 `[item]`, 0..categories-1.
    """

    def __init__(
        self, n_users: int, features: Vectors, category: Tensor, d: int, seed: int = 0
    ) -> None:
        rng = generator(seed)
        super().__init__(n_users, features, d, rng)
        shape, one_each = tuple(category.shape), (self.n_items,)
        require(shape == one_each, f"category: shape {shape}; needs one a picture, {one_each}")
        self.category = nn.Buffer(category)
        self.of_category = table(int(category.max()) + 1, d, rng)
        self.E = projection(d, features.shape[1], rng)

    def of_items(self, items: Tensor) -> OfItems:
        style = self.features[items] @ self.E.T - self.of_category[self.category[items]]
        return style + self.item[items], 0.0


class JRL(Seeing):
    """y = u . v_i, where a decoder must be able to redraw the item's picture vector from v_i.

    The image part of JRL: a squared error of ELU(W2 ELU(W1 v_i)) is trained beside the ranking.
    """

    def __init__(self, n_users: int, features: Vectors, d: int, seed: int = 0) -> None:
        rng = generator(seed)
        super().__init__(n_users, features, d, rng)
        self.W1 = projection(2 * d, d, rng)
        self.W2 = projection(features.shape[1], 2 * d, rng)

    def auxiliary(self, items: Tensor) -> Tensor:
        redrawn = F.elu(F.elu(self.item[items] @ self.W1.T) @ self.W2.T)
        return (redrawn - self.features[items]).square().sum(dim=2).mean(dim=1)


# --------------------------------------------------------------------------- parts


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def table(rows: int, d: int, rng: torch.Generator) -> nn.Parameter:
    """Small random vectors, one a row."""
    return nn.Parameter(0.1 * torch.randn(rows, d, generator=rng))


def projection(rows: int, columns: int, rng: torch.Generator) -> nn.Parameter:
    """A random matrix that keeps the length of what it multiplies."""
    return nn.Parameter(torch.randn(rows, columns, generator=rng) / columns**0.5)


def check_features(features: Tensor) -> Vectors:
    """Return `features` if they are one finite vector an item; else a ValueError."""
    shape = tuple(features.shape)
    require(len(shape) == 2 and shape[1], f"features: shape {shape}; needs [item, m]")
    finite = torch.isfinite(features).all()
    require(finite, "features: not all finite; look at the network that they come from")
    return features
