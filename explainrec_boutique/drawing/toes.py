"""Toes: round, pointed, peep and open."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas, Cover, Finish
from .fabric import colour, darker
from .geometry import Points, curve, join
from .last import Last

LINING = colour(0.82, 0.68, 0.54)
STRAP = Finish(depth=3, contrast=0.8, gloss=0.1, edge=0.6)


def toe_outline(last: Last, toe: str) -> Points:
    """From the tip of the sole up to where the vamp begins."""
    if toe == "pointed":
        return join(
            last.at(last.tip, 0),
            curve(last.at(last.tip, 3), last.at(0.04, 15), last.at(0.17, 28), count=10)[:-1],
        )
    return join(
        last.at(0.012, 0),
        curve(last.at(0.0, 2), last.at(-0.02, 24), last.at(0.08, 26.5), count=9),
        curve(last.at(0.08, 26.5), last.at(0.13, 28), last.at(0.17, 28), count=4)[1:-1],
    )


def draw_toe(canvas: Canvas, last: Last, side: Cover) -> None:
    """Draw what makes the toe's class, and its part mask."""
    toe = canvas.has["toe_style"]
    if toe == "peep":
        _draw_peep(canvas, last, side)
    elif toe == "open":
        _draw_open(canvas, last)
    else:
        _draw_cap(canvas, last, side, toe)
    region = join(
        last.at(last.tip - 0.025, -9),
        last.at(last.tip - 0.025, 12 if toe == "pointed" else 30),
        last.at(0.08, 33),
        last.at(0.23, 37),
        last.at(0.23, -9),
    )
    canvas.mark("toe_style", canvas.cover(region))


def _draw_cap(canvas: Canvas, last: Last, side: Cover, toe: str) -> None:
    """A toe cap's seam on some shoes."""
    if canvas.design.flare <= 0.4:
        return
    bow = 0.235 if toe == "round" else 0.15
    seam = curve(last.at(0.165, 30), last.at(bow, 18), last.at(0.19, 0), count=10)
    canvas.line(seam, width=1.3, opacity=0.45, clip=side)
    canvas.stitch(seam + [2.6, 0], darker(canvas.main, 0.5), width=0.8, clip=side)


def _draw_peep(canvas: Canvas, last: Last, side: Cover) -> None:
    """A small opening at the tip, its edge bound."""
    main = canvas.main
    edge = curve(last.at(0.055, 29), last.at(0.135, 20), last.at(0.125, 0), count=12)
    canvas.erase(join(last.at(-0.08, 29), edge, last.at(-0.08, 0)))
    hollow = join(edge, curve(last.at(0.125, 0), last.at(0.045, 9), edge[0])[1:-1])
    dark = darker(main, 0.35)
    canvas.cloth(hollow, finish=Finish(depth=4, contrast=0.5, edge=0.2), colour=dark, clip=side)
    _draw_insole(canvas, last, 0.13)
    canvas.line(edge, width=3.6, colour=darker(main, 0.72), opacity=1, clip=side)


def _draw_open(canvas: Canvas, last: Last) -> None:
    """A sandal's front: nothing but an insole and two straps."""
    main = canvas.main
    edge = curve(last.at(0.30, 42), last.at(0.325, 22), last.at(0.30, 0), count=10)
    canvas.erase(join(last.at(-0.1, 80), last.at(0.30, 80), edge, last.at(-0.1, 0)))
    hollow = join(edge, curve(last.at(0.30, 0), last.at(0.25, 18), edge[0])[1:-1])
    canvas.cloth(hollow, finish=Finish(depth=3, contrast=0.5, edge=0.2), colour=darker(main, 0.38))
    canvas.line(edge, width=3.0, colour=darker(main, 0.72), opacity=1)
    _draw_insole(canvas, last, 0.31)
    for start, stop, height in ((0.165, 0.235, 27), (0.045, 0.105, 19)):
        _draw_strap(canvas, last, start, stop, height)


def _draw_insole(canvas: Canvas, last: Last, stop: float) -> None:
    line = last.line(np.linspace(0.0, stop, 12))
    insole = join(line, (line - [0, 4 * last.scale])[::-1])
    canvas.cloth(insole, finish=Finish(depth=2, contrast=0.4, edge=0.4), colour=LINING)


def _draw_strap(canvas: Canvas, last: Last, start: float, stop: float, height: float) -> None:
    """A band over the toes: a short tube, seen from the side and a little from the front."""
    low, high = last.at(start, 0), last.at(start + 0.025, height)
    mouth = curve(low, last.at(start - 0.01, 0.6 * height), high)
    far = curve(high, last.at(start - 0.055, 0.5 * height), low)
    canvas.cloth(join(mouth, far[1:]), finish=STRAP, colour=darker(canvas.main, 0.42))
    end = last.at(stop + 0.025, height + 4)
    back = curve(end, last.at(stop + 0.005, 0.6 * height), last.at(stop, 0))
    band = join(mouth, back)
    canvas.cloth(band, finish=STRAP)
    canvas.line(mouth, back, width=1.0, opacity=0.45)
