"""Any shop's tables as a `Dataset`: original ids in, contiguous ids out.

Every source that reads a table passes through here, and so can your own purchases.
"""

import pandas as pd

from explainrec_lab.data.contracts import (
    Catalogue,
    Dataset,
    Features,
    Interactions,
    check_columns,
    check_filled,
)


def from_frames(
    events: pd.DataFrame,
    *,
    items: pd.DataFrame | None = None,
    users: pd.DataFrame | None = None,
    item_columns: dict[str, str] | None = None,
    user_columns: dict[str, str] | None = None,
    item_sets: dict[str, str] | None = None,
    name: str = "frames",
) -> Dataset:
    """A `Dataset` from tables with original ids of any type.

    Args:
        events: columns `user` and `item`; maybe `time` (integer) and `value` (strength).
        items: column `item`, maybe `title` and `category`; default: the items of `events`.
        users: column `user`; default: the users of `events`.
        item_columns, user_columns: table column -> word in the name of its binary features
            (one feature for each value; a missing value gives none).
        item_sets: the same for columns that hold several values separated by `|`.

    Raises:
        ValueError: a missing column, a repeated id, or an event whose user or item is in no table.
    """
    check_columns("events", events, ["user", "item"])
    check_filled("events", events[["user", "item"]], "drop rows without an id first")
    item_table = _table("items", "item", items, events)
    user_table = _table("users", "user", users, events)
    usual = {"title": item_table["original_id"].astype(str), "category": "-"}
    item_table = item_table.assign(**{c: x for c, x in usual.items() if c not in item_table})
    numbered = events.assign(
        user=_positions("user", events["user"], user_table["original_id"]),
        item=_positions("item", events["item"], item_table["original_id"]),
    )
    check_columns("items", item_table, list(item_sets or {}))
    single = Features.from_columns(item_table, item_columns or {})
    sets = [Features.from_sets(item_table[c], word) for c, word in (item_sets or {}).items()]
    interactions = Interactions.from_frame(
        numbered,
        users=user_table,
        n_items=len(item_table),
        user_features=Features.from_columns(user_table, user_columns or {}),
        item_features=Features.joined([single, *sets]),
    )
    return Dataset(name, Catalogue(item_table), interactions)


def _table(name: str, key: str, given: pd.DataFrame | None, events: pd.DataFrame) -> pd.DataFrame:
    """The table of users or items, one row an id, with the id under `original_id`."""
    if given is None:
        given = pd.DataFrame({key: sorted(events[key].unique())})
    check_columns(name, given, [key])
    repeated = given[key][given[key].duplicated()]
    if len(repeated):
        raise ValueError(f"{name}: id {repeated.tolist()[0]!r} stands in {len(repeated) + 1} rows")
    return given.rename(columns={key: "original_id"}).reset_index(drop=True)


def _positions(name: str, ids: pd.Series, table: pd.Series) -> pd.Series:
    """Row of each id in its table."""
    position = ids.map(pd.Series(table.index, index=table))
    if position.isna().any():
        missing = ids[position.isna()].tolist()[0]
        raise ValueError(f"events: {name} {missing!r} is not in the table of {name}s")
    return position.astype("int64")
