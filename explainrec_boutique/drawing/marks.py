"""Brand marks: eight small shapes that say nothing about an item (unless a dial ties them)."""

from __future__ import annotations

from collections.abc import Callable

from .canvas import Canvas, Cover
from .fabric import INK, WHITE, Colour, contrasting
from .geometry import Point, Points, box, closed, curve, ellipse, join, star

MARK = "mark"
"""Name of the brand mark's pixels among a canvas's masks."""


def draw_mark(canvas: Canvas, centre: Point, radius: float, ground: Colour) -> None:
    """Print the design's brand mark, if it has one, in a tone that shows on the ground."""
    name = canvas.design.mark
    if name is None:
        return
    cover = _cover(canvas, name, centre, radius)
    canvas.paint(cover, contrasting(ground, INK, WHITE), 0.95)
    canvas.mark(MARK, cover)


def _cover(canvas: Canvas, name: str, centre: Point, radius: float) -> Cover:
    if name == "ring":
        ring = closed(ellipse(centre, 0.78 * radius, 0.78 * radius))
        return canvas.stroke(ring, width=0.42 * radius)
    return canvas.cover(*(part * radius + join(centre) for part in _SHAPES[name]()))


def _swoosh() -> list[Points]:
    below = curve((-1.2, 0), (-0.4, 1.6), (1.4, -0.8))
    above = curve((1.4, -0.8), (-0.2, 0.4), (-1.2, 0))
    return [join(below, above)]


_SHAPES: dict[str, Callable[[], list[Points]]] = {
    "bars": lambda: [box(-1, -0.8, 1, -0.2), box(-1, 0.2, 0.4, 0.8)],
    "dot": lambda: [ellipse((0, 0), 0.85, 0.85)],
    "triangle": lambda: [join((0, -1), (1, 0.8), (-1, 0.8))],
    "star": lambda: [star((0, 0), 1.15, 0.47)],
    "swoosh": _swoosh,
    "square": lambda: [box(-0.8, -0.8, 0.8, 0.8)],
    "cross": lambda: [box(-1, -0.3, 1, 0.3), box(-0.3, -1, 0.3, 1)],
}
