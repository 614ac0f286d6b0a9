"""Shoes and boots, seen from the side, toe to the left.

Everything hangs on the *last*, the foot-shaped form a shoe is built on: `Last.at(share, height)`
is the point at a share of the foot's length (0 toe, 1 heel) and a height above the foot's sole. A
higher heel lifts the back of the last, and whatever is attached goes with it. A boot's height
only says where its shaft is cut. The last, toes and closures are in `fastenings.py`.
"""

import numpy as np

from .canvas import Canvas, Cover
from .fabric import TONES, Tone, colour, darker
from .fastenings import Last, Upper, draw_closure, draw_toe, draw_tongue, toe_outline
from .geometry import Points, curve, ellipse, join, smooth, x_at

BOOTS_ROOM = join((-86, 190), (-14, 17), (82, 17), (84, 240), (-86, 240))
SHOES_ROOM = join((-112, 158), (-30, 100), (0, 72), (104, 72), (108, 198), (-112, 198))


def draw_shoe(canvas: Canvas) -> None:
    """Draw the design's shoe or boot and its part masks."""
    last = Last(canvas)
    upper = (_boot if last.boot else _low)(last, canvas)
    spot = ellipse((0, last.ground + 1), 0.53 * last.length, 5 * last.scale, 28)
    canvas.shadow(spot, drop=(0, 2), blur=4.5, strength=0.42)
    canvas.backdrop = canvas.image.copy()  # what shows where a toe is cut open
    _draw_inside(canvas, upper)
    draw_tongue(canvas, upper)
    _draw_heel(canvas, last)
    leather = "leather" if canvas.design.pattern == "plain" else "matt_leather"
    side = canvas.cloth(upper.outline, leather)
    _draw_rim(canvas, last, upper, side)
    _draw_counter(canvas, last, side)
    draw_toe(canvas, last, side)
    _draw_sole(canvas, last)
    draw_closure(canvas, last, upper, side)
    canvas.print_mark(last.at(0.83 + 0.02 * canvas.design.place, 21), max(9.0 * last.scale, 8.5))


# ------------------------------------------------------------------ the upper


def _low(last: Last, canvas: Canvas) -> Upper:
    cut = canvas.measure("closure")
    topline = smooth(*(last.at(*point) for point in cut))
    x, y = cut[0]
    middle = last.at((0.18 + x) / 2 + 0.01, 0.5 * (28 + y) - 2)
    front = smooth(last.at(0.17, 28), middle, last.at(x, y))
    heel = smooth(topline[-1], last.at(1.0, 36), last.at(1.004, 16), last.at(0.985, 0))
    toe = toe_outline(last, canvas.has["toe_style"])
    bulge = np.linspace(0, 1, len(topline))
    far = topline - np.stack([0 * bulge, 34 * last.scale * bulge * (1 - bulge)], axis=1)
    return Upper(join(toe, front, topline[1:], heel[1:], last.base()[::-1]), front, topline, far)


def _boot(last: Last, canvas: Canvas) -> Upper:
    """A knee-high boot, cut at a height."""
    y = last.on_shaft(0, canvas.measure("boots_height") + 3 * canvas.design.length)[1]
    instep = (last.at(*point) for point in ((0.17, 28), (0.33, 38), (0.46, 58)))
    shin = (last.on_shaft(*point) for point in ((0.545, 84), (0.525, 142), (0.515, 214)))
    calf = ((0.99, 214), (1.01, 146), (0.965, 82), (0.96, 58))
    back = (*(last.on_shaft(*point) for point in calf), last.at(1.0, 26), last.at(0.985, 0))
    front = _below(smooth(*instep, *shin)[::-1], y)[::-1]
    heel = _below(smooth(*back), y)
    start, middle, stop = front[-1], (front[-1] + heel[0]) / 2, heel[0]
    rim, far = (curve(start, middle + [0, sag], stop, count=13) for sag in (9, -9))
    toe = toe_outline(last, canvas.has["toe_style"])
    return Upper(join(toe, front, rim[1:-1], heel, last.base()[::-1]), front, rim, far)


def _below(path: Points, y: float) -> Points:
    """The part of a path, which runs down, that lies below a height."""
    return join((x_at(path, y), y), path[path[:, 1] > y])


# ------------------------------------------------------------------ drawing


def _draw_inside(canvas: Canvas, upper: Upper) -> None:
    """The far inner side, seen over the topline."""
    inside = join(upper.topline, upper.far[::-1])
    canvas.cloth(inside, "lining", colour=darker(canvas.main, 0.42))
    canvas.line(upper.far, width=2.4, colour=darker(canvas.main, 0.62), opacity=1)


def _draw_rim(canvas: Canvas, last: Last, upper: Upper, side: Cover) -> None:
    """The binding of the topline; on a boot it carries the boot's height."""
    rim, width = upper.topline, 5.0 if last.boot else 3.0
    canvas.line(rim + [0, width / 2], width=width, colour=darker(canvas.main, 0.72), opacity=0.9)
    if last.boot:
        canvas.stitch(rim + [0, 7.5], darker(canvas.main, 0.5), clip=side)
        reach = join(rim[:1] - [5, 0], rim, rim[-1:] + [5, 0])
        canvas.mark("boots_height", canvas.cover(join(reach - [0, 9], (reach + [0, 15])[::-1])))


def _draw_counter(canvas: Canvas, last: Last, side: Cover) -> None:
    """The seam round the heel's back, and its stitches."""
    seam = curve(last.at(0.78, 0), last.at(0.80, 30), last.at(1.0, 36), count=12)
    canvas.line(seam, width=1.1, opacity=0.4, clip=side)
    canvas.stitch(seam + [2.4, 0.6], darker(canvas.main, 0.55), width=0.8, clip=side)


def _sole_tone(canvas: Canvas) -> Tone:
    soles = [TONES[f"{name}_sole"] for name in ("white", "black", "gum")]
    return [*soles, darker(canvas.main, 0.55)][canvas.design.detail]


def _draw_sole(canvas: Canvas, last: Last) -> None:
    base = last.base()
    under = base + [0, last.sole]
    if not last.heel:
        under[:, 1] = np.maximum(under[:, 1], last.ground - 1.5 * (base[:, 0] < last.x(0.08)))
    canvas.cloth(join(base, under[::-1]), "sole", colour=_sole_tone(canvas))
    canvas.line(base - [0, 0.8], width=1.2, opacity=0.4)


def _draw_heel(canvas: Canvas, last: Last) -> None:
    """The heel block, and the region that carries the heel's height."""
    kind, ground = canvas.has["heel_height"], last.ground
    if kind != "flat":
        block = _block(canvas, last, kind)
        canvas.cloth(block, "heel", colour=darker(_sole_tone(canvas), 0.92))
        low = block[block[:, 1] > ground - 0.5]
        tip = join((low[:, 0].min(), ground - 1.5), (low[:, 0].max(), ground - 1.5))
        canvas.line(tip, width=3.0, colour=colour(0.1, 0.1, 0.1), opacity=0.8)
    above = last.at(np.linspace(0.68, 1.03, 12)) - [0, 10 * last.scale]
    region = join(above, (last.x(1.03), ground + 3), (last.x(0.68), ground + 3))
    canvas.mark("heel_height", canvas.cover(region))


def _block(canvas: Canvas, last: Last, kind: str) -> Points:
    """Outline of the heel: a stacked block, a tapered block, or anything from block to stiletto."""
    wide, share, more, slant = canvas.measure("heel_block", kind)
    ground, wide = last.ground, wide * last.scale
    foot = (share + more * canvas.design.flare) * wide
    top = last.at(np.linspace(1 - wide / last.length, 0.992, 8)) + [0, last.sole - 1.5]
    tip = last.x(0.992) - slant * last.scale
    waist = ground - 0.5 * canvas.measure("heel_height") * last.scale
    rear = curve(top[-1], (tip, waist), (tip, ground), count=7)
    inner = curve((tip - foot, ground), (tip - foot - 1, waist - 2), top[0], count=7)
    return join(top, rear[1:], inner[:-1])
