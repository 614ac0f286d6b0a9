"""Chapter 2's model: an average of embeddings, a linear softmax over items, and where its votes
come from.

Paper: Fusco, Vlachos, Vasileiadis, Wardatzky, Schneider, "RecoNet: An Interpretable Neural
Architecture for Recommender Systems", IJCAI 2019.

    space = reconet.FeatureSpace.of(dataset)
    model = reconet.trained(parts.train, space, lab.settings("reconet"))
    items, scores = reconet.recommend(model, space.profile(items=[3, 14]))
    explanation = reconet.explain(model, space.profile(items=[3, 14]), items[0])
"""

# ruff: noqa: F401 - the door opens the room
from .data import FeatureSpace, RemovedItems, Sets, SingleLabel, WithNewcomers
from .explain import closed_form, explain, looked_up, mean_profile, passed_on, relevance
from .model import RecoNet, recommend
from .train import cross_entropy, sampled_cross_entropy, train, trained
