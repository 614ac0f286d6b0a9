"""Amazon's product data of 2014: related products, reviews, image features and your own photos.

Files as their maker gives them lie in `amazon-2014/` below the data folder; nothing is downloaded.
A line of `meta_X.json.gz` is a Python literal, not JSON. It is never evaluated: a pattern that
knows where strings and brackets end finds the pairs at the top, and only wanted ones are read. A
line beyond the pattern goes to `ast.literal_eval`, and one beyond that is left out and counted.
Files are read a line at a time, so the memory of reading does not grow with them.

Source: McAuley et al., 2015, §1.1 and §2.3; LRP for explainable recommendations, §3.1.
"""

import ast
import gzip
import json
import re
import sys
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from numpy import ndarray

from explainrec_lab.data.contracts import RELATION_KINDS, Dataset, Relations, check_choice, require
from explainrec_lab.data.frames import from_frames
from explainrec_lab.data.photos import Photos
from explainrec_lab.data.store import DataNotFound, data_dir, table_beside

TABLE = table_beside(__file__)
# Asins, each a number of ten digits of base 36.
ASINS = re.compile(r"[0-9A-Z]{10}(?: [0-9A-Z]{10})*+")
# Bytes of the longest line that is read, some hundred times what products need.
LONGEST = 2**20
# A record of `image_features_X.b`: FC7 of the Caffe reference network, little-endian.
RECORD = np.dtype([("asin", "S10"), ("x", "<f4", 4096)])


def path(category: str = "*", what: str = "meta_{}.json.gz") -> Path:
    """A file of a category, or the first such that is here. Photos lie in `images/` beside it."""
    home, name = data_dir() / "amazon-2014", what.format(category)
    return next(iter(sorted(home.glob(name))), home / name)


def _there(file: Path) -> Path:
    if not file.is_file():
        raise DataNotFound(TABLE["steps"].format(file=file, page=TABLE["page"]))
    return file


def load(category: str | None = None, photos: bool | None = None, size: int = 224) -> Dataset:
    """Reviewers x products of one category, with the relations that have both ends in it.

    `value` is the number of stars, `time` in seconds since 1970; without a file of reviews there
    are no interactions. Items have the columns `path`, their first category path, whose second
    step is `category` (the first is a department), and `url`, of their photo at Amazon.

    Args:
        category: as the files are named, such as 'Clothing_Shoes_and_Jewelry'; default: the first
            that is here.
        photos: keep only the products whose photo is here; default: if there is a folder of them.
        size: pixels of a picture's side.

    Raises:
        DataNotFound: the metadata are not here; the message is the steps that bring them.
        ValueError: an unknown category, a damaged file, or one that is mostly unreadable.
    """
    here = [file.name[5:-8] for file in path().parent.glob("meta_*.json.gz")]
    check_choice("category", category, [*TABLE["categories"], *here, None])
    file, notes = _there(path(category or "*")), list[str]()
    items, *lines = _products(file, notes)
    home, images = file.parent / "images", None
    if any(home.glob("*.jpg")) if photos is None else photos:
        items = _with_photos(items, home, notes)
        images = Photos([home / f"{asin}.jpg" for asin in items["item"]], size)
    events = _reviews(file.name[5:-8], items["item"], notes)
    more: dict[str, Any] = {"item_columns": {"category": "category"}, "images": images}
    found = from_frames(events, items=items, name="amazon", notes=notes, **more)
    return replace(found, relations=_inside(items["item"], *lines))


# --------------------------------------------------------------------------- lines


def _lines(file: Path, read: Callable[[str], Any], notes: list[str]) -> Iterator[Any]:
    """What `read` makes of each line of a packed file; `notes` gets what was left out.

    Raises:
        ValueError: a file that is damaged, cut off or empty, or has a line longer than `LONGEST`,
            or most of whose lines cannot be read.
    """
    bad, number, first, told = 0, 0, list[str](), f"{file}: delete it and fetch it again"
    try:
        with gzip.open(file) as packed:
            for number, line in enumerate(iter(lambda: packed.readline(LONGEST + 1), b""), 1):
                require(len(line) <= LONGEST, f"{told}; line {number} is over {LONGEST:,} bytes")
                try:
                    yield read(line.decode())
                except Exception as error:  # of damaged lines Python raises anything
                    bad += 1
                    first = [*first, f"{number} ({type(error).__name__})"][:3]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{told}; it breaks off after line {number} ({error})") from error
    skipped = f"{bad} of {number} lines cannot be read, first {', '.join(first)}"
    require(2 * bad < number, f"{told}; {skipped}")
    notes.extend([f"{file.name}: left out {skipped}"] * (bad > 0))


# A string, with no further one beside it; what is in brackets, with others inside. No part is
# tried twice, so that a long line takes no longer than its length.
STRING = r"""(?:'(?:[^'\\\r\n\0]++|\\.)*+'|"(?:[^"\\\r\n\0]++|\\.)*+")(?![\w'"])"""
NESTED = r"(?!)"
for _ in range(4):
    NESTED = rf"[\[{{(](?:{STRING}|[\s.,:+-]++|\w++(?!['\"])|{NESTED})*+[\]}})]"
PAIR = rf"'(\w++)'\s*+:\s*+({STRING}|-?\w[\w.+-]*+(?!['\"])|{NESTED})"
# What begins a pair, the pair, and what follows; or all the rest, where that does not fit.
PAIRS = re.compile(rf"(?s)(?:\A\{{|(?!\A),)\s*+{PAIR}\s*+(?:(?=,)|\}}\s*+\Z)|.++")


def _fields(line: str) -> dict[str, Any]:
    """The wanted fields of a product's line, as `ast.literal_eval` gives them.

    Raises:
        ValueError, SyntaxError, ...: for what is no product, whatever Python raises.
    """
    pairs = PAIRS.findall(line)
    if all(name for name, _ in pairs):
        return {name: _value(text) for name, text in pairs if name in TABLE["fields"]}
    whole = ast.literal_eval(line)
    return {name: whole[name] for name in TABLE["fields"] if name in whole}


def _value(text: str) -> Any:
    if '"' not in text and "\\" not in text:  # Python's strings are JSON's, but for the quotes
        with suppress(ValueError):  # of None, a tuple, a comma at the end
            return json.loads(text.replace("'", '"'))
    return ast.literal_eval(text)


# --------------------------------------------------------------------------- tables


def _product(line: str) -> tuple[list[str], list[list[int]]]:
    """[asin, title, url, category, path], and the related asins of each kind, as numbers.

    Raises:
        ValueError, KeyError, ...: for a line without an asin, or with what is no text.
    """
    found = _fields(line)
    words = [found.get(name, "") for name in ("asin", "title", "imUrl")]
    steps: list[str] = next(iter(found.get("categories", [])), [])
    words += ["", *steps[:2]][-1], " / ".join(steps)
    related = [found.get("related", {}).get(kind, []) for kind in RELATION_KINDS]
    every = " ".join([words[0], *chain(*related)])
    require("".join(words).encode() and ASINS.fullmatch(every), "no asins")  # an error of no texts
    return words, [[*map(int, asins, repeat(36))] for asins in related]


def _products(file: Path, notes: list[str]) -> tuple[pd.DataFrame, pd.Series, array, array]:
    """Items, each once; and of all lines the asins, lengths of their lists, and asins in these."""
    rows, lengths, targets = list[list[str]](), array("i"), array("q")
    for words, related in _lines(file, _product, notes):
        rows.append(words)
        lengths.extend(map(len, related))
        targets.extend(chain(*related))
    lines = pd.DataFrame(rows, columns=["item", "title", "url", "category", "path"])
    items = lines.drop_duplicates("item", ignore_index=True)
    bare = items["url"].str.contains(TABLE["no_photo"], regex=False).sum()
    told = f"{file.name}: {len(items)} products in {len(lines)} lines, {bare} without photo"
    notes.append(f"{told}, {len(targets)} named as related")
    return items, lines["item"], lengths, targets


def _inside(items: pd.Series, sources: pd.Series, lengths: array, targets: array) -> Relations:
    """The relations with two different ends among these items, each once."""
    line, kind = divmod(np.repeat(np.arange(len(lengths)), lengths), len(RELATION_KINDS))
    target = pd.Index([int(asin, 36) for asin in items]).get_indexer(np.array(targets))
    pairs = np.stack([kind, pd.Index(items).get_indexer(sources)[line], target])
    kept = (pairs >= 0).all(axis=0) & (pairs[1] != pairs[2])
    kind, source, target = np.unique(pairs[:, kept], axis=1)
    return Relations(np.zeros_like(kind), source, target, kind, len(items), 1)


def _with_photos(items: pd.DataFrame, home: Path, notes: list[str]) -> pd.DataFrame:
    """Those whose photo is here. Raises DataNotFound where none is."""
    here = items["item"].isin({photo.stem for photo in home.glob("*.jpg")})
    if not here.any():
        raise DataNotFound(f"photos: none of a product in {home}; put them there as <asin>.jpg")
    notes.append(f"images: left out {(~here).sum()} of {len(items)} products, without a photo")
    return items[here].reset_index(drop=True)


def _reviews(category: str, asins: pd.Series, notes: list[str]) -> pd.DataFrame:
    """One row a review of a known product, from all reviews, else from the 5-core."""
    there = [*filter(Path.is_file, (path(category, what) for what in TABLE["reviews"]))][:1]
    rows = [row for file in there for row in _lines(file, _review, notes)]
    events = pd.DataFrame(rows, columns=["user", "item", "value", "time"])
    known, read = events["item"].isin(asins), there[0].name if there else "no file of them"
    notes.append(f"reviews ({read}): {len(events)}, of which {(~known).sum()} of no product here")
    return events[known]


def _review(line: str) -> tuple[str, str, float, int]:
    row = json.loads(line)
    user, item, stars, second = (row[name] for name in TABLE["review"])
    require(user and item and (user + item).encode() and 0 < stars <= 5, "no review")
    return sys.intern(user), sys.intern(item), float(stars), int(second)


class ImageFeatures:
    """The published features of products by item id, in the file until they are asked for.

    `relation.data.Batches` takes them in place of pictures.

    Args:
        file: `image_features_X.b`.
        asins: original ids of the items, in id order.

    Attributes:
        rows: the record of each item, -1 where it has none.

    Raises:
        DataNotFound: the file is not here; the message is the steps that bring it.
        ValueError: a file that is no whole number of records, or an item without features.
    """

    def __init__(self, file: Path, asins: Sequence[str]) -> None:
        size, each = _there(file).stat().st_size, RECORD.itemsize
        told = f"{file}: {size:,} bytes are no whole records of {each:,}; fetch it again"
        require(size and size % each == 0, told)
        self._x = np.memmap(file, RECORD, "r")["x"]
        with file.open("rb", buffering=0) as raw:  # mapped, each asin brings a page into memory
            known = {(raw.seek(at), raw.read(10))[1]: at // each for at in range(0, size, each)}
        self.rows: Int[ndarray, " item"] = np.array([known.get(a.encode(), -1) for a in asins])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, items: Any) -> Float[ndarray, "*item 4096"]:
        rows = self.rows[items]
        require(np.all(rows >= 0), f"items: {np.sum(rows < 0)} have no features; see `rows`")
        return np.array(self._x[rows], np.float32)
