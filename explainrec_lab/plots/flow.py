"""The relevance flow (RecoNet, Figure 5): an SVG of our own, with no model logic.

Crisp at any size, readable by screen readers, at home in a dark page, and narrow enough for a
phone. `live/flow.js` draws the same while a reader changes the profile.
"""

import textwrap
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from IPython.display import HTML
from jinja2 import Template

from explainrec_lab.plots.style import OPPOSES, SUPPORTS

# Of the drawing, where ribbons begin and end (pixels), and room for a name (letters a line).
WIDTH, LEFT, RIGHT, LETTERS = 390, 230, 372, 22
# Height of the target's bar: the sum of the named relevances, signs aside.
TALL = 150
LINE, GAP = 17, 10

# The drawing: what it says, and how it looks.
FRAME = Template(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"), autoescape=True)


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
    size = {"width": WIDTH, "left": LEFT, "right": RIGHT, "tall": TALL}
    looks = {"supports": SUPPORTS, "opposes": OPPOSES}
    return HTML(FRAME.render(words | size | looks | _placed(flows, textwrap.wrap(title, 40)[:3])))


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


def _placed(flows: list[_Flow], heading: list[str]) -> dict[str, Any]:
    """Rows of names at the left, the bar in the middle of the right side, below the heading."""
    strength = np.array([0.0 if f.look == "rest" else abs(f.relevance) for f in flows])
    thick = TALL * strength / (strength.sum() or 1.0)
    high = np.maximum([LINE * len(flow.lines) + 5 for flow in flows], thick) + GAP
    top = 18 * (len(heading) + 1) + GAP
    height = top + max(high.sum(), TALL) + GAP
    bar = (height + top - GAP - TALL) / 2
    rows, ends = top + np.cumsum(high) - high / 2, bar + np.cumsum(thick) - thick / 2
    places = zip(flows, rows, ends, thick, strict=True)
    ribbons = [(f, _signed(f.relevance), _ribbon(f, y, end, t), y) for f, y, end, t in places]
    return {"heading": heading, "height": f"{height:.0f}", "bar": bar, "ribbons": ribbons}


def _ribbon(flow: _Flow, y0: float, y1: float, thick: float) -> str:
    """The outline of a ribbon of constant width from left to right; for the rest, its middle."""
    middle, half = (LEFT + RIGHT) / 2, max(thick, 1) / 2

    def edge(x0: int, y0: float, x1: int, y1: float) -> str:
        return f"{x0},{y0:.1f} C{middle},{y0:.1f} {middle},{y1:.1f} {x1},{y1:.1f}"

    if flow.look == "rest":
        return f"M{edge(LEFT, y0, RIGHT, y1)}"
    above, below = edge(LEFT, y0 - half, RIGHT, y1 - half), edge(RIGHT, y1 + half, LEFT, y0 + half)
    return f"M{above} L{below} Z"


def _signed(value: float, plus: str = "+") -> str:
    """Two decimals with a proper minus sign."""
    return f"{value:{plus}.2f}".replace("-", "\N{MINUS SIGN}")
