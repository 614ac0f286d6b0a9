"""Data: the contracts that every source keeps, the sources, and the papers' splits.

dataset = data.load("completejourney")
parts = data.split(data.implicit(dataset.interactions, threshold=1), seed=0)
"""

# ruff: noqa: F401
from explainrec_boutique.vocabulary import RELATION_KINDS, Schema

from .contracts import Catalogue, Dataset, Features, Interactions, Relations, Truth
from .frames import from_frames
from .photos import Photos, from_pictures
from .sources import available, load, register
from .splits import Split, cold_items, cold_start, implicit, leave_one_out, split
from .store import DataNotFound, results
