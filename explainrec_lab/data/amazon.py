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
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from numpy import ndarray

from explainrec_lab.data.contracts import RELATION_KINDS, Dataset, Relations, check_choice, require
from explainrec_lab.data.frames import from_frames
from explainrec_lab.data.photos import Photos
from explainrec_lab.data.store import DataNotFound, data_dir, table_beside

T = TypeVar("T")

TABLE = table_beside(__file__)
FIELDS = frozenset(TABLE["fields"])
# Bytes of the longest line that is read, some hundred times what products need.
LONGEST = 2**20
# A record of `image_features_X.b`: FC7 of the Caffe reference network, little-endian.
RECORD = np.dtype([("asin", "S10"), ("x", "<f4", 4096)])


def _folder() -> Path:
    """Where the files belong; photos in `images/` below, as `<asin>.jpg`."""
    return data_dir() / "amazon-2014"


def path(category: str = "*") -> Path:
    """The metadata of a category, or the first that are here."""
    name = f"meta_{category}.json.gz"
    return next(iter(sorted(_folder().glob(name))), _folder() / name)


def _there(file: Path) -> Path:
    if not file.is_file():
        put = f"put it, as it is, into {_folder()}; EXPLAINREC_DATA names the folder above that"
        raise DataNotFound(f"amazon: download {file.name} (listed at {TABLE['page']}) and {put}")
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
    if category is not None:
        here = [file.name[5:-8] for file in _folder().glob("meta_*.json.gz")]
        check_choice("category", category, [*TABLE["categories"], *here])
    file, notes = _there(path(category or "*")), list[str]()
    items, *graph, codes = _products(file, notes)
    photos = (_folder() / "images").is_dir() if photos is None else photos
    items = _with_photos(items, notes) if photos else items
    events = _reviews(file.name[5:-8], items["item"], notes)
    found = from_frames(events, items=items, item_columns={"category": "category"}, name="amazon")
    names = [_folder() / "images" / f"{asin}.jpg" for asin in items["item"]]
    shown = replace(found.catalogue, images=Photos(names, size) if photos else None)
    inside = _inside([codes[asin] for asin in items["item"]], len(codes), *graph)
    return replace(found, catalogue=shown, relations=inside, notes=(*notes, *found.notes))


# --------------------------------------------------------------------------- lines


def _lines(file: Path, read: Callable[[str], T], notes: list[str]) -> Iterator[T]:
    """What `read` makes of each line of a packed file; `notes` gets what was left out.

    Raises:
        ValueError: a file that is damaged, cut off or empty, or has a line longer than `LONGEST`,
            or most of whose lines cannot be read.
    """
    bad, number, first, told = 0, 0, list[str](), f"{file}: delete it and fetch it again"
    try:
        with gzip.open(file) as packed:
            while line := packed.readline(LONGEST + 1):
                number += 1
                require(len(line) <= LONGEST, f"{told}; line {number} is over {LONGEST:,} bytes")
                try:
                    found = read(line.decode())
                except Exception as error:  # of damaged lines Python raises anything
                    bad += 1
                    first = [*first, f"{number} ({type(error).__name__})"][:3]
                else:
                    yield found
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
VALUE = rf"{STRING}|-?\w[\w.+-]*+(?!['\"])|{NESTED}"
# 'key': value, and what follows it: a comma, or the end of the line.
PAIR = re.compile(rf"\s*+'(\w++)'\s*+:\s*+({VALUE})\s*+(,|\}}\s*+\Z)", re.DOTALL)
# Without a backslash or a double quote, Python's strings are JSON's, but for the quotes.
PLAIN = re.compile(r"[ !#-\[\]-~]*+")


def _fields(line: str) -> dict[str, Any]:
    """The wanted fields of a product's line, as `ast.literal_eval` gives them.

    Raises:
        ValueError, SyntaxError, ...: for what is no product, whatever Python raises.
    """
    texts, at = dict[str, str](), int(line.startswith("{"))
    while at and (pair := PAIR.match(line, at)):
        name, text, after = pair.groups()
        if name in FIELDS:
            texts[name] = text
        at = pair.end()
        if after != ",":
            return {name: _value(text) for name, text in texts.items()}
    whole = ast.literal_eval(line)
    return {name: whole[name] for name in FIELDS & whole.keys()}


def _value(text: str) -> Any:
    if text[0] in "'\"" and "\\" not in text:
        return text[1:-1]
    if PLAIN.fullmatch(text):
        with suppress(ValueError):  # of None, a tuple, a comma at the end
            return json.loads(text.replace("'", '"'))
    return ast.literal_eval(text)


# --------------------------------------------------------------------------- tables


def _product(line: str) -> tuple[list[str], list[list[str]]]:
    """[asin, title, category, path, url], and the related asins of each kind."""
    found = _fields(line)
    steps = [*found.get("categories", []), []][0]
    related = [found.get("related", {}).get(kind, []) for kind in RELATION_KINDS]
    told = [found.get("title", ""), *steps[:2][-1:], "", " / ".join(steps), found.get("imUrl", "")]
    words = [found["asin"], told[0], told[1], *told[-2:]]
    kinds = {type(each) for part in (words, *related) for each in part}
    require(kinds == {str} and {*map(type, related)} == {list}, "no texts, or no lists of them")
    require(re.fullmatch(r"[0-9A-Za-z]{10}", words[0]), "no asin")
    return words, related


def _products(file: Path, notes: list[str]) -> tuple[pd.DataFrame, array, array, dict[str, int]]:
    """Items; code of the item, kind and length of each list; codes of the lists; asin -> code."""
    codes: dict[str, int] = defaultdict(count().__next__)
    rows, lists, targets = [], array("q"), array("i")
    for words, related in _lines(file, _product, notes):
        rows.append(words)
        for kind, asins in enumerate(related):
            lists.extend((codes[words[0]], kind, len(asins)))
            targets.extend(codes[asin] for asin in asins)
    items = pd.DataFrame(rows, columns=["item", "title", "category", "path", "url"])
    once = items.drop_duplicates("item", ignore_index=True)
    bare = int(once["url"].str.contains(TABLE["no_photo"], regex=False).sum())
    twice = f"{len(items) - len(once)} lines repeat one, and only add relations"
    notes.append(f"{file.name}: {len(once)} products, {bare} without a photo at Amazon; {twice}")
    return once, lists, targets, codes


def _inside(own: list[int], n_codes: int, lists: array, targets: array) -> Relations:
    """The relations with two different ends among the items of these codes, each once."""
    place, n = np.full(n_codes, -1), len(own)
    place[own] = np.arange(n)
    code, kind, length = np.array(lists).reshape(-1, 3).T
    source, target = np.repeat(place[code], length), place[np.array(targets)]
    kept = (source >= 0) & (target >= 0) & (source != target)
    pair = (np.repeat(kind, length)[kept] * n + source[kept]) * n + target[kept]
    kind, source, target = np.unravel_index(np.unique(pair), (len(RELATION_KINDS), n, n))
    return Relations(np.zeros_like(kind), source, target, kind, n, 1)


def _with_photos(items: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Those whose photo is here. Raises DataNotFound where none is."""
    home = _folder() / "images"
    here = items["item"].isin({photo.stem for photo in home.glob("*.jpg")})
    if not here.any():
        raise DataNotFound(f"photos: none of a product in {home}; put them there as <asin>.jpg")
    notes.append(f"images: left out {(~here).sum()} of {len(items)} products, without a photo")
    return items[here].reset_index(drop=True)


def _reviews(category: str, asins: pd.Series, notes: list[str]) -> pd.DataFrame:
    """One row a review of a known product, from all reviews, else from the 5-core."""
    names = [f"reviews_{category}.json.gz", f"reviews_{category}_5.json.gz"]
    files = [_folder() / name for name in names if (_folder() / name).is_file()][:1]
    rows = [row for file in files for row in _lines(file, _review, notes)]
    events = pd.DataFrame(rows, columns=["user", "item", "value", "time"])
    known, read = events["item"].isin(asins), files[0].name if files else f"no {names[0]}"
    notes.append(f"{read}: {len(events)} reviews, of which {(~known).sum()} of no product here")
    return events[known]


def _review(line: str) -> tuple[str, str, float, int]:
    row = json.loads(line)
    user, item, stars, second = (row[name] for name in TABLE["review"])
    require({type(user), type(item)} == {str} and 0 < stars <= 5, "no review")
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
