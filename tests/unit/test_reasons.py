"""Claims about reasons read from a history or from RecoNet: which attribute of the product?"""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toys
from scipy import sparse

from explainrec_boutique.vocabulary import display
from explainrec_lab import data
from explainrec_lab.baselines import taste as tastes
from explainrec_lab.data.boutique import ShopperDials
from explainrec_lab.evaluate import truth
from explainrec_lab.reconet import (
    FeatureSpace,
    RecoNet,
    closed_form,
    looked_up,
    mean_profile,
    passed_on,
    relevance,
)
from explainrec_lab.reconet.explain import attribute_features, favoured

CODES = np.array([[0, 1], [0, 0], [1, -1], [1, 1]])


@pytest.fixture(scope="module")
def shop() -> data.Dataset:
    return data.load("boutique", items=40, shoppers=25, seed=3)


@pytest.fixture(scope="module")
def model(shop: data.Dataset) -> RecoNet:
    return RecoNet(FeatureSpace.of(shop), d=6, seed=1)


# --------------------------------------------------------------------------- without a model


def test_counting_is_the_distance_from_a_blind_draw_in_standard_deviations() -> None:
    history = sparse.csr_array(np.array([[1, 0, 1, 1], [0, 0, 0, 0]], np.float32))
    taste = tastes.counted(history, CODES)
    n, p = 3, 0.5  # three purchases with attribute 0; half of the catalogue has class 1, she has 2
    assert taste[0, 0, 1] == pytest.approx((2 - n * p) / np.sqrt(n * p * (1 - p) + 1))
    n, p = 2, 2 / 3  # the third item has no attribute 1
    assert taste[0, 1, 1] == pytest.approx((2 - n * p) / np.sqrt(n * p * (1 - p) + 1))
    assert (taste[1] == 0).all()


def test_scores_of_purchases_are_looked_up_and_lacking_attributes_do_not_compete() -> None:
    taste = np.arange(8.0).reshape(2, 2, 2)
    scores = tastes.for_purchases(taste, np.array([1, 0]), np.array([2, 0]), CODES)
    np.testing.assert_array_equal(scores, [[5.0, -np.inf], [0.0, 3.0]])


def test_the_fitted_taste_is_where_the_posterior_is_flat() -> None:
    rng = np.random.default_rng(0)
    history = sparse.csr_array((rng.random((5, 4)) < 0.5).astype(np.float32))
    taste = tastes.fitted(history, CODES).astype(np.float64)
    X = tastes.one_hot(CODES).reshape(4, -1).astype(np.float64)
    taken = history.toarray()
    y = taste.reshape(5, -1) @ X.T + np.log(taken.sum(axis=0) + 1)
    p = np.exp(y) / np.exp(y).sum(axis=1, keepdims=True)
    gradient = (taken - taken.sum(axis=1, keepdims=True) * p) @ X - taste.reshape(5, -1)
    assert abs(gradient).max() < 1e-3


def test_long_histories_reveal_the_boutique_s_reasons_to_whoever_counts() -> None:
    dials = ShopperDials(purchases=32)
    shop = data.load("boutique", items=150, shoppers=120, shopping=dials)
    parts = data.split(shop.interactions, fractions=(0.8, 0.0, 0.2))
    events, codes = parts.test, shop.catalogue.attributes
    reason, applies = truth.purchase_reasons(shop, events), truth.applies_to(shop, events)
    for taste in (tastes.counted, tastes.fitted):
        scores = tastes.for_purchases(
            taste(parts.train.matrix, codes), events.user, events.item, codes
        )
        hits = truth.reason_hit_rate(scores, reason, applies)
        assert hits > 0.6 > 1.5 * truth.references(shop, events, events)["guessing"]


# --------------------------------------------------------------------------- from RecoNet


def test_attribute_features_are_the_features_that_the_items_have(shop: data.Dataset) -> None:
    space = FeatureSpace.of(shop)
    features = attribute_features(shop.catalogue, space)
    for item in range(40):
        held = set(shop.interactions.item_features.of(item))
        for a, (attribute, classes) in enumerate(shop.catalogue.schema.classes.items()):
            code = shop.catalogue.attributes[item, a]
            if code < 0:
                assert features[item, a] == -1
            else:
                name = f"{display(attribute)}: {display(classes[code])}"
                assert space.names[features[item, a]] == name
                assert name in held


def test_a_catalogue_without_attributes_is_refused() -> None:
    films = toys.shop()
    with pytest.raises(ValueError, match="catalogue"):
        attribute_features(films.catalogue, FeatureSpace.of(films))


def test_relevance_of_many_is_the_relevance_of_each(shop: data.Dataset, model: RecoNet) -> None:
    profiles = model.space.profiles(shop.interactions)
    reference = mean_profile(profiles, model.space.m)
    users, items = np.array([4, 7, 7]), np.array([0, 39, 5])
    many = relevance(model, profiles.of_users(users), items)
    personal = relevance(model, profiles.of_users(users), items, reference)
    for row, (user, item) in enumerate(zip(users, items, strict=True)):
        one = profiles.rows(user, user + 1)
        Z = np.zeros(model.space.m, np.float32)
        Z[one.ids] = closed_form(model.Q[one.ids], model.W[item]).detach()
        np.testing.assert_allclose(many[row], Z, atol=1e-6)
        pull = (model.Q @ (model.W[item] - model.W.mean(dim=0))).detach()
        own = torch.zeros(model.space.m)
        own[one.ids] = 1 / len(one.ids)
        np.testing.assert_allclose(personal[row], pull * (own - reference), atol=1e-6)


def test_a_purchase_passes_its_relevance_on_in_equal_parts_to_what_it_shares() -> None:
    codes = np.array([[0, 1, 2], [0, 1, 0], [0, 0, -1], [1, 0, 0]])
    features = np.array([[4, 5, 6], [4, 5, 7], [4, 8, -1], [9, 8, 7]])
    Z = np.array([[0.0, 8.0, 3.0, 100.0, 0.1, 0.2, 0.3, 50.0, 50.0, 50.0]])
    every = np.full((1, 10), 0.1)
    named = passed_on(Z, np.array([0]), codes, features, every)
    np.testing.assert_allclose(named, [[0.1 + 4.0 + 3.0, 0.2 + 4.0, 0.3]])
    named = passed_on(Z, np.array([2]), codes, features, every)  # no third
    np.testing.assert_allclose(named, [[0.1 + 0.0 + 8.0 + 1.5, 50.0 + 1.5 + 100.0, -np.inf]])


def test_only_her_purchases_pass_relevance_on() -> None:
    codes = np.array([[0, 1], [0, 0], [0, 1]])
    features = np.array([[3, 4], [3, -1], [3, 4]])
    Z = np.array([[8.0, 5.0, 100.0, 0.1, 0.2]])  # the asked item is the third
    share = np.array([[0.5, 0.0, 0.0, 0.25, 0.25]])
    named = passed_on(Z, np.array([2]), codes, features, share)
    np.testing.assert_allclose(named, [[0.1 + 4.0, 0.2 + 4.0]])


def test_passing_on_loses_nothing_but_purchases_that_share_nothing(
    shop: data.Dataset, model: RecoNet
) -> None:
    profiles = model.space.profiles(shop.interactions)
    items, codes = np.arange(25) % 40, shop.catalogue.attributes
    features = attribute_features(shop.catalogue, model.space)
    Z = relevance(model, profiles, items)
    named = passed_on(Z, items, codes, features, profiles.shares(model.space.m))
    for row, item in enumerate(items):
        own = features[item][features[item] >= 0]
        shares_one = ((codes == codes[item]) & (codes[item] >= 0)).any(axis=1)
        expected = float(Z[row, own].sum() + Z[row, :40][shares_one].sum())
        assert named[row][codes[item] >= 0].sum() == pytest.approx(expected, abs=1e-5)


def test_a_favoured_class_is_her_personal_relevance_for_the_mean_item_of_the_class(
    shop: data.Dataset, model: RecoNet
) -> None:
    profiles = model.space.profiles(shop.interactions)
    share, reference = profiles.shares(model.space.m), mean_profile(profiles, model.space.m)
    codes = shop.catalogue.attributes
    taste = favoured(model, share, reference, codes)
    a = int((codes[0] >= 0).argmax())
    with_class = np.flatnonzero(codes[:, a] == codes[0, a])
    hers = profiles.of_users(np.full(len(with_class), 3))
    personal = relevance(model, hers, with_class, reference)
    assert taste[3, a, codes[0, a]] == pytest.approx(float(personal.sum(dim=1).mean()), abs=1e-5)


def test_a_class_that_no_item_has_is_neither_favoured_nor_counted(
    shop: data.Dataset, model: RecoNet
) -> None:
    codes = np.where(shop.catalogue.attributes == 0, 1, shop.catalogue.attributes)
    profiles = model.space.profiles(shop.interactions)
    share = profiles.shares(model.space.m)
    assert (favoured(model, share, share.mean(dim=0), codes)[:, :, 0] == 0).all()
    assert (tastes.counted(shop.interactions.matrix, codes)[:, :, 0] == 0).all()


def test_looking_up_leaves_out_what_does_not_apply_and_what_the_profile_lacks() -> None:
    Z, share = np.array([[1.0, 2.0, 3.0]]), np.array([[0.0, 0.5, 0.5]])
    np.testing.assert_array_equal(
        looked_up(Z, np.array([[2, -1, 0]]), share), [[3.0, -np.inf, -np.inf]]
    )
    np.testing.assert_array_equal(looked_up(Z, np.array([[2, -1, 0]])), [[3.0, -np.inf, 1.0]])
