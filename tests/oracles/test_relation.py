"""Chapter 1's equations against independent computations: numpy, loops, brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from explainrec_lab import relation
from explainrec_lab.data import Relations
from explainrec_lab.relation import RelationModel
from explainrec_lab.relation.data import Batches
from explainrec_lab.relation.model import METRICS, Projection
from explainrec_lab.relation.train import BatchLoss
from explainrec_lab.vision import backbone


def model(metric: str = "low rank", seed: int = 0) -> RelationModel:
    network = backbone("vgg11", width=0.05, grid=2, seed=seed)
    head = Projection(network.size, 6, seed=seed)
    return RelationModel(network, head, 3, metric=metric, rank=2, seed=seed).double().eval()


def vectors(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 6, dtype=torch.float64, generator=generator)


@pytest.mark.oracle("lrp", "distance")
@pytest.mark.parametrize("metric", METRICS)
def test_the_distance_is_delta_M_delta(metric: str) -> None:
    own, x_i, x_j = model(metric), vectors(12, 1), vectors(12, 2)
    users, kinds = torch.arange(12) % 4 - 1, torch.arange(12) % 4
    d = own.distance(x_i, x_j, users, kinds).detach().numpy()
    for n in range(12):
        M = own.M(int(users[n]), int(kinds[n])).detach().numpy()
        delta = (x_i[n] - x_j[n]).numpy()
        assert d[n] == pytest.approx(delta @ M @ delta, rel=1e-12)
        one = own.distance(x_i[n : n + 1], x_j[n : n + 1], int(users[n]), int(kinds[n]))
        assert float(one.detach()[0]) == pytest.approx(d[n], rel=1e-12)


@pytest.mark.oracle("lrp", "probability")
def test_the_probability_is_one_over_one_plus_e_to_the_d_minus_q() -> None:
    own = model()
    i, j = torch.rand(2, 3, 3, 32, 32, dtype=torch.float64)
    p = own.probability(i, j, 1, "also_bought").detach()
    d = own.distance(own.features(i), own.features(j), 1, 2).detach()
    q = float(own.q[2].detach())
    assert p.tolist() == pytest.approx([1 / (1 + math.exp(v - q)) for v in d.tolist()], rel=1e-9)


@pytest.mark.oracle("lrp", "objective")
def test_the_objective_is_minus_the_log_likelihood() -> None:
    logits = torch.linspace(-4, 4, 9, dtype=torch.float64)
    losses, others = relation.loss(logits, logits)
    for logit, in_R, in_S in zip(logits.tolist(), losses.tolist(), others.tolist(), strict=True):
        p = 1 / (1 + math.exp(-logit))
        assert in_R == pytest.approx(-math.log(p))
        assert in_S == pytest.approx(-math.log(1 - p))


@pytest.mark.oracle("lrp", "objective")
def test_a_batch_has_the_losses_of_its_pairs_one_by_one() -> None:
    rng = np.random.default_rng(0)
    source = rng.integers(14, size=50)
    target = (source + rng.integers(1, 14, size=50)) % 14
    every = Relations(rng.integers(3, size=50), source, target, rng.integers(4, size=50), 14, 3)
    own, flat = model(), torch.rand(14, 4 * 26, dtype=torch.float64)
    own.head = Projection(flat.shape[1], 6).double().eval()
    everything = relation.split(every, fractions=(1.0, 0.0, 0.0)).train
    losses, (first, second) = BatchLoss(14), Batches(everything, flat, 7)(0)
    losses(own, first)  # from now on, all items are known
    result = losses(own, second)

    x = own.head(flat)

    def logit(u: int, k: int, i: int, j: int) -> float:
        return float((own.q[k] - own.distance(x[i : i + 1], x[j : j + 1], u, k)).detach())

    inside = second.items.tolist()
    recorded: dict[tuple[int, int], set[tuple[int, int]]] = {}
    columns = (every.group, every.kind, every.source, every.target)
    for u, k, i, j in zip(*(column.tolist() for column in columns), strict=True):
        here = {(a, b) for a, b in ((i, j), (j, i)) if a in inside}
        recorded.setdefault((u, k), set()).update(here)
    total = 0.0
    for u, k, i, j in zip(*(column.tolist() for column in columns), strict=True):
        if i not in inside and j not in inside:
            continue
        others = [
            math.log1p(math.exp(logit(u, k, a, b)))
            for a, b in itertools.product(inside, range(14))
            if a != b and (a, b) not in recorded[u, k]
        ]
        total += math.log1p(math.exp(-logit(u, k, i, j))) + sum(others) / len(others)
    assert float(result.detach().sum()) == pytest.approx(total, rel=1e-9)


@pytest.mark.oracle("lrp", "recommendation")
@pytest.mark.parametrize("metric", METRICS)
def test_the_recommendation_is_the_most_probable_item_of_the_category(metric: str) -> None:
    own, x, shoes = model(metric), vectors(30, 3), [n for n in range(30) if n % 3]
    items, probability = relation.recommend(
        own, x, torch.arange(30), 2, "bought_together", torch.tensor(shoes), 4
    )
    for query in range(30):
        p = {}
        for j in shoes:
            if j != query:
                d = own.distance(x[query : query + 1], x[j : j + 1], 2, 3)
                p[j] = float((own.q[3] - d).sigmoid().detach())
        best = sorted(p, key=lambda j: -p[j])[:4]
        assert items[query].tolist() == best
        assert probability[query].tolist() == pytest.approx([p[j] for j in best], rel=1e-9)
