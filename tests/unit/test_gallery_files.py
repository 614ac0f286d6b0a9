"""The gallery's file: few handles, a full disk, a folder that may only be read, any flipped bit."""

from __future__ import annotations

import errno
import io
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from machine import NIGHTLY, lacking

from explainrec_boutique.design import sample
from explainrec_boutique.gallery import Gallery, _draw_row
from explainrec_boutique.render import render

DESIGNS = [sample(0, item) for item in range(8)]


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.stack([render(design, 32).image for design in DESIGNS])


def test_a_hundred_thousand_items_are_one_open_file(tmp_path: Path) -> None:
    if not Path("/proc/self/fd").is_dir():
        lacking("no /proc: open files cannot be counted")
    many = Gallery([DESIGNS[0]] * 100_000, 32, tmp_path)
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
    Gallery(DESIGNS, 32, tmp_path)[:]
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for place, bit in flips(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << bit
        file.write_bytes(changed)
        with pytest.warns(UserWarning, match="damaged pictures of items"):
            np.testing.assert_array_equal(Gallery(DESIGNS, 32, tmp_path)[:], pictures)
        assert file.read_bytes() == whole


@pytest.mark.parametrize("drawn", [0, 3], ids=["with nothing in it", "that lacks some"])
def test_in_a_folder_that_may_only_be_read_it_draws_for_itself(
    tmp_path: Path, pictures: np.ndarray, monkeypatch: pytest.MonkeyPatch, drawn: int
) -> None:
    if drawn:
        Gallery(DESIGNS, 32, tmp_path)[:drawn]
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    original = Path.open

    def opened(path: Path, mode: str = "r", *how: Any, **more: Any) -> Any:
        if path.is_relative_to(tmp_path) and mode != "rb":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return original(path, mode, *how, **more)

    monkeypatch.setattr(Path, "open", opened)
    monkeypatch.setattr(Path, "touch", lambda path: opened(path, "ab").close())
    mine = Gallery(DESIGNS, 32, tmp_path)
    with pytest.warns(UserWarning, match=f"no pictures can be kept in {re.escape(str(tmp_path))}"):
        np.testing.assert_array_equal(mine[:], pictures)
    monkeypatch.setattr("explainrec_boutique.gallery.render", None)  # what was drawn is held
    np.testing.assert_array_equal(mine[::-1], pictures[::-1])
    assert mine.silhouette(5).any()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_full_disk_is_told_with_its_path_and_nothing_half_is_kept(
    tmp_path: Path, pictures: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write to a full disk fails after a part of what it was given."""
    original = Path.open

    class Full(io.FileIO):
        def write(self, row: Any) -> int:
            super().write(row[: len(row) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")

    def opened(path: Path, mode: str = "r", **how: Any) -> Any:
        return Full(path, mode) if mode == "r+b" else original(path, mode, **how)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", opened)
        drawn = Gallery(DESIGNS, 32, tmp_path)
        told = rf"no pictures can be kept in {re.escape(str(drawn.path))}: .*No space left"
        with pytest.warns(UserWarning, match=told) as caught:
            np.testing.assert_array_equal(drawn[:], pictures)
        np.testing.assert_array_equal(drawn[:], pictures)
        assert len(caught) == 1
    assert drawn.path.stat().st_size > 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(Gallery(DESIGNS, 32, tmp_path)[:], pictures)


def test_who_looks_while_another_writes_sees_no_damage(
    tmp_path: Path, pictures: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two notebooks draw the same items: one looks after each write of the other."""
    other = Gallery(DESIGNS, 32, tmp_path)
    original = Path.open

    class Watched(io.FileIO):
        def write(self, row: Any) -> int:
            done = super().write(row)
            with monkeypatch.context() as patch:
                patch.setattr(Path, "open", original)
                np.testing.assert_array_equal(Gallery(DESIGNS, 32, tmp_path)[0], pictures[0])
            return done

    monkeypatch.setattr(
        Path,
        "open",
        lambda path, mode="r", **how: (
            Watched(path, mode) if mode == "r+b" else original(path, mode, **how)
        ),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(other[0], pictures[0])


def test_a_pipe_in_its_place_does_not_hang(tmp_path: Path, pictures: np.ndarray) -> None:
    drawn = Gallery(DESIGNS, 32, tmp_path)
    os.mkfifo(drawn.path)
    with pytest.warns(UserWarning, match="no pictures can be kept in"):
        np.testing.assert_array_equal(drawn[:], pictures)
