"""Models that run in the reader's browser: no kernel, no server, no request.

Python exports the numbers of a trained model; a few lines of plain JavaScript (`reconet.js`) do
the arithmetic again where the page is read. A test drives both and compares them.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import torch

from explainrec_lab.live.controls import explore
from explainrec_lab.reconet import RecoNet

__all__ = ["Live", "basket", "explore"]

DECIMALS = 4
"""Digits after the point of an exported score."""


@dataclass(frozen=True)
class Live:
    """A piece of page that works by itself."""

    model: dict[str, Any]
    script: str
    label: str

    def _repr_html_(self) -> str:
        code = resources.files(__package__).joinpath(self.script).read_text(encoding="utf-8")
        style = resources.files(__package__).joinpath("live.css").read_text(encoding="utf-8")
        numbers = json.dumps(self.model).replace("</", "<\\/")
        return (
            f'<section class="lab-live" aria-label="{html.escape(self.label)}">'
            f'<style>{style}</style><script type="application/json">{numbers}</script>'
            f"<noscript>This demonstration needs JavaScript.</noscript>"
            f"<script>(() => {{ const root = document.currentScript.parentElement;\n{code}\n}})()"
            "</script></section>"
        )


@torch.no_grad()
def basket(
    model: RecoNet,
    features: Sequence[int],
    start: Sequence[int],
    reference: torch.Tensor,
    names: Sequence[str] | None = None,
) -> Live:
    """Tick products and attributes; see what RecoNet recommends and why.

    Items are ordered, and reasons counted, by how far an item lies above the average item, for
    what is ticked more than for the reference: Z_k = (W_j - mean W) . (q_k - x) / |FS_u|, with x
    the vector of the reference. Train the model without item attributes, so that what is ticked
    is the whole profile.

    Args:
        features: ids of the features to offer; the items among them can be recommended.
        start: those that are ticked at first.
        reference: average profile, `[m]`, as from `reconet.mean_profile`.
        names: labels to show instead of the space's.

    Raises:
        ValueError: a model with a hidden layer, or a start that is not among the features.
    """
    if model.hidden is not None:
        raise ValueError("model: the page computes the one-layer model only")
    if not set(start) <= set(features):
        raise ValueError("start: holds a feature that is not offered")
    ids = torch.tensor(list(features))
    items = ids[ids < model.space.n_items]
    W = model.W - model.W.mean(dim=0)
    P = W[items] @ (model.Q[ids] - reference @ model.Q).T
    shown = list(names) if names is not None else [model.space.names[i] for i in features]
    exported = {
        "features": shown,
        "items": [list(features).index(i) for i in items.tolist()],
        "start": [list(features).index(i) for i in start],
        "P": [[round(value, DECIMALS) for value in row] for row in P.tolist()],
    }
    return Live(exported, "reconet.js", "RecoNet in your browser: tick products, see reasons")
