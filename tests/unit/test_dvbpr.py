"""The pickle of Kang et al. as data: read exactly, lazily and small; planted code never runs."""

from __future__ import annotations

import os
import pickle
import pickletools
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_files import jpeg, numpy_file, six_parts

from explainrec_lab import data
from explainrec_lab.data import DataNotFound, dvbpr

USERS = {0: [0, 1, 2, 3, 4], 3: [4, 3, 5, 2, 1, 0], 7: [5, 4, 3]}
PHOTOS = [jpeg(20 * n + 20) for n in range(6)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder."""
    monkeypatch.setenv("EXPLAINREC_DATA", str(tmp_path))
    return tmp_path


def load(**how: int) -> data.Dataset:
    return data.load("amazon-fashion", **({"size": 16} | how))


def written(parts: Any, protocol: int = 0) -> Path:
    return numpy_file(dvbpr.path("amazon-fashion"), parts, protocol)


@pytest.mark.parametrize("protocol", [0, 3, 4], ids=["Python 2", "3", "4"])
def test_records_photos_and_categories_are_read_whatever_wrote_the_pickle(
    folder: Path, protocol: int
) -> None:
    written(six_parts(PHOTOS, USERS), protocol)
    found = load()
    events = found.interactions
    assert events.users.original_id.tolist() == [0, 3]  # 7 has three records
    assert [sorted(events.history(u)) for u in (0, 1)] == [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5]]
    assert "3 users, 6 items, 14 records" in repr(found) and "45,184 users" in repr(found)
    items = found.catalogue.items
    assert items.original_id.tolist() == list(range(6))
    assert items.title.tolist() == [f"B{n:09d}" for n in range(6)]
    assert items.category.tolist() == [f"category {n}" for n in range(6)]
    pictures = found.catalogue.images
    assert pictures is not None
    shades = [int(pictures[n][:, 8, 8].mean()) for n in range(6)]
    np.testing.assert_allclose(shades, [20 * n + 20 for n in range(6)], atol=3)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(pictures))[[2]], pictures[2:3])


def test_by_time_one_left_out_is_the_file_s_own_split(folder: Path) -> None:
    written(six_parts(PHOTOS, USERS))
    parts = data.leave_one_out(load(min_purchases=3).interactions, by="time")
    assert parts.test.item.tolist() == [4, 0, 3]
    assert parts.development.item.tolist() == [3, 1, 4]
    assert parts.train.history(1).tolist() == [2, 3, 4, 5]


def test_grey_photos_get_three_channels_and_broken_ones_are_counted(folder: Path) -> None:
    photos = [jpeg(100, "L"), jpeg()[:-300], b"", *PHOTOS[3:]]
    written(six_parts(photos, USERS))
    pictures = load().catalogue.images
    assert isinstance(pictures, data.Photos)
    with pytest.warns(UserWarning, match="2 of 6 pictures cannot be read"):
        shown = pictures[:]
    assert shown.shape == (6, 3, 16, 16)
    assert abs(int(shown[0, :, 8, 8].mean()) - 100) < 3 and (shown[2] == 255).all()
    assert set(pictures.unreadable) == {1, 2}


def test_keys_are_looked_for_and_a_missing_one_is_named_with_those_there_are(folder: Path) -> None:
    parts = six_parts(PHOTOS, USERS)
    del parts[3][5]  # the order and the numbers of items are the file's
    parts[3] = {9: parts[3].pop(2), **parts[3]}
    for part in parts[:3]:
        for own in part.values():
            own[:] = [each | {b"productid": {2: 9, 5: 4}.get(n, n)} for each in own
                      for n in [each[b"productid"]]]  # fmt: skip
    for each in parts[3].values():
        del each[b"asin"], each[b"c"]
    written(parts)
    items = load().catalogue.items
    assert items.original_id.tolist() == [0, 1, 3, 4, 9]
    assert items.title.tolist() == ["0", "1", "3", "4", "9"]
    assert set(items.category) == {"-"}
    parts[0][0] = [{b"asin": b"B1"}]
    written(parts)
    with pytest.raises(ValueError, match="a record has no productid, but asin"):
        load()
    parts = six_parts(PHOTOS, USERS)
    parts[3][1] = {b"asin": b"B1"}
    written(parts)
    with pytest.raises(ValueError, match="an item has no imgs, but asin"):
        load()


def test_numbers_of_numpy_and_other_dictionaries_are_data_too(folder: Path) -> None:
    from collections import OrderedDict, defaultdict

    parts = six_parts(PHOTOS, USERS)
    parts[0] = defaultdict(list, {np.int64(u): own for u, own in parts[0].items()})
    parts[3] = OrderedDict((i, each | {b"c": [0, 0, 1]}) for i, each in parts[3].items())
    written(parts, 4)
    found = load(min_purchases=1)
    assert found.interactions.n_users == 3
    assert set(found.catalogue.items.category) == {"category 2"}


def test_a_record_of_no_item_is_named(folder: Path) -> None:
    written(six_parts(PHOTOS[:5], USERS))
    with pytest.raises(ValueError, match="events: item 5 is not in the table of items"):
        load()


# ------------------------------------------------------------------------- planted code


class Planted:
    """Runs a command when Python unpickles it."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", [0, 3, 4])
def test_code_in_the_pickle_is_refused_by_name_and_does_not_run(
    folder: Path, protocol: int
) -> None:
    parts = six_parts(PHOTOS, USERS)
    parts[3][2][b"title"] = Planted(f"touch {folder / 'ran'}")
    file = written(parts, protocol)
    with pytest.raises(ValueError, match=r"(posix|nt)\.system is not data"):
        load()
    assert not (folder / "ran").exists()
    np.load(file, allow_pickle=True, encoding="bytes")  # what the reader is for
    assert (folder / "ran").exists()


def assembled(*steps: bytes) -> bytes:
    return b"\x80\x02" + b"".join(steps) + b"."


PICKLES = {
    "an instance": (assembled(b"(iposix\nsystem\n"), "INST is not data"),
    "an object": (assembled(b"(cposix\nsystem\no"), "OBJ is not data"),
    "a new object": (assembled(b"cnumpy\nndarray\n)\x81"), "NEWOBJ is not data"),
    "a persistent id": (assembled(b"Pme\n"), "PERSID is not data"),
    "an extension": (assembled(b"\x82\x01"), "EXT1 is not data"),
    "a name on the stack": (assembled(b"U\x05posixU\x06system\x93"), "posix.system is not data"),
    "a part of a known name": (assembled(b"cnumpy\nndarray.tofile\n"), "ndarray.tofile is not"),
    "a line without an end": (assembled(b"c" + b"a" * 10**6), "aaa.* is not data"),
    "a huge number": (assembled(b"\x8b\xff\xff\xff\x7f"), "LONG4 is not data"),
    "no opcode": (assembled(b"\xff"), "the byte .* is not data"),
    "a word called": (assembled(b"U\x03abcU\x03def\x86)R"), "cannot be read"),
    "state for a word": (assembled(b"U\x03abc}b"), "cannot be read"),
    "nothing": (b"", "it is cut off"),
    "an empty stack": (assembled(b"u"), "cannot be read"),
}


@pytest.mark.parametrize("name", PICKLES)
def test_what_is_no_data_is_refused(folder: Path, name: str) -> None:
    pickled, told = PICKLES[name]
    file = written([None] * 6)
    start = file.read_bytes().index(b"\n") + 1
    file.write_bytes(file.read_bytes()[:start] + pickled)
    with pytest.raises(ValueError, match=told) as caught:
        load()
    assert "fashion" in str(caught.value) and len(str(caught.value)) < 600


def test_only_steps_that_build_data_are_let_through() -> None:
    let = {pickletools.code2op[chr(code)].name for code in dvbpr._Data.dispatch}
    calls = {"REDUCE", "BUILD", "GLOBAL", "STACK_GLOBAL"}  # ours; the last two only look names up
    assert not let & {"INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "PERSID", "BINPERSID", "EXT1", "EXT4"}
    base = pickle._Unpickler.dispatch  # type: ignore[attr-defined]
    for code, act in dvbpr._Data.dispatch.items():
        if pickletools.code2op[chr(code)].name in calls - {"GLOBAL", "STACK_GLOBAL"}:
            assert act is not base[code]


# ------------------------------------------------------------------------- damaged, or another


def test_a_file_that_was_cut_off_anywhere_is_told(folder: Path) -> None:
    file = written(six_parts(PHOTOS, USERS))
    whole = file.read_bytes()
    for length in np.linspace(1, len(whole) - 1, 60).astype(int):
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=f"cannot be read .*it has {length} bytes"):
            load()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"<html>404 Not Found</html>", "magic string"),
        (b"PK\x03\x04 a zip archive", "magic string"),
        (None, "it holds float64 of the shape"),
    ],
    ids=["html", "zip", "numbers"],
)
def test_another_file_is_told(folder: Path, content: bytes | None, told: str) -> None:
    file = written([None] * 6)
    if content is None:
        np.save(file, np.zeros((6, 2)))
    else:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=told):
        load()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(ValueError, match="magic string"):
        load()


def test_six_other_parts_are_told(folder: Path) -> None:
    written([1, 2, 3, 4, 5, 6])
    with pytest.raises(ValueError, match="cannot be read"):
        load()


def test_a_missing_file_and_a_bar_that_is_too_high_are_told(folder: Path) -> None:
    with pytest.raises(DataNotFound, match=r"download AmazonFashion6ImgPartitioned.npy \(3300 MB"):
        load()
    with pytest.raises(DataNotFound, match="TradesyImgPartitioned"):
        data.load("tradesy")
    written(six_parts(PHOTOS, USERS))
    with pytest.raises(ValueError, match="min_purchases: 7 leaves no user; the most is 6"):
        load(min_purchases=7)
