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


def codes(words, classes):
    return [classes.index(word) if word != "-" else -1 for word in words]


def last(times, share):
    return times.argsort().argsort() >= len(times) * (1 - share)


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
    "pictures-order": Case(
        right=codes,
        wrong=[
            ("dash", lambda words, classes: [classes.index(w) if w != "-" else 3 for w in words]),
            ("order", lambda words, classes: codes(words, sorted(classes, key=str.lower))),
            (
                "order",
                lambda words, classes: [c + 1 if c >= 0 else -1 for c in codes(words, classes)],
            ),
            ("every", lambda words, classes: codes(words, ["V", "round", "square"])),
        ],
    ),
    "purchases-chance": Case(
        right=last,
        wrong=[
            ("share", lambda times, share: last(times, 1 - share)),
            ("later", lambda times, share: np.arange(len(times)) >= len(times) * (1 - share)),
            ("later", lambda times, share: times.argsort().argsort() < len(times) * share),
            ("any", lambda times, share: times >= 30),
        ],
    ),
}
