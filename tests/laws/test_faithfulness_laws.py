"""Laws of perturbation, for any images and any relevance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from explainrec_lab.evaluate import faithfulness as fa

some = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 10_000)


def draw(seed: int, pairs: int = 6) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Images of different sizes, their relevance, and the weights of a linear score."""
    g = torch.Generator().manual_seed(seed)
    images = [torch.rand(pairs, 3, 8, width, generator=g) for width in (8, 6)]
    relevance = [torch.randn(image.shape, generator=g) for image in images]
    return images, relevance, torch.randn(3 * 8 * 14, generator=g)


def linear(weights: Tensor):
    def score(i: Tensor, j: Tensor) -> Tensor:
        return torch.cat([i.flatten(1), j.flatten(1)], dim=1) @ weights

    return score


@some
@given(seeds, st.floats(0.01, 100))
def test_only_the_ranking_of_relevance_counts(seed: int, scale: float) -> None:
    images, relevance, weights = draw(seed)
    settings_ = {"patch": 2, "steps": 6, "seed": seed}
    one = fa.perturb(linear(weights), images, relevance, **settings_)
    scaled = fa.perturb(linear(weights), images, [scale * r for r in relevance], **settings_)
    np.testing.assert_allclose(one.scores, scaled.scores, atol=1e-6)


@some
@given(seeds)
def test_least_relevant_first_is_most_relevant_first_of_the_opposite(seed: int) -> None:
    images, relevance, weights = draw(seed)
    least = fa.perturb(linear(weights), images, relevance, order="least", patch=2, steps=9)
    opposite = fa.perturb(linear(weights), images, [-r for r in relevance], patch=2, steps=9)
    np.testing.assert_allclose(least.scores, opposite.scores, atol=1e-6)


@some
@given(seeds)
def test_once_all_patches_are_replaced_the_order_is_forgotten(seed: int) -> None:
    images, relevance, weights = draw(seed)
    last = [
        fa.perturb(linear(weights), images, relevance, order=order, patch=4, steps=8, seed=seed)
        for order in fa.ORDERS
    ]
    for curve in last:
        np.testing.assert_allclose(curve.scores[-1], last[0].scores[-1], atol=1e-5)
        np.testing.assert_array_equal(curve.replaced, np.arange(9))


@some
@given(seeds, st.integers(1, 7))
def test_the_batch_size_changes_nothing(seed: int, batch: int) -> None:
    images, relevance, weights = draw(seed)
    whole = fa.perturb(linear(weights), images, relevance, patch=2, steps=5)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fa, "BATCH", batch)
        parts = fa.perturb(linear(weights), images, relevance, patch=2, steps=5)
    np.testing.assert_allclose(whole.scores, parts.scores, atol=1e-5)


@some
@given(seeds)
def test_a_band_surrounds_its_mean_and_accuracy_lies_in_0_to_1(seed: int) -> None:
    images, relevance, weights = draw(seed, pairs=12)
    table = fa.perturb(linear(weights), images, relevance, patch=2, steps=8).table()
    if table["accuracy"].isna().all():
        return
    assert ((table["low"] >= 0) & (table["high"] <= 1)).all()
    slack = 1e-9 + 2 / 12  # a percentile bootstrap may miss the mean by its own steps
    assert (table["low"] <= table["accuracy"] + slack).all()
    assert (table["accuracy"] <= table["high"] + slack).all()
    assert table["accuracy"].iloc[0] == 1


@some
@given(seeds)
def test_the_true_map_of_a_planted_model_beats_random_and_its_own_reverse(seed: int) -> None:
    """The score is bright pixels of a planted square; gradient x input is the perfect map."""
    g = torch.Generator().manual_seed(seed)
    weights = torch.zeros(2, 3, 8, 8)
    row, column = torch.randint(0, 5, (2,), generator=g).tolist()
    weights[:, :, row : row + 4, column : column + 4] = 1
    images = [0.5 + 0.5 * torch.rand(40, 3, 8, 8, generator=g) for _ in range(2)]
    relevance = [image * w for image, w in zip(images, weights, strict=True)]

    def score(i: Tensor, j: Tensor) -> Tensor:
        return (i * weights[0] + j * weights[1]).mean(dim=(1, 2, 3))

    most, least, lot = (
        fa.perturb(score, images, relevance, order=order, patch=1, steps=16, per_step=2)
        for order in ("most", "least", "random")
    )
    assert fa.aopc(most).mean() > fa.aopc(lot).mean() > fa.aopc(least).mean()


def test_equal_relevance_is_perturbed_in_random_order() -> None:
    """Else a blank map would always spoil the same corner, and be judged by what lies there."""
    blank = torch.zeros(400, 1, 4, 4)
    seen = []

    def score(image: Tensor) -> Tensor:
        seen.append(image != 0.5)
        return torch.zeros(len(image))

    fa.perturb(score, blank + 0.5, blank, patch=1, steps=4)
    share = seen[-1].double().mean(dim=(0, 1))
    np.testing.assert_allclose(share, 0.25, atol=0.1)
