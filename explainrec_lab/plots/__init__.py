"""Figures: results in, picture out. No model logic, one style, readable without colour vision.

Matplotlib draws pictures with relevance, regions and boxes on them (`pictures`), and curves
(`curves`). The relevance flow (`flow`) is an SVG of our own.
"""

# ruff: noqa: F401 - what a page draws with
from .curves import curves
from .flow import relevance_flow
from .pictures import Reason, box_figure, contact_sheet, pair_figure, picture, reasons_sheet
from .style import OPPOSES, SUPPORTS, use_style
