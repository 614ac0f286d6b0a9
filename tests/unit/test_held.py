"""Pictures of a catalogue that is too large for the memory are read as they are asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest

backbone = import_module("explainrec_lab.vision.backbone")  # a function has its name, too

PICTURES = np.random.default_rng(0).integers(0, 256, (6, 3, 4, 4), dtype=np.uint8)


class Counted:
    """Pictures that know how many were asked for at a time."""

    def __init__(self) -> None:
        self.most = 0

    def __len__(self) -> int:
        return len(PICTURES)

    def __getitem__(self, items: Any) -> Any:
        found = PICTURES[items]
        self.most = max(self.most, len(found))
        return found


@pytest.mark.parametrize(("most", "read"), [(6 * 48, 6), (6 * 48 - 1, 1)])
def test_all_are_read_only_if_they_fit(
    most: int, read: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbone, "MOST_HELD", most)
    images = Counted()
    found = backbone.held(images)
    assert images.most == read
    np.testing.assert_array_equal(found[[4, 1]], PICTURES[[4, 1]])


def test_no_pictures_are_held_like_any() -> None:
    assert backbone.held(PICTURES[:0]).__len__() == 0
