"""Right and wrong answers to the exercises of the boutique and of your own data."""

from __future__ import annotations

import numpy as np
from exercises.cases import Case


def codes(words, classes):
    return [classes.index(word) if word != "-" else -1 for word in words]


def last(times, share):
    return times.argsort().argsort() >= len(times) * (1 - share)


CASES = {
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
