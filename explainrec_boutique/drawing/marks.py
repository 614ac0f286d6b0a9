"""Brand marks: eight small shapes that say nothing about an item (unless a dial ties them)."""

from .geometry import Points, box, curve, ellipse, join, star

# All but the ring, which is a line; round the origin, of radius 1.
SHAPES: dict[str, list[Points]] = {
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
