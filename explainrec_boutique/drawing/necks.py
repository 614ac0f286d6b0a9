"""Necks of tops: high neck, collar, lapel, neckline.

A `Neck` says where the front of the garment ends at the neck (its outline joins the body's) and
where the back's rim runs; the inside of the back shows between the two. What lies on the front
(rolls, leaves, lapels, bindings) is drawn afterwards. The shape of the shoulder is the same for
all classes of a kind, but for the boat neck, which is what a boat neck is.
"""

from typing import NamedTuple

import numpy as np

from ..design import Design
from .canvas import Canvas, Cover
from .fabric import BRIGHT, TONES, Tone, colour, darker, lighter, trim_of
from .geometry import Points, along, both, bow, box, curve, join, mirror, unit, vertical, wave

HALF = 19.0  # half the width of the neck opening
SHOULDER = 56.0  # where the neck opening meets the shoulder

# The shade that a piece throws on the front: how far down, how soft, how dark.
Shade = tuple[float, float, float]
LOW, HIGH, ROUND = (2.5, 2.2, 0.35), (3.0, 2.5, 0.4), (3.0, 2.6, 0.4)


class Neck(NamedTuple):
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


def neck_of(design: Design) -> Neck:
    """The neck of a top."""
    kind, value = design.neck, design.attributes[design.neck]
    if kind == "high_neck":
        return _high_neck(value)
    half, y, sag = (32.0, 59.0, 5) if value == "boat" else (HALF, SHOULDER, 9)
    return Neck(kind, value, _front(value, half, y), bow(-half, y, sag, count=13))


def _front(value: str, half: float, y: float) -> Points:
    """The front's edge, from the shoulder to the centre."""
    if value in ("rib", "puritan", "round"):
        depth = 81 if value == "round" else 73
        return curve((half, y), (half * 0.9, depth), (0, depth))
    return {
        "shirt": join((half, y), (0, 80)),
        "notched": join((half, y), (13, 92), (0, 136)),
        "shawl": join((half, y), (13, 92), (0, 136)),
        "collarless": join((half, y), curve((half - 1, y + 8), (17, 92), (0, 112), count=10)),
        "v": join((half, y), (half * 0.6, y + 17), (0, 98)),
        "square": join((half, y), (half - 1, 83), (0, 83)),
        "boat": curve((half, y), (half * 0.6, 67), (0, 67)),
    }[value]


def _high_neck(value: str) -> Neck:
    """The stand grows out of the shoulder in one curve; its rim is an ellipse."""
    top, half = {"turtle": 42.0, "mock": 46.0, "ruffle": 50.0}[value], 17.0
    stand = curve((36, 63), (half + 5, SHOULDER + 2), (half + 0.5, top + 5), count=8)
    rim = curve((half, top), (half * 0.6, top + 4.5), (0, top + 4.5), count=6)
    extra = {"turtle": (ROLL,), "ruffle": (FRILL,), "mock": ()}[value]
    whole_rim = join(rim, mirror(rim)[1:])
    return Neck("high_neck", value, join(stand, rim), bow(-half, top, -9, 13), extra, whole_rim)


# ------------------------------------------------------------------ drawing


def draw_neck_back(canvas: Canvas, neck: Neck) -> None:
    """The inside of the back, seen through the neck."""
    if neck.kind == "lapel":
        _draw_shirt_front(canvas, neck)
    elif neck.kind == "high_neck":
        _draw_stand_inside(canvas, neck)
    else:
        canvas.cloth(neck.opening, "neck_back", colour=darker(canvas.main, 0.5))
        canvas.line(neck.back + [0, 1.6], width=3, colour=darker(canvas.main, 0.68), opacity=0.95)
        if neck.value != "boat":
            label = canvas.cover(box(-5.5, SHOULDER + 7, 5.5, SHOULDER + 14))
            canvas.paint(label, TONES["label"], 0.9)


def draw_neck(canvas: Canvas, neck: Neck, front: Cover, hem: float) -> None:
    """What lies on the front, and the neck's part mask."""
    draw = {"neckline": _draw_neckline, "collar": _draw_collar, "lapel": _draw_lapel}
    draw.get(neck.kind, _draw_high_neck)(canvas, neck, front, hem)


def _lay(
    canvas: Canvas, neck: Neck, outline: Points, front: Cover, shade: Shade, tone: Tone | None
) -> Cover:
    """Lay a piece of the neck on the front: a flat one of a tone, or a tube of the main cloth."""
    drop, blur, strength = shade
    canvas.shadow(outline, drop=(0, drop), blur=blur, strength=strength, clip=front)
    cover = canvas.cloth(outline, "tube" if tone is None else "band", colour=tone)
    canvas.mark(neck.kind, cover)
    return cover


def _draw_neckline(canvas: Canvas, neck: Neck, front: Cover, hem: float) -> None:
    edge = neck.whole_front
    canvas.line(edge + [0, 1.5], width=4.6, colour=trim_of(canvas.main), opacity=0.95)
    canvas.line(edge + [0, 4], width=0.9, opacity=0.3)
    canvas.mark("neckline", canvas.cover(neck.opening), canvas.stroke(edge, width=15))


# ------------------------------------------------------------------ collar

FOLD = curve((HALF - 4, SHOULDER), (HALF - 1, SHOULDER - 5), (HALF + 3, SHOULDER), count=6)
SIDE = curve((HALF + 3, SHOULDER), (HALF + 6, SHOULDER + 8), (29, 84), count=6)
SHIRT_LEAF = join(FOLD, SIDE[1:], ((12, 93), (0.5, 79), (HALF * 0.72, SHOULDER + 3)))
OUTER = curve((HALF + 1, SHOULDER - 3), (40, 66), (32, 81), count=10)
LOWER = curve((32, 81), (18, 99), (2, 80), count=10)
INNER = curve((1, 73), (HALF - 2, 72), (HALF - 3, SHOULDER), count=6)
ROUND_LEAF = join(OUTER[0], OUTER, LOWER[1:], (0.5, 73), INNER)


def _draw_collar(canvas: Canvas, neck: Neck, front: Cover, hem: float) -> None:
    canvas.mark("collar", canvas.cover(neck.opening))
    if neck.value == "rib":
        _draw_rib(canvas, neck)
        return
    if neck.value == "shirt":
        _draw_placket(canvas, front, hem)
    tone = _collar_tone(canvas)
    canvas.line(neck.back - [0, 1], width=6, colour=darker(tone, 0.86), opacity=1)
    for leaf in both(SHIRT_LEAF if neck.value == "shirt" else ROUND_LEAF):
        _lay(canvas, neck, leaf, front, LOW, tone)
        inset = (leaf - leaf.mean(axis=0)) * 0.82 + leaf.mean(axis=0)
        canvas.stitch(inset, darker(tone, 0.6), width=0.8, opacity=0.45)
    if neck.value == "puritan":
        canvas.disc((0, 77), 2.4, darker(canvas.main, 0.55))


def _collar_tone(canvas: Canvas) -> Tone:
    if canvas.design.detail >= 2 and canvas.lightness < 0.8:
        return colour(0.97, 0.97, 0.96)
    return lighter(canvas.main, 0.14) if canvas.lightness < 0.5 else darker(canvas.main, 0.92)


def _draw_placket(canvas: Canvas, front: Cover, hem: float) -> None:
    seams = (vertical(x, 80, hem + 4) for x in (-4.5, 4.5))
    canvas.line(*seams, width=1.0, opacity=0.35, clip=front)
    button = lighter(canvas.main, 0.8) if canvas.lightness < 0.75 else darker(canvas.main, 0.55)
    for y in np.arange(96, hem - 3, 17):
        canvas.disc((0, y), 2.5, button)
        canvas.disc((0, y), 0.9, colour(0.3, 0.3, 0.3), 0.6)


def _draw_rib(canvas: Canvas, neck: Neck) -> None:
    """A ribbed band round a crew neck."""
    edge, tone = neck.whole_front + [0, 1.5], trim_of(canvas.main)
    band = canvas.stroke(edge, width=9.5)
    canvas.paint(band, tone)
    spread = along(edge, np.linspace(0.02, 0.98, 27))
    out = 4.4 * unit(spread - [0, SHOULDER - 8])
    canvas.line(*np.stack([spread - out, spread + out], axis=1), width=0.9, opacity=0.35)
    canvas.line(edge + [0, 5], width=0.9, opacity=0.35)
    canvas.line(neck.back, width=6, colour=tone, opacity=1)
    canvas.mark("collar", band, canvas.stroke(edge, width=13))
    if canvas.design.detail == 0:
        for y in (84, 93, 102):
            canvas.disc((0, y), 2.0, lighter(canvas.main, 0.7))


# ------------------------------------------------------------------ high neck


def _frill_edge(top: float, sag: float, half: float) -> Points:
    """A wavy rim from left to right."""
    share = np.linspace(-1, 1, 49)
    y = top + sag * (1 - share * share) + 1.8 * wave(share * 3 + 0.25)
    return np.stack([share * half, y], axis=1)


# The folded-over collar of a turtleneck: a soft drum.
HALF_ROLL = join(
    curve((0, 37.5), (11, 37.5), (16.5, 33), count=6),
    curve((16.5, 33), (21, 35), (20.5, 45), count=6)[1:],
    curve((20.5, 45), (20.5, 53), (19, 56), count=5)[1:],
    curve((19, 56), (10, 61.5), (0, 61.5), count=7)[1:],
)
ROLL = join(HALF_ROLL, mirror(HALF_ROLL))
# A gathered frill, wider at its rim than where it is sewn on.
FRILL = join(_frill_edge(37, 6, 25), (22, 46), bow(-17, 55, 7, 9), (-22, 46))
FRILL_BACK = join(_frill_edge(36, -8, 25), ((22, 46), (16, 52), (-16, 52), (-22, 46)))
ROLL_BACK = join(bow(-17, 34, -9), bow(17, 36, 12))


def _draw_stand_inside(canvas: Canvas, neck: Neck) -> None:
    outline = {"ruffle": FRILL_BACK, "turtle": ROLL_BACK, "mock": neck.opening}[neck.value]
    tone = darker(canvas.main, 0.5 if neck.value == "mock" else 0.55)
    canvas.cloth(outline, "stand", colour=tone)


def _draw_high_neck(canvas: Canvas, neck: Neck, front: Cover, hem: float) -> None:
    base = join(neck.whole_front, bow(36, 63, 10, 9))
    canvas.mark("high_neck", canvas.cover(base), canvas.cover(neck.opening))
    draw = {"turtle": _draw_roll, "mock": _draw_stand, "ruffle": _draw_frill}[neck.value]
    draw(canvas, neck, front)


def _draw_roll(canvas: Canvas, neck: Neck, front: Cover) -> None:
    roll = _lay(canvas, neck, ROLL, front, ROUND, None)
    ribs = [curve((x * 0.85, 32), (x * 1.08, 46), (x, 62), count=5) for x in range(-18, 19, 3)]
    canvas.line(*ribs, width=0.8, opacity=0.2, clip=roll)
    canvas.line(bow(-19, 56, 9) - [0, 1.6], width=1.0, opacity=0.25, clip=roll)


def _draw_stand(canvas: Canvas, neck: Neck, front: Cover) -> None:
    rim = neck.opening[:11]
    canvas.line(rim + [0, 1.2], width=3.4, colour=trim_of(canvas.main), opacity=0.95)
    canvas.line(rim + [0, 3.4], width=0.9, opacity=0.35)
    seam = bow(23, 59, 13)
    canvas.line(seam, width=1.2, opacity=0.4, clip=front)
    canvas.stitch(seam + [0, 2.2], darker(canvas.main, 0.6), clip=front)


def _draw_frill(canvas: Canvas, neck: Neck, front: Cover) -> None:
    frill = _lay(canvas, neck, FRILL, front, LOW, None)
    xs = range(-16, 17, 4)
    pleats = np.array([curve((x * 1.45, 36), (x * 1.25, 46), (x, 61), count=5) for x in xs])
    canvas.line(*pleats, width=1.1, opacity=0.35, clip=frill)
    canvas.line(*(pleats + [1.6, 0]), width=1.2, colour=BRIGHT, opacity=0.14, clip=frill)
    canvas.line(bow(-17, 55, 7), width=2.2, colour=darker(canvas.main, 0.7), opacity=0.9)


# ------------------------------------------------------------------ lapel

NOTCHED = join(
    ((HALF - 1, SHOULDER - 1), (HALF + 4, 62), (27, 80), (19, 83), (33, 88)),
    curve((33, 88), (21, 114), (0, 137), count=8)[1:],
    curve((0, 137), (11, 100), (12, SHOULDER + 16), count=6)[1:],
)
NOTCHED_COLLAR = join((HALF - 1, 54), (HALF + 5, 61), (28, 79), (16, 84), (12, 70))
SHAWL = join(
    (HALF - 1, SHOULDER - 2),
    curve((HALF + 3, SHOULDER + 2), (42, 94), (0, 137), count=16),
    curve((0, 137), (10, 104), (12, SHOULDER + 14), count=8)[1:],
)


def _draw_shirt_front(canvas: Canvas, neck: Neck) -> None:
    """A shirt under the jacket."""
    shirt = colour(0.95, 0.95, 0.95) if canvas.lightness < 0.72 else colour(0.35, 0.42, 0.52)
    canvas.cloth(neck.opening, "shirt", colour=shirt)
    rim, far = bow(-15.5, SHOULDER + 2, 22, 13), bow(15.5, SHOULDER + 2, 7, 13)
    canvas.paint(canvas.cover(join(rim, far)), darker(shirt, 0.72))
    canvas.line(rim, width=2.4, colour=darker(shirt, 0.86), opacity=0.9)


def _draw_lapel(canvas: Canvas, neck: Neck, front: Cover, hem: float) -> None:
    main = canvas.main
    _draw_closing(canvas, front, canvas.measure("lapel"), hem)
    if neck.value == "collarless":
        canvas.line(neck.whole_front, width=4.4, colour=trim_of(main), opacity=0.9)
        canvas.mark("lapel", canvas.stroke(neck.whole_front, width=17))
        return
    tone = lighter(main, 0.10) if canvas.lightness < 0.55 else darker(main, 0.95)
    for side in (join, mirror):
        _lay(canvas, neck, side(NOTCHED if neck.value == "notched" else SHAWL), front, HIGH, tone)
        if neck.value == "notched":
            collar, shade = side(NOTCHED_COLLAR), darker(tone, 0.93)
            canvas.mark("lapel", canvas.cloth(collar, "band", colour=shade))


def _draw_closing(canvas: Canvas, front: Cover, end: float, hem: float) -> None:
    """Front edge, buttons and pocket flaps of a jacket."""
    canvas.line(vertical(0, end, hem + 4), width=1.3, opacity=0.55, clip=front)
    canvas.line(vertical(1.8, end, hem + 4), width=2.2, opacity=0.12, clip=front)
    button = darker(canvas.main, 0.45) if canvas.lightness > 0.3 else colour(0.58, 0.53, 0.45)
    for y in np.arange(end + 7, hem - 8, 21):
        canvas.disc((-5, y), 2.9, button)
        canvas.disc((-5.5, y - 0.7), 1.0, colour(0.85, 0.85, 0.85), 0.5)
    for flap in both(join((15, hem - 31), (34, hem - 33), (34, hem - 27), (15, hem - 25))):
        canvas.line(flap[:2], width=1.6, opacity=0.4, clip=front)
        canvas.cloth(flap, "flap", clip=front)
