"""Chapter 2's model: an average of embeddings, a linear softmax over items, and where its votes
come from.

Paper: Fusco, Vlachos, Vasileiadis, Wardatzky, Schneider, "RecoNet: An Interpretable Neural
Architecture for Recommender Systems", IJCAI 2019.

    space = reconet.FeatureSpace.of(dataset)
    model = reconet.trained(parts.train, space, lab.settings("reconet"))
    explanation = reconet.explain(model, space.profile(items=[3, 14]), item=15)
"""

from explainrec_lab.reconet.bulk import explain_many
from explainrec_lab.reconet.examples import (
    Examples,
    RemovedItems,
    SingleLabel,
    WithNewcomers,
    cross_entropy,
    diminishing_removal,
    removal_survival,
)
from explainrec_lab.reconet.features import FeatureSpace, Sets
from explainrec_lab.reconet.interpretation import (
    Explanation,
    closed_form,
    epsilon_rule,
    explain,
    mean_profile,
    personal_relevance,
    recommend,
    relevance_of_features,
    relevance_of_latent_factors,
    relevance_of_pooling,
    three_steps,
)
from explainrec_lab.reconet.model import RecoNet
from explainrec_lab.reconet.naming import (
    attribute_features,
    favoured,
    looked_up,
    passed_on,
    relevance_of_all,
    shares,
)
from explainrec_lab.reconet.recipe import train, trained

__all__ = [
    "Examples",
    "Explanation",
    "FeatureSpace",
    "RecoNet",
    "RemovedItems",
    "Sets",
    "SingleLabel",
    "WithNewcomers",
    "attribute_features",
    "closed_form",
    "cross_entropy",
    "diminishing_removal",
    "epsilon_rule",
    "explain",
    "explain_many",
    "favoured",
    "looked_up",
    "mean_profile",
    "passed_on",
    "personal_relevance",
    "recommend",
    "relevance_of_all",
    "relevance_of_features",
    "relevance_of_latent_factors",
    "relevance_of_pooling",
    "removal_survival",
    "shares",
    "three_steps",
    "train",
    "trained",
]
