"""The relation model at its door: what it takes, what it refuses, what it keeps apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from explainrec_lab import data, relation
from explainrec_lab.data import RELATION_KINDS, Dataset, Relations
from explainrec_lab.data.boutique import RelationDials
from explainrec_lab.relation import NEW_USER, RelationModel, Split
from explainrec_lab.relation.data import Batches
from explainrec_lab.relation.model import Projection, Shares, _UserMetric
from explainrec_lab.relation.train import BatchLoss, fixed_features
from explainrec_lab.settings import SIZES, Network, Relation
from explainrec_lab.training import Optimisation, fit
from explainrec_lab.vision import backbone as backbone_of
from explainrec_lab.vision import folded, naming


def model(**asked: Any) -> RelationModel:
    network = backbone_of("vgg11", width=0.05, grid=2)
    head = Projection(network.size, asked.pop("D", 6))
    return RelationModel(network, head, 3, **({"rank": 2} | asked)).eval()


def pictures(count: int = 4, size: int = 32) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def relations(items: int = 60, pairs: int = 900, groups: int = 3) -> Relations:
    rng = np.random.default_rng(0)
    source = rng.integers(items, size=pairs)
    target = (source + rng.integers(1, items, size=pairs)) % items
    group, kind = rng.integers(groups, size=pairs), rng.integers(4, size=pairs)
    return Relations(group, source, target, kind, items, groups)


# --------------------------------------------------------------------------- the model


def test_names_and_positions_of_kinds_mean_the_same() -> None:
    """One kind for all pairs is one product, kinds pair by pair are a batched one: float32 twice
    around the values, whose terms are sums of some 1e3 products."""
    i, j = pictures(2), pictures(2).flip(0)
    for number, name in enumerate(RELATION_KINDS):
        one, each = model()(i, j, 1, name), model()(i, j, [1, 1], [number, number])
        torch.testing.assert_close(one, each, rtol=1e-4, atol=1e-5)


def test_a_new_user_has_the_average_factor() -> None:
    own = model()
    average = own.metric.shared[0] + own.metric.personal[:, 0].mean(dim=0)
    torch.testing.assert_close(own.M(NEW_USER, 0), average @ average.T)
    assert not torch.allclose(own.M(NEW_USER, 0), own.M(2, 0))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda m, x: m(x, x, 3, 0), r"user: 3 is not in 0..2 \(NEW_USER"),
        (lambda m, x: m(x, x, -2, 0), r"user: -2 is not in 0..2"),
        (lambda m, x: m(x, x, [0, 1], 0), "user: 2 of them for 4 pairs"),
        (lambda m, x: m(x, x, 0.5, 0), "user: must be whole numbers"),
        (lambda m, x: m(x, x, 0, "viewed"), "kind: 'viewed'; choose from also_viewed"),
        (lambda m, x: m(x, x, 0, 4), r"kind: 4 is not in 0..3"),
        (lambda m, x: m(x, x[:, :1], 0, 0), r"images_j: shape .* needs \[item, 3"),
        (lambda m, x: m(x[0], x[0], 0, 0), r"images_i: shape .* needs \[item, 3"),
        (lambda m, x: m(x, pictures(4, 64), 0, 0), "images_i, images_j: different shapes"),
        (lambda m, x: m(x, (255 * x).byte(), 0, 0), r"images_j: dtype torch.uint8; .* pixels\(\)"),
        (lambda m, x: m.distance(x[0, 0], x[0, 0, :2], 0, 0), "x_i and x_j: shapes"),
    ],
)
def test_bad_input_is_named(ask: Callable[..., Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ask(model(), pictures())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"dimensions": 0}, "dimensions: 0 must be at least 1"),
        ({"n_users": 0}, "n_users: 0 must be at least 1"),
        ({"rank": 0}, "rank: 0 must be at least 1"),
        ({"metric": "cosine"}, "metric: 'cosine'; choose from full, low rank, diagonal"),
    ],
)
def test_a_bad_metric_is_named(asked: dict[str, Any], message: str) -> None:
    usual = {"dimensions": 6, "n_users": 3, "metric": "full", "rank": 1, "seed": 0}
    with pytest.raises(ValueError, match=message):
        _UserMetric(**usual | asked)


def test_a_share_is_the_squared_excess_over_the_mean_class_beside_all_answers() -> None:
    """Scores 5, 1 and 0 of three classes, mean 2: excess 3, none, none; 'does not apply' at 6."""
    scores = torch.tensor([[5.0, 1.0, 0.0, 6.0], [5.0, 1.0, 0.0, -9.0], [2.0, 2.0, 2.0, 3.0]])
    expected = [[3 * 9 / (9 + 16), 0, 0], [3.0, 0, 0], [0, 0, 0]]
    torch.testing.assert_close(Shares.shares(scores, 3), torch.tensor(expected), atol=1e-5, rtol=0)
    two = torch.tensor([[4.0, 2.0, -6.0]])  # all answers are classes, mean 0
    torch.testing.assert_close(
        Shares.shares(two, 3), torch.tensor([[3 * 16 / 20, 3 * 4 / 20, 0]]), atol=1e-5, rtol=0
    )


def test_every_feature_has_a_name_and_answers_its_own_question() -> None:
    questions = (naming.Question("hue", ("red", "blue")), naming.Question("kind", ("a", "b", "c")))
    head = Shares(naming.Naming(backbone_of("compact", 0.1, grid=2, norm="weights"), questions))
    own = RelationModel(backbone_of("compact", 0.1, grid=2, norm="weights"), head, 2).eval()
    x = own.features(pictures()).detach()
    assert x.shape == (4, own.dimensions) == (4, 5)
    scores = head.scores(own.network(pictures())).detach()
    assert x[:, :2].tolist() == Shares.shares(scores[:, :3], 2).tolist()
    assert x[:, 2:].tolist() == Shares.shares(scores[:, 3:], 3).tolist()
    for part in (x[:, :2], x[:, 2:]):
        assert (part >= 0).all() and (part.sum(dim=1) <= 3 + 1e-6).all()


def test_pixels_are_bytes_in_zero_to_one() -> None:
    assert relation.pixels(np.full((1, 3, 2, 2), 255, np.uint8)).max() == 1
    with pytest.raises(ValueError, match=r"dtype torch.float32; pixels\(\) takes uint8"):
        relation.pixels(torch.zeros(1, 3, 2, 2))


# --------------------------------------------------------------------------- backbones


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "mobilenet_v3_small", "googlenet"])
def test_any_torchvision_classifier_serves(name: str) -> None:
    network = backbone_of(name, grid=2).eval()
    with torch.no_grad():
        assert network(pictures(2, 64)).shape == (2, network.size)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"name": "vgg17"}, "name: 'vgg17' is no classifier of torchvision"),
        ({"name": "inception_v3"}, "name: it takes no pictures of 64 pixels"),
        ({"name": "vit_b_16"}, "name: 'vit_b_16' is a transformer"),
        ({"name": "swin_t"}, "name: 'swin_t' is a transformer"),
        ({"width": 0.0}, "width: 0.0 must be above 0"),
        ({"width": 0.5, "name": "alexnet"}, "width: 0.5 .* compact from scratch, not 'alexnet'"),
        ({"width": 0.1, "stride": 3}, "stride: 3 cannot be had, 2 can; use a power of 2"),
        ({"width": 0.5, "weights": "imagenet"}, "from scratch, not 'vgg16', imagenet"),
        ({"weights": "mine"}, "weights: 'mine'; choose 'imagenet' or None"),
        ({"width": 0.1, "grid": 0}, "grid: 0 must be at least 1"),
    ],
)
def test_a_bad_backbone_is_named(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        backbone_of(**asked)


# --------------------------------------------------------------------------- items and pairs


def test_tested_relations_join_items_that_training_never_saw() -> None:
    split = relation.split(relations(), seed=3)
    train, test = (set(part.items.tolist()) for part in (split.train, split.test))
    assert not train & test
    tested = split.test.relations
    assert {*tested.source.tolist(), *tested.target.tolist()} <= test
    assert sum(len(part.items) for part in (split.train, split.development, split.test)) == 60
    with pytest.raises(ValueError, match=r"fractions: .* must be three"):
        relation.split(relations(), fractions=(0.5, 0.2, 0.2))


def test_pairs_are_balanced_and_unrelated_ones_were_never_recorded() -> None:
    every = relations()
    pairs = relation.test_pairs(relation.split(every).train)
    assert pairs.related.mean() == 0.5
    recorded = {
        (*key, *sorted(ends))
        for *key, ends in zip(
            every.group.tolist(),
            every.kind.tolist(),
            zip(every.source.tolist(), every.target.tolist(), strict=True),
            strict=True,
        )
    }
    for pair in np.flatnonzero(~pairs.related):
        ends = sorted((int(pairs.source[pair]), int(pairs.target[pair])))
        assert (int(pairs.user[pair]), int(pairs.kind[pair]), *ends) not in recorded
        assert ends[0] != ends[1]
    for name in ("user", "kind"):
        column = getattr(pairs, name)
        assert np.array_equal(column[pairs.related], column[~pairs.related])


def test_hard_pairs_have_the_categories_of_their_kind() -> None:
    every, category = relations(), np.arange(60) % 3
    pairs = relation.test_pairs(relation.split(every).train, category=category)
    pairs = pairs[~pairs.related]
    same = category[pairs.source] == category[pairs.target]
    assert np.array_equal(same, pairs.kind < 2)


def test_too_few_items_to_sample_from_are_named() -> None:
    every = Relations(*(np.array([n]) for n in (0, 0, 1, 0)), 2, 1)
    split = relation.split(every, fractions=(1.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="part: 2 items have too few unrelated pairs"):
        relation.test_pairs(split.train)


def batches(size: int = 16) -> Batches:
    images = np.random.default_rng(0).integers(255, size=(60, 3, 32, 32), dtype=np.uint8)
    return Batches(relation.split(relations()).train, images, size)


def test_an_epoch_shows_each_item_once_and_the_same_again() -> None:
    first, again, other = (list(batches()(epoch)) for epoch in (0, 0, 1))
    assert torch.cat([each.items for each in first]).sort().values.tolist() == list(range(42))
    assert all(torch.equal(a.pictures, b.pictures) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0].items, other[0].items)


def test_an_epoch_brings_up_every_relation_once_or_twice() -> None:
    known = len(relation.split(relations()).train.relations)
    assert known <= sum(map(len, batches()(0))) <= 2 * known


def test_the_parts_of_a_batch_hold_each_picture_once_and_all_relations() -> None:
    batch = next(iter(batches()(0)))
    parts = [batch.part(index, 3) for index in range(3)]
    assert sorted(torch.cat([part.mine for part in parts]).tolist()) == [*range(len(batch.items))]
    for part in parts:
        assert torch.equal(part.pictures, batch.pictures[part.mine])
        assert torch.equal(part.other, batch.other)
        assert len(part) == len(batch)


@pytest.mark.parametrize(("size", "message"), [(1, "size: 1 must be at least 2")])
def test_a_bad_batch_is_named(size: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        batches(size)


# --------------------------------------------------------------------------- pairs divided


def graph(items: int = 400, pairs: int = 4000) -> Relations:
    """Different directed relations, a good part of them in both directions."""
    rng = np.random.default_rng(1)
    source, step, kind = (rng.integers(n, size=pairs) for n in (items, 5, 4))
    target = (source + np.where(rng.random(pairs) < 0.5, step + 1, -step - 1)) % items
    rows = np.unique(np.stack([kind, source, target]), axis=1)
    return Relations(np.zeros_like(rows[0]), rows[1], rows[2], rows[0], items, 1)


def both_ways(pairs: Any) -> set[tuple[int, ...]]:
    ends = np.sort(np.stack([pairs.source, pairs.target]), axis=0)
    return set(zip(pairs.kind.tolist(), *ends.tolist(), strict=True))


def test_pairs_are_divided_in_ten_and_balanced_in_each_kind() -> None:
    every = graph()
    for mirrors in ("together", "apart"):
        train, *tested = relation.mcauley_split(every, 3, mirrors)
        rows = [train.rows, *(part.rows[part.related] for part in tested)]
        assert sorted(np.concatenate(rows).tolist()) == list(range(len(every)))
        shares = [len(part) / len(every) for part in rows]
        assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.02)
        for part in tested:
            related = np.bincount(part.kind[part.related], minlength=4)
            assert (related == np.bincount(part.kind[~part.related], minlength=4)).all()
            some = part[~part.related]
            assert not both_ways(some) & both_ways(every) and (some.source != some.target).all()
        assert np.array_equal(train.relations.source, every.source[train.rows])
        assert train.recorded is every


def test_mirrors_stay_together_or_fall_apart() -> None:
    every = graph()
    apart, together = (relation.mcauley_split(every, 0, m) for m in ("apart", "together"))
    seen = [both_ways(train.relations) for train, *_ in (apart, together)]
    tested = [both_ways(test[test.related]) for *_, test in (apart, together)]
    assert len(tested[0] & seen[0]) > 20
    assert not tested[1] & seen[1]
    items = set(together[0].relations.source.tolist())
    assert items & set(together[2].source.tolist())  # items are on both sides


def test_training_takes_no_more_pairs_of_a_kind_than_asked() -> None:
    every = graph()
    few = relation.mcauley_split(every, most=200)
    whole = relation.mcauley_split(every)
    assert np.bincount(few[0].relations.kind).tolist() == [100] * 4
    assert set(few[0].rows) <= set(whole[0].rows)
    assert np.array_equal(few[2].source, whole[2].source)
    again, other = relation.mcauley_split(every), relation.mcauley_split(every, 1)
    assert np.array_equal(again[0].rows, whole[0].rows)
    assert not np.array_equal(other[0].rows[:50], whole[0].rows[:50])


def test_a_division_that_cannot_be_is_named() -> None:
    with pytest.raises(ValueError, match="mirrors: 'both'; choose from together, apart"):
        relation.mcauley_split(graph(), mirrors="both")
    with pytest.raises(ValueError, match="relations: there are none to divide"):
        relation.mcauley_split(Relations(*[np.zeros(0, np.int64)] * 4, 5, 1))


def test_the_model_learns_from_the_pairs_of_training() -> None:
    """Features of which the relations are neighbours: learned from flat vectors alone."""
    every = graph()
    train, _, test = relation.mcauley_split(every, mirrors="together")
    angle = torch.arange(400) / 400 * 2 * torch.pi
    waves = [torch.stack([(n * angle).sin(), (n * angle).cos()], 1) for n in (1, 2, 4, 8)]
    x = torch.cat([*waves, torch.ones(400, 1)], 1)
    model = RelationModel(backbone_of("vgg11", width=0.05, grid=2), Projection(9, 12), 1)
    how = Optimisation(epochs=8, learning_rate=0.02)
    fit(model, Batches(train, x, 40), BatchLoss(400), how)
    features = model.head(x).detach()
    logits = model.logit(features[test.source], features[test.target], 0, test.kind)
    assert ((logits > 0).numpy() == test.related).mean() > 0.8


# --------------------------------------------------------------------------- recommendation


def shelf(items: int = 9) -> Tensor:
    return torch.rand(items, 6, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"candidates": torch.tensor([], dtype=torch.long)}, "candidates: the category is empty"),
        ({"candidates": torch.tensor([9])}, r"candidates: item 9 is not in this dataset .0..8"),
        ({"query": torch.tensor([-1])}, r"query: item -1 is not in this dataset .0..8"),
        ({"k": 9}, r"k: 9 is outside 1..8"),
        ({"k": 0}, r"k: 0 is outside 1..8"),
        ({"user": 7}, r"user: 7 is not in 0..2"),
        ({"user": [0, 1, 2]}, "user: 3 of them for 1 pairs"),
        ({"candidates": torch.tensor([1, 2, 3, 2])}, "candidates: some item stands there twice"),
    ],
)
def test_a_bad_recommendation_is_named(asked: dict[str, Any], message: str) -> None:
    usual = {"query": torch.tensor([0]), "user": 0, "kind": 0, "candidates": torch.arange(9)}
    with pytest.raises(ValueError, match=message):
        relation.recommend(model(), shelf(), **({**usual, "k": 2} | asked))


def test_a_query_is_not_recommended_to_itself() -> None:
    items, _ = relation.recommend(model(), shelf(), torch.arange(9), 0, 0, torch.arange(9), 8)
    assert not (items == torch.arange(9)[:, None]).any()


def test_twins_of_the_query_are_recommended_and_the_query_never() -> None:
    """All have the same picture, so that all distances are 0; the list is one order for any k."""
    twins = torch.ones(9, 6)
    items, p = relation.recommend(model(), twins, torch.arange(9), 0, 0, torch.arange(9), 8)
    assert not (items == torch.arange(9)[:, None]).any()
    assert all(len(set(row)) == 8 for row in items.tolist())
    assert torch.unique(p).numel() == 1
    few, _ = relation.recommend(model(), twins, torch.arange(9), 0, 0, torch.arange(9), 3)
    assert torch.equal(few, items[:, :3])
    assert items[8, :3].tolist() != [0, 1, 2]


@pytest.mark.parametrize("user", [0, 2, NEW_USER])
def test_queries_together_and_alone_get_the_same_lists(user: int) -> None:
    own, asked = model(), torch.tensor([3, 1, 3, 0])
    together = relation.recommend(own, shelf(), asked, user, 1, torch.arange(9), 4)
    for row, query in enumerate(asked):
        alone = relation.recommend(own, shelf(), query[None], user, 1, torch.arange(9), 4)
        for all_rows, one in zip(together, alone, strict=True):
            torch.testing.assert_close(all_rows[row], one[0])


def test_features_that_are_not_finite_are_refused() -> None:
    broken = shelf().clone()
    broken[4, 0] = torch.nan
    with pytest.raises(ValueError, match="x: the features of item 4 are not finite"):
        relation.recommend(model(), broken, torch.tensor([0]), 0, 0, torch.arange(9), 2)


def test_one_query_gives_one_row() -> None:
    items, p = relation.recommend(model(), shelf(), 3, 1, "also_viewed", np.arange(9), 4)
    many = relation.recommend(model(), shelf(), torch.tensor([3]), 1, 0, torch.arange(9), 4)
    assert items.shape == p.shape == (4,)
    assert torch.equal(items, many[0][0])
    torch.testing.assert_close(p, many[1][0])


# --------------------------------------------------------------------------- scores and recipe


def test_accuracy_is_counted_kind_by_kind() -> None:
    kind = np.array([0, 0, 1, 1, 3])
    related = np.array([True, False, True, True, False])
    found = relation.accuracy(np.array([True, True, True, True, False]), related, kind)
    assert list(found) == list(RELATION_KINDS)
    assert found["also_viewed"] == 0.5
    assert found["buy_after_viewing"] == found["bought_together"] == 1
    assert np.isnan(found["also_bought"])


def test_scores_need_a_model_in_eval_mode() -> None:
    with pytest.raises(ValueError, match=r"model: it is in training mode"):
        relation.features_of(model().train(), np.zeros((1, 3, 32, 32), np.uint8), np.arange(1))


CI = SIZES["relation"]["ci"]
assert isinstance(CI, Relation)
SMALL = Network(40, 64, width=0.1, hidden=8, epochs=1)
TINY = replace(CI, items=40, pairs=60, network=SMALL, epochs=2, batch_size=16)
SCRATCH = replace(TINY, start="fresh")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXPLAINREC_CACHE", str(tmp_path))
    return tmp_path / "trained"


@pytest.fixture(scope="module")
def shop() -> Dataset:
    return data.load("boutique", items=40, size=64, relating=RelationDials(pairs=60))


@pytest.fixture(scope="module")
def split(shop: Dataset) -> Split:
    assert shop.relations is not None
    return relation.split(shop.relations)


def test_a_model_is_trained_once_and_read_from_then_on(
    cache: Path, shop: Dataset, split: Split
) -> None:
    first, again = (relation.trained(TINY, shop, split) for _ in range(2))
    assert first.seconds == again.seconds > 0
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert not again.training
    relation.trained(TINY, shop, split, seed=1)
    assert len(list(cache.glob("*.kept"))) == 4  # two starts, two models
    relation.trained(replace(TINY, epochs=1), shop, split)
    assert len(list(cache.glob("*.kept"))) == 5  # the start is shared
    relation.trained(replace(TINY, name="other"), shop, split)
    assert len(list(cache.glob("*.kept"))) == 5  # a name trains nothing
    other = relation.trained(TINY, shop, split, shuffled=True).state_dict()
    assert len(list(cache.glob("*.kept"))) == 6
    assert not torch.equal(first.state_dict()["metric.shared"], other["metric.shared"])


def test_another_shop_is_another_model(cache: Path, shop: Dataset, split: Split) -> None:
    relation.trained(SCRATCH, shop, split)
    images = shop.catalogue.images
    assert images is not None
    negative = replace(shop, catalogue=replace(shop.catalogue, images=255 - images[:]))
    relation.trained(SCRATCH, negative, split)
    relation.trained(SCRATCH, shop, relation.split(split.train.recorded, seed=5))
    assert len(list(cache.glob("*.kept"))) == 3
    with pytest.raises(ValueError, match="of 'boutique': not known here"):
        relation.trained(SCRATCH, replace(shop, relations=None), split)


def test_the_other_shop_is_learned_from_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = relation.pretrained(TINY, 5)
    monkeypatch.setattr(naming, "train", None)  # calling it would fail
    again = relation.pretrained(TINY, 5)
    assert again.seconds == first.seconds
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name])


def test_damaged_weights_are_trained_again(cache: Path, shop: Dataset, split: Split) -> None:
    relation.trained(SCRATCH, shop, split)
    (file,) = cache.glob("*.kept")
    file.write_bytes(b"half a file")
    with pytest.warns(UserWarning, match=f"{file.name} is damaged"):
        relation.trained(SCRATCH, shop, split)
    assert file.stat().st_size > 100


def test_the_paper_s_baseline_leaves_the_network_alone(
    cache: Path, shop: Dataset, split: Split
) -> None:
    fixed = replace(TINY, end_to_end=False)
    before = folded(relation.pretrained(fixed, 5))
    after = relation.trained(fixed, shop, split)
    kept = before.network.state_dict()
    assert all(torch.equal(kept[name], x) for name, x in after.network.state_dict().items())
    learned = after.head.state_dict()
    assert any(not torch.equal(learned[k], x) for k, x in before.head.state_dict().items())
    moved = relation.trained(TINY, shop, split).network.state_dict()
    assert any(not torch.equal(kept[name], x) for name, x in moved.items())


def test_the_start_names_what_is_on_other_pictures(cache: Path) -> None:
    settings = replace(TINY, items=150, network=replace(SMALL, photos=150, epochs=8, width=0.2))
    model = relation.pretrained(settings, 5)
    assert model.seconds > 0
    shop = data.load("boutique", items=150, size=64).catalogue
    assert shop.images is not None
    x = fixed_features(model, shop.images).double()
    x = torch.cat([x, torch.ones(150, 1)], 1)
    labels = torch.from_numpy(
        shop.items["category"].astype("category").cat.codes.to_numpy(np.int64)
    )
    one_hot = torch.eye(3, dtype=torch.float64)[labels]
    eye = torch.eye(x.shape[1], dtype=torch.float64)
    w = torch.linalg.solve(x[:100].T @ x[:100] + eye, x[:100].T @ one_hot[:100])
    assert ((x[100:] @ w).argmax(1) == labels[100:]).double().mean() > 0.6
