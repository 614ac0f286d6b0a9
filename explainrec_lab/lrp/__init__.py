"""Layer-wise relevance propagation for any eval-mode PyTorch program.

    relevance, ledger = lrp.relevance(model, images, output=3, rule=lrp.Gamma(0.25), ledger=True)

| file | holds |
|---|---|
| `propagation.py` | `relevance`, the one door |
| `rules.py` | the rules, ten lines each |
| `composites.py` | which layer gets which rule |
| `head.py` | where two images meet: a difference, a distance |
| `bilrp.py` | which region of one image goes with which of another |
| `watch.py`, `calls.py`, `operations.py`, `trace.py` | how relevance finds its way |
| `ledger.py` | where it went |

Source: the LRP paper, §2.3, and the rules of the field around it.
"""

from explainrec_lab.lrp.bilrp import bilrp, component_relevance
from explainrec_lab.lrp.calls import UnsupportedOperation
from explainrec_lab.lrp.composites import (
    Composite,
    depth,
    epsilon_gamma_box,
    epsilon_only,
    first_layer,
    kind,
    named,
)
from explainrec_lab.lrp.head import difference, elementwise, homogeneous
from explainrec_lab.lrp.ledger import Ledger
from explainrec_lab.lrp.propagation import relevance
from explainrec_lab.lrp.rules import (
    SPLITS,
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    Layer,
    Rule,
    WSquare,
    ZBox,
    ZPlus,
)

__all__ = [
    "SPLITS",
    "AlphaBeta",
    "Composite",
    "Epsilon",
    "Flat",
    "Gamma",
    "Layer",
    "Ledger",
    "Rule",
    "UnsupportedOperation",
    "WSquare",
    "ZBox",
    "ZPlus",
    "bilrp",
    "component_relevance",
    "depth",
    "difference",
    "elementwise",
    "epsilon_gamma_box",
    "epsilon_only",
    "first_layer",
    "homogeneous",
    "kind",
    "named",
    "relevance",
]
