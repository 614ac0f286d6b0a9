"""A file appears under its name only when it is whole, and the folder is the one you named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from explainrec_lab.data import DataNotFound, store
from explainrec_lab.data.store import cache_dir, content_key, data_dir, one_at_a_time, whole_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_whole_file_appears_under_its_name_in_a_folder_made_for_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with whole_file(path) as part:
        part.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert names(path.parent) == ["file.txt"]


def test_a_failed_block_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="half-way"), whole_file(path) as part:
        part.write_text("half")
        raise RuntimeError("half-way")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


KILLED = """
import runpy, sys, time
from pathlib import Path
store = runpy.run_path(sys.argv[2])  # without the package around it, which takes seconds
with store["whole_file"](Path(sys.argv[1])) as part:
    part.write_text("half")
    print("half", flush=True)
    time.sleep(60)
"""


@pytest.mark.timeout(60)
def test_a_killed_process_leaves_the_old_file_intact(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, path, store.__file__], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.read_text() == "old"
    (left,) = [name for name in names(tmp_path) if name != "file.txt"]
    assert left.endswith(".part")
    with whole_file(path) as part:  # a fresh part may be another process's: it stays
        part.write_text("new")
    assert path.read_text() == "new"
    assert left in names(tmp_path)


def test_parts_older_than_a_day_are_swept_away(tmp_path: Path) -> None:
    stale = tmp_path / ".file.txt.x1.part"
    stale.write_text("half")
    two_days_ago = time.time() - 2 * 86_400
    os.utime(stale, (two_days_ago, two_days_ago))
    with whole_file(tmp_path / "file.txt") as part:
        part.write_text("new")
    assert names(tmp_path) == ["file.txt"]


def test_what_two_ask_for_is_made_by_one(tmp_path: Path) -> None:
    """Eight threads want the same file; whoever comes first makes it, the rest find it."""
    target, made = tmp_path / "made.txt", []

    def ask(_: int) -> str:
        with one_at_a_time(target):
            if not target.exists():
                made.append(1)
                time.sleep(0.05)
                target.write_text("once")
        return target.read_text()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {"once"}
    assert len(made) == 1


def test_the_folders_are_the_ones_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLAINREC_CACHE", str(tmp_path))
    monkeypatch.delenv("EXPLAINREC_DATA", raising=False)
    assert cache_dir() == tmp_path
    assert data_dir() == tmp_path / "data"
    monkeypatch.setenv("EXPLAINREC_DATA", str(tmp_path))
    assert data_dir() == tmp_path


def test_a_data_folder_that_is_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLAINREC_DATA", str(tmp_path / "typo"))
    with pytest.raises(DataNotFound, match=r"EXPLAINREC_DATA=.*typo' is not a folder: create it"):
        data_dir()


def test_a_key_changes_with_whatever_was_asked() -> None:
    assert content_key(a=1, b=2) == content_key(b=2, a=1)
    assert len({content_key(a=1), content_key(a=2), content_key(b=1), content_key(a="1")}) == 4
