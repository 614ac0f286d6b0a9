"""What the papers' methods are compared with: recommenders with one call in common
(`collaborative`, `sampled`; SAERS's rankers in `visual`), and explainers of pixels
(`attribution`), of black boxes (`surrogate`) and of histories (`taste`)."""

# ruff: noqa: F401 - the door opens the room
from explainrec_lab.baselines import attribution
from explainrec_lab.baselines.collaborative import (
    EASE,
    IALS,
    DemographicPopularity,
    ItemNeighbours,
    OCuLaR,
    Popularity,
    Recommender,
    UserNeighbours,
)
from explainrec_lab.baselines.sampled import CML, FM
