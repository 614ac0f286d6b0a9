"""Settings: the environment chooses, and a wrong choice is named."""

from __future__ import annotations

import importlib

import pytest
import torch

settings = importlib.import_module("explainrec_lab.settings")


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("EXPLAINREC_SETTINGS", raising=False)


def test_without_a_choice_the_settings_are_those_of_a_laptop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert settings._current() == "cpu"
    monkeypatch.setenv("EXPLAINREC_SETTINGS", "")
    assert settings._current() == "cpu"


def test_without_a_choice_a_machine_with_a_gpu_reads_as_others_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert settings._current() == "cpu"  # the pages are about these networks


@pytest.mark.parametrize("name", settings.NAMES)
@pytest.mark.parametrize("chapter", settings.SIZES)
def test_each_chapter_has_each_size(
    chapter: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLAINREC_SETTINGS", name)
    assert settings.settings(chapter).name == name


def test_unknown_settings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLAINREC_SETTINGS", "laptop")
    for ask in (settings._current, settings.fabric, lambda: settings.settings("reconet")):
        with pytest.raises(ValueError, match="EXPLAINREC_SETTINGS: 'laptop'; choose from ci, cpu"):
            ask()


def test_an_unknown_chapter_is_named() -> None:
    with pytest.raises(ValueError, match=r"chapter: 'reco'; choose from .*reconet"):
        settings.settings("reco")


def test_gpu_settings_without_a_gpu_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLAINREC_SETTINGS", "gpu")
    with pytest.raises(ValueError, match="EXPLAINREC_SETTINGS is 'gpu', but torch finds no GPU"):
        settings.fabric()


def test_cpu_settings_train_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLAINREC_SETTINGS", "cpu")
    fabric = settings.fabric()
    assert fabric.device.type == "cpu"
    assert fabric.world_size == 1


def test_a_number_of_epochs_of_one_s_own_is_taken_as_it_is() -> None:
    chapter = settings.SIZES["reconet"]["ci"]
    assert chapter.optimisation().epochs == chapter.epochs
    assert chapter.optimisation(3).epochs == 3
    with pytest.raises(ValueError, match="epochs: 0 must be at least 1"):
        chapter.optimisation(0)
