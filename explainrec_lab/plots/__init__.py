"""Figures: results in, picture out. No model logic, one style, readable without colour vision.

Matplotlib draws contact sheets (`sheets`), curves (`curves`), relevance on pictures
(`relevance`), boxes (`boxes`), purchases with reasons (`reasons`), pairs of regions (`pairwise`)
and what removal does to a score (`removal`). The relevance flow (`flow`) is an SVG of our own.
"""

from explainrec_lab.plots.boxes import box_figure, draw_box
from explainrec_lab.plots.curves import curves, perturbation_curves
from explainrec_lab.plots.flow import Drawing, relevance_flow
from explainrec_lab.plots.pairwise import pairwise_figure
from explainrec_lab.plots.reasons import Reason, reasons_sheet
from explainrec_lab.plots.relevance import pair_figure, relevance_map
from explainrec_lab.plots.removal import (
    change_distributions,
    explanations_abreast,
    removal_curves,
)
from explainrec_lab.plots.sheets import contact_sheet, overlay
from explainrec_lab.plots.style import MASK_COLOURS, OPPOSES, SUPPORTS, use_style

__all__ = [
    "MASK_COLOURS",
    "OPPOSES",
    "SUPPORTS",
    "Drawing",
    "Reason",
    "box_figure",
    "change_distributions",
    "contact_sheet",
    "curves",
    "draw_box",
    "explanations_abreast",
    "overlay",
    "pair_figure",
    "pairwise_figure",
    "perturbation_curves",
    "reasons_sheet",
    "relevance_flow",
    "relevance_map",
    "removal_curves",
    "use_style",
]
