"""The relevance flow (RecoNet, Figure 5): an SVG of our own, with no model logic.

Crisp at any size, readable by screen readers, at home in a dark page, and narrow enough for a
phone. `live/flow.js` draws the same while a reader changes the profile.
"""

import html
import textwrap
from pathlib import Path
from string import Template
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from IPython.display import HTML

from explainrec_lab.plots.style import OPPOSES, SUPPORTS

# Of the drawing, where ribbons begin and end (pixels), and room for a name (letters a line).
WIDTH, LEFT, RIGHT, LETTERS = 390, 230, 372, 22
# Height of the target's bar: the sum of the named relevances, signs aside.
TALL = 150
LINE, GAP = 17, 10

# The drawing around what is drawn here.
FRAME = Template(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))


class Explained(Protocol):
    """What the flow needs to know: the target's activation and a table of relevances."""

    @property
    def output(self) -> float: ...

    def table(self) -> pd.DataFrame:
        """Columns `feature`, `kind` and `relevance`."""


class _Flow(NamedTuple):
    """One ribbon: its label, the kind of feature, its signed relevance.

    Attributes:
        look: 'supports', 'opposes', or 'rest' for what is not named.
    """

    label: str
    kind: str
    relevance: float
    look: str

    @property
    def lines(self) -> list[str]:
        """Of its name; what does not fit ends in an ellipsis."""
        return textwrap.wrap(self.label, LETTERS, max_lines=2, placeholder="…") or [""]


def relevance_flow(
    explanation: Explained,
    title: str,
    supporting: int = 6,
    opposing: int = 3,
    total: str = "activation y",
    question: str = "Why",
) -> HTML:
    """RecoNet's Figure 5: features on the left flow into the recommended item on the right.

    Width is relevance. Blue ribbons support, hatched orange ones oppose. What is left of each
    sign is one dotted line that tells its count and sum, so that all numbers add up to y.

    Args:
        title: the recommended item.
        supporting, opposing: how many ribbons of each sign to name.
        total: what the relevances sum to. question: the first words of the caption.
    """
    table = explanation.table()
    flows = _strongest(table, "supports", supporting) + _strongest(table, "opposes", opposing)
    whole = f"{total} = {_signed(explanation.output, '')}"
    spoken = "; ".join(f"{flow.label} {flow.relevance:+.2f}" for flow in flows)
    words = {"question": question, "title": title, "whole": whole, "spoken": spoken}
    said = {name: html.escape(text) for name, text in words.items()}
    return HTML(FRAME.substitute(said | _drawn(flows, title, whole)))


def _strongest(table: pd.DataFrame, look: str, count: int) -> list[_Flow]:
    """The strongest features of one sign, then one flow for the rest of that sign."""
    sign = 1 if look == "supports" else -1
    own = table[sign * table.relevance > 0].sort_values("relevance", ascending=sign < 0)
    first, rest = own.iloc[:count], own.iloc[count:]
    flows = [_Flow(row.feature, row.kind, row.relevance, look) for row in first.itertuples()]
    if len(rest):
        label = f"{len(rest)} more that {look[:-1]}"
        flows.append(_Flow(label, "rest", float(rest.relevance.sum()), "rest"))
    return flows


def _drawn(flows: list[_Flow], title: str, whole: str) -> dict[str, Any]:
    """The frame's contents: rows of names at the left, the bar in the middle of the right side."""
    strength = np.array([0.0 if f.look == "rest" else abs(f.relevance) for f in flows])
    thick = TALL * strength / (strength.sum() or 1.0)
    high = np.maximum([LINE * len(flow.lines) + 5 for flow in flows], thick) + GAP
    heading = textwrap.wrap(title, 40)[:3]
    top = 18 * (len(heading) + 1) + GAP
    height = top + max(high.sum(), TALL) + GAP
    bar = (height + top - GAP - TALL) / 2
    rows, ends = top + np.cumsum(high) - high / 2, bar + np.cumsum(thick) - thick / 2
    target = _text("target", heading, WIDTH - 2, 15, 18)
    target += _text("sum", [whole], WIDTH - 2, 17 + 18 * len(heading))
    size = {"width": WIDTH, "height": f"{height:.0f}", "right": RIGHT, "tall": TALL}
    drawn = "".join(map(_ribbon, flows, rows, ends, thick)) + target
    return size | {"bar": f"{bar:.1f}", "drawn": drawn, "supports": SUPPORTS, "opposes": OPPOSES}


def _ribbon(flow: _Flow, y0: float, y1: float, thick: float) -> str:
    """A label, its relevance, and a ribbon of constant width from left to right."""
    middle, half = (LEFT + RIGHT) / 2, max(thick, 1) / 2
    path = (
        f"M{LEFT},{y0 - half:.1f} C{middle},{y0 - half:.1f} {middle},{y1 - half:.1f} "
        f"{RIGHT},{y1 - half:.1f} L{RIGHT},{y1 + half:.1f} C{middle},{y1 + half:.1f} "
        f"{middle},{y0 + half:.1f} {LEFT},{y0 + half:.1f} Z"
    )
    if flow.look == "rest":
        path = f"M{LEFT},{y0:.1f} C{middle},{y0:.1f} {middle},{y1:.1f} {RIGHT},{y1:.1f}"
    value, first = _signed(flow.relevance), y0 + 5 - LINE * (len(flow.lines) - 1) / 2
    return (
        f"<g><title>{html.escape(flow.label)} ({html.escape(flow.kind)}): {value}</title>"
        f'<path class="{flow.look}" d="{path}"/>'
        + _text(f"name {flow.look}", flow.lines, LEFT - 58, first)
        + _text("value", [value], LEFT - 8, y0 + 5)
        + "</g>"
    )


def _text(look: str, lines: list[str], x: float, y: float, step: float = LINE) -> str:
    """Lines of text that end at x, the first one's foot at y."""
    spans = "".join(
        f'<tspan x="{x}" y="{y + step * n:.1f}">{html.escape(line)}</tspan>'
        for n, line in enumerate(lines)
    )
    return f'<text class="{look}">{spans}</text>'


def _signed(value: float, plus: str = "+") -> str:
    """Two decimals with a proper minus sign."""
    return f"{value:{plus}.2f}".replace("-", "\N{MINUS SIGN}")
