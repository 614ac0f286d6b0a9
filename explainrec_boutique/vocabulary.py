"""The words of the boutique: attributes and classes, colours, patterns, marks, kinds of relations.

The twelve attributes are those of SAERS's Table 1, with its classes completed where the table
leaves an obvious one out (long, full, high, buckle, boat, mock, shirt). Their order is fixed:
the position of an attribute, and of a class within it, is its code everywhere.

Source: SAERS, Table 1. Nothing is drawn here.
"""

from dataclasses import dataclass

DOES_NOT_APPLY = -1  # code of an attribute that an item does not have (a shoe has no neckline)

RELATION_KINDS = ("also_viewed", "buy_after_viewing", "also_bought", "bought_together")
SUBSTITUTES = RELATION_KINDS[:2]
COMPLEMENTS = RELATION_KINDS[2:]


# What a reader spells otherwise, or with a hyphen; in all other words `_` is a space.
_SPELLING = {"v": "V", "1_to_7_4_in": "1 to 1¾ in"}
_HYPHENATED = ("three_quarter", "mid_calf", "knee_high", "lace_up", "slip_on", "high_waist")


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


# The twelve attributes and their 45 classes.
SCHEMA = Schema(
    {
        "high_neck": ("ruffle", "turtle", "mock"),
        "collar": ("rib", "puritan", "shirt"),
        "lapel": ("notched", "shawl", "collarless"),
        "neckline": ("v", "square", "round", "boat"),
        "sleeves_length": ("sleeveless", "cap", "short", "three_quarter", "long"),
        "body_length": ("high_waist", "regular", "long"),
        "skirt_length": ("short", "knee", "midi", "ankle"),
        "trousers_length": ("short", "mid", "three_quarter", "cropped", "full"),
        "heel_height": ("flat", "under_1_in", "1_to_7_4_in", "high"),
        "boots_height": ("ankle", "mid_calf", "knee_high"),
        "closure": ("lace_up", "slip_on", "zipper", "buckle"),
        "toe_style": ("round", "pointed", "peep", "open"),
    }
)

CATEGORIES = ("top", "bottom", "shoes")

# A top has exactly one of these, and a sleeves' and a body length.
NECK = ("high_neck", "collar", "lapel", "neckline")
# A bottom has exactly one of these, and nothing else.
LENGTH = ("skirt_length", "trousers_length")
# Category -> the attributes that an item of it may have; only boots have a `boots_height`.
APPLIES = {
    "top": (*NECK, "sleeves_length", "body_length"),
    "bottom": LENGTH,
    "shoes": ("heel_height", "boots_height", "closure", "toe_style"),
}

# Family -> its colours: red, green and blue in 0..1.
_TONES = {
    "neutral": {
        "white": (0.93, 0.93, 0.91), "black": (0.16, 0.16, 0.18), "grey": (0.55, 0.56, 0.58),
        "beige": (0.84, 0.75, 0.62),
    },
    "cool": {
        "navy": (0.15, 0.21, 0.38), "denim": (0.33, 0.45, 0.62), "sky": (0.60, 0.76, 0.88),
        "teal": (0.13, 0.47, 0.50), "mint": (0.62, 0.82, 0.72), "green": (0.18, 0.45, 0.33),
    },
    "warm": {
        "red": (0.74, 0.17, 0.18), "burgundy": (0.42, 0.12, 0.19), "orange": (0.87, 0.48, 0.22),
        "mustard": (0.82, 0.65, 0.22), "tan": (0.70, 0.52, 0.35), "brown": (0.38, 0.25, 0.17),
        "olive": (0.42, 0.44, 0.24),
    },
    "soft": {
        "pink": (0.90, 0.62, 0.67), "purple": (0.42, 0.28, 0.53), "lilac": (0.73, 0.66, 0.84),
    },
}  # fmt: skip
PALETTE = {colour: rgb for tones in _TONES.values() for colour, rgb in tones.items()}
COLOURS = tuple(PALETTE)
COLOURS_OF_FAMILY = {family: tuple(tones) for family, tones in _TONES.items()}
FAMILIES = tuple(COLOURS_OF_FAMILY)
FAMILY_OF = {colour: family for family, colours in COLOURS_OF_FAMILY.items() for colour in colours}

# Adjectives, so that a title can use them.
PATTERNS = ("plain", "striped", "pinstriped", "checked", "dotted", "melange", "floral")
# Brand marks: nuisance, unless `Dials.shortcut` ties them to a class.
MARKS = ("bars", "dot", "triangle", "star", "swoosh", "square", "ring", "cross")
BACKGROUNDS = ("white", "cream", "grey", "tint")


def display(name: str) -> str:
    """Text for a reader: 'three_quarter' -> 'three-quarter', 'sleeves_length' -> 'sleeves length'.

    Args:
        name: an attribute or class of `SCHEMA`.
    """
    return _SPELLING.get(name, name.replace("_", "-" if name in _HYPHENATED else " "))
