"""The one door to data: `load(name)`, and `available()`, which tells what lies behind it."""

import inspect
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from explainrec_lab.data import amazon, boutique, completejourney, dvbpr, hm, labels, movielens
from explainrec_lab.data.contracts import Dataset, require
from explainrec_lab.data.store import table_beside

# What is told of each.
TABLE = table_beside(__file__)
# name -> what loads it, where its file lies if it has one, and its card.
SOURCES: dict[str, tuple[Callable[..., Dataset], Callable[[], Path] | None, dict[str, str]]] = {
    "boutique": (boutique.load, None, TABLE["boutique"]),
    "completejourney": (completejourney.load, None, TABLE["completejourney"]),
    "hm": (hm.load, hm.path, TABLE["hm"]),
    "amazon": (amazon.load, amazon.path, TABLE["amazon"]),
}
SOURCES |= {
    name: (it, partial(labels.path, name), TABLE[name]) for name, it in labels.LOADERS.items()
}
# Loaders of several data sets each: how their names begin, and what is known of each.
for _loader, _begins, _card, _known in (
    (movielens, "movielens-", "movielens", movielens.RELEASES),
    (dvbpr, "", "dvbpr", dvbpr.DVBPR["files"]),
):
    for _name, _about in _known.items():
        _told = {word: text.format(**_about) for word, text in TABLE[_card].items()}
        SOURCES[_begins + _name] = partial(_loader.load, _name), partial(_loader.path, _name), _told


def load(name: str, **size: Any) -> Dataset:
    """Load one source by name.

    Args:
        name: one of `available()`; GroupLens's own names, such as 'ml-1m', do as well.
        size: the source's own size arguments, such as `items=200` for the boutique.

    Raises:
        ValueError: an unknown name, a size argument the source does not have, or a registered
            loader that returns something else than a `Dataset`.
        DataNotFound: the source is not on this machine; the message says how to get it.
    """
    known = name if name in SOURCES else re.sub("^ml-", "movielens-", str(name))
    require(known in SOURCES, f"name: no data source {name!r}; choose from {', '.join(SOURCES)}")
    source = SOURCES[known][0]
    takes = inspect.signature(source).parameters
    for argument in size.keys() - takes.keys():
        told = ", ".join(takes) or "none"
        raise ValueError(f"{argument}: {name} has no such size argument; it takes {told}")
    if not isinstance(found := source(**size), Dataset):
        kind = type(found).__name__
        raise ValueError(f"{name}: its loader returned {kind}, no Dataset; from_frames makes one")
    return found


def register(name: str, loader: Callable[..., Dataset], replace: bool = False) -> None:
    """Put your own data behind `load`, so that every page runs on it.

    Args:
        loader: returns the data; its arguments are what `load` takes beside the name.
        replace: put it in the place of a source of the same name.

    Raises:
        ValueError: a name that is taken or empty, or a loader that cannot be called.
    """
    require(callable(loader), f"loader: {loader!r} cannot be called; give the function that loads")
    if not (isinstance(name, str) and name) or (name in SOURCES and not replace):
        taken = "is taken; choose another or pass replace=True" if name else "must be some text"
        raise ValueError(f"name: {name!r} {taken}")
    SOURCES[name] = (loader, None, TABLE["registered"])


def available() -> pd.DataFrame:
    """One row a source: how large it is, its terms, how it arrives and whether it is here."""
    rows = {
        name: card | {"on this machine": path is None or path().is_file()}
        for name, (_, path, card) in SOURCES.items()
    }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.rename(columns={"arrives": "how it arrives"})
