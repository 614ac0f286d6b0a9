"""Chapter 1's model: relations between pictures through a personal distance.

Source: LRP for explainable recommendations, §2.1 to §2.3 and §3.2 to §3.4.

    split = relation.split(shop.relations)
    model = relation.trained(settings, shop, split)
    explanation = relation.explain(model, images_i, images_j, user=0, kind="also_viewed")
"""

# ruff: noqa: F401 - the door of the chapter
from explainrec_lab.vision.backbone import pixels

from . import truth_table
from .data import Pairs, Split, mcauley_split, split, test_pairs
from .explain import Closeness, explain
from .model import NEW_USER, RelationModel, features_of, logits_of, mean_features, recommend
from .train import loss, pretrained, train, trained, untrained
from .truth_table import accuracy
