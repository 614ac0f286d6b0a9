"""The searches behind the tables: fair, repeatable, and the tables use what they found."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
import pytest
from machine import ROOT

from experiments.reconet import TABLE, TUNED, TUNED_HOUSEHOLDS
from experiments.saers import SETTINGS
from experiments.saers_search import GRID, points
from experiments.search import HOUSEHOLDS, MOVIELENS, TRIALS, Spaces, drawn


@dataclass(frozen=True)
class Search:
    """A recorded search: its file and data, what it searched, and what the package took of it."""

    record: str
    source: str
    spaces: Spaces
    tuned: dict[str, Any]

    @property
    def trials(self) -> pd.DataFrame:
        return recorded(self.record)


SEARCHES = [
    pytest.param(Search("reconet-search", "movielens-1m", MOVIELENS, TUNED), id="films"),
    pytest.param(
        Search("reconet-search-households", "completejourney", HOUSEHOLDS, TUNED_HOUSEHOLDS),
        id="households",
    ),
]


def recorded(name: str) -> pd.DataFrame:
    path = ROOT / f"book/reference/results/{name}.json"
    return pd.DataFrame(json.loads(path.read_text(encoding="utf-8"))["results"])


def without_trial(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "trial"}


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
    assert set(recorded["method"]) == set(search.spaces)
    for method, trials in recorded.groupby("method"):
        known, space = search.spaces[str(method)]
        numbers = [settings["trial"] for settings in trials["settings"]]
        assert numbers == list(range(TRIALS[search.source]))
        for settings in trials["settings"]:
            again = drawn(str(method), known, space, settings["trial"])
            assert asdict(again) == without_trial(settings)


@pytest.mark.parametrize("search", SEARCHES)
def test_what_is_tuned_is_the_best_trial_of_the_search(search: Search) -> None:
    recorded = search.trials
    best = recorded.loc[recorded.groupby("method")["value"].idxmax()].set_index("method")
    assert set(best.index) == set(search.tuned) - {"popularity"}  # nothing to tune
    for method, row in best.iterrows():
        tuned = search.tuned[str(method)]
        assert asdict(tuned) == without_trial(row["settings"])


def test_a_row_with_attributes_has_the_settings_of_the_one_without() -> None:
    rows = {method for method in TABLE if method not in TUNED}
    assert rows
    for method in rows:
        assert TABLE[method] == TUNED[method.removesuffix(", attributes")]


def test_the_recorded_table_has_the_rows_and_settings_of_the_code() -> None:
    rows = recorded("reconet-table-1")
    assert set(rows["measure"]) == {"recall@50"}
    masked = rows["method"].str.endswith(" left out")
    assert set(rows["method"][masked].str.split(", ").str[0]) == {"RecoNet"}
    assert set(rows["method"][~masked]) == set(TABLE)
    for method, settings in zip(rows["method"][~masked], rows["settings"][~masked], strict=True):
        assert settings == asdict(TABLE[method])


def test_saers_and_its_rivals_had_the_same_grid_and_use_its_best_point() -> None:
    rows = recorded("saers-search")
    assert set(rows["method"]) == set(SETTINGS)
    for method, own in rows.groupby("method"):
        tried = [{k: v for k, v in each.items() if k != "d"} for each in own["settings"]]
        assert tried == list(points(GRID))
        assert SETTINGS[str(method)] == tried[int(own["value"].to_numpy().argmax())]
