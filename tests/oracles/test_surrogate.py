"""Black-box explainers against definitions, and against what they must find in an average."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import Lime, ShapleyValues
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from explainrec_lab.baselines import surrogate
from explainrec_lab.baselines.attribution import integrated_gradients

few = settings(max_examples=12, deadline=None)
seeds = st.integers(0, 100)
sizes = st.integers(2, 8)


def parts_of_an_average(n: int, seed: int) -> Tensor:
    return torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 1


def average_of(s: Tensor) -> surrogate.BlackBox:
    """The mean of those numbers of s that the mask keeps; 0 of none."""
    return lambda masks: masks.double() @ s / masks.double().sum(dim=1).clamp(min=1e-300)


@few
@given(sizes, seeds, st.floats(0, 2))
def test_the_ridge_is_the_least_squares_line_of_the_weighed_rows(
    n: int, seed: int, ridge: float
) -> None:
    rng = np.random.default_rng(seed)
    X, y, w = rng.random((30, n)), rng.random(30), rng.random(30) + 0.1
    slopes, intercept = surrogate.weighted_ridge(*map(torch.from_numpy, (X, y, w)), ridge=ridge)
    root = np.sqrt(w)[:, None]
    rows = np.vstack([root * np.hstack([X, np.ones((30, 1))]), np.sqrt(ridge) * np.eye(n, n + 1)])
    right = np.concatenate([root[:, 0] * y, np.zeros(n)])
    oracle = np.linalg.lstsq(rows, right, rcond=None)[0]
    np.testing.assert_allclose([*slopes.tolist(), intercept], oracle, atol=1e-8)


@few
@given(sizes, seeds)
def test_on_all_masks_lime_finds_the_distance_from_the_average(n: int, seed: int) -> None:
    """Any weights that depend on the number of features kept: slopes are n A (Z - y / n)."""
    s = parts_of_an_average(n, seed)
    masks = surrogate.all_masks(n)[1:]
    kept = masks.sum(dim=1)
    by_size = torch.rand(n + 1, generator=torch.Generator().manual_seed(seed)).double() + 0.01
    w = by_size[kept.long()]
    slopes, _ = surrogate.weighted_ridge(masks, average_of(s)(masks), w)
    A = (w * (n - kept)).sum() / (w * kept * (n - kept)).sum()
    torch.testing.assert_close(slopes, A * (s - s.mean()), atol=1e-9, rtol=1e-9)


class WeightedRidge:
    """The linear model of LIME, in the form that captum asks for."""

    def fit(self, samples: Any) -> None:
        masks, scores, weights = (torch.cat(part) for part in zip(*samples, strict=True))
        self.slopes, _ = surrogate.weighted_ridge(masks, scores, weights, surrogate.RIDGE)

    def representation(self) -> Tensor:
        return self.slopes[None].float()


def test_lime_is_captum_s_on_the_same_masks_and_comes_near_what_all_masks_say() -> None:
    s = parts_of_an_average(10, 3)
    generator = torch.Generator().manual_seed(1)

    def coin_tosses(original: Tensor, **_: object) -> Iterator[Tensor]:
        yield from torch.randint(0, 2, (3000, 1, 10), generator=generator)

    explainer = Lime(average_of(s), interpretable_model=WeightedRidge(), perturb_func=coin_tosses)
    captum = explainer.attribute(torch.ones(1, 10), n_samples=3000, perturbations_per_eval=500)[0]
    ours = surrogate.lime(average_of(s), 10, samples=3000, seed=1)
    torch.testing.assert_close(captum, ours, atol=1e-5, rtol=1e-4)  # captum's sums are float32
    masks = surrogate.all_masks(10)[1:]
    weights = torch.exp(-((1 - (masks.sum(dim=1) / 10).sqrt()) ** 2) / 2)  # cosine to the ones
    exact, _ = surrogate.weighted_ridge(masks, average_of(s)(masks), weights)
    assert float((ours - exact).abs().max()) < 0.1 * float(exact.abs().max())


def exact_shapley(game: surrogate.BlackBox, n: int) -> Tensor:
    """Mean gains over all orders."""
    return ShapleyValues(game).attribute(torch.ones(1, n))[0].double()


@few
@given(st.integers(2, 5), seeds)
def test_shapley_values_of_an_average_have_a_closed_form(n: int, seed: int) -> None:
    s = parts_of_an_average(n, seed)
    harmonic = sum(1 / i for i in range(1, n + 1))
    slope = 1 + n / (n - 1) * (harmonic - 1)
    y = s.mean()
    closed = y / n + slope * (s - y) / n
    found = exact_shapley(average_of(s), n)
    torch.testing.assert_close(found, closed, atol=1e-5, rtol=1e-4)  # captum's sums are float32


def test_sampled_shapley_values_come_near_the_exact_ones() -> None:
    s = parts_of_an_average(6, 2)
    sampled = surrogate.shapley_sampling(average_of(s), 6, permutations=600)
    exact = exact_shapley(average_of(s), 6)
    assert float((sampled - exact).abs().max()) < 0.1 * float(exact.abs().max())
    assert float(sampled.sum()) == pytest.approx(float(s.mean()), rel=1e-4)


@few
@given(sizes, seeds)
def test_leaving_one_out_gives_the_distance_from_the_average(n: int, seed: int) -> None:
    s = parts_of_an_average(n, seed)
    ours = surrogate.leave_one_out(average_of(s), n)
    torch.testing.assert_close(ours.double(), (s - s.mean()) / (n - 1))


@few
@given(sizes, seeds)
def test_integrated_gradients_of_a_held_average_are_its_terms(n: int, seed: int) -> None:
    s = parts_of_an_average(n, seed)
    ours = integrated_gradients(
        lambda masks: masks.double() @ s / n, torch.ones(1, n, dtype=torch.float64), steps=3
    )
    torch.testing.assert_close(ours[0], s / n)


def test_bad_input_is_named() -> None:
    box = average_of(parts_of_an_average(3, 0))
    for explain in (surrogate.lime, surrogate.leave_one_out, surrogate.shapley_sampling):
        with pytest.raises(ValueError, match="n: 0 must be at least 1"):
            explain(box, 0)
    with pytest.raises(ValueError, match="samples: 0 must be at least 1"):
        surrogate.lime(box, 3, samples=0)
    with pytest.raises(ValueError, match="permutations: -1"):
        surrogate.shapley_sampling(box, 3, permutations=-1)
