"""Laws of the pixel scores, and the published formulas worked out naively on random maps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy import ndarray

from explainrec_lab.evaluate import localisation as lo

some = settings(max_examples=40, deadline=None)
seeds = st.integers(0, 10_000)
SCORES = {
    "mass": lo._relevance_mass,
    "ratio": lo.mass_ratio,
    "rank": lo._rank_accuracy,
    "pointing": lo.pointing_game,
}
all_scores = pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)


def draw(seed: int, tied: bool = False) -> tuple[ndarray, ndarray]:
    """Signed maps and masks of five events; each mask has at least one pixel."""
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(5, 6, 7))
    masks = rng.random((5, 6, 7)) < rng.random((5, 1, 1))
    masks[:, rng.integers(6), rng.integers(7)] = True
    return (np.round(maps) if tied else maps), masks


@all_scores
@some
@given(seeds, st.sampled_from(lo.SIGNS), st.floats(0.01, 100))
def test_scale_does_not_count_and_scores_have_bounds(score, seed, sign, scale) -> None:
    maps, masks = draw(seed, tied=bool(seed % 2))
    found = score(maps, masks, sign)
    np.testing.assert_allclose(score(scale * maps, masks, sign), found, atol=1e-9)
    upper = 1 / masks.mean(axis=(1, 2)) if score is lo.mass_ratio else 1
    assert ((found >= 0) & (found <= upper + 1e-9)).all()


@all_scores
@some
@given(seeds, st.sampled_from(lo.SIGNS))
def test_the_order_of_pixels_and_of_events_does_not_count(score, seed, sign) -> None:
    maps, masks = draw(seed, tied=bool(seed % 2))
    rng = np.random.default_rng(seed)
    events, pixels = rng.permutation(5), rng.permutation(42)

    def shuffled(values: ndarray) -> ndarray:
        return values.reshape(5, 42)[events][:, pixels].reshape(5, 6, 7)

    np.testing.assert_allclose(
        score(shuffled(maps), shuffled(masks), sign), score(maps, masks, sign)[events]
    )


@all_scores
@some
@given(seeds)
def test_the_mask_itself_is_the_perfect_map_and_its_complement_the_worst(score, seed) -> None:
    _, masks = draw(seed)
    best = 1 / masks.mean(axis=(1, 2)) if score is lo.mass_ratio else 1
    np.testing.assert_allclose(score(masks.astype(float), masks), best)
    others = ~masks.all(axis=(1, 2))
    outside = np.where(masks, -1.0, 1.0)
    worst = score(outside, masks)[others]
    # with more true pixels than others, some of the K best must be true
    share = masks.mean(axis=(1, 2))[others]
    floor = np.maximum(2 - 1 / share, 0) if score is lo._rank_accuracy else 0
    np.testing.assert_allclose(worst, floor, atol=1e-9)


@all_scores
@some
@given(seeds)
def test_the_uniform_map_gets_the_area(score, seed) -> None:
    _, masks = draw(seed)
    expected = 1.0 if score is lo.mass_ratio else masks.mean(axis=(1, 2))
    np.testing.assert_allclose(score(np.ones(masks.shape), masks), expected)


@some
@given(seeds, st.sampled_from(lo.SIGNS))
def test_scores_are_their_published_formulas(seed, sign) -> None:
    """Maps without ties, one event and one pixel at a time."""
    maps, masks = draw(seed)
    part = {"positive": lambda r: max(r, 0), "negative": lambda r: max(-r, 0), "absolute": abs}
    for n, (relevance, mask) in enumerate(zip(maps, masks, strict=True)):
        told = {place: part[sign](r) for place, r in np.ndenumerate(relevance)}
        inside = {place for place, there in np.ndenumerate(mask) if there}
        total = sum(told.values())
        mass = sum(r for place, r in told.items() if place in inside) / total
        assert lo._relevance_mass(maps, masks, sign)[n] == pytest.approx(mass)
        ratio = mass / (len(inside) / 42)
        assert lo.mass_ratio(maps, masks, sign)[n] == pytest.approx(ratio)
        ranked = sorted(told, key=lambda place: -told[place])
        assert lo.pointing_game(maps, masks, sign)[n] == (ranked[0] in inside)
        if told[ranked[len(inside) - 1]] > 0:  # else zeros are tied, and share their places
            rank = len(set(ranked[: len(inside)]) & inside) / len(inside)
            assert lo._rank_accuracy(maps, masks, sign)[n] == pytest.approx(rank)


@some
@given(seeds)
def test_tied_places_are_shared_as_a_mean_over_all_orders(seed) -> None:
    maps, masks = draw(seed, tied=True)
    rng = np.random.default_rng(seed)
    jittered = [
        lo._rank_accuracy(np.maximum(maps, 0) + rng.random(maps.shape) / 100, masks)
        for _ in range(400)
    ]
    np.testing.assert_allclose(lo._rank_accuracy(maps, masks), np.mean(jittered, axis=0), atol=0.09)


@some
@given(seeds, st.floats(0, 4))
def test_a_widened_mask_is_all_pixels_near_a_true_one(seed, tolerance) -> None:
    _, masks = draw(seed)
    near = lo._widened(masks, tolerance)
    true = np.argwhere(masks[0])
    for place, there in np.ndenumerate(near[0]):
        distance = np.sqrt(((true - np.array(place)) ** 2).sum(axis=1)).min()
        assert there == (distance <= tolerance)


@some
@given(seeds)
def test_pooled_mass_lies_between_the_two_images_and_swaps_with_them(seed) -> None:
    (first, a), (second, b) = draw(seed), draw(seed + 1)
    table = lo.pair_scores([first, second], np.stack([a, b], axis=1))
    table = table.pivot(columns="view", values="mass")
    low, high = table[["source", "target"]].min(axis=1), table[["source", "target"]].max(axis=1)
    assert ((table.pooled >= low - 1e-9) & (table.pooled <= high + 1e-9)).all()
    swapped = lo.pair_scores([second, first], np.stack([b, a], axis=1))
    again = swapped.pivot(columns="view", values="mass")
    np.testing.assert_allclose(again.pooled, table.pooled)
    np.testing.assert_allclose(again.source, table.target)
