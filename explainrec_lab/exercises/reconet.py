"""What is right in the exercises of RecoNet: each checker computes it, on profiles by chance.

An own score is what a feature alone would score, W_j . q_k: the score is their average (§4.3).
"""

from itertools import combinations, product
from types import FunctionType as Answer
from typing import Any

import numpy as np
import torch
from numpy import ndarray

from explainrec_lab.evaluate import truth
from explainrec_lab.exercises.answers import Verdicts, near, numbers


def _chance(*shape: int, seed: int = 0) -> ndarray:
    return np.random.default_rng(seed).normal(size=shape)


# ------------------------------------------------------------------------------ the model


def reconet_beta(gone: Answer) -> Verdicts:
    """How many of n products are hidden on average (§4.2)."""
    yield "all", near([gone(n, 0.0) for n in (1, 5, 12)], (1, 5, 12))
    yield "first", near(gone(6, 50.0), 1, rtol=0.05)
    yield "mean", near(gone(9, 0.5), (1 / np.arange(1, 10) ** 0.5).cumprod().sum())


# ------------------------------------------------------------------------------ explanations


def reconet_removal(left: Answer) -> Verdicts:
    """The score y' without one feature, from n, its relevance Z and the score y (§4.3)."""
    votes = _chance(5)
    yield "unmoved", near(left(7, 0.2, 1.4), 1.4)
    yield "falls", bool(numbers(left(7, 2.0, 1.4)) < 1.4 < numbers(left(7, -2.0, 1.4)))
    yield "score", near(left(5, votes[0] / 5, votes.mean()), votes[1:].mean())


def reconet_attack(attacked: Answer) -> Verdicts:
    """Other weights W, so that feature k leads the explanation and nobody is offered another."""
    q, W = _chance(4, 9), _chance(6, 9, seed=1)
    q[0] = 3 * q[1] + 0.5 * q[0]  # longer than feature 1, and much the same way
    for k, item in product(range(4), (0, 5)):
        moved = numbers(attacked(W, q, item, k), *W.shape)
        yield "nobody", near(moved - moved[0], W - W[0])
        yield "first", (q @ moved[item]).argmax() == k


# ------------------------------------------------------------------------------ removal


def reconet_at_most(gone: Answer) -> Verdicts:
    """Which features to remove, at most k, so that the score falls most (§5.4)."""
    for own, held, k in product((abs(_chance(5)), *_chance(4, 5)), (True, False), (1, 2, 4)):
        chosen = _places(gone(own, k, held))
        yield "few", len({*chosen} & {*range(5)}) == len(chosen) <= k
        rule = "largest" if own.min() > 0 else "held" if held else "renormalised"
        yield rule, near(_left(own, chosen, held), min(_lowest(own, r, held) for r in range(k + 1)))


def reconet_still_first(gone: Answer) -> Verdicts:
    """The k features without which the best product leads the second by least (§5.4)."""
    q, W = _chance(7, 4), _chance(9, 4, seed=6)
    first, second = (W @ q.mean(axis=0)).argsort()[:-3:-1]
    lead, chosen = q @ (W[first] - W[second]), _places(gone(q, W, 3))
    yield "count", len({*chosen} & {*range(7)}) == len(chosen) == 3
    yield "closer", _left(lead, chosen) < lead.mean()
    yield "best", near(_left(lead, chosen), _lowest(lead, 3))


def _places(answer: Any) -> list[float]:
    return list(numbers(answer, -1))


def _left(own: ndarray, gone: Any, held: bool = False) -> float:
    return float(np.delete(own, [*map(int, gone)]).sum() / (len(own) - (not held) * len(gone)))


def _lowest(own: ndarray, k: int, held: bool = False) -> float:
    return min(_left(own, each, held) for each in combinations(range(len(own)), k))


# ------------------------------------------------------------------------------ LIME


def reconet_loo(slope: Answer) -> Verdicts:
    """LIME's slope of a feature, from masks that lack one feature at most (§5.5)."""
    own = _chance(5)
    yield "zero", near(slope(4, 0.5, 2.0), 0)
    yield "sign", bool(numbers(slope(4, 0.9, 2.0)) > 0)
    falls = [own.mean() - _left(own, [k]) for k in range(5)]
    yield "size", near([slope(5, each / 5, own.mean()) for each in own], falls)


def reconet_ig(gradient: Answer) -> Verdicts:
    """The gradient of the renormalised average by one entry, where all entries are t."""
    at = [numbers([gradient(3, Z, 1.2, t) for Z in (0.1, 0.4, 0.7)], 3) for t in (1.0, 0.5)]
    yield "level", near(at[0].sum(), 0)  # along the way the average does not move
    yield "steeper", near(at[1], 2 * at[0])
    yield "size", near(at[0][2] - at[0][0], 0.7 - 0.1)  # where all are 1, it differs as Z does


# ------------------------------------------------------------------------------ truth


def reconet_drop_one(own: Any) -> Verdicts:
    """Own scores of two products for which dropping one of three features, judged by the
    probability of the first product, names another feature than relevance."""
    own = numbers(own, 2, 3)
    lead, top = [np.delete(own[0] - own[1], k).mean() for k in range(3)], own[0].argmax()
    yield "one", (own[0] == own[0].max()).sum() == 1
    yield "another", np.delete(lead, top).min() < lead[top] - 1e-6


def reconet_explainer(explainer: Answer, shop: Any, parts: Any, Z: Any, rates: Any) -> Verdicts:
    """An explainer of the student's own, on planted truth; what it has to beat is in `rates`."""
    asked, codes, had = parts.test, shop.catalogue.attributes, parts.train.history
    calls = zip(np.asarray(Z), asked.user, asked.item, strict=True)
    found = np.stack([numbers(explainer(z, had(u), i, codes), codes.shape[1]) for z, u, i in calls])
    yield "personal", truth.agreement(asked.item, found, truth.applies_to(shop, asked)) < 0.9
    for bar in ("guessing", "RecoNet, looked up"):
        yield bar, truth.hit_rate(shop, asked, found) > rates[bar] + len(asked) ** -0.5


# ------------------------------------------------------------------------------ rivals


def reconet_ease_napkin(ease: Answer) -> Verdicts:
    """EASE's B from a table of purchases and a penalty."""
    R = (_chance(12, 5) > 0).astype(float)
    B = numbers(ease(R, 3.0), 5, 5)
    yield "diagonal", near(np.diag(B), np.zeros(5))
    yield "together", numbers(ease(np.array([[1.0, 1], [1, 1], [0, 0]]), 1.0), 2, 2)[0, 1] > 0
    slope = R.T @ (R @ B - R) + 3 * B  # of the penalised squared error; 0 where B is free
    yield "column", near(slope * (1 - np.eye(5)), np.zeros((5, 5)))


def reconet_popular_half(beyond: Answer) -> Verdicts:
    """The likes that count and what is left out of the lists, once best-sellers are neither."""
    (known, liked), head = _chance(2, 6, 8) > 0, np.arange(8) < 3
    counts, out = numbers(beyond(liked & ~known, known, head), 2, 6, 8) != 0
    yield "counts", near(counts, liked & ~known & ~head)
    yield "head", bool(out[:, head].all())
    yield "known", near(out[:, ~head], known[:, ~head])


# ------------------------------------------------------------------------------ the demo


def reconet_page_bytes(largest: Answer) -> Verdicts:
    """How many dimensions fit into a page's text, from its bytes, rows, bits and the rest."""
    for bits in (16, 8):
        d = numbers(largest(50_100, 300, bits, 20_000))
        size = 20_000 + 300 * bits / 8 * np.array([d, d + 1]) * 4 / 3  # base64: 3 bytes, 4 letters
        yield "whole", d == d.round()
        yield "fits", size[0] <= 50_100
        yield "full" if bits == 16 else "bits", size[1] > 50_100


def reconet_page_centre(moved: Answer) -> Verdicts:
    """Other weights that give the same order, with smaller rounding errors."""
    W = _chance(20, 6) + np.arange(6)
    found = numbers(moved(torch.from_numpy(W)), 20, 6)
    yield "same", near(found - found[0], W - W[0])
    yield "smaller", abs(found).max(axis=1).mean() < 0.9 * abs(W).max(axis=1).mean()


def reconet_page_rather(rather: Answer) -> Verdicts:
    """The relevance of each feature for one product rather than another."""
    q, W = map(torch.from_numpy, (_chance(5, 3), _chance(4, 3, seed=1)))
    yield "opposite", near(rather(q, W, 2, 0), -numbers(rather(q, W, 0, 2), 5))
    yield "unmoved", near(rather(q, W + q[0], 2, 0), rather(q, W, 2, 0))
    yield "sums", near(rather(q, W, 2, 0), q @ (W[2] - W[0]) / 5)
