"""The gallery's file: few handles, a full disk, a folder that may only be read, any flipped bit."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from machine import NIGHTLY, lacking

from explainrec_boutique import gallery as gallery_module
from explainrec_boutique.design import sample
from explainrec_boutique.gallery import Gallery, _draw_row
from explainrec_boutique.render import render

DESIGNS = [sample(0, item) for item in range(8)]


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.stack([render(design, 32).image for design in DESIGNS])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery_module, "BLOCK", 4)


def test_a_hundred_thousand_items_are_one_open_file(tmp_path: Path) -> None:
    if not Path("/proc/self/fd").is_dir():
        lacking("no /proc: open files cannot be counted")
    many = Gallery([DESIGNS[0]] * 100_000, 32, tmp_path, processes=1)
    many[0]
    row = _draw_row(DESIGNS[0], 32).tobytes()
    places = range(0, 100_000, 97)
    with many.path.open("r+b") as file:  # as if all of these had been drawn
        for place in places:
            file.seek(place * len(row))
            file.write(row)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for place in places:
        many[place]
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


def flips(size: int) -> Iterator[tuple[int, int]]:
    rng = np.random.default_rng(0)
    n = 100 if NIGHTLY else 20
    return zip(rng.integers(0, size, n).tolist(), rng.integers(0, 8, n).tolist(), strict=True)


def test_any_flipped_bit_is_told_and_drawn_again(tmp_path: Path, pictures: np.ndarray) -> None:
    Gallery(DESIGNS, 32, tmp_path, 1)[:]
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for place, bit in flips(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << bit
        file.write_bytes(changed)
        with pytest.warns(UserWarning, match="damaged pictures of items"):
            np.testing.assert_array_equal(Gallery(DESIGNS, 32, tmp_path, 1)[:], pictures)
        assert file.read_bytes() == whole


@pytest.mark.parametrize("drawn", [0, 3], ids=["with nothing in it", "that lacks some"])
def test_in_a_folder_that_may_only_be_read_it_draws_for_itself(
    tmp_path: Path, pictures: np.ndarray, monkeypatch: pytest.MonkeyPatch, drawn: int
) -> None:
    if drawn:
        Gallery(DESIGNS, 32, tmp_path, 1)[:drawn]
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    original = Path.open

    def opened(path: Path, mode: str = "r", *how: Any, **more: Any) -> Any:
        if path.is_relative_to(tmp_path) and mode != "rb":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return original(path, mode, *how, **more)

    monkeypatch.setattr(Path, "open", opened)
    monkeypatch.setattr(os, "access", lambda path, _: not Path(path).is_relative_to(tmp_path))
    mine = Gallery(DESIGNS, 32, tmp_path, 1)
    with pytest.warns(UserWarning, match=f"no pictures can be kept in {re.escape(str(tmp_path))}"):
        np.testing.assert_array_equal(mine[:], pictures)
    assert mine.silhouette(5).any()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    temporary = mine.path.parent
    assert temporary.is_dir()
    del mine
    assert not temporary.exists()


@pytest.mark.parametrize("short", [False, True], ids=["an error", "a part of the row"])
def test_a_full_disk_is_told_with_its_path_and_nothing_half_is_shown(
    tmp_path: Path, pictures: np.ndarray, monkeypatch: pytest.MonkeyPatch, short: bool
) -> None:
    """A write to a full disk fails, or writes less than it was given and says nothing."""
    original = Path.open

    class Full:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def seek(self, place: int) -> None:
            self.file.seek(place)

        def write(self, row: bytes) -> int:
            if short:
                return int(self.file.write(row[: len(row) // 2]))
            raise OSError(errno.ENOSPC, "No space left on device")

    def opened(path: Path, mode: str = "r", **how: Any) -> Any:
        file = original(path, mode, **how)
        return Full(file) if mode == "r+b" else file

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", opened)
        patch.setattr(gallery_module.time, "sleep", lambda _: None)
        drawn = Gallery(DESIGNS, 32, tmp_path, 1)
        for _ in range(2):
            with pytest.raises(OSError, match=rf"{re.escape(str(drawn.path))}: no room for"):
                drawn[:]
    np.testing.assert_array_equal(drawn[:], pictures)


def test_a_pipe_in_its_place_does_not_hang(tmp_path: Path, pictures: np.ndarray) -> None:
    drawn = Gallery(DESIGNS, 32, tmp_path, 1)
    os.mkfifo(drawn.path)
    with pytest.warns(UserWarning, match="no pictures can be kept in"):
        np.testing.assert_array_equal(drawn[:], pictures)
