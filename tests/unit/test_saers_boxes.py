"""Scores of boxes: boxes by hand, maps that know the truth, a shop without pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments import saers as saers_boxes
from experiments.saers import accuracy
from explainrec_lab import data, saers, vision
from explainrec_lab.data.contracts import Dataset
from explainrec_lab.evaluate import localisation
from explainrec_lab.saers import boxes, regions
from explainrec_lab.settings import Network, Saers

SMALL = Saers(
    "ci", 60, 20, 64, 8, Network(96, 64, "vgg11", 0.05, "batch", epochs=1, learning_rate=1)
)


@pytest.fixture(scope="module")
def shop() -> Dataset:
    return data.load("boutique", items=24, shoppers=1, size=64)


def test_overlap_is_the_shared_area_over_the_covered() -> None:
    some = torch.tensor([[0, 0, 4, 4], [0, 0, 4, 4], [0, 0, 4, 4], [0, 0, 1, 1]])
    others = torch.tensor([[0, 0, 4, 4], [2, 2, 6, 6], [4, 0, 8, 4], [5, 5, 6, 6]])
    expected = torch.tensor([1.0, 4 / 28, 0.0, 0.0])
    torch.testing.assert_close(boxes.overlap(some, others), expected)
    torch.testing.assert_close(boxes.overlap(others, some), expected)


def test_a_map_that_knows_the_truth_points_right_and_finer_grids_box_better(
    shop: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boxes, "BATCH", 10)
    network = vision.naming.untrained(SMALL.network).eval()
    table = boxes.table(network, shop, np.arange(24), {})
    scores = table.groupby(["map", "frame"])[["iou", "pointing"]].mean()
    assert scores.loc[("best on 16 x 16", "20 % of the maximum"), "pointing"] > 0.99
    paper = [scores.loc[(f"best on {n} x {n}", "20 % of the maximum"), "iou"] for n in boxes.GRIDS]
    assert paper == sorted(paper)
    applies = shop.catalogue.attributes >= 0
    assert len(table[table["map"] == "whole garment"]) == applies.sum()


def test_the_true_part_as_a_map_has_the_true_box(shop: Dataset) -> None:
    def told(seen: regions.Seen) -> torch.Tensor:
        masks = localisation.attribute_masks(shop, np.arange(24))
        return torch.from_numpy(masks)[seen.asked].float()

    network = vision.naming.untrained(SMALL.network).eval()
    table = boxes.table(network, shop, np.arange(24), {"told": told}, references=False)
    paper = table[table["frame"] == "20 % of the maximum"].groupby("attribute")["iou"].mean()
    assert paper["toe_style"] == 1  # of one piece, so that its largest region is all of it
    assert (table["pointing"] == 1).all()


def test_a_random_network_names_few_classes_and_accuracy_counts_what_applies(
    shop: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saers_boxes, "BATCH", 7)
    network = vision.naming.untrained(SMALL.network).eval()
    found = accuracy(network, shop.catalogue)
    said = saers.extract(network, shop.catalogue.images).predicted
    labels = shop.catalogue.attributes
    for column, name in enumerate(shop.catalogue.schema.attributes):
        there = labels[:, column] >= 0
        if there.any():
            assert found[name] == (said[there, column] == labels[there, column]).mean()


def test_a_shop_without_labels_or_masks_is_named(shop: Dataset) -> None:
    network = vision.naming.untrained(SMALL.network).eval()
    blind = replace(shop.catalogue, attributes=None, schema=None)
    with pytest.raises(ValueError, match="schema: not known"):
        accuracy(network, blind)
    with pytest.raises(ValueError, match="attributes of 'boutique': not known"):
        boxes.table(network, replace(shop, catalogue=blind), np.arange(3))
    with pytest.raises(ValueError, match="items: item 24 is not in this dataset"):
        boxes.table(network, shop, np.array([24]))
