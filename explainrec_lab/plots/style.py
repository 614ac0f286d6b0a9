"""What all figures share: the style sheet, colours that every reader can tell apart, pictures."""

import itertools
import os
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib_inline.backend_inline import set_matplotlib_formats
from numpy import ndarray

from explainrec_lab.data.store import table_beside

TABLE = table_beside(__file__)
# Positive and negative relevance.
SUPPORTS, OPPOSES = TABLE["supports"], TABLE["opposes"]
# Lines that only help.
QUIET = "#5b6470"
# One colour a method in the whole book.
COLOURS = {word: TABLE.get(colour, colour) for word, colour in TABLE["methods"].items()}


def colours_of(names: Sequence[object]) -> list[str]:
    """Colours of methods by their names; those that `COLOURS` lacks take what the others leave."""
    known = [next((COLOURS[p] for p in COLOURS if p in str(name).lower()), "") for name in names]
    cycle = plt.rcParams["axes.prop_cycle"].by_key()["color"]
    left = itertools.cycle([colour for colour in cycle if colour not in known] or cycle)
    return [colour or next(left) for colour in known]


def use_style() -> None:
    """Apply the lab's style sheet; where a page is made, figures are drawn as SVG without ground.

    The page then gives them its own font and the colours of its theme.
    """
    plt.style.use("explainrec_lab.lab")
    if os.environ.get("EXPLAINREC_STATIC"):
        set_matplotlib_formats("svg")
        plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none"})
        plt.rcParams.update({"savefig.facecolor": "none", "svg.hashsalt": "lab"})


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
