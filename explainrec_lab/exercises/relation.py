"""What is right in the exercises of Relation: each checker computes it, on numbers by chance."""

from typing import Any

import torch

from explainrec_lab import lrp, relation
from explainrec_lab.exercises.answers import Verdicts, near, numbers

CARD = {"mass_ratio": "density in the part", "pointing": "points to it", "densest": "names it"}


def _drawn(*shapes: int | tuple[int, ...]) -> list[torch.Tensor]:
    """Numbers by chance, the same ones every time."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in shapes]


# ---------------------------------------------------------------------------------- model


def model_distance(distance: Any) -> Verdicts:
    """d of two feature vectors, with the metric M of a user (§2.1, Eq. 1)."""
    x_i, x_j, L = _drawn(5, 5, (5, 2))
    M, d = L @ L.T, numbers(distance(x_i, x_j, L @ L.T))
    yield "zero", near(distance(x_i, x_i, M), 0.0)
    yield "symmetric", near(distance(x_j, x_i, M), d)
    yield "fourfold", near(distance(x_i, 2 * x_j - x_i, M), 4 * d)
    yield "metric", near(d, ((x_i - x_j) @ L).square().sum())


def model_threshold(threshold: Any) -> Verdicts:
    """The q that gives equal pictures the probability p (§2.1, Eq. 2)."""
    yield "half", near(threshold(0.5), 0.0)
    yield "rises", bool(numbers(threshold(0.3)) < numbers(threshold(0.6)))
    yield "probability", near(torch.tensor(numbers(threshold(0.9))).sigmoid(), 0.9)


# ----------------------------------------------------------------------------- propagation


def lrp_bias(shares: Any) -> Verdicts:
    """What the inputs of a neuron get, and last what its bias keeps (Eq. 4, epsilon = 0)."""
    terms = torch.tensor([3.0, 0.0, -1.0, 2.0, 0.5])
    found = numbers(shares(terms[:4] / 2, torch.full((4,), 2.0), 0.5, 2.0), 5)
    yield "conserves", near(found.sum(), 2.0)
    yield "dark", near(found[1], 0.0)
    yield "keeps", near(found, 2.0 * terms / terms.sum())


def lrp_distance(explained: Any) -> Verdicts:
    """Relevance of a function that is homogeneous of degree k."""
    (x,) = _drawn(5)
    yield "linear", near(explained(lambda x: 3 * x.sum(), x, 1), 3 * x)
    yield "conserves", near(explained(lambda x: (x**3).sum(), x, 3), x**3)


def lrp_alpha_beta(shares: Any) -> Verdicts:
    """What the contributions c to a neuron get of its relevance, by the alpha-beta rule."""
    up, down = _drawn(3)[0].abs(), -_drawn(2)[0].abs()
    found = numbers(shares(torch.cat([up, down]), 2.0, 3.0, 2.0), 5)
    yield "conserves", near(found.sum(), 2.0)
    yield "proportion", near(found, torch.cat([6 * up / up.sum(), -4 * down / down.sum()]))
    yield "alone", near(shares(up, 2.0, 3.0, 2.0), 6 * up / up.sum())


def lrp_backward(backward: Any) -> Verdicts:
    """LRP through linear layers and ReLUs, by the gamma rule; gamma = 0 is the epsilon rule."""
    first, last = torch.nn.Linear(4, 6), torch.nn.Linear(6, 3)
    first.weight.data, last.weight.data, x = _drawn((6, 4), (3, 6), (3, 4))
    first.bias.data, last.bias.data = torch.zeros(6), torch.zeros(3)
    net = torch.nn.Sequential(first, torch.nn.ReLU(), last).eval()
    one = numbers(backward(net, x[:1], 2, 0.0, 1e-6), 1, 4)
    yield "conserves", near(one.sum(), net(x[:1])[0, 2])
    yield "terms", near(one, lrp.relevance(net, x[:1], 2))
    yield "black", near(backward(net, 0 * x, 2, 0.0, 1e-6), 0 * x)
    yield "batch", near(backward(net, x, 2, 0.0, 1e-6)[:1], one)
    yield "epsilon", near(backward(net, x, 2, 0.0, 0.5), lrp.relevance(net, x, 2, lrp.Epsilon(0.5)))
    first.bias.data += 1
    yield "bias", near(backward(net, x, 2, 0.0, 1e-6), lrp.relevance(net, x, 2))
    yield "gamma", near(backward(net, x, 2, 0.5, 1e-6), lrp.relevance(net, x, 2, lrp.Gamma(0.5)))


# ------------------------------------------------------------------------------- distance


def distance_bounded(multiplier: Any) -> Verdicts:
    """R / x of picture i in the proportional way."""
    x_i, x_j, L = _drawn(4, 4, (4, 2))
    M, found = L @ L.T, torch.tensor(numbers(multiplier(x_i, x_j, L @ L.T), 4))
    yield "equal", near(multiplier(x_i, x_i, M), torch.zeros(4))
    yield "scale", near(multiplier(2 * x_i, 2 * x_j, M), 2 * found)
    yield "bounded", bool((found.abs() <= abs((x_i - x_j) @ M) + 1e-4).all())
    yield "share", near(found * (abs(x_i) + abs(x_j)), x_i.sign() * (x_i - x_j) * ((x_i - x_j) @ M))


def distance_rivals(of_i: Any) -> Verdicts:
    """Relevance of picture i in d(i, n) - d(i, j), shared in the signed way."""
    x_i, x_n, x_j, L = _drawn(4, 4, 4, (4, 2))
    M, found = L @ L.T, numbers(of_i(x_i, x_n, x_j, L @ L.T), 4)
    yield "equal", near(of_i(x_i, x_n, x_n, M), torch.zeros(4))
    yield "linear", near(of_i(2 * x_i, x_n, x_j, M), 2 * found)
    yield "signed", near(found, x_i * ((x_i - x_n) @ M) - x_i * ((x_i - x_j) @ M))


# ------------------------------------------------------------------------------- heatmaps


def score_card(explainer: Any, closeness: Any, shop: Any, pairs: Any) -> Any:
    """How well maps of one's own find the true reason, beside maps by chance: a table in words."""
    methods = {"your maps": explainer, "by chance": relation.truth_table.METHODS["random"]}
    table = relation.truth_table.truth_table(closeness, shop, pairs, methods, references=False)
    return relation.truth_table.summary(table)[list(CARD)].rename(columns=CARD)


def heatmaps_own(explainer: Any, closeness: Any, shop: Any, pairs: Any) -> Verdicts:
    """An explainer of one's own: its maps lie in the true parts, and name the true attribute."""

    def maps(*asked: Any) -> torch.Tensor:
        return torch.tensor(numbers(explainer(*asked), 2, *asked[1].shape))

    (density, _, named), by_chance = score_card(maps, closeness, shop, pairs).to_numpy()
    yield "density", bool(density > 1.2 * by_chance[0])
    yield "names", bool(named > by_chance[2] + 0.05)


# ------------------------------------------------------------------------- recommendation


def recommendation_rank(best: Any) -> Verdicts:
    """The k nearest items of a category, without the query; ties by id (§3.4, Eq. 5)."""
    d, category = torch.tensor([[4, 0, 1, 3, 2, 1, 5, 3, 2], [0, 0, 0, 1, 1, 1, 1, 1, 0]])
    ids = torch.where(category == 1, d, 9).argsort(stable=True)[:3]
    found = torch.tensor(numbers(best(d.float(), category, 1, 1, 3), 3)).long()
    yield "category", bool(torch.isin(found, (category == 1).argwhere()).all())
    yield "nearest", near(d[found], d[ids])
    yield "ties", near(found, ids)
    yield "itself", 1 not in numbers(best(d.float(), category, 1, 0, 2), 2)


# ------------------------------------------------------------------------------- personal


def personal_mean(personal: Any) -> Verdicts:
    """Relevance of the features in what only one group sees, `[group, D]`."""
    delta, L = _drawn(4, (3, 4, 2))
    d, pull = (delta @ L).square().sum(dim=1), L @ L.mT @ delta
    found = numbers(personal(delta, L @ L.mT), 3, 4)
    yield "nobody", near(found.sum(axis=0), torch.zeros(4))
    yield "group", near(found.sum(axis=1), d - d.mean())
    yield "feature", near(found, delta * (pull - pull.mean(dim=0)))
