"""Right and wrong answers to the exercises of the boutique and of your own data."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from exercises.cases import Case

REASON = np.array([2, -1, 0, 2, 2, -1, 0, 3, 2])
KNOWN = REASON[REASON >= 0]


def toy_shop() -> dict[str, Any]:
    codes = np.zeros((6, 5), dtype=int)
    truth, catalogue = SimpleNamespace(purchase_reason=REASON), SimpleNamespace(attributes=codes)
    return {"shop": SimpleNamespace(truth=truth, catalogue=catalogue)}


def first(tastes: Any, enough: bool) -> int:
    return int(tastes.argmax()) if enough else -1


CASES: dict[str, Case] = {
    "boutique-fickle": Case(
        right=lambda tastes, s: first(tastes, s * tastes.max() > s * 0.4),
        wrong=[
            ("most", lambda tastes, s: first(abs(tastes), s * tastes.max() > s * 0.4)),
            ("most", lambda tastes, s: tastes.max() if s * tastes.max() > s * 0.4 else -1),
            ("weak", lambda tastes, s: int(tastes.argmax())),  # always somebody
            ("weak", lambda tastes, s: first(tastes, s * tastes.max() > 0.4)),
            ("fickle", lambda tastes, s: first(tastes, tastes.max() > 0.4)),  # shortened
            ("fickle", lambda tastes, s: first(tastes, s * tastes.max() >= s * 0.4)),
        ],
    ),
    "boutique-frequent": Case(
        right=np.bincount(KNOWN, minlength=5) / len(KNOWN),
        wrong=[
            ("whole", np.bincount(KNOWN, minlength=5)),  # counts
            ("whole", np.bincount(KNOWN, minlength=5) / len(REASON)),  # of all purchases
            ("places", -np.sort(-np.bincount(KNOWN, minlength=5)) / len(KNOWN)),  # by size
            ("kind", np.bincount(KNOWN) / len(KNOWN)),  # those that occur
        ],
        given=toy_shop,
    ),
}
