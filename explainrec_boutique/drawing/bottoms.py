"""Bottoms: skirts and trousers.

A class of length only says where the cloth is cut: a pair of shorts is the upper part of the same
design's full-length trousers. So the counterfactual of a length changes what lies below the
shorter hem, and nothing above it.
"""

import numpy as np

from ..design import Design
from .canvas import Canvas, Cover
from .fabric import BRIGHT, Tone, colour, darker, lighter, thread_of
from .geometry import Points, both, bow, box, curve, down_to, join, mirror, smooth, vertical, wave

SKIRT_ROOM = join((-36, 31), (36, 31), (100, 236), (-100, 236))
TROUSERS_ROOM = join((-52, 31), (52, 31), (62, 238), (-62, 238))

TOP = 38.0  # upper edge of the waistband at the sides
BAND = 12.0
CROTCH = 92.0
FLOOR = 236.0  # where legs and pleats would end, were they not cut before


def draw_skirt(canvas: Canvas) -> None:
    """Draw the design's skirt and its part mask."""
    design = canvas.design
    hem = canvas.measure("skirt_length") + 4.5 * design.length
    outline, edge = _skirt(design, hem)
    canvas.cast_shadow(outline)
    _draw_inside_of_waist(canvas)
    cloth = canvas.cloth(outline, "skirt")
    (_draw_darts, _draw_pleats, _draw_pleats, _draw_buttons)[design.detail](canvas, hem, cloth)
    canvas.stitch(edge - [0, 6], thread_of(canvas.main), clip=cloth)
    half = _skirt_half(design, hem) + 3
    canvas.mark("skirt_length", canvas.cover(box(-half, hem - 15, half, hem + 8)))
    _draw_waistband(canvas, loops=design.detail == 3)
    canvas.print_mark((-0.5 * _hip(design), TOP + 34), 10.0)


def draw_trousers(canvas: Canvas) -> None:
    """Draw the design's trousers and their part mask."""
    hem = canvas.measure("trousers_length") + 4 * canvas.design.length
    legs = both(_leg(canvas.design, hem))
    canvas.cast_shadow(*legs)
    _draw_inside_of_waist(canvas)
    for leg in legs:
        _draw_leg_opening(canvas, leg, hem)
    cloths = [canvas.cloth(leg, "leg") for leg in legs]
    front = canvas.cover(*legs)
    _draw_fly(canvas, front)
    _draw_pockets(canvas, front)
    for side, cloth in enumerate(cloths):
        _draw_leg_details(canvas, side, hem, cloth)
    _draw_waistband(canvas, loops=True)
    canvas.print_mark((-0.58 * _hip(canvas.design), TOP + 42), 9.5)


# ------------------------------------------------------------------ outlines


def _waist(design: Design) -> float:
    return 33 + 1.5 * design.fit


def _hip(design: Design) -> float:
    return 44 + 3 * design.fit


def _skirt_half(design: Design, y: float) -> float:
    """Half the skirt's width at a height below the hips."""
    return _hip(design) + (y - 80) * (0.36 * design.flare - 0.05)


def _skirt(design: Design, hem: float) -> tuple[Points, Points]:
    """Outline, and the wavy hem from right to left."""
    flare, hip = design.flare, _skirt_half(design, 84.0)
    side = curve((_waist(design), TOP), (hip - 3, 60), (hip, 84), count=9)
    share = np.linspace(1, -1, 41)
    sag = (4 + 4 * flare) * (1 - share * share)
    ripple = 2.2 * flare * wave(share * (round(3 + 4 * flare) + 0.25) / 2 + 0.25)
    edge = np.stack([share * _skirt_half(design, hem), hem + sag + ripple], axis=1)
    return join(side, edge, mirror(side)), edge


def _leg_edges(design: Design) -> tuple[Points, Points]:
    """Outer and inner edge of the right leg at full length, from waist or crotch to the floor."""
    waist, hip = _waist(design), _hip(design)
    knee = 15 + 3.5 * design.fit + 4 * design.flare
    ankle = 10.5 + 2 * design.fit + 11 * design.flare
    below = ((27 + knee, 150), (27 + ankle, FLOOR))
    outer = smooth((waist, TOP), (hip - 1.5, 62), (hip + 0.5, 88), *below, count=8)
    inner = smooth((0, CROTCH), (5.5, 103), (26 - knee, 150), (27 - ankle, FLOOR), count=8)
    return outer, np.maximum(inner, [1.0, 0.0])


def _leg(design: Design, hem: float) -> Points:
    """Outline of the right leg, its half of the hips included."""
    outer, inner = _leg_edges(design)
    outer, inner = down_to(outer, hem), down_to(inner, hem - 1)
    edge = curve(outer[-1], (outer[-1] + inner[-1]) / 2 + [0, 3.5], inner[-1], count=8)
    return join((0, TOP + 4), outer, edge[1:-1], inner[::-1])


# ------------------------------------------------------------------ waist


def _draw_inside_of_waist(canvas: Canvas) -> None:
    """The inside of the back, seen over the front's waistband."""
    waist = _waist(canvas.design)
    back = join(bow(waist, TOP + 1, -6), bow(-waist, TOP + 4, 10))
    canvas.cloth(back, "waist_back", colour=darker(canvas.main, 0.5))


def _draw_waistband(canvas: Canvas, loops: bool) -> None:
    waist, main = _waist(canvas.design), canvas.main
    rim = bow(waist, TOP, 8)
    band = join(rim, bow(-waist - 1.2, TOP + BAND, 8))
    canvas.shadow(band, drop=(0, 2), blur=1.6, strength=0.18)
    canvas.cloth(band, "band", colour=darker(main, 0.9))
    if not loops:
        return
    for share in (-0.8, -0.4, 0.4, 0.8):
        y = TOP + 4 * (1 - share * share)
        loop = vertical(share * waist, y - 1, y + BAND + 2.5)
        canvas.line(loop, width=4, colour=darker(main, 0.55), opacity=1)
        canvas.line(loop, width=2.6, colour=darker(main, 0.85), opacity=1)
    brass = colour(0.80, 0.70, 0.45) if _is_denim(canvas.design) else darker(main, 0.5)
    canvas.disc((0, TOP + 10), 3.0, brass)
    canvas.disc((-0.7, TOP + 9.3), 1.1, BRIGHT, 0.5)
    canvas.line(rim + [0, 1.8], width=0.8, colour=_thread(canvas), opacity=0.4)


def _is_denim(design: Design) -> bool:
    return design.colour in ("denim", "navy", "sky") and design.pattern in ("plain", "melange")


def _thread(canvas: Canvas) -> Tone:
    return colour(0.86, 0.62, 0.32) if _is_denim(canvas.design) else thread_of(canvas.main)


# ------------------------------------------------------------------ skirts


def _draw_darts(canvas: Canvas, hem: float, cloth: Cover) -> None:
    for side in (-1, 1):
        dart = join((side * 15, TOP + BAND + 4), (side * 18, TOP + BAND + 20))
        canvas.line(dart, width=1.2, opacity=0.35, clip=cloth)


def _draw_pleats(canvas: Canvas, hem: float, cloth: Cover) -> None:
    """Pleats of the longest skirt, cut with the cloth: creases, their light and their shade."""
    waist, half = _waist(canvas.design), _skirt_half(canvas.design, FLOOR)
    shares = np.linspace(-0.84, 0.84, 10)
    pleats = np.array([join((x * waist, TOP + BAND), (x * half, FLOOR)) for x in shares])
    canvas.line(*pleats, width=1.4, opacity=0.3, clip=cloth)
    canvas.line(*(pleats + [2.2, 0]), width=2.2, colour=BRIGHT, opacity=0.13, clip=cloth)
    canvas.line(*(pleats - [2.4, 0]), width=3, opacity=0.08, clip=cloth)


def _draw_buttons(canvas: Canvas, hem: float, cloth: Cover) -> None:
    canvas.line(vertical(5, TOP + BAND, hem + 9), width=1.2, opacity=0.4, clip=cloth)
    canvas.stitch(vertical(-5, TOP + BAND, hem + 9), _thread(canvas), clip=cloth)
    for y in np.arange(TOP + BAND + 13, hem - 3, 15):
        canvas.disc((0, y), 2.6, colour(0.85, 0.80, 0.70))
        canvas.disc((0, y), 0.9, colour(0.3, 0.25, 0.2), 0.7)


# ------------------------------------------------------------------ trousers


def _draw_leg_opening(canvas: Canvas, leg: Points, hem: float) -> None:
    """The inside of the back of the leg, just visible under the front's hem."""
    low = leg[leg[:, 1] > hem - 4]
    left, right = float(low[:, 0].min()) + 0.5, float(low[:, 0].max()) - 0.5
    inside = curve((left, hem - 2), ((left + right) / 2, hem + 7), (right, hem - 2), count=9)
    canvas.paint(canvas.cover(inside), darker(canvas.main, 0.45))


def _draw_fly(canvas: Canvas, front: Cover) -> None:
    canvas.line(vertical(0, TOP + BAND, CROTCH + 3), width=1.3, opacity=0.5, clip=front)
    fly = curve((7, TOP + BAND), (7.5, TOP + 42), (0.5, TOP + 46), count=8)
    canvas.stitch(fly, _thread(canvas), width=1.0, opacity=0.65, clip=front)
    for side in (-1, 1):
        crease = curve((side * 2, CROTCH - 3), (side * 9, CROTCH - 4), (side * 17, CROTCH - 10))
        canvas.line(crease, width=1.8, opacity=0.14, clip=front)


def _draw_pockets(canvas: Canvas, front: Cover) -> None:
    waist, hip = _waist(canvas.design), _hip(canvas.design)
    right = curve((waist - 10, TOP + BAND), (waist - 7, TOP + 30), (hip + 1, TOP + 33), count=9)
    canvas.line(*both(right), width=1.4, opacity=0.5, clip=front)
    for seam in both(right - [2.2, -1.6]):
        canvas.stitch(seam, _thread(canvas), opacity=0.65, clip=front)


def _draw_leg_details(canvas: Canvas, side: int, hem: float, cloth: Cover) -> None:
    """Hem, turn-up, crease, and the length's part mask, of one leg: 0 the right, 1 the left."""
    design = canvas.design
    right, left = (float(down_to(edge, hem)[-1, 0]) for edge in _leg_edges(design))
    middle = (left + right) / 2
    if design.detail == 2:
        fold = curve((right, hem + 2), (middle, hem + 5), (left - 1, hem + 1))
        cuff = join((left - 1, hem - 9), (right + 1, hem - 10), (right + 1.5, hem + 2), fold)
        canvas.cloth(both(cuff)[side], "band", colour=lighter(canvas.main, 0.25))
    else:
        seam = curve((left, hem - 6), (middle, hem - 3), (right, hem - 6))
        canvas.stitch(both(seam)[side], _thread(canvas), opacity=0.6, clip=cloth)
    if design.detail in (0, 3) and not _is_denim(design):
        crease = join((0.5 * _hip(design), TOP + 38), (27, FLOOR))
        canvas.line(both(crease)[side], width=1.3, opacity=0.25, clip=cloth)
    region = box(left - 3, hem - 17, right + 3, hem + 6)
    canvas.mark("trousers_length", canvas.cover(both(region)[side]))
