"""What the papers' methods are compared with: explainers of pixels (`attribution`), and
recommenders with one call in common (`collaborative`)."""

from explainrec_lab.baselines import attribution
from explainrec_lab.baselines.coclusters import OCuLaR
from explainrec_lab.baselines.collaborative import Recommender
from explainrec_lab.baselines.neighbours import ItemNeighbours, UserNeighbours
from explainrec_lab.baselines.popularity import DemographicPopularity, Popularity
from explainrec_lab.baselines.sampled import CML, FM
from explainrec_lab.baselines.squares import EASE, IALS

__all__ = [
    "CML",
    "EASE",
    "FM",
    "IALS",
    "DemographicPopularity",
    "ItemNeighbours",
    "OCuLaR",
    "Popularity",
    "Recommender",
    "UserNeighbours",
    "attribution",
]
