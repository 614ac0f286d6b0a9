"""Models that run in the reader's browser: no kernel, no server, no request.

Python exports the numbers of a trained model; a few files of plain JavaScript do the arithmetic
again where the page is read. A test drives both and compares them. `explore` is for running
notebooks: it calls the model in Python, hidden layer or not.
"""

# ruff: noqa: F401 - the door opens the room
from explainrec_lab.live.component import (
    LARGEST,
    Household,
    Live,
    explore,
    pack,
    recommender,
    unpack,
    written,
)
