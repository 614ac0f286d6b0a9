"""Laws of the personal distance: a metric's, and relevance's through it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from explainrec_lab import lrp, relation
from explainrec_lab.relation.explain import OF
from explainrec_lab.relation.model import (
    METRICS,
    Projection,
    Shares,
    _UserMetric,
    squared_distances,
    squared_length,
)
from explainrec_lab.vision import backbone
from explainrec_lab.vision.naming import Naming

seeds = st.integers(0, 10_000)
few = settings(max_examples=20, deadline=None)


def metric_of(metric: str, seed: int) -> _UserMetric:
    return _UserMetric(5, 2, metric, rank=3, seed=seed).double()


@pytest.mark.parametrize("metric", METRICS)
@few
@given(seeds)
def test_M_is_symmetric_and_never_negative(metric: str, seed: int) -> None:
    blind: Any = nn.Identity()
    own = relation.RelationModel(blind, Projection(3, 5), 2, metric=metric, rank=3, seed=seed)
    for user in (relation.NEW_USER, 0, 1):
        M = own.double().M(user, seed % 4).detach()
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


@pytest.mark.parametrize("norm", ["batch", "weights", None])
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


# --------------------------------------------------------------------------- without additive terms

REFERENCES = torch.rand(2, 52, generator=torch.Generator().manual_seed(0))
MORE = {"closeness": {"references": REFERENCES}}


def homogeneous(seed: int, head: str = "classes") -> relation.RelationModel:
    """A small model without additive terms, with random weights."""
    network = backbone("compact", width=0.25, grid=2, norm="weights", seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        named = Shares(Naming(network, hidden=32))
    projected = Projection(network.size, 20, additive=False, seed=seed)
    own = named if head == "classes" else projected
    return relation.RelationModel(network, own, 3, rank=4, seed=seed).eval()


def two_pictures(seed: int, size: int = 32) -> tuple[Tensor, Tensor]:
    """Two pairs of random pictures."""
    generator = torch.Generator().manual_seed(seed)
    i, j = torch.rand(2, 2, 3, size, size, generator=generator)
    return i, j


@pytest.mark.parametrize("rule", [lrp.Epsilon(1e-6), None], ids=["epsilon", "default"])
@pytest.mark.parametrize("head", ["classes", "projection"])
@few
@given(seeds)
def test_without_additive_terms_the_pixels_hold_the_distance(
    head: str, rule: lrp.Rule | None, seed: int
) -> None:
    """Random weights, random pictures: .99 of d is the claim, and far more is found."""
    found = relation.explain(
        homogeneous(seed, head), *two_pictures(seed), seed % 3, seed % 4, rule=rule
    )
    assert found.ledger.output > 0
    assert found.ledger.inputs == pytest.approx(found.ledger.output, rel=0.01)
    assert found.ledger.biases == 0


@pytest.mark.parametrize("of", [of for of in OF if of != "contrast"])
@few
@given(seeds)
def test_units_and_pixels_explain_the_same_value_and_lose_nothing(of: str, seed: int) -> None:
    """What the units hold, the pixels hold, but for the part of the references."""
    model, pair = homogeneous(seed), two_pictures(seed)
    asked = (model, *pair, seed % 3, seed % 4)
    units, maps = (
        relation.explain(*asked, of=of, level=level, **MORE.get(of, {}))
        for level in ("units", "pixels")
    )
    size = float(sum(each.abs().sum() for each in units.maps))
    held = maps.ledger.inputs + maps.ledger.sinks.get("references", 0.0)
    assert units.ledger.output == pytest.approx(maps.ledger.output, abs=1e-4 * size)
    assert held == pytest.approx(units.ledger.inputs, abs=1e-3 * size)
    for found in (units, maps):
        assert abs(found.ledger.gap) < 1e-4 * size


@pytest.mark.parametrize("of", ["distance", "closeness"])
@settings(max_examples=3, deadline=None)
@given(seeds)
def test_the_maps_of_all_questions_add_up_to_the_whole_map(of: str, seed: int) -> None:
    model = homogeneous(seed).double()
    pair = [each.double() for each in two_pictures(seed, 16)]
    more = {name: each.double() for name, each in MORE.get(of, {}).items()}
    whole = relation.explain(model, *pair, 0, 1, of=of, **more)
    alone = [
        relation.explain(model, *pair, 0, 1, of=of, only=question.name, **more)
        for question in model.head.questions
    ]
    for side, expected in enumerate(whole.maps):
        total = torch.stack([each.maps[side] for each in alone]).sum(dim=0)
        torch.testing.assert_close(total, expected, rtol=0, atol=1e-6 * float(expected.abs().max()))
    for each in alone:
        assert each.ledger.output == pytest.approx(whole.ledger.output)
        assert each.ledger.gap == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=3, deadline=None)
@given(seeds)
def test_attributes_alone_are_all_questions_that_may_not_apply(seed: int) -> None:
    model = homogeneous(seed).double()
    pair = [each.double() for each in two_pictures(seed, 16)]
    together = relation.explain(model, *pair, 1, 2, only="attributes").maps
    names = [each.name for each in model.head.questions if each.optional]
    assert 0 < len(names) < len(model.head.questions)
    alone = [relation.explain(model, *pair, 1, 2, only=name).maps for name in names]
    for side, expected in enumerate(together):
        total = torch.stack([each[side] for each in alone]).sum(dim=0)
        torch.testing.assert_close(total, expected, rtol=0, atol=1e-6 * float(expected.abs().max()))
