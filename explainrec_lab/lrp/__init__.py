"""Layer-wise relevance propagation for any eval-mode PyTorch program.

    relevance, ledger = lrp.relevance(model, images, output=3, rule=lrp.Gamma(0.25), ledger=True)

| file | holds |
|---|---|
| `relevance.py` | `relevance`, the one door, and `Ledger`: where relevance went |
| `rules.py` | the rules, ten lines each |
| `composites.py` | which layer gets which rule |
| `head.py` | where two images meet: a difference, a distance |
| `bilrp.py` | which region of one image goes with which of another |
| `engine/` | how relevance finds its way through a running program |

Source: the LRP paper, §2.3, and the rules of the field around it.
"""
# ruff: noqa: F401

from explainrec_lab.lrp.bilrp import bilrp
from explainrec_lab.lrp.composites import (
    Composite,
    depth,
    epsilon_gamma_box,
    first_layer,
    kind,
    named,
)
from explainrec_lab.lrp.engine.calls import UnsupportedOperation
from explainrec_lab.lrp.head import SPLITS, difference, elementwise, homogeneous
from explainrec_lab.lrp.relevance import relevance
from explainrec_lab.lrp.rules import AlphaBeta, Epsilon, Gamma, Rule, WSquare, ZBox, ZPlus
