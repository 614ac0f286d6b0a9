"""The boutique's groups of shoppers: what each looks at, leans towards and says about itself.

A group shares three things. Its *keys* decide which attribute relates two items in its eyes
(`relations.py`). Its *favourites* are likelier than other classes to be among a member's strong
preferences (`shoppers.py`). Its *typical* features are what a member most often ticks about
herself, which is all that a cold-start model knows. Tables of words; nothing is drawn here.
"""

from typing import NamedTuple

from .vocabulary import LENGTH, NECK

# What shoppers say about themselves: feature -> its values.
FEATURES = {
    "age": ("18-24", "25-34", "35-49", "50+"),
    "shops for": ("work", "weekends", "parties", "outdoors", "travel"),
    "comes by": ("search", "newsletter", "friends", "window shopping"),
}

# Below, a column a group.
NAMES = ("office", "campus", "party", "outdoor", "traveller")
TOP_KEYS = (NECK, ("sleeves_length",), NECK, ("body_length",), ("sleeves_length",))
SHOE_KEYS = ("heel_height", "closure", "toe_style", "closure", "heel_height")
FAVOURITES = {
    "high_neck": (None, None, None, "turtle", "mock"),
    "collar": ("shirt", None, None, None, "rib"),
    "lapel": ("notched", None, None, None, None),
    "neckline": (None, "round", "v", None, None),
    "sleeves_length": ("long", "short", "sleeveless", "three_quarter", "cap"),
    "body_length": (None, "regular", "high_waist", "long", None),
    "skirt_length": ("knee", "short", "ankle", "midi", "midi"),
    "trousers_length": ("full", "cropped", "short", "three_quarter", "mid"),
    "heel_height": ("under_1_in", "flat", "high", None, None),
    "boots_height": (None, None, None, "mid_calf", "ankle"),
    "closure": (None, "lace_up", None, "zipper", "slip_on"),
    "toe_style": ("pointed", None, "peep", None, None),
}
TYPICAL = {
    "age": ("35-49", "18-24", "25-34", "50+", "25-34"),
    "shops for": ("work", "weekends", "parties", "outdoors", "travel"),
    "comes by": ("newsletter", "friends", "window shopping", "search", "search"),
}


class Group(NamedTuple):
    """One group of shoppers.

    Attributes:
        keys: category -> the attributes that the group compares items by; an item's key is the
            first of them that applies to it.
        favourites: attribute -> the class that the group leans towards.
        typical: feature -> the value that its members mostly tick.
    """

    name: str
    keys: dict[str, tuple[str, ...]]
    favourites: dict[str, str]
    typical: dict[str, str]


GROUPS = tuple(
    Group(
        name=NAMES[g],
        keys={"top": TOP_KEYS[g], "bottom": LENGTH, "shoes": (SHOE_KEYS[g],)},
        favourites={name: value for name, row in FAVOURITES.items() if (value := row[g])},
        typical={feature: row[g] for feature, row in TYPICAL.items()},
    )
    for g in range(len(NAMES))
)
