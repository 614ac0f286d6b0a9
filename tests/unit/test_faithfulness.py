"""Claims about `evaluate.faithfulness`: what is replaced, in which order, and what follows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from explainrec_lab.evaluate import faithfulness as fa


def first_pixel(image: Tensor) -> Tensor:
    """A score that sees one pixel only."""
    return image[:, 0, 0, 0]


def recorder(seen: list[tuple[Tensor, ...]]):
    """A score that keeps what it was shown."""

    def score(*images: Tensor) -> Tensor:
        seen.append(tuple(image.clone() for image in images))
        return torch.zeros(len(images[0]))

    return score


def replaced(seen: list[tuple[Tensor, ...]], image: int = 0) -> list[Tensor]:
    """Which pixels differ from the untouched image after each step, `[pair, height, width]`."""
    return [(step[image] != seen[0][image]).any(dim=1) for step in seen]


IMAGE = torch.full((1, 3, 2, 2), 0.5)
RELEVANCE = torch.tensor([[[0.1, 0.4], [-2.0, 0.3]]])


def test_pixels_go_one_after_the_other_and_the_most_relevant_goes_first():
    seen: list[tuple[Tensor, ...]] = []
    fa.perturb(recorder(seen), IMAGE, RELEVANCE, patch=1, steps=4)
    steps = replaced(seen)
    assert [step.sum().item() for step in steps] == [0, 1, 2, 3, 4]
    gone = [tuple((after & ~before)[0].nonzero()[0].tolist()) for before, after in pairwise(steps)]
    assert gone == [(0, 1), (1, 1), (0, 0), (1, 0)]


def test_other_pixels_may_come_in_instead_of_noise():
    seen: list[tuple[Tensor, ...]] = []
    instead = torch.arange(12.0).view(1, 3, 2, 2)
    fa.perturb(recorder(seen), IMAGE, RELEVANCE, patch=1, steps=4, instead=instead)
    assert torch.equal(seen[-1][0], instead)
    assert torch.equal(seen[1][0][..., 0, 1], instead[..., 0, 1])
    with pytest.raises(ValueError, match=r"instead: shapes \[\(1, 3, 2, 1\)\]"):
        fa.perturb(first_pixel, IMAGE, RELEVANCE, patch=1, steps=1, instead=instead[..., :1])


def test_least_relevant_first_is_the_other_way_round():
    seen: list[tuple[Tensor, ...]] = []
    fa.perturb(recorder(seen), IMAGE, RELEVANCE, patch=1, steps=4, order="least")
    steps = replaced(seen)
    gone = [tuple((after & ~before)[0].nonzero()[0].tolist()) for before, after in pairwise(steps)]
    assert gone == [(1, 0), (0, 0), (1, 1), (0, 1)]


def test_relevance_of_a_patch_is_the_sum_over_its_pixels_and_channels():
    relevance = torch.zeros(1, 3, 4, 4)
    relevance[0, 0, 0, 0] = 1.0  # one bright pixel ...
    relevance[0, :, 2:, 2:] = 0.1  # ... against twelve pale ones
    seen: list[tuple[Tensor, ...]] = []
    fa.perturb(recorder(seen), torch.rand(1, 3, 4, 4), relevance, patch=2, steps=1)
    expected = torch.zeros(1, 4, 4, dtype=torch.bool)
    expected[0, 2:, 2:] = True
    assert torch.equal(replaced(seen)[1], expected)


def test_patches_at_the_edge_are_cut_off():
    seen: list[tuple[Tensor, ...]] = []
    relevance = torch.zeros(1, 5, 7)
    relevance[0, 4, 6] = 1
    fa.perturb(recorder(seen), torch.rand(1, 3, 5, 7), relevance, patch=4, steps=4)
    assert [step.sum().item() for step in replaced(seen)][:2] == [0, 3]
    assert replaced(seen)[-1].all()


def test_patches_of_a_pair_are_ranked_together():
    images = [torch.full((1, 3, 2, 2), 0.5)] * 2
    relevance = [torch.full((1, 2, 2), 9.0), torch.full((1, 2, 2), 1.0)]
    together: list[tuple[Tensor, ...]] = []
    curve = fa.perturb(recorder(together), images, relevance, patch=1, steps=4)
    assert (replaced(together, 0)[-1].sum(), replaced(together, 1)[-1].sum()) == (4, 0)
    np.testing.assert_array_equal(curve.replaced, [0, 1, 2, 3, 4])
    both = zip(replaced(together, 0), replaced(together, 1), strict=True)
    assert [int(one.sum() + other.sum()) for one, other in both] == [0, 1, 2, 3, 4]


def test_the_score_falls_when_the_pixel_it_sees_goes():
    image = torch.ones(1, 1, 3, 3)
    relevance = torch.zeros(1, 3, 3)
    relevance[0, 0, 0] = 1
    most = fa.perturb(first_pixel, image, relevance, patch=1, steps=9)
    least = fa.perturb(first_pixel, image, relevance, patch=1, steps=9, order="least")
    noise = float(most.scores[-1, 0])
    np.testing.assert_allclose(most.scores[:, 0], [1] + [noise] * 9)
    np.testing.assert_allclose(least.scores[:, 0], [1] * 9 + [noise])
    fall = 1 - noise
    np.testing.assert_allclose(fa.aopc(most), [fall * 9 / 10])
    np.testing.assert_allclose(fa.aopc(least), [fall / 10])


def test_three_images_and_other_arguments_reach_the_score(monkeypatch):
    monkeypatch.setattr(fa, "BATCH", 2)
    images = [torch.rand(5, 3, 4, 4) for _ in range(3)]
    user = torch.arange(5)

    def score(i: Tensor, j: Tensor, n: Tensor, user: Tensor) -> Tensor:
        return (i - j + n).mean(dim=(1, 2, 3)) + user

    curve = fa.perturb(score, images, images, patch=2, steps=12, context=(user,))
    np.testing.assert_allclose(curve.scores[0], score(*images, user).double().numpy(), rtol=1e-6)


def test_noise_is_uniform_in_zero_to_one():
    seen: list[tuple[Tensor, ...]] = []
    image = torch.full((8, 3, 16, 16), 7.0)
    fa.perturb(recorder(seen), image, order="random", patch=16, steps=1)
    noise = seen[-1][0]
    assert noise.min() >= 0 and noise.max() <= 1
    assert noise.mean() == pytest.approx(0.5, abs=0.0125)
    assert noise.std() == pytest.approx(1 / 12**0.5, abs=0.0125)


def test_accuracy_counts_the_pairs_that_were_right_at_the_start():
    scores = np.array([[1.0, 2.0, -1.0, -3.0], [-1.0, 2.0, 5.0, -3.0], [-1.0, -2.0, 5.0, -1.0]])
    curve = fa.Curve(scores, np.arange(3))
    np.testing.assert_allclose(curve.table()["accuracy"], [1, 0.5, 0])
    related = np.array([True, True, False, False])
    np.testing.assert_allclose(curve.table(related)["accuracy"], [1, 0.5, 0.25])
    np.testing.assert_allclose(curve.table()["score"], scores.mean(axis=1))


def test_no_pair_that_was_right_gives_nan_and_no_crash():
    curve = fa.Curve(-np.ones((3, 2)), np.arange(3))
    assert curve.table()[["accuracy", "low", "high"]].isna().all(axis=None)


def test_the_band_holds_the_mean_and_narrows_with_pairs():
    rng = np.random.default_rng(0)
    few, many = rng.random((3, 20)), rng.random((3, 2000))
    for values, expected in ((few, 20), (many, 2000)):
        low, high = fa.band(values)
        assert (low < values.mean(axis=1)).all() and (values.mean(axis=1) < high).all()
        width = 2 * 1.96 * values.std(axis=1) / expected**0.5  # what a normal band would say
        np.testing.assert_allclose(high - low, width, rtol=0.15)


def test_a_seed_gives_the_same_curve_and_another_seed_another():
    image, relevance = torch.rand(4, 3, 8, 8), torch.rand(4, 8, 8)
    curves = [
        fa.perturb(first_pixel, image, relevance, seed=seed, steps=4).scores for seed in (3, 3, 4)
    ]
    np.testing.assert_array_equal(curves[0], curves[1])
    assert (curves[0][-1] != curves[2][-1]).any()


def test_perturbation_leaves_the_images_as_they_were():
    image = torch.rand(2, 3, 4, 4)
    before = image.clone()
    fa.perturb(first_pixel, image, image, steps=1)
    assert torch.equal(image, before)


GOOD = torch.rand(2, 3, 8, 8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": GOOD[0]}, r"images: image 0 has shape \(3, 8, 8\)"),
        ({"images": (GOOD, GOOD[:1])}, r"images: image 1 has shape \(1, 3, 8, 8\)"),
        ({"images": ()}, "images: none"),
        ({"images": GOOD[:0]}, "at least one"),
        ({"images": (GOOD * 255).to(torch.uint8)}, "divide uint8 by 255"),
        ({"relevance": None}, "relevance: none, but order 'most'"),
        (
            {"relevance": (GOOD, GOOD)},
            r"relevance: shapes .*; needs \[\(2, 8, 8\)\]",
        ),
        ({"relevance": GOOD[:, :2]}, r"relevance: shapes \[\(2, 2, 8, 8\)\]"),
        ({"relevance": GOOD * torch.nan}, "relevance: map 0 has nan"),
        ({"order": "best"}, "order: 'best'; choose from most, least, random"),
        ({"patch": 0}, "patch: 0"),
        ({"steps": 0}, "steps: 0"),
        ({"per_step": 0}, "per_step: 0"),
        ({"steps": 3, "per_step": 2}, "more than the 4 patches of a pair"),
        ({"context": (torch.zeros(3),)}, "context: argument 0 has 3 rows for 2 pairs"),
        ({"score": lambda image: image.sum()}, "score: returned shape"),
        ({"score": lambda image: image[:, 0, 0, 0] * torch.nan}, "score: returned nan"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {"score": first_pixel, "images": GOOD, "relevance": GOOD, "steps": 4}
    with pytest.raises(ValueError, match=message):
        fa.perturb(**{**good, **change})


def test_labels_that_are_no_truth_values_are_named():
    curve = fa.perturb(first_pixel, GOOD, GOOD, steps=4)
    with pytest.raises(ValueError, match="related: int64 of shape"):
        curve.table(np.ones(2, np.int64))
