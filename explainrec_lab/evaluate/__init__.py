"""Scores: of rankings (`ranking`) and of explanations.

Explanations are scored against the truth (`truth` asks which attribute, `localisation` which
pixels), against the model they explain (`faithfulness`), and against a model that has forgotten
everything (`sanity`).
"""

from explainrec_lab.evaluate import faithfulness, localisation, ranking, sanity, truth

__all__ = ["faithfulness", "localisation", "ranking", "sanity", "truth"]
