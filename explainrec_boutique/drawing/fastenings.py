"""The last: the foot-shaped form that all parts of a shoe are attached to. And what is: toes
(round, pointed, peep, open) and closures (laces, elastic, zipper, buckle)."""

from typing import NamedTuple

import numpy as np
from numpy import ndarray

from .canvas import Canvas, Clip, Cover
from .fabric import BRIGHT, TONES, Tone, colour, darker
from .geometry import Point, Points, along, box, curve, dashes, join, normals, unit

BOOT_SCALE = 0.78
TOE_SPRING = 3.0  # how far the tip of the toe is off the ground


class Last:
    """A foot's form, in cloth units; x = 0 is the middle of the foot.

    Attributes:
        boot: whether a boot is built on it.
        length: from toe (share 0) to heel (share 1).
        ground: y of the floor.
        sole: thickness of the shoe's sole.
        heel: how far the heel is lifted.
        scale: size of parts, 1 for a low shoe.
        tip: share of the foot where the shoe ends in front; negative for a pointed toe.
    """

    def __init__(self, canvas: Canvas) -> None:
        design, has, heel = canvas.design, canvas.has, canvas.measure("heel_height")
        self.boot = "boots_height" in has
        self.scale, self.ground = (BOOT_SCALE, 235.0) if self.boot else (1.0, 192.0)
        self.length = 188 * self.scale
        sporty = has["heel_height"] in ("flat", "under_1_in")
        self.sole = (6.0 + 1.5 * (design.fit + 1) * sporty) * self.scale
        self.heel = (heel + 1.5 * design.length if heel else 0.0) * self.scale
        self.tip = -0.07 if has["toe_style"] == "pointed" else 0.0

    def x(self, share: float) -> float:
        return (share - 0.5) * self.length

    def at(self, share: float | ndarray, height: float = 0.0) -> Points:
        """Points at shares of the foot and a height above its sole (in shoe units)."""
        toe = np.clip(1 - share / 0.2, 0, 1.4)
        rise = np.clip((share - 0.32) / 0.46, 0, 1)
        lift = self.heel * (rise * rise * (3 - 2 * rise)) + TOE_SPRING * self.scale * toe * toe
        y = self.ground - self.sole - lift - height * self.scale
        return np.stack([(share - 0.5) * self.length, y], axis=-1)

    def on_shaft(self, share: float, height: float) -> Point:
        """Like `at`, but upright: a shaft stands on the heel and does not lean with the foot."""
        return (self.x(share), self.ground - self.sole - self.heel - height * self.scale)

    def base(self) -> Points:
        """The foot's sole from toe to heel."""
        return self.at(np.linspace(self.tip, 0.992, 36))


class Upper(NamedTuple):
    """The side of a shoe above its sole.

    Attributes:
        outline: closed.
        front: from behind the toe up to the throat or the shaft's rim.
        topline: the near rim, from front to back.
        far: the far rim, from front to back.
    """

    outline: Points
    front: Points
    topline: Points
    far: Points


# ------------------------------------------------------------------ toes


def toe_outline(last: Last, toe: str) -> Points:
    """From the tip of the sole up to where the vamp begins."""
    start, vamp, ball = last.at(last.tip, 3), last.at(0.17, 28), last.at(0.08, 26.5)
    if toe == "pointed":
        return join(last.at(last.tip, 0), curve(start, last.at(0.04, 15), vamp, count=10)[:-1])
    nose = curve(last.at(0.0, 2), last.at(-0.02, 24), ball, count=9)
    return join(last.at(0.012, 0), nose, curve(ball, last.at(0.13, 28), vamp, count=4)[1:-1])


def draw_toe(canvas: Canvas, last: Last, side: Cover) -> None:
    """Draw what makes the toe's class, and its part mask."""
    toe = canvas.has["toe_style"]
    if toe == "peep":
        _draw_peep(canvas, last, side)
    elif toe == "open":
        _draw_open(canvas, last)
    elif canvas.design.flare > 0.4:
        _draw_cap(canvas, last, side, toe)
    tip, height = last.tip - 0.025, 12 if toe == "pointed" else 30
    corners = ((tip, -9), (tip, height), (0.08, 33), (0.23, 37), (0.23, -9))
    canvas.mark("toe_style", canvas.cover(join(*(last.at(*corner) for corner in corners))))


def _draw_cap(canvas: Canvas, last: Last, side: Cover, toe: str) -> None:
    """A toe cap's seam."""
    middle = last.at(0.235 if toe == "round" else 0.15, 18)
    seam = curve(last.at(0.165, 30), middle, last.at(0.19, 0), count=10)
    canvas.line(seam, width=1.3, opacity=0.45, clip=side)
    canvas.stitch(seam + [2.6, 0], darker(canvas.main, 0.5), width=0.8, clip=side)


def _draw_peep(canvas: Canvas, last: Last, side: Cover) -> None:
    """A small opening at the tip, its edge bound."""
    edge = curve(last.at(0.055, 29), last.at(0.135, 20), last.at(0.125, 0), count=12)
    canvas.erase(join(last.at(-0.08, 29), edge, last.at(-0.08, 0)))
    hollow = join(edge, curve(edge[-1], last.at(0.045, 9), edge[0])[1:-1])
    canvas.cloth(hollow, "peep", colour=darker(canvas.main, 0.35), clip=side)
    _draw_insole(canvas, last, 0.13)
    canvas.line(edge, width=3.6, colour=darker(canvas.main, 0.72), opacity=1, clip=side)


def _draw_open(canvas: Canvas, last: Last) -> None:
    """A sandal's front: nothing but an insole and two straps."""
    edge = curve(last.at(0.30, 42), last.at(0.325, 22), last.at(0.30, 0), count=10)
    canvas.erase(join(last.at(-0.1, 80), last.at(0.30, 80), edge, last.at(-0.1, 0)))
    hollow = join(edge, curve(edge[-1], last.at(0.25, 18), edge[0])[1:-1])
    canvas.cloth(hollow, "hollow", colour=darker(canvas.main, 0.38))
    canvas.line(edge, width=3.0, colour=darker(canvas.main, 0.72), opacity=1)
    _draw_insole(canvas, last, 0.31)
    for start, stop, height in ((0.165, 0.235, 27), (0.045, 0.105, 19)):
        _draw_toe_strap(canvas, last, start, stop, height)


def _draw_insole(canvas: Canvas, last: Last, stop: float) -> None:
    line = last.at(np.linspace(0.0, stop, 12))
    canvas.cloth(join(line, (line - [0, 4 * last.scale])[::-1]), "flap", colour=TONES["insole"])


def _draw_toe_strap(canvas: Canvas, last: Last, start: float, stop: float, height: float) -> None:
    """A band over the toes: a short tube, seen from the side and a little from the front."""
    low, high = last.at(start, 0), last.at(start + 0.025, height)
    mouth = curve(low, last.at(start - 0.01, 0.6 * height), high)
    far = curve(high, last.at(start - 0.055, 0.5 * height), low)
    canvas.cloth(join(mouth, far[1:]), "strap", colour=darker(canvas.main, 0.42))
    end = last.at(stop + 0.025, height + 4)
    back = curve(end, last.at(stop + 0.005, 0.6 * height), last.at(stop, 0))
    canvas.cloth(join(mouth, back), "strap")
    canvas.line(mouth, back, width=1.0, opacity=0.45)


# ------------------------------------------------------------------ closures


def draw_closure(canvas: Canvas, last: Last, upper: Upper, side: Cover) -> None:
    """Draw the design's closure and its part mask."""
    draw = {
        "lace_up": _draw_laces, "slip_on": _draw_gore, "zipper": _draw_zip, "buckle": _draw_straps,
    }  # fmt: skip
    draw[canvas.has["closure"]](canvas, last, upper, side)


def draw_tongue(canvas: Canvas, upper: Upper) -> None:
    """The tongue of a laced low shoe, behind its throat."""
    if canvas.has["closure"] != "lace_up" or "boots_height" in canvas.has:
        return
    x, y = upper.topline[0]
    front = curve((x - 6, y - 3), (x - 1, y - 15), (x + 8, y - 13), count=6)
    rear = curve(front[-1], (x + 13, y - 2), (x + 12, y + 12), count=6)
    tongue = join((x - 8, y + 8), front, rear[1:])
    canvas.cloth(tongue, "panel", colour=darker(canvas.main, 0.82))
    canvas.mark("closure", canvas.cover(tongue))


def _draw_laces(canvas: Canvas, last: Last, upper: Upper, side: Cover) -> None:
    """Eyelets on a flap behind the shoe's front edge, and laces zigzagging over it.

    A boot has them from the instep to above the ankle, on every height the same.
    """
    edge = along(upper.front, np.linspace(0.34, 0.97, 5))
    if last.boot:
        inside = upper.front[upper.front[:, 1] > last.on_shaft(0, 79)[1]]
        edge = along(inside, np.linspace(0.30, 0.98, 6))
    inwards, k, wide = normals(edge), last.scale, 16 * last.scale
    flap = join(edge, (edge + wide * inwards)[::-1])
    canvas.cloth(flap, "panel", colour=darker(canvas.main, 0.84), clip=side)
    lace = colour(0.96, 0.96, 0.95) if canvas.lightness < 0.7 else colour(0.25, 0.25, 0.28)
    eyelets, rim = edge + 0.72 * wide * inwards, edge - 1.5 * inwards
    for low, high in zip(eyelets[:-1], rim[1:], strict=True):
        canvas.line(join(low, high), width=1.9 * k, colour=lace, opacity=0.95)
    for eyelet, over in zip(eyelets, rim, strict=True):
        canvas.line(join(eyelet, over), width=3.4 * k, colour=lace, opacity=1)
        canvas.disc(eyelet, 2.0 * k, TONES["dark"], 0.9)
    _draw_bow(canvas, k, rim[-1], lace)
    region = join(edge - 5 * inwards, (edge + (wide + 4) * inwards)[::-1])
    canvas.mark("closure", canvas.cover(region))


def _draw_bow(canvas: Canvas, k: float, knot: Points, lace: Tone) -> None:
    for x, y, droop in ((-12, -4, 9), (9, -8, 6)):
        loop = curve(knot, knot + [x * k, (y - 5) * k], knot + [x * k, (y + 7) * k], knot)
        tail = curve(knot, knot + [0.3 * x * k, 5 * k], knot + [0.5 * x * k, (droop + 5) * k])
        canvas.line(loop, tail, width=1.7 * k, colour=lace, opacity=1)
    x, y = knot
    canvas.mark("closure", canvas.cover(box(x - 11 * k, y - 9 * k, x + 9 * k, y + 6 * k)))


def _draw_gore(canvas: Canvas, last: Last, upper: Upper, side: Cover) -> None:
    """An elastic panel; on a Chelsea boot at the ankle, with a tab to pull it on by."""
    if last.boot:
        corners = ((0.65, 78), (0.86, 78), (0.81, 34), (0.70, 34))
        _draw_panel(canvas, join(*(last.on_shaft(*corner) for corner in corners)), side)
        x, y = upper.topline[-1]
        tab = curve((x - 5, y + 6), (x - 6, y - 11), (x + 3, y - 9), (x + 2, y + 7))
        canvas.line(tab, width=2.6, colour=darker(canvas.main, 0.6), opacity=1)
    else:
        x, y = last.at(0.51, 14)
        _draw_panel(canvas, join(along(upper.topline, (0.06, 0.32)), (x + 6, y), (x - 5, y)), side)


def _draw_panel(canvas: Canvas, outline: Points, side: Cover) -> None:
    tone = colour(0.18, 0.18, 0.20) if canvas.lightness > 0.3 else colour(0.50, 0.50, 0.52)
    panel = canvas.cloth(outline, "panel", colour=tone, clip=side)
    low, high = outline.min(axis=0), outline.max(axis=0)
    ribs = [join((x, low[1]), (x, high[1])) for x in np.arange(low[0], high[0], 3.0)]
    canvas.line(*ribs, width=1.0, colour=BRIGHT, opacity=0.18, clip=panel)
    canvas.stitch(join(outline, outline[0]), darker(canvas.main, 0.5), clip=side)
    canvas.mark("closure", panel, canvas.stroke(join(outline, outline[0]), width=9))


def _draw_zip(canvas: Canvas, last: Last, upper: Upper, side: Cover) -> None:
    """From the rim down; on a boot along the whole shaft."""
    rim, k = along(upper.topline, 0.42)[0], last.scale
    path = curve(rim + [0, 1], last.at(0.655, 30), last.at(0.625, 7), count=8)
    if last.boot:
        foot = curve(last.on_shaft(0.72, 56), last.at(0.715, 30), last.at(0.70, 9))
        path = join(rim + [0, 3], foot)
    canvas.line(path, width=8.5 * k, colour=darker(canvas.main, 0.55), opacity=1)
    canvas.line(path, width=4.4 * k, colour=TONES["steel"], opacity=1)
    canvas.line(*dashes(path, 3.0), width=4.4 * k, colour=TONES["teeth"], opacity=0.75)
    head = path[0] + [0, 3]
    for length, width, tone in ((13, 4.2, darker(TONES["steel"], 0.6)), (12, 2.4, TONES["gold"])):
        canvas.line(join(head, head + [1.5, length * k]), width=width * k, colour=tone, opacity=1)
    canvas.mark("closure", canvas.stroke(path, width=20 * k))


def _draw_straps(canvas: Canvas, last: Last, upper: Upper, side: Cover) -> None:
    """A buckled strap: over the instep, as on a Mary Jane, or round a boot's ankle."""
    tone = colour(0.47, 0.36, 0.27) if canvas.lightness <= 0.25 else darker(canvas.main, 0.66)
    if last.boot:
        start, stop = last.at(0.475, 60), last.on_shaft(0.99, 54)
        middle = ((start[0] + stop[0]) / 2, max(start[1], stop[1]) + 5)
        _draw_strap(canvas, last.scale, curve(start, middle, stop, count=12), tone, side)
        return
    crown = last.at(0.475, 50)
    far = curve(crown, last.at(0.43, 49), last.at(0.42, 35), count=7)
    canvas.line(far, width=8, colour=darker(tone, 0.6), opacity=1)
    near = curve(crown, last.at(0.595, 51), last.at(0.67, 13), count=12)
    _draw_strap(canvas, last.scale, near, tone, None)
    canvas.mark("closure", canvas.stroke(far, width=12))


def _draw_strap(canvas: Canvas, k: float, path: Points, tone: Tone, clip: Clip) -> None:
    canvas.line(path + [0, 2], width=10 * k, opacity=0.22, clip=clip)
    canvas.line(path, width=10 * k, colour=darker(tone, 0.7), opacity=1, clip=clip)
    canvas.line(path, width=8 * k, colour=tone, opacity=1, clip=clip)
    _draw_buckle(canvas, along(path, (0.56, 0.60)), k)
    for hole in along(path, (0.72, 0.80, 0.88)):
        canvas.disc(hole, 0.9 * k, colour(0.1, 0.1, 0.1), 0.8)
    canvas.mark("closure", canvas.clipped(canvas.stroke(path, width=20 * k), clip))


def _draw_buckle(canvas: Canvas, under: Points, k: float) -> None:
    """A square gold frame on the strap, with its prong, where the strap runs `under` it."""
    centre, way = under[0], unit(np.diff(under, axis=0))[0]
    a, b = way * 6.5 * k, np.array([-way[1], way[0]]) * 7.5 * k
    corner = centre - a - b
    frame = join(corner, centre + a - b, centre + a + b, centre - a + b, corner)
    canvas.line(frame, width=3.6 * k, colour=darker(TONES["gold"], 0.6), opacity=0.9)
    canvas.line(frame, width=2.6 * k, colour=TONES["gold"], opacity=1)
    canvas.line(join(centre - a, centre + a), width=2.0 * k, colour=TONES["gold"], opacity=1)
