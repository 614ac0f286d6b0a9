"""What the papers' methods are compared with: explainers of pixels (`attribution`), and
recommenders with one call in common (`collaborative`)."""

from explainrec_lab.baselines import attribution
from explainrec_lab.baselines.collaborative import Recommender
from explainrec_lab.baselines.popularity import DemographicPopularity, Popularity

__all__ = ["DemographicPopularity", "Popularity", "Recommender", "attribution"]
