"""Pictures side by side, and pictures with tinted regions."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Bool, UInt8
from matplotlib.figure import Figure
from numpy import ndarray

from explainrec_lab.plots.style import MASK_COLOURS


def contact_sheet(
    images: UInt8[ndarray, "picture 3 height width"],
    captions: Sequence[str] | None = None,
    columns: int = 6,
    inches: float = 1.5,
) -> Figure:
    """Pictures side by side, each with a caption below."""
    if captions is not None and len(captions) != len(images):
        raise ValueError(f"captions: {len(captions)} for {len(images)} pictures")
    rows = max(-(-len(images) // columns), 1)
    extra = 0.42 if captions else 0.05
    figure, axes = plt.subplots(
        rows, columns, figsize=(columns * inches, rows * (inches + extra)), squeeze=False
    )
    for axis in axes.ravel():
        axis.axis("off")
    for number, (image, axis) in enumerate(zip(images, axes.flat, strict=False)):
        axis.imshow(image.transpose(1, 2, 0), interpolation="lanczos")
        if captions:
            wrapped = "\n".join(textwrap.fill(line, 22) for line in captions[number].split("\n"))
            axis.text(
                0.5, -0.03, wrapped, transform=axis.transAxes, ha="center", va="top", size=7.5
            )
    return figure


def overlay(
    image: UInt8[ndarray, "3 height width"],
    masks: Sequence[Bool[ndarray, "height width"]],
    strength: float = 0.55,
) -> UInt8[ndarray, "3 height width"]:
    """The picture with each mask tinted in its own colour of `MASK_COLOURS`.

    Raises:
        ValueError: more masks than colours.
    """
    if len(masks) > len(MASK_COLOURS):
        raise ValueError(f"masks: {len(masks)}, but there are {len(MASK_COLOURS)} colours")
    tinted = image.astype(np.float64)
    for mask, colour in zip(masks, MASK_COLOURS, strict=False):
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.float64)
        tinted[:, mask] = (1 - strength) * tinted[:, mask] + strength * rgb[:, None]
    return tinted.round().astype(np.uint8)
