"""Right and wrong answers to the exercises of SAERS."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import torch
import torch.nn.functional as F
from exercises.cases import Case


def reliability(p, right, edges, centre=np.mean, share=np.mean):
    rows = []
    for low, high in pairwise(edges):
        inside = (low < p) & (p <= high)
        rows.append([centre(p[inside]), share(right[inside])])
    return np.array(rows)


def middles(p, right, edges):
    return np.c_[(edges[:-1] + edges[1:]) / 2, reliability(p, right, edges)[:, 1]]


def softmax(D, applies):
    return D.masked_fill(~applies, -torch.inf).softmax(dim=1).nan_to_num()


def unstable(D, applies):
    e = D.exp() * applies
    return (e / e.sum(dim=1, keepdim=True)).nan_to_num()


def personal(weights, scale=2):
    pairs = combinations(weights, 2)
    return np.mean([np.abs(a - b).sum() / scale for a, b in pairs])


def recalls(truth, said):
    return [(said == truth)[truth == each].mean() for each in np.unique(truth)]


def balanced(truth, said):
    return np.mean(recalls(truth, said))


def precision(truth, said):
    return np.mean([(said == truth)[said == each].mean() for each in np.unique(said)])


def every_class(truth, said):
    shares = [(said == truth)[truth == each].sum() for each in range(truth.max() + 1)]
    counts = np.maximum(np.bincount(truth), 1)
    return np.mean(shares / counts)


def confirmed(bought, code):
    has = bought[bought >= 0]
    return (has == code).mean() if len(has) else np.nan


def rather(i, j, b_i, b_j):
    return np.append(np.nan_to_num(i) - np.nan_to_num(j), b_i - b_j)


def swap(user, item, average):
    return (item - average) @ user


def honest(iou, chosen):
    best = iou[:, chosen].mean(axis=1).argmax()
    return best, iou[best, ~chosen].mean()


SWAPS = np.array([[0.3, -0.1, np.nan], [0.2, np.nan, 0.1], [-0.4, -0.2, -0.5], [0.1, 0.2, 0.3]])

CASES = {
    "attributes-weights": Case(
        right=lambda labels: (labels >= 0).sum(0) / (labels >= 0).sum(),
        wrong=[
            ("sums", lambda labels: (labels >= 0).float().mean(0)),
            ("sums", lambda labels: (labels >= 0).sum(0)),
            ("absent", lambda labels: torch.full((3,), len(labels)) / labels.numel()),
            ("zero", lambda labels: (labels > 0).sum(0) / (labels > 0).sum()),
        ],
    ),
    "attributes-believe": Case(
        right=reliability,
        wrong=[
            ("between", lambda p, right, edges: reliability(p, right, edges)[:, ::-1]),
            ("said", middles),
            ("said", lambda p, right, edges: reliability(p, right, edges, centre=np.median)),
            ("right", lambda p, right, edges: reliability(p, right, edges, share=np.sum)),
        ],
    ),
    "neckline-aam": Case(
        right=lambda F, g: (g.mean((1, 2))[:, None, None] * F).sum(0).relu(),
        wrong=[
            ("positive", lambda F, g: (g.mean((1, 2))[:, None, None] * F).sum(0)),
            ("average", lambda F, g: (g * F).sum(0).relu()),  # HiResCAM
            ("map", lambda F, g: (g.mean((1, 2))[:, None, None] * F).relu().sum(0)),
            ("map", lambda F, g: (g.mean((1, 2))[:, None, None] * F).mean(0).relu()),
        ],
    ),
    "neckline-linear": Case(
        right=lambda F, w: ((w - w.mean((1, 2), keepdim=True)) * F).sum(),
        wrong=[
            ("pooled", lambda F, w: (w.mean((1, 2), keepdim=True) * F).sum()),
            ("pooled", lambda F, w: ((w - w.mean()) * F).sum()),
            ("missed", lambda F, w: ((w.mean((1, 2), keepdim=True) - w) * F).sum()),
        ],
    ),
    "neckline-share": Case(
        right=honest,
        wrong=[
            ("chosen", lambda iou, chosen: (iou.mean(1).argmax(), iou.mean(1).max())),
            ("chosen", lambda iou, chosen: honest(iou, ~chosen)),
            ("told", lambda iou, chosen: (honest(iou, chosen)[0], iou[:, chosen].mean(1).max())),
            ("told", lambda iou, chosen: (honest(iou, chosen)[0], iou[:, ~chosen].mean(1).max())),
        ],
    ),
    "saers-shift": Case(
        right=softmax,
        wrong=[
            ("absent", lambda D, applies: (D * applies).softmax(1)),
            ("sums", lambda D, applies: D.softmax(1) * applies),
            ("shift", unstable),
            ("nothing", lambda D, applies: D.masked_fill(~applies, -torch.inf).softmax(1)),
            ("weights", lambda D, applies: softmax(2 * D, applies)),
        ],
    ),
    "saers-uniform": Case(
        right=[[1, 0], [1, 0], [-3, 0]],
        wrong=[
            ("average", [[1, 0], [3, 0], [-1, 0]]),
            ("average", [[0, 0], [1, 0], [-3, 0]]),
            ("attention", [[1, 0], [-1, 0], [-3, 0]]),
            ("kind", [[1, 0], [1, 0]]),
        ],
    ),
    "saers-bpr": Case(
        right=lambda gap: F.softplus(-gap),
        wrong=[
            ("equal", lambda gap: -torch.sigmoid(gap)),
            ("falls", lambda gap: F.softplus(gap)),
            ("far", lambda gap: -torch.sigmoid(gap).log()),
        ],
    ),
    "saers-constant": Case(
        right=swap,
        wrong=[
            ("same", lambda user, item, average: item @ user),  # the contribution
            ("adds", lambda user, item, average: (average - item) @ user),
            ("adds", lambda user, item, average: np.abs((item - average) @ user)),
            ("each", lambda user, item, average: swap(user, item, average)[[2, 1, 3, 0]]),
        ],
    ),
    "saers-others": Case(
        right=personal,
        wrong=[
            ("same", lambda weights: weights.std(axis=1).mean()),
            ("apart", lambda weights: personal(weights, scale=1)),
            ("apart", lambda weights: weights.std(axis=0).mean()),
            (
                "share",
                lambda weights: max(np.abs(a - b).sum() / 2 for a, b in combinations(weights, 2)),
            ),
        ],
    ),
    "saers-against": Case(
        right=0.5,
        given=lambda: {"swaps": SWAPS},
        wrong=[
            ("share", 50),
            ("attributes", 4 / 10),
            ("any", 0.25),  # the strongest reason is against
            ("any", 0.0),
        ],
    ),
    "saers-compare": Case(
        right=rather,
        wrong=[
            ("lacking", lambda i, j, b_i, b_j: np.append(np.nan_to_num(i - j), b_i - b_j)),
            ("lacking", lambda i, j, b_i, b_j: -rather(i, j, b_i, b_j)),
            ("popularity", lambda i, j, b_i, b_j: np.append(rather(i, j, 0, 0)[:3], 0)),
            ("adds", lambda i, j, b_i, b_j: np.append(rather(i, j, 0, 0)[:2], [0.6, b_i - b_j])),
        ],
    ),
    "saers-frames": Case(
        right=confirmed,
        wrong=[
            ("without", lambda bought, code: (bought == code).mean()),
            ("share", lambda bought, code: float((bought == code).any()) or np.nan),
            ("nobody", lambda bought, code: np.nan_to_num(confirmed(bought, code))),
        ],
    ),
    "saers-photos-majority": Case(
        right=balanced,
        wrong=[
            ("perfect", every_class),
            ("guess", lambda truth, said: (truth == said).mean()),
            ("guess", precision),
            ("share", lambda truth, said: np.mean(np.round(recalls(truth, said)))),
        ],
    ),
}
