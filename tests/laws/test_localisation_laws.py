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
all_scores = pytest.mark.parametrize("name", ["mass", "mass_ratio", "rank_accuracy", "pointing"])
# What of the relevance is scored: what speaks for, what speaks against, or both.
PARTS = {"for": lambda r: r, "against": lambda r: -r, "both": abs}
parts = st.sampled_from([*PARTS])


def draw(seed: int, tied: bool = False) -> tuple[ndarray, ndarray]:
    """Signed maps and masks of five events; each mask has at least one pixel."""
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(5, 6, 7))
    masks = rng.random((5, 6, 7)) < rng.random((5, 1, 1))
    masks[:, rng.integers(6), rng.integers(7)] = True
    return (np.round(maps) if tied else maps), masks


@all_scores
@some
@given(seeds, st.floats(0.01, 100))
def test_scale_does_not_count_and_scores_have_bounds(name, seed, scale) -> None:
    maps, masks = draw(seed, tied=bool(seed % 2))
    found = lo.scores(maps, masks)[name]
    np.testing.assert_allclose(lo.scores(scale * maps, masks)[name], found, atol=1e-9)
    upper = 1 / masks.mean(axis=(1, 2)) if name == "mass_ratio" else 1
    assert ((found >= 0) & (found <= upper + 1e-9)).all()


@all_scores
@some
@given(seeds)
def test_the_order_of_pixels_and_of_events_does_not_count(name, seed) -> None:
    maps, masks = draw(seed, tied=bool(seed % 2))
    rng = np.random.default_rng(seed)
    events, pixels = rng.permutation(5), rng.permutation(42)

    def shuffled(values: ndarray) -> ndarray:
        return values.reshape(5, 42)[events][:, pixels].reshape(5, 6, 7)

    found = lo.scores(shuffled(maps), shuffled(masks))[name]
    np.testing.assert_allclose(found, lo.scores(maps, masks)[name][events])


@all_scores
@some
@given(seeds)
def test_the_mask_itself_is_the_perfect_map_and_its_complement_the_worst(name, seed) -> None:
    _, masks = draw(seed)
    best = 1 / masks.mean(axis=(1, 2)) if name == "mass_ratio" else 1
    np.testing.assert_allclose(lo.scores(masks.astype(float), masks)[name], best)
    others = ~masks.all(axis=(1, 2))
    outside = np.where(masks, -1.0, 1.0)
    worst = lo.scores(outside, masks)[name][others]
    # with more true pixels than others, some of the K best must be true
    share = masks.mean(axis=(1, 2))[others]
    floor = np.maximum(2 - 1 / share, 0) if name == "rank_accuracy" else 0
    np.testing.assert_allclose(worst, floor, atol=1e-9)


@all_scores
@some
@given(seeds)
def test_the_uniform_map_gets_the_area(name, seed) -> None:
    _, masks = draw(seed)
    expected = 1.0 if name == "mass_ratio" else masks.mean(axis=(1, 2))
    np.testing.assert_allclose(lo.scores(np.ones(masks.shape), masks)[name], expected)


@some
@given(seeds, parts)
def test_scores_are_their_published_formulas(seed, part) -> None:
    """Maps without ties, one event and one pixel at a time."""
    maps, masks = draw(seed)
    maps = PARTS[part](maps)
    found = lo.scores(maps, masks)
    for n, (relevance, mask) in enumerate(zip(maps, masks, strict=True)):
        told = {place: max(r, 0) for place, r in np.ndenumerate(relevance)}
        inside = {place for place, there in np.ndenumerate(mask) if there}
        total = sum(told.values())
        mass = sum(r for place, r in told.items() if place in inside) / total
        assert found["mass"][n] == pytest.approx(mass)
        ratio = mass / (len(inside) / 42)
        assert found["mass_ratio"][n] == pytest.approx(ratio)
        ranked = sorted(told, key=lambda place: -told[place])
        assert found["pointing"][n] == (ranked[0] in inside)
        if told[ranked[len(inside) - 1]] > 0:  # else zeros are tied, and share their places
            rank = len(set(ranked[: len(inside)]) & inside) / len(inside)
            assert found["rank_accuracy"][n] == pytest.approx(rank)


@some
@given(seeds)
def test_tied_places_are_shared_as_a_mean_over_all_orders(seed) -> None:
    maps, masks = draw(seed, tied=True)
    rng = np.random.default_rng(seed)
    jittered = np.maximum(maps, 0) + rng.random((400, *maps.shape)) / 100
    every = lo.scores(jittered.reshape(-1, 6, 7), np.tile(masks, (400, 1, 1)))["rank_accuracy"]
    found = lo.scores(maps, masks)["rank_accuracy"]
    np.testing.assert_allclose(found, every.to_numpy().reshape(400, 5).mean(axis=0), atol=0.09)


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
