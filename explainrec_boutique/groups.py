"""The boutique's groups of shoppers: what each looks at, leans towards and says about itself.

A group shares three things. Its *keys* decide which attribute relates two items in its eyes
(`relations.py`). Its *favourites* are likelier than other classes to be among a member's strong
preferences (`shoppers.py`). Its *typical* features are what a member most often ticks about
herself, which is all that a cold-start model knows. The words stand in `groups.toml`.
"""

from typing import NamedTuple

from .vocabulary import read_table

_TABLES = read_table("groups.toml")
# What shoppers say about themselves: feature -> its values.
FEATURES = {feature: tuple(values) for feature, values in _TABLES["features"].items()}


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


GROUPS = tuple(Group(name, **told) for name, told in _TABLES["groups"].items())
