"""How far apart two samples are: the Mann-Whitney U test and the effect size that belongs to it.

Source: RecoNet, §5.4 asks the test whether two distributions are the same. With thousands of
values it answers no to any difference, so the effect size belongs beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import norm, rankdata


@dataclass(frozen=True)
class Comparison:
    """Two samples, compared by the Mann-Whitney U test.

    Attributes:
        effect: common-language effect size: the chance that a draw of the first sample lies below
            a draw of the second, ties half. 0.5 = no difference; also called AUC.
        log10_p: decimal logarithm of the two-sided p-value (normal approximation, with ties). The
            p-value itself is often smaller than the smallest float.
    """

    effect: float
    log10_p: float


def compare(lower: Float[ndarray, " first"], higher: Float[ndarray, " second"]) -> Comparison:
    """How surely `lower` lies below `higher`.

    The test takes the values as independent draws.

    Raises:
        ValueError: an empty sample, or one with nan.

    Source: McGraw & Wong 1992: the effect size is U / (n_1 n_2).
    """
    a, b = len(lower), len(higher)
    both = np.concatenate([lower, higher])
    if not a or not b or np.isnan(both).any():
        raise ValueError(f"lower, higher: {a} and {b} values; both need one at least, and no nan")
    ranks = rankdata(both)
    U = ranks[a:].sum() - b * (b + 1) / 2
    _, ties = np.unique(ranks, return_counts=True)
    n = a + b
    variance = a * b / 12 * (n + 1 - (ties**3.0 - ties).sum() / (n * (n - 1)))
    z = abs(U - a * b / 2) / np.sqrt(variance) if variance > 0 else 0.0
    return Comparison(float(U / (a * b)), float((np.log(2) + norm.logsf(z)) / np.log(10)))
