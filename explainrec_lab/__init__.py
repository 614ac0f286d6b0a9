"""Explainable Recommendation Lab: what the chapters import.

import explainrec_lab as lab

settings = lab.settings("reconet")
dataset = lab.data.load("completejourney")
"""

# ruff: noqa: F401 - the door opens every room
from explainrec_lab import (
    baselines,
    data,
    evaluate,
    live,
    lrp,
    plots,
    reconet,
    relation,
    saers,
    training,
    vision,
    weights,
)
from explainrec_lab._version import __version__
from explainrec_lab.settings import settings
