"""Closures of shoes: laces, elastic, zipper, buckle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .canvas import Canvas, Cover, Finish
from .fabric import Colour, colour, darker, luminance
from .geometry import Point, Points, along, at, box, closed, curve, join, lengths, normals
from .last import Last, Upper

PANEL = Finish(depth=3, contrast=0.5, edge=0.7)
GOLD = colour(0.86, 0.72, 0.38)
STEEL = colour(0.80, 0.79, 0.76)


def draw_closure(canvas: Canvas, last: Last, upper: Upper, side: Cover) -> None:
    """Draw the design's closure and its part mask."""
    has = canvas.has
    _DRAW[has["closure"], "boots_height" in has](canvas, last, upper, side)


def draw_tongue(canvas: Canvas, last: Last, upper: Upper) -> None:
    """The tongue of a laced low shoe, behind its throat."""
    has = canvas.has
    if has["closure"] != "lace_up" or "boots_height" in has:
        return
    x, y = upper.topline[0]
    tongue = join(
        (x - 8, y + 8),
        curve((x - 6, y - 3), (x - 1, y - 15), (x + 8, y - 13), count=6),
        curve((x + 8, y - 13), (x + 13, y - 2), (x + 12, y + 12), count=6)[1:],
    )
    canvas.cloth(tongue, finish=PANEL, colour=darker(canvas.main, 0.82))
    canvas.mark("closure", canvas.cover(tongue))


# ------------------------------------------------------------------ laces


def _draw_laces_low(canvas: Canvas, last: Last, upper: Upper, side: Cover) -> None:
    _draw_laces(canvas, last, along(upper.front, np.linspace(0.34, 0.97, 5)), side)


def _draw_laces_boot(canvas: Canvas, last: Last, upper: Upper, side: Cover) -> None:
    """From the instep to above the ankle, on every height of boot the same."""
    inside = upper.front[upper.front[:, 1] > last.on_shaft(0, 79)[1]]
    _draw_laces(canvas, last, along(inside, np.linspace(0.30, 0.98, 6)), side)


def _draw_laces(canvas: Canvas, last: Last, edge: Points, side: Cover) -> None:
    """Eyelets on a flap behind the shoe's front edge, and laces zigzagging over it."""
    inwards, wide = normals(edge), 16 * last.scale
    flap = join(edge, (edge + wide * inwards)[::-1])
    canvas.cloth(flap, finish=PANEL, colour=darker(canvas.main, 0.84), clip=side)
    lace = _lace_tone(canvas)
    eyelets, rim = edge + 0.72 * wide * inwards, edge - 1.5 * inwards
    for low, high in zip(eyelets[:-1], rim[1:], strict=True):
        canvas.line(join(low, high), width=1.9 * last.scale, colour=lace, opacity=0.95)
    for eyelet, over in zip(eyelets, rim, strict=True):
        canvas.line(join(eyelet, over), width=3.4 * last.scale, colour=lace, opacity=1)
        canvas.disc(eyelet, 2.0 * last.scale, colour(0.2, 0.2, 0.2), 0.9)
    _draw_bow(canvas, last, rim[-1], lace)
    region = join(edge - 5 * inwards, (edge + (wide + 4) * inwards)[::-1])
    canvas.mark("closure", canvas.cover(region))


def _lace_tone(canvas: Canvas) -> Colour:
    bright = luminance(canvas.main) < 0.7
    return colour(0.96, 0.96, 0.95) if bright else colour(0.25, 0.25, 0.28)


def _draw_bow(canvas: Canvas, last: Last, knot: Points, lace: Colour) -> None:
    k = last.scale
    for x, y, droop in ((-12, -4, 9), (9, -8, 6)):
        loop = curve(knot, knot + [x * k, (y - 5) * k], knot + [x * k, (y + 7) * k], knot)
        tail = curve(knot, knot + [0.3 * x * k, 5 * k], knot + [0.5 * x * k, (droop + 5) * k])
        canvas.line(loop, tail, width=1.7 * k, colour=lace, opacity=1)
    canvas.mark(
        "closure",
        canvas.cover(box(knot[0] - 11 * k, knot[1] - 9 * k, knot[0] + 9 * k, knot[1] + 6 * k)),
    )


# ------------------------------------------------------------------ elastic


def _draw_gore_low(canvas: Canvas, last: Last, upper: Upper, side: Cover) -> None:
    left, right = at(upper.topline, 0.06), at(upper.topline, 0.32)
    low = last.at(0.51, 14)
    gore = join(left, right, (low[0] + 6, low[1]), (low[0] - 5, low[1]))
    _draw_gore(canvas, gore, side)


def _draw_gore_boot(canvas: Canvas, last: Last, upper: Upper, side: Cover) -> None:
    """A Chelsea boot's panel at the ankle, and a tab to pull it on by."""
    corners = ((0.65, 78), (0.86, 78), (0.81, 34), (0.70, 34))
    _draw_gore(canvas, join(*(last.on_shaft(*corner) for corner in corners)), side)
    x, y = upper.topline[-1]
    tab = curve((x - 5, y + 6), (x - 6, y - 11), (x + 3, y - 9), (x + 2, y + 7))
    canvas.line(tab, width=2.6, colour=darker(canvas.main, 0.6), opacity=1)


def _draw_gore(canvas: Canvas, outline: Points, side: Cover) -> None:
    dark = luminance(canvas.main) > 0.3
    tone = colour(0.18, 0.18, 0.20) if dark else colour(0.50, 0.50, 0.52)
    panel = canvas.cloth(outline, finish=PANEL, colour=tone, clip=side)
    low, high = outline.min(axis=0), outline.max(axis=0)
    ribs = [join((x, low[1]), (x, high[1])) for x in np.arange(low[0], high[0], 3.0)]
    canvas.line(*ribs, width=1.0, colour=colour(1, 1, 1), opacity=0.18, clip=panel)
    canvas.stitch(closed(outline), darker(canvas.main, 0.5), clip=side)
    canvas.mark("closure", panel, canvas.stroke(closed(outline), width=9))


# ------------------------------------------------------------------ zipper


def _draw_zip_low(canvas: Canvas, last: Last, upper: Upper, side: Cover) -> None:
    start = at(upper.topline, 0.42) + [0, 1]
    _draw_zip(canvas, last, curve(start, last.at(0.655, 30), last.at(0.625, 7), count=8))


def _draw_zip_boot(canvas: Canvas, last: Last, upper: Upper, side: Cover) -> None:
    """Along the whole shaft."""
    top, foot = at(upper.topline, 0.42) + [0, 3], last.at(0.70, 9)
    ankle = last.on_shaft(0.72, 56)
    _draw_zip(canvas, last, join(top, ankle, curve(ankle, last.at(0.715, 30), foot)[1:]))


def _draw_zip(canvas: Canvas, last: Last, path: Points) -> None:
    k = last.scale
    canvas.line(path, width=8.5 * k, colour=darker(canvas.main, 0.55), opacity=1)
    canvas.line(path, width=4.4 * k, colour=STEEL, opacity=1)
    canvas.stitch(path, colour(0.25, 0.25, 0.25), width=4.4 * k, opacity=0.75, period=3.0)
    head = path[0] + [0, 3]
    canvas.line(
        join(head, head + [1.5, 13 * k]), width=4.2 * k, colour=darker(STEEL, 0.6), opacity=1
    )
    canvas.line(join(head, head + [1.5, 12 * k]), width=2.4 * k, colour=GOLD, opacity=1)
    canvas.mark("closure", canvas.stroke(path, width=20 * k))


# ------------------------------------------------------------------ buckle


def _draw_buckle_low(canvas: Canvas, last: Last, upper: Upper, side: Cover) -> None:
    """A strap over the instep, as on a Mary Jane."""
    crown, foot = last.at(0.475, 50), last.at(0.67, 13)
    near = curve(crown, last.at(0.595, 51), foot, count=12)
    far = curve(crown, last.at(0.43, 49), last.at(0.42, 35), count=7)
    canvas.line(far, width=8, colour=darker(_strap_tone(canvas), 0.6), opacity=1)
    _draw_strap(canvas, last, near, None)
    canvas.mark("closure", canvas.stroke(far, width=12))


def _draw_buckle_boot(canvas: Canvas, last: Last, upper: Upper, side: Cover) -> None:
    """A strap round the ankle."""
    start, stop = last.at(0.475, 60), last.on_shaft(0.99, 54)
    middle: Point = ((start[0] + stop[0]) / 2, max(start[1], stop[1]) + 5)
    _draw_strap(canvas, last, curve(start, middle, stop, count=12), side)


def _strap_tone(canvas: Canvas) -> Colour:
    main = canvas.main
    return darker(main, 0.66) if luminance(main) > 0.25 else colour(0.47, 0.36, 0.27)


def _draw_strap(canvas: Canvas, last: Last, path: Points, clip: Cover | None) -> None:
    k, tone = last.scale, _strap_tone(canvas)
    canvas.line(path + [0, 2], width=10 * k, opacity=0.22, clip=clip)
    canvas.line(path, width=10 * k, colour=darker(tone, 0.7), opacity=1, clip=clip)
    canvas.line(path, width=8 * k, colour=tone, opacity=1, clip=clip)
    _draw_buckle(canvas, at(path, 0.56), at(path, 0.60), k)
    holes = along(path, (0.72, 0.80, 0.88))
    for hole in holes:
        canvas.disc(hole, 0.9 * k, colour(0.1, 0.1, 0.1), 0.8)
    canvas.mark("closure", canvas.clipped(canvas.stroke(path, width=20 * k), clip))


def _draw_buckle(canvas: Canvas, centre: Points, ahead: Points, k: float) -> None:
    """A square gold frame on the strap, with its prong."""
    way = (ahead - centre)[None, :]
    way = (way / lengths(way)[:, None])[0]
    side = np.array([-way[1], way[0]])
    a, b = way * 6.5 * k, side * 7.5 * k
    frame = closed(join(centre - a - b, centre + a - b, centre + a + b, centre - a + b))
    canvas.line(frame, width=3.6 * k, colour=darker(GOLD, 0.6), opacity=0.9)
    canvas.line(frame, width=2.6 * k, colour=GOLD, opacity=1)
    canvas.line(join(centre - a, centre + a), width=2.0 * k, colour=GOLD, opacity=1)


_Drawing = Callable[[Canvas, Last, Upper, Cover], None]
_DRAW: dict[tuple[str, bool], _Drawing] = {
    ("lace_up", False): _draw_laces_low,
    ("lace_up", True): _draw_laces_boot,
    ("slip_on", False): _draw_gore_low,
    ("slip_on", True): _draw_gore_boot,
    ("zipper", False): _draw_zip_low,
    ("zipper", True): _draw_zip_boot,
    ("buckle", False): _draw_buckle_low,
    ("buckle", True): _draw_buckle_boot,
}
