"""Figures: results in, picture out. No model logic, one style, readable without colour vision.

Matplotlib draws pictures with relevance, regions and boxes on them (`pictures`), and curves
(`curves`). The relevance flow (`flow`) is an SVG of our own.
"""

# ruff: noqa: F401 - what a page draws with
from explainrec_lab.plots.curves import (
    change_distributions,
    curves,
    explanations_abreast,
    perturbation_curves,
    removal_curves,
)
from explainrec_lab.plots.flow import relevance_flow
from explainrec_lab.plots.pictures import (
    Reason,
    box_figure,
    contact_sheet,
    overlay,
    pair_figure,
    picture,
    reasons_sheet,
)
from explainrec_lab.plots.style import OPPOSES, SUPPORTS, use_style
