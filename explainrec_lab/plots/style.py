"""What all figures share: the style sheet, and colours that every reader can tell apart."""

from __future__ import annotations

from importlib import resources

import matplotlib.pyplot as plt

SUPPORTS, OPPOSES = "#1b6ca8", "#d9822b"
"""Positive and negative relevance: blue and orange differ for every kind of colour vision."""

MASK_COLOURS = ("#e4572e", "#1b6ca8", "#3a8f6b", "#8a5aa8")


INK = "#20262d"
"""Outlines and text on paper."""


def use_style() -> None:
    """Apply the lab's style sheet to matplotlib."""
    with resources.as_file(resources.files("explainrec_lab") / "lab.mplstyle") as sheet:
        plt.style.use(sheet)
