"""The search behind RecoNet's Table 1: fair, repeatable, and the table uses what it found."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pandas as pd
import pytest
from machine import ROOT

from explainrec_lab.reproduce.reconet import TABLE
from explainrec_lab.reproduce.search import HOUSEHOLDS, MOVIELENS, TRIALS, drawn


@pytest.fixture(scope="module")
def recorded() -> pd.DataFrame:
    path = ROOT / "book/reference/results/reconet-search.json"
    return pd.DataFrame(json.loads(path.read_text(encoding="utf-8"))["results"])


@pytest.mark.parametrize("spaces", [MOVIELENS, HOUSEHOLDS], ids=["films", "households"])
def test_draws_stay_between_their_ends_and_are_repeatable(spaces: dict[str, Any]) -> None:
    for method, (known, space) in spaces.items():
        assert drawn(method, known, space, 0) == known
        for trial in range(1, 6):
            found = drawn(method, known, space, trial)
            assert found == drawn(method, known, space, trial)
            for name, (low, high) in space.items():
                assert low * 0.995 <= getattr(found, name) <= high * 1.005
                assert type(getattr(found, name)) is type(getattr(known, name))


def test_every_method_had_the_same_number_of_trials(recorded: pd.DataFrame) -> None:
    assert set(recorded["method"]) == set(MOVIELENS)
    assert set(recorded.groupby("method").size()) == {TRIALS}
    for method, trials in recorded.groupby("method"):
        for settings in trials["settings"]:
            known, space = MOVIELENS[str(method)]
            assert asdict(drawn(str(method), known, space, settings["trial"])) == {
                name: value for name, value in settings.items() if name != "trial"
            }


def test_the_table_uses_the_best_trial_of_the_search(recorded: pd.DataFrame) -> None:
    best = recorded.loc[recorded.groupby("method")["value"].idxmax()].set_index("method")
    for method, tuned in TABLE.items():
        if method == "popularity":  # nothing to tune
            continue
        searched = method if method in best.index else method.removesuffix(", attributes")
        settings = dict(best.loc[searched, "settings"])
        settings.pop("trial")
        assert asdict(tuned) == settings
