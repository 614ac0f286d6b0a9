"""Cloth: colours, woven and printed patterns, and folds, as fields over the picture.

All fields are exact arithmetic on float32 (waves are parabolic arcs), so they are the same on
every machine. Textures are functions of cloth coordinates and the design's seed alone: cutting a
garment differently never changes the pattern where both cuts have cloth.
"""

from functools import cached_property

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from ..design import Design
from ..vocabulary import PALETTE, read_table
from .geometry import Frame, Point, wave

Tone = Float[ndarray, "3"]
Window = tuple[slice, slice]
Field = Float[ndarray, "height width"]

BLACK = np.zeros(3, dtype=np.float32)
BRIGHT = np.ones(3, dtype=np.float32)
FOLDS, MELANGE, FLORAL, NOISE = range(4)  # streams of a design's generator, one a texture

STRAIGHT = (1.0, 0.0)


def colour(*channels: float) -> Tone:
    return np.array(channels, dtype=np.float32)


TABLES = read_table("drawing.toml")
TONES = {name: colour(*channels) for name, channels in TABLES["tones"].items()}


def luminance(c: Tone) -> float:
    return float(0.3 * float(c[0]) + 0.59 * float(c[1]) + 0.11 * float(c[2]))


def darker(c: Tone, share: float) -> Tone:
    """The colour with `share` of it left."""
    return c * np.float32(share)


def lighter(c: Tone, share: float) -> Tone:
    """The colour moved by `share` towards white."""
    return c + (1 - c) * np.float32(share)


def trim_of(c: Tone) -> Tone:
    """A tone for bindings and ribs that shows on the colour."""
    return darker(c, 0.8) if luminance(c) > 0.3 else lighter(c, 0.18)


def thread_of(c: Tone) -> Tone:
    """A tone for stitches that shows on the colour."""
    return lighter(c, 0.5) if luminance(c) < 0.4 else darker(c, 0.6)


class Fabric:
    """The cloth of one design, seen through its frame."""

    def __init__(self, design: Design, frame: Frame) -> None:
        self.design = design
        self.unit = np.float32(1 / frame.scale)  # cloth units a pixel
        self.x, self.y = frame.cloth_grid()
        self.period = np.float32(19 * design.pattern_scale)
        self.main = colour(*PALETTE[design.colour])
        self.accent = _visible_on(self.main, colour(*PALETTE[design.accent]))

    def stream(self, texture: int) -> np.random.Generator:
        return np.random.default_rng([self.design.seed, texture])

    def woven(self, window: Window, turn: Point = STRAIGHT) -> Float[ndarray, "height width 3"]:
        """Colours of the patterned main cloth, its grain turned by (cosine, sine)."""
        x, y = self.x[window], self.y[window]
        c, s = np.float32(turn[0]), np.float32(turn[1])
        x, y = c * x - s * y, s * x + c * y
        pattern = self.design.pattern
        if pattern == "plain":
            return np.broadcast_to(self.main, (*x.shape, 3))
        if pattern == "melange":
            return np.clip(self.main + self._melange(window)[..., None], 0, 1)
        share = getattr(self, f"_{pattern}")(x, y)[..., None]
        return self.main * (1 - share) + self.accent * share

    @cached_property
    def folds(self) -> Field:
        """Light and dark of soft vertical folds, about -1..1."""
        rng = self.stream(FOLDS)
        total = np.zeros_like(self.x)
        for _ in range(3):
            fine, lean, phase, bend, slow, start = rng.random(6).astype(np.float32)
            wobble = (0.05 + 0.12 * bend) * wave(self.y * (0.003 + 0.004 * slow) + start)
            across = self.x * (0.010 + 0.011 * fine) + self.y * (lean - 0.5) * 0.008
            ridge = wave(across + phase + wobble)
            where = wave(self.y * (0.003 + 0.003 * bend) + self.x * 0.003 * slow + 3 * start)
            total += ridge * np.abs(ridge) * (0.5 + 0.5 * where)
        return total / 3

    def sharp(self, distance: Field) -> Field:
        """Coverage of a shape with the given signed distance (positive inside), in cloth units."""
        return np.clip(distance / (1.2 * self.unit) + 0.5, 0, 1)

    # -------------------------------------------------------------- weaves: share of the accent

    def _striped(self, x: Field, y: Field) -> Field:
        return self.sharp(self.period * 0.17 - _off_line(y, self.period))

    def _pinstriped(self, x: Field, y: Field) -> Field:
        period = self.period * np.float32(0.6)
        return self.sharp(self.period * 0.08 - _off_line(x + period / 2, period))

    def _checked(self, x: Field, y: Field) -> Field:
        period = self.period
        down = self.sharp(period * 0.2 - _off_line(y, period))
        across = self.sharp(period * 0.2 - _off_line(x, period))
        thread = 0.8 * self.sharp(0.6 - _off_line(y + period / 2, period))
        return np.maximum(0.5 * (down + across), thread)

    def _dotted(self, x: Field, y: Field) -> Field:
        high, wide = self.period * np.float32(0.6), self.period * np.float32(0.7)
        row = np.floor(y / high)
        shifted = x / wide + 0.5 * (row - 2 * np.floor(row / 2))
        dx = (shifted - np.floor(shifted) - 0.5) * wide
        dy = y - row * high - high / 2
        return self.sharp(self.period * 0.15 - np.sqrt(dx * dx + dy * dy))

    def _floral(self, x: Field, y: Field) -> Field:
        """Five-petalled flowers, one a cell, jittered and turned."""
        cell = self.period * np.float32(1.2)
        column, row = np.floor(x / cell), np.floor(y / cell)
        pick = (row.astype(np.int64) % 16, column.astype(np.int64) % 16)
        jitter = self.stream(FLORAL).random((4, 16, 16)).astype(np.float32)
        dx = x - cell * (column + 0.35 + 0.3 * jitter[0][pick])
        dy = y - cell * (row + 0.35 + 0.3 * jitter[1][pick])
        radius = np.sqrt(dx * dx + dy * dy) + np.float32(1e-3)
        lean = jitter[2][pick] - 0.5
        c = (dx - lean * dy) / (radius * np.sqrt(1 + lean * lean))
        five = c * (16 * c * c * c * c - 20 * c * c + 5)  # cosine of five times the angle
        petals = self.sharp(cell * (0.24 + 0.09 * five) - radius)
        return petals - 0.75 * self.sharp(cell * 0.09 - radius)

    def _melange(self, window: Window) -> Field:
        """A speckle of yarn tones: pixel-sized, so drawn over the whole frame and cut."""
        size = self.x.shape[0]
        speckle = self.stream(MELANGE).random((size + 1, size + 1), dtype=np.float32) - 0.5
        return (0.09 * (speckle[1:, 1:] + speckle[:-1, 1:] + speckle[1:, :-1]))[window]


def _visible_on(main: Tone, accent: Tone) -> Tone:
    """The accent, or a lighter or darker main colour where the two are too alike."""
    difference = sum(abs(float(a) - float(b)) for a, b in zip(main, accent, strict=True))
    if difference >= 0.5:
        return accent
    return np.clip(main + np.float32(0.45 if luminance(main) < 0.5 else -0.4), 0, 1)


def _off_line(x: Field, period: np.float32) -> Field:
    """Distance to the nearest of parallel lines, in cloth units."""
    t = x / period
    return np.abs(t - np.floor(t) - 0.5) * period
