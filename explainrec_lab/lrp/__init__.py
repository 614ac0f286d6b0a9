"""Layer-wise relevance propagation for eval-mode PyTorch programs.

    relevance, ledger = lrp.relevance(model, images, output=3, rule=lrp.Gamma(0.25), ledger=True)

| file | holds |
|---|---|
| `relevance.py` | `relevance`, the one door, and `Ledger`: where relevance went |
| `rules.py` | the rules, ten lines each |
| `composites.py` | which layer gets which rule |
| `head.py` | where two images meet: a difference, a distance |
| `engine/` | how relevance finds its way through a running program |

Convolutional networks and transformers run unmodified: all classifiers of torchvision's but the
quantised ones. An operation without a rule is refused by its name and the line that called it; the
message names a next step. Recurrent layers are among these: write their steps out.

Source: the LRP paper, §2.3, and the rules of the field around it; for attention and normalisation
AttnLRP (Achtibat et al., 2024) and CP-LRP (Ali et al., 2022).
"""
# ruff: noqa: F401

from .composites import Composite, depth, epsilon_gamma_box, first_layer, kind, named
from .engine.calls import UnsupportedOperation
from .head import SPLITS, difference, elementwise, homogeneous
from .relevance import relevance
from .rules import AlphaBeta, Epsilon, Gamma, Rule, WSquare, ZBox, ZPlus
