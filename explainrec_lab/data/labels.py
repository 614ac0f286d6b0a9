"""Photos with labels: UT-Zap50K and FashionAI, from which the third paper learns attributes, and
Fashionpedia, whose boxes say where some of them are.

All three speak of the paper's twelve attributes, as `labels.toml` translates them. A shoe of
UT-Zap50K has up to four labels, a photo of FashionAI one: what nobody labelled is told apart from
what does not apply (`Catalogue.labelled`). Archives lie in the data folder as their pages give
them, and are read where they lie.

Source: SAERS, §3.1 and Table 1; Yu and Grauman 2014; FashionAI 2018; Fashionpedia, Jia et al. 2020.
"""

import json
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int, UInt8
from numpy import ndarray

from explainrec_boutique.vocabulary import DOES_NOT_APPLY
from explainrec_lab.data.archives import AS_TEXT, MEGABYTE, contents, opened, table
from explainrec_lab.data.contracts import Catalogue, Dataset, Images, Schema, present, require
from explainrec_lab.data.frames import from_frames
from explainrec_lab.data.photos import Photos, PhotosInFile
from explainrec_lab.data.store import DataNotFound, data_dir, table_beside

LABELS = table_beside(__file__)
LETTERS, WORDS = LABELS["letters"], LABELS["words"]
# The twelve attributes, each with the classes that one of the two sets tells apart.
SCHEMA = Schema(
    {name: tuple(about["classes"]) for name, about in LETTERS.items()}
    | {name: tuple(dict.fromkeys(about["classes"].values())) for name, about in WORDS.items()}
)
# FashionAI's key of an attribute -> its name here, and how many letters a photo has.
KEYS = {each["key"]: (name, len(each["classes"]) + 1) for name, each in LETTERS.items()}
# A code for what nobody labelled, until `labelled` says so.
UNKNOWN = -2

Codes = Int[ndarray, "item attribute"]


def path(name: str, what: str = "photos") -> Path:
    """Where the archive of photos of a data set belongs, or its file of labels."""
    return data_dir() / name / LABELS[name][what]


def _dataset(
    name: str, items: pd.DataFrame, images: Images, codes: Codes, notes: Sequence[str], **more: Any
) -> Dataset:
    """Labelled photos without purchases; `UNKNOWN` codes are not labelled."""
    found = from_frames(pd.DataFrame(columns=["user", "item"]), items=items, name=name)
    known, labels = codes != UNKNOWN, codes.clip(DOES_NOT_APPLY)
    what = {"labelled": known, **more}
    shown = Catalogue(found.catalogue.items, images, labels, SCHEMA, **what)
    return replace(found, catalogue=shown, notes=tuple(notes))


def _steps(name: str) -> str:
    return f"{name}: {LABELS[name]['steps']}; put them, as they are, into {path(name).parent}"


# --------------------------------------------------------------------------- UT-Zap50K


def ut_zap50k(size: int = 136) -> Dataset:
    """50,025 photos of shoes with heel, height of boots, closure and toe style, where given.

    A photo belongs to the row with its number, not to the one of its place. Several words in one
    cell (two closures) give no label; nor do words that `labels.toml` lacks. Both are counted, and
    the latter named, in the data set's notes.

    Raises:
        DataNotFound: the archives are not here; the message is the steps that bring them.
        ValueError: a damaged archive, or another one.
    """
    columns = ["CID", "Category", *(about["column"] for about in WORDS.values())]
    with opened(path("ut-zap50k", "labels"), _steps("ut-zap50k")) as file:
        inside = [name for name in file.namelist() if name.endswith("meta-data.csv")]
        require(inside, f"{path('ut-zap50k', 'labels')} has no meta-data.csv: another archive?")
        rows = table(file, inside[0], columns)
    with opened(path("ut-zap50k"), _steps("ut-zap50k")) as file:
        photos = {Path(name).stem: name for name in file.namelist() if name.endswith(".jpg")}
    number = rows["CID"].str.replace("-", ".")
    here = number.isin(list(photos))
    require(here.any(), f"{path('ut-zap50k')} has no photo of any row of {inside[0]}")
    notes = [f"{(~here).sum()} of {len(rows)} rows have no photo: left out"]
    rows, number = rows[here].reset_index(drop=True), number[here]
    codes = np.full((len(rows), len(SCHEMA.attributes)), UNKNOWN)
    for name, about in WORDS.items():
        codes[:, SCHEMA.attribute(name)], told = _coded(rows, name, about)
        notes += told
    items = pd.DataFrame({"item": rows["CID"], "title": rows["CID"], "category": rows["Category"]})
    pictures = Photos([photos[each] for each in number], size, archive=path("ut-zap50k"))
    return _dataset("ut-zap50k", items, pictures, codes, notes)


def _plain(words: pd.Series) -> pd.Series:
    """Words without capitals and doubled spaces."""
    return words.astype("string").str.split().str.join(" ").str.casefold()


def _coded(
    rows: pd.DataFrame, name: str, about: dict[str, Any]
) -> tuple[Int[ndarray, " item"], list[str]]:
    """The codes of one attribute, and what is to be told of cells without one."""
    words, of = _plain(rows[about["column"]]), about.get("of")
    code = {key: SCHEMA.code(name, value) for key, value in about["classes"].items()}
    code = dict(zip(_plain(pd.Series(list(code))), code.values(), strict=True))
    found = words.map(code).astype("Float64").fillna(UNKNOWN).to_numpy(int)
    if of:
        found[(_plain(rows["Category"]) != of.casefold()).to_numpy(bool)] = DOES_NOT_APPLY
    rest = words[(found == UNKNOWN) & words.notna().to_numpy()]
    several = rest.str.contains(";", regex=False).to_numpy(bool)
    strange = rest[~several].value_counts()
    told = [f"{name}: {several.sum()} photos of several classes: no label"] if several.any() else []
    named = ", ".join(f"{word!r} ({count})" for word, count in strange.head(9).items())
    return found, told + ([f"{name}: unknown words, no label: {named}"] if named else [])


# --------------------------------------------------------------------------- FashionAI


def fashionai(size: int = 224) -> Dataset:
    """Photos of clothes, each labelled for one of eight attributes.

    All archives in the folder are read, zip or tar, whatever they are called: their tables lie in
    folders `Annotations`, at any depth. Of the letters, one a class, `y` is the photo's class; `m`
    (maybe) counts as `n`. 'Invisible' means that the attribute does not apply.

    Raises:
        DataNotFound: no archive is here; the message is the steps that bring one.
        ValueError: a damaged archive, one without such a table, or letters that are others.
    """
    folder = path("fashionai").parent
    homes = sorted(each for each in folder.glob("*") if each.suffix in (".zip", ".tar"))
    if not homes:
        raise DataNotFound(_steps("fashionai"))
    tables, inside = [], list[dict[str, Any]]()
    for home in homes:
        with _members(home) as (members, read):
            marked = [name for name in members if MARKED.search(name)]
            tables += [_letters(f"{home.name}, {name}", read(name)) for name in marked]
            inside.append({_tail(name): members[name] for name in members if ".jpg" in name})
    require(tables, f"{folder}: no archive has a table in a folder Annotations; other archives?")
    rows = pd.concat(tables, ignore_index=True)
    where = {tail: n for n in reversed(range(len(homes))) for tail in inside[n]}
    home_of = rows["tail"].map(where)
    parts = [rows[home_of == n] for n in range(len(homes))]
    pictures = [
        _pictures(home, [own[tail] for tail in part["tail"]], size)
        for home, own, part in zip(homes, inside, parts, strict=True)
    ]
    found = pd.concat(parts, ignore_index=True)
    require(len(found), f"{folder}: no archive has any of {len(rows)} labelled photos")
    codes = np.full((len(found), len(SCHEMA.attributes)), UNKNOWN)
    codes[found.index, found["attribute"]] = found["code"]
    lost = f"{len(rows) - len(found)} of {len(rows)} labelled photos are in no archive: left out"
    found["item"] = found.index.astype(str)  # a photo in two tables is two items
    return _dataset("fashionai", found, _Together(pictures), codes, [lost])


# Where tables lie in an archive, and what they call a photo.
MARKED = re.compile(r"(^|/)Annotations/[^/]*\.csv$")


def _tail(name: str) -> str:
    return "/".join(name.split("/")[-3:])


@contextmanager
def _members(home: Path) -> Iterator[tuple[dict[str, Any], Callable[[str], bytes]]]:
    """Files in a zip or tar archive, each with what `_pictures` takes, and how to read one."""
    if home.suffix == ".zip":
        with opened(home, "") as file:
            yield {name: name for name in file.namelist()}, partial(contents, file)
        return
    try:
        tar = tarfile.open(home, "r:")  # noqa: SIM115
    except tarfile.TarError as error:
        raise ValueError(f"{home} is no whole tar archive without compression ({error})") from None
    with tar:
        files = {each.name: each for each in tar if each.isfile() and not each.issparse()}
        places = {name: (each.offset_data, each.size) for name, each in files.items()}
        yield places, lambda name: present(name, tar.extractfile(files[name])).read(32 * MEGABYTE)


def _pictures(home: Path, members: list[Any], size: int) -> Images:
    if home.suffix == ".zip":
        return Photos(members, size, archive=home)
    return PhotosInFile(home, np.array(members, int).reshape(-1, 2), size)


def _letters(name: str, raw: bytes) -> pd.DataFrame:
    """A table of labels: `tail` and `title` of each photo, its attribute and code.

    Raises:
        ValueError: no table of three columns, or letters that are others; names file and row.
    """
    columns = ["title", "category", "letters"]
    try:
        rows = pd.read_csv(BytesIO(raw), header=None, names=columns, usecols=[0, 1, 2], **AS_TEXT)
    except (ValueError, pd.errors.ParserError) as error:
        raise ValueError(f"{name}: no table of photo, attribute and letters ({error})") from None
    rows = rows.fillna("").assign(tail=rows["title"].fillna("").map(_tail))
    for row, (key, letters) in enumerate(zip(rows["category"], rows["letters"], strict=True)):
        needed = KEYS.get(key, ("", -1))[1]
        right = len(letters) == needed and letters.count("y") == 1 and not letters.strip("nmy")
        told = f"{letters!r:.40} for {key!r:.40}; needs a letter a class, y once and n or m"
        require(right, f"{name}: row {row} has {told}")
    attribute = [SCHEMA.attribute(KEYS[key][0]) for key in rows["category"]]
    code = rows["letters"].str.find("y") - 1  # the first letter is 'invisible'
    return rows.assign(attribute=attribute, code=code)


class _Together:
    """The pictures of several sources, one after the other: the `Images` of them all."""

    def __init__(self, parts: Sequence[Images]) -> None:
        self.parts, self.ends = parts, np.cumsum([0, *map(len, parts)])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, items: Any) -> UInt8[ndarray, "*item 3 height width"]:
        asked = np.arange(len(self))[items]
        flat = np.atleast_1d(asked)
        part = np.searchsorted(self.ends, flat, side="right") - 1
        rows = [np.flatnonzero(part == n) for n in range(len(self.parts))]
        own = zip(self.parts, rows, self.ends[:-1], strict=True)
        shown = np.concatenate([images[flat[mine] - start] for images, mine, start in own])
        back = shown[np.argsort(np.concatenate(rows))]
        return back if np.ndim(asked) else back[0]


def both(size: int = 224) -> Dataset:
    """UT-Zap50K, then FashionAI: what the third paper's network learns from.

    Raises:
        DataNotFound, ValueError: see `ut_zap50k` and `fashionai`.
    """
    parts = [ut_zap50k(size), fashionai(size)]
    shown = [part.catalogue for part in parts]
    items = pd.concat([each.items.rename(columns={"original_id": "item"}) for each in shown])
    labels, known = ([getattr(each, name) for each in shown] for name in ("attributes", "labelled"))
    codes = np.where(np.vstack(known), np.vstack(labels), UNKNOWN)
    pictures = _Together([present("pictures", each.images) for each in shown])
    notes = [note for part in parts for note in part.notes]
    return _dataset("UT-Zap50K and FashionAI", items, pictures, codes, notes)


# --------------------------------------------------------------------------- Fashionpedia


def fashionpedia(size: int = 224) -> Dataset:
    """Photos with boxes around collar, lapel, neckline and sleeves; no classes.

    The boxes of a region are its mask: `catalogue.mask(item, "collar")`, and `attributes` say only
    where a region is there (0) or not (-1): nothing is labelled.

    Raises:
        DataNotFound: the archive or the labels are not here; the message is the steps.
        ValueError: damaged ones, or others.
    """
    labels = path("fashionpedia", "labels")
    if not labels.is_file():
        raise DataNotFound(_steps("fashionpedia"))
    with opened(path("fashionpedia"), _steps("fashionpedia")) as file:
        inside = {Path(name).name: name for name in file.namelist()}
    try:
        boxes, photos = _boxes(json.loads(labels.read_bytes()), size)
    except Exception as error:  # another file breaks in any way
        raise ValueError(f"{labels} is not Fashionpedia's ({error!r:.99}): fetch it") from error
    here = [photo for photo in boxes if photos[photo][0] in inside]
    require(here, f"{path('fashionpedia')} has none of the {len(boxes)} photos of {labels.name}")
    names = [photos[photo][0] for photo in here]
    items = pd.DataFrame({"item": here, "title": names, "category": "-"})
    pictures = Photos([inside[name] for name in names], size, archive=path("fashionpedia"))
    own = [boxes[photo] for photo in here]
    there = np.array([[name in each for name in SCHEMA.attributes] for each in own])
    lost = f"{len(boxes) - len(here)} of {len(boxes)} photos are not in the archive: left out"
    more = {"labelled": np.zeros_like(there), "masks": partial(_mask, own, size)}
    return _dataset("fashionpedia", items, pictures, there.astype(np.int64) - 1, [lost], **more)


# Photo -> attribute -> where it is: the rows and columns of each box, in pixels.
Boxes = dict[Any, dict[str, list[tuple[slice, slice]]]]


def _boxes(told: Any, size: int) -> tuple[Boxes, dict[Any, Any]]:
    """The boxes, and photo -> its file, width and height."""
    names = {each["id"]: LABELS["regions"].get(each["name"]) for each in told["categories"]}
    keys, found = ("file_name", "width", "height"), Boxes()
    photos = {each["id"]: tuple(each[key] for key in keys) for each in told["images"]}
    for each in told["annotations"]:
        if name := names[each["category_id"]]:
            box = _on_square(each["bbox"], photos[each["image_id"]][1:], size)
            found.setdefault(each["image_id"], {}).setdefault(name, []).append(box)
    return found, photos


def _on_square(box: Sequence[float], shape: tuple[int, int], size: int) -> tuple[slice, slice]:
    """A box (x, y, width, height) of a photo of (width, height), as `Photos` pads and scales it."""
    scale = size / max(shape)
    margins = [round((size - max(1, round(side * scale))) / 2) for side in shape]
    start = np.add(margins, np.multiply(box[:2], scale))
    first = start.astype(int).clip(0, size - 1)
    last = np.ceil(start + np.multiply(box[2:], scale)).astype(int).clip(first + 1)
    return slice(first[1], last[1]), slice(first[0], last[0])


def _mask(
    boxes: list[Any], size: int, item: int, attribute: str, kind: str
) -> Bool[ndarray, "height width"]:
    require(kind == "part", f"kind: {kind!r} is not known of Fashionpedia; it has 'part'")
    mask = np.zeros((size, size), bool)
    for box in boxes[item].get(attribute, ()):
        mask[box] = True
    return mask


# Source -> what loads it.
LOADERS = {"ut-zap50k": ut_zap50k, "fashionai": fashionai, "fashionpedia": fashionpedia}
