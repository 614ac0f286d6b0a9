"""Laws of maps, boxes and the loss that hold for every input."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from explainrec_lab import saers, vision
from explainrec_lab.saers import regions

seeds = st.integers(0, 10_000)


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
    for frame in (saers.PAPER.frame, saers.OURS.frame):
        assert torch.equal(frame(maps(seed)), frame(maps(seed) * 2.0**power))


@settings(deadline=None, max_examples=30)
@given(seed=seeds)
def test_the_mirror_image_of_a_map_has_the_mirror_image_of_its_box(seed: int) -> None:
    found = maps(seed)
    boxes = saers.boxes_of(saers.segment(found))
    assert torch.equal(saers.boxes_of(saers.segment(found.flip(-1))), mirrored(boxes))


@settings(deadline=None, max_examples=30)
@given(seed=seeds, low=st.floats(0.0, 0.9), more=st.floats(0.0, 0.09))
def test_a_higher_threshold_or_a_smaller_share_keeps_less(
    seed: int, low: float, more: float
) -> None:
    found = maps(seed)
    assert not (saers.segment(found, low + more) & ~saers.segment(found, low)).any()
    few, many = saers.brightest(found, low + 0.01), saers.brightest(found, low + 0.01 + more)
    assert not (few & ~many).any()


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
    network = vision.naming.Naming(
        vision.backbone("vgg11", 0.05, grid=4, stride=8, seed=seed), [2, 3]
    )
    network = network.double().eval()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed)).double()
    codes, asked = torch.zeros(2, 2, dtype=torch.long), torch.ones(2, 2, dtype=torch.bool)
    drawn = [
        regions.relevance_maps(saers.Seen(network, x, network.maps(x), codes, asked))
        for x in (images, images.flip(-1))
    ]
    torch.testing.assert_close(drawn[1], drawn[0].flip(-1))


@settings(deadline=None, max_examples=30)
@given(seed=seeds)
def test_what_is_said_of_an_attribute_that_does_not_apply_costs_nothing(seed: int) -> None:
    torch.manual_seed(seed)
    classes = [torch.randn(7, k) for k in (3, 4)]
    labels = torch.stack([torch.randint(-1, k, (7,)) for k in (3, 4)], dim=1)
    before = saers.classification_losses(classes, labels)
    said = [torch.where((labels[:, a] < 0)[:, None], 9 * c, c) for a, c in enumerate(classes)]
    torch.testing.assert_close(saers.classification_losses(said, labels), before)
