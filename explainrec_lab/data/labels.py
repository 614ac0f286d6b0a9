"""Photos with labels: UT-Zap50K and FashionAI, from which the third paper learns attributes, and
Fashionpedia, whose boxes say where some of them are.

All three speak of the paper's twelve attributes, as `labels.toml` translates them. A shoe of
UT-Zap50K has up to four labels, a photo of FashionAI one: what nobody labelled is told apart from
what does not apply (`Catalogue.labelled`). Zip archives lie in the data folder as their pages give
them, and are read where they lie.

Source: SAERS, §3.1 and Table 1; Yu and Grauman 2014; FashionAI 2018; Fashionpedia, Jia et al. 2020.
"""

import json
import re
from collections.abc import Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from explainrec_boutique.vocabulary import DOES_NOT_APPLY
from explainrec_lab.data.archives import AS_TEXT, contents, opened, table
from explainrec_lab.data.contracts import Dataset, Schema, require
from explainrec_lab.data.frames import from_frames
from explainrec_lab.data.photos import Photos
from explainrec_lab.data.store import DataNotFound, data_dir, table_beside

LABELS = table_beside(__file__)
LETTERS, WORDS = LABELS["letters"], LABELS["words"]
# The twelve attributes, each with the classes that one of the two sets tells apart.
SCHEMA = Schema({name: tuple(about["classes"]) for name, about in (LETTERS | WORDS).items()})

# A row a photo: `item`, `title`, `category`, its `path` in its `archive`, and a code an attribute,
# NaN where nobody labelled it. And what is to be told of those that are left out.
Labelled = tuple[pd.DataFrame, list[str]]


def path(name: str, what: str = "photos") -> Path:
    """Where the archive of photos of a data set belongs, or its file of labels."""
    return data_dir() / name / LABELS[name][what]


def _steps(name: str) -> str:
    return f"{name}: {LABELS[name]['steps']}; put them, as they are, into {path(name).parent}"


def _dataset(name: str, size: int, parts: Sequence[Labelled], **more: Any) -> Dataset:
    """Labelled photos without purchases, part after part."""
    rows = pd.concat([part for part, _ in parts], ignore_index=True)
    codes = rows.reindex(columns=SCHEMA.attributes)
    about = {
        "images": Photos(rows["path"].tolist(), size, archive=rows["archive"].tolist()),
        "attributes": codes.fillna(DOES_NOT_APPLY).to_numpy(np.int64),
        "schema": SCHEMA,
        "labelled": codes.notna().to_numpy(),
        "notes": [note for _, notes in parts for note in notes],
    }
    nobody = pd.DataFrame(columns=["user", "item"])
    items = rows[["item", "title", "category"]]
    return from_frames(nobody, items=items, name=name, **(about | more))


def _with_photos(name: str, rows: pd.DataFrame, homes: Sequence[Path], steps: int = 1) -> Labelled:
    """The rows whose `file` is in an archive, whatever stands before the last `steps` of a path."""
    inside = list[tuple[str, str, Path]]()
    for home in homes:
        with opened(home, _steps(name)) as file:
            inside += [(_tail(each, steps), each, home) for each in file.namelist()]
    members = pd.DataFrame(inside, columns=["file", "path", "archive"]).drop_duplicates("file")
    found = rows.merge(members, on="file")
    told = f"of {len(rows)} labelled photos"
    require(len(found), f"{homes[0].parent}: no archive has any {told}; are they others?")
    return found, [f"{len(rows) - len(found)} {told} are in no archive: left out"]


def _tail(name: str, steps: int) -> str:
    return "/".join(name.split("/")[-steps:])


# --------------------------------------------------------------------------- UT-Zap50K


def ut_zap50k(size: int = 136) -> Dataset:
    """50,025 photos of shoes with heel, height of boots, closure and toe style, where given.

    A photo belongs to the row with its number, not to the one of its place. Several words in one
    cell (two closures) give no label; nor do words that `labels.toml` lacks. The data set's notes
    count both.

    Raises:
        DataNotFound: the archives are not here; the message is the steps that bring them.
        ValueError: a damaged archive, or another one.
    """
    return _dataset("ut-zap50k", size, [_shoes()])


def _shoes() -> Labelled:
    name, columns = "ut-zap50k", [about["column"] for about in WORDS.values()]
    with opened(home := path(name, "labels"), _steps(name)) as file:
        inside = [each for each in file.namelist() if Path(each).name == "meta-data.csv"]
        require(inside, f"{home} has no meta-data.csv: another archive?")
        cells = table(file, inside[0], ["CID", "Category", *columns]).fillna("")
    number, category = cells["CID"], cells["Category"]
    rows = pd.DataFrame({"item": number, "title": number, "category": category})
    rows["file"] = number.str.replace("-", ".") + ".jpg"
    found, notes = _with_photos(name, rows.join(cells[columns]), [path(name)])
    for attribute, about in WORDS.items():
        found[attribute], told = _coded(found, attribute, about)
        notes += told
    return found, notes


def _coded(rows: pd.DataFrame, name: str, about: dict[str, Any]) -> tuple[pd.Series, list[str]]:
    """The codes of one attribute, and what is to be told of cells without one."""
    code = {word: n for n, words in enumerate(about["classes"].values()) for word in words}
    words = _plain(rows[about["column"]])
    found = words.map(code)
    if "of" in about:
        found = found.mask(_plain(rows["category"]) != about["of"], DOES_NOT_APPLY)
    rest = words[found.isna() & (words != "")]
    kinds = rest.mask(rest.str.contains(";"), "several classes").value_counts()
    most = ", ".join(f"{kind!r} ({count})" for kind, count in kinds.head(9).items())
    told = f"{name}: no label for words of {len(rest)} photos: {most}"
    return found, [told] * bool(len(rest))


def _plain(words: pd.Series) -> pd.Series:
    """Words without capitals and doubled spaces."""
    return words.str.split().str.join(" ").str.casefold()


# --------------------------------------------------------------------------- FashionAI


def fashionai(size: int = 224) -> Dataset:
    """Photos of clothes, each labelled for one of eight attributes.

    All zip archives in the folder are read, whatever they are called: their tables lie in folders
    `Annotations`, at any depth. Of the letters, one a class, `y` is the photo's class; `m` (maybe)
    counts as `n`. 'Invisible' means that the attribute does not apply. What stands twice is one.

    Raises:
        DataNotFound: no archive is here; the message is the steps that bring one.
        ValueError: a tar or a damaged archive, no table, or letters that are others.
    """
    return _dataset("fashionai", size, [_clothes()])


# Where tables lie in an archive; not what a Mac puts beside them.
MARKED = re.compile(r"(^|/)Annotations/[^/.][^/]*\.csv$")


def _clothes() -> Labelled:
    folder, tables = path("fashionai").parent, list[pd.DataFrame]()
    for tar in folder.glob("*.tar*"):
        raise ValueError(f"{tar}: only zip archives are read; pack its content as one instead")
    homes = sorted(folder.glob("*.zip")) or [path("fashionai")]
    for home in homes:
        with opened(home, _steps("fashionai")) as file:
            marked = filter(MARKED.search, file.namelist())
            tables += [_letters(f"{home.name}, {name}", contents(file, name)) for name in marked]
    require(tables, f"{folder}: no archive has a table in a folder Annotations; are they others?")
    rows = pd.concat(tables, ignore_index=True).drop_duplicates(["file", "category", "letters"])
    found, notes = _with_photos("fashionai", rows, homes, steps=3)
    return found.assign(item=found.index.astype(str)), notes  # a photo in two tables is two items


def _letters(name: str, raw: bytes) -> pd.DataFrame:
    """A table of labels: a row a photo, as in `Labelled`, with its `file`.

    Raises:
        ValueError: no table of three columns, or letters that are others; names file and row.
    """
    columns = {"names": ["title", "category", "letters"], "usecols": [0, 1, 2], "header": None}
    try:
        rows = pd.read_csv(BytesIO(raw), **columns, **AS_TEXT).fillna("")
    except ValueError as error:
        raise ValueError(f"{name}: no table of photo, attribute and letters ({error})") from None
    key, letters = rows["category"], rows["letters"]
    needed = key.map({about["key"]: len(about["classes"]) + 1 for about in LETTERS.values()})
    right = (letters.str.len() == needed) & letters.str.fullmatch("[nm]*y[nm]*")
    for row in np.flatnonzero(~right):
        told = f"{name}: row {row} has {letters[row]!r:.40} for {key[row]!r:.40}"
        raise ValueError(f"{told}; needs a letter a class, y once and n or m")
    for attribute, about in LETTERS.items():  # the first letter is 'invisible'
        rows[attribute] = (letters.str.find("y") - 1).where(key == about["key"])
    return rows.assign(file=[_tail(each, 3) for each in rows["title"]])


def both(size: int = 224) -> Dataset:
    """UT-Zap50K, then FashionAI: what the third paper's network learns from.

    Raises:
        DataNotFound, ValueError: see `ut_zap50k` and `fashionai`.
    """
    return _dataset("UT-Zap50K and FashionAI", size, [_shoes(), _clothes()])


# --------------------------------------------------------------------------- Fashionpedia


def fashionpedia(size: int = 224) -> Dataset:
    """Photos with boxes around collar, lapel, neckline and sleeves; no classes.

    The boxes of a region are its mask: `catalogue.mask(item, "collar")`, and `attributes` say only
    where a region is there (0) or not (-1): nothing is labelled.

    Raises:
        DataNotFound: the archive or the labels are not here; the message is the steps.
        ValueError: damaged ones, or others.
    """
    name, told = "fashionpedia", path("fashionpedia", "labels")
    if not told.is_file():
        raise DataNotFound(_steps(name))
    try:
        boxes = _boxes(json.loads(told.read_bytes()), size)
    except Exception as error:  # another file breaks in any way
        raise ValueError(f"{told} is not Fashionpedia's ({error!r:.99}): fetch it") from error
    rows = boxes[["item", "file"]].drop_duplicates().assign(title=boxes["file"], category="-")
    found, notes = _with_photos(name, rows, [path(name)])
    place = pd.Index(found["item"]).get_indexer(boxes["item"])
    there = pd.crosstab(place, boxes["attribute"]).clip(upper=1) - 1
    groups = boxes.groupby([place, "attribute"])[CORNERS]
    masks = partial(_mask, {which: each.to_numpy() for which, each in groups}, size)
    labelled = np.zeros((len(found), len(SCHEMA.attributes)), bool)
    return _dataset(name, size, [(found.join(there), notes)], masks=masks, labelled=labelled)


# Columns and rows of a box, in pixels: the first, and the first behind it.
CORNERS = ["left", "top", "right", "bottom"]
# (Item, attribute) -> where it is.
Boxes = dict[tuple[int, str], Int[ndarray, "box 4"]]


def _boxes(told: dict[str, Any], size: int) -> pd.DataFrame:
    """A row a box, with `item`, `file` and `attribute`, on the square to which `Photos` pads."""
    regions = {each["id"]: LABELS["regions"].get(each["name"]) for each in told["categories"]}
    photos = pd.DataFrame(told["images"])[["id", "file_name", "width", "height"]]
    photos.columns = ["item", "file", "width", "height"]
    boxes = pd.DataFrame(told["annotations"]).rename(columns={"image_id": "item"})
    boxes["attribute"] = [regions[each] for each in boxes["category_id"]]
    boxes = boxes[["item", "attribute", "bbox"]].dropna(subset="attribute")
    found = boxes.merge(photos, how="left", on="item", validate="many_to_one")
    bbox = pd.DataFrame(found["bbox"].tolist(), columns=range(4)).to_numpy(float)
    corners = _on_square(bbox, found[["width", "height"]].to_numpy(float), size)
    # An error where one is no number.
    return found.join(pd.DataFrame(corners, columns=CORNERS).astype(int))


def _on_square(
    bbox: Float[ndarray, "box 4"], sides: Float[ndarray, "box 2"], size: int
) -> Float[ndarray, "box 4"]:
    """Boxes (x, y, width, height) of photos of `sides` (width, height) as `CORNERS`."""
    scale = size / sides.max(axis=1, keepdims=True)
    margins = np.rint((size - np.rint(sides * scale).clip(1)) / 2)
    start = margins + bbox[:, :2] * scale
    first = np.floor(start).clip(0, size - 1)
    last = np.ceil(start + bbox[:, 2:] * scale).clip(first + 1, size)
    return np.hstack([first, last])


def _mask(
    boxes: Boxes, size: int, item: int, attribute: str, kind: str
) -> Bool[ndarray, "height width"]:
    require(kind == "part", f"kind: {kind!r} is not known of Fashionpedia; it has 'part'")
    mask = np.zeros((size, size), bool)
    for left, top, right, bottom in boxes.get((item, attribute), ()):
        mask[top:bottom, left:right] = True
    return mask


# Source -> what loads it.
LOADERS = {"ut-zap50k": ut_zap50k, "fashionai": fashionai, "fashionpedia": fashionpedia}
