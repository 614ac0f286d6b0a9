"""The relevance flow (RecoNet, Figure 5): an SVG of our own, with no model logic.

Crisp at any size, readable by screen readers, and at home in a dark page. Two layouts go out, and
the reader's own style sheet shows the one that fits: on a phone the names wrap and stand over
their values.
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
    """An SVG figure with its caption (HTML), for notebooks and pages.

    Attributes:
        narrow: the same for a phone.
    """

    svg: str
    caption: str
    narrow: str

    def _repr_html_(self) -> str:
        return (
            f'<figure class="lab-drawing" style="container-type:inline-size"><style>{SWITCH}'
            f"</style><figcaption>{self.caption}</figcaption>{self.svg}{self.narrow}</figure>"
        )


SWITCH = (
    ".lab-drawing figcaption{margin-bottom:.6rem}.lab-drawing .narrow{display:none}"
    "@container (max-width:539px)"
    "{.lab-drawing .wide{display:none}.lab-drawing .narrow{display:block}}"
)
"""Which of the two drawings shows: it depends on the room that the figure has."""


@dataclass(frozen=True)
class _Flow:
    """One ribbon: its label, its signed relevance and the kind of feature."""

    label: str
    kind: str
    relevance: float


REST = "rest"
"""Kind of the flow that gathers what is not named."""


@dataclass(frozen=True)
class _Layout:
    """Where things stand, in pixels: ribbons run from `left` to `right`.

    Attributes:
        letters, lines: room for a name.
        under: whether the value stands under the name, not beside it.
    """

    name: str
    width: int
    left: int
    right: int
    letters: int
    lines: int
    under: bool

    @property
    def style(self) -> str:
        smallest = 540 if self.name == "wide" else 0
        largest = 760 if self.name == "wide" else 420
        return f"width:100%;min-width:{smallest}px;max-width:{largest}px"


WIDTH, LEFT, RIGHT = 700, 320, 480
WIDE = _Layout("wide", WIDTH, LEFT, RIGHT, letters=34, lines=1, under=False)
NARROW = _Layout("narrow", 340, 206, 330, letters=26, lines=2, under=True)
TALL = 150
"""Height of the target's bar: the sum of the named relevances, signs aside."""
TOP, ROW, GAP, LINE = 28, 22, 10, 17


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
    whole = f"{total} = {_signed(explanation.output, '')}"
    caption = (
        f"{html.escape(question)} <b>{html.escape(title)}</b>? Relevance of the profile's "
        f"features, {whole}. Dotted: the rest, not to scale."
    )
    wide, narrow = (_drawn(flows, title, whole, layout) for layout in (WIDE, NARROW))
    return Drawing(wide, caption, narrow)


def _drawn(flows: list[_Flow], title: str, whole: str, layout: _Layout) -> str:
    """The SVG of one layout."""
    named = sum(abs(flow.relevance) for flow in flows if flow.kind != REST) or 1.0
    thick = [0.0 if flow.kind == REST else TALL * abs(flow.relevance) / named for flow in flows]
    text = [LINE * (len(_name(flow, layout)) + layout.under) + 5 for flow in flows]
    high = [max(*sizes) + GAP for sizes in zip(text, thick, strict=True)]
    heading = textwrap.wrap(title, 40)[:3] if layout.under else textwrap.wrap(title, 20)[:4]
    top = TOP if not layout.under else TOP + LINE * len(heading)
    height = top + max(sum(high), TALL) + GAP
    bar = (height + top - GAP - TALL) / 2
    rows, ends = top + np.cumsum(high) - np.array(high) / 2, bar + np.cumsum(thick)
    parts = [
        _ribbon(flow, row, end - size / 2, size, layout)
        for flow, row, end, size in zip(flows, rows, ends, thick, strict=True)
    ]
    parts.append(_target(heading, whole, bar, layout))
    return _svg(parts, height, _spoken(title, flows, whole), layout)


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


def _name(flow: _Flow, layout: _Layout) -> list[str]:
    """The lines of a flow's name; what does not fit ends in an ellipsis."""
    if layout.lines == 1:
        room = layout.letters
        fits = len(flow.label) <= room
        return [flow.label if fits else flow.label[: room - 1].rstrip() + "…"]
    return textwrap.wrap(flow.label, layout.letters, max_lines=layout.lines, placeholder="…") or [
        ""
    ]


def _ribbon(flow: _Flow, y0: float, y1: float, thick: float, layout: _Layout) -> str:
    """A label, its relevance, and a ribbon of constant width from left to right."""
    left, right = layout.left, layout.right
    middle, half = (left + right) / 2, max(thick, 1) / 2
    path = (
        f"M{left},{y0 - half:.1f} C{middle},{y0 - half:.1f} {middle},{y1 - half:.1f} "
        f"{right},{y1 - half:.1f} L{right},{y1 + half:.1f} C{middle},{y1 + half:.1f} "
        f"{middle},{y0 + half:.1f} {left},{y0 + half:.1f} Z"
    )
    if flow.kind == REST:
        path = f"M{left},{y0:.1f} C{middle},{y0:.1f} {middle},{y1:.1f} {right},{y1:.1f}"
    look = REST if flow.kind == REST else "supports" if flow.relevance > 0 else "opposes"
    fill = f' fill="url(#against-{layout.name})"' if look == "opposes" else ""
    value = _signed(flow.relevance)
    return (
        f"<g><title>{html.escape(flow.label)} ({flow.kind}): {value}</title>"
        f'<path class="{look}" d="{path}"{fill}/>{_label(flow, look, value, y0, layout)}</g>'
    )


def _label(flow: _Flow, look: str, value: str, y: float, layout: _Layout) -> str:
    """Name and value: side by side, or one over the other."""
    lines = _name(flow, layout)
    x = layout.left - (8 if layout.under else 58)
    first = y + 5 - LINE * (len(lines) - 1 + layout.under) / 2
    spans = "".join(
        f'<tspan x="{x}" y="{first + LINE * n:.1f}">{html.escape(line)}</tspan>'
        for n, line in enumerate(lines)
    )
    below = first + LINE * len(lines) if layout.under else y + 5
    return (
        f'<text class="name {look}">{spans}</text>'
        f'<text class="value" x="{layout.left - 8}" y="{below:.1f}">{value}</text>'
    )


def _signed(value: float, plus: str = "+") -> str:
    """Two decimals with a proper minus sign."""
    return f"{value:{plus}.2f}".replace("-", "\N{MINUS SIGN}")


def _target(lines: Sequence[str], whole: str, bar: float, layout: _Layout) -> str:
    """The bar on the right, the item's name beside or above it, and the sum of all relevances."""
    first = 15.0 if layout.under else bar + TALL / 2 - 9 * len(lines)
    x = layout.width - 2 if layout.under else layout.right + 20
    spans = "".join(
        f'<tspan x="{x}" y="{first + 18 * n:.1f}">{html.escape(line)}</tspan>'
        for n, line in enumerate(lines)
    )
    return (
        f'<rect class="bar" x="{layout.right}" y="{bar:.1f}" width="8" height="{TALL}" rx="2"/>'
        f'<text class="target">{spans}</text>'
        f'<text class="sum" x="{x}" y="{first + 18 * len(lines) + 2:.1f}">'
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
.flow path.supports {{fill: {SUPPORTS}; opacity: .75}}
.flow.narrow :is(.target, .sum) {{text-anchor: end}}
.flow path.rest {{fill: none; stroke: currentColor; stroke-dasharray: 1 4; opacity: .6}}
.flow .bar {{fill: currentColor; opacity: .8}} .flow g:hover path {{opacity: 1}}
"""


def _svg(parts: Sequence[str], height: float, label: str, layout: _Layout) -> str:
    """The whole drawing."""
    heads = (
        f'<text class="head" x="{LEFT - 8}" y="14" text-anchor="end">profile and relevance</text>'
        f'<text class="head" x="{RIGHT}" y="14">item</text>'
    )
    return (
        f'<svg class="flow {layout.name}" role="img" aria-label="{html.escape(label)}" '
        f'viewBox="0 0 {layout.width} {height:.0f}" xmlns="http://www.w3.org/2000/svg" '
        f'style="{layout.style}"><style>{STYLE}</style>'
        f'<defs><pattern id="against-{layout.name}" width="6" height="6" '
        'patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><rect width="6" height="6" fill="{OPPOSES}" '
        f'opacity=".45"/><rect width="3" height="6" fill="{OPPOSES}"/></pattern></defs>'
        + ("" if layout.under else heads)
        + "".join(parts)
        + "</svg>"
    )
