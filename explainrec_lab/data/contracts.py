"""The tables that every data source returns, whatever it was before.

A `Dataset` holds a `Catalogue` (what can be recommended), `Interactions` (who took what, with
named binary features of users and items) and, where a source knows them, `Relations` between
items and the `Truth` behind each purchase and relation. Ids are contiguous integers that start
at 0; the original ids stand beside them in the tables. Each table checks itself once, here, when
it is made; the code behind this door trusts it. Nothing here reads a file or draws a picture.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Collection, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int, UInt8
from numpy import ndarray
from scipy import sparse

from explainrec_boutique.vocabulary import DOES_NOT_APPLY, RELATION_KINDS, Schema

T = TypeVar("T")


def present(what: str, value: T | None) -> T:
    """Return a part that not every data set has, such as its pictures.

    Raises:
        ValueError: it is None; names what is missing.
    """
    if value is None:
        raise ValueError(f"{what}: not known here; data.load('boutique') knows everything")
    return value


def require(right: object, message: str) -> None:
    """Refuse bad input with a ValueError; the message names the argument and what it needs."""
    if not right:
        raise ValueError(message)


def check_choice(name: str, value: object, choices: Collection[object]) -> None:
    """Raise a ValueError that lists the choices unless `value` is one of them."""
    require(value in choices, f"{name}: {value!r}; choose from {', '.join(map(str, choices))}")


def check_least(least: float = 1, **numbers: float) -> None:
    """Raise a ValueError that names the first of some numbers below `least`."""
    for name, number in numbers.items():
        require(number >= least, f"{name}: {number} must be at least {least}")


def check_ids(name: str, ids: Any, count: int, what: str) -> Int[ndarray, " n"]:
    """Return `ids` as an int64 array; each must lie in 0..count-1.

    Raises:
        ValueError: names the argument, the first bad id and the allowed range.
    """
    array = np.atleast_1d(np.asarray(ids))
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name}: ids must be integers, got {array.dtype}; map original ids first")
    if (bad := array[(array < 0) | (array >= count)]).size:
        allowed = f"0..{count - 1}" if count else "empty"
        raise ValueError(f"{name}: {what} {bad[0]} is not in this dataset ({allowed})")
    return array.astype(np.int64)


def check_columns(name: str, table: pd.DataFrame, needed: Sequence[Hashable]) -> None:
    """Raise a ValueError that lists the missing and the present columns of `table`, or says that
    it is no table, or that two of its columns share a name."""
    told = f"{name}: needs a pandas DataFrame, got {type(table).__name__}"
    require(isinstance(table, pd.DataFrame), told)
    if len(twice := table.columns[table.columns.duplicated()]):
        raise ValueError(f"{name}: two columns are called {twice[0]!r}; drop or rename one")
    missing = [column for column in needed if column not in table.columns]
    lists = (", ".join(map(str, some))[:400] for some in (missing, needed, table.columns))
    require(not missing, "{}: missing column {}; needs {}, has {}".format(name, *lists))


def check_filled(name: str, table: pd.DataFrame, advice: str) -> None:
    """Raise a ValueError that names the first empty cell of `table`."""
    for column in table.columns[table.isna().any()]:
        row = int(table[column].isna().to_numpy().argmax())
        raise ValueError(f"{name}: row {row} has no {column}; {advice}")


# What `pandas.api.types.infer_dtype` calls a column of numbers, or of text that may spell some.
NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal", "boolean", "string", "empty")


def numbers(name: str, column: pd.Series, whole: bool = False) -> ndarray:
    """A column as float32, or as int64 if `whole`; nothing is rounded, cut or wrapped round.

    Raises:
        ValueError: names the first cell that is empty, no number or not finite, or, if `whole`,
            that has a fraction or lies where this type or int64 no longer counts one by one.
    """
    check_filled(name, column.to_frame(), "fill it or drop the row first")
    kind, told = pd.api.types.infer_dtype(column, skipna=False), f"{name}: column {column.name!r}"
    try:
        require(kind in NUMBERS and not (whole and kind == "boolean"), f"it holds {kind}")
        found = pd.to_numeric(column).to_numpy()
        wide = found.astype(np.float64)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise ValueError(f"{told} must hold numbers ({error!s:.200})") from None
    with np.errstate(over="ignore"):
        good = np.isfinite(wide.astype(np.float32))
    if whole:
        # from which on floats skip whole numbers, so that two become one
        limit = 2.0 ** (np.finfo(found.dtype).nmant + 1) if found.dtype.kind == "f" else 2.0**63
        good &= (np.abs(wide) < limit) & (wide == np.rint(wide))
    if not good.all():
        row = int(good.argmin())
        needs = f"whole numbers below {limit:.0f}" if whole else "finite numbers"
        raise ValueError(f"{told} must hold {needs}; row {row} is {column.tolist()[row]!r:.60}")
    return found.astype(np.int64 if whole else np.float32)


class Images(Protocol):
    """Pictures by item id: an array in memory, or a source that reads or draws them lazily."""

    def __len__(self) -> int: ...

    def __getitem__(self, items: Any) -> UInt8[ndarray, "*item 3 height width"]: ...


MaskSource = Callable[[int, str, str], Bool[ndarray, "height width"]]


@dataclass(frozen=True)
class Catalogue:
    """What can be recommended.

    Attributes:
        items: one row an item, in id order; at least the columns `title` and `category`.
        images: uint8 `[item, 3, height, width]` behind indexing, or None.
        attributes: int64 `[item, attribute]`, a class code or -1 where it does not apply.
        schema: names of the attributes and classes, with `attributes`.
        masks: where the truth about pixels is known, the function behind `mask`.
        labelled: bool `[item, attribute]`, where somebody gave a label; elsewhere the code says
            nothing about the class. None: everywhere.
    """

    items: pd.DataFrame
    images: Images | None = None
    attributes: Int[ndarray, "item attribute"] | None = None
    schema: Schema | None = None
    masks: MaskSource | None = field(default=None, repr=False)
    labelled: Bool[ndarray, "item attribute"] | None = None

    def __post_init__(self) -> None:
        check_columns("items", self.items, ["title", "category"])
        check_filled("items", self.items[["title", "category"]], "give it one")
        codes, schema = self.attributes, self.schema
        require((codes is None) == (schema is None), "attributes and schema: give both or neither")
        if self.images is not None and len(self.images) != len(self):
            raise ValueError(f"images: {len(self.images)} pictures for {len(self)} items")
        if codes is None or schema is None:
            return require(self.labelled is None, "labelled: give attributes and schema, too")
        needed = (len(self), len(schema.attributes))
        right = codes.shape == needed and codes.dtype.kind == "i"
        require(right, f"attributes: {codes.dtype} of shape {codes.shape}, needs integers {needed}")
        if (said := self.labelled) is not None and (said.shape, said.dtype) != (needed, bool):
            raise ValueError(f"labelled: {said.dtype} of shape {said.shape}, needs bool {needed}")
        limits = np.array([len(classes) for classes in schema.classes.values()], np.int64)
        for item, column in np.argwhere((codes < DOES_NOT_APPLY) | (codes >= limits)):
            code, name = codes[item, column], schema.attributes[column]
            told = f"code {code} for {name!r}, not -1..{limits[column] - 1}"
            raise ValueError(f"attributes: item {item} has {told}")

    def __len__(self) -> int:
        return len(self.items)

    def mask(self, item: int, attribute: str, kind: str = "part") -> Bool[ndarray, "height width"]:
        """Pixels of `item` that carry `attribute`.

        Args:
            kind: 'part' (the region the attribute names) or 'counterfactual' (the pixels that
                change when only this attribute is switched).

        Raises:
            ValueError: no masks in this catalogue, or an unknown item, attribute or kind.
        """
        if self.masks is None or self.schema is None:
            raise ValueError("mask: this catalogue has no pixel truth; data.load('boutique') has")
        check_choice("kind", kind, ("part", "counterfactual"))
        self.schema.attribute(attribute)
        return self.masks(int(check_ids("item", item, len(self), "item")[0]), attribute, kind)


@dataclass(frozen=True)
class Features:
    """Named binary features of users or items: a sparse 0/1 matrix `[owner, feature]`."""

    names: tuple[str, ...]
    matrix: sparse.csr_array

    def __post_init__(self) -> None:
        names, columns = len(self.names), self.matrix.shape[1]
        require(names == columns, f"features: {names} names for {columns} columns")

    @classmethod
    def none(cls, owners: int) -> Features:
        """No features for `owners` users or items."""
        return cls((), sparse.csr_array((owners, 0), dtype=np.int8))

    @classmethod
    def from_columns(cls, table: pd.DataFrame, columns: dict[str, str]) -> Features:
        """One binary feature for each value of each column; missing and blank values give none.

        A column of 0 and 1 (or False and True, no and yes) is a flag: it gives one feature, for
        its ones, with the name of the column. Features of one name are one feature.

        Args:
            table: one row an owner, in id order.
            columns: column -> the word before the colon in the feature's name; a flag whose word
                is the column's own name needs no colon.

        Raises:
            ValueError: a missing column, or cells that hold lists, or values of several kinds.
        """
        check_columns("table", table, list(columns))
        parts = [cls.none(len(table))]
        for column, word in columns.items():
            try:
                codes, values = pd.factorize(table[column].map(worded), sort=True)
            except TypeError as error:
                told = f"column {column!r} holds no single values ({error})"
                raise ValueError(f"table: {told}; cells of several belong in item_sets") from None
            (known,) = np.nonzero(codes >= 0)
            texts, places = [_text(value) for value in values], codes[known]
            names = [f"{word}: {text}" for text in texts]
            said = [text.lower().removesuffix(".0") for text in texts]
            if said and set(said) <= {*YES, "0", "false", "no"}:
                known = known[np.isin(said, YES)[places]]
                names, places = [f"{word}: {column}" if word != column else word], 0 * known
            shape = (len(table), len(names))
            parts.append(cls(tuple(names), _ones(known, places, shape, np.int8)))
        return cls.joined(parts)

    @classmethod
    def from_sets(cls, column: pd.Series, word: str) -> Features:
        """One binary feature for each member of cells such as 'Action|Sci-Fi'.

        A cell is a list, tuple, set or array, or the same spelled as JSON or Python (objects count
        by their `name`), or text in which | ; or , stands between members: the first of the three
        that the column holds. Margins do not count; nor do blanks and '(no genres listed)'.

        Raises:
            ValueError: a cell that holds something else, or another separator than the column's.
        """
        cells = [_members(cell, column.name) for cell in column]
        texts = [cell for cell in cells if isinstance(cell, str)]
        between = next((each for each in "|;," if any(each in text for text in texts)), "|")
        if odd := [t for t in texts if between not in t and any(each in t for each in "|;,")]:
            told = f"{odd[0]!r:.60} has no {between!r}, which other cells have between members"
            raise ValueError(f"{column.name}: {told}; give lists, as .str.split({between!r}) does")
        lists = [cell.split(between) if isinstance(cell, str) else cell for cell in cells]
        members = pd.Series(lists, dtype=object).explode().map(worded).dropna()
        codes, names = pd.factorize(members, sort=True)
        ones = _ones(members.index.to_numpy(), codes, (len(cells), len(names)), np.int8)
        return cls(tuple(f"{word}: {name}" for name in names), ones)

    @classmethod
    def joined(cls, parts: Sequence[Features]) -> Features:
        """The features of several tables for the same owners; those of one name become one."""
        whole = sparse.hstack([part.matrix for part in parts], format="coo")
        names = np.array([name for part in parts for name in part.names], object)
        codes, once = pd.factorize(names)
        shape = (whole.shape[0], len(once))
        return cls(tuple(once), _ones(whole.row, codes[whole.col], shape, np.int8))

    def __len__(self) -> int:
        return len(self.names)

    def of(self, owner: int) -> list[str]:
        """Names of one owner's features."""
        row = self.matrix[check_ids("owner", owner, self.matrix.shape[0], "owner")]
        return [self.names[column] for column in row.indices]


# Words that stand where there is nothing, also those of MovieLens, of a database and of Python.
BLANK = ["", "nan", "NaN", "NaT", "None", "<NA>", "N/A", "null", "NULL"]
BLANK += ["(no genres listed)", r"\N", "set()"]
# What a flag says where it is set.
YES = ("1", "true", "yes")


def worded(cell: Any) -> Any:
    """A cell without margins, or None if it says nothing. TypeError for a cell of several."""
    if isinstance(cell, tuple | frozenset):
        raise TypeError(f"{type(cell).__name__} {cell}")
    text = cell.strip() if isinstance(cell, str) else cell
    return None if isinstance(text, str) and text in BLANK else text


def _text(value: Any) -> str:
    """A value for display: 25.0, which a column with gaps makes of 25, is 25."""
    whole = isinstance(value, float | np.floating) and value.is_integer()
    return str(int(value)) if whole else str(value)


def _members(cell: Any, name: Any) -> str | list[str]:
    """The members of a cell, or text that is still to be divided."""
    found = _spelled(cell.strip()) if isinstance(cell, str) else cell
    if isinstance(found, str):
        return found
    parts = found if pd.api.types.is_list_like(found) and not isinstance(found, dict) else [found]
    parts = [each.get("name", each) if isinstance(each, dict) else each for each in parts]
    if not all(pd.api.types.is_scalar(each) for each in parts):
        raise ValueError(f"{name}: a cell holds {str(cell)[:60]}, no list of words")
    return [_text(each) for each in parts if not pd.isna(each)]


def _spelled(text: str) -> Any:
    """What "['Action', 'Drama']" or '[{"name": "Drama"}]' spells; other text as it is.

    NumPy writes no commas: "['Action' 'Drama']". Raises ValueError for a list that is cut off.
    """
    if text[:1] + text[-1:] not in ("[]", "{}", "()"):
        require(text[:1] not in ("[", "{"), f"a cell holds {text[:60]}, a list that is cut off")
        return text
    text = re.sub(r"""(?<=['"])\s+(?=['"])""", ", ", text)
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            return read(text)
    return text if text[0] == "(" else text[1:-1]


def _ones(rows: ndarray, columns: ndarray, shape: tuple[int, int], dtype: type) -> sparse.csr_array:
    """A sparse matrix with ones at these places; a place that is named twice is one place."""
    matrix = sparse.csr_array((np.ones(len(rows), dtype), (rows, columns)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


@dataclass(frozen=True)
class Interactions:
    """Who took what, and when: implicit feedback, one row an event.

    Attributes:
        user, item: int64 `[event]`, ids.
        time: int64 `[event]`, in the source's own unit (its data card says which).
        value: float32 `[event]`, the strength of the event (a rating, a number of purchases).
        users: one row a user, in id order, with the original id.
        n_items: size of the catalogue.
        user_features, item_features: named binary features.
    """

    user: Int[ndarray, " event"]
    item: Int[ndarray, " event"]
    time: Int[ndarray, " event"]
    value: ndarray
    users: pd.DataFrame
    n_items: int
    user_features: Features
    item_features: Features

    def __post_init__(self) -> None:
        lengths = {len(self.user), len(self.item), len(self.time), len(self.value)}
        require(len(lengths) == 1, f"interactions: columns of different lengths {sorted(lengths)}")
        for name, owners in (("user_features", self.n_users), ("item_features", self.n_items)):
            if (rows := getattr(self, name).matrix.shape[0]) != owners:
                raise ValueError(f"{name}: {rows} rows for {owners} owners")

    def __len__(self) -> int:
        return len(self.user)

    @property
    def n_users(self) -> int:
        return len(self.users)

    def select(self, events: ndarray) -> Interactions:
        """The same users, items and features, with only some of the events (mask or positions)."""
        columns = ("user", "item", "time", "value")
        return replace(self, **{name: getattr(self, name)[events] for name in columns})

    def without_features(self) -> Interactions:
        """The same events with no user and no item features ('w/o attr' in RecoNet's Table 1)."""
        users, items = Features.none(self.n_users), Features.none(self.n_items)
        return replace(self, user_features=users, item_features=items)

    @cached_property
    def matrix(self) -> sparse.csr_array:
        """R, the binary 0/1 matrix `[user, item]` (Source: RecoNet, §2)."""
        return _ones(self.user, self.item, (self.n_users, self.n_items), np.float32)

    def history(self, user: int) -> Int[ndarray, " n"]:
        """V(u): the items of one user, ascending (Source: RecoNet, §2)."""
        return self.matrix[check_ids("user", user, self.n_users, "user")].indices


@dataclass(frozen=True)
class Relations:
    """Pairs of related items, as a shop records them.

    Attributes:
        group: int64 `[pair]`, the user or shopper group that the relation was seen for.
        source, target: int64 `[pair]`, item ids.
        kind: int64 `[pair]`, position in `RELATION_KINDS`; the first two are substitutes, the
            last two complements.
    """

    group: Int[ndarray, " pair"]
    source: Int[ndarray, " pair"]
    target: Int[ndarray, " pair"]
    kind: Int[ndarray, " pair"]
    n_items: int
    n_groups: int

    def __post_init__(self) -> None:
        check_ids("group", self.group, self.n_groups, "group")
        check_ids("source", self.source, self.n_items, "item")
        check_ids("target", self.target, self.n_items, "item")
        check_ids("kind", self.kind, len(RELATION_KINDS), "relation kind")

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True)
class Truth:
    """Why each event happened, where a source knows it (the boutique does).

    Attributes:
        preference: float32 `[user, attribute, class]`, each user's true taste.
        purchase_reason: int64 `[event]`, the attribute behind a purchase, -1 = no single one.
        relation_reason: int64 `[pair, 2]`, the attribute that explains a relation in the source's
            picture and in the target's (they may differ: a collar goes with a heel); both -1 =
            label noise.
        relation_colour: bool `[pair]`, whether equal colour families are part of the reason too.
    """

    preference: ndarray
    purchase_reason: Int[ndarray, " event"]
    relation_reason: Int[ndarray, "pair 2"]
    relation_colour: Bool[ndarray, " pair"]


@dataclass(frozen=True)
class Dataset:
    """One source behind the one door, `data.load(name)`.

    Attributes:
        notes: what its reader shall know of how it was read, a sentence each.
    """

    name: str
    catalogue: Catalogue
    interactions: Interactions
    relations: Relations | None = None
    truth: Truth | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ours, theirs = len(self.catalogue), self.interactions.n_items
        told = f"{self.name}: {ours} items in the catalogue, {theirs} in interactions"
        require(ours == theirs, told)

    def __repr__(self) -> str:
        events = self.interactions
        density = len(events) / max(events.n_users * events.n_items, 1)
        sizes = f"{events.n_users:,} users, {events.n_items:,} items, {len(events):,} interactions"
        first = f"Dataset {self.name!r}: {sizes} ({density:.2%} of all pairs)"
        return "\n".join([first, *self.notes])
