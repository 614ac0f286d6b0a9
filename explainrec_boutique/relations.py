"""Relations between items as a shop records them, group by group, with the reason of each.

Each group of shoppers compares items by its *keys* (`groups.toml`): an item's key is its class of
the first key attribute that it has. Two tables over keys, and the colour, tell the kinds apart:

| kind | categories | keys | colour families |
|---|---|---|---|
| also_viewed | the same | equal | any |
| buy_after_viewing | the same | equal | equal |
| also_bought | different | go together in the group's eyes | any |
| bought_together | different | go together in the group's eyes | equal |

The reason of a relation is the key attribute of the source in its picture and that of the target
in its own: the same for substitutes, mostly two different ones for complements. In the kinds of
`COLOUR_KINDS` the equal colour families are part of the reason as well. Two sorts of
label noise make it hard, both with reason -1: *distractors*, whose colour families agree but
whose keys do not, and *noise*, whose keys do not match either.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int
from numpy import ndarray
from numpy.random import Generator, default_rng

from .design import ItemFacts
from .dials import MAX_ITEM, RelationDials
from .vocabulary import CATEGORIES, DOES_NOT_APPLY, GROUPS, RELATION_KINDS, SCHEMA, SUBSTITUTES

# Streams of randomness: what goes with what, and which pairs the shop saw.
GOES_WITH, PAIRS = (MAX_ITEM + number for number in (4, 5))
COLOUR_KINDS = ("buy_after_viewing", "bought_together")  # the colour families must agree too
# An item without a key, a relation that none explains, a source that no target fits.
NO_KEY = NO_REASON = NOBODY = -1
# A key is a class of any attribute; those of attribute a are FIRST_KEY[a] to FIRST_KEY[a + 1].
FIRST_KEY = np.cumsum([0, *(len(classes) for classes in SCHEMA.classes.values())])

Ids = Int[ndarray, " item"]


class GroupRule(NamedTuple):
    """What is related in the eyes of one group.

    Attributes:
        facts: about the items.
        key: int64 `[item]`, the item's key among all classes of all attributes, -1 = none.
        key_attribute: int64 `[item]`, the attribute behind the key, -1 = none.
        goes_with: bool `[key, key]`, symmetric, true only across categories; it has one more
            row and column, all false, where -1 points.
    """

    facts: ItemFacts
    key: Ids
    key_attribute: Ids
    goes_with: Bool[ndarray, "key key"]

    def related(self, kind: str, source: ndarray, target: ndarray) -> Bool[ndarray, "*pair"]:
        """Whether pairs of items obey the definition of a kind (the table above)."""
        related = self.keys_match(kind, source, target) & (source != target)
        return related & self.colours_agree(source, target) if kind in COLOUR_KINDS else related

    def keys_match(self, kind: str, source: ndarray, target: ndarray) -> Bool[ndarray, "*pair"]:
        """Whether the keys of two items are what the kind asks for; of their colours, nothing."""
        if kind in SUBSTITUTES:
            return (self.key[source] == self.key[target]) & (self.key[source] != NO_KEY)
        return self.goes_with[self.key[source], self.key[target]]

    def colours_agree(self, source: ndarray, target: ndarray) -> Bool[ndarray, "*pair"]:
        """Whether the colour families of two items are equal."""
        return self.facts.colour_family[source] == self.facts.colour_family[target]

    def distracts(self, kind: str, source: ndarray, target: ndarray) -> Bool[ndarray, "*pair"]:
        """Whether pairs look related by colour but are not by key."""
        return self.unexplained(kind, source, target) & self.colours_agree(source, target)

    def unexplained(self, kind: str, source: ndarray, target: ndarray) -> Bool[ndarray, "*pair"]:
        """Whether pairs are of the right categories (one or two) but their keys do not match."""
        equal = self.facts.category[source] == self.facts.category[target]
        fits = (equal if kind in SUBSTITUTES else ~equal) & (source != target)
        return fits & ~self.keys_match(kind, source, target)


def group_rule(position: int, facts: ItemFacts, seed: int) -> GroupRule:
    """What is related in the eyes of the group at `position` in `vocabulary.GROUPS`."""
    keys = GROUPS[position].keys
    attribute = _key_attributes(keys, facts)
    code = facts.attributes[np.arange(len(facts)), attribute]
    key = np.where(attribute == DOES_NOT_APPLY, NO_KEY, FIRST_KEY[attribute] + code)
    rng = default_rng([seed, GOES_WITH, position])
    return GroupRule(facts, key, attribute, _goes_with(keys, rng))


def _key_attributes(keys: dict[str, list[str]], facts: ItemFacts) -> Int[ndarray, " item"]:
    """The first key attribute that applies to each item, -1 where none does."""
    chosen = np.full(len(facts), DOES_NOT_APPLY)
    for category, names in keys.items():
        inside = facts.category == CATEGORIES.index(category)
        for attribute in map(SCHEMA.attribute, reversed(names)):
            chosen[inside & (facts.attributes[:, attribute] != DOES_NOT_APPLY)] = attribute
    return chosen


def _goes_with(keys: dict[str, list[str]], rng: Generator) -> Bool[ndarray, "key key"]:
    """What goes with what across categories: every key gets at least one mate in every other.

    The keys of two categories are shuffled and laid side by side, the shorter list again and
    again.
    """
    table = np.zeros((FIRST_KEY[-1] + 1,) * 2, dtype=bool)
    for pair in combinations(CATEGORIES, 2):
        ours, theirs = (rng.permutation(_keys_in(keys[category])) for category in pair)
        longer = max(len(ours), len(theirs))
        ours, theirs = np.resize(ours, longer), np.resize(theirs, longer)
        table[ours, theirs] = table[theirs, ours] = True
    return table


def _keys_in(attributes: list[str]) -> Int[ndarray, " key"]:
    """All classes of some attributes, as keys."""
    positions = map(SCHEMA.attribute, attributes)
    return np.concatenate([np.arange(FIRST_KEY[a], FIRST_KEY[a + 1]) for a in positions])


# --- what the shop saw -------------------------------------------------------------------------


def draw_relations(facts: ItemFacts, groups: int, seed: int, dials: RelationDials) -> pd.DataFrame:
    """Draw the relations of every group and kind.

    Returns:
        One row a relation, all int64: `group`, `kind` (position in `RELATION_KINDS`), `source`,
        `target`, and the attribute that explains it in the source's and in the target's picture,
        `source_reason` and `target_reason`; both -1 for noise and distractors.
    """
    tables = []
    for group in range(groups):
        rule = group_rule(group, facts, seed)
        for number, kind in enumerate(RELATION_KINDS):
            rng = default_rng([seed, PAIRS, group, number])
            tables.append(_draw_pairs(rule, kind, rng, dials).assign(group=group, kind=number))
    return pd.concat(tables, ignore_index=True).astype(np.int64)


def _draw_pairs(rule: GroupRule, kind: str, rng: Generator, dials: RelationDials) -> pd.DataFrame:
    """Different pairs of one group and kind: source, target and the reason in each."""
    source = rng.integers(len(rule.facts), size=dials.pairs)
    place, lot = rng.random(dials.pairs), rng.random(dials.pairs)
    sort = np.searchsorted(np.cumsum([dials.distractors, dials.noise]), lot, side="right")
    target = _draw_targets(rule, kind, sort, source, place)
    pairs = pd.DataFrame({"source": source, "target": target})
    for end in ("source", "target"):
        pairs[f"{end}_reason"] = np.where(sort == 2, rule.key_attribute[pairs[end]], NO_REASON)
    return pairs[target != NOBODY].drop_duplicates(["source", "target"])


def _draw_targets(rule: GroupRule, kind: str, sort: Ids, source: Ids, place: ndarray) -> Ids:
    """For each source one of the targets that are allowed, all equally likely; NOBODY if none.

    Args:
        sort: `[pair]`, 0 a distractor, 1 noise, 2 truly related.
        place: `[pair]`, uniform in 0..1, where in the list of allowed targets to stop.
    """
    items, target = np.arange(len(rule.facts)), np.full(len(source), NOBODY)
    for row, number in enumerate(sort):
        allows = (rule.distracts, rule.unexplained, rule.related)[number]
        (allowed,) = allows(kind, source[row], items).nonzero()
        if len(allowed):
            target[row] = allowed[int(place[row] * len(allowed))]
    return target
