"""The words of the boutique: attributes and classes, colours, patterns, marks, kinds of relations;
and its groups of shoppers.

The twelve attributes are those of SAERS's Table 1. The words stand in `words.toml`; their
order is fixed: the position of an attribute, and of a class within it, is its code everywhere.

A group shares three things (`groups.toml`). Its *keys* decide which attribute relates two items in
its eyes (`relations.py`). Its *favourites* are likelier than other classes to be among a member's
strong preferences (`shoppers.py`). Its *typical* features are what a member most often ticks about
herself, which is all that a cold-start model knows.

Source: SAERS, Table 1. Nothing is drawn here.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

DOES_NOT_APPLY = -1  # code of an attribute that an item does not have (a shoe has no neckline)


def read_table(name: str) -> dict[str, Any]:
    """A table of words of this package."""
    return tomllib.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))


_WORDS = read_table("words.toml")
RELATION_KINDS = tuple(_WORDS["relation_kinds"])
SUBSTITUTES = RELATION_KINDS[:2]


@dataclass(frozen=True)
class Schema:
    """The attributes of a catalogue and the classes of each, in the order of their codes."""

    classes: dict[str, tuple[str, ...]]

    @property
    def attributes(self) -> tuple[str, ...]:
        return tuple(self.classes)

    def attribute(self, name: str) -> int:
        """Position of an attribute. Raises ValueError for an unknown one."""
        return _position(name, self.attributes, "attribute", "in the schema")

    def code(self, attribute: str, value: str) -> int:
        """Code of a class within its attribute. Raises ValueError for an unknown one."""
        self.attribute(attribute)
        return _position(value, self.classes[attribute], "class", f"a class of {attribute!r}")

    def name(self, attribute: str, code: int) -> str:
        """Class name behind a code; 'does not apply' for -1."""
        if code == DOES_NOT_APPLY:
            return "does not apply"
        self.attribute(attribute)
        classes = self.classes[attribute]
        if not 0 <= code < len(classes):
            raise ValueError(f"code: {code} is not in 0..{len(classes) - 1} of {attribute!r}")
        return classes[code]

    def display(self, attribute: str, code: int | None = None) -> str:
        """What a reader sees of an attribute, or of one of its classes: 'three-quarter'."""
        return display(attribute if code is None else self.name(attribute, code))


def _position(name: str, names: tuple[str, ...], what: str, where: str) -> int:
    if name not in names:
        raise ValueError(f"{what}: {name!r} is not {where}; choose from {', '.join(names)}")
    return names.index(name)


SCHEMA = Schema({name: tuple(classes) for name, classes in _WORDS["classes"].items()})
# Category -> the attributes that an item of it may have.
APPLIES = {category: tuple(names) for category, names in _WORDS["applies"].items()}
CATEGORIES = tuple(APPLIES)
NECK = APPLIES["top"][:4]  # a top has exactly one of these

COLOURS_OF_FAMILY = {family: tuple(tones) for family, tones in _WORDS["colours"].items()}
PALETTE = {name: rgb for tones in _WORDS["colours"].values() for name, rgb in tones.items()}
COLOURS, FAMILIES = tuple(PALETTE), tuple(COLOURS_OF_FAMILY)
FAMILY_OF = {colour: family for family, colours in COLOURS_OF_FAMILY.items() for colour in colours}
ODDS: dict[str, list[float]] = _WORDS["odds"]  # of what is not equally likely
PATTERNS, MARKS, BACKGROUNDS = (tuple(_WORDS[k]) for k in ("patterns", "marks", "backgrounds"))


def display(name: str) -> str:
    """Text for a reader: 'three_quarter' -> 'three-quarter', 'sleeves_length' -> 'sleeves length'.

    Args:
        name: an attribute or class of `SCHEMA`.
    """
    hyphen = "-" if name in _WORDS["hyphenated"] else " "
    return _WORDS["spelling"].get(name, name.replace("_", hyphen))


_GROUPS = read_table("groups.toml")
# What shoppers say about themselves: feature -> its values.
FEATURES = {feature: tuple(values) for feature, values in _GROUPS["features"].items()}


class Group(NamedTuple):
    """One group of shoppers.

    Attributes:
        keys: category -> the attributes that the group compares items by; an item's key is the
            first of them that applies to it.
        favourites: attribute -> the class that the group leans towards.
        typical: feature -> the value that its members mostly tick.
    """

    name: str
    keys: dict[str, list[str]]
    favourites: dict[str, str]
    typical: dict[str, str]


GROUPS = tuple(Group(name, **told) for name, told in _GROUPS["groups"].items())
