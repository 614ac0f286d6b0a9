"""Explainable Recommendation Lab: what the chapters import.

import explainrec_lab as lab

profile = lab.profile("reconet")
dataset = lab.data.load("completejourney")
"""

from explainrec_lab import baselines, data, evaluate, plots, profiles, reconet, training
from explainrec_lab._version import __version__
from explainrec_lab.profiles import profile

__all__ = [
    "__version__",
    "baselines",
    "data",
    "evaluate",
    "plots",
    "profile",
    "profiles",
    "reconet",
    "training",
]
