"""H&M: two years of purchases of a fashion shop, with a photo of each article.

The archive holds `articles.csv`, `transactions_train.csv` and `images/<first 3 digits>/
<article_id>.jpg`. It lies under the data folder as Kaggle gives it; getting it needs an account
there, so nothing is downloaded here. Names of columns stand in `hm.toml`.
Source: H&M Personalized Fashion Recommendations, 2022; terms: non-commercial.
"""

from datetime import date
from pathlib import Path

import pandas as pd

from explainrec_lab.data.archives import opened, table
from explainrec_lab.data.contracts import Dataset, check_filled
from explainrec_lab.data.frames import from_frames, with_enough
from explainrec_lab.data.photos import Photos
from explainrec_lab.data.store import data_dir, table_beside

HM = table_beside(__file__)


def path() -> Path:
    """Where the archive belongs."""
    return data_dir() / "hm" / HM["archive"]


def load(size: int = 224, min_purchases: int = 5) -> Dataset:
    """Customers x articles; each pair once, with its first day and `value`, how often.

    Time is in days since 1970. Article numbers have ten digits: zeros that a program took from
    their front come back. Items have the columns `group`, `colour` and `description`; item
    features: group and colour. Photos are read from the archive when they are asked for.

    Args:
        size: pixels of a picture's side.
        min_purchases: leave out customers who bought fewer different articles (SAERS, §4.1).

    Raises:
        DataNotFound: the archive is not here; the message is the steps that bring it.
        ValueError: a damaged archive, a missing file or column in it, a date that is none, a
            purchase without a customer, day or known article, or nobody with so many purchases.
    """
    with opened(path(), HM["steps"].format(path=path())) as file:
        articles = table(file, "articles.csv", list(HM["articles"])).rename(columns=HM["articles"])
        purchases = table(file, "transactions_train.csv", list(HM["purchases"]))
    check_filled("articles.csv", articles[["item"]], "fetch it again")
    articles = articles.assign(item=_ten_digits(articles.item))
    return from_frames(
        _events(purchases.rename(columns=HM["purchases"]), min_purchases),
        items=articles,
        item_columns={"group": "group", "colour": "colour"},
        name="hm",
        images=Photos([f"images/{i[:3]}/{i}.jpg" for i in articles.item], size, archive=path()),
    )


def _ten_digits(numbers: pd.Series) -> pd.Series:
    """Articles' numbers as the photos have them: 108775015 and 108775015.0 are 0108775015."""
    return numbers.str.removesuffix(".0").str.zfill(10)


def _days(day: str) -> int:
    """Since 1970. Raises ValueError for what is no date, such as 'NaT'."""
    try:
        return (date.fromisoformat(day) - date(1970, 1, 1)).days
    except ValueError:
        told = f"t_dat: {day!r} is no date such as 2020-09-22; mend or drop the row"
        raise ValueError(f"transactions_train.csv: {told}") from None


def _events(purchases: pd.DataFrame, min_purchases: int) -> pd.DataFrame:
    """One row a customer and article, of customers with enough articles."""
    check_filled("transactions_train.csv", purchases, "fetch it again")
    days = {day: _days(day) for day in purchases.day.unique()}
    said = {"time": purchases.day.map(days).astype("int64"), "item": _ten_digits(purchases.item)}
    grouped = purchases.assign(**said).groupby(["user", "item"])["time"]
    events = grouped.agg(time="min", value="size").reset_index()
    return with_enough(events, min_purchases)
