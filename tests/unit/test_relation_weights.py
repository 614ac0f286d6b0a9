"""Chapter 1's network in the package is the one of its card, and pages show it in every size."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from experiments.relation import shop_of
from experiments.weights import relation_scores
from explainrec_lab import relation, training, weights
from explainrec_lab.data import Dataset
from explainrec_lab.relation.train import recipe
from explainrec_lab.settings import SIZES, Relation


def settings_of(name: str) -> Relation:
    found = SIZES["relation"][name]
    assert isinstance(found, Relation)
    return found


@pytest.fixture(scope="module")
def shop() -> Dataset:
    return shop_of(settings_of("cpu"))


@pytest.fixture(scope="module")
def split(shop: Dataset) -> relation.Split:
    assert shop.relations is not None
    return relation.split(shop.relations)


def key(settings: Relation, shop: Dataset, split: relation.Split, seed: int = 0) -> str:
    assert shop.catalogue.images is not None
    return weights.recipe_key(recipe(settings, split.train, shop.catalogue.images, seed))


@pytest.mark.parametrize("name", ["ci", "cpu"])
def test_the_card_has_the_recipe_of_the_pages(
    name: str, shop: Dataset, split: relation.Split
) -> None:
    expected = weights._card("relation")["key"]
    assert key(settings_of(name), shop, split) == expected, "run `python -m experiments weights`"
    assert weights._card("relation")["settings"] == asdict(settings_of("cpu"))


def test_a_changed_recipe_has_another_key(shop: Dataset, split: relation.Split) -> None:
    settings, card = settings_of("cpu"), weights._card("relation")["key"]
    other = replace(settings.network, width=0.2), replace(settings.network, epochs=5)
    changes = ({"epochs": 7}, {"shrinkage": 0.02}, *({"network": network} for network in other))
    for change in changes:
        assert key(replace(settings, **change), shop, split) != card
    assert key(settings, shop, split, seed=1) != card
    assert shop.relations is not None
    assert key(settings, shop, relation.split(shop.relations, seed=1)) != card


def test_it_scores_on_unseen_items_what_its_card_says(
    shop: Dataset, split: relation.Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "cached", lambda *_: pytest.fail("trained, or from the cache"))
    model = relation.trained(settings_of("ci"), shop, split)
    said, found = weights._card("relation")["scores"], relation_scores(model, shop, split)
    assert found.keys() == said.keys()
    for measure, value in found.items():
        # the same weights on another processor: a few pairs in a thousand may change sides
        assert value == pytest.approx(said[measure], abs=0.01), measure
