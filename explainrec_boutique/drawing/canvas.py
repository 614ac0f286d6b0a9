"""The canvas: coverage of outlines and strokes, shaded cloth, shadows, and attribute masks.

Outlines arrive in cloth units and leave as pixels. Pillow fills polygons on a grid `OVERSAMPLE`
times finer than the picture; numpy composites. Vertices are snapped to that grid and all colour
arithmetic is exactly rounded float32, so a drawing has the same bytes on every machine (Pillow
fills polygons alike from release 11.2 on; before, a few border pixels differ). What is drawn, and
in which order, is decided by `tops.py`, `bottoms.py` and `shoes.py`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFilter

from ..design import Design, Scene
from .fabric import BLACK, NOISE, STRAIGHT, TABLES, TONES, Fabric, Tone, Window, luminance
from .geometry import Frame, Point, Points, box, curve, dashes, ellipse, join, on_grid, ribbon, star

OVERSAMPLE = 4
PADDING = 2  # empty pixels round a cover: a blur or a difference falls to zero at its border
OPAQUE = 0.8  # paint from this opacity on belongs to the item's silhouette
MASK_LEVEL = np.float32(0.5)  # a pixel is in a part when at least this share of it is covered


class Cover(NamedTuple):
    """How much of each pixel a shape covers, 0..1, in a window of the picture."""

    window: Window
    alpha: Float[ndarray, "height width"]


Clip = Cover | None
Draw = Callable[[ImageDraw.ImageDraw, list[int]], None]

# A picture's arrays come and go by the hundred. The C library of Linux keeps freed memory up to
# twice the largest array ever freed; it fetches all else anew, at a fifth of the drawing's time.
np.empty(2**24, dtype=np.uint8)


# Brand marks, which say nothing about an item (unless a dial ties them): round the origin, of
# radius 1. All but the ring, which is a line.
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
MATERIALS = TABLES["materials"]


class Canvas:
    """One picture in the making."""

    def __init__(self, design: Design, frame: Frame) -> None:
        self.design, self.frame, self.has = design, frame, design.attributes
        self.fabric = Fabric(design, frame)
        self.main = self.fabric.main
        self.lightness = luminance(self.main)
        turn = math.radians(design.scene.light)
        self.light = (on_grid(math.cos(turn)), on_grid(math.sin(turn)))
        self.image = self.backdrop = _backdrop(design.scene, frame.size)
        self.silhouette = self._blank()
        self.masks: dict[str, Float[ndarray, "height width"]] = {}

    def measure(self, attribute: str, value: str = "") -> Any:
        """What a class of an attribute measures, by default the design's own: `drawing.toml`."""
        return TABLES["measures"][attribute][value or self.has[attribute]]

    def _blank(self) -> Float[ndarray, "height width"]:
        return np.zeros((self.frame.size, self.frame.size), dtype=np.float32)

    # -------------------------------------------------------------- coverage

    def cover(self, *outlines: Points, drop: Point = (0.0, 0.0), padding: int = PADDING) -> Cover:
        """Coverage of the union of closed outlines; `drop` moves them, in cloth units unturned."""
        return self._raster(outlines, lambda pen, path: pen.polygon(path, fill=255), drop, padding)

    def stroke(self, *paths: Points, width: float) -> Cover:
        """Coverage of lines of the given width, in cloth units."""
        fine = width * self.frame.scale * OVERSAMPLE
        if fine >= 2.5:
            return self.cover(*(ribbon(path, width) for path in paths))
        thick = max(1, int(fine + 0.5))
        cover = self._raster(paths, lambda pen, path: pen.line(path, fill=255, width=thick))
        return Cover(cover.window, cover.alpha * np.float32(min(1.0, fine)))

    def _raster(
        self, paths: Sequence[Points], draw: Draw, drop: Point = (0.0, 0.0), padding: int = PADDING
    ) -> Cover:
        """Draw paths with Pillow, oversampled, in the smallest window that holds them.

        Args:
            draw: takes a pen and a path in the fine grid's whole numbers, x and y in turn.
        """
        points = self.frame.to_pixels(np.concatenate(paths)) + np.array(drop) * self.frame.scale
        window = rows, columns = _window(points, self.frame.size, padding)
        fine = (points - (columns.start, rows.start)) * OVERSAMPLE
        parts = np.split(np.floor(fine).astype(np.int64), np.cumsum([len(p) for p in paths[:-1]]))
        shape = (columns.stop - columns.start, rows.stop - rows.start)
        picture = Image.new("L", (shape[0] * OVERSAMPLE, shape[1] * OVERSAMPLE))
        pen = ImageDraw.Draw(picture)
        for part in parts:
            draw(pen, part.ravel().tolist())
        alpha = np.asarray(picture.reduce(OVERSAMPLE), dtype=np.float32)
        return Cover(window, alpha * np.float32(1 / 255))

    def clipped(self, cover: Cover, clip: Clip) -> Cover:
        """The part of a cover that lies within another."""
        if clip is None:
            return cover
        whole = self._blank()
        whole[clip.window] = clip.alpha
        return Cover(cover.window, cover.alpha * whole[cover.window])

    def blurred(self, cover: Cover, radius: float) -> Float[ndarray, "height width"]:
        """A cover's alpha after a Gaussian blur; radius in cloth units."""
        pixels = round(radius * self.frame.scale * 16) / 16
        if pixels < 0.3:
            return cover.alpha
        image = Image.fromarray((cover.alpha * 255 + 0.5).astype(np.uint8))
        soft = image.filter(ImageFilter.GaussianBlur(pixels))
        return np.asarray(soft, dtype=np.float32) / np.float32(255)

    # -------------------------------------------------------------- paint

    def paint(self, cover: Cover, colour: ndarray, opacity: float = 1.0) -> None:
        """Lay a colour, or one a pixel, over the picture; what hides the wall is the item."""
        part = self.image[cover.window]
        part += (colour - part) * (cover.alpha * np.float32(opacity))[..., None]
        if opacity >= OPAQUE:
            here = self.silhouette[cover.window]
            np.maximum(here, cover.alpha, out=here)

    def line(
        self, *paths: Points, width: float, opacity: float, colour: Tone = BLACK, clip: Clip = None
    ) -> None:
        self.paint(self.clipped(self.stroke(*paths, width=width), clip), colour, opacity)

    def stitch(self, path: Points, colour: Tone, clip: Clip = None, **how: float) -> None:
        if pieces := dashes(path, 3.4):
            self.line(*pieces, colour=colour, clip=clip, **{"width": 0.9, "opacity": 0.55} | how)

    def disc(self, centre: Point, radius: float, colour: Tone, opacity: float = 1.0) -> None:
        self.paint(self.cover(ellipse(centre, radius, radius, 14)), colour, opacity)

    def cloth(
        self,
        outline: Points,
        material: str,
        colour: Tone | None = None,
        clip: Clip = None,
        grain: Point = STRAIGHT,
    ) -> Cover:
        """Lay a shaded piece of one of `MATERIALS`: of the main cloth, or of a plain `colour`.

        Args:
            grain: cosine and sine of the angle by which the cloth's pattern is turned.
        """
        cover = self.clipped(self.cover(outline), clip)
        base = self.fabric.woven(cover.window, grain) if colour is None else colour
        light, shine = self._light_on(cover, **MATERIALS["usual"] | MATERIALS[material])
        lit = base * light[..., None] + shine[..., None]
        self.paint(cover, np.clip(lit, 0, 1.05))
        return cover

    def _light_on(
        self, cover: Cover, depth: float, contrast: float, folds: float, gloss: float, edge: float
    ) -> tuple[ndarray, ndarray]:
        """Factor and highlight `[height, width]` of rounded material under the scene's light.

        Args:
            depth: width of the rounded border, in cloth units.
            contrast, folds, gloss: strength of the shading, of the folds and of the highlight.
            edge: darkness of the outline.
        """
        soft = self.blurred(cover, depth)
        slope = self._slope(soft, depth)
        rim = 1 - np.clip(2 * soft - 1, 0, 1)
        light = 1 - np.float32(contrast) * (np.float32(0.34) * rim * rim + np.float32(0.55) * slope)
        light += np.float32(folds) * self.fabric.folds[cover.window]
        border = 1 - np.abs(self.blurred(cover, 0.9) - np.float32(0.62)) * np.float32(3.2)
        light *= 1 - np.float32(0.75 * edge) * np.clip(border, 0, 1)
        return light, np.float32(gloss) * np.clip(-2 * slope, 0, 1)

    def _slope(self, soft: ndarray, depth: float) -> Float[ndarray, "height width"]:
        """How far the surface faces away from the light: positive on the far side."""
        strength = depth * self.frame.scale * 0.75
        slope = np.zeros_like(soft)
        slope[:, 1:-1] = (soft[:, 2:] - soft[:, :-2]) * np.float32(self.light[0] * strength)
        slope[1:-1] += (soft[2:] - soft[:-2]) * np.float32(self.light[1] * strength)
        return slope

    def shadow(
        self, *outlines: Points, drop: Point, blur: float, strength: float, clip: Clip = None
    ) -> None:
        """Darken what lies under the outlines, moved by `drop`."""
        cover = self.cover(*outlines, drop=drop, padding=int(2 * blur * self.frame.scale) + PADDING)
        soft = self.clipped(Cover(cover.window, self.blurred(cover, blur)), clip)
        self.image[cover.window] *= (1 - np.float32(strength) * soft.alpha)[..., None]

    def cast_shadow(self, *outlines: Points) -> None:
        """The shadow of a whole garment on what it lies on, away from the light."""
        drop = (-7 * self.light[0], 4 - 4 * self.light[1])
        self.shadow(*outlines, drop=drop, blur=7, strength=0.26)

    def print_mark(self, centre: Point, radius: float) -> None:
        """Print the design's brand mark, if it has one, in a tone that shows on the cloth."""
        if not self.design.mark:
            return
        if self.design.mark == "ring":
            ring = ellipse(centre, 0.78 * radius, 0.78 * radius)
            cover = self.stroke(join(ring, ring[0]), width=0.42 * radius)
        else:
            cover = self.cover(*(part * radius + centre for part in SHAPES[self.design.mark]))
        self.paint(cover, TONES["ink" if self.lightness > 0.45 else "white"], 0.95)

    def erase(self, outline: Points) -> None:
        """Cut a hole: show the backdrop again."""
        cover = self.cover(outline)
        self.paint(cover, self.backdrop[cover.window])
        self.silhouette[cover.window] *= 1 - cover.alpha

    # -------------------------------------------------------------- truth

    def mark(self, attribute: str, *covers: Cover) -> None:
        """Add pixels to the part mask of an attribute."""
        mask = self.masks.setdefault(attribute, self._blank())
        for cover in covers:
            mask[cover.window] = np.maximum(mask[cover.window], cover.alpha)

    def finished(self) -> UInt8[ndarray, "3 height width"]:
        """The picture with its light, warmth and pixel noise."""
        scene = self.design.scene
        warmth = np.array([scene.warmth, 0, -scene.warmth], dtype=np.float32)
        picture = self.image * np.float32(scene.brightness) + warmth
        # Bell-shaped, of unit variance: the sum of three bytes, exact on every machine.
        shape = (3, *picture.shape)
        dice = self.fabric.stream(NOISE).integers(0, 256, size=shape, dtype=np.uint8)
        total = dice[0].astype(np.float32) + dice[1] + dice[2]
        picture += (total - np.float32(382.5)) / np.float32(128) * np.float32(scene.noise)
        pixels = np.clip(picture, 0, 1) * np.float32(255) + np.float32(0.5)
        return np.ascontiguousarray(pixels.astype(np.uint8).transpose(2, 0, 1))


def _window(points: Points, size: int, padding: int) -> Window:
    """The points' bounding box with some padding, at least one pixel, within the picture."""
    low, high = points.min(axis=0), points.max(axis=0)
    left, top = (min(max(math.floor(v) - padding, 0), size - 1) for v in low)
    right, bottom = (min(max(math.ceil(v) + padding, 1), size) for v in high)
    return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))


_WALLS = {"white": (1.0, 1.0, 1.0), "cream": (0.965, 0.96, 0.95), "grey": (0.88, 0.885, 0.89)}


def _backdrop(scene: Scene, size: int) -> Float[ndarray, "height width 3"]:
    """A studio wall: flat white, or a colour that falls off towards the corners."""
    turns = (scene.hue + third / 3 for third in range(3))
    tint = [0.92 + 0.04 * on_grid(math.cos(2 * math.pi * turn)) for turn in turns]
    base = np.array(_WALLS.get(scene.background, tint), dtype=np.float32)
    if scene.background == "white":
        return np.ones((size, size, 1), dtype=np.float32) * base
    t = np.linspace(-1, 1, size, dtype=np.float32)
    across, down = (t * t)[None, :], (t * t)[:, None]
    fall = 1 - np.float32(0.042) * (across + down) - np.float32(0.05) * np.clip(t, 0, 1)[:, None]
    return fall[..., None] * base
