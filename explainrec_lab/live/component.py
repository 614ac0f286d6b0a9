"""A piece of page that works by itself: markup, style, numbers and scripts in one HTML string.

It runs in the book, where there is no kernel, and in JupyterLab, where the notebook is trusted.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from jaxtyping import Float
from torch import Tensor

from explainrec_lab.live.export import Household, pack, written
from explainrec_lab.reconet import RecoNet

SCRIPTS = (
    "model.js", "names.js", "questions.js", "pieces.js", "flow.js", "speech.js", "search.js",
    "asking.js", "controls.js",
)  # fmt: skip
"""One purpose a file; later ones use earlier ones."""


@dataclass(frozen=True)
class Live:
    """What a notebook shows: `model` is the exported numbers, `compact` asks for few controls."""

    model: dict[str, Any] = field(repr=False)
    label: str
    compact: bool = False

    def _repr_html_(self) -> str:
        code = "\n".join(source(name) for name in SCRIPTS)
        size = "lab-live compact" if self.compact else "lab-live"
        return (
            f'<section class="{size}" data-lm-suppress-shortcuts="true" '
            f'aria-label="{html.escape(self.label)}"><style>{source("live.css")}</style>'
            "<p>This demonstration needs JavaScript; in JupyterLab, trust the notebook.</p>"
            f'<script type="application/json">{written(self.model)}</script>'
            f'<script>(() => {{\n"use strict";\n{code}\n'
            'document.querySelectorAll(".lab-live:not([data-started])").forEach(start);\n'
            "})()</script></section>"
        )


def source(name: str) -> str:
    """Text of a script or style sheet of this package."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def recommender(
    model: RecoNet,
    reference: Float[Tensor, " m"],
    households: Sequence[Household] = (),
    compact: bool = False,
) -> Live:
    """Choose products and attributes; see what RecoNet recommends, ask why, see the flow.

    Args:
        reference: average profile, as from `reconet.mean_profile`.
        households: to start from; the first is shown at once.
        compact: fewer controls and flows, for the top of a page.

    Raises:
        ValueError: what the page cannot compute or carry; see `export.pack`.

    Source: RecoNet, §5.3 and Figure 5.
    """
    label = "RecoNet in your browser: choose products, ask why"
    return Live(pack(model, reference, households), label, compact)
