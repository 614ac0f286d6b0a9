"""Claims about the boutique's shoppers, their purchases, the relations and `boutique.load`."""

import time
from dataclasses import replace

import numpy as np
import pytest

from explainrec_boutique import relations as rel
from explainrec_boutique import shoppers as shop
from explainrec_boutique.design import ItemFacts
from explainrec_boutique.dials import RelationDials, ShopperDials
from explainrec_boutique.shop import load as open_shop
from explainrec_boutique.vocabulary import (
    DOES_NOT_APPLY,
    FEATURES,
    GROUPS,
    SCHEMA,
    SUBSTITUTES,
)
from explainrec_lab.data import RELATION_KINDS, boutique
from explainrec_lab.evaluate import truth

DIALS = ShopperDials()


@pytest.fixture(scope="module")
def dataset():
    return boutique.load(items=900, shoppers=400, seed=3)


@pytest.fixture(scope="module")
def facts(dataset):
    return ItemFacts.of(dataset.catalogue.items, dataset.catalogue.attributes)


@pytest.fixture(scope="module")
def people():
    return shop.draw_shoppers(300, 5, DIALS)


# --- shoppers ----------------------------------------------------------------------------------


def test_taste_is_centred_within_each_attribute(people):
    np.testing.assert_allclose(people.preference.sum(axis=2), 0, atol=1e-5)
    assert (people.preference[:, ~shop.CLASS_EXISTS] == 0).all()


def test_a_shopper_without_weak_preferences_has_only_her_strong_ones():
    dials = replace(DIALS, noise=0.0, strong=3)
    theta = shop.draw_shoppers(50, 0, dials).preference
    assert ((theta > 0).sum(axis=(1, 2)) == 3).all()


def test_a_shopper_does_not_depend_on_how_many_others_there_are(people):
    few = shop.draw_shoppers(7, 5, DIALS)
    assert few.preference.tobytes() == people.preference[:7].tobytes()
    assert few.features.equals(people.features[:7])


def test_members_of_a_group_lean_towards_its_favourites(people):
    for position, group in enumerate(GROUPS):
        cells = [(SCHEMA.attribute(a), SCHEMA.code(a, c)) for a, c in group.favourites.items()]
        liking = people.preference[:, *np.transpose(cells)].mean(axis=1)
        inside = people.group == position
        assert liking[inside].mean() > liking[~inside].mean() + 0.05


def test_features_hint_at_the_group_without_giving_it_away(people):
    for feature in FEATURES:
        typical = np.array([GROUPS[group].typical[feature] for group in people.group])
        share = (people.features[feature].astype(str).to_numpy() == typical).mean()
        assert 0.45 < share < 0.85


# --- purchases ---------------------------------------------------------------------------------


def utilities(people, facts, dials=DIALS):
    """U - e, `[user, item]`."""
    tastes = zip(people.preference, people.colour_family, strict=True)
    liked = ((shop._liking(theta, facts), family) for theta, family in tastes)
    return np.stack([shop._utility(*each, facts, dials) for each in liked])


def test_a_shopper_buys_what_she_likes_more_often_than_chance(dataset, facts):
    value = utilities(open_shop(900, 400, seed=3).shoppers, facts)
    bought = dataset.interactions.matrix.toarray() > 0
    auc = [(v[b][:, None] > v[~b]).mean() for v, b in zip(value, bought, strict=True)]
    assert 0.85 < np.mean(auc) < 0.99


def test_nobody_buys_an_item_twice(dataset):
    assert dataset.interactions.matrix.nnz == len(dataset.interactions) == 400 * DIALS.purchases


def test_the_order_of_purchases_is_that_of_multinomial_choice(people, facts):
    """First and second choice of 20,000 clones against the logit's closed form."""
    n_clones, n_items = 20_000, 5
    few = ItemFacts(*(column[:n_items] for column in vars(facts).values()))
    few = replace(few, popularity=np.zeros(n_items))
    dials = replace(DIALS, purchases=2, strength=1.0)
    clones = replace(
        people,
        preference=np.repeat(people.preference[:1], n_clones, axis=0),
        colour_family=np.repeat(people.colour_family[:1], n_clones),
        group=np.repeat(people.group[:1], n_clones),
    )
    weight = np.exp(utilities(people, few, dials)[0].astype(np.float64))
    expected = np.outer(weight, weight) / weight.sum() / (weight.sum() - weight)[:, None]
    np.fill_diagonal(expected, 0)
    first, second = shop.draw_purchases(clones, few, 0, dials).item.T
    seen = np.bincount(first * n_items + second, minlength=n_items**2) / n_clones
    np.testing.assert_allclose(seen, expected.ravel(), atol=4 * np.sqrt(0.25 / n_clones))


def test_a_history_does_not_depend_on_how_many_others_there_are(people, facts):
    whole = shop.draw_purchases(people, facts, 5, DIALS)
    few = replace(people, preference=people.preference[:7], colour_family=people.colour_family[:7])
    part = shop.draw_purchases(few, facts, 5, DIALS)
    assert part.item.tobytes() == whole.item[:7].tobytes()
    assert part.reason.tobytes() == whole.reason[:7].tobytes()


def contributions(people, facts):
    """What each attribute adds to the utility of each item, `[user, attribute, item]`."""
    user, attribute = np.ogrid[: len(people.group), : len(SCHEMA.attributes)]
    codes = facts.attributes.T
    theta = people.preference[user[..., None], attribute[..., None], codes]
    return DIALS.strength * np.where(codes == DOES_NOT_APPLY, 0, theta)


def test_utility_is_the_sum_of_what_its_parts_add(people, facts):
    parts = contributions(people, facts).sum(axis=1) + DIALS.popularity * facts.popularity
    parts = parts + DIALS.colour * (people.colour_family[:, None] == facts.colour_family)
    np.testing.assert_allclose(utilities(people, facts), parts, atol=1e-4)


def test_the_reason_of_a_purchase_applies_to_the_item(dataset):
    reason = dataset.truth.purchase_reason
    known = reason != truth.NO_REASON
    codes = dataset.catalogue.attributes[dataset.interactions.item]
    assert (codes[known, reason[known]] != DOES_NOT_APPLY).all()


def test_the_reason_is_the_largest_contribution_and_a_large_one(people, facts):
    item, reason = shop.draw_purchases(people, facts, 5, DIALS)
    added = np.take_along_axis(contributions(people, facts), item[:, None], axis=2)
    known = reason >= 0
    assert (added.argmax(axis=1) == reason)[known].all()
    assert ((added.max(axis=1) > DIALS.strength * DIALS.reason_above) == known).all()


def test_without_taste_there_are_no_reasons(people, facts):
    nothing = replace(DIALS, strength=0.0)
    assert (shop.draw_purchases(people, facts, 0, nothing).reason == -1).all()


def test_reasons_are_neither_trivial_nor_hopeless(dataset):
    assert (dataset.truth.purchase_reason != -1).mean() > 0.8
    found = truth.references(dataset, dataset.interactions, dataset.interactions)
    assert found["guessing"] < found["most frequent reason"] < 0.5


# --- relations ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rules(facts):
    return [rel.group_rule(group, facts, 3) for group in range(len(GROUPS))]


def of_kind(dataset, kind, group=None):
    """Source, target and reason of the relations of one kind (and group)."""
    pairs = dataset.relations
    rows = pairs.kind == RELATION_KINDS.index(kind)
    if group is not None:
        rows &= pairs.group == group
    return pairs.source[rows], pairs.target[rows], dataset.truth.relation_reason[rows]


@pytest.mark.parametrize("kind", RELATION_KINDS)
def test_relations_obey_their_definition_except_the_noisy_ones(dataset, rules, kind):
    for group, rule in enumerate(rules):
        source, target, reason = of_kind(dataset, kind, group)
        noisy = (reason == -1).all(axis=1)
        np.testing.assert_array_equal(rule.related(kind, source, target), ~noisy)
        same = rule.facts.category[source] == rule.facts.category[target]
        assert (same == (kind in SUBSTITUTES)).all() and (source != target).all()


@pytest.mark.parametrize("kind", RELATION_KINDS)
def test_the_reason_of_a_relation_applies_in_both_pictures(dataset, kind):
    source, target, reason = of_kind(dataset, kind)
    known = reason[:, 0] >= 0
    for end, item in enumerate((source, target)):
        codes = dataset.catalogue.attributes[item[known], reason[known, end]]
        assert (codes != DOES_NOT_APPLY).all()
    assert ((reason[:, 0] == reason[:, 1]) == (~known | (kind in SUBSTITUTES))).all()


@pytest.mark.parametrize("kinds", [SUBSTITUTES, RELATION_KINDS[2:]])
def test_the_two_kinds_of_a_sort_are_told_apart_by_their_colours(dataset, rules, kinds):
    plain, coloured = (rules[0].colours_agree(*of_kind(dataset, kind)[:2]).mean() for kind in kinds)
    assert plain < 0.5
    assert coloured > 0.9


def test_groups_disagree_about_what_is_related(dataset, rules):
    source, target, reason = of_kind(dataset, "also_viewed", 0)
    true = reason[:, 0] >= 0
    assert rules[3].related("also_viewed", source[true], target[true]).mean() < 0.8


def test_going_with_is_mutual_and_across_categories_only(rules):
    for rule in rules:
        source, target = np.nonzero(rule.goes_with[rule.key][:, rule.key])
        assert (rule.facts.category[source] != rule.facts.category[target]).all()
        np.testing.assert_array_equal(rule.goes_with, rule.goes_with.T)


def test_label_noise_is_as_loud_as_the_dials_say(dataset):
    noisy = (dataset.truth.relation_reason == -1).all(axis=1).mean()
    dials = RelationDials()
    assert noisy == pytest.approx(dials.noise + dials.distractors, abs=0.02)


def test_a_shop_without_label_noise_has_a_reason_for_every_relation():
    clean = RelationDials(pairs=50, noise=0.0, distractors=0.0)
    dataset = boutique.load(items=100, shoppers=5, relating=clean)
    assert (dataset.truth.relation_reason >= 0).all()


# --- the shop ----------------------------------------------------------------------------------


def test_loading_is_quick():
    start = time.process_time()
    boutique.load()
    assert time.process_time() - start < 3  # seconds; takes about 0.8


def test_nothing_is_drawn_before_a_picture_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLAINREC_CACHE", str(tmp_path))
    catalogue = boutique.load(items=10, shoppers=5, size=32).catalogue
    assert not list(tmp_path.rglob("*.pictures"))
    assert catalogue.images[3].shape == (3, 32, 32)
    assert list(tmp_path.rglob("*.pictures"))


def test_the_attributes_of_the_table_have_masks_in_the_pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLAINREC_CACHE", str(tmp_path))
    catalogue = boutique.load(items=10, shoppers=5, size=64).catalogue
    for item, codes in enumerate(catalogue.attributes):
        seen = [catalogue.mask(item, name).any() for name in SCHEMA.attributes]
        np.testing.assert_array_equal(seen, codes != DOES_NOT_APPLY)


def test_the_same_seed_gives_the_same_shop(dataset):
    again = boutique.load(items=900, shoppers=400, seed=3)
    assert again.catalogue.items.equals(dataset.catalogue.items)
    assert again.interactions.item.tobytes() == dataset.interactions.item.tobytes()
    assert again.relations.target.tobytes() == dataset.relations.target.tobytes()
    assert again.truth.preference.tobytes() == dataset.truth.preference.tobytes()


def test_another_seed_gives_another_shop(dataset):
    other = boutique.load(items=900, shoppers=400, seed=4)
    assert (other.interactions.item != dataset.interactions.item).mean() > 0.9


def test_features_are_named_in_words(dataset):
    events = dataset.interactions
    assert {"age: 25-34", "shops for: work"} <= set(events.user_features.names)
    assert {"neckline: V", "category: top"} <= set(events.item_features.names)
    top = int(np.flatnonzero(dataset.catalogue.items.category == "top")[0])
    assert {"category: top"} <= set(events.item_features.of(top))
    assert sum(name.startswith("colour: ") for name in events.item_features.of(top)) == 1


def test_each_history_is_timed_in_the_order_drawn(dataset):
    time_of = dataset.interactions.time.reshape(400, -1)
    assert (time_of == np.arange(DIALS.purchases)).all()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"items": 0}, "items: 0 is not a whole number in 1.."),
        ({"items": 2.5}, "items: 2.5 is not a whole number in 1.."),
        ({"shoppers": -1}, "shoppers: -1 is not"),
        ({"size": 4}, "size: 4 is not"),
        ({"seed": -1}, "seed: -1 is not"),
        ({"seed": True}, "seed: True is not"),
        ({"items": 3}, r"shopping.purchases: 8 is not a whole number in 1\.\.3"),
    ],
)
def test_bad_arguments_are_named_at_the_door(asked, message):
    with pytest.raises(ValueError, match=message):
        boutique.load(**asked)


@pytest.mark.parametrize(
    ("dials", "asked", "message"),
    [
        (ShopperDials, {"strength": -1.0}, r"strength: -1.0 is not a number in 0\.0\.\."),
        (ShopperDials, {"noise": float("nan")}, "noise: nan is not"),
        (ShopperDials, {"groups": 6}, r"groups: 6 is not a whole number in 1\.\.5"),
        (ShopperDials, {"purchases": "8"}, "purchases: '8' is not"),
        (RelationDials, {"noise": 0.9}, r"noise: 0.9 is not a number in 0\.0\.\.0\.5"),
    ],
)
def test_bad_dials_are_named(dials, asked, message):
    with pytest.raises(ValueError, match=message):
        dials(**asked)
