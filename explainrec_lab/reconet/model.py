"""The model: an average of latent vectors, and one linear layer over it; and what it recommends to
one profile, of a user known or new.

Source: RecoNet, §4.1 and §4.3. `Q` holds one latent vector a *row*, the paper's one a column.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from explainrec_lab.data.contracts import check_least
from explainrec_lab.evaluate.ranking import top_k
from explainrec_lab.reconet.data import FeatureSpace, Sets


class RecoNet(nn.Module):
    """y = W x with x the average of the latent vectors of a profile.

    Args:
        space: which features there are.
        d: size of the latent vectors.
        hidden: units of an extra ReLU layer ('RecoNet + Layer'), or None for the paper's best.
        seed: of the Xavier initialisation.

    Raises:
        ValueError: `d` or `hidden` below 1.

    Attributes:
        Q_items, Q_attributes: the rows of Q, apart so that training can treat them differently.
        W: `[|V|, d]` (or `[|V|, hidden]`).
    """

    Q_attributes: Tensor

    def __init__(
        self, space: FeatureSpace, d: int = 64, hidden: int | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        check_least(d=d, hidden=1 if hidden is None else hidden)
        generator = torch.Generator().manual_seed(seed)
        self.space = space
        Q = nn.init.xavier_uniform_(torch.empty(space.m, d), generator=generator)
        self.Q_items = nn.Parameter(Q[: space.n_items].clone())
        if len(attributes := Q[space.n_items :].clone()):
            self.Q_attributes = nn.Parameter(attributes)
        else:  # nothing to learn, and several processes would wait for its gradient
            self.register_buffer("Q_attributes", attributes)
        self.hidden = None if hidden is None else nn.Linear(d, hidden)
        self.W = nn.Parameter(torch.empty(space.n_items, hidden or d))
        nn.init.xavier_uniform_(self.W, generator=generator)
        if self.hidden is not None:
            nn.init.xavier_uniform_(self.hidden.weight, generator=generator)
            nn.init.zeros_(self.hidden.bias)

    @property
    def Q(self) -> Float[Tensor, "m d"]:
        """All latent vectors, one a feature, items first."""
        # without attributes there is nothing to join, and a copy of Q would cost every inference
        if not len(self.Q_attributes):
            return self.Q_items
        return torch.cat([self.Q_items, self.Q_attributes])

    def pool(self, profiles: Sets) -> Float[Tensor, "user d"]:
        """x_u = Q I_u^T / |FS_u|; zero for an empty profile. Source: RecoNet, §4.1."""
        sets, Q = profiles.to(self.W.device), self.Q
        return F.embedding_bag(sets.ids, Q, sets.offsets, mode="mean", include_last_offset=True)

    def forward(
        self, profiles: Sets, items: Int[Tensor, " item"] | None = None
    ) -> Float[Tensor, "user item"]:
        """y, the activation of every item, or of some, before the softmax."""
        return self.head(self.pool(profiles)) @ (self.W if items is None else self.W[items]).T

    def head(self, x: Float[Tensor, "user d"]) -> Float[Tensor, "user units"]:
        """What the rows of W are multiplied with: x, or what the extra layer makes of it."""
        return x if self.hidden is None else F.relu(self.hidden(x))

    def probabilities(self, profiles: Sets) -> Float[Tensor, "user item"]:
        """p = softmax(y). Source: RecoNet, §4.1."""
        return self(profiles).softmax(dim=1)


@torch.no_grad()
def recommend(
    model: RecoNet, profile: Sets, k: int = 10
) -> tuple[Int[Tensor, " k"], Float[Tensor, " k"]]:
    """The k items with the highest activation that the profile does not hold yet, best first; ties
    by lot (`evaluate.ranking.top_k`).

    Works for users the model has never seen: nothing is trained. An empty profile is refused, since
    all items score alike; so is a k beyond the items that are left.

    Returns:
        items, activations.

    Raises:
        ValueError: k is outside 1..items left, or the profile is empty, holds an unknown feature
            or is a batch of several.
    """
    model.space.check_one(profile, "recommend for")
    y = model(profile)[0]
    new = torch.ones_like(y, dtype=torch.bool)
    new[profile.ids[profile.ids < len(new)]] = False
    items = new.nonzero()[:, 0]
    items = items[top_k(y[None, items], k)[0]]
    return items, y[items]
