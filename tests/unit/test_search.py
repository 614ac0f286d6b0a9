"""The searches behind the tables: fair, repeatable, and the tables use what they found."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from experiments.reconet import ADMIT_ATTRIBUTES, TABLE, TUNED
from experiments.saers import SETTINGS as SAERS_SETTINGS
from explainrec_lab.data import results

# What has an attention, and between which values of its health that lives.
ATTENTIVE = ("SAERS", "SAERS, all twelve", "SAERS, with bias", "SAERS, classes")
LIVING = {"dead places": (0.0, 0.05), "entropy": (0.2, 0.8)}


@pytest.mark.parametrize("name", ["reconet-search", "reconet-search-households"])
def test_every_method_had_the_same_number_of_trials(name: str) -> None:
    trials = results(name).groupby("name")["trial"].agg(list)
    assert len(trials) >= 10 and len({tuple(each) for each in trials}) == 1


def test_what_is_tuned_is_the_best_trial_of_the_search() -> None:
    """On the films; the page reads the households' best trial from the record itself."""
    recorded = results("reconet-search")
    best = recorded.loc[recorded.groupby("name")["value"].idxmax()].set_index("name")
    tuned = {", ".join(filter(None, name)): each for name, each in TUNED.items()}
    assert set(best.index) == set(tuned) - {"popularity"}  # nothing to tune
    for method, row in best.iterrows():
        assert asdict(tuned[str(method)]) == row["settings"]


def test_a_row_with_attributes_has_the_settings_of_the_one_without() -> None:
    rows = {method for method, variant in TABLE if variant} - {"popularity"}
    assert rows == set(ADMIT_ATTRIBUTES)
    for method in rows:
        assert TABLE[method, "attributes"] == TUNED[method, ""]


def test_the_recorded_table_has_the_rows_and_settings_of_the_code() -> None:
    rows = results("reconet-table-1")
    assert set(rows["measure"]) == {"recall"} and set(rows["k"]) == {50}
    masked = ~rows["variant"].isin(["", "attributes"])
    assert set(rows["method"][masked]) == {"RecoNet"}
    usual = rows[~masked].set_index(["method", "variant"])["settings"]
    assert set(usual.index) == set(TABLE)
    for name, settings in usual.items():
        assert settings == asdict(TABLE[name])


def points(name: str, method: str, measure: str = "AUC") -> pd.DataFrame:
    rows = results(name)
    return rows[(rows["name"] == method) & (rows["measure"] == measure)].reset_index(drop=True)


def test_saers_and_its_rivals_had_the_same_grid_and_use_its_best_point() -> None:
    """What has an attention uses another search: see below."""
    assert set(results("saers-search")["name"]) == set(SAERS_SETTINGS)
    grids = set()
    for method in SAERS_SETTINGS:
        own = points("saers-search", method)
        grids.add(str(own["settings"].tolist()))
        if method not in ATTENTIVE:
            assert SAERS_SETTINGS[method] == own["settings"][own["value"].idxmax()]
    assert len(grids) == 1


@pytest.mark.parametrize("method", ATTENTIVE)
def test_an_attention_uses_the_best_point_at_which_it_lives(method: str) -> None:
    tried = points("saers-living", method)
    alive = np.ones(len(tried), bool)
    for measure, (low, high) in LIVING.items():
        alive &= points("saers-living", method, measure)["value"].between(low, high).to_numpy()
    best = int(np.where(alive, tried["value"], 0).argmax())
    assert alive[best]
    assert SAERS_SETTINGS[method] == tried["settings"][best]
