"""A trained RecoNet as a few hundred kilobytes of text, for a page to compute with.

Each row of Q and W becomes 16-bit whole numbers and one scale: q_k = s_k n_k. That is half of
float32, and small enough an error that recommendations keep their order.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int16
from numpy import ndarray
from torch import Tensor

from explainrec_lab.reconet import FeatureSpace, RecoNet

LARGEST = 600_000
"""Bytes that a page may carry for one model."""

TOP = 2**15 - 1
"""Largest 16-bit whole number that a row uses."""


@dataclass(frozen=True)
class Household:
    """Someone to start from: a name, product ids, and what is known about her."""

    name: str
    items: Sequence[int] = ()
    told: Sequence[str] = ()


def _rounded(rows: Float[Tensor, "row d"]) -> tuple[Int16[ndarray, "row d"], ndarray]:
    """(n, s) with rows = s n: the largest entry of a row becomes +-32767.

    Raises:
        ValueError: a number that is not finite.
    """
    if not torch.isfinite(rows).all():
        raise ValueError("model: holds a number that is not finite; train it again")
    values = rows.detach().cpu().double().numpy()
    scale = (np.abs(values).max(axis=1) / TOP).astype(np.float32)
    scale[scale == 0] = 1.0
    numbers = np.rint(values / scale[:, None]).clip(-TOP, TOP)
    return numbers.astype(np.int16), scale


def _restored(numbers: Int16[ndarray, "row d"], scale: Float[ndarray, " row"]) -> Tensor:
    """The rows that a page computes with, float32 `[row, d]`."""
    return torch.from_numpy(numbers.astype(np.float32) * scale[:, None])


def pack(
    model: RecoNet, reference: Float[Tensor, " m"], households: Sequence[Household] = ()
) -> dict[str, Any]:
    """What the page gets: names, which attributes an item brings, Q, W and the average profile.

    The same model gives the same text.

    Args:
        reference: average profile, as from `reconet.mean_profile`.
        households: to start from; the first is shown at once.

    Raises:
        ValueError: a model with a hidden layer, a reference of another length, a household that
            the space does not know, or more than `LARGEST` bytes.
    """
    space = model.space
    if model.hidden is not None:
        raise ValueError("model: the page computes the one-layer model only; use hidden=None")
    if reference.shape != (space.m,):
        raise ValueError(f"reference: shape {tuple(reference.shape)}; needs ({space.m},)")
    packed = {
        "d": model.W.shape[1],
        "items": space.n_items,
        "own": space.m - len(space.user_feature_names),
        "names": list(space.names),
        "brings": _brings(space),
        "Q": _packed_rows(model.Q),
        "W": _packed_rows(model.W),
        "reference": _base64(reference.numpy().astype("<f4")),
        "households": [_start(space, household) for household in households],
    }
    if (size := len(written(packed).encode())) > LARGEST:
        fewer = f"train it with fewer than d={packed['d']} dimensions"
        raise ValueError(f"model: {size:,} bytes, at most {LARGEST:,}; {fewer}")
    return packed


def unpack(packed: dict[str, Any], space: FeatureSpace) -> RecoNet:
    """The model that the page computes with, rounding and all."""
    model = RecoNet(space, packed["d"])
    Q, W = (_read_rows(packed[name], packed["d"]) for name in "QW")
    with torch.no_grad():
        model.Q_items.copy_(Q[: space.n_items])
        model.Q_attributes.copy_(Q[space.n_items :])
        model.W.copy_(W)
    return model


def written(packed: dict[str, Any]) -> str:
    """JSON that may stand in a script element, whatever the names hold."""
    text = json.dumps(packed, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028")


def _brings(space: FeatureSpace) -> list[list[int]]:
    """The attributes of each item, as ids in the feature space."""
    matrix = space.item_features.matrix
    brought = np.split(matrix.indices + space.n_items, matrix.indptr[1:-1])
    return [sorted(each.tolist()) for each in brought]


def _start(space: FeatureSpace, household: Household) -> dict[str, Any]:
    items = [int(i) for i in household.items]
    space.profile(items, household.told)  # complains about what the space does not hold
    told = [space.names.index(name, space.n_items) for name in household.told]
    return {"name": household.name, "features": items + told}


def _packed_rows(rows: Float[Tensor, "row d"]) -> dict[str, str]:
    numbers, scale = _rounded(rows)
    return {"numbers": _base64(numbers.astype("<i2")), "scales": _base64(scale.astype("<f4"))}


def _read_rows(packed: dict[str, str], d: int) -> Float[Tensor, "row d"]:
    numbers, scales = (base64.b64decode(packed[part]) for part in ("numbers", "scales"))
    return _restored(np.frombuffer(numbers, "<i2").reshape(-1, d), np.frombuffer(scales, "<f4"))


def _base64(values: ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")
