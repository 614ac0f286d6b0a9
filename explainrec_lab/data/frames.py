"""Any shop's tables as a `Dataset`: original ids in, contiguous ids out.

Every source that reads a table passes through here, and so can your own purchases. What the
columns are called is known where files agree (`USUAL`), said where it was guessed, and asked where
it is not clear; nothing is dropped, merged or rounded on the way.
"""

import re
import warnings
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int
from numpy import ndarray

from explainrec_lab.data import contracts
from explainrec_lab.data.contracts import Catalogue, Dataset, Features, Interactions, check_columns
from explainrec_lab.data.store import table_beside

# What files call a column, without capitals, spaces and signs.
USUAL = table_beside(__file__)

# What events count without these columns.
ABSENT = {"value": "each event counts 1", "time": "all are 0"}


def from_frames(
    events: pd.DataFrame,
    *,
    user: Hashable | None = None,
    item: Hashable | None = None,
    value: Hashable | None = None,
    time: Hashable | None = None,
    items: pd.DataFrame | None = None,
    users: pd.DataFrame | None = None,
    item_columns: dict[str, str] | None = None,
    user_columns: dict[str, str] | None = None,
    item_sets: dict[str, str] | None = None,
    name: str = "frames",
    notes: Sequence[str] = (),
    **catalogue: Any,
) -> Dataset:
    """A `Dataset` from tables with original ids: text or whole numbers.

    The dataset's `notes` say which columns were taken as what, and which were not used; a warning
    names those of `events`, for they may have been meant.

    Args:
        events: one row an event: user, item, maybe when (`time`) and how strong (`value`).
        user, item, value, time: names of these columns; without, 'user', ... or a usual name such
            as 'userId', 'movie_id', 'rating', 'timestamp'. Without a value each event counts 1.
            Whole numbers stay as they are; dates (pandas, Python or ISO 8601; UTC if they do not
            say) become seconds since 1970, or the largest of ms, us and ns that loses nothing.
        items: column `item`, maybe `title` and `category`; default: the items of `events`. An item
            without a title is called by its id.
        users: column `user`; default: the users of `events`.
        item_columns, user_columns: table column -> word in the name of its binary features: see
            `Features.from_columns`.
        item_sets: the same for columns that hold several values: see `Features.from_sets`.
        notes: what else the dataset shall say of how it was read; comes first.
        catalogue: what else is known of the items, in the order of `items`: `images`, `attributes`
            with `schema`, `masks`, `labelled`, as in `Catalogue`.

    Raises:
        ValueError: a missing or ambiguous column, a missing or repeated id, ids of several types
            or of floats that may have merged, an event whose user or item is in no table, a value
            that is no finite number, a time that is no date and no whole number.
    """
    check_columns("events", events, [])
    taken = _taken(events, {"user": user, "item": item, "value": value, "time": time})
    ids = {role: _ids("events", events[taken[role]]) for role in ("user", "item")}
    item_table = _titled(_table("items", "item", items, ids["item"]))
    user_table = _table("users", "user", users, ids["user"])
    sets = (item_sets or {}, item_columns or {}, user_columns or {})
    check_columns("items", item_table, [*sets[0], *sets[1]])
    check_columns("users", user_table, list(sets[2]))
    features = [Features.from_sets(item_table[column], word) for column, word in sets[0].items()]
    value_of = events[taken["value"]] if "value" in taken else pd.Series(1, events.index)
    when, unit = _times(events[taken["time"]] if "time" in taken else pd.Series(0, events.index))
    interactions = Interactions(
        user=_positions("user", ids["user"], user_table["original_id"]),
        item=_positions("item", ids["item"], item_table["original_id"]),
        time=when,
        value=contracts.numbers("events", value_of),
        users=user_table,
        n_items=len(item_table),
        user_features=Features.from_columns(user_table, sets[2]),
        item_features=Features.joined([Features.from_columns(item_table, sets[1]), *features]),
    )
    said = [f"{role} is {column!r}" for role, column in taken.items() if role != column] + [unit]
    said += [f"no {role}, so {why}" for role, why in ABSENT.items() if role not in taken]
    unused = [str(column) for column in events if column not in taken.values()]
    said += [f"not used: {', '.join(unused)}"] if unused else []
    taken_as = [f"events: {'; '.join(filter(None, said))}"] if any(said) and len(events) else []
    if unused and taken_as:
        warnings.warn(taken_as[0], stacklevel=2)
    notes = [*notes, *taken_as]
    for word, table in (("items", item_table), ("users", user_table)):
        known = ["original_id", "title", "category", *(key for each in sets for key in each)]
        if rest := [str(column) for column in table if column not in known]:
            notes.append(f"{word}: no features from {', '.join(rest)}")
    return Dataset(name, Catalogue(item_table, **catalogue), interactions, notes=tuple(notes))


def with_enough(events: pd.DataFrame, min_purchases: int) -> pd.DataFrame:
    """The events of users who have at least so many. Raises a ValueError where nobody has."""
    count = events.groupby("user")["item"].transform("size").to_numpy()
    told = f"min_purchases: {min_purchases} leaves no user; the most is {count.max(initial=0)}"
    contracts.require((count >= min_purchases).any(), told)
    return events[count >= min_purchases].reset_index(drop=True)


def _taken(events: pd.DataFrame, asked: dict[str, Hashable | None]) -> dict[str, Hashable]:
    """Role -> the column of `events` that plays it, for those that have one."""
    found = {role: _column("events", events, role, given) for role, given in asked.items()}
    taken = {role: column for role, column in found.items() if column is not None}
    if missing := [role for role in ("user", "item") if role not in taken]:
        has, say = ", ".join(map(str, events)), f"say which is, as {missing[0]}='...'"
        raise ValueError(f"events: missing column {missing[0]}; needs user, item, has {has}; {say}")
    if len(set(taken.values())) < len(taken):
        raise ValueError(f"events: one column was named for two things: {taken}")
    return taken


def _column(name: str, table: pd.DataFrame, role: str, given: Hashable = None) -> Hashable | None:
    """The column of a table that plays a role: the given one, that of the same name, or the one
    with a usual name. Raises a ValueError if it is not there, or if several may be meant."""
    if given is not None or role in table.columns:
        check_columns(f"{role}: {name}", table, [role if given is None else given])
        return role if given is None else given
    plain = {column: re.sub(r"[\W_]", "", str(column).lower()) for column in table.columns}
    usual = [column for column, word in plain.items() if word in (role, *USUAL[role])]
    ids = [column for column in usual if plain[column].endswith("id")]
    if len(usual) > 1 and len(ids) != 1:
        many = " and ".join(repr(column) for column in usual)
        raise ValueError(f"{name}: {many} may be the {role}; rename the one that is to {role!r}")
    return next(iter(ids or usual), None)


def _ids(name: str, ids: pd.Series) -> pd.Series:
    """Original ids, all text or all whole numbers. Raises a ValueError that says what is not."""
    contracts.check_filled(name, ids.to_frame(), "drop rows without an id first")
    if isinstance(ids.dtype, pd.CategoricalDtype):
        ids = ids.astype(ids.cat.categories.dtype)
    kind, told = pd.api.types.infer_dtype(ids, skipna=False), f"{name}: column {ids.name!r}"
    if kind == "floating":  # pandas makes them of a column that once had gaps
        return pd.Series(contracts.numbers(name, ids, whole=True), name=ids.name)
    if kind not in ("string", "integer", "empty"):
        raise ValueError(f"{told} holds ids of the type {kind}; .astype(str) makes text of them")
    if blank := [each for each in ids.unique() if contracts.worded(each) is None]:
        row = int((ids == blank[0]).to_numpy().argmax())
        raise ValueError(f"{told}: row {row} has no id but {blank[0]!r:.60}; drop such rows first")
    return ids


def _table(name: str, role: str, given: pd.DataFrame | None, ids: pd.Series) -> pd.DataFrame:
    """The table of users or items, one row an id, with the id under `original_id`."""
    if given is None:
        return pd.DataFrame({"original_id": sorted(ids.unique())}, dtype=ids.dtype)
    check_columns(name, given, [])
    key = ids.name if ids.name in given.columns else _column(name, given, role)
    check_columns(name, given, [role if key is None else key])
    known = _ids(name, given[key])
    if len(repeated := known[known.duplicated()]):
        told = f"{name}: id {repeated.tolist()[0]!r:.60}"
        raise ValueError(f"{told} stands in {len(repeated) + 1} rows")
    table = given.rename(columns={key: "original_id"}).reset_index(drop=True)
    check_columns(name, table, ["original_id"])
    return table.assign(original_id=known.to_numpy())


def _titled(items: pd.DataFrame) -> pd.DataFrame:
    """Every item with a title and a category of text: without a title it is called by its id."""
    usual = {"title": items["original_id"], "category": pd.Series("-", index=items.index)}
    for role, otherwise in usual.items():
        column = _column("items", items, role)
        given = otherwise if column is None else items[column]
        text = given.map(str).map(contracts.worded).fillna(otherwise.map(str)).astype(str)
        items = items.rename(columns={column: role}).assign(**{role: text})
    return items


def _times(column: pd.Series) -> tuple[Int[ndarray, " event"], str]:
    """Whole numbers as they are, dates in the largest unit that cuts nothing off; and the unit."""
    contracts.check_filled("events", column.to_frame(), "fill it or drop the row first")
    kind = pd.api.types.infer_dtype(column, skipna=False)
    if kind == "string" and pd.to_numeric(column, errors="coerce").notna().all():
        kind = "integer"
    if kind not in ("string", "datetime64", "datetime", "date"):
        return contracts.numbers("events", column, whole=True), ""
    text = column.astype(str)
    zoned = text.str.contains(r":\d\d(?:\.\d+)?\s*(?:Z|[+-]\d\d(?::?\d\d)?)$")
    form = "ISO8601" if kind == "string" else None
    dates = pd.to_datetime(column, utc=True, errors="coerce", format=form).dt.tz_convert(None)
    bad = dates.isna() | ~text.str.match(r"\s*\d{4}-\d\d") | (zoned != zoned.head(1).any())
    if bad.any():
        row, told = int(bad.to_numpy().argmax()), f"events: column {column.name!r}"
        needs = "ISO dates such as 2024-03-31, all with a time zone or all without"
        way = "pandas.to_datetime reads many other spellings"
        raise ValueError(f"{told} must hold {needs}; row {row} is {text.iloc[row]!r:.60}: {way}")
    kinds = {unit: dates.astype(f"datetime64[{unit}]") for unit in ("s", "ms", "us", "ns")}
    unit = next(unit for unit, cut in kinds.items() if (cut == dates).all())
    return kinds[unit].astype(np.int64).to_numpy(), f"time in {unit} since 1970"


def _positions(role: str, ids: pd.Series, table: pd.Series) -> Int[ndarray, " event"]:
    """Row of each id in its table."""
    position = pd.Index(table).get_indexer(pd.Index(ids))
    if (position < 0).any():
        missing = ids[position < 0].tolist()[0]
        types = "" if ids.dtype == table.dtype else f" (of {table.dtype}, events of {ids.dtype})"
        raise ValueError(f"events: {role} {missing!r:.60} is not in the table of {role}s{types}")
    return position.astype(np.int64)
