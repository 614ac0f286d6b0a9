"""Photos as the world has them: read when they are asked for, from files or from an archive.

`Photos` are the `Images` of a catalogue. A photo that is missing or damaged does not stop a run
over a hundred thousand: a blank picture stands in for it, one warning counts them, and `unreadable`
says which and why. What looks at pictures has nothing to see on a blank one (`saers.extract` gives
it no attribute). If most cannot be read, something else is wrong, and that is an error. An archive
is opened once a process, for to read its list takes as long as to read a hundred photos; a pickle
or a fork takes the photos along, and opens it again.

All decoding is `_decoded`: upright, on white, eight bits a channel, a square. `from_pictures` makes
a data set of a folder or a table of one's own pictures.
"""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pandas as pd
from jaxtyping import Int, UInt8
from numpy import ndarray
from PIL import Image, ImageOps

from explainrec_lab.data import contracts
from explainrec_lab.data.archives import AS_TEXT, contents, opened
from explainrec_lab.data.contracts import Dataset, Schema, check_columns, check_filled, require
from explainrec_lab.data.frames import from_frames

Where = str | Path

# Value of the pixels of a stand-in, of what fills a photo up to a square, and under transparency.
BLANK = 255
# What is read: no format for which Pillow starts another program, as it does for PostScript.
FORMATS = ("AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
# Pixels of the largest picture that is decoded (a JPEG is read at a fraction of its size).
MOST_PIXELS = 2**26
# Why a share of pictures is judged: so many were tried, or all.
ENOUGH = 100
# Tags of TIFF.
BITS, WHITE_IS_0 = 0x0102, 0x0106


class Photos:
    """Pictures by item id, each padded to a square of `size` pixels.

    A file whose ending is written in the other case, or whose path has backslashes, is found.

    Args:
        paths: one file an item, in id order; with `archive`, names of its members.
        size: pixels of a picture's side.
        archive: a zip archive that holds the photos, or one an item.
        tolerated: share of pictures that may be unreadable, in 0..1; judged once all were tried,
            or a hundred.

    Attributes:
        unreadable: item -> why its photo could not be read, for those tried so far.

    Raises:
        ValueError: a size below 1, an item without a path or an archive, or, when pictures are
            asked for, more unreadable ones than tolerated.
    """

    def __init__(
        self, paths: Sequence[Where], size: int = 224, *,
        archive: Where | Sequence[Where] | None = None, tolerated: float = 0.5,
    ) -> None:  # fmt: skip
        require(size >= 1, f"size: {size} pixels must be at least 1")
        for item, path in enumerate(paths):
            right = isinstance(path, (str, Path)) and str(path).strip()
            require(right, f"paths: row {item} has {path!r}, which is no path of a file")
        self.paths, self.size = [Path(path) for path in paths], size
        several = [archive] if isinstance(archive, str | Path | None) else list(archive)
        told = f"archive: {len(several)} archives for {len(paths)} items; give one, or one an item"
        require(len(several) in (1, len(paths)), told)
        self.archives = [None if each is None else Path(each) for each in several]
        self.tolerated, self.unreadable = tolerated, dict[int, str]()
        self._tried, self._told = np.zeros(len(self), bool), False
        self._opened: tuple[int, dict[Path, ZipFile]] = 0, {}  # a process, and its handles

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, items: Any) -> UInt8[ndarray, "*item 3 size size"]:
        """Pictures of one item (an int) or several (a slice or ids)."""
        asked = np.arange(len(self))[items] if isinstance(items, slice) else items
        pictures = self._stack(contracts.check_ids("items", asked, len(self), "item"))
        return pictures[0] if np.ndim(asked) == 0 else pictures

    def _stack(self, items: ndarray) -> UInt8[ndarray, "item 3 size size"]:
        """Raises DataNotFound or ValueError for the archive as a whole: see `opened`."""
        pictures = np.full((len(items), 3, self.size, self.size), BLANK, np.uint8)
        archives = [self._archive(item) for item in items.tolist()]

        def read(row: int, path: Any) -> None:
            pictures[row] = _decoded(self.source(path, archives[row]), self.size)

        self.each(items, read)
        return pictures

    def source(self, path: Any, archive: ZipFile | None = None) -> Path | BytesIO:
        """The file of a path, or the member of an archive: as written, else in another spelling."""
        if archive is not None:
            name = path.as_posix()
            return BytesIO(contents(archive, name if name in archive.NameToInfo else name.lower()))
        other = Path(str(path).replace("\\", "/"))
        endings = [other.with_suffix(each) for each in (other.suffix.lower(), other.suffix.upper())]
        found = next((each for each in (path, other, *endings) if each.is_file()), None)
        require(found, "no such file")
        return found or path

    def _archive(self, item: int) -> ZipFile | None:
        """An item's archive, open in this process: who shares a handle would share its place."""
        if self._opened[0] != os.getpid():
            self._opened = os.getpid(), {}
        home = self.archives[item % len(self.archives)]  # its own, or that of all
        handles = self._opened[1]
        if home and (home not in handles or handles[home].fp is None):
            handles[home] = opened(home, f"{home.name} is not in the folder {home.parent}")
        return handles[home] if home else None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_opened": (0, {})}

    def each(self, items: ndarray, do: Callable[[int, Path], Any]) -> None:
        """Do something with the path of each item, and report what failed.

        Raises:
            ValueError: it failed for more than `tolerated`.
        """
        for row, item in enumerate(items.tolist()):
            path = self.paths[item]
            try:
                do(row, path)
                self.unreadable.pop(item, None)
            except Exception as error:  # Pillow raises anything over damaged files
                why = str(error).removeprefix(f"{path}: ").split(" <_io")[0]
                self.unreadable[item] = f"{path}: {why or type(error).__name__}"
        self._tried[items] = True
        bad, tried = len(self.unreadable), int(self._tried.sum())
        some = "; ".join(f"row {item}, {why}" for item, why in [*self.unreadable.items()][:3])
        told = f"images: {bad} of {tried} pictures cannot be read ({some})"
        right = bad <= self.tolerated * tried or tried < min(len(self), ENOUGH)
        require(right, f"{told}, more than {self.tolerated:.0%}: mend paths or `tolerated`")
        if bad and not self._told:
            warnings.warn(f"{told}: blank here; `unreadable` names all", stacklevel=4)
            self._told = True


class PhotosInFile(Photos):
    """Photos that lie as they are inside one large file.

    Args:
        file: what holds them.
        places: int64 `[item, 2]`, where each begins and its length, in bytes.
    """

    def __init__(self, file: Path, places: Int[ndarray, "item 2"], size: int = 224) -> None:
        super().__init__([], size)
        self.file, self._tried = file, np.zeros(len(places), bool)
        self.paths = places  # type: ignore[assignment]

    def source(self, place: Any, archive: ZipFile | None = None) -> BytesIO:
        """The bytes at one of `places`."""
        with self.file.open("rb", buffering=0) as file:
            file.seek(place[0])
            return BytesIO(file.read(place[1]))


# ------------------------------------------------------------------------- decoding


def _decoded(source: Path | BytesIO, size: int) -> UInt8[ndarray, "3 size size"]:
    """One picture upright, on white, in the middle of a square; of several frames the first.

    Raises:
        ValueError: too many pixels, or values of unknown scale; whatever Pillow raises.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of entries that are not needed here
        with Image.open(source, formats=FORMATS) as photo:
            photo.draft(None, (2 * size, 2 * size))
            told = f"{(pixels := photo.width * photo.height)} pixels, more than {MOST_PIXELS}"
            require(pixels <= MOST_PIXELS, f"{told}: make it smaller")
            photo.load()
            with suppress(Exception):  # turned, though of damaged entries it raises anything
                ImageOps.exif_transpose(photo, in_place=True)
            shown = _eight_bits(photo).convert("RGBA")
    scale = size / max(shown.size)
    width, height = (max(1, round(side * scale)) for side in shown.size)
    square = Image.new("RGB", (size, size), (BLANK,) * 3)
    shown = shown.resize((width, height), Image.Resampling.BICUBIC)
    square.paste(shown, (round((size - width) / 2), round((size - height) / 2)), shown)
    return np.asarray(square).transpose(2, 0, 1)


def _eight_bits(photo: Image.Image) -> Image.Image:
    """Greys of 16 bits or of floats in eight: white is 255 or 65535, whichever holds all; or 1 of
    floats.

    Raises:
        ValueError: values that are negative, nan or beyond 65535.
    """
    if photo.mode not in ("I", "F") and not photo.mode.startswith("I;16"):
        return photo
    grey, tags = np.array(photo, np.float32), getattr(photo, "tag_v2", {})  # of TIFF
    most = 4095 if tags.get(BITS) == (12,) else 65535
    if isinstance(clear := photo.info.get("transparency"), int):
        grey[grey == clear] = most
    low, high = float(grey.min()), float(grey.max())
    whites = (1, 255, most) if photo.mode == "F" else (255, most)
    white = next((w for w in whites if w >= high), most)
    told = f"greys from {low:g} to {high:g}: save it with eight bits a channel"
    require(0 <= low <= high <= white, told)
    grey = (grey if tags.get(WHITE_IS_0) != 0 else white - grey) * (255 / white)
    return Image.fromarray(grey.round().astype(np.uint8))


# ------------------------------------------------------------------------- one's own pictures


def from_pictures(
    pictures: Where | pd.DataFrame,
    attributes: str | Sequence[str] | Mapping[str, Sequence[str]] = (),
    *, folder: Where | None = None, path: str = "path",
    events: pd.DataFrame | None = None, size: int = 224,
) -> Dataset:  # fmt: skip
    """A `Dataset` of your own pictures, with attributes in words and, maybe, purchases.

    Args:
        pictures: a folder, whose sub-folders are the categories of its pictures; or a table (or
            the CSV file of one) with a column of paths and maybe `item` (default: the path),
            `title` (default: the file's name) and `category`.
        attributes: columns that hold words. A word's code is its place among the column's sorted
            words, or, in `{column: words}`, among the words given; the data set's schema keeps and
            prints this. Capitals and blanks around a word don't count; '-' means that the
            attribute does not apply.
        folder: where the paths of a table begin; by default at the CSV file, or here.
        path: name of the column of paths.
        events: see `from_frames`; an item's id is its `item`.
        size: pixels of a picture's side.

    Raises:
        ValueError: no pictures, a missing column, a row without a path or a word, a word that is
            not among those given, more pictures missing than `Photos` tolerates; see `from_frames`.
    """
    table, home = _listed(pictures, folder, path)
    columns = [attributes] if isinstance(attributes, str) else attributes
    require(len(table), "pictures: the table has no rows")
    check_columns("pictures", table, [path, *columns])
    check_filled("pictures", table[[path]], "write the file's path, or drop the row")
    seen = _in_codes(table, columns)
    photos = Photos([Path(home, each) for each in table[path]], size)
    photos.each(np.arange(len(photos)), lambda row, path: photos.source(path))
    usual = {"item": table[path], "title": [each.stem for each in photos.paths], "category": "-"}
    items = table.assign(**{c: x for c, x in usual.items() if c not in table})
    nothing = pd.DataFrame(columns=["user", "item"])
    given = nothing if events is None else events
    return from_frames(given, items=items, name="pictures", images=photos, **seen)


def _listed(pictures: Any, folder: Where | None, path: str) -> tuple[pd.DataFrame, Path]:
    """One row a picture, and where its path begins."""
    if isinstance(pictures, pd.DataFrame):
        return pictures.reset_index(drop=True), Path(folder or "")
    home = Path(pictures)
    if home.is_file():
        try:
            return pd.read_csv(home, **AS_TEXT), Path(folder or home.parent)
        except UnicodeDecodeError:
            raise ValueError(f"pictures: {home} is not in UTF-8; save it as 'CSV UTF-8'") from None
    kinds = {ending for ending, kind in Image.registered_extensions().items() if kind in FORMATS}
    found = (each.relative_to(home) for each in home.rglob("[!.]*"))
    some = sorted(each.parts for each in found if each.suffix.lower() in kinds)
    rows = [("/".join(parts), parts[0] if len(parts) > 1 else "-") for parts in some]
    require(rows, f"pictures: {home} is no folder with pictures, and no CSV file")
    return pd.DataFrame(rows, columns=[path, "category"]), home


def _in_codes(table: pd.DataFrame, attributes: Any) -> dict[str, Any]:
    """Words as `attributes`, with the `schema` that says which is which; empty without any."""
    classes, labels = {}, {}
    for name in attributes:
        words = table[name].astype("string").str.strip().replace("", None)
        check_filled("pictures", words.to_frame(), "write '-' where it does not apply")
        found = sorted(set(words) - {"-"}, key=lambda word: (word.casefold(), word))
        first: dict[str, str] = {}
        for word in attributes[name] if isinstance(attributes, Mapping) else found:
            first.setdefault(word.strip().casefold(), word.strip())
        labels[name] = words.str.casefold().map(first | {"-": ""})
        choose = f"choose from {', '.join(first.values())}, or '-' where it does not apply"
        for row in np.flatnonzero(labels[name].isna()):
            raise ValueError(f"pictures: row {row} has {name} {words[row]!r}; {choose}")
        classes[name] = tuple(first.values())
    if not classes:
        return {}
    # -1 where there is no label
    codes = [pd.Index(classes[name]).get_indexer(labels[name]) for name in classes]
    return {"schema": Schema(classes), "attributes": np.stack(codes, 1).astype(np.int64)}
