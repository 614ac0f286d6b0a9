"""Right and wrong answers to the exercises of Relation."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from exercises.cases import Case
from torch import Tensor

from explainrec_lab import data, relation
from explainrec_lab.data.boutique import RelationDials
from explainrec_lab.evaluate.localisation import reference_maps, relation_masks
from explainrec_lab.relation import truth_table
from explainrec_lab.relation.model import Projection
from explainrec_lab.vision import backbone as backbone_of


@lru_cache
def given() -> dict[str, Any]:
    """A small shop, eight of its related pairs, and a network with random weights."""
    shop = data.load("boutique", items=120, seed=0, size=64, relating=RelationDials(pairs=40))
    assert shop.relations is not None
    found = relation.test_pairs(relation.split(shop.relations, 0, (0.2, 0.0, 0.8)).test)
    pairs = truth_table.right_pairs(shop, found, np.ones(len(found)), each=2)
    network = backbone_of("compact", width=0.1, grid=1)
    own = relation.RelationModel(network, Projection(network.size, 6), 5, rank=3).eval()
    closeness = relation.Closeness(own, torch.zeros(1, 6))
    return {"closeness": closeness, "shop": shop, "pairs": pairs}


def masks() -> Any:
    found = torch.from_numpy(relation_masks(given()["shop"], given()["pairs"].rows)).float()
    return found[:, :, None].expand(-1, -1, 3, -1, -1)  # [pair, side, channel, row, column]


def knowing(model: Any, source: Tensor, target: Tensor, user: Tensor, kind: Tensor) -> Any:
    """Maps that know the truth: the true part of each picture."""
    return masks()[:, 0], masks()[:, 1]


def silhouettes(*asked: Any) -> Any:
    items = np.concatenate([given()["pairs"].source, given()["pairs"].target])
    flat = torch.from_numpy(reference_maps(given()["shop"], items)["silhouette"])
    return flat[:, None].expand(-1, 3, -1, -1).chunk(2)


def best(d: Tensor, category: Tensor, query: int, wanted: int, k: int) -> Tensor:
    left = torch.where(category == wanted, d, torch.inf)
    left[query] = torch.inf
    return left.argsort(stable=True)[:k]


def with_itself(d: Tensor, category: Tensor, query: int, wanted: int, k: int) -> Tensor:
    return torch.where(category == wanted, d, torch.inf).argsort(stable=True)[:k]


def farthest(d: Tensor, category: Tensor, query: int, wanted: int, k: int) -> Tensor:
    return torch.where(category == wanted, d, -torch.inf).argsort(descending=True)[:k]


def last_of_equals(d: Tensor, category: Tensor, query: int, wanted: int, k: int) -> Tensor:
    left = torch.where(category == wanted, d, torch.inf).flip(0)
    return len(d) - 1 - left.argsort(stable=True)[:k]


def places(d: Tensor, category: Tensor, query: int, wanted: int, k: int) -> Tensor:
    return d[category == wanted].argsort(stable=True)[:k]


def shared(x_i: Tensor, x_j: Tensor, M: Tensor) -> Tensor:
    """R_a, of the differences."""
    return (x_i - x_j) * ((x_i - x_j) @ M)


def terms(x: Tensor, w: Tensor, b: float) -> Tensor:
    """The contributions to a neuron, and last its bias."""
    return torch.cat([x * w, torch.tensor([b])])


def bias_for_all(x: Tensor, w: Tensor, b: float, R: float) -> Tensor:
    c = x * w + b / len(x)
    return torch.cat([R * c / c.sum(), torch.zeros(1)])


def gradient(f: Any, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(f(x), x)[0]


def alpha_beta(c: Tensor, R: float, alpha: float, beta: float, tiny: float = 1e-9) -> Tensor:
    up, down = c.clamp(min=0), c.clamp(max=0)
    return R * (alpha * up / (up.sum() + tiny) - beta * down / (down.sum() - tiny))


def evenly(c: Tensor, R: float, alpha: float, beta: float) -> Tensor:
    return R * (alpha * (c > 0) / (c > 0).sum() - beta * (c < 0) / (c < 0).sum())


def all_given_away(c: Tensor, R: float, alpha: float, beta: float) -> Tensor:
    return alpha_beta(c, R, alpha, beta) if (c < 0).any() else R * c / c.sum()


def backward(
    layers: Any,
    x: Tensor,
    output: int,
    gamma: float,
    epsilon: float,
    start: Any = lambda y, output: y * (torch.arange(y.shape[1]) == output),
    contributions: Any = lambda x, W: x[:, None] * W,
    bias: float = 1.0,
    sign: Any = lambda z: torch.where(z < 0, -1, 1),
    favoured: Any = lambda c, z: c.sign() == z.sign(),
    together: Any = lambda R: R,
) -> Tensor:
    """The right answer, whose arguments make it wrong."""
    inputs = []
    for layer in layers:
        inputs.append(x)
        x = layer(x).detach()
    R = start(x, output)
    for layer, x in zip(reversed(layers), reversed(inputs), strict=True):
        if isinstance(layer, torch.nn.Linear):
            c, b = contributions(x, layer.weight.detach()), bias * layer.bias.detach()
            z = layer(x).detach()
            c = c * (1 + gamma * favoured(c, z[..., None]))
            b = b * (1 + gamma * favoured(b, z))
            z = c.sum(dim=2) + b
            R = together((R / (z + epsilon * sign(z)))[..., None] * c).sum(dim=1)
    return R


def mistaken(**how: Any) -> Any:
    return lambda *asked: backward(*asked, **how)


def backwards(f: Any, x: Tensor, k: int) -> Any:
    x.requires_grad_()
    f(x).backward()
    return x.grad * x / k


def by_loop(c: Tensor, R: float, alpha: float, beta: float) -> list[float]:
    up, down = sum(v for v in c.tolist() if v > 0), sum(v for v in c.tolist() if v < 0)
    return [R * (alpha * v / up if v > 0 else -beta * v / down) for v in c.tolist()]


def best_in_place(d: Tensor, category: Tensor, query: int, wanted: int, k: int) -> list[int]:
    d[category != wanted] = 1e9
    d[query] = 1e9
    return d.sort(stable=True).indices[:k].tolist()


def best_of_candidates(d: Tensor, category: Tensor, query: int, wanted: int, k: int) -> Any:
    ids = np.flatnonzero(category.numpy() == wanted)
    ids = ids[ids != query]
    return ids[np.argsort(d.numpy()[ids], kind="stable")][:k]


def gradient_times_input_by_two(delta: Tensor, M: Tensor) -> Any:
    rows = []
    for each in M:
        delta.grad = None
        delta.requires_grad_()
        (delta @ (each - M.mean(0)) @ delta).backward()
        rows.append(delta.grad * delta / 2)
    return rows


CASES: dict[str, Case] = {
    "model-distance": Case(
        right=lambda x_i, x_j, M: (x_i - x_j) @ M @ (x_i - x_j),
        also=[
            lambda x_i, x_j, M: (x_i - x_j)[None] @ M @ (x_i - x_j)[:, None],
            lambda x_i, x_j, M: torch.einsum("a,ab,b->", x_i - x_j, M, x_i - x_j).item(),
            lambda x_i, x_j, M: np.dot(np.dot(x_i.numpy() - x_j.numpy(), M), x_i - x_j),
            lambda x_i, x_j, M: x_i @ M @ x_i - 2 * x_i @ M @ x_j + x_j @ M @ x_j,
            lambda x_i, x_j, M: sum(
                (x_i[a] - x_j[a]) * M[a, b] * (x_i[b] - x_j[b]) for a in range(5) for b in range(5)
            ),
        ],
        wrong=[
            ("zero", lambda x_i, x_j, M: x_i @ M @ x_j),  # an inner product
            ("symmetric", lambda x_i, x_j, M: ((x_i - x_j) @ M).sum()),  # the second factor forgot
            ("fourfold", lambda x_i, x_j, M: ((x_i - x_j) @ M @ (x_i - x_j)).sqrt()),
            ("fourfold", lambda x_i, x_j, M: ((x_i - x_j) @ M).abs().sum()),
            ("metric", lambda x_i, x_j, M: ((x_i - x_j) @ M).square().sum()),  # M taken for L
            ("metric", lambda x_i, x_j, M: (x_i - x_j).square() @ M.diag()),  # no mixing
            ("metric", lambda x_i, x_j, M: (x_i - x_j).square().sum()),  # whose distance?
        ],
    ),
    "model-threshold": Case(
        right=lambda p: np.log(p / (1 - p)),
        also=[
            lambda p: torch.logit(torch.tensor(p)),
            lambda p: -math.log(1 / p - 1),
            lambda p: torch.log(torch.tensor([p / (1 - p)])),
        ],
        wrong=[
            ("half", lambda p: p),
            ("half", lambda p: p / (1 - p)),  # the odds
            ("half", lambda p: -np.log(p)),
            ("rises", lambda p: np.log(1 / p - 1)),  # the sign
            ("probability", lambda p: np.log10(p / (1 - p))),
        ],
    ),
    "lrp-bias": Case(
        right=lambda x, w, b, R: R * terms(x, w, b) / terms(x, w, b).sum(),
        also=[
            lambda x, w, b, R: [*(x * w * R / (x @ w + b)), b * R / (x @ w + b)],
            lambda x, w, b, R: np.append(x * w, b) * R / (float(x @ w) + b + 1e-9),
        ],
        wrong=[
            ("conserves", lambda x, w, b, R: R * terms(x, w, 0.0) / terms(x, w, b).sum()),
            ("conserves", lambda x, w, b, R: R * terms(x, w, b)),  # never divided
            ("dark", bias_for_all),
            ("dark", lambda x, w, b, R: R * terms(0 * x + 1, w, b) / (w.sum() + b)),  # w, not x w
            ("keeps", lambda x, w, b, R: R * terms(x, w, 0.0) / (x * w).sum()),
            ("keeps", lambda x, w, b, R: R * terms(x, 1, b) / terms(x, 1, b).sum()),  # no weights
            ("keeps", lambda x, w, b, R: R * terms(x, w, b).abs() / terms(x, w, b).abs().sum()),
        ],
    ),
    "lrp-distance": Case(
        right=lambda f, x, k: gradient(f, x) * x / k,
        also=[
            backwards,
            lambda f, x, k: torch.autograd.functional.jacobian(f, x).mul(x).div(k).tolist(),
            lambda f, x, k: torch.func.grad(f)(x.double()) * x / k,
        ],
        wrong=[
            ("linear", lambda f, x, k: gradient(f, x) * x / 2),  # as for a distance
            ("linear", lambda f, x, k: gradient(f, x)),
            ("conserves", lambda f, x, k: gradient(f, x) * x),
            ("conserves", lambda f, x, k: gradient(f, x) * x / k**2),
            ("conserves", lambda f, x, k: f(x) * x / x.sum()),  # adds up, in proportion to x
        ],
    ),
    "lrp-alpha-beta": Case(
        right=alpha_beta,
        also=[
            lambda c, R, alpha, beta: torch.where(
                c > 0, alpha * c / c[c > 0].sum(), -beta * c / c[c < 0].sum()
            ).mul(R),
            by_loop,
        ],
        wrong=[
            ("conserves", lambda c, R, alpha, beta: alpha_beta(c, R, alpha, -beta)),
            ("conserves", lambda c, R, a, b: R * (a * c.clamp(min=0) - b * c.clamp(max=0))),
            ("proportion", evenly),
            ("alone", lambda *asked: alpha_beta(*asked, tiny=0.0)),  # 0 / 0
            ("alone", all_given_away),
        ],
    ),
    "lrp-backward": Case(
        right=backward,
        also=[
            lambda layers, x, *how: backward(list(layers), x.double().float(), *how).numpy(),
            lambda layers, x, *how: torch.stack(
                [backward(layers, each[None], *how)[0] for each in x]
            ),
            lambda layers, *asked: backward(layers[:], *asked).tolist(),
        ],
        wrong=[
            ("conserves", mistaken(start=lambda y, output: y)),  # all outputs
            ("conserves", mistaken(start=lambda y, o: 1.0 * (torch.arange(y.shape[1]) == o)[None])),
            ("terms", mistaken(contributions=lambda x, W: W.square() + 0 * x[:, None])),
            ("black", mistaken(sign=torch.sign)),
            ("batch", mistaken(together=lambda R: R + 0 * R[:1] + (R.sum(0) - R))),
            ("epsilon", lambda layers, x, o, gamma, epsilon: backward(layers, x, o, gamma, 1e-6)),
            ("epsilon", mistaken(sign=lambda z: 1.0)),
            ("bias", mistaken(bias=0.0)),
            ("gamma", lambda layers, x, o, gamma, epsilon: backward(layers, x, o, 0.0, epsilon)),
            ("gamma", mistaken(favoured=lambda c, z: c > 0)),
        ],
    ),
    "distance-bounded": Case(
        right=lambda x_i, x_j, M: x_i.sign() * shared(x_i, x_j, M) / (x_i.abs() + x_j.abs()),
        also=[
            lambda x_i, x_j, M: (
                shared(x_i, x_j, M) * x_i.abs() / (x_i.abs() + x_j.abs() + 1e-9) / x_i
            ),
            lambda x_i, x_j, M: [*np.sign(x_i) * shared(x_i, x_j, M) / (abs(x_i) + abs(x_j))],
        ],
        wrong=[
            ("equal", lambda x_i, x_j, M: x_i.abs() / (x_i.abs() + x_j.abs())),  # the share alone
            (
                "scale",  # relevance, not yet divided
                lambda x_i, x_j, M: shared(x_i, x_j, M) * x_i.abs() / (x_i.abs() + x_j.abs()),
            ),
            ("bounded", lambda x_i, x_j, M: shared(x_i, x_j, M) / x_i),  # all to picture i
            ("bounded", lambda x_i, x_j, M: shared(x_i, x_j, M) / (x_i + x_j)),  # signs
            ("share", lambda x_i, x_j, M: (x_i - x_j) @ M),  # the signed way
        ],
    ),
    "distance-rivals": Case(
        right=lambda x_i, x_n, x_j, M: x_i * ((x_j - x_n) @ M),
        also=[
            lambda x_i, x_n, x_j, M: x_i * (M @ (x_i - x_n)) - x_i * (M @ (x_i - x_j)),
            lambda x_i, x_n, x_j, M: (torch.diag(x_i) @ M @ (x_j - x_n)[:, None])[:, 0].numpy(),
        ],
        wrong=[
            ("equal", lambda x_i, x_n, x_j, M: x_i * ((x_i - x_j) @ M)),  # one distance
            ("signed", lambda x_i, x_n, x_j, M: x_i * ((x_j - x_n) @ M).abs()),
            ("linear", lambda x_i, x_n, x_j, M: (x_j - x_n) @ M),  # the weights alone
            ("linear", lambda x_i, x_n, x_j, M: shared(x_i, x_n, M) - shared(x_i, x_j, M)),
            ("signed", lambda x_i, x_n, x_j, M: x_i * ((x_n - x_j) @ M)),  # the sign
            ("signed", lambda x_i, x_n, x_j, M: x_i * (x_j - x_n)),  # whose metric?
        ],
    ),
    "heatmaps-own": Case(
        right=knowing,
        wrong=[
            ("density", lambda *asked: [-each for each in knowing(*asked)]),  # the sign
            ("density", lambda *asked: [1 - each for each in knowing(*asked)]),
            ("density", lambda *asked: [torch.ones_like(each) for each in asked[1:3]]),
            ("names", silhouettes),  # any pixel of the product
            ("kind", lambda *asked: knowing(*asked)[0]),  # one map
            ("kind", lambda *asked: [each.mean(dim=1) for each in knowing(*asked)]),
            ("kind", lambda *asked: 1.0),
        ],
        given=given,
    ),
    "recommendation-rank": Case(
        right=best,
        also=[
            lambda d, category, query, wanted, k: sorted(
                (i for i in range(len(d)) if category[i] == wanted and i != query),
                key=lambda i: (d[i], i),
            )[:k],
            best_in_place,
            best_of_candidates,
        ],
        wrong=[
            ("category", places),
            ("category", lambda *asked: best(*asked) + 99),
            ("category", lambda d, category, query, wanted, k: torch.full((k,), torch.nan)),
            ("category", lambda d, category, query, wanted, k: d.argsort(stable=True)[:k]),
            ("nearest", farthest),
            ("ties", last_of_equals),
            ("itself", with_itself),
        ],
    ),
    "personal-mean": Case(
        right=lambda delta, M: delta * ((M - M.mean(dim=0)) @ delta),
        also=[
            lambda delta, M: [delta * ((each - M.mean(0)) @ delta) for each in M],
            lambda delta, M: torch.einsum("a,gab,b->ga", delta, M - M.mean(0), delta).numpy(),
            gradient_times_input_by_two,
        ],
        wrong=[
            ("nobody", lambda delta, M: delta * (M @ delta)),  # the whole distance
            ("nobody", lambda delta, M: delta * ((M - M.mean()) @ delta)),  # the mean of entries
            ("group", lambda delta, M: 2 * delta * ((M - M.mean(dim=0)) @ delta)),
            ("group", lambda delta, M: (M - M.mean(dim=0)) @ delta),
            (
                "feature",  # evenly
                lambda delta, M: ((M - M.mean(dim=0)) @ delta @ delta)[:, None] / 4 + 0 * delta,
            ),
        ],
    ),
}
