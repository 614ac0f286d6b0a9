"""What all figures share: the style sheet, colours that every reader can tell apart, pictures."""

from importlib import resources
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from numpy import ndarray

# Positive and negative relevance: blue and orange differ for every kind of colour vision.
SUPPORTS, OPPOSES = "#1b6ca8", "#d9822b"
# Outlines and text on paper; lines that only help.
INK, QUIET = "#20262d", "#5b6470"


def use_style() -> None:
    """Apply the lab's style sheet to matplotlib."""
    with resources.as_file(resources.files("explainrec_lab") / "lab.mplstyle") as sheet:
        plt.style.use(sheet)


def as_array(values: Any) -> ndarray:
    """An array of whatever can be one; tensors come from their device."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def rgb(image: ndarray) -> Float[ndarray, "height width 3"]:
    """A picture `[3, height, width]`, uint8 or in 0..1, with channels last and in 0..1."""
    scaled = image / 255 if image.dtype == np.uint8 else image
    return scaled.transpose(1, 2, 0).astype(np.float64).clip(0, 1)


def plain(text: object) -> str:
    """Text that matplotlib writes as it is: a dollar in a product's name begins no formula."""
    return str(text).replace("$", r"\$")
