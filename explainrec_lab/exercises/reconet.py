"""What is right in the exercises of RecoNet: each checker computes it, on profiles by chance."""

from collections.abc import Callable

import numpy as np

from explainrec_lab.exercises.answers import Verdicts, near, numbers


def reconet_removal(left: Callable[[int, float, float], float]) -> Verdicts:
    """The score y' without one feature, from n, its relevance Z and the score y (§4.3)."""
    rng = np.random.default_rng(0)
    n, y = 7, 1.4
    yield "unmoved", near(left(n, y / n, y), y)
    yield "falls", bool(numbers(left(n, 2.0, y)) < y < numbers(left(n, -2.0, y)))
    for n in (2, 5, 40):
        votes = rng.normal(size=n)  # what each feature alone would score
        yield "score", near(left(n, votes[0] / n, votes.mean()), votes[1:].mean())
