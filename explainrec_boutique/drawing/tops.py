"""Tops: body, sleeves, and one of four kinds of neck.

A top is drawn from the inside out: the back seen through the neck, the sleeves, the front, then
what lies on it. Lengths only move the hem or the cuff, and the neck only changes the neck, so that
a counterfactual changes its own pixels and no others. Necks themselves are in `necks.py`.
"""

import math

import numpy as np

from .canvas import Canvas, Cover
from .fabric import thread_of, trim_of
from .geometry import Points, both, bow, box, curve, down_to, join, mirror, on_grid, vertical
from .necks import Neck, draw_neck, draw_neck_back, neck_of

# They hold every top without and with a high neck, whatever its classes.
TOPS_ROOM = join((-40, 50), (40, 50), (98, 196), (60, 232), (-60, 232), (-98, 196))
HIGH_NECK_ROOM = join((-27, 25), (27, 25), TOPS_ROOM[2:])

ARMHOLE_DEPTH = 35.0


class _Cut:
    """Measures of one top, in cloth units from its axis.

    Attributes:
        tip, armpit: upper and lower end of the right armhole.
        lean: sine and cosine of the angle of the right arm.
        axes: unit vectors of the right arm: down along it, and outwards.
    """

    def __init__(self, canvas: Canvas) -> None:
        design = canvas.design
        fit, sleeve = design.fit, canvas.measure("sleeves_length")
        angle = 0.25 + 0.05 * fit
        self.tip = (45 + 2 * fit - (4 if not sleeve else 0), 67.0)
        self.armpit = (41 + 3 * fit, 67 + ARMHOLE_DEPTH)
        self.waist = 37 + 4 * fit + (2 if design.neck == "lapel" else 0)
        self.hip = 41 + 5 * fit + 3 * design.flare
        self.hem = canvas.measure("body_length") + 4 * design.length
        self.floor = canvas.measure("body_length", "long") + 4
        self.sleeve = sleeve + (2.5 * design.length if sleeve else 0)
        self.lean = s, c = on_grid(math.sin(angle)), on_grid(math.cos(angle))
        self.axes = np.array([s, c]), np.array([c, -s])


def draw_top(canvas: Canvas) -> None:
    """Draw the design's top and its part masks."""
    cut, neck = _Cut(canvas), neck_of(canvas.design)
    sleeve = _cap(cut) if cut.sleeve < 25 else _arm(cut)
    sleeves, body = both(sleeve) if cut.sleeve else (), _body(cut, neck)
    canvas.cast_shadow(body, *sleeves, *neck.extra)
    draw_neck_back(canvas, neck)
    _draw_sleeves(canvas, cut, sleeves)
    front = canvas.cloth(body, "bodice")
    _draw_armholes(canvas, cut)
    _draw_hem(canvas, cut, front)
    _draw_pocket(canvas)
    draw_neck(canvas, neck, front, cut.hem)
    _draw_mark(canvas)


# ------------------------------------------------------------------ outlines


def _armhole(cut: _Cut) -> Points:
    x, y = cut.tip
    return curve(cut.tip, (x - 8, y + 22), cut.armpit)


def _hem_line(cut: _Cut) -> Points:
    """The hem from right to left, sagging in the middle."""
    return bow(-float(_side(cut)[-1, 0]), cut.hem, 8, count=17)


def _side(cut: _Cut) -> Points:
    """From the armpit past the waist to the hem. The same line for every body length."""
    y, waist = cut.armpit[1], cut.waist
    middle, end = (waist + 0.4, y + 46), (cut.hip, cut.floor)
    above = curve(cut.armpit, (waist, y + 24), middle, count=8)
    below = curve(middle, (waist + 1, y + 70), end, count=8)
    return down_to(join(above, below[1:]), cut.hem, gap=3)


def _body(cut: _Cut, neck: Neck) -> Points:
    right = join(neck.front[::-1], cut.tip, _armhole(cut), _side(cut), _hem_line(cut)[1:9])
    return join(right, mirror(right))


def _cap(cut: _Cut) -> Points:
    (x, y), (ax, ay) = cut.tip, cut.armpit
    end = (x + cut.sleeve - 1, y + 21)
    outer = curve((x - 1, y - 1), (end[0], y + 5), end, count=8)
    return join((x - 6, y - 2), outer, curve(end, (x + 4, y + 23), (ax - 1, ay - 7), count=6))


def _cuff(cut: _Cut) -> Points:
    """The end of the right sleeve, from outside to inside."""
    down, out = cut.axes
    outer = np.add(cut.tip, (-3.0, -2.0)) + down * cut.sleeve + out * 3
    width = 24.0 if cut.sleeve < 60 else 17.0 - 4 * (cut.sleeve - 60) / 66
    return join(outer, outer - out * width + down * 0.5)


def _arm(cut: _Cut) -> Points:
    down, out = cut.axes
    start, pit = np.add(cut.tip, (-3.0, -1.2)), np.add(cut.armpit, (-2.0, 1.0))
    elbow = start + down * cut.sleeve * 0.5 + out * 5.5
    outer, inner = _cuff(cut)
    upper = curve(start, start + [9.0, 4.0], elbow, count=8)
    lower = curve(elbow, elbow + down * cut.sleeve * 0.2, outer, count=6)
    under = curve(inner, pit + down * 0.45 * max(cut.sleeve - 30, 8), pit, count=8)
    return join(upper, lower[1:], under)


# ------------------------------------------------------------------ drawing


def _draw_sleeves(canvas: Canvas, cut: _Cut, sleeves: tuple[Points, ...]) -> None:
    s, c = cut.lean
    for outline, lean in zip(sleeves, (s, -s), strict=False):
        canvas.mark("sleeves_length", canvas.cloth(outline, "arm", grain=(c, lean)))
    if cut.sleeve > 25:
        up = cut.axes[0] * -5.0
        for cuff, towards in zip(both(_cuff(cut)), (up, up * [-1, 1]), strict=True):
            _draw_cuff(canvas, cuff, towards)


def _draw_cuff(canvas: Canvas, cuff: Points, up: np.ndarray) -> None:
    canvas.line(cuff, width=1.1, opacity=0.45)
    if canvas.design.detail >= 2:
        canvas.cloth(join(cuff, (cuff + 1.3 * up)[::-1]), "cuff", colour=trim_of(canvas.main))
    else:
        canvas.stitch(cuff + up, thread_of(canvas.main))


def _draw_armholes(canvas: Canvas, cut: _Cut) -> None:
    seams = both(_armhole(cut))
    if cut.sleeve:
        canvas.line(*seams, width=1.3, opacity=0.28)
    else:
        canvas.line(*seams, width=3.4, colour=trim_of(canvas.main), opacity=0.9)
        canvas.line(*seams, width=0.8, opacity=0.35)
    canvas.mark("sleeves_length", canvas.stroke(*seams, width=12 if cut.sleeve else 17))


def _draw_hem(canvas: Canvas, cut: _Cut, front: Cover) -> None:
    hem, line = cut.hem, _hem_line(cut)
    if canvas.design.detail == 3 and canvas.design.neck != "lapel":
        canvas.line(line - [0, 4.5], width=10, colour=trim_of(canvas.main), opacity=0.6, clip=front)
        ribs = [vertical(x, hem - 9, hem + 5) for x in np.arange(-48, 49, 3.2)]
        canvas.line(*ribs, width=0.8, opacity=0.25, clip=front)
    else:
        canvas.stitch(line - [0, 6], thread_of(canvas.main), clip=front)
    half = line[0, 0] + 4
    canvas.mark("body_length", canvas.cover(box(-half, hem - 16, half, hem + 7)))


def _draw_pocket(canvas: Canvas) -> None:
    if canvas.design.detail != 1 or canvas.design.neck == "lapel":
        return
    pocket = join((9, 102), (28, 102), (28, 118), (18.5, 123), (9, 118))
    canvas.shadow(pocket, drop=(0, 1.5), blur=1.5, strength=0.16)
    canvas.cloth(pocket, "pocket")
    canvas.line(join(pocket, pocket[0]), width=1.0, opacity=0.35)
    canvas.stitch(join((9, 105), (28, 105)), thread_of(canvas.main))


def _draw_mark(canvas: Canvas) -> None:
    """On the chest, clear of what lies on the front."""
    jacket, x = canvas.design.neck == "lapel", (-20.0, -18.0, 0.0)[canvas.design.place]
    if jacket or canvas.has.get("collar") == "shirt":
        x = -24.0
    canvas.print_mark((x, 120.0 if jacket else 113.0), 10.0 if x else 11.0)
