"""Claims about `evaluate.localisation`: numbers worked by hand on maps of a few pixels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from toys import interactions

from explainrec_lab import data
from explainrec_lab.data import (
    RELATION_KINDS,
    Catalogue,
    Dataset,
    Relations,
    Schema,
    Truth,
)
from explainrec_lab.evaluate import localisation as lo
from explainrec_lab.evaluate import truth

MAP = np.array([[[4.0, 3.0, 0.0], [2.0, 1.0, -6.0]]])
LEFT = np.array([[[1, 0, 0], [1, 0, 0]]], dtype=bool)
NOWHERE = np.zeros_like(LEFT)


def scored(name, *given, **how) -> list[float]:
    """One of the scores, by event."""
    return lo.scores(*given, **how)[name].tolist()


def test_mass_is_the_positive_relevance_inside_over_all():
    assert scored("mass", MAP, LEFT) == pytest.approx([6 / 10])
    assert scored("mass", abs(MAP), LEFT) == pytest.approx([6 / 16])
    assert scored("mass", -MAP, LEFT) == [0]


def test_mass_ratio_divides_by_the_share_of_the_image():
    assert scored("area", MAP, LEFT) == pytest.approx([2 / 6])
    assert scored("mass_ratio", MAP, LEFT) == pytest.approx([(6 / 10) / (2 / 6)])


def test_rank_accuracy_counts_the_top_k_pixels():
    assert scored("rank_accuracy", MAP, LEFT) == [1 / 2]  # 4 and 3; 3 is outside
    assert scored("rank_accuracy", MAP, ~LEFT) == [2 / 4]  # 4 3 2 1: 3 and 1
    assert scored("rank_accuracy", abs(MAP), LEFT) == [1 / 2]  # 6 and 4


def test_rank_accuracy_shares_the_places_of_equal_pixels():
    flat = np.array([[[5.0, 1.0, 1.0], [1.0, 1.0, 0.0]]])
    mask = np.array([[[1, 1, 0], [0, 0, 1]]], dtype=bool)
    # of three places one goes to the 5 (inside), two to four equal pixels, one of them inside
    assert scored("rank_accuracy", flat, mask) == pytest.approx([(1 + 2 * 1 / 4) / 3])


def test_pointing_asks_for_the_top_pixel_and_forgives_a_few_pixels():
    far = np.zeros((1, 5, 5))
    far[0, 0, 4] = 1
    mask = np.zeros((1, 5, 5), bool)
    mask[0, 0, 0] = True
    assert scored("pointing", far, mask) == [0]
    assert scored("pointing", far, mask, tolerance=3.9) == [0]
    assert scored("pointing", far, mask, tolerance=4) == [1]
    assert scored("pointing", MAP, LEFT) == [1]


def test_a_widened_mask_is_a_disc_and_empty_stays_empty():
    mask = np.zeros((2, 5, 5), bool)
    mask[0, 2, 2] = True
    assert lo._widened(mask, 1).sum(axis=(1, 2)).tolist() == [5, 0]
    assert lo._widened(mask, 1.5).sum(axis=(1, 2)).tolist() == [9, 0]


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
def test_a_map_without_an_opinion_gets_what_a_blind_guess_gets(value):
    blank = np.full(MAP.shape, value)
    for name in ("mass", "rank_accuracy", "pointing"):
        assert scored(name, blank, LEFT) == pytest.approx([2 / 6])
    assert scored("mass_ratio", blank, LEFT) == pytest.approx([1])


def test_an_empty_mask_has_no_truth():
    assert lo.scores(MAP, NOWHERE).isna().all(axis=None)


def test_the_densest_attribute_has_the_most_relevance_per_pixel():
    masks = np.zeros((1, 3, 2, 3), bool)
    masks[0, 0] = LEFT
    masks[0, 1, 0, 1] = True
    scores = lo.densest_attribute(MAP, masks)
    np.testing.assert_allclose(scores, [[3, 3, 0]])
    applies = np.array([[True, True, False]])
    assert truth.reason_hit_rate(scores, np.array([0]), applies) == 0.5


def test_tensors_and_arrays_score_the_same_and_channels_are_summed():
    relevance = torch.tensor(MAP)[:, None].repeat(1, 3, 1, 1) / 3
    relevance.requires_grad_(True)
    both = np.stack([LEFT, LEFT], axis=1)
    plain, summed = (lo.pair_scores([each, each], both) for each in (MAP, relevance))
    pd.testing.assert_frame_equal(plain, summed)
    tensors = lo.scores(torch.tensor(MAP), torch.tensor(LEFT))
    pd.testing.assert_frame_equal(tensors, lo.scores(MAP, LEFT))


def test_pairs_are_scored_in_each_image_and_in_both_together():
    one_sided = [MAP, np.zeros_like(MAP)]
    table = lo.pair_scores(one_sided, np.stack([LEFT, LEFT], axis=1)).set_index("view")
    np.testing.assert_allclose(table.loc["source", "mass"], 6 / 10)
    np.testing.assert_allclose(table.loc["target", "mass"], 2 / 6)  # no opinion
    np.testing.assert_allclose(table.loc["pooled", "mass"], 6 / 10)
    # pooled, K = 4: all four positive pixels are the first image's, two of them inside
    np.testing.assert_allclose(table.loc["pooled", "rank_accuracy"], 2 / 4)
    np.testing.assert_allclose(table.area, 2 / 6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((MAP, LEFT[:, :1]), r"shapes \(1, 2, 3\) and \(1, 1, 3\)"),
        ((MAP[0], LEFT[0]), "both need"),
        ((MAP * np.nan, LEFT), "relevance: nan"),
        ((MAP, LEFT, -1), "tolerance: -1"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        lo.scores(*arguments)


def test_bad_pairs_and_masks_are_named():
    with pytest.raises(ValueError, match="masks: shape"):
        lo.pair_scores([MAP, MAP], LEFT)
    with pytest.raises(ValueError, match="relevance and masks: shapes"):
        lo.pair_scores([MAP], np.stack([LEFT, LEFT], axis=1))
    with pytest.raises(ValueError, match="mask: shapes"):
        lo.densest_attribute(MAP, LEFT)


# --------------------------------------------------------------------------- the truth, gathered


@pytest.fixture(scope="module")
def shop() -> Dataset:
    return data.load("boutique", items=120, shoppers=30, size=32)


def test_masks_of_relations_are_the_reasons_in_both_images(shop):
    masks = lo.relation_masks(shop, np.arange(40))
    assert masks.shape == (40, 2, 32, 32)
    names = shop.catalogue.schema.attributes
    for pair in range(40):
        for side, items in enumerate((shop.relations.source, shop.relations.target)):
            reason = shop.truth.relation_reason[pair, side]
            if reason == -1:
                assert not masks[pair, side].any()
            else:
                expected = shop.catalogue.mask(int(items[pair]), names[reason])
                np.testing.assert_array_equal(masks[pair, side], expected)
    assert masks.any()


def test_colour_is_a_reason_of_explained_relations_whose_kind_asks_for_it(shop):
    explained = (shop.truth.relation_reason >= 0).all(axis=1)
    kinds = np.array(RELATION_KINDS)[shop.relations.kind]
    for kind in RELATION_KINDS:
        here = shop.truth.relation_colour[kinds == kind]
        expected = explained[kinds == kind] & (kind in ("buy_after_viewing", "bought_together"))
        np.testing.assert_array_equal(here, expected)
    family = shop.catalogue.items["colour_family"].to_numpy()
    source, target = shop.relations.source, shop.relations.target
    equal = family[source] == family[target]
    assert equal[shop.truth.relation_colour].all()
    assert not equal[explained].all()


def test_the_mask_of_colour_is_the_silhouette_where_colour_is_a_reason(shop):
    rows = np.arange(0, len(shop.relations), 40)
    part, colour, both = (lo.relation_masks(shop, rows, truth) for truth in lo.TRUTHS)
    np.testing.assert_array_equal(part, lo.relation_masks(shop, rows))
    np.testing.assert_array_equal(both, part | colour)
    for row, pair in enumerate(rows):
        for side, items in enumerate((shop.relations.source, shop.relations.target)):
            silhouette = shop.catalogue.images.silhouette(int(items[pair]))
            expected = silhouette & shop.truth.relation_colour[pair]
            np.testing.assert_array_equal(colour[row, side], expected)
    assert colour.any()
    with pytest.raises(ValueError, match="truth: 'color'; choose from attribute, colour, together"):
        lo.relation_masks(shop, [0], "color")


def test_masks_of_attributes_are_there_where_they_apply(shop):
    masks = lo.attribute_masks(shop, [3, 5])
    assert masks.shape == (2, len(shop.catalogue.schema.attributes), 32, 32)
    applies = shop.catalogue.attributes[[3, 5]] >= 0
    assert not masks[~applies].any()
    assert masks.any(axis=(2, 3)).sum() == applies.sum()


def test_reference_maps_look_at_no_model(shop):
    maps = lo.reference_maps(shop, [0, 7])
    assert list(maps) == ["uniform", "centre", "silhouette"]
    assert all(each.shape == (2, 32, 32) for each in maps.values())
    np.testing.assert_array_equal(maps["silhouette"][1], shop.catalogue.images.silhouette(7))
    centre = maps["centre"][0]
    assert centre.argmax() in (15 * 32 + 15, 15 * 32 + 16, 16 * 32 + 15, 16 * 32 + 16)
    np.testing.assert_allclose(centre, centre.T)


def test_an_unknown_pair_or_item_is_named(shop):
    with pytest.raises(ValueError, match=f"pairs: pair {len(shop.relations)} is not"):
        lo.relation_masks(shop, [len(shop.relations)])
    with pytest.raises(ValueError, match="items: item 120 is not"):
        lo.attribute_masks(shop, [120])
    with pytest.raises(ValueError, match="items: item 120 is not"):
        lo.reference_maps(shop, [120])


def test_a_dataset_without_pixel_truth_says_so():
    items = pd.DataFrame({"title": list("ab"), "category": "top"})
    events = interactions(pd.DataFrame({"user": [0], "item": [0]}), 1, 2)
    bare = Dataset("bare", Catalogue(items), events)
    with pytest.raises(ValueError, match="of 'bare': not known"):
        lo.relation_masks(bare, [0])
    with pytest.raises(ValueError, match="attributes of 'bare': not known"):
        lo.attribute_masks(bare, [0])
    with pytest.raises(ValueError, match="pictures of 'bare': not known"):
        lo.reference_maps(bare, [0])
    schema = Schema({"collar": ("rib", "shirt")})
    catalogue = Catalogue(
        items,
        images=np.zeros((2, 3, 4, 4), np.uint8),
        attributes=np.zeros((2, 1), np.int64),
        schema=schema,
    )
    one = np.zeros(1, np.int64)
    known = Truth(np.zeros((1, 1, 2)), one, np.zeros((1, 2), np.int64), one == 1)
    related = Relations(one, one, one + 1, one, 2, 1)
    without_masks = Dataset("flat", catalogue, events, related, known)
    with pytest.raises(ValueError, match="no pixel truth"):
        lo.relation_masks(without_masks, [0])
    assert list(lo.reference_maps(without_masks, [0])) == ["uniform", "centre"]
