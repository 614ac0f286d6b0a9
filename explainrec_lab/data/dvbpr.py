"""Amazon Fashion with its photos, and its siblings: one NumPy file each, which holds a pickle.

`numpy.load` would run whatever stands in that pickle. Here it is data: of Python's own reader
`_Data` keeps the steps that build lists, dictionaries, words and numbers. Nothing is imported or
called; a few names are recognised (arrays, numbers, dictionaries) and all others refused. Photos
stay in the file, as offset and length. Of the rest only numbers are kept, a row a record and a row
an item, so that memory does not grow with the photos. A first pass refuses what is no data, and
looks which parts are asked for again later: the others need not be remembered.

Source: Kang et al. 2017; its code reads six parts: the users' records for training, validation and
test, the items, and two counts. It is the third paper's data (SAERS, §4.1) before a filter that the
paper does not describe. Names of files, and of what a pickle may say, stand in `dvbpr.toml`.
"""

import pickle
import pickletools
import re
from array import array
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, cast

import numpy as np
import pandas as pd
from numpy import ndarray

from explainrec_lab.data.contracts import Dataset, require
from explainrec_lab.data.frames import from_frames, with_enough
from explainrec_lab.data.photos import PhotosInFile
from explainrec_lab.data.store import DataNotFound, data_dir, table_beside

DVBPR = table_beside(__file__)
# From so many bytes on, a text is no word: it stays in the file.
LONG = 256


def path(name: str) -> Path:
    """Where the file of a data set belongs."""
    return data_dir() / name / DVBPR["files"][name]["file"]


def load(name: str, size: int = 224, min_purchases: int = 5) -> Dataset:
    """Users x products with photos; `time` is 0, 1, 2 for the file's training, validation and test.

    So `leave_one_out(interactions, by="time")` is the file's own split. A product is known by its
    number; its title is its `asin`, where the file has one, and its category a number: which is
    which stands nowhere.

    Args:
        size: pixels of a picture's side.
        min_purchases: leave out users with fewer records (SAERS, §4.1).

    Raises:
        DataNotFound: the file is not here; the message is the steps that bring it.
        ValueError: it is cut off, another file, or holds more than data; a record is of no item;
            or nobody has so many records.
    """
    file, about = path(name), DVBPR["files"][name]
    get = f"download {about['file']} ({about['megabytes']} MB) from {DVBPR['page']}"
    if not file.is_file():
        raise DataNotFound(f"{name}: {get} and put it, as it is, at {file}")
    try:
        records, items = _tables(file)
    except Exception as error:  # a damaged pickle breaks in any way
        told = f"cannot be read ({error or 'it is cut off'}; it has {file.stat().st_size} bytes)"
        raise ValueError(f"{file} {told}; {get} again") from error
    told = f"the file has {records['user'].nunique():,} users, {len(items):,} items"
    told = f"{told}, {len(records):,} records; users with fewer than {min_purchases} are out"
    photos = PhotosInFile(file, items[["offset", "length"]].to_numpy(), size)
    return from_frames(
        with_enough(records, min_purchases),
        items=items.drop(columns=["offset", "length"]),
        name=name,
        notes=(told, about["note"]),
        images=photos,
    )


# --------------------------------------------------------------------------- what is kept


class _Kept:
    """The records and the items of a file, gathered as they pass by: `tables` counts the parts."""

    def __init__(self) -> None:
        self.tables, self.ids = 0, bytearray()
        self.records, self.items = array("i"), array("q")

    def record(self, table: int, user: Any, found: list[dict[str, Any]]) -> None:
        """What one user took."""
        for each in found:
            require("productid" in each, f"a record has no productid, but {', '.join(each):.99}")
            self.records.extend((table, _number(user), _number(each["productid"])))

    def item(self, number: Any, found: dict[str, Any]) -> None:
        """Where its photo is, the place of the one in `c` (-1 without), and its name."""
        require("imgs" in found, f"an item has no imgs, but {', '.join(found):.99}")
        where = found["imgs"] if isinstance(found["imgs"], tuple) else (0, 0)
        self.items.extend((_number(number), *where, _place_of_one(found.get("c"))))
        self.ids += f"{found.get('asin', number)}".replace("\n", " ").encode() + b"\n"


class _Entries(dict[Any, Any]):
    """A dictionary of the pickle. One that holds users' records, or items, gives them to `_Kept`
    and stays empty: it has only its number among these tables."""

    def __init__(self, kept: _Kept) -> None:
        self.kept, self.table = kept, -1

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, str) or not isinstance(value, list | dict):
            return super().__setitem__(key, value)
        if self.table < 0:
            self.table, self.kept.tables = self.kept.tables, self.kept.tables + 1
        if isinstance(value, list):
            return self.kept.record(self.table, key, value)
        return self.kept.item(key, value)


def _tables(file: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Records (time, user, item), and items with their photos' places."""
    kept = _Kept()
    with file.open("rb") as opened:
        start = _start(opened)
        again = _asked_again(opened)
        opened.seek(start)
        parts = _Data(opened, again, kept).load().state[4]
    table = np.frombuffer(kept.items, np.int64).reshape(-1, 4)
    items = pd.DataFrame(table, columns=["item", "offset", "length", "category"])
    kinds = np.array([*(f"category {n}" for n in range(items["category"].max() + 1)), "-"], object)
    items["category"], items["title"] = kinds[items["category"]], kept.ids.decode().split("\n")[:-1]
    events = np.frombuffer(kept.records, np.int32).reshape(-1, 3)
    records = pd.DataFrame(events, columns=["time", "user", "item"])
    when = {part.table: time for time, part in enumerate(parts[:3])}
    records = records.assign(time=records["time"].map(when)).dropna().astype(np.int64)
    return records, items.sort_values("item", ignore_index=True)


# --------------------------------------------------------------------------- the pickle as data

OPCODES: dict[int, Any] = {ord(step.code): step for step in pickletools.opcodes}
STEPS = DVBPR["steps"]
# Python's own, written in Python.
READER: Any = pickle._Unpickler
# Opcode of a text -> how many bytes tell its length, and how it is coded.
TEXTS = {
    code: (int(step.arg.name[-1]), "utf-8" if "UNICODE" in step.name else "latin-1")
    for code, step in OPCODES.items()
    if step.arg and step.arg.name[-1] in "148" and re.search("BINSTR|BINUNI|BINBYTES", step.name)
}


class _Made:
    """What a recognised name would make of `arguments` and `state`. It is not made."""

    def __init__(self, name: str, arguments: Any = ()) -> None:
        self.name, self.arguments, self.state = name, arguments, cast(Any, None)


def _number(value: Any) -> int:
    """A whole number, Python's or NumPy's."""
    return int(_array(*value.arguments)[0] if isinstance(value, _Made) else value)


def _place_of_one(value: Any) -> int:
    """Where the one stands in an array or a list of numbers; -1 for anything else."""
    if isinstance(value, _Made):
        value = _array(value.state[2], value.state[4]).tolist()
    return value.index(1) if isinstance(value, list) and 1 in value else -1


def _array(dtype: _Made, raw: str) -> ndarray:
    """The numbers of an array from their bytes."""
    kind = f"{dtype.state[1] if dtype.state else '='}{dtype.arguments[0]}"
    require(re.fullmatch("[<>|=][biuf][1248]", kind), f"an array of {kind}, not of numbers")
    return np.frombuffer(raw.encode("latin-1"), kind)


def _start(file: BinaryIO) -> int:
    """Where the pickle begins. Raises ValueError for another file."""
    version = np.lib.format.read_magic(file)
    require(version == (1, 0), f"a NumPy file of the version {version}, not of 1.0")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    right = dtype.hasobject and shape == (6,)
    require(right, f"it holds {dtype} of the shape {shape}, not six parts")
    return file.tell()


def _asked_again(file: BinaryIO) -> set[int]:
    """Entries of the pickle's memo that are read after they were written.

    Raises:
        ValueError: a step that does more than build data, or the file is cut off.
    """
    found, code = set[int](), b""
    while code != pickle.STOP:
        require(code := file.read(1), "it is cut off")
        name = getattr(step := OPCODES.get(code[0]), "name", f"the byte {code!r}")
        require(code[0] in _Data.dispatch, f"{name} is not data")
        if code[0] in TEXTS:
            _text(file, code[0])
        elif name == "GLOBAL":
            whole = [file.readline(LONG) for _ in ("module", "name")]
            require(all(line.endswith(b"\n") for line in whole), f"{whole[0]!r:.60} is not data")
        elif step and step.arg:
            said = step.arg.reader(file)
            found |= {said} if "GET" in name else set()
    return found


def _text(file: BinaryIO, code: int) -> str | tuple[int, int]:
    """A word, or where a longer text lies: offset and length."""
    width, coding = TEXTS[code]
    length = int.from_bytes(file.read(width), "little")
    if length < LONG:
        return file.read(length).decode(coding)
    place = file.tell()
    file.seek(length, 1)
    return place, length


class _Memo(dict[int, Any]):
    """What a pickle remembers: only what it asks for again."""

    def __init__(self, again: set[int]) -> None:
        self.again, self.count = again, 0

    def __len__(self) -> int:
        return self.count

    def __setitem__(self, place: int, value: Any) -> None:
        self.count += 1
        if place in self.again:
            super().__setitem__(place, value)


class _Data(READER):
    """Python's own reader of pickles, without the steps that import or call."""

    def __init__(self, file: BinaryIO, again: set[int], kept: _Kept) -> None:
        super().__init__(file)
        self.file, self.kept, self.memo = file, kept, _Memo(again)

    def find_class(self, module: str, name: str) -> _Made:
        """What a recognised name stands for. Raises ValueError for any other."""
        whole = f"{module}.{name}"
        require(whole in DVBPR["recognised"], f"{whole} is not data")
        return _Made(name)

    def _reduce(self) -> None:
        arguments, what = self.stack.pop(), self.stack.pop()
        makes_dictionary = what.name in ("defaultdict", "OrderedDict")
        self.append(_Entries(self.kept) if makes_dictionary else _Made(what.name, arguments))

    def _build(self) -> None:
        state = self.stack.pop()
        self.stack[-1].state = state

    dispatch: ClassVar[dict[int, Any]] = {
        **{code: act for code, act in READER.dispatch.items() if OPCODES[code].name in STEPS},
        **{code: lambda self, code=code: self.append(_text(self.file, code)) for code in TEXTS},
        pickle.EMPTY_DICT[0]: lambda self: self.append(_Entries(self.kept)),
        pickle.FRAME[0]: lambda self: self.read(8),
        pickle.REDUCE[0]: _reduce,
        pickle.BUILD[0]: _build,
    }
