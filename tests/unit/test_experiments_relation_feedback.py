"""Relevance fed back into training, its controls, and the rule that relations are judged by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments import relation_feedback as feedback
from experiments.relation import shop_of
from explainrec_lab import relation
from explainrec_lab.data import Dataset
from explainrec_lab.evaluate.truth import rule_holds
from explainrec_lab.settings import SIZES, Network

CI = SIZES["relation"]["ci"]
SMALL = Network(60, 64, "vgg11", 0.05, "batch", epochs=1, hidden=8)
TINY = replace(CI, items=60, pairs=200, network=SMALL, epochs=4, batch_size=16, start="fresh")


@pytest.fixture(scope="module")
def shop() -> Dataset:
    return shop_of(TINY)


@pytest.fixture
def model(shop: Dataset) -> relation.RelationModel:
    assert shop.relations is not None
    return relation.untrained(TINY, shop.relations.n_groups)


@pytest.fixture(scope="module")
def part(shop: Dataset) -> relation.Part:
    assert shop.relations is not None
    return relation.split(shop.relations).train


def test_shares_of_relevance_sum_to_one_and_ignore_units_that_are_off(
    shop: Dataset, model: relation.RelationModel, part: relation.Part
) -> None:
    images = shop.catalogue.images
    assert images is not None
    with torch.no_grad():
        model.projection.weight[:, :16] = 0  # the first channel of the 4 x 4 map
    share = feedback.unit_relevance(model, images, relation.test_pairs(part))
    assert share.shape == model.network.gain.shape
    assert float(share.sum()) == pytest.approx(1, abs=1e-4)
    assert (share >= 0).all()
    assert float(share[0].sum()) == pytest.approx(0, abs=1e-9)


def test_gains_follow_relevance_and_keep_their_mean() -> None:
    gain, relevance = torch.ones(2, 2, 2), torch.arange(8.0).reshape(2, 2, 2)
    changed = feedback.fed_back(gain, relevance, 0.5)
    assert float(changed.mean()) == pytest.approx(1)
    assert (changed.flatten().diff() >= 0).all()
    torch.testing.assert_close(feedback.fed_back(gain, relevance, 0.0), gain)
    spike = torch.tensor([90.0, 10, 0, 0, 0, 0, 0, 0])
    capped = feedback.fed_back(torch.ones(8), spike, 1.0, most=3.0)
    assert float(capped[0] / capped[1]) == pytest.approx(3 / 0.8)  # 7.2 times the mean counts as 3
    with pytest.raises(ValueError, match=r"strength: 2 must be in 0\.\.1"):
        feedback.fed_back(gain, relevance, 2)


@pytest.mark.parametrize("control", feedback.CONTROLS)
def test_the_outer_loop_changes_the_gains_only_where_it_should(
    shop: Dataset, model: relation.RelationModel, part: relation.Part, control: str
) -> None:
    assert shop.catalogue.images is not None
    before = model.projection.weight.detach().clone()
    feedback.train_with_feedback(
        model,
        part,
        shop.catalogue.images[:],
        relation.test_pairs(part),
        TINY,
        rounds=2,
        control=control,
    )
    assert not torch.equal(before, model.projection.weight)
    gain = model.network.gain
    assert bool((gain == 1).all()) == (control == "none")
    assert float(gain.mean()) == pytest.approx(1, abs=1e-4)


def test_bad_feedback_is_named(
    shop: Dataset, model: relation.RelationModel, part: relation.Part
) -> None:
    asked = (model, part, shop.catalogue.images, relation.test_pairs(part), TINY)
    with pytest.raises(ValueError, match="control: 'magic'; choose from relevance"):
        feedback.train_with_feedback(*asked, control="magic")
    with pytest.raises(ValueError, match="rounds: 3 must divide the 4 epochs"):
        feedback.train_with_feedback(*asked, rounds=3)


def test_the_rule_confirms_what_has_a_reason_and_denies_the_noise(shop: Dataset) -> None:
    dataset = shop
    assert dataset.relations is not None
    assert dataset.truth is not None
    every = dataset.relations
    rows = np.arange(len(every))
    pairs = relation.Pairs(every.group, every.source, every.target, every.kind, rows >= 0, rows)
    holds = rule_holds(dataset, pairs)
    assert np.array_equal(holds, dataset.truth.relation_reason[:, 0] >= 0)
    with pytest.raises(ValueError, match="seed: 5 is not what this boutique was loaded with"):
        rule_holds(dataset, pairs, seed=5)
    stranger = replace(pairs, user=pairs.user + 5)
    with pytest.raises(ValueError, match=r"pairs\.user"):
        rule_holds(dataset, stranger)
    with pytest.raises(ValueError, match="'other' has no rule; the boutique has"):
        rule_holds(replace(dataset, name="other"), pairs)
