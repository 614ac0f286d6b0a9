"""Chapter 1's model: relations between pictures through a personal distance.

Source: LRP for explainable recommendations, §2.1 to §2.3 and §3.2 to §3.4.

    settings = lab.settings("relation")
    learned = relation.trained(settings)
"""

from explainrec_lab.relation.examples import (
    Hand,
    HandLosses,
    Hands,
    Pairs,
    Parts,
    balanced_pairs,
    objective,
    split_items,
)
from explainrec_lab.relation.explanation import Places, contrast, default_rule, explain
from explainrec_lab.relation.metric import NEW_USER, UserMetric
from explainrec_lab.relation.model import RelationModel
from explainrec_lab.relation.pretraining import labels_of, pretrain
from explainrec_lab.relation.recipe import (
    Trained,
    dataset_of,
    fixed_features,
    started,
    train,
    trained,
    untrained,
)
from explainrec_lab.relation.recommendation import recommend
from explainrec_lab.relation.scores import accuracy, features_of, logits_of, table_1
from explainrec_lab.vision.backbone import Backbone, backbone, pixels

__all__ = [
    "NEW_USER",
    "Backbone",
    "Hand",
    "HandLosses",
    "Hands",
    "Pairs",
    "Parts",
    "Places",
    "RelationModel",
    "Trained",
    "UserMetric",
    "accuracy",
    "backbone",
    "balanced_pairs",
    "contrast",
    "dataset_of",
    "default_rule",
    "explain",
    "features_of",
    "fixed_features",
    "labels_of",
    "logits_of",
    "objective",
    "pixels",
    "pretrain",
    "recommend",
    "split_items",
    "started",
    "table_1",
    "train",
    "trained",
    "untrained",
]
