"""Chapter 3: attributes seen in pictures, and preferences among them.

Source: SAERS (Hou et al., 2019). The whole way, as the pages walk it:

    dataset = lab.data.load("boutique")
    split = lab.data.leave_one_out(dataset.interactions)
    network = saers.trained_network(lab.settings("saers"))
    found = saers.extracted(network, dataset.catalogue.images)
    model = saers.saers(dataset.interactions.n_users, found)
    saers.train(model, split.train, **saers.TUNED["SAERS"])
    saers.explain(model, user=3, item=14, found=found)

| file | holds |
|---|---|
| `regions.py` | what the network of `vision.naming` (Eq. 1) sees in pictures; Grad-AAM (Eq. 2, 3) |
| | and its relatives, boxes, ROI pooling; all of it: `extract` |
| `boxes.py` | are the boxes right? |
| `model.py` | attention to attributes, the score, the loss (Eq. 4 to 9); the best items |
| `train.py` | triples, one loop for every model, and how each was tuned |
| `explain.py` | which attribute did it: attention, contribution, swap |
"""

# ruff: noqa: F401
from . import boxes, regions
from .explain import EXPLAINERS, answers, average_features, explain, health, hit_rate
from .model import LinearFeature, SiameseFeature, bpr, class_features, recommend, saers
from .regions import OURS, extract, extracted, look, trained_network
from .train import TUNED, VERSIONS, train
