"""Data: the contracts that every source keeps, the sources, and the papers' splits.

dataset = data.load("completejourney")
parts = data.split(data.implicit(dataset.interactions, threshold=1), seed=0)
"""

# ruff: noqa: F401
from explainrec_boutique.vocabulary import RELATION_KINDS, Schema
from explainrec_lab.data.contracts import (
    Catalogue,
    Dataset,
    Features,
    Interactions,
    Relations,
    Truth,
)
from explainrec_lab.data.frames import from_frames
from explainrec_lab.data.photos import Photos, from_pictures
from explainrec_lab.data.sources import available, load, register
from explainrec_lab.data.splits import Split, cold_items, cold_start, implicit, leave_one_out, split
from explainrec_lab.data.store import DataNotFound, results
