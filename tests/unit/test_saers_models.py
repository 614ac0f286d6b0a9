"""The shop as rankers see it, and the models by their names, on a shop of a few seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments import saers as experiments
from experiments.saers import (
    EXPLAINED,
    MODELS,
    SETTINGS,
    TUNED,
    UNTRAINED,
    Shop,
    learn,
    longer,
    make,
    open_shop,
    pooled_vectors,
    shuffled,
    trained,
)
from explainrec_lab import data, saers, vision
from explainrec_lab.data.store import DataNotFound
from explainrec_lab.evaluate import ranking, truth
from explainrec_lab.saers import regions
from explainrec_lab.saers.model import SAERS, _scaled
from explainrec_lab.settings import Network, Saers

TINY = Saers("tiny", 120, 40, 64, 6, Network(40, 64, "vgg11", 0.1, "batch", stride=16, epochs=1))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPLAINREC_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("EXPLAINREC_SETTINGS", "ci")
        patch.setattr(
            saers, "trained_network", lambda _: vision.naming.untrained(TINY.network).eval()
        )
        return open_shop(TINY)


@pytest.fixture
def images() -> data.Images:
    found = data.load("boutique", items=30, shoppers=1, size=64).catalogue.images
    assert found is not None
    return found


def test_what_the_network_saw_is_kept_and_read_again(
    images: data.Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLAINREC_CACHE", str(tmp_path))
    network = vision.naming.untrained(TINY.network).eval()
    first = saers.extracted(network, images)
    with monkeypatch.context() as patch:
        patch.setattr(regions, "extract", lambda *_, **__: pytest.fail("looked again"))
        again = saers.extracted(network, images[:])
    for name, value in vars(first).items():
        assert np.array_equal(value, getattr(again, name))
    others = (vision.naming.untrained(TINY.network, seed=1).eval(), images), (network, images[:29])
    for other, pictures in others:  # nothing of these was kept
        found = saers.extracted(other, pictures)
        assert not np.array_equal(found.features, first.features)


def test_a_damaged_memory_is_made_again(
    images: data.Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLAINREC_CACHE", str(tmp_path))
    network = vision.naming.untrained(TINY.network).eval()
    first = saers.extracted(network, images)
    (file,) = (tmp_path / "saers").glob("*.kept")
    whole = file.read_bytes()
    for damaged in (b"half a file", whole[: len(whole) // 2], b""):
        file.write_bytes(damaged)
        with pytest.warns(UserWarning, match=f"{file.name} is damaged"):
            again = saers.extracted(network, images)
        assert np.array_equal(first.features, again.features)


def test_a_shop_has_as_many_purchases_as_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLAINREC_CACHE", str(tmp_path))
    monkeypatch.setattr(
        saers, "trained_network", lambda _: vision.naming.untrained(TINY.network).eval()
    )
    opened = open_shop(TINY, seed=1, purchases=5)
    assert opened.dataset.interactions.matrix.sum() == 5 * TINY.shoppers


@pytest.mark.parametrize("name", MODELS)
def test_every_model_can_be_made_and_learns(name: str, shop: Shop) -> None:
    assert name in UNTRAINED or name in TUNED
    model, history = learn(name, shop, 6, **({} if name in UNTRAINED else {"epochs": 2}))
    scores = model.scores()
    assert scores.shape == (TINY.shoppers, TINY.items)
    assert torch.isfinite(scores).all()
    assert len(history.loss) == (0 if name in UNTRAINED else 2)


def test_an_unknown_model_is_named(shop: Shop) -> None:
    with pytest.raises(ValueError, match="name: 'GPT'; choose from Random, PopRank, BPR-MF"):
        make("GPT", shop, 6)


def test_class_features_are_a_one_at_the_named_class(shop: Shop) -> None:
    named = saers.class_features(shop.found)
    assert torch.equal(named.sum(dim=-1) > 0, torch.from_numpy(shop.found.applies))
    item, attribute = named.sum(dim=-1).nonzero(as_tuple=True)
    classes = named[item, attribute].argmax(dim=-1).numpy()
    assert np.array_equal(classes, shop.found.predicted[item.numpy(), attribute.numpy()])


def test_scaled_features_have_length_one_on_average() -> None:
    features = torch.zeros(4, 2, 3)
    features[:2, 0] = torch.rand(2, 3) * 100
    assert float(_scaled(features)[:2, 0].norm(dim=-1).mean()) == pytest.approx(1)


def test_shuffled_features_stay_among_items_with_the_same_attributes(shop: Shop) -> None:
    named = saers.class_features(shop.found)
    other = shuffled(named, shop.found.applies, seed=0)
    assert torch.equal(named.sum(dim=-1), other.sum(dim=-1))
    assert not torch.equal(named, other)


def test_longer_histories_take_fewer_epochs_and_more_steps() -> None:
    assert longer({"epochs": 20}, 8)["epochs"] == 20
    assert longer({"epochs": 20}, 32)["epochs"] == 10
    assert longer({"epochs": 1}, 64)["epochs"] == 1


def test_the_hit_rate_is_what_counting_by_hand_gives(shop: Shop) -> None:
    model, _ = learn("SAERS, ours", shop, 6, epochs=1)
    assert isinstance(model, SAERS)
    events, true = shop.parts.test, shop.dataset.truth
    labels = shop.dataset.catalogue.attributes
    assert true is not None
    assert labels is not None
    bought = shop.dataset.interactions
    reasons = dict(
        zip(zip(bought.user, bought.item, strict=True), true.purchase_reason, strict=True)
    )
    for how in ("attention", "contribution", "swap"):
        hits = []
        for user, item in zip(events.user, events.item, strict=True):
            own = np.flatnonzero(labels[item] >= 0)
            reason = reasons[user, item]
            if reason < 0 or len(own) < 2:
                continue
            answer = saers.answers(model, [user], [item], how)[0]
            if np.isnan(answer).all():  # the network saw none
                hits.append(0.0)
            else:
                (best,) = np.nonzero(answer == np.nanmax(answer))
                hits.append((reason in best) / len(best))
        rate = saers.hit_rate(model, shop.dataset, events, how)
        assert rate == pytest.approx(np.mean(hits))


@pytest.mark.parametrize("name", ["SAERS", "SAERS, classes"])
def test_health_tells_a_dead_attention_from_a_living_one(name: str, shop: Shop) -> None:
    model, _ = learn(name, shop, 6, epochs=1)
    assert isinstance(model, SAERS)
    events = shop.parts.test
    living = saers.health(model, events)
    assert living["dead places"] < 0.5
    with torch.no_grad():
        model.D_bias.fill_(-1e3)
    dead = saers.health(model, events)
    assert dead["dead units"] == dead["dead places"] == 1
    assert dead["entropy"] == pytest.approx(1)  # all attributes alike
    assert dead["personal"] == 0
    assert dead["gradient reach"] < living["gradient reach"]


def test_weights_that_ask_the_item_alone_are_not_personal(shop: Shop) -> None:
    model, _ = learn("SAERS", shop, 6, epochs=1)
    assert isinstance(model, SAERS)
    with torch.no_grad():
        model.D_attribute.mul_(50)
    before = saers.health(model, shop.parts.test)
    with torch.no_grad():
        model.D_user.zero_()
    found = saers.health(model, shop.parts.test)
    assert found["personal"] == 0 < before["personal"]
    assert found["entropy"] < 1


def test_a_sum_has_no_attention_that_could_die(shop: Shop) -> None:
    model, _ = learn("SAERS, ours", shop, 6, epochs=1)
    with pytest.raises(ValueError, match="model: fusion='sum' has no attention"):
        saers.health(model, shop.parts.test)  # type: ignore[arg-type]


def test_references_are_what_counting_by_hand_gives(shop: Shop) -> None:
    found = truth.references(shop.dataset, shop.parts.test, shop.parts.train)
    events = shop.parts.test
    reason = truth.purchase_reasons(shop.dataset, events)
    applies = truth.applies_to(shop.dataset, events)
    counted = (reason >= 0) & (applies.sum(axis=1) > 1)
    assert found["guessing"] == pytest.approx(np.mean(1 / applies[counted].sum(axis=1)))
    before = truth.purchase_reasons(shop.dataset, shop.parts.train)
    frequency = np.bincount(before[before >= 0], minlength=applies.shape[1])
    most = np.where(applies[counted], frequency, -1)
    top = most == most.max(axis=1, keepdims=True)
    hit = top[np.arange(len(top)), reason[counted]] / top.sum(axis=1)
    assert found["most frequent reason"] == pytest.approx(hit.mean())


def test_every_model_that_is_explained_has_settings() -> None:
    for method in EXPLAINED:
        assert method == experiments.SHUFFLED or method in SETTINGS


def test_vectors_of_another_network_reach_the_model(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = torch.rand(TINY.items, 3)
    monkeypatch.setattr(experiments, "imagenet_vectors", lambda settings: other)
    model, columns = trained("VBPR, ImageNet", shop, 6, 0, epochs=1)
    assert torch.equal(model.features, other)  # type: ignore[arg-type]
    assert columns["cost"] > 0
    assert (columns["method"], columns["variant"]) == ("VBPR", "ImageNet")
    own, _ = trained("VBPR", shop, 6, 0, epochs=1)
    assert torch.equal(own.features, torch.from_numpy(shop.found.whole))  # type: ignore[arg-type]


def test_without_imagenet_weights_the_rivals_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        experiments, "backbone", lambda *_, **__: vision.naming.untrained(TINY.network).network
    )
    with pytest.raises(DataNotFound, match="EXPLAINREC_WEIGHTS"):
        experiments.imagenet_vectors(TINY)


def test_pictures_are_brought_to_the_size_that_a_network_is_used_to(shop: Shop) -> None:
    network = vision.naming.untrained(TINY.network).eval()
    images = shop.dataset.catalogue.images
    assert images is not None
    same, larger = (pooled_vectors(network, images, size=size) for size in (64, 96))
    assert torch.allclose(same, torch.from_numpy(shop.found.whole), atol=1e-5)
    assert not torch.allclose(larger, torch.from_numpy(shop.found.whole), atol=1e-2)


def test_a_network_that_learned_before_takes_smaller_steps(shop: Shop) -> None:
    images = shop.dataset.catalogue.images
    assert images is not None
    moved = []
    for rate in (1.0, 1e-3):
        network = vision.naming.untrained(TINY.network).network
        before = network.convolutions[0].weight.detach().clone()  # type: ignore[index]
        feature = saers.SiameseFeature(images, network, 6)
        model = saers.saers(
            shop.dataset.interactions.n_users, shop.found, 6, whole=feature, fusion="none"
        )
        how = TUNED["SAERS - SAF"] | {"epochs": 1}
        saers.train(model, shop.parts.train, own_rate={"whole.network": rate}, **how)
        after = network.convolutions[0].weight.detach()  # type: ignore[index]
        moved.append(float((after - before).norm()))
    assert 0 < moved[1] < 0.1 * moved[0]


# --------------------------------------------------------------------------- nothing leaks


def test_models_learn_from_training_purchases_alone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught = []
    monkeypatch.setattr(saers, "train", lambda model, train, **_: taught.append(train))
    for name in TUNED:
        learn(name, shop, 6)
    assert len(taught) == len(TUNED)
    assert all(train is shop.parts.train for train in taught)
    popular, _ = learn("PopRank", shop, 6)
    counts = np.bincount(shop.parts.train.item, minlength=TINY.items)
    assert np.array_equal(popular.scores([0])[0].numpy(), counts)


@pytest.mark.parametrize("every", [False, True])
def test_nobody_tells_the_network_what_applies(
    every: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLAINREC_CACHE", str(tmp_path))
    told = []

    def spy(network: Any, images: Any, *, applies: Any = None) -> regions.Extracted:
        told.append(applies)
        return saers.extract(network, images, applies=applies)

    monkeypatch.setattr(regions, "extract", spy)
    monkeypatch.setattr(
        saers, "trained_network", lambda _: vision.naming.untrained(TINY.network).eval()
    )
    opened = open_shop(TINY, every=every)
    assert len(told) == 1
    assert told[0].all() if every else told[0] is None
    assert opened.found.applies.all() == every


def test_the_labelled_shop_shares_no_picture_with_the_other(shop: Shop) -> None:
    own, seed = TINY.network, vision.naming.LABELLED_SHOP
    labelled = data.load("boutique", items=own.photos, size=own.size, seed=seed).catalogue
    learned_from, images = labelled.images, shop.dataset.catalogue.images
    assert learned_from is not None
    assert images is not None
    first, second = ({picture.tobytes() for picture in of[:]} for of in (learned_from, images))
    assert not first & second


def smaller(*given: Any, **options: Any) -> ranking.Contests:
    """The contests of an experiment, few of them and for a small shop."""
    return ranking.contests(*given, **{"negatives": 20, **options, "repeats": 100})


def test_contests_are_about_test_purchases_and_cold_ones_about_items_never_trained(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiments, "contests", smaller)
    monkeypatch.setattr(experiments, "NEGATIVES", 20)
    monkeypatch.setattr(experiments, "COLD_NEGATIVES", 3)
    drawn = experiments.scenarios(shop, seed=0)
    bought, test = shop.dataset.interactions.matrix, shop.parts.test.matrix
    for each in drawn.values():
        assert test[each.user, each.positive].all()
        users = np.repeat(each.user, each.negatives.shape[1])
        assert not bought[users, each.negatives.ravel()].any()
    trained = np.bincount(shop.parts.train.item, minlength=TINY.items) > 0
    cold = drawn["cold items"]
    assert not trained[cold.positive].any()
    assert not trained[cold.negatives].any()
