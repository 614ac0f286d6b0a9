"""Plane geometry of the drawings: curves, mirror images, waves, and the map from cloth to pixels.

Cloth coordinates: y runs down, 0..256 is the height of a frame, and x = 0 is a garment's axis of
symmetry. Everything here is exact arithmetic, or a transcendental value rounded to a fixed grid,
so that a point falls on the same spot on every machine. Nothing here knows a pixel's colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from ..design import Pose

Points = Float[ndarray, "point 2"]
Point = tuple[float, float] | Float[ndarray, "2"]

GRID = 2.0**-20
# In cloth units: height and width of the frame, what stays free along its border, and how far off
# the middle a garment lies at most.
SIDE, MARGIN, WANDER = 256.0, 6.0, 16.0


def on_grid(value: float) -> float:
    """Round to the grid: libraries differ in the last bit of a sine."""
    return round(value / GRID) * GRID


# ------------------------------------------------------------------ curves


@lru_cache(maxsize=64)
def _weights(count: int, degree: int) -> Float[ndarray, "point control"]:
    """Bernstein polynomials of a degree at `count` even steps."""
    t = np.linspace(0, 1, count)
    s = 1 - t
    if degree == 2:
        return np.stack([s * s, 2 * s * t, t * t], axis=1)
    return np.stack([s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t], axis=1)


def curve(*controls: Point, count: int = 12) -> Points:
    """A quadratic (three control points) or cubic (four) Bézier curve, ends included."""
    parts = zip(_weights(count, len(controls) - 1).T, controls, strict=True)
    return np.asarray(sum(weight[:, None] * np.asarray(control) for weight, control in parts))


def bow(half: float, y: float, sag: float, count: int = 12) -> Points:
    """From -half to half at height y, hanging (or rising) in the middle."""
    return curve((-half, y), (0, y + sag), (half, y), count=count)


@lru_cache(maxsize=16)
def _spline_weights(count: int) -> Float[ndarray, "step 4"]:
    t = np.arange(count) / count
    t2, t3 = t * t, t * t * t
    weights = (2 * t2 - t - t3, 2 - 5 * t2 + 3 * t3, t + 4 * t2 - 3 * t3, t3 - t2)
    return 0.5 * np.stack(weights, axis=1)


def smooth(*through: Point, count: int = 6) -> Points:
    """A Catmull-Rom curve through all points, `count` steps between two of them."""
    p = np.asarray(through, dtype=np.float64)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    weights = _spline_weights(count)
    pieces = sum(weights[:, i, None] * p[i : len(p) - 3 + i, None, :] for i in range(4))
    return np.concatenate([np.asarray(pieces).reshape(-1, 2), p[-2:-1]])


def join(*parts: Point | Points | Sequence[Point]) -> Points:
    """One path from points and paths, in order."""
    return np.concatenate([np.asarray(part, dtype=np.float64).reshape(-1, 2) for part in parts])


def mirror(path: Points) -> Points:
    """The mirror image about x = 0, run backwards so that halves join end to end."""
    return path[::-1] * [-1.0, 1.0]


def both(path: Points) -> tuple[Points, Points]:
    """A path of the right half as it is, and on the left half."""
    return path, mirror(path)


def box(left: float, top: float, right: float, bottom: float) -> Points:
    return join((left, top), (right, top), (right, bottom), (left, bottom))


def vertical(x: float, top: float, bottom: float) -> Points:
    return join((x, top), (x, bottom))


@lru_cache(maxsize=16)
def _circle(count: int) -> Points:
    turns = [2 * math.pi * i / count for i in range(count)]
    return np.array([(on_grid(math.cos(t)), on_grid(math.sin(t))) for t in turns])


def ellipse(centre: Point, across: float, down: float, count: int = 20) -> Points:
    """An ellipse with the given half-axes."""
    return _circle(count) * np.array([across, down]) + np.asarray(centre)


def star(outer: float, inner: float) -> Points:
    """A star round the origin, with one of its five tips up."""
    radius = np.where(np.arange(10) % 2, inner, outer)[:, None]
    return _circle(10)[:, ::-1] * np.array([1.0, -1.0]) * radius


# ------------------------------------------------------------------ along a path


def _lengths(vectors: Float[ndarray, "vector 2"]) -> Float[ndarray, " vector"]:
    return np.sqrt(vectors[:, 0] * vectors[:, 0] + vectors[:, 1] * vectors[:, 1])


def unit(vectors: Float[ndarray, "vector 2"]) -> Float[ndarray, "vector 2"]:
    """The same directions, of length 1."""
    return vectors / np.maximum(_lengths(vectors), 1e-9)[:, None]


def along(path: Points, shares: float | Sequence[float] | ndarray) -> Points:
    """Points at shares 0..1 of the path's length."""
    travelled = np.concatenate([[0.0], np.cumsum(_lengths(np.diff(path, axis=0)))])
    at = np.atleast_1d(np.asarray(shares, dtype=np.float64)) * travelled[-1]
    return np.stack([np.interp(at, travelled, path[:, i]) for i in (0, 1)], axis=1)


def x_at(path: Points, y: float) -> float:
    """Where a path that runs down crosses a height."""
    return float(np.interp(y, path[:, 1], path[:, 0]))


def down_to(path: Points, y: float, gap: float = 0.0) -> Points:
    """A path that runs down, to a height; its last point is at least `gap` from the one before."""
    return join(path[path[:, 1] < y - gap], (x_at(path, y), y))


def normals(path: Points) -> Float[ndarray, "point 2"]:
    """Unit normals, to the right of the direction of travel (y runs down)."""
    steps = unit(np.gradient(path, axis=0))
    return np.stack([-steps[:, 1], steps[:, 0]], axis=1)


def ribbon(path: Points, width: float) -> Points:
    """The outline of a line of the given width, its corners mitred."""
    steps = unit(np.diff(path, axis=0))
    before, after = np.concatenate([steps[:1], steps]), np.concatenate([steps, steps[-1:]])
    mean = unit(before + after)
    cosine = np.abs(mean[:, 0] * after[:, 0] + mean[:, 1] * after[:, 1])
    reach = (width / 2) / np.maximum(cosine, 0.5)
    side = np.stack([-mean[:, 1] * reach, mean[:, 0] * reach], axis=1)
    return np.concatenate([path + side, (path - side)[::-1]])


def dashes(path: Points, period: float) -> list[Points]:
    """Stitches: short straight pieces that cover 55 % of the path."""
    total = float(np.cumsum(_lengths(np.diff(path, axis=0)))[-1])
    starts = np.arange(int(total / period)) * (period / max(total, period))
    stops = starts + 0.55 * period / max(total, period)
    return list(np.stack([along(path, starts), along(path, stops)], axis=1))


def wave(turns: ndarray) -> ndarray:
    """A sine without a sine: parabolic arcs of period 1 and range -1..1, exact arithmetic."""
    t = turns - np.floor(turns + 0.5)
    return 8 * t - 16 * t * np.abs(t)


# ------------------------------------------------------------------ the frame


@dataclass(frozen=True)
class Frame:
    """The map from cloth to pixels: rotate, scale, maybe flip, shift.

    Attributes:
        size: pixels of a picture's side.
        scale: pixels a cloth unit.
        turn, origin: a point (x, y) of the cloth falls on the pixel turn (x, y) + origin.
    """

    size: int
    scale: float
    turn: Float[ndarray, "2 2"]
    origin: Float[ndarray, " xy"]

    @classmethod
    def fit(cls, room: Points, pose: Pose, size: int) -> Frame:
        """Frame a garment so that its room stays inside, whatever the garment's classes.

        Args:
            room: outline of the space that any class of this kind of garment may take.
            pose: its zoom is a share of the largest scale that fits, its position a share of
                the slack (at most `WANDER`).
        """
        angle, flip = math.radians(pose.rotation), -1.0 if pose.flip else 1.0
        c, s = on_grid(math.cos(angle)), on_grid(math.sin(angle))
        turn = np.array([[flip * c, -s], [flip * s, c]])
        turned = cls(size, 1.0, turn, np.zeros(2)).to_pixels(room)
        low, high = turned.min(axis=0), turned.max(axis=0)
        free = SIDE - 2 * MARGIN
        zoom = pose.zoom * float((free / (high - low)).min())
        slack = np.minimum((free - zoom * (high - low)) / 2, WANDER)
        middle = SIDE / 2 + slack * np.array([pose.across, pose.down])
        k = zoom * (size / SIDE)
        return cls(size, k, turn * k, (middle - zoom * (low + high) / 2) * (size / SIDE))

    def to_pixels(self, path: Points) -> Points:
        return path[:, :1] * self.turn[:, 0] + path[:, 1:] * self.turn[:, 1] + self.origin

    def cloth_grid(self) -> tuple[Float[ndarray, "height width"], Float[ndarray, "height width"]]:
        """Cloth coordinates (x, y) of all pixel centres, float32."""
        centres = np.arange(self.size) + 0.5
        px, py = centres[None, :] - self.origin[0], centres[:, None] - self.origin[1]
        (xx, xy), (yx, yy) = self.turn
        det = xx * yy - xy * yx
        x, y = (yy * px - xy * py) / det, (xx * py - yx * px) / det
        return x.astype(np.float32), y.astype(np.float32)
