"""Scores: of rankings (`ranking`) and of explanations.

Explanations are scored against the truth (`truth` asks which attribute, `localisation` which
pixels), against the model they explain (`faithfulness`), and against a model that has forgotten
everything (`sanity`).
"""

# ruff: noqa: F401 - the door opens the room
from explainrec_lab.evaluate import faithfulness, localisation, ranking, sanity, truth
