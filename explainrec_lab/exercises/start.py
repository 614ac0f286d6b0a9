"""What is right in the exercises of the boutique and of your own data."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from explainrec_lab.exercises.answers import Verdicts, near, numbers


def boutique_fickle(reason: Any) -> Verdicts:
    """The position of the taste that is the reason of a purchase; -1 where none is enough."""
    tastes = np.array([0.1, 0.45, 0.3, -1.2])
    yield "most", near(reason(tastes, 5.0), tastes.argmax())
    yield "weak", near(reason(0.8 * tastes, 5.0), -1)
    yield "strength", near(reason(tastes, 2.0), tastes.argmax())
    yield "fickle", near(reason(tastes, 0.0), -1)


def boutique_frequent(shares: Any, shop: Any) -> Verdicts:
    """Each attribute's share of the purchases that have a reason."""
    reason = shop.truth.purchase_reason[shop.truth.purchase_reason >= 0]
    found = numbers(shares, shop.catalogue.attributes.shape[1])
    yield "whole", near(found.sum(), 1.0)
    yield "places", near(found, np.bincount(reason, minlength=len(found)) / len(reason))


def pictures_order(codes: Callable[[Sequence[str], Sequence[str]], Any]) -> Verdicts:
    """Codes of some words: places in a list of classes, and -1 for the dash."""
    classes, words = ["V", "round", "square"], ["round", "V", "-", "square", "V"]
    found = numbers(codes(words, classes), 5)
    yield "dash", near(found[2], -1)
    yield "order", near(found[[0, 1, 3, 4]], [1, 0, 2, 0])
    yield "every", near(codes(["square"], ["square", "V"]), [0])


def purchases_chance(held_out: Callable[[np.ndarray, float], Any]) -> Verdicts:
    """Which purchases are kept for the test: the last share of them by time."""
    times = np.random.default_rng(0).permutation(40)
    found = numbers(held_out(times, 0.25), 40).astype(bool)
    yield "share", found.sum() == 10
    yield "later", bool(times[~found].max() < times[found].min())
    yield "any", numbers(held_out(times**2 + 1_000_000, 0.5), 40).sum() == 20
