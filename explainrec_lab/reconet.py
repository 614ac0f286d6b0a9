"""RecoNet: an average of embeddings, a linear softmax over items, and where its votes come from.

Paper: Fusco, Vlachos, Vasileiadis, Wardatzky, Schneider, "RecoNet: An Interpretable Neural
Architecture for Recommender Systems", IJCAI 2019. Here: §4.1 the model, §4.2 its training
examples, §4.3 recommendation and the three steps that send an output's relevance back to the
features. Symbols are the paper's, except that `Q` holds one latent vector a *row*.

Not here: the fit loop (`training`), recall@k (`evaluate.ranking`), figures (`plots`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from scipy import sparse
from torch import Tensor, nn

from explainrec_lab.data.contracts import Dataset, Features, Interactions, check_ids
from explainrec_lab.equations import implements

# --------------------------------------------------------------------------- profiles


@dataclass(frozen=True)
class Sets:
    """One set of ids a user, end to end: user u owns `ids[offsets[u]:offsets[u + 1]]`."""

    ids: Int[Tensor, " total"]
    offsets: Int[Tensor, " users_plus_one"]

    @classmethod
    def from_matrix(cls, matrix: sparse.csr_array) -> Sets:
        """The non-zero columns of each row."""
        ids = torch.from_numpy(matrix.indices.astype(np.int64))
        return cls(ids, torch.from_numpy(matrix.indptr.astype(np.int64)))

    @classmethod
    def of(cls, ids: Sequence[int]) -> Sets:
        """One set."""
        return cls(torch.tensor(list(ids), dtype=torch.int64), torch.tensor([0, len(ids)]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, user: int) -> Int[Tensor, " size"]:
        return self.ids[self.offsets[user] : self.offsets[user + 1]]

    @property
    def sizes(self) -> Int[Tensor, " user"]:
        """|FS_u| of each user."""
        return self.offsets.diff()

    @property
    def owners(self) -> Int[Tensor, " total"]:
        """The user behind each entry of `ids`."""
        users = torch.arange(len(self), device=self.ids.device)
        return users.repeat_interleave(self.sizes)

    def rows(self, start: int, stop: int) -> Sets:
        """The sets of users start..stop-1."""
        offsets = self.offsets[start : stop + 1]
        return Sets(self.ids[offsets[0] : offsets[-1]], offsets - offsets[0])

    def to(self, device: torch.device | str) -> Sets:
        return Sets(self.ids.to(device), self.offsets.to(device))


@dataclass(frozen=True)
class FeatureSpace:
    """The m = |V| + |Phi^V| + |Phi^U| features: items first, their attributes, then the users'.

    Source: RecoNet, §2 and §4.1.
    """

    item_names: tuple[str, ...]
    item_features: Features
    user_feature_names: tuple[str, ...]

    @classmethod
    def of(cls, dataset: Dataset, interactions: Interactions | None = None) -> FeatureSpace:
        """The space of a dataset; `interactions` may carry fewer features than the dataset's."""
        events = interactions or dataset.interactions
        names = tuple(dataset.catalogue.items["title"].astype(str))
        return cls(names, events.item_features, events.user_features.names)

    @property
    def n_items(self) -> int:
        return len(self.item_names)

    @property
    def m(self) -> int:
        return self.n_items + len(self.item_features) + len(self.user_feature_names)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return self.item_names + self.item_features.names + self.user_feature_names

    def kind(self, feature: int) -> str:
        """'item', 'item attribute' or 'user attribute'."""
        if feature < self.n_items:
            return "item"
        inside = feature < self.n_items + len(self.item_features)
        return "item attribute" if inside else "user attribute"

    def matrix(self, history: sparse.csr_array, users: Features) -> sparse.csr_array:
        """I: the binary `[user, m]` matrix of V(u), Phi^V(V(u)) and Phi^U(u)."""
        blocks = [history]
        if len(self.item_features):
            blocks.append(history @ self.item_features.matrix)
        if len(self.user_feature_names):
            blocks.append(users.matrix)
        return sparse.csr_array(sparse.hstack(blocks, format="csr"))

    def profiles(self, interactions: Interactions) -> Sets:
        """FS_u of every user. A user without history and features gets the empty set."""
        return Sets.from_matrix(self.matrix(interactions.matrix, interactions.user_features))

    def profile(self, items: Sequence[int] = (), user_features: Sequence[str] = ()) -> Sets:
        """FS_u of one user, known or new: her items, their attributes and her own features.

        Raises:
            ValueError: an item outside the catalogue, an unknown user feature, or nothing at all.
        """
        chosen = np.unique(check_ids("items", list(items), self.n_items, "item"))
        history = np.zeros((1, self.n_items), np.int32)  # int8 forgets a genre of 256 films
        history[0, chosen] = 1
        own = np.zeros((1, len(self.user_feature_names)), np.int8)
        own[0, [self._user_feature(name) for name in user_features]] = 1
        users = Features(self.user_feature_names, sparse.csr_array(own))
        sets = Sets.from_matrix(self.matrix(sparse.csr_array(history), users))
        if not len(sets.ids):
            raise ValueError("profile: it is empty; give at least one item or one user feature")
        return sets

    def _user_feature(self, name: str) -> int:
        if name not in self.user_feature_names:
            few = ", ".join(self.user_feature_names[:5]) or "none in this space"
            raise ValueError(f"user_features: {name!r} is unknown; there are {few}, ...")
        return self.user_feature_names.index(name)


# --------------------------------------------------------------------------- §4.1 the model


class RecoNet(nn.Module):
    """y = W x with x the average of the latent vectors of a profile.

    Args:
        space: which features there are.
        d: size of the latent vectors.
        hidden: units of an extra ReLU layer ('RecoNet + Layer'), or None for the paper's best.
        seed: of the Xavier initialisation.

    Attributes:
        Q_items, Q_attributes: the rows of Q, apart so that training can treat them differently.
        W: `[|V|, d]` (or `[|V|, hidden]`).
    """

    def __init__(
        self, space: FeatureSpace, d: int = 64, hidden: int | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        if d < 1:
            raise ValueError(f"d: {d} must be at least 1")
        generator = torch.Generator().manual_seed(seed)
        self.space = space
        Q = nn.init.xavier_uniform_(torch.empty(space.m, d), generator=generator)
        self.Q_items = nn.Parameter(Q[: space.n_items].clone())
        self.Q_attributes = nn.Parameter(Q[space.n_items :].clone())
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

    @implements("reconet", "pooling")
    def pool(self, profiles: Sets) -> Float[Tensor, "user d"]:
        """x_u = Q I_u^T / |FS_u|; zero for an empty profile. Source: RecoNet, §4.1."""
        sets = profiles.to(self.W.device)
        return F.embedding_bag(
            sets.ids, self.Q, sets.offsets, mode="mean", include_last_offset=True
        )

    def forward(self, profiles: Sets) -> Float[Tensor, "user item"]:
        """y, the activation of every item, before the softmax."""
        x = self.pool(profiles)
        if self.hidden is not None:
            x = F.relu(self.hidden(x))
        return x @ self.W.T

    @implements("reconet", "softmax")
    def probabilities(self, profiles: Sets) -> Float[Tensor, "user item"]:
        """p = softmax(y). Source: RecoNet, §4.1."""
        return self(profiles).softmax(dim=1)


# --------------------------------------------------------------------------- §4.2 training


@implements("reconet", "removal-survival")
def removal_survival(beta: float, longest: int) -> Float[Tensor, " r"]:
    """Chance that at least n = 1, 2, ..., `longest` entries are removed: 1 / (n!)^beta.

    In the paper's count rank r starts at 0, so that n = r + 1 entries are gone.

    Raises:
        ValueError: a negative beta.

    Source: RecoNet, §4.2.
    """
    if beta < 0:
        raise ValueError(f"beta: {beta} must not be negative")
    return torch.arange(1, longest + 1, dtype=torch.float64).log().cumsum(0).mul(-beta).exp()


@implements("reconet", "removal")
def diminishing_removal(
    sizes: Int[Tensor, " user"], beta: float, generator: torch.Generator
) -> Int[Tensor, " user"]:
    """How many entries to remove from each set: one, and each further one with falling chance.

    After r removals another follows with probability 1 / (r + 1)^beta; never more than the set
    holds. One uniform draw against the survival function equals the paper's coin after coin.

    Source: RecoNet, §4.2.
    """
    survival = removal_survival(beta, max(int(sizes.max()), 1)) if len(sizes) else torch.zeros(1)
    draw = torch.rand(len(sizes), generator=generator, dtype=torch.float64)
    # survival falls, so the draws below it are counted from its rising mirror image
    removed = torch.searchsorted(-survival, -draw, right=False)
    return removed.clamp(max=sizes)


@dataclass(frozen=True)
class Examples:
    """Training examples of several users.

    Attributes:
        inputs: the features the model sees, one set a user.
        targets: the removed items it must predict.
        silenced: items whose probability is not asked for: they leave the softmax.
    """

    inputs: Sets
    targets: Sets
    silenced: Sets

    def __len__(self) -> int:
        """Number of targets: each has its loss."""
        return len(self.targets.ids)

    def rows(self, start: int, stop: int) -> Examples:
        """The examples of users start..stop-1."""
        parts = (sets.rows(start, stop) for sets in (self.inputs, self.targets, self.silenced))
        return Examples(*parts)

    def part(self, index: int, count: int) -> Examples:
        """The share of process `index` of `count`."""
        edges = np.linspace(0, len(self.inputs), count + 1).round().astype(int)
        return self.rows(edges[index], edges[index + 1])

    def to(self, device: torch.device | str) -> Examples:
        return Examples(*(s.to(device) for s in (self.inputs, self.targets, self.silenced)))


@dataclass(frozen=True)
class SingleLabel:
    """The paper's examples: one removed item is the label, others vanish with falling chance.

    One example a user and epoch. Item attributes are those of the remaining items, so that a
    removed item leaves no trace of itself; then the same removal thins out the attributes.

    Source: RecoNet, §4.2 and Figure 3.
    """

    interactions: Interactions
    space: FeatureSpace
    beta: float = 1.0
    batch_size: int = 128
    seed: int = 0

    def __call__(self, epoch: int) -> Iterator[Examples]:
        """The batches of one epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        history, owned = _shuffled(self.interactions, rng)
        kept, removed = self._thin(history, rng)
        attributes, _ = self._thin(_attributes(self.space, kept, owned), rng)
        label = _one_each(removed, rng)
        nothing = sparse.csr_array(history.shape, dtype=np.int8)
        yield from _batches(kept, attributes, label, nothing, self.batch_size)

    def _thin(
        self, matrix: sparse.csr_array, rng: np.random.Generator
    ) -> tuple[sparse.csr_array, sparse.csr_array]:
        """(kept, removed) after diminishing removal from every row."""
        sizes = np.diff(matrix.indptr)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        counts = diminishing_removal(torch.from_numpy(sizes), self.beta, generator).numpy()
        return _divide(matrix, _rank_in_row(sizes, rng) < np.repeat(counts, sizes))


@dataclass(frozen=True)
class RemovedItems:
    """All removed items as targets at once: one pass over a user teaches what the paper's
    single label needs many for.

    A random share of each history is removed; the items still in the input leave the softmax,
    for nobody will recommend them back.

    Attributes:
        share: chance of an item to be removed.
        attribute_share: chance of an attribute to be left out of the input.
        silence: whether the kept items leave the softmax.
    """

    interactions: Interactions
    space: FeatureSpace
    share: float = 0.5
    attribute_share: float = 0.5
    silence: bool = True
    batch_size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("share", "attribute_share"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must lie between 0 and 1")

    def __call__(self, epoch: int) -> Iterator[Examples]:
        """The batches of one epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        history, owned = _shuffled(self.interactions, rng)
        kept, removed = _divide(history, rng.random(history.nnz) < self.share)
        attributes = _attributes(self.space, kept, owned)
        attributes, _ = _divide(attributes, rng.random(attributes.nnz) < self.attribute_share)
        silenced = kept if self.silence else sparse.csr_array(history.shape, dtype=np.int8)
        yield from _batches(kept, attributes, removed, silenced, self.batch_size)


def _shuffled(
    interactions: Interactions, rng: np.random.Generator
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """R and Phi^U of the users that have a history, in random order."""
    users = rng.permutation(np.flatnonzero(np.diff(interactions.matrix.indptr)))
    return interactions.matrix[users], interactions.user_features.matrix[users]


def _attributes(
    space: FeatureSpace, history: sparse.csr_array, owned: sparse.csr_array
) -> sparse.csr_array:
    """Phi^V(V(u)) and Phi^U(u), as columns of their own."""
    features = Features(space.user_feature_names, owned)
    return space.matrix(history, features)[:, space.n_items :]


def _divide(
    matrix: sparse.csr_array, chosen: np.ndarray
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Split the entries of a sparse matrix into (the others, the chosen)."""

    def those(mask: np.ndarray) -> sparse.csr_array:
        ends = np.concatenate([[0], mask.cumsum()])[matrix.indptr]
        return sparse.csr_array((matrix.data[mask], matrix.indices[mask], ends), shape=matrix.shape)

    return those(~chosen), those(chosen)


def _rank_in_row(sizes: np.ndarray, rng: np.random.Generator) -> Int[np.ndarray, " entry"]:
    """A random order of the entries of each row: 0, 1, ... within the row."""
    rows = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((rng.random(len(rows)), rows))
    rank = np.empty(len(rows), np.int64)
    rank[order] = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return rank


def _one_each(matrix: sparse.csr_array, rng: np.random.Generator) -> sparse.csr_array:
    """One random entry of each row."""
    return _divide(matrix, _rank_in_row(np.diff(matrix.indptr), rng) == 0)[1]


def _batches(
    kept: sparse.csr_array,
    attributes: sparse.csr_array,
    targets: sparse.csr_array,
    silenced: sparse.csr_array,
    size: int,
) -> Iterator[Examples]:
    if size < 1:
        raise ValueError(f"batch_size: {size} must be at least 1")
    inputs = sparse.csr_array(sparse.hstack([kept, attributes], format="csr"))
    epoch = Examples(*(Sets.from_matrix(matrix) for matrix in (inputs, targets, silenced)))
    for start in range(0, len(epoch.inputs), size):
        yield epoch.rows(start, min(start + size, len(epoch.inputs)))


@implements("reconet", "cross-entropy")
def cross_entropy(model: nn.Module, examples: Examples) -> Float[Tensor, " target"]:
    """-log p of each target, where the silenced items take no part in the softmax.

    Source: RecoNet, §4.1.
    """
    y = model(examples.inputs)
    silenced, targets = examples.silenced, examples.targets
    y = y.index_put((silenced.owners, silenced.ids), y.new_tensor(-torch.inf))
    return y.logsumexp(dim=1)[targets.owners] - y[targets.owners, targets.ids]


# --------------------------------------------------------------------------- §4.3 recommendation


@torch.no_grad()
def recommend(model: RecoNet, profile: Sets, k: int = 10) -> tuple[Tensor, Tensor]:
    """The k items with the highest activation that the profile does not hold yet.

    Works for users the model has never seen: nothing is trained.

    Returns:
        items, activations: both `[k]`, best first.

    Raises:
        ValueError: k is larger than the number of items left, or a batch of several profiles.
    """
    _require_one(profile, "recommend for")
    y = model(profile)[0]
    owned = profile.ids[profile.ids < model.space.n_items]
    left = model.space.n_items - len(owned)
    if not 1 <= k <= left:
        raise ValueError(f"k: {k} is outside 1..{left}, the number of items not in the profile")
    y[owned] = -torch.inf
    activations, items = y.topk(k)
    return items, activations


def _require_one(profile: Sets, do: str) -> None:
    if len(profile) != 1:
        raise ValueError(f"profile: got {len(profile)} profiles; {do} one at a time")


# --------------------------------------------------------------------------- §4.3 explanation


@dataclass(frozen=True)
class Explanation:
    """Why one item: the relevance of every feature of a profile, most supporting first.

    Attributes:
        output: y_j, which the relevances sum to (but for what a hidden layer's biases and the
            epsilon rule absorb).
        features: ids in the model's `FeatureSpace`, `[n]`. relevance: Z, `[n]`.
        present: whether the profile holds the feature; all true without a reference.
    """

    space: FeatureSpace
    item: int
    output: float
    features: Int[Tensor, " n"]
    relevance: Float[Tensor, " n"]
    present: Bool[Tensor, " n"]

    def table(self) -> pd.DataFrame:
        """One row a feature: its name ('no ...' if the profile lacks it), kind and relevance."""
        ids = self.features.tolist()
        word = ["" if there else "no " for there in self.present.tolist()]
        return pd.DataFrame(
            {
                "feature": [no + self.space.names[i] for no, i in zip(word, ids, strict=True)],
                "kind": [self.space.kind(i) for i in ids],
                "relevance": self.relevance.tolist(),
            }
        )


@torch.no_grad()
def explain(
    model: RecoNet, profile: Sets, item: int, reference: Float[Tensor, " m"] | None = None
) -> Explanation:
    """Relevance of each feature of one profile for one item.

    The one-layer model has a closed form; a model with a hidden layer takes the paper's three
    steps.

    Args:
        reference: an average profile, such as `mean_profile` gives. With it, the explanation
            answers 'what is personal here?': see `personal_relevance`. One-layer model only.

    Raises:
        ValueError: an item outside the catalogue, a batch of several profiles, or a reference
            for a model with a hidden layer.
    """
    (item,) = check_ids("item", item, model.space.n_items, "item").tolist()
    _require_one(profile, "explain")
    features = profile.ids
    if reference is not None:
        relevance = personal_relevance(model, profile, item, reference)
        features, output = torch.arange(model.space.m), float(relevance.sum())
    elif model.hidden is None:
        relevance = closed_form(model.Q[profile.ids], model.W[item])
        output = float(relevance.sum())
    else:
        relevance = three_steps(model, profile, item)
        output = float(model(profile)[0, item])
    order = relevance.argsort(descending=True)
    features = features[order]
    present = torch.isin(features, profile.ids)
    return Explanation(model.space, item, output, features, relevance[order], present)


def mean_profile(profiles: Sets, m: int) -> Float[Tensor, " m"]:
    """The average of I_u / |FS_u| over the users that have a profile: each feature's share."""
    share = (1 / profiles.sizes.clamp(min=1))[profiles.owners]
    filled = (profiles.sizes > 0).sum().clamp(min=1)
    return torch.zeros(m).index_add(0, profiles.ids, share) / filled


def personal_relevance(
    model: RecoNet, profile: Sets, item: int, reference: Float[Tensor, " m"]
) -> Float[Tensor, " m"]:
    """(W_j - mean W) . q_k (I_u(k) / |FS_u| - reference_k): compared with the average twice.

    The relevances sum to how far item j lies above the average item, for this user more than for
    the reference. Both comparisons are needed: adding one vector to all rows of W changes no
    probability, and changes none of these numbers. In the shares I_u(k) / |FS_u| the score is
    linear, and these are its Shapley values against the reference. A feature that the profile
    lacks has one too: not being there speaks for or against the item.
    """
    if model.hidden is not None:
        raise ValueError("reference: only the one-layer model has this closed form")
    own = torch.zeros_like(reference)
    own[profile.ids] = 1 / max(len(profile.ids), 1)
    w = model.W[item] - model.W.mean(dim=0)
    return (model.Q @ w) * (own - reference)


def closed_form(q: Float[Tensor, "n d"], w: Float[Tensor, " d"]) -> Float[Tensor, " n"]:
    """Z_k = W_j . q_k / |FS_u|: what the three steps come to for the one-layer model."""
    return (q @ w) / len(q)


def three_steps(
    model: RecoNet, profile: Sets, item: int, epsilon: float = 1e-9
) -> Float[Tensor, " n"]:
    """The paper's propagation: output -> pooling layer -> latent factors -> features.

    Source: RecoNet, §4.3.
    """
    q = model.Q[profile.ids]
    x = q.sum(dim=0) / len(q)  # the sum that step 2 divides by, rounded alike: errors cancel
    if model.hidden is None:
        R = relevance_of_pooling(x, model.W[item])
    else:
        b, H = model.hidden.bias, model.hidden.weight
        h = F.relu(H @ x + b)
        R = epsilon_rule(x, H, b, relevance_of_pooling(h, model.W[item]), epsilon)
    return relevance_of_features(relevance_of_latent_factors(q, R))


@implements("reconet", "relevance-linear")
def relevance_of_pooling(x: Float[Tensor, " d"], w_j: Float[Tensor, " d"]) -> Float[Tensor, " d"]:
    """Step 1, one linear layer: R_i = w_ji x_i. Source: RecoNet, §4.3, step 1."""
    return w_j * x


@implements("reconet", "relevance-epsilon")
def epsilon_rule(
    x: Float[Tensor, " inputs"],
    w: Float[Tensor, "units inputs"],
    b: Float[Tensor, " units"],
    R: Float[Tensor, " units"],
    epsilon: float,
) -> Float[Tensor, " inputs"]:
    """Step 1 through a layer: each unit hands its relevance to its inputs in proportion to
    z_ji = w_ji x_i, over the stabilised pre-activation sum_i z_ji + b_j.

    The bias counts once; the paper's formula, read to the letter, adds it once for every input.

    Source: RecoNet, §4.3, step 1.
    """
    z = w @ x + b
    return x * (w.T @ (R / torch.where(z >= 0, z + epsilon, z - epsilon)))


@implements("reconet", "relevance-latent")
def relevance_of_latent_factors(
    q: Float[Tensor, "n d"], R: Float[Tensor, " d"]
) -> Float[Tensor, "n d"]:
    """Step 2: Z_ik = q_ik / (sum_p q_ip I_u(p)) R_i, for the features k in FS_u.

    Where the latent vectors cancel in a dimension, x_i and with it R_i is zero, and so is Z_ik.

    Source: RecoNet, §4.3, step 2.
    """
    total = q.sum(dim=0)
    return q * torch.where(total == 0, torch.zeros_like(R), R / total)


@implements("reconet", "relevance-feature")
def relevance_of_features(Z: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Step 3: Z_phi_k = sum_i Z_ik. Source: RecoNet, §4.3, step 3."""
    return Z.sum(dim=1)


# --------------------------------------------------------------------------- in bulk

PLACE_BITS = (1 << 29) - 1
"""A float32 kept in a float64 leaves the lowest 29 bits free."""


@torch.no_grad()
def explain_many(
    model: RecoNet,
    profiles: Sets,
    items: Int[np.ndarray, "user n"],
    best: int = 10,
    block: int = 128,
    threads: int = 2,
) -> tuple[Int[np.ndarray, "user n best"], Float[np.ndarray, "user n best"]]:
    """The `best` most supporting features of n items for every user, by the closed form.

    P = W Q^T is computed once, for the items that occur. Users are ranked in blocks of like
    profile length; the place of a feature travels in the spare bits of its score, so that one
    partition of plain numbers ranks both.

    Returns:
        Feature ids (-1 past the end of a profile) and relevances Z, best first.

    Raises:
        ValueError: a model with a hidden layer, an item outside the catalogue, items that are not
            one row a profile, or `best` below 1.
    """
    if model.hidden is not None:
        raise ValueError("model: only the one-layer model has a closed form; use explain()")
    if items.ndim != 2 or len(items) != len(profiles):
        raise ValueError(f"items: shape {items.shape}; needs one row for each of {len(profiles)}")
    if best < 1:
        raise ValueError(f"best: {best} must be at least 1")
    check_ids("items", items.ravel(), model.space.n_items, "item")
    users, n = items.shape
    wanted, row = np.unique(items, return_inverse=True)
    nothing = model.space.m  # one more column, for the padding of short profiles
    P = (model.W[torch.from_numpy(wanted)] @ F.pad(model.Q, (0, 0, 0, 1)).T).float()
    P[:, nothing] = torch.finfo(torch.float32).min
    table, offset = P.numpy().ravel(), row.reshape(users, n, 1) * (nothing + 1)
    start, length = profiles.offsets.numpy()[:-1], profiles.sizes.numpy()
    ids = np.empty((users, n, best), np.int64)
    relevance = np.empty((users, n, best), np.float32)

    def rank(who: Int[np.ndarray, " block"]) -> None:
        place = np.arange(max(length[who[-1]], best))
        own = profiles.ids.numpy().take(start[who, None] + place, mode="clip")
        own = np.where(place < length[who, None], own, nothing)
        keys = table.take(own[:, None] + offset[who], mode="clip").astype(np.float64)
        keys.view(np.int64)[...] |= place
        keys.partition(len(place) - best, axis=-1)
        keys = np.sort(keys[..., -best:], axis=-1)[..., ::-1].copy()
        ids[who] = np.take_along_axis(own[:, None], keys.view(np.int64) & PLACE_BITS, -1)
        relevance[who] = keys / np.maximum(length[who, None, None], 1)

    by_length = np.argsort(length)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(rank, np.array_split(by_length, max(1, -(-users // block)))))
    missing = ids == nothing
    ids[missing], relevance[missing] = -1, 0.0
    return ids, relevance
