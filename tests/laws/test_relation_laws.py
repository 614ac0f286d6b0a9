"""Laws of the personal distance: a metric's, and relevance's through it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from explainrec_lab import lrp, relation
from explainrec_lab.relation import UserMetric
from explainrec_lab.relation.metric import METRICS, squared_distances, squared_length
from explainrec_lab.relation.model import Projection
from explainrec_lab.vision import backbone

seeds = st.integers(0, 10_000)
few = settings(max_examples=20, deadline=None)


def metric_of(metric: str, seed: int) -> UserMetric:
    return UserMetric(5, 2, 4, metric, rank=3, seed=seed).double()


@pytest.mark.parametrize("metric", METRICS)
@few
@given(seeds)
def test_M_is_symmetric_and_never_negative(metric: str, seed: int) -> None:
    own = metric_of(metric, seed)
    for user in (relation.NEW_USER, 0, 1):
        M = own.matrix(user, seed % 4).detach()
        torch.testing.assert_close(M, M.T)
        assert torch.linalg.eigvalsh(M).min() >= -1e-9


@pytest.mark.parametrize("metric", METRICS)
@few
@given(seeds)
def test_the_root_of_the_distance_obeys_the_triangle(metric: str, seed: int) -> None:
    own = metric_of(metric, seed)
    x = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    factor = own.factor(torch.tensor([1]), torch.tensor([0]))
    z = (x @ factor[0]).detach()
    roots = squared_distances(z, z).sqrt()
    torch.testing.assert_close(roots, roots.T)
    assert roots[0, 2] <= roots[0, 1] + roots[1, 2] + 1e-9
    pairwise = squared_length(x[:1] - x[1:2], factor[0]).detach()
    torch.testing.assert_close(pairwise.sqrt(), roots[0, 1:2], atol=1e-7, rtol=0)


@few
@given(seeds)
def test_swapping_two_pictures_changes_nothing(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    network = backbone("vgg11", width=0.05, grid=2, seed=seed)
    head = Projection(network.size, 5, seed=seed)
    model = relation.RelationModel(network, head, 2, rank=2, seed=seed).double().eval()
    i, j = torch.rand(2, 2, 3, 32, 32, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(model(i, j, 0, 1), model(j, i, 0, 1))


@pytest.mark.parametrize("norm", ["batch", "scale", "weights", None])
@pytest.mark.parametrize("metric", METRICS)
def test_the_relevance_of_both_pictures_closes_the_ledger(metric: str, norm: str | None) -> None:
    network = backbone("compact", width=0.1, grid=2, norm=norm)
    head = Projection(network.size, 5, additive=norm in ("batch", None))
    model = relation.RelationModel(network, head, 2, metric=metric, rank=2).double().eval()
    i, j = torch.rand(2, 3, 3, 32, 32, dtype=torch.float64)

    (at_i, at_j, *_), ledger = lrp.relevance(model, (i, j, 1, 0), ledger=True)
    logits = model(i, j, 1, 0).detach()
    assert ledger.sinks["q"] == pytest.approx(3 * float(model.q[0].detach()))
    assert ledger.output == pytest.approx(float(logits.sum()))
    assert float(at_i.sum() + at_j.sum()) == pytest.approx(ledger.inputs)
    assert abs(ledger.gap) <= 1e-10 * abs(ledger.output)
    assert at_i.abs().sum() > 0
    assert at_j.abs().sum() > 0
