"""The recommenders beside RecoNet: what they refuse, and what they give users without history."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from toys import shop

from explainrec_lab.baselines import collaborative
from explainrec_lab.data import Interactions


def newcomer(events: Interactions, user: int = 0) -> Interactions:
    """The same events without those of one user."""
    return events.select(events.user != user)


@pytest.mark.parametrize(
    ("method", "wrong", "message"),
    [
        (collaborative.DemographicPopularity, {"strength": 0.0}, "strength: 0.0 must be above 0"),
        (collaborative.DemographicPopularity, {"trust": 1.5}, "trust: 1.5 is outside 0..1"),
        (collaborative.ItemNeighbours, {"k": 0}, "k: 0 must be above 0"),
        (collaborative.UserNeighbours, {"power": -1.0}, "power: -1.0 must be above 0"),
        (collaborative.OCuLaR, {"clusters": 0}, "clusters: 0 must be above 0"),
        (collaborative.OCuLaR, {"regularisation": 0.0}, "regularisation: 0.0 must be above 0"),
        (collaborative.IALS, {"alpha": -2.0}, "alpha: -2.0 must be above 0"),
        (collaborative.EASE, {"regularisation": 0.0}, "regularisation: 0.0 must be above 0"),
        (collaborative.FM, {"negatives": 0}, "negatives: 0 must be above 0"),
        (collaborative.FM, {"epochs": 0}, "epochs: 0 must be above 0"),
        (collaborative.FM, {"weight_decay": -1.0}, "weight_decay: -1.0 must be 0 or above"),
        (collaborative.CML, {"learning_rate": 0.0}, "learning_rate: 0.0 must be above 0"),
        (collaborative.CML, {"margin": 0.0}, "margin: 0.0 must be above 0"),
    ],
)
def test_a_bad_hyperparameter_is_named(
    method: type[Any], wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        method(**wrong)


def test_without_features_demographic_popularity_ranks_as_popularity_does() -> None:
    events = shop(2).interactions.without_features()
    ours = collaborative.DemographicPopularity().scores(events)
    counts = collaborative.Popularity().scores(events)
    for row, count in zip(ours, counts, strict=True):
        assert (count[row.argsort(descending=True)].diff() <= 0).all()


def test_a_newcomer_is_judged_by_those_who_share_his_features() -> None:
    events = newcomer(shop(3, users=60).interactions)
    rows = collaborative.DemographicPopularity(strength=1e-3, trust=1.0).scores(events)
    features = events.user_features.matrix.toarray()
    alike = (features[1:] == features[0]).all(axis=1).nonzero()[0] + 1
    assert len(alike)
    for user in alike:
        torch.testing.assert_close(rows[0], rows[user])
