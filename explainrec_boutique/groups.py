"""The boutique's groups of shoppers: what each looks at, leans towards and says about itself.

A group shares three things. Its *keys* decide which attribute relates two items in its eyes
(`relations.py`). Its *favourites* are likelier than other classes to be among a member's strong
preferences (`shoppers.py`). Its *typical* features are what a member most often ticks about
herself, which is all that a cold-start model knows. A table of words; nothing is drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass

from explainrec_boutique.vocabulary import LENGTH, NECK

FEATURES = {
    "age": ("18-24", "25-34", "35-49", "50+"),
    "shops for": ("work", "weekends", "parties", "outdoors", "travel"),
    "comes by": ("search", "newsletter", "friends", "window shopping"),
}
"""What shoppers say about themselves: feature -> its values."""


@dataclass(frozen=True)
class Group:
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


def _group(
    name: str,
    top: tuple[str, ...],
    shoes: tuple[str, ...],
    favourites: dict[str, str],
    typical: tuple[str, str, str],
) -> Group:
    keys = {"top": top, "bottom": LENGTH, "shoes": shoes}
    return Group(name, keys, favourites, dict(zip(FEATURES, typical, strict=True)))


GROUPS = (
    _group(
        "office",
        NECK,
        ("heel_height",),
        {
            "collar": "shirt",
            "lapel": "notched",
            "sleeves_length": "long",
            "skirt_length": "knee",
            "trousers_length": "full",
            "heel_height": "under_1_in",
            "toe_style": "pointed",
        },
        ("35-49", "work", "newsletter"),
    ),
    _group(
        "campus",
        ("sleeves_length",),
        ("closure",),
        {
            "neckline": "round",
            "sleeves_length": "short",
            "body_length": "regular",
            "skirt_length": "short",
            "trousers_length": "cropped",
            "heel_height": "flat",
            "closure": "lace_up",
        },
        ("18-24", "weekends", "friends"),
    ),
    _group(
        "party",
        NECK,
        ("toe_style",),
        {
            "neckline": "v",
            "sleeves_length": "sleeveless",
            "body_length": "high_waist",
            "skirt_length": "ankle",
            "trousers_length": "short",
            "heel_height": "high",
            "toe_style": "peep",
        },
        ("25-34", "parties", "window shopping"),
    ),
    _group(
        "outdoor",
        ("body_length",),
        ("closure",),
        {
            "high_neck": "turtle",
            "sleeves_length": "three_quarter",
            "body_length": "long",
            "skirt_length": "midi",
            "trousers_length": "three_quarter",
            "boots_height": "mid_calf",
            "closure": "zipper",
        },
        ("50+", "outdoors", "search"),
    ),
    _group(
        "traveller",
        ("sleeves_length",),
        ("heel_height",),
        {
            "high_neck": "mock",
            "collar": "rib",
            "sleeves_length": "cap",
            "skirt_length": "midi",
            "trousers_length": "mid",
            "boots_height": "ankle",
            "closure": "slip_on",
        },
        ("25-34", "travel", "search"),
    ),
)
