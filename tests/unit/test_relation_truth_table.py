"""Claims about closeness and the table that scores explainers of relations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from explainrec_lab import data, lrp, relation
from explainrec_lab.data.boutique import RelationDials
from explainrec_lab.data.contracts import RELATION_KINDS, Dataset
from explainrec_lab.evaluate import localisation
from explainrec_lab.relation import Closeness, Pairs, RelationModel, mean_features, truth_table
from explainrec_lab.relation.explain import _twice_product
from explainrec_lab.relation.model import Shares
from explainrec_lab.vision import backbone
from explainrec_lab.vision.naming import Naming

COLOUR_KINDS = ("buy_after_viewing", "bought_together")
METRICS = ("full", "low rank", "diagonal")


def model(seed: int = 0, **asked: Any) -> RelationModel:
    """A small network with random weights, whose units have names."""
    network = backbone("compact", width=0.1, norm="weights", grid=2, seed=seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        named = Naming(network, hidden=16)
    return RelationModel(network, Shares(named), 5, seed=seed, **({"rank": 2} | asked)).eval()


def pictures(count: int, seed: int = 1) -> Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def shop() -> Dataset:
    return data.load("boutique", items=120, seed=0, size=64, relating=RelationDials(pairs=40))


@pytest.fixture(scope="module")
def pairs(shop: Dataset) -> Pairs:
    """Eight related pairs with a reason, two of each kind."""
    assert shop.relations is not None
    found = relation.test_pairs(relation.split(shop.relations, 0, (0.2, 0.0, 0.8)).test)
    return truth_table.right_pairs(shop, found, np.ones(len(found)), each=2)


@pytest.fixture(scope="module")
def close() -> Closeness:
    random = model()
    x = random.features(pictures(6)).detach()
    return Closeness(random, torch.stack([x[:3].mean(0), x[3:].mean(0)]))


# --------------------------------------------------------------------------- closeness


@pytest.mark.parametrize("metric", METRICS)
def test_closeness_is_the_mean_double_difference_of_distances(metric: str) -> None:
    """Over all n and m of a group: d(n, j) + d(i, m) - d(n, m) - d(i, j)."""
    own, others = model(metric=metric).double(), pictures(5).double()
    i, j = pictures(1, 2).double(), pictures(1, 3).double()
    close = Closeness(own, own.features(others).mean(dim=0, keepdim=True))

    def d(a: Tensor, b: Tensor) -> Tensor:
        n, m = len(a), len(b)
        x_a = own.features(a).repeat_interleave(m, dim=0)
        return own.distance(x_a, own.features(b).repeat(n, 1), 2, 1).mean()

    expected = d(others, j) + d(i, others) - d(others, others) - d(i, j)
    torch.testing.assert_close(close(i, j, 2, 1)[0], expected)


@pytest.mark.parametrize("metric", METRICS)
def test_users_and_kinds_may_differ_from_pair_to_pair(metric: str) -> None:
    own = model(metric=metric)
    close = Closeness(own, torch.zeros(1, own.dimensions))
    i, j, users, kinds = pictures(3), pictures(3, 2), [0, 4, -1], [3, 0, 2]
    alone = [close(i[[n]], j[[n]], users[n], kinds[n]) for n in range(3)]
    torch.testing.assert_close(close(i, j, users, kinds), torch.cat(alone))


def test_each_picture_meets_its_nearest_reference(close: Closeness) -> None:
    x = close.model.features(pictures(9, 5)).detach()
    nearest = torch.cdist(x, close.references).argmin(dim=1)
    torch.testing.assert_close(close.nearest(x), close.references[nearest])


def test_relevance_of_closeness_and_what_references_keep_sum_to_it(close: Closeness) -> None:
    i, j = pictures(3), pictures(3, 2)
    _, ledger = lrp.relevance(lambda a, b: close(a, b, 0, 1), (i, j), ledger=True)
    assert ledger.output == pytest.approx(close(i, j, 0, 1).sum().item(), rel=1e-5)
    moved = abs(ledger.inputs) + abs(ledger.biases)  # the two nearly cancel
    assert abs(ledger.gap) <= 1e-5 * moved


def test_twice_product_is_degree_two() -> None:
    a, b, factor = torch.rand(2, 4), torch.rand(2, 4), torch.rand(4, 3)
    torch.testing.assert_close(
        _twice_product(3 * a, 3 * b, factor), 9 * _twice_product(a, b, factor)
    )


def test_mean_features_come_in_the_order_of_the_groups_names() -> None:
    own, images = model(), (pictures(4) * 255).byte().numpy()
    found = mean_features(own, images, np.arange(4), np.array(["b", "a", "b", "a"]))
    x = own.features(relation.pixels(images)).detach()
    torch.testing.assert_close(found, torch.stack([x[[1, 3]].mean(0), x[[0, 2]].mean(0)]))
    with pytest.raises(ValueError, match="group: 1 for 2 items"):
        mean_features(own, images, np.arange(2), np.array(["a"]))


def test_references_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"references: shape \(2, 7\); needs \[group, 52\]"):
        Closeness(model(), torch.zeros(2, 7))


# --------------------------------------------------------------------------- explainers


@pytest.mark.parametrize("name", truth_table.METHODS)
def test_every_method_explains_both_pictures(
    name: str, close: Closeness, shop: Dataset, pairs: Pairs
) -> None:
    maps = truth_table.explained(truth_table.METHODS[name], close, shop, pairs)
    assert maps.shape == (2, len(pairs), 64, 64)
    assert maps.isfinite().all()
    if name not in ("random", "Grad-CAM"):
        assert (maps != 0).any(dim=(2, 3)).all()


def test_pairs_come_back_in_order_whatever_the_batch(
    close: Closeness, shop: Dataset, pairs: Pairs
) -> None:
    def looked_at(
        _: Any, i: Tensor, j: Tensor, user: Tensor, kind: Tensor
    ) -> tuple[Tensor, Tensor]:
        return i * user[:, None, None, None], j * kind[:, None, None, None]

    three, all_ = (truth_table.explained(looked_at, close, shop, pairs, b) for b in (3, 64))
    torch.testing.assert_close(three, all_)  # channels are added, in float32
    assert shop.catalogue.images is not None
    target = relation.pixels(shop.catalogue.images[pairs.target]).sum(dim=1)
    torch.testing.assert_close(all_[1], target * torch.from_numpy(pairs.kind)[:, None, None])


def test_the_box_is_what_the_first_convolution_can_see(close: Closeness) -> None:
    (_, box), *_ = truth_table._epsilon_gamma_box(close).table
    assert isinstance(box, lrp.ZBox)
    normalise = truth_table.network(close)
    for bound, pixel in ((box.low, 0.0), (box.high, 1.0)):
        torch.testing.assert_close(bound, (pixel - normalise.mean) / normalise.std)


def test_a_model_in_training_mode_or_without_network_is_refused(
    shop: Dataset, pairs: Pairs
) -> None:
    random = truth_table.METHODS["random"]
    with pytest.raises(ValueError, match=r"call model\.eval\(\) first"):
        truth_table.explained(random, model().train(), shop, pairs)
    with pytest.raises(ValueError, match=r"has no vision\.Backbone"):
        truth_table.network(torch.nn.Linear(1, 1))


# --------------------------------------------------------------------------- the table


def test_right_pairs_are_related_right_and_have_a_reason(shop: Dataset) -> None:
    assert shop.relations is not None
    found = relation.test_pairs(relation.split(shop.relations, 0, (0.2, 0.0, 0.8)).test)
    logits = np.where(np.arange(len(found)) % 2 == 0, 1.0, -1.0)
    right = truth_table.right_pairs(shop, found, logits)
    assert right.related.all()
    assert (truth_table.reasons_of(shop, right) >= 0).all()
    assert set(right.rows) <= set(found.rows[::2])
    few = truth_table.right_pairs(shop, found, logits, each=3)
    assert (np.bincount(few.kind, minlength=4) <= 3).all()
    with pytest.raises(ValueError, match="logits: 1 for"):
        truth_table.right_pairs(shop, found, np.ones(1))


def test_the_true_masks_as_a_map_score_full_marks(
    close: Closeness, shop: Dataset, pairs: Pairs
) -> None:
    true = torch.from_numpy(localisation.relation_masks(shop, pairs.rows)).float()

    def told(*_: Any) -> tuple[Tensor, Tensor]:
        return true[:, 0], true[:, 1]

    table = truth_table.truth_table(close, shop, pairs, {"told": told}, references=False)
    found = truth_table.summary(table).loc["told"]
    assert found["rank_accuracy"] == found["pointing"] == found["densest"] == 1
    alone = table.query("view != 'pooled' and truth == 'attribute'")
    np.testing.assert_allclose(alone["mass"], 1)
    np.testing.assert_allclose(alone["mass_ratio"], 1 / alone["area"])
    assert found["pairs"] == len(pairs)


def test_against_the_sign_a_map_scores_as_a_blind_guess(
    close: Closeness, shop: Dataset, pairs: Pairs
) -> None:
    true = torch.from_numpy(localisation.relation_masks(shop, pairs.rows)).float()

    def scored(sign: int) -> pd.DataFrame:
        told = {"told": lambda *_: (sign * true[:, 0], sign * true[:, 1])}
        return truth_table.truth_table(close, shop, pairs, told, references=False)

    np.testing.assert_allclose(scored(-1)["mass_ratio"], 1)
    assert (scored(1).query("view != 'pooled' and truth == 'attribute'")["pointing"] == 1).all()


def test_the_table_names_methods_kinds_and_views(
    close: Closeness, shop: Dataset, pairs: Pairs
) -> None:
    chosen = {name: truth_table.METHODS[name] for name in ("LRP epsilon", "random")}
    table = truth_table.truth_table(close, shop, pairs, chosen)
    assert list(table["method"].unique()) == ["LRP epsilon", "random", "centre", "silhouette"]
    assert set(table["kind"]) == {RELATION_KINDS[kind] for kind in pairs.kind}
    in_rule = table.drop_duplicates("pair")["kind"].isin(COLOUR_KINDS).sum()
    assert len(table) == 4 * 3 * (2 * len(pairs) + in_rule)
    assert dict(zip(table["truth"], table["mask"], strict=True)) == localisation.TRUTHS
    rows = truth_table.summary(table, ["method", "kind"])
    assert isinstance(rows.index, pd.MultiIndex)
    views = truth_table.summary(table, "view")
    assert list(views.index) == ["source", "target", "pooled"]
    assert views["pooled"].notna().tolist() == [False, False, True]


def table_of(maps: Tensor, close: Closeness, shop: Dataset, pairs: Pairs) -> pd.DataFrame:
    """The table of an explainer that gives these maps, `[pair, 2, height, width]`."""
    method = {"told": lambda *_: (maps[:, 0], maps[:, 1])}
    return truth_table.truth_table(close, shop, pairs, method, references=False)


@pytest.mark.parametrize("told", localisation.TRUTHS)
def test_a_map_equal_to_the_mask_of_a_truth_is_perfect_against_that_truth(
    told: str, close: Closeness, shop: Dataset, pairs: Pairs
) -> None:
    masks = torch.from_numpy(localisation.relation_masks(shop, pairs.rows, told)).float()
    table = table_of(masks, close, shop, pairs).query("truth == @told")
    np.testing.assert_allclose(table["mass"], 1)
    np.testing.assert_allclose(table["rank_accuracy"], 1)
    np.testing.assert_allclose(table["pointing"], 1)


def test_what_tells_only_the_colour_is_right_about_colour_and_wrong_about_the_attribute(
    close: Closeness, shop: Dataset, pairs: Pairs
) -> None:
    """Relevance on the cloth, none on the key attribute's part: nothing but colour."""
    part, colour = (
        localisation.relation_masks(shop, pairs.rows, truth) for truth in ("attribute", "colour")
    )
    table = table_of(torch.from_numpy(colour & ~part).float(), close, shop, pairs)
    found = truth_table.summary(table[table["rule"] == "attribute and colour"], "truth")
    assert found.loc["colour", "pointing"] == found.loc["together", "pointing"] == 1
    assert found.loc["attribute", "pointing"] == found.loc["attribute", "mass_ratio"] == 0
    assert found.loc["attribute", "densest"] == 0
    only_part = table_of(torch.from_numpy(part).float(), close, shop, pairs)
    found = truth_table.summary(only_part, ["truth", "rule"])["rank_accuracy"]
    assert (found["attribute"] == 1).all()
    assert found["together", "attribute"] == 1
    assert found["together", "attribute and colour"] < 1


def test_only_the_kinds_whose_rule_has_colour_are_scored_against_it(
    close: Closeness, shop: Dataset, pairs: Pairs
) -> None:
    table = table_of(torch.ones(len(pairs), 2, 64, 64), close, shop, pairs)
    in_rule = table["kind"].isin(COLOUR_KINDS)
    assert (table["rule"] == np.where(in_rule, "attribute and colour", "attribute")).all()
    assert in_rule[table["truth"] == "colour"].all()
    alike = table[~in_rule].set_index(["pair", "view"]).drop(columns=["mask", "densest"])
    attribute, together = (
        alike[alike["truth"] == each].drop(columns="truth") for each in ("attribute", "together")
    )
    pd.testing.assert_frame_equal(attribute, together)


def test_a_summary_counts_the_rows_of_one_truth(
    close: Closeness, shop: Dataset, pairs: Pairs
) -> None:
    masks = torch.from_numpy(localisation.relation_masks(shop, pairs.rows, "colour")).float()
    table = table_of(masks, close, shop, pairs)
    by_truth = truth_table.summary(table, ["truth", "method"])
    for truth in localisation.TRUTHS:
        own = table[table["truth"] == truth].drop(columns="truth")
        pd.testing.assert_frame_equal(
            truth_table.summary(own), by_truth.loc[truth], check_names=False
        )
    pd.testing.assert_frame_equal(
        truth_table.summary(table), by_truth.loc["attribute"], check_names=False
    )
    assert by_truth.loc[("colour", "told"), "pairs"] == len(pairs) / 2


# --------------------------------------------------------------------------- intervals


def scores_of(values: np.ndarray) -> pd.DataFrame:
    """A truth table with these numbers as `pointing`, `[pair, view]`."""
    rows = [
        {"method": "m", "truth": "attribute", "pair": pair, "view": view, "pointing": value}
        for pair, both in enumerate(values)
        for view, value in zip(("source", "target"), both, strict=True)
    ]
    return pd.DataFrame(rows).assign(mass_ratio=1.0, rank_accuracy=np.nan)


def test_an_interval_is_that_of_a_mean_over_pairs() -> None:
    """Both pictures of a pair agree: as many independent numbers as pairs, not twice as many."""
    each = np.random.default_rng(0).normal(size=400)
    found = truth_table.summary(scores_of(np.stack([each, each], axis=1)), draws=4000).loc["m"]
    assert found["pointing"] == pytest.approx(each.mean())
    error = each.std() / 20  # of a mean over 400 pairs
    assert found["pointing_low"] == pytest.approx(each.mean() - 1.96 * error, abs=0.15 * error)
    assert found["pointing_high"] == pytest.approx(each.mean() + 1.96 * error, abs=0.15 * error)


def test_an_interval_holds_its_mean_and_is_a_point_where_nothing_varies() -> None:
    values = np.random.default_rng(1).random((30, 2))
    values[::3, 1] = np.nan  # a picture without a score
    found = truth_table.summary(scores_of(values), draws=200).loc["m"]
    assert found["pointing_low"] < found["pointing"] < found["pointing_high"]
    assert found["mass_ratio_low"] == found["mass_ratio_high"] == 1
    assert np.isnan(found["rank_accuracy_low"])
    assert found["pointing"] == pytest.approx(np.nanmean(values))


def test_an_interval_at_95_percent_misses_the_truth_one_time_in_twenty() -> None:
    rng = np.random.default_rng(2)
    tables = [scores_of(rng.random((60, 2))).assign(method=str(trial)) for trial in range(300)]
    found = truth_table.summary(pd.concat(tables, ignore_index=True), draws=200)
    missed = (found["pointing_low"] > 0.5) | (found["pointing_high"] < 0.5)
    assert 0.02 < missed.mean() < 0.10


# --------------------------------------------------------------------------- named features


COLOUR = 13


@pytest.fixture
def said(shop: Dataset, pairs: Pairs) -> np.ndarray:
    """All relevance on the key attributes, `[pair, 2, question]`."""
    relevance = np.zeros((len(pairs), 2, 14))
    np.put_along_axis(relevance, truth_table.reasons_of(shop, pairs)[:, :, None], 1.0, axis=2)
    return relevance


def unit_summary(shop: Dataset, pairs: Pairs, relevance: np.ndarray) -> pd.DataFrame:
    """By rule: how often the attribute is named, and colour."""
    return truth_table.summary(truth_table.unit_scores(shop, pairs, relevance), "rule")


def test_units_that_hold_the_key_name_it_and_do_not_name_colour(
    shop: Dataset, pairs: Pairs, said: np.ndarray
) -> None:
    found = unit_summary(shop, pairs, said - 0.1)  # all else speaks against
    assert (found["attribute_named"] == 1).all()
    table = truth_table.unit_scores(shop, pairs, said + np.arange(14) * -0.01 + 0.2)
    assert (table["colour_named"].dropna() == 0).all()  # each attribute has more than colour


def test_colour_is_named_when_it_beats_every_attribute_that_is_no_reason(
    shop: Dataset, pairs: Pairs, said: np.ndarray
) -> None:
    said[:, :, :12] += 0.1
    said[:, :, COLOUR] = 0.2  # less than the key, more than all others
    found = unit_summary(shop, pairs, said)
    assert (found[["attribute_named", "colour_named"]] == 1).all(axis=None)
    np.testing.assert_allclose(found["colour_share"], 0.2 / (1.1 + 11 * 0.1 + 0.2))
    said[:, :, :12] *= 3
    found = unit_summary(shop, pairs, said)
    assert (found["attribute_named"] == 1).all()
    assert (found["colour_named"] == 0).all()


def test_units_of_colour_alone_name_colour_and_no_attribute(shop: Dataset, pairs: Pairs) -> None:
    """Whether that is right, the rule says: it should be 1 in one row and 0 in the other."""
    relevance = np.zeros((len(pairs), 2, 14))
    relevance[:, :, COLOUR] = 1
    found = unit_summary(shop, pairs, relevance)
    assert (found["colour_named"] == 1).all()
    assert (found["attribute_named"] < 1).all()
    np.testing.assert_allclose(found, unit_summary(shop, pairs, 5 * relevance))
    assert found.index.tolist() == ["attribute", "attribute and colour"]


def test_units_without_an_opinion_get_the_blind_guess(shop: Dataset, pairs: Pairs) -> None:
    """1 of the m attributes that the item has; colour against the m - 1 that are no reason."""
    table = truth_table.unit_scores(shop, pairs, np.full((len(pairs), 2, 14), -1.0))
    assert shop.catalogue.attributes is not None
    items = np.stack([pairs.source, pairs.target], axis=1).ravel()
    count = (shop.catalogue.attributes[items] >= 0).sum(axis=1)
    expected = np.where(count > 1, 1 / count, np.nan)
    np.testing.assert_allclose(table["attribute_named"], expected)
    np.testing.assert_allclose(table["colour_named"], expected)
    assert table["colour_share"].isna().all()  # a share of nothing


def test_attributes_that_an_item_lacks_and_its_category_name_nothing(
    shop: Dataset, pairs: Pairs, said: np.ndarray
) -> None:
    assert shop.catalogue.attributes is not None
    items = np.stack([pairs.source, pairs.target], axis=1)
    lacks = shop.catalogue.attributes[items] < 0
    said[:, :, :12][lacks] = 9
    said[:, :, 12] = 9
    found = unit_summary(shop, pairs, said)
    assert (found["attribute_named"] == 1).all()


def test_what_switching_does_is_scored_as_it_is(shop: Dataset, pairs: Pairs) -> None:
    effects = truth_table.switch_effects(model(), shop, pairs)
    found = truth_table.summary(truth_table.unit_scores(shop, pairs, effects), "rule", draws=50)
    assert found["attribute_named"].between(0, 1).all()
    assert (found["colour_named_low"] <= found["colour_named_high"]).all()


def test_units_of_another_shape_or_with_nan_are_refused(
    shop: Dataset, pairs: Pairs, said: np.ndarray
) -> None:
    with pytest.raises(ValueError, match=r"relevance: \(8, 2, 12\); needs \(8, 2, 14\)"):
        truth_table.unit_scores(shop, pairs, said[:, :, :12])
    with pytest.raises(ValueError, match="nan among the scores"):
        truth_table.unit_scores(shop, pairs, said * np.nan)


def test_pairs_without_a_reason_are_refused(close: Closeness, shop: Dataset, pairs: Pairs) -> None:
    sampled = Pairs(
        *(getattr(pairs, name) for name in ("user", "source", "target", "kind")),
        related=~pairs.related,
        rows=np.full(len(pairs), -1),
    )
    with pytest.raises(ValueError, match="some have no reason to find"):
        truth_table.truth_table(close, shop, sampled)
    with pytest.raises(ValueError, match="some have no reason to find"):
        truth_table.unit_scores(shop, sampled, np.zeros((len(pairs), 2, 14)))


# --------------------------------------------------------------------------- what counts


def test_switching_an_attribute_is_measured_where_it_applies(shop: Dataset, pairs: Pairs) -> None:
    effects = truth_table.switch_effects(model(), shop, pairs)
    assert shop.catalogue.attributes is not None
    attributes, category, colour = effects[:, :, :12], effects[:, :, 12], effects[:, :, 13]
    for side, items in enumerate((pairs.source, pairs.target)):
        applies = shop.catalogue.attributes[items] >= 0
        assert (attributes[:, side][~applies] == 0).all()
    assert (effects >= 0).all()
    assert attributes.sum() > 0
    assert colour.sum() > 0
    assert (category == 0).all()  # a garment of another category is no switch
    assert shop.catalogue.images is not None
    plain = replace(shop.catalogue, images=shop.catalogue.images[:])
    bare = replace(shop, catalogue=plain)
    with pytest.raises(ValueError, match="cannot be drawn again"):
        truth_table.switch_effects(model(), bare, pairs)
