"""Where data lives on disk, and how a file gets there whole or not at all.

`EXPLAINREC_DATA` names the folder of real data; without it, the user's cache. Generated data
(boutique renders) always goes to the cache, under a key made from what was asked for. A file
appears under its final name only when it is complete.

`results` reads what `python -m experiments NAME` measured, as a table with real columns.
"""

import hashlib
import json
import os
import tempfile
import time
import tomllib
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pooch
from filelock import FileLock
from numpy import ndarray
from scipy import sparse


class DataNotFound(FileNotFoundError):
    """A source is not on this machine; the message is the steps that bring it here."""


def cache_dir() -> Path:
    """Folder for what the package generates: `EXPLAINREC_CACHE`, else the user's cache.

    Who has no home gets a folder beside the system's temporary files.
    """
    with suppress(RuntimeError):
        given = os.environ.get("EXPLAINREC_CACHE") or pooch.os_cache("explainrec_lab")
        return Path(given).expanduser()
    return Path(tempfile.gettempdir()) / f"explainrec_lab-{os.getuid()}"


def data_dir() -> Path:
    """Folder of real data: `EXPLAINREC_DATA`, else `data` in the user's cache."""
    given = os.environ.get("EXPLAINREC_DATA")
    if given and not Path(given).is_dir():
        raise DataNotFound(f"EXPLAINREC_DATA={given!r} is not a folder: create it or unset it")
    return Path(given) if given else cache_dir() / "data"


def table_beside(module: str | Path) -> dict[str, Any]:
    """The table in TOML that stands beside a module, whose `__file__` is given."""
    return tomllib.loads(Path(module).with_suffix(".toml").read_text(encoding="utf-8"))


def content_key(**asked: Any) -> str:
    """A short key that changes whenever anything in `asked` does (JSON-serialisable values)."""
    text = json.dumps(asked, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest(*matrices: sparse.csr_array) -> str:
    """A short key that changes with any entry of these matrices."""
    seen = hashlib.sha256()
    for matrix in matrices:
        seen.update(repr(matrix.shape).encode())
        for part in (matrix.indptr, matrix.indices, matrix.data):
            seen.update(np.ascontiguousarray(part).astype(np.int64).tobytes())
    return seen.hexdigest()[:16]


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it to `path` only if the block succeeds.

    A crash leaves at most a `.part` file; those older than a day are removed on the way.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for stale in path.parent.glob(f".{path.name}.*.part"):
        with suppress(OSError):  # another process's broom, or another user's file
            if time.time() - stale.stat().st_mtime > 86_400:  # a day
                stale.unlink()
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def download(url: str, path: Path, check: Callable[[Path], Any]) -> None:
    """Fetch a file; it appears under its name only when `check` lets it pass.

    Raises:
        OSError: it could not be fetched, or not be written; and whatever `check` raises.
    """
    with whole_file(path) as part:
        pooch.HTTPDownloader(progressbar=True)(url, str(part), None)
        check(part)


def kept(path: Path, make: Callable[[], Mapping[str, ndarray]]) -> dict[str, ndarray]:
    """The arrays that `path` keeps; where it keeps none, what `make` makes, which is then kept.

    Safetensors, and the SHA-256 of the file's name and content: one that is damaged, or another's,
    is told and made again. Several processes may ask: one makes, the others wait and read; in a
    folder that may only be read, nobody waits. Where nothing can be written, a warning says so, and
    what was made is not lost.
    """
    from safetensors.numpy import load, save

    with ExitStack() as held:
        with suppress(OSError, NotImplementedError):
            path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(FileLock(path.with_name(f".{path.name}.lock")))
        if (content := unsealed(path)) is not None:
            return load(content)
        with suppress(OSError):
            path.stat()
            warnings.warn(f"{path} is damaged: it is made again", stacklevel=2)
        made = {name: np.asarray(array, order="C") for name, array in make().items()}
        try:
            seal(path, save(made))
        except OSError as error:
            told = "free some space there, or name another folder in EXPLAINREC_CACHE"
            warnings.warn(f"{path} could not be kept ({error.strerror}): {told}", stacklevel=2)
        return made


def seal(path: Path, content: bytes) -> None:
    """Write a file whole, and behind its content the SHA-256 of its name and content."""
    with whole_file(path) as part:
        part.write_bytes(content + _sum(path, content))


def unsealed(path: Path) -> bytes | None:
    """The content of a sealed file; None if there is none, or it is damaged or another's."""
    with suppress(OSError):
        whole = path.read_bytes() if path.is_file() else b""
        content, end = whole[:-32], whole[-32:]
        return content if end == _sum(path, content) else None
    return None


def _sum(path: Path, content: bytes) -> bytes:
    return hashlib.sha256(path.name.encode() + content).digest()


# -------------------------------------------------------------------------- recorded results


FOLDER = Path(__file__).parents[1] / "results"  # part of the package: it is there in Colab too
WORDS = (
    *("data", "method", "variant", "measure"),
    *("how", "order", "group", "attribute", "kind", "labels"),
)
NUMBERS = ("k", "d", "purchases", "told", "trial", "user", "n", "classes", "seed")
# What each says stands in `experiments.record`.
COLUMNS = (*WORDS, *NUMBERS, "value", "cost", "settings")


def results(name: str) -> pd.DataFrame:
    """The results of one experiment, a row a measured number; blank where a column says nothing.

    Beside `COLUMNS` there is `name`, method and variant together. `attrs` tells with which version,
    when and on what hardware they were measured, and at which commit their code is if it is gone.

    Raises:
        DataNotFound: no such record.
        ValueError: a damaged one.
    """
    if not (path := FOLDER / f"{name}.json").is_file():
        there = ", ".join(sorted(each.stem for each in FOLDER.glob("*.json")))
        raise DataNotFound(f"name: no record {name!r}; there are {there}")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        blank = dict.fromkeys(WORDS, "")
        rows = [blank | each for each in record.pop("results")]
        table = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"value": float, "cost": float})
        for column in NUMBERS:
            kind = "Int64" if table[column].isna().any() else "int64"
            table[column] = table[column].astype(kind)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}): get it again, or record anew") from error
    table["name"] = (table["method"] + ", " + table["variant"]).str.removesuffix(", ")
    table.attrs = record
    return table
