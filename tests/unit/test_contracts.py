"""The tables check themselves once, and the message names the column, the value and the range."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import toys
from toys import shop

from explainrec_lab.data import Catalogue, Dataset, Features, Interactions, Relations, Schema

SCHEMA = Schema({"neck": ("round", "V"), "sleeve": ("short", "long", "none")})
TABLE = pd.DataFrame({"title": ["a", "b"], "category": "tops"})


def test_a_schema_turns_names_into_codes_and_back() -> None:
    for attribute, classes in SCHEMA.classes.items():
        for value in classes:
            assert SCHEMA.name(attribute, SCHEMA.code(attribute, value)) == value
    assert SCHEMA.name("neck", -1) == "does not apply"


def test_names_the_schema_lacks_are_refused_with_the_choice() -> None:
    with pytest.raises(ValueError, match="attribute: 'heel' is not in the schema; choose from"):
        SCHEMA.attribute("heel")
    with pytest.raises(ValueError, match="class: 'boat' is not a class of 'neck'; choose"):
        SCHEMA.code("neck", "boat")
    with pytest.raises(ValueError, match=r"code: 2 is not in 0\.\.1 of 'neck'"):
        SCHEMA.name("neck", 2)


def test_an_attribute_class_the_schema_lacks_is_named() -> None:
    with pytest.raises(ValueError, match=r"item 1 has code 2 for 'neck', not -1\.\.1"):
        Catalogue(TABLE, attributes=np.array([[0, 0], [2, 0]]), schema=SCHEMA)
    with pytest.raises(ValueError, match="item 0 has code -2 for 'sleeve'"):
        Catalogue(TABLE, attributes=np.array([[0, -2], [1, 0]]), schema=SCHEMA)
    with pytest.raises(
        ValueError, match=r"attributes: int64 of shape \(2, 3\), needs integers \(2, 2\)"
    ):
        Catalogue(TABLE, attributes=np.zeros((2, 3), int), schema=SCHEMA)
    with pytest.raises(ValueError, match=r"attributes: float64 of shape .* needs integers"):
        Catalogue(TABLE, attributes=np.array([[0, np.nan], [1, 0]]), schema=SCHEMA)
    with pytest.raises(ValueError, match="attributes and schema: give both or neither"):
        Catalogue(TABLE, schema=SCHEMA)


def test_a_catalogue_names_a_missing_column_and_missing_pictures() -> None:
    with pytest.raises(ValueError, match="items: missing column category; needs title, category"):
        Catalogue(TABLE[["title"]])
    with pytest.raises(ValueError, match="images: 3 pictures for 2 items"):
        Catalogue(TABLE, images=np.zeros((3, 3, 4, 4), np.uint8))


def test_a_mask_is_asked_for_by_a_known_item_attribute_and_kind() -> None:
    attributes = np.zeros((2, 2), int)
    seen = Catalogue(
        TABLE,
        attributes=attributes,
        schema=SCHEMA,
        masks=lambda item, attribute, kind: np.ones((2, 2), bool),
    )
    assert seen.mask(1, "neck").all()
    with pytest.raises(ValueError, match=r"item: item 2 is not in this dataset \(0\.\.1\)"):
        seen.mask(2, "neck")
    with pytest.raises(ValueError, match="attribute: 'heel'"):
        seen.mask(0, "heel")
    with pytest.raises(ValueError, match="kind: 'whole'; choose from part, counterfactual"):
        seen.mask(0, "neck", "whole")
    with pytest.raises(ValueError, match="mask: this catalogue has no pixel truth"):
        Catalogue(TABLE, attributes=attributes, schema=SCHEMA).mask(0, "neck")


def test_features_from_columns_give_one_for_each_value_and_none_for_a_gap() -> None:
    table = pd.DataFrame({"age": ["old", None, "young"], "sex": ["f", "f", "m"]})
    features = Features.from_columns(table, {"age": "age", "sex": "gender"})
    assert features.names == ("age: old", "age: young", "gender: f", "gender: m")
    assert [features.of(owner) for owner in range(3)] == [
        ["age: old", "gender: f"],
        ["gender: f"],
        ["age: young", "gender: m"],
    ]


def test_bad_features_are_named() -> None:
    with pytest.raises(ValueError, match="table: missing column height; needs height"):
        Features.from_columns(TABLE, {"height": "h"})
    with pytest.raises(ValueError, match="features: 2 names for 0 columns"):
        Features(("a", "b"), Features.none(3).matrix)
    with pytest.raises(ValueError, match=r"owner: owner 3 is not in this dataset \(0\.\.2\)"):
        Features.none(3).of(3)


def interactions(user: list[int], item: list[int]) -> Interactions:
    return toys.interactions(pd.DataFrame({"user": user, "item": item}), 2, 3)


def test_a_matrix_counts_repeated_pairs_once() -> None:
    events = interactions([0, 0, 1], [2, 2, 0])
    assert events.matrix.toarray().tolist() == [[0, 0, 1], [1, 0, 0]]
    assert events.history(0).tolist() == [2]


def test_an_id_out_of_range_is_named_with_the_range() -> None:
    with pytest.raises(ValueError, match=r"user: user 9 is not in this dataset \(0\.\.1\)"):
        interactions([0], [0]).history(9)


def test_columns_and_features_of_the_wrong_length_are_named() -> None:
    events = interactions([0, 1], [0, 1])
    with pytest.raises(ValueError, match=r"columns of different lengths \[1, 2\]"):
        replace(events, time=np.zeros(1, np.int64))
    with pytest.raises(ValueError, match="user_features: 5 rows for 2 owners"):
        replace(events, user_features=Features.none(5))
    with pytest.raises(ValueError, match="item_features: 5 rows for 3 owners"):
        replace(events, item_features=Features.none(5))


def test_without_features_keeps_the_events() -> None:
    events = shop().interactions
    bare = events.without_features()
    assert len(bare.item_features) == len(bare.user_features) == 0
    assert (bare.matrix != events.matrix).nnz == 0


def test_relations_name_what_they_cannot_hold() -> None:
    def related(**bad: int) -> Relations:
        ids = {"group": 0, "source": 0, "target": 1, "kind": 3, **bad}
        return Relations(**{k: np.array([v]) for k, v in ids.items()}, n_items=2, n_groups=1)

    assert len(related()) == 1
    for bad, message in {
        "group": r"group: group 4 is not in this dataset \(0\.\.0\)",
        "source": r"source: item 4 is not in this dataset \(0\.\.1\)",
        "target": r"target: item 4 is not",
        "kind": r"kind: relation kind 4 is not in this dataset \(0\.\.3\)",
    }.items():
        with pytest.raises(ValueError, match=message):
            related(**{bad: 4})


def test_a_dataset_has_one_number_of_items() -> None:
    with pytest.raises(ValueError, match="x: 2 items in the catalogue, 3 in inter"):
        Dataset("x", Catalogue(TABLE), interactions([0], [0]))


def test_a_dataset_tells_its_size() -> None:
    dataset = shop()
    assert "12 users, 9 items" in repr(dataset)
