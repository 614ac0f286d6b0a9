"""Right and wrong answers to the exercises of SAERS."""

from __future__ import annotations

import math
from itertools import combinations, pairwise, permutations

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from exercises.cases import Case
from scipy.spatial.distance import pdist


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


def digitized(p, right, edges, right_edge):
    bins = np.digitize(p, edges, right=right_edge) - 1
    return [(p[bins == n].mean(), right[bins == n].mean()) for n in range(len(edges) - 1)]


def softmin(counts):
    return (1 / counts) / (1 / counts).sum()


def softmax_in_place(D, applies):
    D -= D.amax(dim=1, keepdim=True)
    D[~applies] = -torch.inf
    D.exp_()
    return D / D.sum(dim=1, keepdim=True).clamp(min=1e-30)


def softmax_by_hand(D, applies):
    rows = []
    for answers, mask in zip(D.tolist(), applies.tolist(), strict=True):
        most = max(answers)
        e = [math.exp(a - most) * on for a, on in zip(answers, mask, strict=True)]
        rows.append([each / (sum(e) or 1) for each in e])
    return rows


class Minus(torch.nn.Module):
    def forward(self, gap):
        return -gap


def rather_in_place(i, j, b_i, b_j):
    i[np.isnan(i)] = 0
    j[np.isnan(j)] = 0
    return np.concatenate([i - j, [b_i - b_j]])


def recall_of_true(truth, said):
    right, all_of = {}, {}
    for t, s in zip(truth, said, strict=True):
        all_of[t] = all_of.get(t, 0) + 1
        right[t] = right.get(t, 0) + (t == s)
    return sum(right[t] / all_of[t] for t in all_of) / len(all_of)


SWAPS = np.array([[0.3, -0.1, np.nan], [0.2, np.nan, 0.1], [-0.4, -0.2, -0.5], [0.1, 0.2, 0.3]])

CASES = {
    "attributes-weights": Case(
        right=lambda labels: (labels >= 0).sum(0) / (labels >= 0).sum(),
        also=[
            lambda labels: [
                float((col != -1).sum()) / int((labels != -1).sum()) for col in labels.T
            ],
            lambda labels: (pd.DataFrame(labels) >= 0).sum() / (labels.numpy() >= 0).sum(),
        ],
        wrong=[
            ("sums", lambda labels: (labels >= 0).float().mean(0)),
            ("sums", lambda labels: (labels >= 0).sum(0)),
            ("absent", lambda labels: torch.full((3,), len(labels)) / labels.numel()),
            ("zero", lambda labels: (labels > 0).sum(0) / (labels > 0).sum()),
            ("zero", lambda labels: softmin((labels >= 0).sum(0))),  # the weights, not the shares
        ],
    ),
    "attributes-believe": Case(
        right=reliability,
        also=[
            lambda p, right, edges: (
                pd.DataFrame({"p": p, "right": right}).groupby(pd.cut(p, edges)).mean()
            ),
            lambda p, right, edges: digitized(p, right, edges, right_edge=True),
            lambda p, right, edges: torch.tensor(reliability(p, right, edges)).float(),
        ],
        wrong=[
            ("between", lambda p, right, edges: reliability(p, right, edges)[:, ::-1]),
            ("said", middles),
            ("said", lambda p, right, edges: digitized(p, right, edges, right_edge=False)),
            ("said", lambda p, right, edges: reliability(p, right, edges, centre=np.median)),
            ("right", lambda p, right, edges: reliability(p, right, edges, share=np.sum)),
        ],
    ),
    "neckline-aam": Case(
        right=lambda F, g: (g.mean((1, 2))[:, None, None] * F).sum(0).relu(),
        also=[
            lambda F, g: np.maximum(
                0, sum(a.mean() * each for a, each in zip(g.numpy(), F.numpy(), strict=True))
            ),
            lambda F, g: torch.einsum("t,tmn->mn", g.double().mean((1, 2)), F.double()).clamp(
                min=0
            ),
        ],
        wrong=[
            ("positive", lambda F, g: (g.mean((1, 2))[:, None, None] * F).sum(0)),
            ("average", lambda F, g: (g * F).sum(0).relu()),  # HiResCAM
            ("map", lambda F, g: (g.mean((1, 2))[:, None, None] * F).relu().sum(0)),
            ("map", lambda F, g: (g.mean((1, 2))[:, None, None] * F).mean(0).relu()),
            ("map", lambda F, g: (g.sum((1, 2))[:, None, None] * F).sum(0).relu()),
            ("map", lambda F, g: F[0] * 0),
        ],
    ),
    "neckline-linear": Case(
        right=lambda F, w: ((w - w.mean((1, 2), keepdim=True)) * F).sum(),
        also=[
            lambda F, w: float((w * F).sum() - (w.mean((1, 2)) * F.sum((1, 2))).sum()),
            lambda F, w: [(w * (F - F.mean((1, 2), keepdim=True))).double().sum()],
        ],
        wrong=[
            ("pooled", lambda F, w: (w.mean((1, 2), keepdim=True) * F).sum()),
            ("pooled", lambda F, w: ((w - w.mean()) * F).sum()),
            ("missed", lambda F, w: ((w.mean((1, 2), keepdim=True) - w) * F).sum()),
        ],
    ),
    "neckline-share": Case(
        right=honest,
        also=[
            lambda iou, chosen: torch.tensor(honest(iou, chosen)),
            lambda iou, chosen: honest(pd.DataFrame(iou).to_numpy(), np.array(chosen)),
        ],
        wrong=[
            ("chosen", lambda iou, chosen: (iou.mean(1).argmax(), iou.mean(1).max())),
            ("chosen", lambda iou, chosen: honest(iou, ~chosen)),
            ("told", lambda iou, chosen: (honest(iou, chosen)[0], iou[:, chosen].mean(1).max())),
            ("told", lambda iou, chosen: (honest(iou, chosen)[0], iou[:, ~chosen].mean(1).max())),
        ],
    ),
    "saers-shift": Case(
        right=softmax,
        also=[
            lambda D, applies: softmax(D.double(), applies).numpy(),
            softmax_in_place,
            lambda D, applies: [
                softmax(D[i : i + 1], applies[i : i + 1])[0] for i in range(len(D))
            ],
            softmax_by_hand,
        ],
        wrong=[
            ("absent", lambda D, applies: (D * applies).softmax(1)),
            ("sums", lambda D, applies: D.softmax(1) * applies),
            ("shift", unstable),
            ("nothing", lambda D, applies: D.masked_fill(~applies, -torch.inf).softmax(1)),
            ("weights", lambda D, applies: softmax(2 * D, applies)),
            ("weights", lambda D, applies: softmax(D.abs(), applies)),
        ],
    ),
    "saers-uniform": Case(
        right=[[1, 0], [1, 0], [-3, 0]],
        also=[
            [torch.tensor([1.0, 1]), torch.tensor([-3.0, 0]), torch.tensor([2.0, 0])],
            np.array([(1, 2), (0, 1), (0, -2)]),
            pd.DataFrame([(1, 2), (0, 1), (0, -2)]),
        ],
        wrong=[
            ("average", [[1, 0], [3, 0], [-1, 0]]),
            ("average", [[0, 0], [1, 0], [-3, 0]]),
            ("attention", [[1, 0], [-1, 0], [-3, 0]]),
            ("kind", [[1, 0], [1, 0]]),
            ("kind", [[1, 0], [1, 0], ...]),
            ("average", [[1, 0], [np.nan, 0], [1, 0]]),
        ],
    ),
    "saers-bpr": Case(
        right=lambda gap: F.softplus(-gap),
        also=[
            lambda gap: np.logaddexp(0, -gap.numpy()),
            lambda gap: -F.logsigmoid(gap.double()),
            lambda gap: [math.log1p(math.exp(-abs(g))) + max(-g, 0) for g in gap.tolist()],
            lambda gap: [F.softplus(-g.requires_grad_()) for g in gap],
            torch.nn.Sequential(Minus(), torch.nn.Softplus()),
        ],
        wrong=[
            ("equal", lambda gap: -torch.sigmoid(gap)),
            ("falls", lambda gap: F.softplus(gap)),
            ("far", lambda gap: -torch.sigmoid(gap).log()),
            ("far", lambda gap: -torch.sigmoid(gap).clamp(min=1e-12).log()),
            ("kind", lambda gap: F.softplus(-gap).mean()),
        ],
    ),
    "saers-constant": Case(
        right=swap,
        also=[
            lambda user, item, average: [
                sum(user * (a - b)) for a, b in zip(item, average, strict=True)
            ],
            lambda user, item, average: pd.Series(item @ user) - average @ user,
        ],
        wrong=[
            ("same", lambda user, item, average: item @ user),  # the contribution
            ("adds", lambda user, item, average: (average - item) @ user),
            ("adds", lambda user, item, average: np.abs((item - average) @ user)),
            ("each", lambda user, item, average: swap(user, item, average)[[2, 1, 3, 0]]),
        ],
    ),
    "saers-others": Case(
        right=personal,
        also=[
            lambda weights: pdist(weights, "cityblock").mean() / 2,
            lambda weights: torch.pdist(torch.tensor(weights), p=1).mean() / 2,
            lambda weights: np.mean(
                [np.maximum(a - b, 0).sum() for a, b in permutations(weights, 2)]
            ),
        ],
        wrong=[
            ("same", lambda weights: weights.std(axis=1).mean()),
            ("apart", lambda weights: personal(weights, scale=1)),
            ("share", lambda weights: np.abs(np.diff(weights, axis=0)).sum(axis=1).mean() / 2),
            (
                "share",
                lambda weights: np.mean([max(abs(a - b)) for a, b in combinations(weights, 2)]),
            ),
            ("apart", lambda weights: weights.std(axis=0).mean()),
            (
                "share",
                lambda weights: max(np.abs(a - b).sum() / 2 for a, b in combinations(weights, 2)),
            ),
        ],
    ),
    "saers-against": Case(
        right=0.5,
        also=[np.float32(0.5), torch.tensor([0.5]), "0.5"],
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
        also=[
            lambda i, j, b_i, b_j: [*(pd.Series(i).fillna(0) - pd.Series(j).fillna(0)), b_i - b_j],
            rather_in_place,
        ],
        wrong=[
            ("lacking", lambda i, j, b_i, b_j: np.append(np.nan_to_num(i - j), b_i - b_j)),
            ("adds", lambda i, j, b_i, b_j: -rather(i, j, b_i, b_j)),  # why j rather than i
            ("popularity", lambda i, j, b_i, b_j: rather(i, j, b_i, 0)),
            ("lacking", lambda i, j, b_i, b_j: np.append(i - np.nan_to_num(j), b_i - b_j)),
            ("popularity", lambda i, j, b_i, b_j: np.append(rather(i, j, 0, 0)[:3], 0)),
            ("adds", lambda i, j, b_i, b_j: np.append(rather(i, j, 0, 0)[:2], [0.6, b_i - b_j])),
        ],
    ),
    "saers-frames": Case(
        right=confirmed,
        also=[
            lambda bought, code: torch.tensor(confirmed(bought, code)),
            lambda bought, code: float(np.float64((bought == code).sum()) / (bought != -1).sum()),
        ],
        wrong=[
            ("without", lambda bought, code: (bought == code).mean()),
            ("share", lambda bought, code: float((bought == code).any()) or np.nan),
            ("nobody", lambda bought, code: np.nan_to_num(confirmed(bought, code))),
        ],
    ),
    "saers-photos-majority": Case(
        right=balanced,
        also=[
            lambda truth, said: pd.Series(said == truth).groupby(truth).mean().mean(),
            recall_of_true,
        ],
        wrong=[
            ("perfect", every_class),
            ("guess", lambda truth, said: (truth == said).mean()),
            ("guess", precision),
            ("share", lambda truth, said: sum(recalls(truth, said)) / len({*truth, *said})),
            ("share", lambda truth, said: np.mean(np.round(recalls(truth, said)))),
        ],
    ),
}
