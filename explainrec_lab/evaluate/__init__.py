"""Scores: of rankings (`ranking`; `sampled` with sampled negatives) and of explanations.

Explanations are scored against the truth (`truth` asks which attribute, `localisation` which
pixels), against the model they explain (`faithfulness`), and against a model that has forgotten
everything (`sanity`).
"""

from explainrec_lab.evaluate import faithfulness, localisation, ranking, sampled, sanity, truth

__all__ = ["faithfulness", "localisation", "ranking", "sampled", "sanity", "truth"]
