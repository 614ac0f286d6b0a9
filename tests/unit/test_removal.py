"""Removal: what bad input is told, and which users enter a table."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toys import model_of, profiles_of, shop

from explainrec_lab.reconet import removal


def test_bad_input_is_named() -> None:
    dataset = shop()
    model, profiles = model_of(dataset), profiles_of(dataset)
    one, items = profiles.rows(0, 1), torch.zeros(len(profiles), dtype=torch.int64)
    turn = removal.turns(profiles)
    with pytest.raises(ValueError, match=r"average: 'mean'; choose from renormalised, held"):
        removal.score_of_masks(model, one, 0, "mean")
    with pytest.raises(ValueError, match="removed: place 999 is not in"):
        removal.change_of_output(removal.score_of_masks(model, one, 0), len(one.ids), [999])
    with pytest.raises(ValueError, match="profile: got 12 profiles"):
        removal.score_of_masks(model, profiles, 0)
    with pytest.raises(ValueError, match="item 9"):
        removal.score_of_masks(model, one, 9)
    with pytest.raises(ValueError, match="relevance: needs one row for each of 12"):
        removal.turns(profiles, torch.zeros(3, model.space.m))
    assert removal.remove(model, profiles, items, turn, steps=0).changes.tolist() == [[0.0] * 12]
    with pytest.raises(ValueError, match=r"turn: shape \(2,\)"):
        removal.remove(model, profiles, items, turn[:2])
    with pytest.raises(ValueError, match=r"items: shape \(3,\)"):
        removal.remove(model, profiles, items[:3], turn)
    with pytest.raises(ValueError, match="items: item -1 is not"):
        removal.remove(model, profiles, items - 1, turn)


def test_only_users_who_keep_a_feature_to_the_end_enter_the_table() -> None:
    changes = np.array([[0.0, 0.0, 0.0], [-1.0, -3.0, 5.0], [-2.0, -4.0, np.nan]])
    table = removal.Removal(changes).table()
    assert table["change"].tolist() == [0.0, -2.0, -3.0]
    assert (table["low"] <= table["change"]).all()
    assert (table["change"] <= table["high"]).all()


def test_without_anybody_the_table_is_nan() -> None:
    changes = np.array([[0.0], [np.nan]])
    assert removal.Removal(changes).table()["change"].isna().all()


def test_the_empty_mask_scores_zero_with_one_layer() -> None:
    dataset = shop()
    one = profiles_of(dataset).rows(0, 1)
    for average in removal.AVERAGES:
        score = removal.score_of_masks(model_of(dataset), one, 0, average)
        assert score(torch.zeros(2, len(one.ids))).tolist() == [0.0, 0.0]
