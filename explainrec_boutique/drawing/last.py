"""The last: the foot-shaped form that all parts of a shoe are attached to."""

from typing import NamedTuple

import numpy as np
from numpy import ndarray

from .canvas import Canvas
from .geometry import Point, Points

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
