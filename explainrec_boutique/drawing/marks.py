"""Brand marks: eight small shapes that say nothing about an item (unless a dial ties them)."""

from .canvas import Canvas
from .fabric import TONES
from .geometry import Point, Points, box, closed, curve, ellipse, join, star

MARK = "mark"  # name of the brand mark's pixels among a canvas's masks


def draw_mark(canvas: Canvas, centre: Point, radius: float) -> None:
    """Print the design's brand mark, if it has one, in a tone that shows on the cloth."""
    name = canvas.design.mark
    if name is None:
        return
    if name == "ring":
        ring = closed(ellipse(centre, 0.78 * radius, 0.78 * radius))
        cover = canvas.stroke(ring, width=0.42 * radius)
    else:
        cover = canvas.cover(*(part * radius + join(centre) for part in _SHAPES[name]))
    canvas.paint(cover, TONES["ink" if canvas.lightness > 0.45 else "white"], 0.95)
    canvas.mark(MARK, cover)


_SHAPES: dict[str, list[Points]] = {
    "bars": [box(-1, -0.8, 1, -0.2), box(-1, 0.2, 0.4, 0.8)],
    "dot": [ellipse((0, 0), 0.85, 0.85)],
    "triangle": [join((0, -1), (1, 0.8), (-1, 0.8))],
    "star": [star(1.15, 0.47)],
    "swoosh": [
        join(curve((-1.2, 0), (-0.4, 1.6), (1.4, -0.8)), curve((1.4, -0.8), (-0.2, 0.4), (-1.2, 0)))
    ],
    "square": [box(-0.8, -0.8, 0.8, 0.8)],
    "cross": [box(-1, -0.3, 1, 0.3), box(-0.3, -1, 0.3, 1)],
}
