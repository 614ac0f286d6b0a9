"""Files mutated at random: the right result, or one of the package's own errors; never another.

Each reader gets a whole file first, whose result is known. Then bytes are turned, cut, doubled,
swapped or replaced; what must not happen is another result without a word, a foreign exception, or
a file outside the folder. 40 files a reader; 250 under EXPLAINREC_NIGHTLY=1.
"""

from __future__ import annotations

import json
import shutil
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import build
import numpy as np
import pytest
import torch
from machine import NIGHTLY
from safetensors.torch import save, save_file

from experiments.record import Columns, record
from explainrec_boutique.design import sample
from explainrec_boutique.gallery import Gallery
from explainrec_lab import training, weights
from explainrec_lab.data import DataNotFound, archives, store
from explainrec_lab.vision import backbone
from explainrec_lab.vision.backbone import _check_hash, _network

COUNT = 250 if NIGHTLY else 40


def mutated(whole: bytes, rng: np.random.Generator) -> bytes:
    """One to three small harms, or a large one."""
    content = bytearray(whole)
    for _ in range(int(rng.integers(1, 4))):
        place, length = int(rng.integers(0, len(content) + 1)), int(rng.integers(1, 40))
        kind = rng.integers(0, 8)
        if kind <= 1 and place < len(content):
            content[place] ^= 1 << int(rng.integers(0, 8))
        elif kind == 2:
            content[place : place + length] = rng.bytes(length)
        elif kind == 3:
            del content[place : place + length]
        elif kind == 4:
            content[place:place] = content[:length]
        elif kind == 5:
            content = content[:place]
        elif kind == 6:
            words = (b"NaN", b"Infinity", b"null", b"-1", b"1e999", b"[" * 2000, b"\0", b'"')
            content[place:place] = words[int(rng.integers(len(words)))]
        else:
            content[place : place + length] = bytes(length)
    return bytes(content)


@dataclass
class Reader:
    """A file, how it is read, and the names of which an error tells one."""

    file: Path
    read: Callable[[], Any]
    names: tuple[str, ...] = ()


def kept_model(folder: Path) -> Reader:
    file, model = folder / "m.kept", torch.nn.Linear(3, 2)
    with torch.no_grad():
        model.weight.fill_(2.0), model.bias.fill_(1.0)

    def read() -> Any:
        fresh = torch.nn.Linear(3, 2)

        def learn() -> float:
            fresh.load_state_dict(model.state_dict())
            return 1.0

        training.cached(file, fresh, learn)
        return [part.tolist() for part in fresh.state_dict().values()]

    return Reader(file, read)


def gallery(folder: Path) -> Reader:
    designs = [sample(0, item) for item in range(2)]
    file = Gallery(designs, 32, folder).path
    return Reader(file, lambda: Gallery(designs, 32, folder)[:].tolist())


def kept_arrays(folder: Path) -> Reader:
    arrays = {"features": np.arange(6.0).reshape(2, 3), "asked": np.array([True, False])}
    file = folder / "shop.kept"

    def read() -> Any:
        return {k: v.tolist() for k, v in sorted(store.kept(file, lambda: arrays).items())}

    return Reader(file, read)


def own_weights(folder: Path) -> Reader:
    """Without a checksum, so other numbers may come of it: but finite ones of the right shape."""
    file = folder / "squeezenet1_1.fp16.safetensors"
    save_file({k: v.half() for k, v in _network("squeezenet1_1").state_dict().items()}, file)

    def read() -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EXPLAINREC_WEIGHTS", str(folder))
            found = backbone("squeezenet1_1", weights="imagenet")
        assert all(value.isfinite().all() for value in found.state_dict().values())
        return found.origin

    return Reader(file, read)


def published_weights(folder: Path) -> Reader:
    file = folder / "x.pth"
    torch.save({"a": torch.ones(3)}, file)
    start = build.digest(file.read_bytes())[:8]
    return Reader(file, lambda: _check_hash(file, start))


def package_weights(folder: Path) -> Reader:
    content = save({"weight": torch.ones(2, 2)})
    (folder / "toy.safetensors").write_bytes(content)
    card = {"key": "k", "sha256": build.digest(content), "cpu seconds": 1.0}
    (folder / "toy.json").write_text(json.dumps(card), encoding="utf-8")

    def read() -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(weights, "FOLDER", folder)
            return {name: value.tolist() for name, value in weights.read("toy").items()}

    return Reader(folder / "toy.safetensors", read)


def card(folder: Path) -> Reader:
    return Reader(folder / "toy.json", package_weights(folder).read, ("toy.safetensors",))


def records(folder: Path) -> Reader:
    """Text without a checksum (git has it): other numbers may come of it, but a whole table."""
    rows = [
        Columns(data="toy", method="a", measure="auc", value=0.5, seed=n, k=n) for n in range(3)
    ]
    record("toy", iter(rows), folder)

    def read() -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store, "FOLDER", folder)
            table = store.results("toy")
        assert table["value"].dtype == float and set(store.COLUMNS) <= set(table)

    return Reader(folder / "toy.json", read)


def executed(folder: Path, name: str) -> Reader:
    (folder / "book").mkdir()
    notebook = folder / "book" / "a.ipynb"
    notebook.write_text(json.dumps({"cells": [{"outputs": [1, 2, 3]}]}), encoding="utf-8")
    row = {"key": "k", "seconds": 1.5, "cores": 2, "gpu": False}
    build.record({"book/a.ipynb": row}, folder)

    def read() -> Any:
        """What the build takes as executed; nothing is as right, and is made again."""
        found = build.executed(folder)
        if not found:
            raise ValueError(f"{name} is to be made again")
        return found, notebook.read_bytes()

    return Reader(folder / name, read, (name,))


def archive(folder: Path) -> Reader:
    file = folder / "shop.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a.json", json.dumps({"neck": "round"} | {str(n): n for n in range(40)}))
        opened.writestr("t.csv", "a,b\n" + "1,2\n" * 40)

    def read() -> Any:
        with archives.opened(file, "steps") as inside:
            found = archives.table(inside, "t.csv", ["a", "b"])
            return archives.contents(inside, "a.json"), found.astype(str).to_numpy().tolist()

    return Reader(file, read, ("a.json", "t.csv"))


READERS: dict[str, Callable[[Path], Reader]] = {
    "a kept model": kept_model,
    "kept arrays of a shop": kept_arrays,
    "the gallery": gallery,
    "EXPLAINREC_WEIGHTS": own_weights,
    "torchvision's weights": published_weights,
    "the package's weights": package_weights,
    "the card of weights": card,
    "a record": records,
    "the record of an execution": lambda folder: executed(folder, build.TIMES),
    "an executed notebook": lambda folder: executed(folder, "book/a.ipynb"),
    "an archive": archive,
}


@pytest.mark.parametrize("name", READERS)
def test_a_mutated_file_is_read_right_or_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    reader = READERS[name](folder)
    right = reader.read()
    whole = reader.file.read_bytes()
    rng = np.random.default_rng(len(name))
    refused = 0
    for number in range(COUNT if name != "EXPLAINREC_WEIGHTS" else COUNT // 4):
        reader.file.write_bytes(mutated(whole, rng))
        changed = reader.file.read_bytes() != whole
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                found = reader.read()
            except Exception as error:
                assert type(error) in (ValueError, DataNotFound, FileNotFoundError), number
                assert any(each in str(error) for each in (reader.file.name, *reader.names))
                refused += 1
                continue
        assert found == right, number
        refused += any("damaged" in str(each.message) for each in told) and changed
    assert refused > COUNT / 8, "the files are hardly harmed, or nothing is checked"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    shutil.rmtree(folder)
