"""A small shop with attribute features and models of it, for the tests of chapter 3."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from explainrec_lab.data import Schema
from explainrec_lab.saers.model import SAERS, LinearFeature
from explainrec_lab.saers.regions import Extracted

N_USERS, N_ITEMS, A, M, D = 6, 11, 5, 4, 3
WITHOUT = 7
"""An item without any attribute. The last attribute belongs to no item."""

SCHEMA = Schema({f"attribute {k}": tuple(f"class {c}" for c in range(3)) for k in range(A)})


@lru_cache
def toy_features(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Features `[item, attribute, m]` and whether each attribute applies."""
    rng = np.random.default_rng(seed)
    applies = rng.random((N_ITEMS, A)) < 0.6
    applies[WITHOUT], applies[:, A - 1] = False, False
    features = rng.normal(size=(N_ITEMS, A, M)) * applies[..., None]
    return torch.from_numpy(features), torch.from_numpy(applies)


def toy_extracted(seed: int = 0) -> Extracted:
    """What a network might have seen in the shop's pictures."""
    features, applies = toy_features(seed)
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 8, size=(N_ITEMS, A, 2))
    boxes = np.concatenate([corner, corner + rng.integers(1, 8, size=corner.shape)], axis=-1)
    predicted = rng.integers(3, size=(N_ITEMS, A))
    whole = rng.normal(size=(N_ITEMS, M)).astype(np.float32)
    return Extracted(features.float().numpy(), applies.numpy(), boxes, predicted, whole)


def model_of(seed: int = 0, whole: bool = True, **options: Any) -> SAERS:
    """An untrained model in float64 with large random parameters, none of them zero."""
    features, applies = toy_features()
    rng = torch.Generator().manual_seed(seed)
    vectors = torch.randn(N_ITEMS, 4, generator=rng, dtype=torch.float64)
    feature = LinearFeature(vectors, D, seed) if whole else None
    model = SAERS(N_USERS, features, applies, feature, D, seed=seed, **options).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng, dtype=torch.float64))
    return model.eval()
