"""Relevance fed back into training, its controls, and the rule that relations are judged by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from experiments import relation as feedback
from experiments.relation import shop_of
from explainrec_boutique.gallery import Gallery
from explainrec_lab import lrp, relation
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
def split(shop: Dataset) -> relation.Split:
    assert shop.relations is not None
    return relation.split(shop.relations)


def closeness(model: relation.RelationModel) -> relation.Closeness:
    return relation.Closeness(model.eval(), torch.zeros(1, model.dimensions))


def test_shares_of_relevance_sum_to_one_and_ignore_cells_that_are_off(
    shop: Dataset, model: relation.RelationModel, split: relation.Split
) -> None:
    images = shop.catalogue.images
    assert images is not None
    with torch.no_grad():
        first = next(part for part in model.head.modules() if isinstance(part, torch.nn.Linear))
        first.weight.unflatten(1, (-1, 64))[:, :, 9] = 0  # of the 8 x 8 cells
    pairs = relation.test_pairs(split.train)
    items, maps, lay = feedback.validated(closeness(model), images, pairs)
    assert lay.shape == (len(items), 8, 8)
    assert maps.shape == (len(items), model.network.channels, 8, 8)
    assert (lay >= 0).all()
    torch.testing.assert_close(lay.sum((1, 2)), torch.ones(len(items)))
    assert (lay[:, 1, 1] == 0).all()


def test_relevance_of_a_picture_is_that_of_its_pairs_one_by_one(
    model: relation.RelationModel,
) -> None:
    close, D = closeness(model), model.dimensions
    flat, partner = torch.rand(2, model.network.size), torch.rand(3, D)
    inside, asked = torch.tensor([0, 1, 1]), (torch.tensor([0, 1, 2]), torch.tensor([2, 3, 0]))
    together = feedback.cell_relevance(close, flat, inside, partner, *asked)
    alone = torch.zeros_like(together)
    for pair, item in enumerate(inside.tolist()):
        own = [ids[pair : pair + 1] for ids in (partner, *asked)]
        picture = flat[item : item + 1]
        alone[item] += feedback.cell_relevance(close, picture, torch.tensor([0]), *own)[0]
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-4)


MAPS = st.integers(0, 2**16).map(lambda seed: torch.rand(3, 5, 4, 4, generator=seeded(seed)))


def gate(weight: torch.Tensor, strength: float) -> feedback.Gate:
    found = feedback.Gate(weight)
    found.strength = strength
    return found


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(maps=MAPS, seed=st.integers(0, 99), strength=st.floats(0.1, 1))
def test_a_gate_has_mean_one_on_every_picture_and_depends_on_the_picture(
    maps: torch.Tensor, seed: int, strength: float
) -> None:
    weight = torch.randn(5, generator=seeded(seed))
    ratio = gate(weight, strength)(maps) / maps
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))  # one number a cell
    torch.testing.assert_close(ratio.mean((1, 2, 3)), torch.ones(3))
    assert not torch.allclose(ratio[0], ratio[1], rtol=1e-3)


def test_a_gate_of_strength_0_and_one_that_has_not_learned_change_nothing() -> None:
    maps, weight = torch.rand(3, 5, 4, 4), torch.randn(5)
    torch.testing.assert_close(gate(weight, 0.0)(maps), maps)
    torch.testing.assert_close(gate(0 * weight, 1.0)(maps), maps)


def test_relevance_passes_a_gate_and_none_is_lost() -> None:
    network = torch.nn.Sequential(gate(torch.randn(5), 0.5), torch.nn.Flatten())
    maps, ones = torch.rand(3, 5, 4, 4), torch.ones(80)
    found, ledger = lrp.relevance(
        lambda x: network(x) @ ones, maps, rule=lrp.Epsilon(0.0), ledger=True
    )
    torch.testing.assert_close(found, network(maps).view_as(maps))
    assert ledger.inputs == pytest.approx(ledger.output, rel=1e-5)


def test_a_predictor_learns_which_channel_relevance_follows() -> None:
    maps = torch.rand(40, 3, 4, 4, generator=seeded(0))
    target = feedback.shares(maps[:, 1] ** 4)
    weight = feedback.learned(maps, target)
    assert weight.argmax() == 1
    blind, learned = (feedback.predicted(maps, each) for each in (0 * weight, weight))
    assert feedback.apart(target, learned).mean() < feedback.apart(target, blind).mean() - 0.2


def test_controls_keep_the_shares_and_lose_the_relevance(shop: Dataset) -> None:
    items, lay = torch.arange(4), feedback.shares(torch.rand(4, 8, 8))
    wanted = feedback.targets(shop, items, lay)
    assert tuple(wanted) == feedback.TARGETS
    for cells in wanted.values():
        torch.testing.assert_close(cells.sum((1, 2)), torch.ones(4))
    assert torch.equal(wanted["by relevance"], lay)
    assert not any(
        torch.equal(a, b) for a, b in zip(wanted["by another picture"], lay, strict=True)
    )
    images = shop.catalogue.images
    assert isinstance(images, Gallery)
    empty = ~images.silhouette(0).reshape(8, 8, 8, 8).any(axis=(1, 3))
    assert np.array_equal(wanted["by the silhouette"][0].numpy() == 0, empty)


@pytest.mark.parametrize("strength", [0.0, 10.0])
def test_the_term_in_the_loss_moves_relevance_to_where_it_is_predicted(
    shop: Dataset, model: relation.RelationModel, split: relation.Split, strength: float
) -> None:
    part, images = split.train, shop.catalogue.images
    assert images is not None
    weight = torch.randn(model.network.channels, generator=seeded(1)) * 5
    pull = feedback.PullingLoss(len(part.items), closeness(model), weight)
    pull.strength = strength
    relation.train(model, part, images, replace(TINY, epochs=30), losses=pull)
    _, maps, lay = feedback.validated(closeness(model), images, relation.test_pairs(part))
    far = float(feedback.apart(feedback.predicted(maps, weight), lay).mean())
    assert far < 0.7 if strength else far > 0.75


@pytest.mark.parametrize("how", [feedback.FED_BACK[n] for n in (0, 1, 6)])
def test_the_outer_loop_changes_only_what_its_form_says(
    shop: Dataset, model: relation.RelationModel, split: relation.Split, how: tuple[str, str]
) -> None:
    before = model.metric.shared.detach().clone()
    feedback.train_with_feedback(model, shop, split, replace(TINY, epochs=3), 0, *how)
    assert not torch.equal(before, model.metric.shared)
    gates = [part for part in model.modules() if isinstance(part, feedback.Gate)]
    assert len(gates) == (feedback.ROUNDS - 1) * (how[0] == "maps weighted")


def test_bad_feedback_is_named(
    shop: Dataset, model: relation.RelationModel, split: relation.Split
) -> None:
    with pytest.raises(ValueError, match=r"how: \('magic', ''\); choose from .*'no feedback'"):
        feedback.train_with_feedback(model, shop, split, TINY, 0, "magic", "")
    with torch.no_grad():
        model.q.fill_(-1e9)
    images = shop.catalogue.images
    assert images is not None
    with pytest.raises(ValueError, match="pairs: the model predicts no related one right"):
        feedback.validated(closeness(model), images, relation.test_pairs(split.train))


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
