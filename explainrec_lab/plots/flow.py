"""The relevance flow (RecoNet, Figure 5): an SVG of our own, with no model logic.

Crisp at any size, readable by screen readers, and at home in a dark page.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from explainrec_lab.plots.style import OPPOSES, SUPPORTS


class Explained(Protocol):
    """What the flow needs to know: the target's activation and a table of relevances."""

    @property
    def output(self) -> float: ...

    def table(self) -> pd.DataFrame:
        """Columns `feature`, `kind` and `relevance`."""
        ...


@dataclass(frozen=True)
class Drawing:
    """An SVG figure with its caption (HTML), for notebooks and pages."""

    svg: str
    caption: str

    def _repr_html_(self) -> str:
        return (
            f'<figure class="lab-drawing" style="overflow-x:auto"><figcaption>{self.caption}'
            f"</figcaption>{self.svg}</figure>"
        )


@dataclass(frozen=True)
class _Flow:
    """One ribbon: its label, its signed relevance and the kind of feature."""

    label: str
    kind: str
    relevance: float


REST = "rest"
"""Kind of the flow that gathers what is not named."""

WIDTH, LEFT, RIGHT = 700, 320, 480
TALL = 150
"""Height of the target's bar: the sum of the named relevances, signs aside."""
TOP, ROW, GAP = 28, 22, 10


def relevance_flow(
    explanation: Explained,
    title: str,
    supporting: int = 6,
    opposing: int = 3,
    total: str = "activation y",
    question: str = "Why",
) -> Drawing:
    """RecoNet's Figure 5: features on the left flow into the recommended item on the right.

    Width is relevance. Blue ribbons support, hatched orange ones oppose. What is left of each
    sign is one dotted line that tells its count and sum, so that all numbers add up to y.

    Args:
        title: the recommended item.
        supporting, opposing: how many ribbons of each sign to name.
        total: what the relevances sum to. question: the first words of the caption.
    """
    flows = _flows(explanation.table(), supporting, opposing)
    named = sum(abs(flow.relevance) for flow in flows if flow.kind != REST) or 1.0
    thick = [0.0 if flow.kind == REST else TALL * abs(flow.relevance) / named for flow in flows]
    rows = np.cumsum([max(ROW, size) + GAP for size in thick])
    height = TOP + max(rows.max(initial=0), TALL) + GAP
    bar = (height + TOP - GAP - TALL) / 2
    ends = bar + np.cumsum(thick)
    parts = [
        _ribbon(flow, TOP + row - (max(ROW, size) + GAP) / 2, end - size / 2, size)
        for flow, row, end, size in zip(flows, rows, ends, thick, strict=True)
    ]
    whole = f"{total} = {_signed(explanation.output, '')}"
    parts.append(_target(title, whole, bar))
    caption = (
        f"{html.escape(question)} <b>{html.escape(title)}</b>? Relevance of the profile's "
        f"features, {whole}. Dotted: the rest, not to scale."
    )
    return Drawing(_svg(parts, height, _spoken(title, flows, whole)), caption)


def _flows(table: pd.DataFrame, supporting: int, opposing: int) -> list[_Flow]:
    """The strongest features of each sign, then one flow for the rest of that sign."""
    positive = table[table.relevance > 0].sort_values("relevance", ascending=False)
    negative = table[table.relevance < 0].sort_values("relevance")
    return [*_named(positive, supporting, "support"), *_named(negative, opposing, "oppose")]


def _named(rows: pd.DataFrame, count: int, verb: str) -> list[_Flow]:
    first, rest = rows.iloc[:count], rows.iloc[count:]
    flows = [_Flow(row.feature, row.kind, row.relevance) for row in first.itertuples()]
    if len(rest):
        label = f"{len(rest)} more that {verb}"
        flows.append(_Flow(label, REST, float(rest.relevance.sum())))
    return flows


def _ribbon(flow: _Flow, y0: float, y1: float, thick: float) -> str:
    """A label, its relevance, and a ribbon of constant width from left to right."""
    middle, half = (LEFT + RIGHT) / 2, max(thick, 1) / 2
    path = (
        f"M{LEFT},{y0 - half:.1f} C{middle},{y0 - half:.1f} {middle},{y1 - half:.1f} "
        f"{RIGHT},{y1 - half:.1f} L{RIGHT},{y1 + half:.1f} C{middle},{y1 + half:.1f} "
        f"{middle},{y0 + half:.1f} {LEFT},{y0 + half:.1f} Z"
    )
    if flow.kind == REST:
        path = f"M{LEFT},{y0:.1f} C{middle},{y0:.1f} {middle},{y1:.1f} {RIGHT},{y1:.1f}"
    look = REST if flow.kind == REST else "supports" if flow.relevance > 0 else "opposes"
    label = html.escape(flow.label if len(flow.label) <= 34 else flow.label[:33].rstrip() + "…")
    value = _signed(flow.relevance)
    return (
        f"<g><title>{html.escape(flow.label)} ({flow.kind}): {value}</title>"
        f'<path class="{look}" d="{path}"/>'
        f'<text class="name {look}" x="{LEFT - 58}" y="{y0 + 5:.1f}">{label}</text>'
        f'<text class="value" x="{LEFT - 8}" y="{y0 + 5:.1f}">{value}</text></g>'
    )


def _signed(value: float, plus: str = "+") -> str:
    """Two decimals with a proper minus sign."""
    return f"{value:{plus}.2f}".replace("-", "\N{MINUS SIGN}")


def _target(title: str, whole: str, top: float) -> str:
    """The bar on the right with the item's name and the sum of all relevances."""
    lines = textwrap.wrap(title, 20)[:4]
    first = top + TALL / 2 - 9 * len(lines)
    spans = "".join(
        f'<tspan x="{RIGHT + 20}" y="{first + 18 * n:.1f}">{html.escape(line)}</tspan>'
        for n, line in enumerate(lines)
    )
    return (
        f'<rect class="bar" x="{RIGHT}" y="{top:.1f}" width="8" height="{TALL}" rx="2"/>'
        f'<text class="target">{spans}</text>'
        f'<text class="sum" x="{RIGHT + 20}" y="{first + 18 * len(lines) + 4:.1f}">'
        f"{html.escape(whole)}</text>"
    )


def _spoken(title: str, flows: list[_Flow], whole: str) -> str:
    """What a screen reader says."""
    said = "; ".join(f"{flow.label} {flow.relevance:+.2f}" for flow in flows)
    return f"Relevance flow into {title}, {whole}: {said}"


STYLE = f"""
.flow text {{font: 14px system-ui, sans-serif; fill: currentColor}}
.flow .name {{text-anchor: end}} .flow .value {{text-anchor: end; opacity: .75; font-size: 13px}}
.flow .target {{font-weight: 650; font-size: 15px}} .flow .sum {{opacity: .75}}
.flow .head {{opacity: .75; font-size: 12px}} .flow .name.rest {{font-style: italic; opacity: .75}}
.flow path.supports {{fill: {SUPPORTS}; opacity: .75}} .flow path.opposes {{fill: url(#against)}}
.flow path.rest {{fill: none; stroke: currentColor; stroke-dasharray: 1 4; opacity: .6}}
.flow .bar {{fill: currentColor; opacity: .8}} .flow g:hover path {{opacity: 1}}
"""


def _svg(parts: Sequence[str], height: float, label: str) -> str:
    """The whole drawing."""
    return (
        f'<svg class="flow" role="img" aria-label="{html.escape(label)}" '
        f'viewBox="0 0 {WIDTH} {height:.0f}" xmlns="http://www.w3.org/2000/svg" '
        'style="width:100%;min-width:540px;max-width:760px;display:block">'
        f"<style>{STYLE}</style>"
        '<defs><pattern id="against" width="6" height="6" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><rect width="6" height="6" fill="{OPPOSES}" '
        f'opacity=".45"/><rect width="3" height="6" fill="{OPPOSES}"/></pattern></defs>'
        f'<text class="head" x="{LEFT - 8}" y="14" text-anchor="end">profile and relevance</text>'
        f'<text class="head" x="{RIGHT}" y="14">item</text>' + "".join(parts) + "</svg>"
    )
