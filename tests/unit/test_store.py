"""A file appears under its name only when it is whole, and the folder is the one you named."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from machine import lacking

from explainrec_lab.data import DataNotFound, store
from explainrec_lab.data.store import (
    cache_dir,
    content_key,
    data_dir,
    kept,
    whole_file,
)


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
    made: list[int] = []

    def make() -> dict[str, np.ndarray]:
        made.append(1)
        time.sleep(0.05)
        return {"once": np.array(len(made))}

    def ask(_: int) -> int:
        return int(kept(tmp_path / "made.kept", make)["once"])

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {1}
    assert len(made) == 1


# --------------------------------------------------------------------------- what is kept


ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array([True]),
    "c": np.array(2),
}


def once(path: Path) -> dict[str, np.ndarray]:
    """What is kept there, or ARRAYS if it has to be made."""
    return kept(path, lambda: ARRAYS)


def test_what_is_kept_comes_back_and_is_made_once(tmp_path: Path) -> None:
    made = once(tmp_path / "x.kept")
    again = kept(tmp_path / "x.kept", lambda: pytest.fail("made again"))
    for found in (made, again):
        assert found.keys() == ARRAYS.keys()
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(found[name], array)
            assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)


def test_any_flipped_bit_is_told_and_made_again(tmp_path: Path) -> None:
    path = tmp_path / "x.kept"
    once(path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.warns(UserWarning, match=re.escape(f"{path} is damaged: it is made again")):
            once(path)
        assert path.read_bytes() == whole


@pytest.mark.parametrize("content", [b"", b"x", b"<html>" * 100])
def test_a_file_of_something_else_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.kept"
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="is damaged"):
        assert once(path).keys() == ARRAYS.keys()


def test_a_file_under_another_name_is_not_taken_for_it(tmp_path: Path) -> None:
    once(tmp_path / "nine-epochs.kept")
    (tmp_path / "nine-epochs.kept").rename(tmp_path / "three-epochs.kept")
    with pytest.warns(UserWarning, match=r"three-epochs\.kept is damaged"):
        once(tmp_path / "three-epochs.kept")


def test_a_pipe_or_a_folder_in_its_place_does_not_hang_or_stop_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.kept")
    (tmp_path / "y.kept" / "z").mkdir(parents=True)
    with pytest.warns(UserWarning, match=r"x\.kept is damaged"):
        assert once(tmp_path / "x.kept").keys() == ARRAYS.keys()
    with (
        pytest.warns(UserWarning, match=r"y\.kept is damaged"),
        pytest.warns(UserWarning, match=r"y\.kept could not be kept"),
    ):
        assert once(tmp_path / "y.kept").keys() == ARRAYS.keys()


def test_a_full_disk_costs_a_warning_that_names_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        path = re.escape(str(tmp_path / "x.kept"))
        told = rf"{path} could not be kept \(No space left.*EXPLAINREC_CACHE"
        with pytest.warns(UserWarning, match=told):
            assert once(tmp_path / "x.kept").keys() == ARRAYS.keys()
    assert not list(tmp_path.glob("*.kept")) and not list(tmp_path.glob(".*.part"))
    once(tmp_path / "x.kept")


READER = """
import sys, runpy
from pathlib import Path
import numpy as np
store = runpy.run_path(sys.argv[1])
for path in sys.argv[2:]:
    print(*sorted(store["kept"](Path(path), lambda: {"made": np.ones(1)})))
"""


def read_only(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    """`kept` in a process that may only read `folder`."""
    paths = [str(folder / name) for name in names]
    command = [sys.executable, "-c", READER, store.__file__, *paths]
    if os.geteuid() == 0:  # who may do everything gives that up
        if not shutil.which("setpriv"):
            lacking("no setpriv: root cannot be kept from writing")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner", *command]
    for each in [folder, *folder.rglob("*")]:
        if os.geteuid() == 0:
            shutil.chown(each, "nobody")
        each.chmod(0o555 if each.is_dir() else 0o444)
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    for each in [folder, *folder.rglob("*")]:
        each.chmod(0o755)
    return done


def test_a_cache_that_may_only_be_read_is_read_and_what_it_lacks_is_made(tmp_path: Path) -> None:
    """With and without a lock that somebody left there."""
    folder = tmp_path / "cache"
    once(folder / "x.kept"), once(folder / "y.kept")
    (folder / ".y.kept.lock").touch()
    (folder / ".z.kept.lock").touch()
    done = read_only(folder, "x.kept", "y.kept", "z.kept", "new/folder/z.kept")
    assert done.stdout.splitlines() == ["a b c", "a b c", "made", "made"], done.stderr
    for name in ("cache/z.kept", "new/folder/z.kept"):
        assert f"{name} could not be kept (Permission denied)" in done.stderr


# --------------------------------------------------------------------------- the folders


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


def test_who_has_no_home_gets_a_folder_that_is_not_here(tmp_path: Path) -> None:
    """A container that runs under a number without a name: no HOME, no entry in passwd."""
    program = """
import os, runpy, sys
cache_dir = runpy.run_path(sys.argv[1])["cache_dir"]
if os.geteuid() == 0:
    os.setuid(54321)
print(cache_dir())
"""
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "EXPLAINREC_CACHE")}
    command = [sys.executable, "-c", program, store.__file__]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, check=True, cwd=tmp_path, env=environment
    )
    assert Path(done.stdout.decode().strip()).is_absolute()
    assert not list(tmp_path.iterdir())


def test_a_folder_named_from_the_home_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLAINREC_CACHE", "~/course")
    assert cache_dir() == Path.home() / "course"
