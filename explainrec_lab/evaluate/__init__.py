"""Scores: of rankings (`ranking`) and of explanations against the truth (`truth`)."""

from explainrec_lab.evaluate import ranking, truth

__all__ = ["ranking", "truth"]
