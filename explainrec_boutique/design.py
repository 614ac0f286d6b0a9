"""What an item of the boutique is, before it is drawn: a `Design`, sampled from a seed.

`sample(seed, item, dials)` draws every item from its own generator, so an item never depends on
how many others there are, on their order, or on the process that asked. Attributes are what the
papers' models must find; everything else in a design (colour, pattern, cut, pose, light, brand
mark) is *nuisance* that tells nothing about them, unless `Dials.shortcut` says so. Drawing is
done in `render.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from numpy import ndarray
from numpy.random import Generator, default_rng

from . import vocabulary as words
from .dials import DRAWING, MAX_ITEM, MAX_SEED, Dials, check_number
from .vocabulary import APPLIES, CATEGORIES, DOES_NOT_APPLY, FAMILIES, NECK, ODDS, SCHEMA, display

GRID = 2**10  # real-valued choices are multiples of 1/GRID: the same on every machine


# ------------------------------------------------------------------ one item


class Pose(NamedTuple):
    """Where the item lies in its frame. None of it depends on a class.

    Attributes:
        rotation: degrees, clockwise.
        zoom: share of the largest size at which every class would still fit, 0..1.
        across, down: position within the room that is left, -1 (left, top) to 1.
        flip: whether the item is mirrored.
    """

    rotation: float
    zoom: float
    across: float
    down: float
    flip: bool


class Scene(NamedTuple):
    """Light and surroundings.

    Attributes:
        light: direction that the light comes from, degrees clockwise from the right.
        brightness: factor on all colours.
        warmth: added to red and taken from blue.
        background: one of `BACKGROUNDS`; `hue` (0..1) colours the tinted one.
        noise: standard deviation of the pixel noise.
    """

    light: float
    brightness: float
    warmth: float
    background: str
    hue: float
    noise: float


@dataclass(frozen=True)
class Design:
    """All there is to know about one item: the same design always gives the same picture.

    Attributes:
        category: one of `CATEGORIES`.
        codes: a class code for each attribute of `SCHEMA`, -1 where it does not apply.
        colour, accent: main and second colour, from `PALETTE`.
        pattern: one of `PATTERNS`; `pattern_scale` 0.7..1.5 is its size.
        fit: -1 (tight) to 1 (loose). flare: 0 (narrow) to 1 (wide).
        length: small variation of all lengths within their class, -1..1.
        detail: which of four sets of pockets, trims and soles.
        mark: a brand mark or None; `place` 0..2 is where it sits.
        seed: of texture, folds and noise.
    """

    category: str
    codes: tuple[int, ...]
    colour: str
    accent: str
    pattern: str
    pattern_scale: float
    fit: float
    flare: float
    length: float
    detail: int
    mark: str | None
    place: int
    pose: Pose
    scene: Scene
    seed: int

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes that apply, with their classes."""
        pairs = zip(SCHEMA.classes.items(), self.codes, strict=True)
        return {name: classes[code] for (name, classes), code in pairs if code != DOES_NOT_APPLY}

    @property
    def neck(self) -> str:
        """Which of `NECK` a top has; '' for other items."""
        return next((name for name in NECK if name in self.attributes), "")

    @property
    def colour_family(self) -> str:
        """The family of the main colour, one of `FAMILIES`."""
        return words.FAMILY_OF[self.colour]

    @property
    def title(self) -> str:
        """The item's name in the catalogue: 'navy striped V-neck top, long sleeves'."""
        pattern = "" if self.pattern == "plain" else f"{self.pattern} "
        has = {name: display(value) for name, value in self.attributes.items()}
        return f"{self.colour} {pattern}{_KIND_OF[self.category](has, self.neck)}"

    def switched(self, attribute: str, value: str) -> Design:
        """The same item with one attribute of another class: the counterfactual.

        Raises:
            ValueError: unknown attribute or class, or an attribute that the item does not have.
        """
        position = SCHEMA.attribute(attribute)
        if self.codes[position] == DOES_NOT_APPLY:
            given, has = f"attribute: {attribute!r}", ", ".join(self.attributes)
            raise ValueError(f"{given} does not apply to this item, which has {has}")
        code = SCHEMA.code(attribute, value)
        return replace(self, codes=(*self.codes[:position], code, *self.codes[position + 1 :]))


@dataclass(frozen=True)
class ItemFacts:
    """What shoppers and relations go by, for every item of a catalogue.

    Attributes:
        category: int64 `[item]`, position in `CATEGORIES`.
        colour_family: int64 `[item]`, position in `FAMILIES`.
        attributes: int64 `[item, attribute]`, class codes, -1 = does not apply.
        popularity: float32 `[item]`, standard normal.
    """

    category: Int[ndarray, " item"]
    colour_family: Int[ndarray, " item"]
    attributes: Int[ndarray, "item attribute"]
    popularity: Float[ndarray, " item"]

    @classmethod
    def of(cls, items: pd.DataFrame, attributes: Int[ndarray, "item attribute"]) -> ItemFacts:
        """The facts in a table with the columns `category`, `colour_family` and `popularity`."""
        category = pd.Categorical(items["category"], CATEGORIES).codes.astype(np.int64)
        family = pd.Categorical(items["colour_family"], FAMILIES).codes.astype(np.int64)
        return cls(category, family, attributes, items["popularity"].to_numpy(np.float32))

    def __len__(self) -> int:
        return len(self.category)


# ------------------------------------------------------------------ titles


def _top_words(has: dict[str, str], neck: str) -> str:
    value, part = has[neck], {"collar": "collar", "lapel": "lapel"}.get(neck, "neck")
    garment = "jacket" if neck == "lapel" else "top"
    kind = f"{value} {garment}" if value == "collarless" else f"{value}-{part} {garment}"
    sleeves, body = has["sleeves_length"], has["body_length"]
    arms = sleeves if sleeves == "sleeveless" else f"{sleeves} sleeves"
    return f"{kind}, {arms}" + ("" if body == "regular" else f", {body} body")


def _bottom_words(has: dict[str, str], neck: str) -> str:
    ((attribute, value),) = has.items()
    return f"{value} {attribute.removesuffix('_length')}"


def _shoe_words(has: dict[str, str], neck: str) -> str:
    kind = f"{has['boots_height']} boots" if "boots_height" in has else "shoes"
    height = has["heel_height"]
    heel = {"flat": "flat", "high": "high heel"}.get(height, f"heel {height}")
    return f"{has['closure']} {kind}, {has['toe_style']} toe, {heel}"


_KIND_OF = {"top": _top_words, "bottom": _bottom_words, "shoes": _shoe_words}


# ------------------------------------------------------------------ sampling


def sample(seed: int, item: int, dials: Dials = DRAWING) -> Design:
    """Draw one item's design.

    Args:
        seed: of the catalogue, 0..2**32-1.
        item: its id, from 0.

    Raises:
        ValueError: names the argument, its value and the allowed range.
    """
    check_number("seed", seed, (0, MAX_SEED))
    check_number("item", item, (0, MAX_ITEM))
    rng = default_rng([int(seed), int(item)])
    category = CATEGORIES[rng.integers(len(CATEGORIES))]
    has = {"top": _draw_top, "bottom": _draw_bottom, "shoes": _draw_shoes}[category](rng)
    colour, accent = (words.COLOURS[i] for i in rng.permutation(len(words.COLOURS))[:2])
    patterns = ODDS["shoe_patterns" if category == "shoes" else "patterns"]
    codes = (SCHEMA.code(k, has[k]) if k in has else DOES_NOT_APPLY for k in SCHEMA.attributes)
    return Design(
        category=category,
        codes=tuple(codes),
        colour=colour,
        accent=accent,
        pattern=_pick(rng, words.PATTERNS, patterns),
        pattern_scale=_between(rng, 0.7, 1.5),
        fit=_between(rng, -1, 1),
        flare=_between(rng, 0, 1),
        length=_between(rng, -1, 1),
        detail=int(rng.integers(4)),
        mark=_draw_mark(rng, has, dials),
        place=int(rng.integers(3)),
        pose=_draw_pose(rng, dials.nuisance),
        scene=_draw_scene(rng, dials),
        seed=int(rng.integers(2**31)),
    )


def _between(rng: Generator, low: float, high: float) -> float:
    """A uniform number on the grid."""
    return round((low + (high - low) * rng.random()) * GRID) / GRID


def _pick(rng: Generator, choices: Sequence[str], odds: Sequence[float] | None = None) -> str:
    """One of `choices`, all equally likely without odds; consumes one number whatever they are."""
    return choices[int(rng.choice(len(choices), p=odds))]


def _draw_top(rng: Generator) -> dict[str, str]:
    neck = _pick(rng, NECK, ODDS["necks"])
    sleeves = ODDS["jacket_sleeves" if neck == "lapel" else "sleeves"]
    odds = {neck: None, "sleeves_length": sleeves, "body_length": ODDS["bodies"]}
    return {name: _pick(rng, SCHEMA.classes[name], odds[name]) for name in odds}


def _draw_bottom(rng: Generator) -> dict[str, str]:
    name = "skirt_length" if rng.random() < 0.45 else "trousers_length"
    return {name: _pick(rng, SCHEMA.classes[name])}


def _draw_shoes(rng: Generator) -> dict[str, str]:
    boots = rng.random() < 0.4
    has = {name: _pick(rng, SCHEMA.classes[name]) for name in APPLIES["shoes"]}
    if boots:
        return has | {"toe_style": _pick(rng, SCHEMA.classes["toe_style"], ODDS["boot_toes"])}
    del has["boots_height"]
    return has


def _draw_mark(rng: Generator, has: dict[str, str], dials: Dials) -> str | None:
    """A brand mark or None. Always consumes three numbers, so that dials change nothing else."""
    shows, mark, tied = rng.random(), _pick(rng, words.MARKS), rng.random()
    if dials.shortcut is not None and dials.shortcut[0] in has:
        attribute, probability = dials.shortcut
        return words.MARKS[SCHEMA.code(attribute, has[attribute])] if tied < probability else mark
    return mark if shows < dials.marks else None


def _draw_pose(rng: Generator, nuisance: float) -> Pose:
    tilt = sum(_between(rng, -1, 1) for _ in range(3))  # bell-shaped, within -3..3
    return Pose(
        rotation=2.4 * tilt * nuisance,
        zoom=1 - _between(rng, 0, 0.14) * nuisance,
        across=_between(rng, -1, 1) * min(nuisance, 1),
        down=_between(rng, -1, 1) * min(nuisance, 1),
        flip=bool(rng.random() < 0.5),
    )


def _draw_scene(rng: Generator, dials: Dials) -> Scene:
    return Scene(
        light=-90 + _between(rng, -60, 60) * min(dials.nuisance, 1.5),
        brightness=1 + _between(rng, -0.10, 0.08) * dials.nuisance,
        warmth=_between(rng, -0.03, 0.03) * dials.nuisance,
        background=_pick(rng, words.BACKGROUNDS, ODDS["backgrounds"]),
        hue=_between(rng, 0, 1),
        noise=float(dials.noise),
    )
