"""Laws of maps, boxes and the loss that hold for every input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from explainrec_lab import vision
from explainrec_lab.saers import regions
from explainrec_lab.vision.naming import Question, naming_losses

seeds = st.integers(0, 10_000)
QUESTIONS = [Question("neck", ("round", "V")), Question("toe", ("open", "closed", "pointed"))]


def maps(seed: int, count: int = 6) -> Tensor:
    """Smooth positive maps with zeros among them."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((1, count, 4, 4)) - 0.3).relu()
    return torch.nn.functional.interpolate(coarse, (24, 24), mode="bilinear")[0]


def mirrored(boxes: Tensor, width: int = 24) -> Tensor:
    y0, x0, y1, x1 = boxes.unbind(-1)
    return torch.stack([y0, width - x1, y1, width - x0], dim=-1)


@settings(deadline=None, max_examples=30)
@given(seed=seeds, power=st.integers(-8, 8))
def test_a_box_does_not_depend_on_the_unit_of_its_map(seed: int, power: int) -> None:
    for frame in (regions.paper_frame, regions.mass_frame):
        assert torch.equal(frame(maps(seed)), frame(maps(seed) * 2.0**power))


@settings(deadline=None, max_examples=30)
@given(seed=seeds)
def test_the_mirror_image_of_a_map_has_the_mirror_image_of_its_box(seed: int) -> None:
    found = maps(seed)
    boxes = regions.boxes_of(regions.segment(found))
    assert torch.equal(regions.boxes_of(regions.segment(found.flip(-1))), mirrored(boxes))


@settings(deadline=None, max_examples=30)
@given(seed=seeds, low=st.floats(0.0, 0.9), more=st.floats(0.0, 0.09))
def test_a_higher_threshold_or_a_smaller_share_keeps_less(
    seed: int, low: float, more: float
) -> None:
    found = maps(seed)
    assert not (regions.segment(found, low + more) & ~regions.segment(found, low)).any()
    few, many = regions.brightest(found, low + 0.01), regions.brightest(found, low + 0.01 + more)
    assert not (few & ~many).any()


@settings(deadline=None, max_examples=30)
@given(seed=seeds, share=st.floats(0.01, 1.0))
def test_no_pixel_is_kept_for_its_place(seed: int, share: float) -> None:
    """Maps of three levels, where most pixels tie with the dimmest that is needed."""
    rng = np.random.default_rng(seed)
    levels = torch.from_numpy(rng.integers(3, size=(4, 5, 6)).astype(np.float64))
    turn = torch.from_numpy(rng.permutation(30))
    kept = regions.brightest(levels, share)
    moved = regions.brightest(levels.flatten(1)[:, turn].view(4, 5, 6), share)
    assert torch.equal(moved, kept.flatten(1)[:, turn].view(4, 5, 6))
    held, whole = (each.sum(dim=(-2, -1)) for each in (levels * kept, levels))
    assert (held >= share * whole - 1e-9).all()
    assert regions.brightest(torch.ones(1, 5, 6), share).all()


@settings(deadline=None, max_examples=30)
@given(seed=seeds)
def test_a_larger_box_pools_no_less(seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = torch.from_numpy(rng.normal(size=(2, 3, 6, 6)))
    corner = rng.integers(4, 12, size=(2, 5, 2))
    small = torch.from_numpy(np.concatenate([corner, corner + rng.integers(1, 8, (2, 5, 2))], -1))
    large = small + torch.tensor([-4, -4, 4, 4])
    pooled = [regions._region_features(features, boxes, (24, 24)) for boxes in (small, large)]
    assert (pooled[1] >= pooled[0]).all()


@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 100))
def test_relevance_maps_do_not_know_left_from_right(seed: int) -> None:
    own = vision.backbone("vgg11", 0.05, grid=4, stride=8, seed=seed)
    network = vision.naming.Naming(own, QUESTIONS).double().eval()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed)).double()
    codes, asked = torch.zeros(2, 2, dtype=torch.long), torch.ones(2, 2, dtype=torch.bool)
    drawn = [
        regions.relevance_maps(regions.Seen(network, x, network.maps(x), codes, asked))
        for x in (images, images.flip(-1))
    ]
    torch.testing.assert_close(drawn[1], drawn[0].flip(-1))


@settings(deadline=None, max_examples=30)
@given(seed=seeds, raised=st.floats(0.1, 5))
def test_where_an_attribute_does_not_apply_only_that_is_to_be_said(
    seed: int, raised: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = [torch.randn(7, each.size, generator=generator) for each in QUESTIONS]
    labels = torch.stack([torch.randint(-1, k, (7,), generator=generator) for k in (2, 3)], dim=1)
    before = naming_losses(scores, labels, QUESTIONS)
    lacking = [(labels[:, a] < 0)[:, None] for a in (0, 1)]

    def after(change: Callable[[Tensor], Tensor]) -> Tensor:
        """The losses when the scores of what does not apply are changed."""
        said = [torch.where(no, change(x), x) for no, x in zip(lacking, scores, strict=True)]
        return naming_losses(said, labels, QUESTIONS)

    among = after(lambda x: torch.cat([x[:, :-1].flip(1), x[:, -1:]], dim=1))
    torch.testing.assert_close(among, before)  # which of its classes is none of the loss's business
    surer = after(lambda x: torch.cat([x[:, :-1], x[:, -1:] + raised], dim=1))
    somewhere = (labels < 0).any(dim=1)
    assert (surer[somewhere] < before[somewhere]).all()
    assert torch.equal(surer[~somewhere], before[~somewhere])


@settings(deadline=None, max_examples=30)
@given(seed=seeds)
def test_what_is_said_costs_nothing_where_a_question_without_that_answer_has_no_label(
    seed: int,
) -> None:
    generator = torch.Generator().manual_seed(seed)
    asked = [replace(each, optional=False) for each in QUESTIONS]
    scores = [torch.randn(7, each.size, generator=generator) for each in asked]
    labels = torch.stack([torch.randint(-1, k, (7,), generator=generator) for k in (2, 3)], dim=1)
    said = [torch.where((labels[:, a] < 0)[:, None], 9 * x, x) for a, x in enumerate(scores)]
    before = naming_losses(scores, labels, asked)
    torch.testing.assert_close(naming_losses(said, labels, asked), before)
