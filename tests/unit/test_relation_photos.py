"""Relations out of purchases: who counts as a pair, how items are divided, what pairs are told
from, and models that look at vectors instead of pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from experiments.relation_real import VARIANTS, exchanged, relations_of
from explainrec_lab import relation
from explainrec_lab.data import RELATION_KINDS, Dataset, Relations, from_frames
from explainrec_lab.relation import RelationModel
from explainrec_lab.relation.model import Projection
from explainrec_lab.settings import SIZES
from explainrec_lab.vision import backbone as backbone_of

ALSO, TOGETHER = (RELATION_KINDS.index(kind) for kind in ("also_bought", "bought_together"))


def bought(events: list[tuple[int, int, int]], items: list[str]) -> Dataset:
    """Purchases (user, item, day) of articles with these numbers."""
    table = pd.DataFrame(events, columns=["user", "item", "time"])
    rows = pd.DataFrame({"item": range(len(items)), "title": "t", "category": "c"})
    found = from_frames(table, items=rows, name="toy")
    catalogue = found.catalogue
    numbered = catalogue.items.assign(original_id=items)
    return replace(found, catalogue=replace(catalogue, items=numbered))


def pairs_of(found: Relations, kind: int) -> set[tuple[int, int]]:
    own = found.kind == kind
    return set(zip(found.source[own].tolist(), found.target[own].tolist(), strict=True))


NUMBERS = [f"{garment:07d}001" for garment in range(6)]


def test_one_day_is_together_and_the_next_day_of_shopping_is_also() -> None:
    events = [(0, 0, 1), (0, 1, 1), (0, 2, 9), (0, 3, 20)]
    found = relations_of(bought([*events, (1, 4, 3), (1, 5, 3)], NUMBERS))
    assert pairs_of(found, TOGETHER) == {(0, 1), (4, 5)}
    assert pairs_of(found, ALSO) == {(0, 2), (1, 2), (2, 3)}


def test_a_pair_counts_once_whoever_bought_it_and_in_whichever_order() -> None:
    events = [(0, 0, 1), (0, 1, 5), (1, 1, 1), (1, 0, 5), (2, 0, 1), (2, 1, 1)]
    found = relations_of(bought([*events, *((3, n, 40 * n) for n in range(6))], NUMBERS))
    assert pairs_of(found, ALSO) == {(0, 1)} == pairs_of(found, TOGETHER)
    assert len(found) == 2


def test_a_day_too_late_and_the_same_garment_in_another_colour_make_no_pair() -> None:
    numbers = ["0000001001", "0000001002", *NUMBERS[2:]]
    events = [(0, 0, 1), (0, 1, 1), (0, 2, 31), (0, 3, 62), (1, 4, 1), (1, 5, 90)]
    found = relations_of(bought(events, numbers))
    assert pairs_of(found, TOGETHER) == set()
    assert pairs_of(found, ALSO) == {(0, 2), (1, 2)}


# --------------------------------------------------------------------------- who is divided


def recorded(items: int = 90, pairs: int = 700, groups: int = 2) -> Relations:
    rng = np.random.default_rng(3)
    source = rng.integers(items, size=pairs)
    target = (source + rng.integers(1, items, size=pairs)) % items
    drawn = rng.integers(groups, size=pairs), rng.integers(4, size=pairs)
    return Relations(drawn[0], source, target, drawn[1], items, groups)


def test_what_is_alike_stays_in_one_part() -> None:
    garment = np.repeat([f"g{n}" for n in range(30)], 3)
    parts = relation.split(recorded(), seed=1, alike=garment)
    every = [parts.train.items, parts.development.items, parts.test.items]
    assert sorted(np.concatenate(every).tolist()) == list(range(90))
    assert [len(each) for each in every] == [63, 9, 18]
    assert not set.intersection(set(garment[every[0]]), set(garment[every[2]]))


def test_without_anything_alike_the_division_is_that_of_single_items() -> None:
    alone = relation.split(recorded(), seed=2, alike=np.arange(90))
    usual = relation.split(recorded(), seed=2)
    for name in ("train", "development", "test"):
        np.testing.assert_array_equal(getattr(alone, name).items, getattr(usual, name).items)
        np.testing.assert_array_equal(getattr(alone, name).rows, getattr(usual, name).rows)


# --------------------------------------------------------------------------- what it is told from


@pytest.mark.parametrize("seed", range(5))
def test_exchanged_targets_are_of_the_same_kind_and_category_and_no_relation(seed: int) -> None:
    whole = recorded()
    category = np.random.default_rng(0).integers(3, size=whole.n_items)
    part = relation.split(whole, seed, (1.0, 0.0, 0.0)).train
    pairs = exchanged(part, category, seed)
    true, drawn = pairs[pairs.related], pairs[~pairs.related]
    assert len(true) == len(drawn) > 300
    for name in ("user", "kind", "source"):
        np.testing.assert_array_equal(getattr(true, name), getattr(drawn, name))
    np.testing.assert_array_equal(category[true.target], category[drawn.target])
    assert (drawn.source != drawn.target).all() and (drawn.rows == -1).all()
    columns = (whole.group, whole.kind, whole.source, whole.target)
    known = set(zip(*map(np.ndarray.tolist, columns), strict=True))
    for user, kind, s, t in zip(drawn.user, drawn.kind, drawn.source, drawn.target, strict=True):
        assert not {(user, kind, s, t), (user, kind, t, s)} & known
    np.testing.assert_array_equal(whole.target[true.rows], true.target)


# --------------------------------------------------------------------------- vectors for pictures


def test_training_upon_vectors_leaves_the_network_alone() -> None:
    settings = replace(SIZES["relation"]["ci"], features="projection", D=6, rank=2, epochs=1)
    network = backbone_of("vgg11", width=0.05, grid=2)
    model = RelationModel(network, Projection(12, 6), 2, rank=2)
    before = [each.clone() for each in network.parameters()], model.head[0].weight.clone()
    vectors = torch.rand(90, 12, generator=torch.Generator().manual_seed(0))
    relation.train(model, relation.split(recorded()).train, vectors, settings)
    assert all(map(torch.equal, before[0], network.parameters()))
    assert not torch.equal(before[1], model.head[0].weight)


def test_every_variant_sees_something_that_there_is() -> None:
    for name, given in VARIANTS.items():
        assert given["sees"] in ("photos", "VGG-16", "8 x 8 pixels"), name
        assert set(given["splits"]) <= {"10", "100", "500"}
