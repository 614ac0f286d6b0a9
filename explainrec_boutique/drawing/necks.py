"""Necks of tops: high neck, collar, lapel, neckline.

A `Neck` says where the front of the garment ends at the neck (its outline joins the body's) and
where the back's rim runs; the inside of the back shows between the two. What lies on the front
(rolls, leaves, lapels, bindings) is drawn afterwards. The shape of the shoulder is the same for
all classes of a kind, but for the boat neck, which is what a boat neck is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..design import Design
from ..vocabulary import NECK
from .canvas import Canvas, Cover, Finish
from .fabric import Colour, colour, darker, lighter, luminance, trim_of
from .geometry import Point, Points, along, box, curve, join, lengths, mirror, vertical, wave

HALF = 19.0  # half the width of the neck opening
SHOULDER = 56.0  # where the neck opening meets the shoulder
LAPEL_END = {"notched": 136.0, "shawl": 136.0, "collarless": 112.0}

PIECE = Finish(depth=3, contrast=0.6, edge=0.6)
TUBE = Finish(depth=6, contrast=0.9, folds=0.03)
LABEL = colour(0.93, 0.93, 0.92)


@dataclass(frozen=True)
class Neck:
    """Where the front ends, where the back does, and what stands out beyond both.

    Attributes:
        kind, value: attribute and class.
        front: the front's edge, from the shoulder on the right to the centre.
        back: the back's rim, from right to left.
        extra: outlines beyond the body's (a ruffle), for the shadow.
        rim: the part of the front's edge that bounds the opening, from right to left; by default
            all of it.
    """

    kind: str
    value: str
    front: Points
    back: Points
    extra: tuple[Points, ...] = ()
    rim: Points | None = None

    @property
    def whole_front(self) -> Points:
        """The front's edge from right to left."""
        return join(self.front, mirror(self.front)[1:])

    @property
    def opening(self) -> Points:
        """Between the front's edge and the back's."""
        return join(self.whole_front if self.rim is None else self.rim, self.back[::-1])


def neck_of(design: Design, tip: Point) -> Neck:
    """The neck of a design whose shoulder ends at `tip`."""
    kind = next(name for name in NECK if name in design.attributes)
    value = design.attributes[kind]
    if kind == "high_neck":
        return _high_neck(value)
    half, y = (32.0, 59.0) if value == "boat" else (HALF, SHOULDER)
    sag = 5 if value == "boat" else 9
    back = curve((half, y), (0, y + sag), (-half, y), count=13)
    return Neck(kind, value, _front(kind, value, half, y), back)


def _front(kind: str, value: str, half: float, y: float) -> Points:
    """The front's edge, from the shoulder to the centre."""
    if kind == "lapel":
        end = LAPEL_END[value]
        if value == "collarless":
            return join((half, y), curve((half - 1, y + 8), (17, 92), (0, end), count=10))
        return join((half, y), (13, 92), (0, end))
    if kind == "collar":
        return join((half, y), (0, 80)) if value == "shirt" else _scoop(half, y, 73)
    if value == "v":
        return join((half, y), (half * 0.6, y + 17), (0, 98))
    if value == "square":
        return join((half, y), (half - 1, 83), (0, 83))
    return _scoop(half, y, 81) if value == "round" else curve((half, y), (half * 0.6, 67), (0, 67))


def _scoop(half: float, y: float, depth: float) -> Points:
    return curve((half, y), (half * 0.9, depth), (0, depth))


# ------------------------------------------------------------------ drawing


def draw_neck_back(canvas: Canvas, neck: Neck) -> None:
    """The inside of the back, seen through the neck."""
    if neck.kind == "lapel":
        _draw_shirt_front(canvas, neck)
        return
    main = canvas.main
    if neck.kind == "high_neck":
        _draw_collar_inside(canvas, neck)
        return
    canvas.cloth(
        neck.opening, finish=Finish(depth=5, contrast=0.7, edge=0.1), colour=darker(main, 0.5)
    )
    canvas.line(neck.back + [0, 1.6], width=3, colour=darker(main, 0.68), opacity=0.95)
    if neck.value != "boat":
        canvas.paint(canvas.cover(box(-5.5, SHOULDER + 7, 5.5, SHOULDER + 14)), LABEL, 0.9)


def draw_neck(canvas: Canvas, neck: Neck, front: Cover, hem: float) -> None:
    """What lies on the front, and the neck's part mask."""
    _DRAW[neck.kind](canvas, neck, front, hem)


# ------------------------------------------------------------------ neckline


def _draw_neckline(canvas: Canvas, neck: Neck, front: Cover, hem: float) -> None:
    edge = neck.whole_front
    canvas.line(edge + [0, 1.5], width=4.6, colour=trim_of(canvas.main), opacity=0.95)
    canvas.line(edge + [0, 4], width=0.9, opacity=0.3)
    canvas.mark("neckline", canvas.cover(neck.opening), canvas.stroke(edge, width=15))


# ------------------------------------------------------------------ collar


def _draw_collar(canvas: Canvas, neck: Neck, front: Cover, hem: float) -> None:
    canvas.mark("collar", canvas.cover(neck.opening))
    if neck.value == "rib":
        _draw_rib(canvas, neck)
        return
    if neck.value == "shirt":
        _draw_placket(canvas, front, hem)
    leaf = _shirt_leaf() if neck.value == "shirt" else _round_leaf()
    tone = _collar_tone(canvas)
    canvas.line(neck.back - [0, 1], width=6, colour=darker(tone, 0.86), opacity=1)
    for outline in (leaf, mirror(leaf)):
        canvas.shadow(outline, drop=(0, 2.5), blur=2.2, strength=0.35, clip=front)
        canvas.mark("collar", canvas.cloth(outline, finish=PIECE, colour=tone))
        inset = (outline - outline.mean(axis=0)) * 0.82 + outline.mean(axis=0)
        canvas.stitch(inset, darker(tone, 0.6), width=0.8, opacity=0.45)
    if neck.value == "puritan":
        canvas.disc((0, 77), 2.4, darker(canvas.main, 0.55))


def _collar_tone(canvas: Canvas) -> Colour:
    main = canvas.main
    if canvas.design.detail >= 2 and luminance(main) < 0.8:
        return colour(0.97, 0.97, 0.96)
    return lighter(main, 0.14) if luminance(main) < 0.5 else darker(main, 0.92)


def _shirt_leaf() -> Points:
    return join(
        curve((HALF - 4, SHOULDER), (HALF - 1, SHOULDER - 5), (HALF + 3, SHOULDER), count=6),
        curve((HALF + 3, SHOULDER), (HALF + 6, SHOULDER + 8), (29, 84), count=6)[1:],
        (12, 93),
        (0.5, 79),
        (HALF * 0.72, SHOULDER + 3),
    )


def _round_leaf() -> Points:
    return join(
        (HALF + 1, SHOULDER - 3),
        curve((HALF + 1, SHOULDER - 3), (40, 66), (32, 81), count=10),
        curve((32, 81), (18, 99), (2, 80), count=10)[1:],
        (0.5, 73),
        curve((1, 73), (HALF - 2, 72), (HALF - 3, SHOULDER), count=6),
    )


def _draw_placket(canvas: Canvas, front: Cover, hem: float) -> None:
    seams = (vertical(-4.5, 80, hem + 4), vertical(4.5, 80, hem + 4))
    canvas.line(*seams, width=1.0, opacity=0.35, clip=front)
    button = (
        lighter(canvas.main, 0.8) if luminance(canvas.main) < 0.75 else darker(canvas.main, 0.55)
    )
    for y in np.arange(96, hem - 3, 17):
        canvas.disc((0, y), 2.5, button)
        canvas.disc((0, y), 0.9, colour(0.3, 0.3, 0.3), 0.6)


def _draw_rib(canvas: Canvas, neck: Neck) -> None:
    """A ribbed band round a crew neck."""
    edge, tone = neck.whole_front + [0, 1.5], trim_of(canvas.main)
    band = canvas.stroke(edge, width=9.5)
    canvas.paint(band, tone)
    spread = along(edge, np.linspace(0.02, 0.98, 27))
    out = spread - np.array([0, SHOULDER - 8])
    out = out / lengths(out)[:, None] * 4.4
    canvas.line(*np.stack([spread - out, spread + out], axis=1), width=0.9, opacity=0.35)
    canvas.line(edge + [0, 5], width=0.9, opacity=0.35)
    canvas.line(neck.back, width=6, colour=tone, opacity=1)
    canvas.mark("collar", band, canvas.stroke(edge, width=13))
    if canvas.design.detail == 0:
        for y in (84, 93, 102):
            canvas.disc((0, y), 2.0, lighter(canvas.main, 0.7))


# ------------------------------------------------------------------ high neck


def _high_neck(value: str) -> Neck:
    """The stand grows out of the shoulder in one curve; its rim is an ellipse."""
    top = {"turtle": 42.0, "mock": 46.0, "ruffle": 50.0}[value]
    half = 17.0
    stand = join(
        curve((36, 63), (half + 5, SHOULDER + 2), (half + 0.5, top + 5), count=8), (half, top)
    )
    rim = curve((half, top), (half * 0.6, top + 4.5), (0, top + 4.5), count=6)
    back = curve((half, top), (0, top - 9), (-half, top), count=13)
    extra = (_roll(),) if value == "turtle" else (_frill(),) if value == "ruffle" else ()
    whole_rim = join(rim, mirror(rim)[1:])
    return Neck("high_neck", value, join(stand, rim[1:]), back, extra, whole_rim)


def _roll() -> Points:
    """The folded-over collar of a turtleneck: a soft drum."""
    right = join(
        (0, 37.5),
        curve((0, 37.5), (11, 37.5), (16.5, 33), count=6)[1:],
        curve((16.5, 33), (21, 35), (20.5, 45), count=6)[1:],
        curve((20.5, 45), (20.5, 53), (19, 56), count=5)[1:],
        curve((19, 56), (10, 61.5), (0, 61.5), count=7)[1:],
    )
    return join(right, mirror(right))


def _frill_edge(top: float, sag: float, half: float) -> Points:
    """A wavy rim from left to right."""
    share = np.linspace(-1, 1, 49)
    y = top + sag * (1 - share * share) + 1.8 * wave(share * 3 + 0.25)
    return np.stack([share * half, y], axis=1)


def _frill() -> Points:
    """A gathered frill, wider at its rim than where it is sewn on."""
    seam = curve((17, 55), (0, 62), (-17, 55), count=9)
    return join(_frill_edge(37, 6, 25), (22, 46), seam, (-22, 46))


def _draw_collar_inside(canvas: Canvas, neck: Neck) -> None:
    main, inside = canvas.main, Finish(depth=3, contrast=0.6, edge=0.4)
    if neck.value == "ruffle":
        back = join(_frill_edge(36, -8, 25), (22, 46), (16, 52), (-16, 52), (-22, 46))
        canvas.cloth(back, finish=inside, colour=darker(main, 0.55))
    elif neck.value == "turtle":
        back = join(curve((17, 34), (0, 25), (-17, 34)), curve((-17, 36), (0, 48), (17, 36)))
        canvas.cloth(back, finish=inside, colour=darker(main, 0.55))
    else:
        canvas.cloth(neck.opening, finish=inside, colour=darker(main, 0.5))


def _draw_high_neck(canvas: Canvas, neck: Neck, front: Cover, hem: float) -> None:
    base = join(neck.whole_front, curve((-36, 63), (0, 73), (36, 63), count=9))
    canvas.mark("high_neck", canvas.cover(base), canvas.cover(neck.opening))
    {"turtle": _draw_roll, "mock": _draw_stand, "ruffle": _draw_frill}[neck.value](
        canvas, neck, front
    )


def _draw_roll(canvas: Canvas, neck: Neck, front: Cover) -> None:
    canvas.shadow(_roll(), drop=(0, 3), blur=2.6, strength=0.4, clip=front)
    roll = canvas.cloth(_roll(), finish=TUBE)
    ribs = [curve((x * 0.85, 32), (x * 1.08, 46), (x, 62), count=5) for x in range(-18, 19, 3)]
    canvas.line(*ribs, width=0.8, opacity=0.2, clip=roll)
    canvas.line(curve((19, 56), (0, 65), (-19, 56)) - [0, 1.6], width=1.0, opacity=0.25, clip=roll)
    canvas.mark("high_neck", roll)


def _draw_stand(canvas: Canvas, neck: Neck, front: Cover) -> None:
    rim = join(neck.opening[:11])
    canvas.line(rim + [0, 1.2], width=3.4, colour=trim_of(canvas.main), opacity=0.95)
    canvas.line(rim + [0, 3.4], width=0.9, opacity=0.35)
    seam = curve((-23, 59), (0, 72), (23, 59))
    canvas.line(seam, width=1.2, opacity=0.4, clip=front)
    canvas.stitch(seam + [0, 2.2], darker(canvas.main, 0.6), clip=front)


def _draw_frill(canvas: Canvas, neck: Neck, front: Cover) -> None:
    canvas.shadow(_frill(), drop=(0, 2.5), blur=2.2, strength=0.35, clip=front)
    frill = canvas.cloth(_frill(), finish=TUBE)
    pleats = [curve((x * 1.45, 36), (x * 1.25, 46), (x, 61), count=5) for x in range(-16, 17, 4)]
    canvas.line(*pleats, width=1.1, opacity=0.35, clip=frill)
    lights = [pleat + [1.6, 0] for pleat in pleats]
    canvas.line(*lights, width=1.2, colour=colour(1, 1, 1), opacity=0.14, clip=frill)
    seam = curve((17, 55), (0, 62), (-17, 55))
    canvas.line(seam, width=2.2, colour=darker(canvas.main, 0.7), opacity=0.9)
    canvas.mark("high_neck", frill)


# ------------------------------------------------------------------ lapel


def _draw_shirt_front(canvas: Canvas, neck: Neck) -> None:
    """A shirt under the jacket."""
    light = luminance(canvas.main) < 0.72
    shirt = colour(0.95, 0.95, 0.95) if light else colour(0.35, 0.42, 0.52)
    canvas.cloth(neck.opening, finish=Finish(depth=6, contrast=0.6, edge=0.2), colour=shirt)
    rim = curve((15.5, SHOULDER + 2), (0, SHOULDER + 24), (-15.5, SHOULDER + 2), count=13)
    far = curve((-15.5, SHOULDER + 2), (0, SHOULDER + 9), (15.5, SHOULDER + 2), count=13)
    canvas.paint(canvas.cover(join(rim, far)), darker(shirt, 0.72))
    canvas.line(rim, width=2.4, colour=darker(shirt, 0.86), opacity=0.9)


def _draw_lapel(canvas: Canvas, neck: Neck, front: Cover, hem: float) -> None:
    end = LAPEL_END[neck.value]
    _draw_closing(canvas, front, end, hem)
    if neck.value == "collarless":
        edge = neck.whole_front
        canvas.line(edge, width=4.4, colour=trim_of(canvas.main), opacity=0.9)
        canvas.mark("lapel", canvas.stroke(edge, width=17))
        return
    main = canvas.main
    tone = lighter(main, 0.10) if luminance(main) < 0.55 else darker(main, 0.95)
    for side in (join, mirror):
        lapel = side(_notched() if neck.value == "notched" else _shawl())
        canvas.shadow(lapel, drop=(0, 3), blur=2.5, strength=0.4, clip=front)
        canvas.mark("lapel", canvas.cloth(lapel, finish=PIECE, colour=tone))
        if neck.value == "notched":
            canvas.mark(
                "lapel",
                canvas.cloth(side(_upper_collar()), finish=PIECE, colour=darker(tone, 0.93)),
            )


def _notched() -> Points:
    return join(
        (HALF - 1, SHOULDER - 1),
        (HALF + 4, 62),
        (27, 80),
        (19, 83),
        (33, 88),
        curve((33, 88), (21, 114), (0, 137), count=8)[1:],
        curve((0, 137), (11, 100), (12, SHOULDER + 16), count=6)[1:],
    )


def _upper_collar() -> Points:
    return join((HALF - 1, SHOULDER - 2), (HALF + 5, 61), (28, 79), (16, 84), (12, SHOULDER + 14))


def _shawl() -> Points:
    return join(
        (HALF - 1, SHOULDER - 2),
        curve((HALF + 3, SHOULDER + 2), (42, 94), (0, 137), count=16),
        curve((0, 137), (10, 104), (12, SHOULDER + 14), count=8)[1:],
    )


def _draw_closing(canvas: Canvas, front: Cover, end: float, hem: float) -> None:
    """Front edge, buttons and pocket flaps of a jacket."""
    main = canvas.main
    canvas.line(vertical(0, end, hem + 4), width=1.3, opacity=0.55, clip=front)
    canvas.line(vertical(1.8, end, hem + 4), width=2.2, opacity=0.12, clip=front)
    button = darker(main, 0.45) if luminance(main) > 0.3 else colour(0.58, 0.53, 0.45)
    for y in np.arange(end + 7, hem - 8, 21):
        canvas.disc((-5, y), 2.9, button)
        canvas.disc((-5.5, y - 0.7), 1.0, colour(0.85, 0.85, 0.85), 0.5)
    flap = join((15, hem - 31), (34, hem - 33), (34, hem - 27), (15, hem - 25))
    for outline in (flap, mirror(flap)):
        canvas.line(outline[:2], width=1.6, opacity=0.4, clip=front)
        canvas.cloth(outline, finish=Finish(depth=2, contrast=0.4, edge=0.4), clip=front)


_DRAW: dict[str, Callable[[Canvas, Neck, Cover, float], None]] = {
    "neckline": _draw_neckline,
    "collar": _draw_collar,
    "high_neck": _draw_high_neck,
    "lapel": _draw_lapel,
}
