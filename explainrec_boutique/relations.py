"""Relations between items as a shop records them, group by group, with the reason of each.

Each group of shoppers compares items by its *keys* (`groups.py`): an item's key is its class of
the first key attribute that it has. Two tables over keys and one nuisance tell the kinds apart:

| kind | categories | keys | colour families |
|---|---|---|---|
| also_viewed | the same | equal | any |
| buy_after_viewing | the same | equal | equal |
| also_bought | different | go together in the group's eyes | any |
| bought_together | different | go together in the group's eyes | equal |

The reason of a relation is the key attribute of the source in its picture and that of the target
in its own: the same for substitutes, mostly two different ones for complements. Two sorts of
label noise make it hard, both with reason -1: *distractors*, whose colour families agree but
whose keys do not, and *noise*, whose keys do not match either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from pandas import DataFrame

from explainrec_boutique.design import MAX_ITEM
from explainrec_boutique.groups import GROUPS, Group
from explainrec_boutique.limits import Range, check_dials
from explainrec_lab.data.contracts import (
    DOES_NOT_APPLY,
    RELATION_KINDS,
    SUBSTITUTES,
    Relations,
    Schema,
)

GOES_WITH, PAIRS = (MAX_ITEM + number for number in (4, 5))
"""Streams of randomness: what goes with what, and which pairs the shop saw."""

COLOUR_KINDS = ("buy_after_viewing", "bought_together")
"""Kinds whose colour families must agree too."""

NO_KEY = NO_REASON = NOBODY = -1
"""An item without a key, a relation that none explains, a source that no target fits."""

CHUNK = 256
"""Sources looked at in one go: memory is a few times chunk x items x 8 bytes."""


Rule = Callable[[str, ndarray, ndarray], ndarray]
"""Kind, sources, targets -> which of the pairs it allows."""


@dataclass(frozen=True)
class RelationDials:
    """How many relations there are and how clean.

    Attributes:
        pairs: pairs drawn for each group and kind; repeated pairs are kept once.
        noise: share of pairs that no key explains.
        distractors: share of pairs that agree in the colour family alone.
    """

    pairs: int = 800
    noise: float = 0.06
    distractors: float = 0.06

    def __post_init__(self) -> None:
        check_dials(self, ALLOWED)


ALLOWED: dict[str, Range] = {
    "pairs": (0, 1_000_000),
    "noise": (0.0, 0.5),
    "distractors": (0.0, 0.5),
}


@dataclass(frozen=True)
class Goods:
    """What relations go by.

    Attributes:
        category: int64 `[item]`.
        colour_family: int64 `[item]`.
        attributes: int64 `[item, attribute]`, class codes, -1 = does not apply.
    """

    category: Int[ndarray, " item"]
    colour_family: Int[ndarray, " item"]
    attributes: Int[ndarray, "item attribute"]

    def __len__(self) -> int:
        return len(self.category)


@dataclass(frozen=True)
class Eye:
    """How one group looks at the items.

    Attributes:
        goods: the items.
        key: int64 `[item]`, the item's key among all classes of all attributes, -1 = none.
        key_attribute: int64 `[item]`, the attribute behind the key, -1 = none.
        goes_with: bool `[key, key]`, symmetric, true only across categories. Like `same`, it has
            one more row and column, all false, where -1 points.
    """

    goods: Goods
    key: Int[ndarray, " item"]
    key_attribute: Int[ndarray, " item"]
    goes_with: Bool[ndarray, "key key"]

    @property
    def same(self) -> Bool[ndarray, "key key"]:
        """Which keys are equal (and exist)."""
        equal = np.eye(len(self.goes_with), dtype=bool)
        equal[NO_KEY, NO_KEY] = False
        return equal

    def related(
        self, kind: str, source: Int[ndarray, "*pair"], target: Int[ndarray, "*pair"]
    ) -> Bool[ndarray, "*pair"]:
        """Whether pairs of items obey the definition of a kind (the table above)."""
        related = self.keys_match(kind, source, target) & (source != target)
        return related & self.colours_agree(source, target) if kind in COLOUR_KINDS else related

    def keys_match(self, kind: str, source: ndarray, target: ndarray) -> Bool[ndarray, "*pair"]:
        """Whether the keys of two items are what the kind asks for; of their colours, nothing."""
        table = self.same if kind in SUBSTITUTES else self.goes_with
        if source.ndim == 2 and target.ndim == 1:  # each source with each target: row, then column
            return table[self.key[source[:, 0]]][:, self.key[target]]
        return table[self.key[source], self.key[target]]

    def categories_fit(self, kind: str, source: ndarray, target: ndarray) -> Bool[ndarray, "*pair"]:
        """Whether two different items are of one category (substitutes) or of two."""
        equal = self.goods.category[source] == self.goods.category[target]
        return (equal if kind in SUBSTITUTES else ~equal) & (source != target)

    def colours_agree(self, source: ndarray, target: ndarray) -> Bool[ndarray, "*pair"]:
        """Whether the colour families of two items are equal."""
        return self.goods.colour_family[source] == self.goods.colour_family[target]

    def distracts(self, kind: str, source: ndarray, target: ndarray) -> Bool[ndarray, "*pair"]:
        """Whether pairs look related by colour but are not by key."""
        return self.unexplained(kind, source, target) & self.colours_agree(source, target)

    def unexplained(self, kind: str, source: ndarray, target: ndarray) -> Bool[ndarray, "*pair"]:
        """Whether pairs are of the right categories but their keys do not match."""
        fit = self.categories_fit(kind, source, target)
        return fit & ~self.keys_match(kind, source, target)


def eye_of(
    position: int, goods: Goods, categories: tuple[str, ...], schema: Schema, seed: int
) -> Eye:
    """How the group at `position` in `groups.GROUPS` looks at the items.

    Args:
        categories: names behind `goods.category`.
    """
    group = GROUPS[position]
    attribute = _key_attributes(group, goods, categories, schema)
    first_key = np.cumsum([0, *(len(classes) for classes in schema.classes.values())])
    code = goods.attributes[np.arange(len(goods)), attribute]
    key = np.where(attribute == DOES_NOT_APPLY, NO_KEY, first_key[attribute] + code)
    rng = np.random.default_rng([seed, GOES_WITH, position])
    mates = _goes_with(group, categories, schema, first_key, rng)
    return Eye(goods, key, attribute, mates)


def _key_attributes(
    group: Group, goods: Goods, categories: tuple[str, ...], schema: Schema
) -> Int[ndarray, " item"]:
    """The first key attribute that applies to each item, -1 where none does."""
    chosen = np.full(len(goods), DOES_NOT_APPLY)
    for category, names in group.keys.items():
        inside = goods.category == categories.index(category)
        for attribute in map(schema.attribute, reversed(names)):
            applies = goods.attributes[:, attribute] != DOES_NOT_APPLY
            chosen[inside & applies] = attribute
    return chosen


def _goes_with(
    group: Group,
    categories: tuple[str, ...],
    schema: Schema,
    first_key: Int[ndarray, " attribute_and_end"],
    rng: np.random.Generator,
) -> Bool[ndarray, "key key"]:
    """What goes with what across categories: every key gets at least one mate in every other.

    The keys of two categories are shuffled and laid side by side, the shorter list again and
    again.
    """
    table = np.zeros((first_key[-1] + 1,) * 2, dtype=bool)
    for pair in combinations(categories, 2):
        ours, theirs = (rng.permutation(_keys_in(c, group, schema, first_key)) for c in pair)
        longer = max(len(ours), len(theirs))
        ours, theirs = np.resize(ours, longer), np.resize(theirs, longer)
        table[ours, theirs] = table[theirs, ours] = True
    return table


def _keys_in(
    category: str, group: Group, schema: Schema, first_key: ndarray
) -> Int[ndarray, " key"]:
    """All keys that items of a category can have in the group's eyes."""
    attributes = [schema.attribute(name) for name in group.keys[category]]
    return np.concatenate([np.arange(first_key[a], first_key[a + 1]) for a in attributes])


# --- what the shop saw -------------------------------------------------------------------------


def draw_relations(
    goods: Goods,
    categories: tuple[str, ...],
    schema: Schema,
    n_groups: int,
    seed: int,
    dials: RelationDials,
) -> tuple[Relations, Int[ndarray, "pair 2"]]:
    """Draw the relations of every group and kind.

    Returns:
        The relations, and for each the attribute that explains it in the source's and in the
        target's picture, int64 `[pair, 2]`; both -1 for noise and distractors.
    """
    tables = []
    for group in range(n_groups):
        eye = eye_of(group, goods, categories, schema, seed)
        for number, kind in enumerate(RELATION_KINDS):
            rng = np.random.default_rng([seed, PAIRS, group, number])
            tables.append(_draw_pairs(eye, kind, rng, dials).assign(group=group, kind=number))
    every = pd.concat(tables, ignore_index=True)
    columns = {name: every[name].to_numpy(np.int64) for name in ("group", "source", "target")}
    kinds = every["kind"].to_numpy(np.int64)
    reason = every[["source_reason", "target_reason"]].to_numpy(np.int64)
    return Relations(**columns, kind=kinds, n_items=len(goods), n_groups=n_groups), reason


def _draw_pairs(eye: Eye, kind: str, rng: np.random.Generator, dials: RelationDials) -> DataFrame:
    """Different pairs of one group and kind: source, target and the reason in each."""
    source = rng.integers(len(eye.goods), size=dials.pairs)
    place, lot = rng.random(dials.pairs), rng.random(dials.pairs)
    rules: tuple[Rule, ...] = (eye.distracts, eye.unexplained, eye.related)
    shares = np.cumsum([dials.distractors, dials.noise])
    rule_of = np.searchsorted(shares, lot, side="right")  # the rest of the lots are related
    target = np.full(dials.pairs, NOBODY)
    for number, rule in enumerate(rules):
        rows = np.flatnonzero(rule_of == number)
        target[rows] = _draw_targets(rule, kind, source[rows], place[rows], len(eye.goods))
    explained = rule_of == len(rules) - 1
    pairs = pd.DataFrame({"source": source, "target": target})
    for end in ("source", "target"):
        pairs[f"{end}_reason"] = np.where(explained, eye.key_attribute[pairs[end]], NO_REASON)
    return pairs[target != NOBODY].drop_duplicates(["source", "target"])


def _draw_targets(
    rule: Rule,
    kind: str,
    source: Int[ndarray, " pair"],
    place: Float[ndarray, " pair"],
    n_items: int,
) -> Int[ndarray, " pair"]:
    """For each source one of the targets that a rule allows, all equally likely; NOBODY if none.

    Args:
        place: uniform in 0..1, where in the list of allowed targets to stop.
    """
    items = np.arange(n_items)
    target = np.full(len(source), NOBODY)
    for start in range(0, len(source), CHUNK):
        rows = slice(start, start + CHUNK)
        allowed = rule(kind, source[rows, None], items)
        count = allowed.sum(axis=1)
        before = np.cumsum(count) - count  # allowed targets of the sources above
        every = np.append(allowed.nonzero()[1], NOBODY)
        nth = np.floor(place[rows] * count).astype(int)
        target[rows] = np.where(count > 0, every[before + nth], NOBODY)
    return target
