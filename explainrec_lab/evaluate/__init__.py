"""Scores: of rankings (`ranking`) and of explanations.

Explanations are scored against the truth (`truth` asks which attribute, `localisation` which
pixels), and against the model they explain and one that has forgotten everything (`faithfulness`).
"""

# ruff: noqa: F401 - the door opens the room
from explainrec_lab.evaluate import faithfulness, localisation, ranking, truth
