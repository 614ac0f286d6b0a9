"""Profiles: the environment chooses, and a wrong choice is named."""

from __future__ import annotations

import pytest
import torch

from explainrec_lab import profiles


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("EXPLAINREC_PROFILE", raising=False)


def test_without_a_choice_a_machine_without_gpu_reads_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert profiles.current() == "cpu"
    monkeypatch.setenv("EXPLAINREC_PROFILE", "")
    assert profiles.current() == "cpu"


def test_without_a_choice_a_machine_with_a_gpu_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert profiles.current() == "gpu"


@pytest.mark.parametrize("name", profiles.NAMES)
@pytest.mark.parametrize("chapter", profiles.PROFILES)
def test_each_chapter_has_each_profile(
    chapter: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLAINREC_PROFILE", name)
    assert profiles.profile(chapter).name == name


def test_an_unknown_profile_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLAINREC_PROFILE", "laptop")
    for ask in (profiles.current, profiles.fabric, lambda: profiles.profile("reconet")):
        with pytest.raises(ValueError, match="EXPLAINREC_PROFILE: 'laptop'; choose from ci, cpu"):
            ask()


def test_an_unknown_chapter_is_named() -> None:
    with pytest.raises(ValueError, match=r"chapter: 'reco'; choose from .*reconet"):
        profiles.profile("reco")


def test_the_gpu_profile_without_a_gpu_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLAINREC_PROFILE", "gpu")
    with pytest.raises(ValueError, match="EXPLAINREC_PROFILE is 'gpu', but torch finds no GPU"):
        profiles.fabric()


def test_the_cpu_profile_trains_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLAINREC_PROFILE", "cpu")
    fabric = profiles.fabric()
    assert fabric.device.type == "cpu"
    assert fabric.world_size == 1


def test_a_number_of_epochs_of_one_s_own_is_taken_as_it_is() -> None:
    chapter = profiles.PROFILES["reconet"]["ci"]
    assert chapter.optimisation().epochs == chapter.epochs
    assert chapter.optimisation(3).epochs == 3
    with pytest.raises(ValueError, match="epochs: 0 must be at least 1"):
        chapter.optimisation(0)
