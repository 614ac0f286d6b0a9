"""Attributes and their places at the door: what is taken, what is refused, what is defined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from explainrec_lab import data, saers, vision
from explainrec_lab.saers import regions
from explainrec_lab.settings import SIZES, Network, Saers
from explainrec_lab.vision.naming import Question, _class_weights, naming_losses

SMALL = Saers(
    "ci", 60, 20, 64, 8, Network(96, 64, "vgg11", 0.05, "batch", epochs=1, learning_rate=1)
)


QUESTIONS = [
    Question(name, tuple(classes))
    for name, classes in {"neck": "abc", "cuff": "de", "toe": "fghi"}.items()
]


def network() -> vision.naming.Naming:
    own = vision.backbone("vgg11", width=0.1, grid=4, stride=8, norm="batch")
    torch.manual_seed(0)
    return vision.naming.Naming(own, QUESTIONS).eval()


def photos(count: int = 4) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)


# --------------------------------------------------------------------------- defined results


def test_a_map_without_an_opinion_is_the_whole_picture() -> None:
    zero = torch.zeros(2, 8, 8)
    assert regions.segment(zero).all()
    assert regions.brightest(zero, 0.5).all()
    assert regions.paper_frame(zero).tolist() == [[0, 0, 8, 8]] * 2
    assert regions.mass_frame(zero).tolist() == [[0, 0, 8, 8]] * 2


def test_a_map_of_one_pixel_is_a_box_of_one_pixel_and_pools_one_cell() -> None:
    one = torch.zeros(1, 16, 16)
    one[0, 5, 9] = 1.0
    box = regions.paper_frame(one)
    assert box.tolist() == [[5, 9, 6, 10]]
    maps = torch.arange(16.0).view(1, 1, 4, 4)
    assert regions._region_features(maps, box[None], (16, 16)).tolist() == [[[maps[0, 0, 1, 2]]]]


def test_of_two_regions_alike_the_first_stays_and_corners_do_not_connect() -> None:
    mask = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=torch.bool)
    assert regions.largest_region(mask).tolist() == (mask & (torch.arange(3) == 0)).tolist()
    assert not regions.largest_region(torch.zeros(2, 3, 3, dtype=torch.bool)).any()


def test_an_item_without_an_attribute_has_zeros_and_whole_boxes() -> None:
    applies = np.array([[True, False, True], [False] * 3, [True] * 3, [False] * 3])
    for locator in (regions.PAPER, saers.OURS):
        found = saers.extract(network(), photos(), applies=applies, locator=locator)
        assert (found.applies == applies).all()
        assert not found.features[~applies].any()
        assert found.features[applies].any(axis=1).all()
        assert (found.boxes[~applies] == [0, 0, 32, 32]).all()
        assert found.features.dtype == np.float32
        assert found.predicted.shape == (4, 3)


def test_a_blank_picture_has_no_attribute_whatever_it_is_said_to_have() -> None:
    pictures = photos()
    pictures[1] = 255
    pictures[2] = np.array([10, 20, 30])[:, None, None]
    found = saers.extract(network(), pictures, applies=np.ones((4, 3), bool))
    assert found.applies.tolist() == [[True] * 3, [False] * 3, [False] * 3, [True] * 3]


def test_batches_do_not_matter_and_no_pictures_give_empty_arrays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    applies = np.ones((4, 3), bool)
    for locator in (regions.PAPER, saers.OURS):
        found = []
        for size in (4, 3):
            monkeypatch.setattr(regions, "BATCH", size)
            found.append(saers.extract(network(), photos(), applies=applies, locator=locator))
        all_, some = found
        np.testing.assert_allclose(all_.features, some.features, rtol=1e-4, atol=1e-5)
        none = saers.extract(network(), photos(0), locator=locator)
        assert none.features.shape == (0, 3, network().network.channels)
        assert len(none) == 0


def test_missing_and_damaged_photos_are_blank_and_told(tmp_path: Path) -> None:
    whole, cut, gone = (tmp_path / name for name in ("whole.png", "cut.png", "gone.png"))
    Image.fromarray(photos(1)[0].transpose(1, 2, 0)).save(whole)
    cut.write_bytes(whole.read_bytes()[:200])
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    pictures = data.Photos([whole, cut, gone, text], size=32, tolerated=0.8)
    assert pictures[0].shape == (3, 32, 32)
    np.testing.assert_array_equal(pictures[0], photos(1)[0])
    assert (pictures[1:] == 255).all()
    assert sorted(pictures.unreadable) == [1, 2, 3]
    assert "gone.png" in pictures.unreadable[2]
    found = saers.extract(network(), pictures)
    assert not found.applies[1:].any()
    with pytest.raises(ValueError, match="items: item 4 is not in this dataset"):
        pictures[4]
    with pytest.raises(ValueError, match="size: 0 pixels must be at least 1"):
        data.Photos([], size=0)


def test_a_photo_is_padded_to_a_square(tmp_path: Path) -> None:
    Image.new("L", (40, 20), 0).save(tmp_path / "wide.png")
    picture = data.Photos([tmp_path / "wide.png"], size=20)[0]
    assert (picture[:, :5] == 255).all()
    assert (picture[:, 5:15] == 0).all()


# --------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda n, x: saers.extract(n.train(), x), "network: is in training mode"),
        (lambda n, x: saers.extract(n, x[0]), r"images: shape .* needs \[item, 3"),
        (lambda n, x: saers.extract(n, x / 255), "images: dtype torch.float64"),
        (lambda n, x: saers.extract(n, x, applies=np.ones((4, 2))), r"applies: shape \(4, 2\)"),
        (
            lambda n, x: n.columns(torch.tensor([[0, 2, 0]])),
            r"codes: item 0, question 1: 2 is not in 0\.\.1",
        ),
        (lambda n, x: n.columns(torch.tensor([[0, 0, -1]])), "item 0, question 2: -1 is not in 0"),
        (
            lambda n, x: vision.naming.Naming(n.network, QUESTIONS, "deep"),
            "head: 'deep'; choose from pooled, hidden",
        ),
    ],
)
def test_what_a_network_cannot_take_is_named(ask: Callable[..., Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ask(network(), photos())


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda m: regions.segment(m, 1.0), "threshold: 1.0 must be at least 0 and below 1"),
        (lambda m: regions.segment(m / 0), "maps: nan or infinite values"),
        (lambda m: regions.brightest(m, 0.0), "share: 0.0 must be above 0 and at most 1"),
        (lambda m: regions.brightest(m - 1, 0.5), "maps: negative values; take the positive part"),
        (lambda m: regions.brightest(m / 0, 0.5), "maps: nan or infinite values"),
    ],
)
def test_a_bad_map_or_threshold_is_named(ask: Callable[[Tensor], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ask(torch.rand(2, 4, 4, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("box", [(0, 0, 0, 4), (3, 5, 8, 5), (0, 0, 9, 4), (-1, 0, 4, 4)])
def test_an_empty_box_or_one_outside_is_named(box: tuple[int, ...]) -> None:
    boxes = torch.tensor([[[0, 0, 4, 4], box]])
    with pytest.raises(ValueError, match=r"boxes: .* of item 0, attribute 1, is empty or leaves"):
        regions._region_features(torch.rand(1, 2, 4, 4), boxes, (8, 8))


def test_a_catalogue_without_labels_cannot_teach() -> None:
    catalogue = data.load("boutique", items=8, shoppers=1, size=64).catalogue
    blind = replace(catalogue, attributes=None, schema=None)
    with pytest.raises(ValueError, match="of the catalogue: not known here"):
        vision.naming.train(vision.naming.untrained(SMALL.network), blind, SMALL.network)


# --------------------------------------------------------------------------- the recipe


def test_a_trained_network_comes_back_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLAINREC_CACHE", str(tmp_path))
    monkeypatch.setenv("EXPLAINREC_SETTINGS", "ci")
    first = saers.trained_network(SMALL)
    again = saers.trained_network(replace(SMALL, items=7, d=3))  # not the network's business
    assert first.seconds == again.seconds > 0
    for one, other in zip(first.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert not first.training
    (file,) = (tmp_path / "trained").glob("*.kept")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.warns(UserWarning, match=r"attributes-\w+\.kept is damaged"):
        damaged = saers.trained_network(SMALL)
    for one, other in zip(first.state_dict().values(), damaged.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_the_papers_network_has_a_grid_of_seven() -> None:
    settings = SIZES["saers"]["gpu"]
    assert isinstance(settings, Saers)
    assert settings.network.backbone == "resnet50"
    assert settings.network.size // settings.network.stride == 7


@pytest.mark.parametrize(
    ("name", "width", "finest"), [("vgg11", 0.1, 4), ("compact", 0.25, 2), ("resnet50", 1.0, 4)]
)
def test_networks_come_at_their_stride_or_a_finer_one(name: str, width: float, finest: int) -> None:
    for stride in (finest, 8):
        own = vision.backbone(name, width, grid=64 // stride, stride=stride).eval()
        assert own.convolutions(torch.zeros(1, 3, 64, 64)).shape[-2:] == (64 // stride,) * 2


def test_a_narrow_network_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"width: 0\.1 .* from scratch, not 'resnet18'"):
        vision.backbone("resnet18", 0.1)
    with pytest.raises(ValueError, match="stride: 16 cannot be had, 8 can"):
        vision.backbone("compact", stride=16)


def test_weights_let_all_classes_of_a_question_count_alike() -> None:
    labels = np.array([[0, -1], [0, -1], [0, -1], [1, -1]])
    own, none = _class_weights(labels, [3, 2])
    assert own[:2].tolist() == pytest.approx([4 / 6, 4 / 2])  # the third has no example
    assert own[labels[:, 0]].mean() == pytest.approx(1)
    assert torch.isfinite(none).all()
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    asked = [Question("colour", ("red", "green", "blue"), optional=False)]
    losses = naming_losses([logits], torch.from_numpy(labels[:, :1]), asked, [own])
    log_p = logits.log_softmax(dim=1)
    by_hand = [-float(own[c] * log_p[row, c]) for row, c in enumerate(labels[:, 0])]
    assert losses.tolist() == pytest.approx(by_hand)
