"""Laws of the scores of named features, and of the truths that maps are scored against."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy import ndarray

from explainrec_lab import data, relation
from explainrec_lab.data.boutique import RelationDials
from explainrec_lab.data.contracts import Dataset
from explainrec_lab.evaluate import localisation
from explainrec_lab.relation import Pairs, truth_table

seeds = st.integers(0, 10_000)
few = settings(max_examples=20, deadline=None)
CATEGORY, COLOUR = 12, 13


@cache
def known() -> tuple[Dataset, Pairs]:
    """A small shop, and related pairs of all kinds with their reason."""
    shop = data.load("boutique", items=120, seed=0, size=32, relating=RelationDials(pairs=30))
    assert shop.relations is not None
    found = relation.test_pairs(relation.split(shop.relations, 0, (0.2, 0.0, 0.8)).test)
    return shop, truth_table.right_pairs(shop, found, np.ones(len(found)), each=4)


def draw(seed: int) -> ndarray:
    """Signed relevance of all questions, some of it tied."""
    relevance = np.random.default_rng(seed).normal(size=(len(known()[1]), 2, 14))
    return np.round(relevance, 1) if seed % 2 else relevance


def named(relevance: ndarray) -> pd.DataFrame:
    return truth_table.unit_scores(*known(), relevance)[list(truth_table.UNIT_MEASURES)]


@few
@given(seeds, st.floats(0.01, 100))
def test_scale_does_not_count_nor_does_what_speaks_against(seed: int, scale: float) -> None:
    relevance = draw(seed)
    pd.testing.assert_frame_equal(named(scale * relevance), named(relevance))
    stronger = np.where(relevance < 0, 3 * relevance, relevance)
    pd.testing.assert_frame_equal(named(stronger), named(relevance))


@few
@given(seeds)
def test_naming_the_attribute_is_no_matter_of_colour_or_category(seed: int) -> None:
    relevance, other = draw(seed), draw(seed + 1)
    changed = relevance.copy()
    changed[:, :, CATEGORY:] = other[:, :, CATEGORY:]
    pd.testing.assert_series_equal(
        named(changed)["attribute_named"], named(relevance)["attribute_named"]
    )


@few
@given(seeds)
def test_colour_is_measured_against_what_is_no_reason(seed: int) -> None:
    """The key attribute's own relevance leaves it alone; more colour never takes it away."""
    relevance = draw(seed)
    before = named(relevance)["colour_named"]
    keyed = relevance.copy()
    reasons = truth_table.reasons_of(*known())[:, :, None]
    np.put_along_axis(keyed, reasons, draw(seed + 1)[:, :, :1], axis=2)
    pd.testing.assert_series_equal(named(keyed)["colour_named"], before)
    relevance[:, :, COLOUR] += np.random.default_rng(seed).random(relevance.shape[:2])
    assert (named(relevance)["colour_named"] >= before)[before.notna()].all()


@few
@given(seeds)
def test_mass_in_both_masks_is_no_less_than_in_either_and_no_more_than_in_the_two(
    seed: int,
) -> None:
    shop, pairs = known()
    maps = np.random.default_rng(seed).normal(size=(2, len(pairs), 32, 32))
    attribute, colour, together = (
        localisation.pair_scores(list(maps), localisation.relation_masks(shop, pairs.rows, truth))[
            "mass"
        ].to_numpy()
        for truth in localisation.TRUTHS
    )
    cloth = np.nan_to_num(colour)  # nan where colour is no reason
    assert (together >= np.maximum(attribute, cloth) - 1e-9).all()
    assert (together <= attribute + cloth + 1e-9).all()
    np.testing.assert_allclose(together[np.isnan(colour)], attribute[np.isnan(colour)])
