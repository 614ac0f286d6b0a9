"""What is right in the exercises of SAERS: each checker computes it, on small inputs by chance."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from explainrec_lab import saers
from explainrec_lab.exercises.answers import Verdicts, near, numbers

Array = np.ndarray


def attributes_weights(shares: Callable[[torch.Tensor], Any]) -> Verdicts:
    """Each attribute's share of the terms of Eq. 1, from labels [picture, attribute]."""
    labels = torch.tensor([[0, 2, -1], [1, -1, -1], [0, -1, 3], [2, -1, -1]])
    found = numbers(shares(labels), 3)
    yield "sums", near(found.sum(), 1)
    yield "absent", not near(found, np.full(3, 1 / 3))
    yield "zero", near(found, [4 / 6, 1 / 6, 1 / 6])


def attributes_believe(reliability: Callable[[Array, Array, Array], Any]) -> Verdicts:
    """Mean probability and share of right answers in each bin, [bin, 2]."""
    rng, edges = np.random.default_rng(0), np.array([0.0, 0.7, 0.9, 1.0])
    said = np.append(rng.uniform(size=400), np.repeat(edges[1:], 10))
    right = rng.uniform(size=430) < said**2
    in_bin = [(low < said) & (said <= high) for low, high in pairwise(edges)]
    found = numbers(reliability(said, right, edges), 3, 2)
    yield "between", bool((edges[:-1] <= found[:, 0]).all() and (found[:, 0] <= edges[1:]).all())
    yield "said", near(found[:, 0], [said[each].mean() for each in in_bin])
    yield "right", near(found[:, 1], [right[each].mean() for each in in_bin])


def neckline_aam(grad_map: Callable[[torch.Tensor, torch.Tensor], Any]) -> Verdicts:
    """Grad-AAM (Eq. 2, 3) of one picture, from F and its gradient [channel, row, column]."""
    F, gradient = torch.randn(2, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    found = numbers(grad_map(F, gradient), 4, 4)
    yield "positive", bool((found >= 0).all())
    yield "average", near(grad_map(F, gradient.flip(1)), found)
    truth = saers.regions.grad_aam(F[None], saers.regions.importance(gradient)[None, None])[0, 0]
    yield "map", near(found, truth)


def neckline_linear(missed: Callable[[torch.Tensor, torch.Tensor], Any]) -> Verdicts:
    """Score less the sum of Grad-AAM's cells before the ReLU, under a linear head w on F."""
    F, w = torch.randn(2, 6, 3, 3, generator=torch.Generator().manual_seed(1))
    pooled = w.mean(dim=(1, 2), keepdim=True).expand_as(w)
    yield "pooled", near(missed(F, pooled), 0, atol=1e-4)
    yield "missed", near(missed(F, w), ((w - pooled) * F).sum(), atol=1e-4)


def neckline_share(honest: Callable[[Array, Array], Any]) -> Verdicts:
    """The best share on some items, and its mean IoU on the others."""
    iou = np.random.default_rng(0).uniform(size=(6, 20))  # [share, item]
    iou[2, :10] += 0.3
    iou[4, 10:] += 0.4
    chosen = np.arange(20) < 10
    best, told = numbers(honest(iou, chosen), 2)
    yield "chosen", best == iou[:, chosen].mean(axis=1).argmax()
    yield "told", near(told, iou[int(best), ~chosen].mean())


def saers_shift(attention: Callable[[torch.Tensor, torch.Tensor], Any]) -> Verdicts:
    """Softmax of D's answers over the attributes that apply (Eq. 5), [item, attribute]."""
    D = torch.randn(6, 4, generator=torch.Generator().manual_seed(2))
    applies = torch.tensor([[1, 1, 0, 1], [1, 0, 0, 0], [0, 1, 1, 1]] * 2).bool()
    found = numbers(attention(D, applies), 6, 4)
    yield "absent", near(found[~applies.numpy()], np.zeros(int((~applies).sum())))
    yield "sums", near(found.sum(axis=1), np.ones(6))
    yield "weights", near(found, saers.model.attention_weights(D, applies))
    yield "shift", near(attention(D + 1000, applies), found)
    yield "nothing", near(attention(D[:1], applies[:1] & False), np.zeros((1, 4)))


def saers_uniform(answer: Any) -> Verdicts:
    """A shopper and two attributes, [3, 2]: disliked on average, liked with attention."""
    user, *moved = numbers(answer, 3, 2)
    terms = np.array([user @ each for each in moved])
    yield "average", bool(terms.mean() < 0)
    yield "attention", bool(terms.max() > 0)


def saers_bpr(loss: Callable[[torch.Tensor], Any]) -> Verdicts:
    """-ln sigmoid of the gap (Eq. 9), for gaps of any size."""
    gaps = torch.tensor([-1000.0, -2.0, 0.0, 3.0, 1000.0])
    found = numbers(loss(gaps), 5)
    yield "equal", near(found[2], np.log(2))
    yield "falls", bool(found[1] > found[2] > found[3])
    yield "far", near(found, np.logaddexp(0, -gaps.double().numpy()))


def saers_constant(swap: Callable[[Array, Array, Array], Any]) -> Verdicts:
    """Swaps of a sum, from f(u) [d], the item's E f [attribute, d] and the average item's."""
    rng = np.random.default_rng(3)
    user, item, average = rng.normal(size=5), rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
    average[1] = item[1]  # everybody's sleeves
    found = numbers(swap(user, item, average), 4)
    yield "same", near(found[1], 0)
    yield "adds", near(found.sum(), (user @ (item - average).T).sum())
    yield "each", near(found, (item - average) @ user)


def saers_others(personal: Callable[[Array], Any]) -> Verdicts:
    """How much of the attention moves from shopper to shopper, [shopper, attribute]."""
    yield "same", near(personal(np.tile([0.2, 0.8], (3, 1))), 0)
    yield "apart", near(personal(np.eye(3)), 1)
    some = np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.3, 0.0]])
    yield "share", near(personal(some), (0.4 + 0.4 + 0.1) / 3)


def saers_against(share: Any, swaps: Array) -> Verdicts:
    """The share of shoppers with a reason against their recommendation."""
    said, below = numbers(share), np.nan_to_num(swaps) < 0
    yield "share", bool(0 <= said <= 1)
    yield "attributes", not near(said, (swaps < 0).sum() / np.isfinite(swaps).sum())
    yield "any", near(said, below.any(axis=1).mean())


def saers_compare(rather: Callable[..., Any]) -> Verdicts:
    """Why i rather than j: a term an attribute, and popularity last."""
    i, j = np.array([0.5, np.nan, -0.2]), np.array([np.nan, 0.3, 0.4])  # nan: it lacks it
    found = numbers(rather(i, j, 1.0, 0.4), 4)
    yield "lacking", near(abs(found[:2]), [0.5, 0.3])
    yield "popularity", near(abs(found[3]), 0.6)
    yield "adds", near(found.sum(), np.nansum(i) + 1.0 - np.nansum(j) - 0.4)


def saers_frames(confirmed: Callable[[Array, int], Any]) -> Verdicts:
    """The share of purchases with an attribute (-1: without) that have a class of it."""
    yield "without", near(confirmed(np.array([2, -1, 2, -1]), 2), 1)
    yield "share", near(confirmed(np.array([1, 0, 1, 2, -1]), 1), 0.5)
    yield "nobody", bool(np.isnan(numbers(confirmed(np.array([-1, -1]), 0))))


def saers_photos_majority(balanced: Callable[[Array, Array], Any]) -> Verdicts:
    """Balanced accuracy, from true and named classes."""
    truth = np.array([0] * 90 + [1] * 8 + [4] * 2)
    yield "perfect", near(balanced(truth, truth), 1)
    yield "guess", near(balanced(truth, np.zeros(100, int)), 1 / 3)
    said = np.where(np.arange(100) % 4 == 0, np.arange(100) % 3, truth)  # 2 is never true
    shares = [(said == truth)[truth == each].mean() for each in (0, 1, 4)]
    yield "share", near(balanced(truth, said), np.mean(shares))
