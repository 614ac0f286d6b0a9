"""What is known of a user: the feature space of items and attributes, and sets of features.

Source: RecoNet, §2 and §4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int
from scipy import sparse
from torch import Tensor

from explainrec_lab.data.contracts import Dataset, Features, Interactions, check_ids


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
        events = dataset.interactions if interactions is None else interactions
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
