"""What nobody labelled: no loss, no gradient, no weight, no accuracy; and boxes on photos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import label_files
import numpy as np
import pandas as pd
import pytest
import torch

from experiments import saers
from experiments.saers import accuracy
from explainrec_lab import vision
from explainrec_lab.data import Catalogue, DataNotFound, Schema, labels
from explainrec_lab.settings import Network
from explainrec_lab.vision import naming
from explainrec_lab.vision.naming import NOT_LABELLED, Question, naming_losses

SMALL = Network(
    96, 48, "vgg11", 0.1, "batch", stride=16, head="pooled", epochs=8, learning_rate=3e-3
)
TWO = Schema({"neck": ("round", "v", "square"), "sleeve": ("short", "long")})
QUESTIONS = naming.questions_of(TWO)


def catalogue(labelled: np.ndarray | None, codes: np.ndarray, images: np.ndarray) -> Catalogue:
    items = pd.DataFrame({"title": [str(n) for n in range(len(codes))], "category": "top"})
    return Catalogue(items, images, codes, TWO, labelled=labelled)


def test_a_mask_of_labels_has_the_shape_and_type_of_one() -> None:
    codes, images = np.zeros((3, 2), np.int64), np.zeros((3, 3, 8, 8), np.uint8)
    assert catalogue(np.ones((3, 2), bool), codes, images).labelled is not None
    with pytest.raises(ValueError, match=r"labelled: bool of shape \(3, 1\), needs bool \(3, 2\)"):
        catalogue(np.ones((3, 1), bool), codes, images)
    with pytest.raises(ValueError, match="labelled: int64 of shape"):
        catalogue(np.ones((3, 2), np.int64), codes, images)
    bare = catalogue(None, codes, images)
    with pytest.raises(ValueError, match="labelled: give attributes and schema, too"):
        Catalogue(bare.items, labelled=np.ones((3, 2), bool))


def scores(items: int = 8) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    made = [torch.randn(items, q.size, generator=generator).double() for q in QUESTIONS]
    return [each.requires_grad_() for each in made]


def test_gradients_of_what_nobody_labelled_are_exactly_zero() -> None:
    labels = torch.tensor([[0, 1], [1, -2], [-2, -1], [2, 0], [-1, -2], [-2, -2], [0, 0], [-2, 1]])
    said = scores()
    naming_losses(said, labels, QUESTIONS).sum().backward()
    for own, truth in zip(said, labels.T, strict=True):
        assert own.grad is not None
        silent = truth == NOT_LABELLED
        assert (own.grad[silent] == 0).all()
        assert (own.grad[~silent] != 0).any(dim=1).all()


def test_a_question_costs_the_same_with_and_without_its_unlabelled_pictures() -> None:
    """Eq. 1's sum goes over the labels there are, whoever else is in the batch."""
    labels = torch.tensor([[0, 1], [1, 0], [-1, 1], [2, 0], [-2, 1], [-2, 0], [-2, -1], [-2, -1]])
    said = [each.detach() for each in scores()]
    neck = [QUESTIONS[0]]
    whole = naming_losses(said[:1], labels[:, :1], neck)
    alone = naming_losses([said[0][:4]], labels[:4, :1], neck)
    torch.testing.assert_close(whole.mean(), alone.mean())
    assert (whole[4:] == 0).all()


@pytest.mark.parametrize("optional", [True, False])
def test_a_batch_without_any_label_of_a_question_costs_nothing(optional: bool) -> None:
    said = [torch.randn(4, 3 + optional)]
    asked = [Question("neck", ("a", "b", "c"), optional)]
    assert (naming_losses(said, torch.full((4, 1), NOT_LABELLED), asked) == 0).all()


def test_balanced_weights_count_labels_alone() -> None:
    column = np.array([[0], [0], [0], [1], [-1], [-1]])
    more = np.vstack([column, np.full((50, 1), NOT_LABELLED)])
    (before,), (after,) = (naming._class_weights(each, [3]) for each in (column, more))
    torch.testing.assert_close(after, before)


def shapes(seed: int, items: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Pictures with a stripe whose row says the neck (or that there is none), and where it is
    bright, in the middle or at both ends, the sleeve; and the codes."""
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(-1, 3, items), rng.integers(0, 2, items)], axis=1)
    images = rng.integers(0, 40, (items, 3, 48, 48)).astype(np.uint8)
    for image, (neck, sleeve) in zip(images, codes, strict=True):
        row = (neck + 1) * 12
        image[:, row : row + 12, :] = 220 * sleeve
        image[:, row : row + 12, 12:36] = 220 * (1 - sleeve)
    return images, codes


def test_a_network_learns_both_attributes_from_two_halves_that_know_one_each() -> None:
    images, codes = shapes(0)
    known = np.zeros_like(codes, bool)
    known[:48, 0] = known[48:, 1] = True
    others = np.stack([(codes[:, 0] + 2) % 3, 1 - codes[:, 1]], axis=1)
    wrong = np.where(known, codes, others)  # what nobody labelled is not looked at
    network = naming.untrained(SMALL, 0, QUESTIONS)
    how = replace(SMALL, epochs=12, batch_size=16)
    naming.train(network, catalogue(known, wrong, images), how)
    images, codes = shapes(1)
    right = accuracy(network.eval(), catalogue(None, codes, images))
    assert right["neck"] > 0.8 and right["sleeve"] > 0.9


def test_what_nobody_labelled_does_not_move_the_weights_at_all() -> None:
    images, codes = shapes(0, 32)
    known = np.zeros_like(codes, bool)
    known[:, 1] = True
    ends = []
    for filling in (0, 1):
        network = naming.untrained(replace(SMALL, epochs=1), 0, QUESTIONS)
        filled = np.where(known, codes, filling)
        naming.train(network, catalogue(known, filled, images), replace(SMALL, epochs=1))
        ends.append(network.state_dict())
    for name, value in ends[0].items():
        torch.testing.assert_close(value, ends[1][name])


def test_accuracy_counts_what_is_labelled() -> None:
    images, codes = shapes(2, 20)
    network = vision.naming.untrained(SMALL, 0, QUESTIONS).eval()
    known = np.zeros_like(codes, bool)
    known[:7] = True
    found = accuracy(network, catalogue(known, codes, images))
    alone = accuracy(network, catalogue(None, codes[:7], images[:7]))
    pd.testing.assert_series_equal(found, alone)
    known[:, 1] = False
    assert list(accuracy(network, catalogue(known, codes, images)).index) == ["neck"]


# ------------------------------------------------------------------------- Fashionpedia's boxes


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with small sets in the three layouts."""
    monkeypatch.setenv("EXPLAINREC_DATA", str(tmp_path))
    rng = np.random.default_rng(0)
    toes = ["Round Toe", "Pointed Toe"]
    shoes = [f"{n}-1,Shoes,Flats,Flat,,Lace up,Men,,{toes[n % 2]}" for n in range(12)]
    label_files.zappos(tmp_path, shoes)
    rows, photos = [], []
    for n in range(24):
        key, classes = [("collar_design_labels", 5), ("sleeve_length_labels", 9)][n % 2]
        mark = int(rng.integers(1, 4))
        rows.append((key, "".join("y" if c == mark else "n" for c in range(classes))))
        photos.append(label_files.drawn(mark - 1, n % 2))
    label_files.fashionai(tmp_path / "fashionai/train1.zip", rows, photos=photos)
    boxes = [{"collar": [(0, 16 * (n % 3), 16, 16)], "sleeve": [(16, 0, 16, 48)]} for n in range(6)]
    label_files.fashionpedia(tmp_path, boxes, [label_files.drawn(n % 3, 0) for n in range(6)])
    return tmp_path


def test_the_two_labelled_sets_are_one_catalogue(folder: Path) -> None:
    found = labels.both(24).catalogue
    assert len(found) == 36 and found.labelled is not None and found.attributes is not None
    names = np.array(labels.SCHEMA.attributes)
    assert set(names[found.labelled[:12].any(axis=0)]) == {
        "heel_height", "boots_height", "closure", "toe_style",
    }  # fmt: skip
    assert (found.labelled[12:].sum(axis=1) == 1).all()
    assert found.images is not None and found.images[[0, 20, 35]].shape == (3, 3, 24, 24)


def test_boxes_on_photos_are_measured_from_end_to_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saers, "REAL", replace(SMALL, epochs=1))
    rows = pd.DataFrame(saers.saers_fashionpedia(1))
    assert set(rows["data"]) == {"fashionpedia"}
    mean = rows[rows["attribute"] == "mean"].set_index(["method", "how", "measure"])["value"]
    assert mean.between(0, 1).all()
    whole = mean.loc[("whole picture", "20 % of the maximum", "iou")]
    areas = [16 * 16 / 48**2, 16 * 48 / 48**2]
    assert abs(whole - np.mean(areas)) < 1e-6
    assert set(rows["attribute"]) >= {"collar", "sleeves_length"}
    assert "whole picture" in set(rows["method"])


def test_without_the_photos_the_steps_are_told_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLAINREC_DATA", str(tmp_path))
    with pytest.raises(DataNotFound, match="fashionpedia: download"):
        next(saers.saers_fashionpedia(1))
