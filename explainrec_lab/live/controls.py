"""Controls for a running notebook: ipywidgets that call the model in Python.

A page has no kernel. While one is being made (`EXPLAINREC_STATIC` is set), a control shows a
sentence in its place, so that no widget is frozen into the page.
"""

from __future__ import annotations

import os
from typing import Any

import ipywidgets as widgets
from IPython.display import HTML, display

from explainrec_lab import reconet
from explainrec_lab.plots import relevance_flow

SENTENCE = """In JupyterLab this cell shows controls: choose a household, drop some of what is
known about it, and see recommendations and reasons move."""


def explore(model: reconet.RecoNet, profiles: reconet.Sets, start: int = 0, k: int = 10) -> Any:
    """Choose a user, drop some of her features, choose a recommendation: its flow is redrawn.

    Args:
        start: the user shown first.
        k: how many recommendations to choose from.
    """
    if os.environ.get("EXPLAINREC_STATIC"):
        return HTML(f"<p><em>{SENTENCE}</em></p>")
    user = widgets.BoundedIntText(start, 0, len(profiles) - 1, description="user")
    keep = widgets.SelectMultiple(description="known", rows=8, layout={"width": "28rem"})
    item = widgets.Dropdown(description="why", layout={"width": "28rem"})
    flow = widgets.Output()

    def new_user(_: Any) -> None:
        ids = profiles[user.value].tolist()
        keep.options = [(model.space.names[i], i) for i in ids]
        keep.value = tuple(ids)

    def new_profile(_: Any) -> None:
        chosen = reconet.Sets.of(keep.value)
        if len(chosen.ids):
            items, _scores = reconet.recommend(model, chosen, k)
            item.options = [(model.space.names[i], i) for i in items.tolist()]
            item.value = int(items[0])

    def new_item(_: Any) -> None:
        flow.clear_output(wait=True)
        if keep.value and item.value is not None:
            explanation = reconet.explain(model, reconet.Sets.of(keep.value), item.value)
            with flow:
                display(relevance_flow(explanation, item.label))

    user.observe(new_user, "value")
    keep.observe(new_profile, "value")
    item.observe(new_item, "value")
    new_user(None)
    return widgets.VBox([user, keep, item, flow])
