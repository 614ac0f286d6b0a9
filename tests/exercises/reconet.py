"""Right and wrong answers to the exercises of RecoNet."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from exercises.cases import Case

import explainrec_lab as lab
from explainrec_lab.data.boutique import ShopperDials
from explainrec_lab.evaluate import truth
from explainrec_lab.reconet.explain import attribute_features


@cache
def small_shop() -> dict[str, Any]:
    """What the page on truth has, of fewer shoppers."""
    dials = ShopperDials(purchases=8)
    shop = lab.data.load("boutique", items=200, shoppers=300, shopping=dials)
    parts = lab.data.split(shop.interactions, fractions=(0.8, 0.0, 0.2))
    space = lab.reconet.FeatureSpace.of(shop)
    model = lab.reconet.trained(parts.train, space, replace(lab.settings("reconet"), epochs=20))
    profiles, asked = space.profiles(parts.train), parts.test
    average = lab.reconet.mean_profile(profiles, space.m)
    Z = lab.reconet.relevance(model, profiles.of_users(asked.user), asked.item, average)
    own = attribute_features(shop.catalogue, space)[asked.item]
    looked_up = truth.hit_rate(shop, asked, lab.reconet.looked_up(Z, own))
    rates = {"RecoNet, looked up": looked_up} | truth.references(shop, parts.test, parts.train)
    return {"shop": shop, "parts": parts, "Z": Z, "rates": rates}


def shared(bought: Any, item: int, codes: Any) -> Any:
    return (codes[bought] == codes[item]) & (codes[item] >= 0)


def had_once(Z: Any, bought: Any, item: int, codes: Any) -> Any:
    return shared(bought, item, codes).any(axis=0)


def highest(own: Any, k: int) -> Any:
    return np.argsort(own)[::-1][:k]


def at_most(own: Any, k: int, held: bool) -> Any:
    order = highest(own, k)
    return [each for each in order if own[each] > 0] if held else order


def leads(q: Any, W: Any) -> Any:
    """Each feature's own score for the best product, less that for the others in order."""
    order = np.argsort(W @ q.mean(axis=0))[::-1]
    return [q @ (W[order[0]] - W[each]) for each in order[1:]]


def regression(R: Any, penalty: float) -> Any:
    P = np.linalg.inv(R.T @ R + penalty * np.eye(R.shape[1]))
    return -P / np.diag(P) * (1 - np.eye(len(P)))


def cosine(R: Any, penalty: float) -> Any:
    length = np.linalg.norm(R, axis=0)
    return (R.T @ R) / np.outer(length, length) * (1 - np.eye(R.shape[1]))


def transposed(R: Any, penalty: float) -> Any:
    return regression(R, penalty).T


def wanted(W: Any, q: Any, item: int, k: int) -> Any:
    """The vector that gives feature k the own score 1 and the others 0."""
    return np.linalg.pinv(q) @ (np.eye(len(q))[k] - q @ W[item])


def one_row(W: Any, q: Any, item: int, k: int) -> Any:
    return np.where(np.arange(len(W))[:, None] == item, W + 99 * q[k], W)


def centred_in_place(W: Any) -> Any:
    W -= W.mean(dim=0)
    return W


def hidden(n: int, beta: float) -> list[float]:
    chance, found = 1.0, []
    for gone in range(1, n):
        chance *= (1 + gone) ** -beta
        found.append(chance)
    return found


def greedy(own: Any, k: int, held: bool) -> list[int]:
    found: list[int] = []
    for _ in range(k):
        left = [i for i in range(len(own)) if i not in found]
        best = max(left, key=lambda i: own[i])
        if held and own[best] <= 0:
            break
        found.append(best)
    return found


def float32_attack(W: Any, q: Any, item: int, k: int) -> Any:
    own = torch.zeros(len(q))
    own[k] = 10
    W, q = torch.tensor(W).float(), torch.tensor(q).float()
    return W + torch.linalg.lstsq(q, (own - q @ W[item])[:, None], driver="gelsd").solution[:, 0]


def apart(q: Any, k: int) -> Any:
    """A vector that stands square on all features but k, as long as its own score with k is 1."""
    return np.linalg.pinv(q)[:, k]


def ridge_by_column(R: Any, penalty: float) -> Any:
    B = np.zeros((R.shape[1],) * 2)
    for j in range(len(B)):
        rest = [i for i in range(len(B)) if i != j]
        X = R[:, rest]
        B[rest, j] = np.linalg.solve(X.T @ X + penalty * np.eye(len(rest)), X.T @ R[:, j])
    return B


def written_in(liked: Any, known: Any, head: Any) -> Any:
    liked[:, head] = False
    known[:, head] = True
    return liked, known


CASES = {
    "reconet-beta": Case(
        right=lambda n, beta: sum(math.factorial(r) ** -beta for r in range(1, n + 1)),
        also=[
            lambda n, beta: torch.exp(-beta * torch.lgamma(torch.arange(1.0, n + 1) + 1)).sum(),
            lambda n, beta: np.cumprod(1 / np.arange(1, n + 1) ** beta).sum(),
            partial(lambda one, n, beta: one + sum(hidden(n, beta)), 1),
        ],
        wrong=[
            ("all", lambda n, beta: sum(math.factorial(r) ** -beta for r in range(1, n))),
            ("all", lambda n, beta: 1 / (n + 1) ** beta),  # one step's probability
            ("first", lambda n, beta: sum((r + 1.0) ** -beta for r in range(1, n + 1))),
            ("mean", lambda n, beta: sum(float(r) ** -beta for r in range(1, n + 1))),
            ("mean", lambda n, beta: np.cumprod(1 / (1 + beta * np.arange(n))).sum()),  # 1 + beta r
        ],
    ),
    "reconet-removal": Case(
        right=lambda n, Z, y: n * (y - Z) / (n - 1),
        wrong=[
            ("unmoved", lambda n, Z, y: y - Z),  # as if the score were a sum
            ("unmoved", lambda n, Z, y: (n * y - Z) / (n - 1)),  # Z is a vote divided by n
            ("falls", lambda n, Z, y: n * (y + Z) / (n + 1)),  # added, not taken away
            ("score", lambda n, Z, y: y + y / n - Z),  # still divided by n
        ],
    ),
    "reconet-attack": Case(
        right=lambda W, q, item, k: W + wanted(W, q, item, k),
        also=[
            float32_attack,
            lambda W, q, item, k: [list(row + 40 * apart(q, k)) for row in W],
        ],
        wrong=[
            ("nobody", one_row),
            ("nobody", lambda W, q, item, k: 5 * W),  # same order, other probabilities
            ("nobody", lambda W, q, item, k: W - W.mean(axis=1, keepdims=True)),
            ("first", lambda W, q, item, k: W + 99 * q[k]),  # another may point the same way
            ("first", lambda W, q, item, k: W - W.mean(axis=0)),
        ],
    ),
    "reconet-at-most": Case(
        right=at_most,
        also=[
            lambda own, k, held: set(at_most(own, k, held)),
            lambda own, k, held: torch.tensor([int(each) for each in at_most(own, k, held)]),
            lambda own, k, held: tuple(int(each) for each in at_most(own, k, held)),
            greedy,
        ],
        wrong=[
            ("few", lambda own, k, held: [i for i, each in enumerate(own) if each > 0]),
            ("few", lambda own, k, held: [own.argmax()] * k),
            ("few", lambda own, k, held: [np.nan]),
            ("few", lambda own, k, held: np.sort(own)[::-1][:k]),  # own scores, no places
            ("kind", lambda own, k, held: "the largest"),
            ("kind", lambda own, k, held: [[0], [1, 2]]),
            ("largest", lambda own, k, held: np.argsort(own)[:k]),
            ("held", lambda own, k, held: highest(own, k)),
            ("renormalised", lambda own, k, held: at_most(own, k, True)),
        ],
    ),
    "reconet-still-first": Case(
        right=lambda q, W, k: highest(leads(q, W)[0], k),
        also=[
            lambda q, W, k: {*highest(leads(q, W)[0], k)},
            lambda q, W, k: torch.topk(torch.tensor(leads(q, W)[0]), k).indices,
        ],
        wrong=[
            ("count", lambda q, W, k: highest(leads(q, W)[0], k + 1)),
            ("closer", lambda q, W, k: highest(-leads(q, W)[0], k)),  # what speaks for the second
            ("best", lambda q, W, k: highest(q @ W[np.argmax(W @ q.mean(axis=0))], k)),
            ("best", lambda q, W, k: highest(leads(q, W)[-1], k)),  # the last, not the second
        ],
    ),
    "reconet-loo": Case(
        right=lambda n, Z, y: n / (n - 1) * (Z - y / n),
        wrong=[
            ("zero", lambda n, Z, y: n / (n - 1) * Z),
            ("zero", lambda n, Z, y: (n * Z - y) / (n - 1) + y),
            ("sign", lambda n, Z, y: n / (n - 1) * (y / n - Z)),  # the change, not the fall
            ("size", lambda n, Z, y: Z - y / n),
            ("size", lambda n, Z, y: n * (Z - y / n)),
        ],
    ),
    "reconet-ig": Case(
        right=lambda n, Z, y, t: (n * Z - y) / (n * t),
        wrong=[
            ("level", lambda n, Z, y, t: Z / t),  # the denominator held
            ("level", lambda n, Z, y, t: (Z - y) / t),
            ("steeper", lambda n, Z, y, t: (n * Z - y) / n),  # the last step alone
            ("steeper", lambda n, Z, y, t: (n * Z - y) / (n * t**2)),
            ("size", lambda n, Z, y, t: (n * Z - y) / t),
        ],
    ),
    "reconet-drop-one": Case(
        right=[[3, 2, 0], [9, 0, 0]],
        also=[np.array([[0.0, 1, 5], [0, 0, 9]]), torch.tensor([[2, 3, 1], [1, 8, 1]])],
        wrong=[
            ("kind", [3, 2, 0]),
            ("one", [[3, 3, 0], [9, 0, 0]]),
            ("another", [[3, 2, 0], [0, 0, 0]]),
            ("another", [[2, 3, 0], [2, 3, 0]]),  # always one half: drop-one names nobody
            ("another", [[3, 2, 0], [np.nan, 0, 0]]),
            ("another", [[3, 2, 0], [9, 9, 9]]),  # the other product gains from all alike
        ],
    ),
    "reconet-explainer": Case(
        right=lambda Z, bought, item, codes: (
            shared(bought, item, codes).sum(axis=0)
            - len(bought) * (codes == codes[item]).mean(axis=0)
        ),
        wrong=[
            ("kind", lambda Z, bought, item, codes: codes[item].argmax()),
            ("personal", lambda Z, bought, item, codes: -(codes == codes[item]).mean(axis=0)),
            ("guessing", lambda Z, bought, item, codes: -Z[bought] @ shared(bought, item, codes)),
            (
                "RecoNet, looked up",
                lambda Z, bought, item, codes: shared(bought, item, codes).any(0),
            ),
            (
                "RecoNet, looked up",
                lambda Z, bought, item, codes: codes[bought[-1]] == codes[item],
            ),
        ],
        given=small_shop,
    ),
    "reconet-ease-napkin": Case(
        right=regression,
        also=[
            lambda R, penalty: pd.DataFrame(regression(R, penalty)),
            lambda R, penalty: regression(R.astype(np.float32), np.float32(penalty)),
            ridge_by_column,
        ],
        wrong=[
            ("diagonal", lambda R, penalty: regression(R, penalty) - np.eye(R.shape[1])),
            ("together", lambda R, penalty: -regression(R, penalty)),
            ("column", transposed),  # divided by the row's number
            ("column", lambda R, penalty: regression(R, 0.01)),
            ("column", cosine),
        ],
    ),
    "reconet-popular-half": Case(
        right=lambda liked, known, head: (liked & ~head, known | head),
        also=[
            written_in,
            lambda liked, known, head: [liked * (1 - head), np.maximum(known, head)],
            lambda liked, known, head: np.stack([liked > head, known + head]),
        ],
        wrong=[
            ("counts", lambda liked, known, head: (liked, known | head)),
            ("counts", lambda liked, known, head: (liked & head, known | head)),
            ("head", lambda liked, known, head: (liked & ~head, known)),
            ("known", lambda liked, known, head: (liked & ~head, np.tile(head, (6, 1)))),
        ],
    ),
    "reconet-page-bytes": Case(
        right=lambda limit, rows, bits, rest: (limit - rest) // (rows * bits / 8 * 4 / 3),
        wrong=[
            ("whole", lambda limit, rows, bits, rest: (limit - rest) / (rows * bits / 6)),
            ("fits", lambda limit, rows, bits, rest: (limit - rest) // (rows * bits / 8)),
            ("fits", lambda limit, rows, bits, rest: limit // (rows * bits / 6)),
            ("full", lambda limit, rows, bits, rest: (limit - rest) // (rows * bits * 4 / 3)),
            ("bits", lambda limit, rows, bits, rest: (limit - rest) * 3 // 4 // (rows * 2)),
        ],
    ),
    "reconet-page-centre": Case(
        right=lambda W: W - W.mean(axis=0),
        also=[
            centred_in_place,
            lambda W: W - W.mean(dim=0, keepdim=True),
            lambda W: [list(row - W.numpy().mean(axis=0)) for row in W.numpy()],
            lambda W: W - (W.amax(dim=0) + W.amin(dim=0)) / 2,
        ],
        wrong=[
            ("same", lambda W: W - W.mean(axis=1, keepdims=True)),
            ("same", lambda W: W / abs(W).max()),
            ("same", lambda W: (W - W.mean(axis=0)) / W.std(axis=0)),
            ("smaller", lambda W: W),
            ("smaller", lambda W: W + W.mean(axis=0)),
        ],
    ),
    "reconet-page-rather": Case(
        right=lambda q, W, X, Y: q @ (W[X] - W[Y]) / len(q),
        also=[
            lambda q, W, X, Y: [float(torch.dot(each, W[X] - W[Y])) / len(q) for each in q],
            lambda q, W, X, Y: (q * (W[X] - W[Y])).sum(dim=1).float() / q.shape[0],
        ],
        wrong=[
            ("opposite", lambda q, W, X, Y: q @ W[X] / len(q)),
            ("opposite", lambda q, W, X, Y: abs(q @ W[X] - q @ W[Y]) / len(q)),
            ("unmoved", lambda q, W, X, Y: q @ (abs(W[X]) * W[X] - abs(W[Y]) * W[Y]) / len(q)),
            ("sums", lambda q, W, X, Y: q @ (W[X] - W[Y])),
            ("sums", lambda q, W, X, Y: q @ (W[Y] - W[X]) / len(q)),
        ],
    ),
}
