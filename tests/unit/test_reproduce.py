"""The room of experiments: its modules keep their names, and a record says how it was trained."""

from __future__ import annotations

import json
from importlib import import_module
from pkgutil import iter_modules

import experiments as reproduce
from experiments import reconet_removal
from experiments.reconet import RECIPES


def test_no_experiment_hides_the_module_of_its_name() -> None:
    for found in iter_modules(reproduce.__path__):
        module = import_module(f"{reproduce.__name__}.{found.name}")
        assert getattr(reproduce, found.name) is module


def test_an_experiment_is_called_as_its_function() -> None:
    for name, experiment in reproduce.EXPERIMENTS.items():
        assert experiment.__name__ == name.replace("-", "_")


def test_the_rows_of_a_removal_tell_the_settings_of_their_model() -> None:
    for method in ("RecoNet", "RecoNet, attributes"):
        settings = reconet_removal.settings_of(method)
        assert (settings["d"], settings["epochs"]) == (
            RECIPES[method][0],
            RECIPES[method][2].epochs,
        )
        assert settings["hidden"] is None
        assert json.loads(json.dumps(settings)) == settings
    deep = reconet_removal.settings_of(reconet_removal.LAYER)
    assert deep == reconet_removal.settings_of("RecoNet") | {"hidden": RECIPES["RecoNet"][0]}
