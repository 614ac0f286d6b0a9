"""Small files in the true layouts of the third paper's data: writers for tests.

`python_2` pickles as Python 2 did: bytes are strings of eight bits, and each is remembered.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image


def jpeg(shade: int = 90, mode: str = "RGB", size: tuple[int, int] = (24, 32)) -> bytes:
    """A photo of one shade, higher than wide."""
    buffer = io.BytesIO()
    colour = shade if mode == "L" else (shade,) * 3
    Image.new(mode, size, colour).save(buffer, "JPEG")
    return buffer.getvalue()


def drawn(row: int, column: int, side: int = 48) -> bytes:
    """A photo that is black but for a bright square, in one cell of a grid of three."""
    picture = np.zeros((side, side, 3), np.uint8)
    cell = side // 3
    picture[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] = 230
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


# ------------------------------------------------------------------------- DVBPR's pickle


class Python2(pickle._Pickler):  # type: ignore[misc,name-defined]
    """Writes bytes as Python 2 wrote its strings."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def save_bytes(self, value: bytes) -> None:
        short = len(value) < 256
        head = b"U" + bytes([len(value)]) if short else b"T" + struct.pack("<i", len(value))
        self.write(head + value)
        self.memoize(value)

    dispatch[bytes] = save_bytes


def numpy_file(path: Path, parts: Any, protocol: int = 0) -> Path:
    """A NumPy file of any parts; protocol 0 stands for Python 2's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.empty(len(parts), object)
    array[:] = parts
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|O", "fortran_order": False, "shape": array.shape}
        )
        writer = pickle._Pickler(file, protocol) if protocol else Python2(file, 2)  # type: ignore[attr-defined]
        writer.dump(array)
    return path


def six_parts(
    photos: Sequence[bytes], users: Mapping[int, Sequence[int]], **more: Any
) -> list[Any]:
    """The parts of Kang et al.: a user's last two products are for validation and test."""
    said = {u: [{b"productid": i, b"asin": b"B%09d" % i} for i in own] for u, own in users.items()}
    items = {
        i: {b"asin": b"B%09d" % i, b"imgs": photo, b"c": np.eye(6)[i % 6], **more}
        for i, photo in enumerate(photos)
    }
    parts = [{u: own[a:b] for u, own in said.items()} for a, b in ((0, -2), (-2, -1))]
    return [*parts, {u: own[-1:] for u, own in said.items()}, items, len(users), len(photos)]


# ------------------------------------------------------------------------- archives


def archive(path: Path, files: Mapping[str, bytes | str]) -> Path:
    """A zip or tar archive, by the ending of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = {name: each.encode() if isinstance(each, str) else each for name, each in files.items()}
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
            for name, content in raw.items():
                opened.writestr(name, content)
        return path
    with tarfile.open(path, "w") as tar:
        for name, content in raw.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


# ------------------------------------------------------------------------- UT-Zap50K

META = "CID,Category,SubCategory,HeelHeight,Insole,Closure,Gender,Material,ToeStyle"


def zappos(folder: Path, rows: Sequence[str], photos: Mapping[str, bytes] | None = None) -> None:
    """The two archives of UT-Zap50K; rows of `meta-data.csv`, and a photo for each by default."""
    cells = [row.split(",") for row in rows]
    names = [f"{kind}/X/Brand Inc./{number.replace('-', '.')}.jpg" for number, kind, *_ in cells]
    shown = {f"ut-zap50k-images/{name}": jpeg(40 + 20 * n) for n, name in enumerate(names)}
    archive(folder / "ut-zap50k/ut-zap50k-images.zip", shown if photos is None else photos)
    table = "\n".join([META, *rows, ""])
    files = {"ut-zap50k-data/readme.txt": "hello", "ut-zap50k-data/meta-data.csv": table}
    archive(folder / "ut-zap50k/ut-zap50k-data.zip", files)


# ------------------------------------------------------------------------- FashionAI


def fashionai(
    path: Path, rows: Sequence[tuple[str, str]], above: str = "", photos: Any = None
) -> Path:
    """One archive of FashionAI: rows of (attribute's key, letters), a photo each."""
    names = [f"Images/{key}/{path.stem}{n:04d}.jpg" for n, (key, _) in enumerate(rows)]
    said = "".join(f"{n},{key},{word}\n" for n, (key, word) in zip(names, rows, strict=True))
    shown = [jpeg(30 + n % 200) for n in range(len(rows))] if photos is None else photos
    files = {f"{above}Annotations/label.csv": said}
    return archive(path, files | {above + n: each for n, each in zip(names, shown, strict=True)})


# ------------------------------------------------------------------------- Fashionpedia

CATEGORIES = ["shirt, blouse", "collar", "lapel", "sleeve", "neckline"]


def fashionpedia(
    folder: Path, boxes: Sequence[Mapping[str, Sequence[Sequence[float]]]], photos: Sequence[bytes]
) -> None:
    """Fashionpedia's validation part: of each photo, name of a region -> boxes (x, y, w, h)."""
    sizes = [Image.open(io.BytesIO(photo)).size for photo in photos]
    told = {
        "info": {"description": "Fashionpedia"},
        "categories": [{"id": n, "name": name} for n, name in enumerate(CATEGORIES)],
        "attributes": [],
        "images": [
            {"id": 100 + n, "file_name": f"{n:032d}.jpg", "width": size[0], "height": size[1]}
            for n, size in enumerate(sizes)
        ],
        "annotations": [
            {"id": 1, "image_id": 100 + n, "category_id": CATEGORIES.index(name), "bbox": list(box)}
            for n, regions in enumerate(boxes)
            for name, some in regions.items()
            for box in some
        ],
    }
    shown = {f"test/{n:032d}.jpg": photo for n, photo in enumerate(photos)}
    archive(folder / "fashionpedia/val_test2020.zip", shown)
    labels = folder / "fashionpedia/instances_attributes_val2020.json"
    labels.write_text(json.dumps(told))
