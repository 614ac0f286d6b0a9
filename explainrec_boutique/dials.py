"""What can be turned: dials of the drawing, the shoppers and the relations, each with its range.

A dial out of its range is refused where it is set; whoever holds dials may trust them.
"""

from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import Any

from .vocabulary import GROUPS, SCHEMA

Range = tuple[int, int] | tuple[float, float]

MAX_SEED = 2**32 - 1
MAX_ITEM = 2**31 - 1
SIZES: Range = (32, 512)  # sides of a picture, in pixels


def check_number(name: str, value: Any, allowed: Range) -> None:
    """Raise a ValueError unless `value` lies in `allowed`; whole-number bounds ask for a whole one.

    Args:
        name: what to call the argument in the message.
        allowed: lowest and highest value, both allowed.
    """
    low, high = allowed
    kind, word = (Integral, "a whole number ") if isinstance(low, int) else (Real, "a number ")
    right_kind = isinstance(value, kind) and not isinstance(value, bool)
    if not right_kind or not low <= value <= high:
        raise ValueError(f"{name}: {value!r} is not {word}in {low}..{high}")


def _dial(usual: float, low: float, high: float) -> Any:
    """A field of `_Checked` that must lie in low..high."""
    return field(default=usual, metadata={"allowed": (low, high)})


class _Checked:
    """A dataclass of dials that refuses a value out of range, by name."""

    def __post_init__(self) -> None:
        for dial in fields(self):  # type: ignore[arg-type]
            if dial.metadata:
                check_number(dial.name, getattr(self, dial.name), dial.metadata["allowed"])


@dataclass(frozen=True)
class Dials(_Checked):
    """How much a picture varies beyond its attributes.

    Attributes:
        nuisance: spread of pose and light, 0 (none) to 2; 1 is the shop's usual.
        marks: probability of a brand mark, 0 to 1.
        shortcut: None, or (attribute, probability): items with the attribute always carry a
            mark, and with this probability it is the one that stands for their class: a trap
            for models.
        noise: standard deviation of the pixel noise, 0 to 0.2 of full scale.
    """

    nuisance: float = _dial(1.0, 0.0, 2.0)
    marks: float = _dial(0.45, 0.0, 1.0)
    shortcut: tuple[str, float] | None = None
    noise: float = _dial(0.006, 0.0, 0.2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shortcut is not None:
            if not isinstance(self.shortcut, tuple) or len(self.shortcut) != 2:
                given = f"shortcut: {self.shortcut!r}"
                raise ValueError(f"{given} is neither None nor a pair (attribute, probability)")
            SCHEMA.attribute(self.shortcut[0])
            check_number("shortcut's probability", self.shortcut[1], (0.0, 1.0))


@dataclass(frozen=True)
class ShopperDials(_Checked):
    """How shoppers differ and choose. Utilities are in units of the Gumbel noise's scale.

    Attributes:
        purchases: purchases a shopper, all different items.
        strength: weight of taste in the utility; 0 = she ignores attributes.
        noise: standard deviation of the weak preferences under the strong ones.
        popularity: weight of an item's standard-normal popularity.
        colour: what the favourite colour family adds.
        strong: number of strong preferences, (attribute, class) pairs.
        groups: number of groups, the first of `vocabulary.GROUPS`.
        group_pull: log-odds by which a group's favourites are likelier to be strong preferences.
        feature_signal: chance that a shopper ticks her group's typical value of a feature; else
            any value, all equally likely.
        reason_above: preference from which an attribute can be the reason of a purchase (in units
            of theta, so its contribution must exceed strength * reason_above).
    """

    purchases: int = _dial(8, 1, 1_000)
    strength: float = _dial(5.0, 0.0, 100.0)
    noise: float = _dial(0.12, 0.0, 10.0)
    popularity: float = _dial(0.7, 0.0, 100.0)
    colour: float = _dial(0.6, 0.0, 100.0)
    strong: int = _dial(3, 0, 12)
    groups: int = _dial(len(GROUPS), 1, len(GROUPS))
    group_pull: float = _dial(2.0, 0.0, 20.0)
    feature_signal: float = _dial(0.6, 0.0, 1.0)
    reason_above: float = _dial(0.4, 0.0, 10.0)


@dataclass(frozen=True)
class RelationDials(_Checked):
    """How many relations there are and how clean.

    Attributes:
        pairs: pairs drawn for each group and kind; repeated pairs are kept once.
        noise: share of pairs that no key explains.
        distractors: share of pairs that agree in the colour family alone.
    """

    pairs: int = _dial(800, 0, 1_000_000)
    noise: float = _dial(0.06, 0.0, 0.5)
    distractors: float = _dial(0.06, 0.0, 0.5)


DRAWING, SHOPPING, RELATING = Dials(), ShopperDials(), RelationDials()  # as they stand by default
