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
from explainrec_lab.relation.model import Projection
from explainrec_lab.vision import backbone

METRICS = ("full", "low rank", "diagonal")


def model(seed: int = 0, **asked: Any) -> RelationModel:
    network = backbone("vgg11", width=0.05, grid=2, seed=seed)
    head = Projection(network.size, 6, seed=seed)
    return RelationModel(network, head, 5, seed=seed, **({"rank": 2} | asked)).eval()


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
    assert abs(ledger.gap) <= 1e-5 * abs(ledger.output)


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
    with pytest.raises(ValueError, match=r"references: shape \(2, 7\); needs \[group, 6\]"):
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
    (_, box), *_ = truth_table.epsilon_gamma_box(close).table
    assert isinstance(box, lrp.ZBox)
    normalise = truth_table.network(close)
    for bound, pixel in ((box.low, 0.0), (box.high, 1.0)):
        torch.testing.assert_close(bound, (pixel - normalise.mean) / normalise.std)


def test_blurring_keeps_the_sum(close: Closeness, shop: Dataset, pairs: Pairs) -> None:
    def spot(*_: Any) -> tuple[Tensor, Tensor]:
        maps = torch.zeros(len(pairs), 3, 64, 64)
        maps[:, 1, 30, 30] = 2.0
        return maps, -maps

    maps = truth_table.explained(truth_table.blurred(spot), close, shop, pairs)
    torch.testing.assert_close(maps.sum(dim=(2, 3))[0], torch.full((len(pairs),), 2.0))
    assert (maps[0] > 0).sum() > len(pairs)


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
    alone = table[table["view"] != "pooled"]
    np.testing.assert_allclose(alone["mass"], 1)
    np.testing.assert_allclose(alone["mass_ratio"], 1 / alone["area"])
    assert found["pairs"] == len(pairs)


def test_against_the_sign_a_map_scores_as_a_blind_guess(
    close: Closeness, shop: Dataset, pairs: Pairs
) -> None:
    true = torch.from_numpy(localisation.relation_masks(shop, pairs.rows)).float()

    def told(*_: Any) -> tuple[Tensor, Tensor]:
        return -true[:, 0], -true[:, 1]

    methods = {"told": told}
    blind = truth_table.truth_table(close, shop, pairs, methods, references=False)
    np.testing.assert_allclose(blind["mass_ratio"], 1)
    turned = truth_table.truth_table(close, shop, pairs, methods, references=False, sign="negative")
    assert (turned.query("view != 'pooled'")["pointing"] == 1).all()


def test_the_table_names_methods_kinds_and_views(
    close: Closeness, shop: Dataset, pairs: Pairs
) -> None:
    chosen = {name: truth_table.METHODS[name] for name in ("LRP epsilon", "random")}
    table = truth_table.truth_table(close, shop, pairs, chosen)
    assert list(table["method"].unique()) == ["LRP epsilon", "random", "centre", "silhouette"]
    assert set(table["kind"]) == {RELATION_KINDS[kind] for kind in pairs.kind}
    assert len(table) == 4 * 3 * len(pairs)
    rows = truth_table.summary(table, ["method", "kind"])
    assert isinstance(rows.index, pd.MultiIndex)
    assert list(truth_table.summary(table, "view").index) == ["source", "target", "pooled"][:2]


def test_pairs_without_a_reason_are_refused(close: Closeness, shop: Dataset, pairs: Pairs) -> None:
    sampled = Pairs(
        *(getattr(pairs, name) for name in ("user", "source", "target", "kind")),
        related=~pairs.related,
        rows=np.full(len(pairs), -1),
    )
    with pytest.raises(ValueError, match="some have no reason to find"):
        truth_table.truth_table(close, shop, sampled)


# --------------------------------------------------------------------------- what counts


def test_switching_an_attribute_is_measured_where_it_applies(shop: Dataset, pairs: Pairs) -> None:
    effects = truth_table.switch_effects(model(), shop, pairs)
    assert shop.catalogue.attributes is not None
    for side, items in enumerate((pairs.source, pairs.target)):
        applies = shop.catalogue.attributes[items] >= 0
        assert (effects[side][~applies] == 0).all()
        assert (effects[side] >= 0).all()
    assert effects.sum() > 0
    assert shop.catalogue.images is not None
    plain = replace(shop.catalogue, images=shop.catalogue.images[:])
    bare = replace(shop, catalogue=plain)
    with pytest.raises(ValueError, match="cannot be drawn again"):
        truth_table.switch_effects(model(), bare, pairs)
