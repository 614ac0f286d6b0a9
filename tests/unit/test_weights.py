"""The package's networks are those of their cards, and a changed recipe is noticed."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from experiments.weights import NETWORKS, attribute_scores
from explainrec_lab import saers, training, weights
from explainrec_lab.settings import SIZES, Relation, Saers
from explainrec_lab.vision import naming
from explainrec_lab.vision.naming import recipe

LIMIT = 4e6
"""Bytes of all files together."""


def settings_of(name: str) -> Saers:
    found = SIZES["saers"][name]
    assert isinstance(found, Saers)
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_is_the_one_of_its_card(name: str) -> None:
    content = (weights.FOLDER / f"{name}.safetensors").read_bytes()
    assert hashlib.sha256(content).hexdigest() == weights._card(name)["sha256"]


def test_there_is_a_network_behind_every_file_and_all_are_small() -> None:
    files = list(weights.FOLDER.glob("*.safetensors"))
    assert {file.stem for file in files} == set(NETWORKS)
    assert sum(file.stat().st_size for file in files) <= LIMIT


@pytest.mark.parametrize("name", ["ci", "cpu"])
def test_the_card_of_the_shared_network_has_the_recipe_of_the_pages(name: str) -> None:
    relation = SIZES["relation"][name]
    assert isinstance(relation, Relation)
    assert settings_of(name).network == relation.network
    key = weights.recipe_key(recipe(relation.network))
    assert weights._card(naming.NAME)["key"] == key, "run `python -m experiments weights`"


def test_the_shared_network_scores_on_unseen_items_what_its_card_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(training, "cached", lambda *_: pytest.fail("trained, or from the cache"))
    network = saers.trained_network(settings_of("ci"))
    said, found = weights._card(naming.NAME)["scores"], attribute_scores(network)
    assert found.keys() == said.keys()
    for measure, value in found.items():
        # the same weights on another processor: a few items in a hundred thousand may change sides
        assert value == pytest.approx(said[measure], abs=0.01), measure
    assert said["mean accuracy"] >= 0.97
    assert said["lowest accuracy"] >= 0.92


@pytest.mark.parametrize(
    "change", [{"epochs": 9}, {"width": 0.2}, {"photos": 8001}, {"learning_rate": 1e-3}]
)
def test_a_changed_recipe_has_another_key(change: dict[str, float]) -> None:
    settings = settings_of("cpu").network
    changed = recipe(replace(settings, **change))
    assert weights.recipe_key(changed) != weights.recipe_key(recipe(settings))
    assert weights.recipe_key(recipe(settings, seed=1)) != weights._card(naming.NAME)["key"]


def test_another_drawing_has_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = weights.recipe_key({"epochs": 1})
    monkeypatch.setattr(weights, "DRAWING_VERSION", -1)
    assert weights.recipe_key({"epochs": 1}) != before


# --------------------------------------------------------------------------- where they come from


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a network `toy` of the recipe {"epochs": 1}, whose weights are 2."""
    from safetensors.torch import save

    monkeypatch.setenv("EXPLAINREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EXPLAINREC_TRAIN", raising=False)
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    content = save({"weight": torch.full((1, 2), 2.0).half(), "bias": torch.full((1,), 2.0).half()})
    key, digest = weights.recipe_key({"epochs": 1}), hashlib.sha256(content).hexdigest()
    (tmp_path / "toy.safetensors").write_bytes(content)
    card = {"key": key, "sha256": digest, "cpu seconds": 3.5}
    (tmp_path / "toy.json").write_text(json.dumps(card))
    return tmp_path


def asked(epochs: int) -> tuple[float, float]:
    """A weight of the network of a recipe, and the seconds that it took; training makes it 1."""
    model = torch.nn.Linear(2, 1)

    def learn() -> float:
        torch.nn.init.ones_(model.weight)
        return 7.0

    seconds = weights.trained(model, "toy", {"epochs": epochs}, learn)
    return float(model.weight.detach()[0, 0]), seconds


def test_the_recipe_of_the_card_is_read_and_another_one_trained(own: Path) -> None:
    assert asked(1) == (2.0, 3.5)
    assert asked(2) == (1.0, 7.0)


def test_one_may_ask_to_train(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLAINREC_TRAIN", "1")
    assert asked(1) == (1.0, 7.0)


def test_what_was_trained_is_read_from_the_cache(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(2)
    monkeypatch.setattr(torch.nn.init, "ones_", lambda _: pytest.fail("trained again"))
    assert asked(2) == (1.0, 7.0)
    shutil.rmtree(own / "cache")
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        asked(2)


def test_a_file_that_is_not_the_card_s_is_refused(own: Path) -> None:
    file = own / "toy.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match=r"weights: toy\.safetensors is not the file of its card"):
        asked(1)
