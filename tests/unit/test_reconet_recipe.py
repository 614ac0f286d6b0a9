"""The chapter's recipe: one training for all its pages."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toys import shop

from explainrec_lab.reconet import FeatureSpace, trained
from explainrec_lab.settings import SIZES


def test_the_chapters_model_is_trained_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLAINREC_CACHE", str(tmp_path))
    dataset = shop()
    space = FeatureSpace.of(dataset)
    settings = replace(SIZES["reconet"]["ci"], d=4, epochs=2)
    first = trained(dataset.interactions, space, settings)
    monkeypatch.setattr(sys.modules[trained.__module__], "train", None)  # calling it would fail
    again = trained(dataset.interactions, space, settings)
    assert torch.equal(first.W, again.W)
    assert torch.equal(first.Q, again.Q)
    with pytest.raises(TypeError):  # fewer purchases: another model
        trained(dataset.interactions.select(range(3)), space, settings)
