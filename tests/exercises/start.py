"""Right and wrong answers to the exercises of the boutique and of your own data."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
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


def sorted_in_place(times, share):
    before = times.copy()
    times.sort()
    return before >= times[round(len(times) * (1 - share))]


CASES: dict[str, Case] = {
    "boutique-fickle": Case(
        right=lambda tastes, s: first(tastes, s * tastes.max() > s * 0.4),
        also=[
            lambda tastes, s: max(
                (i for i in range(len(tastes)) if s * tastes[i] > 0.4 * s),
                key=lambda i: tastes[i],
                default=-1,
            ),
            lambda tastes, s: np.where((s * tastes > s * 0.4).any(), np.argmax(tastes), -1),
            lambda tastes, s: torch.tensor([first(tastes, s * max(tastes) > s * 0.4)]),
        ],
        wrong=[
            ("most", lambda tastes, s: first(abs(tastes), s * tastes.max() > s * 0.4)),
            ("most", lambda tastes, s: tastes.max() if s * tastes.max() > s * 0.4 else -1),
            ("weak", lambda tastes, s: int(tastes.argmax())),  # always somebody
            ("weak", lambda tastes, s: first(tastes, s * tastes.max() > 0.4)),
            ("fickle", lambda tastes, s: first(tastes, tastes.max() > 0.4)),  # shortened
            ("strength", lambda tastes, s: first(tastes, s * tastes.max() > 2)),  # 5 times 0.4
            ("fickle", lambda tastes, s: first(tastes, s * tastes.max() >= s * 0.4)),
        ],
    ),
    "boutique-frequent": Case(
        right=np.bincount(KNOWN, minlength=5) / len(KNOWN),
        also=[
            pd.Series(KNOWN).value_counts(normalize=True).reindex(range(5), fill_value=0),
            [float((each == KNOWN).mean()) for each in range(5)],
            torch.bincount(torch.tensor(KNOWN), minlength=5).float() / len(KNOWN),
        ],
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
        also=[
            lambda words, classes: pd.Index(classes).get_indexer(words),
            lambda words, classes: [
                {w: n for n, w in enumerate(classes)}.get(w, -1) for w in words
            ],
            lambda words, classes: torch.tensor(codes(words, classes)),
        ],
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
        also=[
            lambda times, share: times >= np.quantile(times, 1 - share),
            lambda times, share: pd.Series(times).rank(pct=True) > 1 - share,
            lambda times, share: list(times >= np.sort(times)[-int(share * len(times))]),
            sorted_in_place,
        ],
        wrong=[
            ("share", lambda times, share: last(times, 1 - share)),
            ("later", lambda times, share: np.arange(len(times)) >= len(times) * (1 - share)),
            ("later", lambda times, share: times.argsort().argsort() < len(times) * share),
            ("any", lambda times, share: times >= 30),
            ("any", lambda times, share: times > times.max() * (1 - share)),
            ("any", lambda times, share: times > times.min() + np.ptp(times) * (1 - share)),
        ],
    ),
}
