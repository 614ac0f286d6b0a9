"""The searches behind the tables: fair, repeatable, and the tables use what they found."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import pytest

from experiments.reconet import ADMIT_ATTRIBUTES, TABLE, TUNED
from experiments.saers import SETTINGS
from experiments.saers_search import AROUND, ATTENTIVE, GRID, LIVING, points
from experiments.search import HOUSEHOLDS, MOVIELENS, TRIALS, Spaces, drawn
from explainrec_lab.data import results


@dataclass(frozen=True)
class Search:
    """A recorded search: its file and data, and what it searched."""

    record: str
    source: str
    spaces: Spaces

    @property
    def trials(self) -> pd.DataFrame:
        return results(self.record)


SEARCHES = [
    pytest.param(Search("reconet-search", "movielens-1m", MOVIELENS), id="films"),
    pytest.param(
        Search("reconet-search-households", "completejourney", HOUSEHOLDS), id="households"
    ),
]


@pytest.mark.parametrize("search", SEARCHES)
def test_draws_stay_between_their_ends_and_are_repeatable(search: Search) -> None:
    for method, (known, space) in search.spaces.items():
        assert drawn(method, known, space, 0) == known
        for trial in range(1, 6):
            found = drawn(method, known, space, trial)
            assert found == drawn(method, known, space, trial)
            for name, (low, high) in space.items():
                assert low * 0.995 <= getattr(found, name) <= high * 1.005
                assert type(getattr(found, name)) is type(getattr(known, name))


@pytest.mark.parametrize("search", SEARCHES)
def test_every_method_had_the_same_number_of_trials(search: Search) -> None:
    recorded = search.trials
    assert set(recorded["data"]) == {search.source}
    assert set(recorded["name"]) == set(search.spaces)
    for method, trials in recorded.groupby("name"):
        known, space = search.spaces[str(method)]
        assert trials["trial"].tolist() == list(range(TRIALS[search.source]))
        for trial, settings in zip(trials["trial"], trials["settings"], strict=True):
            assert asdict(drawn(str(method), known, space, trial)) == settings


def test_what_is_tuned_is_the_best_trial_of_the_search() -> None:
    """On the films; the page reads the households' best trial from the record itself."""
    recorded = results("reconet-search")
    best = recorded.loc[recorded.groupby("name")["value"].idxmax()].set_index("name")
    assert set(best.index) == set(TUNED) - {"popularity"}  # nothing to tune
    for method, row in best.iterrows():
        assert asdict(TUNED[str(method)]) == row["settings"]


def test_a_row_with_attributes_has_the_settings_of_the_one_without() -> None:
    rows = {method for method, variant in TABLE if variant} - {"popularity"}
    assert rows == set(ADMIT_ATTRIBUTES)
    for method in rows:
        assert TABLE[method, "attributes"] == TUNED[method]


def test_the_recorded_table_has_the_rows_and_settings_of_the_code() -> None:
    rows = results("reconet-table-1")
    assert set(rows["measure"]) == {"recall"} and set(rows["k"]) == {50}
    masked = ~rows["variant"].isin(["", "attributes"])
    assert set(rows["method"][masked]) == {"RecoNet"}
    usual = rows[~masked].set_index(["method", "variant"])["settings"]
    assert set(usual.index) == set(TABLE)
    for name, settings in usual.items():
        assert settings == asdict(TABLE[name])


def test_saers_and_its_rivals_had_the_same_grid_and_use_its_best_point() -> None:
    rows = results("saers-search")
    assert set(rows["name"]) == set(SETTINGS)
    for method, own in rows.groupby("name"):
        tried = own["settings"].tolist()
        assert tried == list(points(GRID))
        if method not in ATTENTIVE:
            assert SETTINGS[str(method)] == tried[int(own["value"].to_numpy().argmax())]


def test_an_attention_uses_the_best_point_at_which_it_lives() -> None:
    rows = results("saers-living")
    assert set(rows["name"]) == set(ATTENTIVE)
    for method, own in rows.groupby("name"):
        trials = {str(measure): some for measure, some in own.groupby("measure")}
        tried = trials["AUC"]["settings"].tolist()
        assert tried == list(points(GRID | AROUND))
        alive = np.ones(len(tried), bool)
        for measure, (low, high) in LIVING.items():
            alive &= trials[measure]["value"].between(low, high).to_numpy()
        best = np.where(alive, trials["AUC"]["value"], 0).argmax()
        assert alive[best]
        assert SETTINGS[str(method)] == tried[best]
