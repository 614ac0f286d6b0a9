"""Any shop's tables become a data set: original ids of any type in, contiguous ids out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explainrec_lab import data
from explainrec_lab.data.contracts import BLANK
from explainrec_lab.reconet import (
    FeatureSpace,
    RecoNet,
    RemovedItems,
    cross_entropy,
    explain,
    recommend,
)
from explainrec_lab.training import Optimisation, fit

EVENTS = pd.DataFrame({"user": ["u1", "u2", "u1"], "item": [10, 20, 30]})

# Text that is an id: what stands for a missing one is refused.
NAMES = st.text(max_size=4).filter(lambda text: text.strip() not in BLANK)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(NAMES, st.integers(-9, 9)), min_size=1, max_size=20))
def test_original_ids_come_back(pairs: list[tuple[str, int]]) -> None:
    events = pd.DataFrame(pairs, columns=["user", "item"])
    dataset = data.from_frames(events)
    found = dataset.interactions
    users = dataset.interactions.users["original_id"].to_numpy()[found.user]
    items = dataset.catalogue.items["original_id"].to_numpy()[found.item]
    assert list(zip(users, items, strict=True)) == pairs
    assert set(found.user) == set(range(found.n_users))


def test_items_that_nobody_took_are_part_of_the_catalogue() -> None:
    items = pd.DataFrame({"item": [30, 40, 20, 10], "title": list("cdba")})
    dataset = data.from_frames(EVENTS, items=items)
    assert dataset.interactions.n_items == 4
    assert dataset.interactions.item.tolist() == [3, 2, 0]


def test_sets_give_one_feature_for_each_member() -> None:
    features = data.Features.from_sets(pd.Series(["Action|Sci-Fi", None, "Action"]), "genre")
    assert features.names == ("genre: Action", "genre: Sci-Fi")
    assert features.matrix.toarray().tolist() == [[1, 1], [0, 0], [1, 0]]


def test_sets_of_numbers_and_of_nothing_are_read() -> None:
    assert data.Features.from_sets(pd.Series([1, 2]), "g").names == ("g: 1", "g: 2")
    assert data.Features.from_sets(pd.Series([np.nan, np.nan]), "g").names == ()


def test_bad_tables_are_named() -> None:
    with pytest.raises(ValueError, match="events: missing column item; needs user, item"):
        data.from_frames(EVENTS[["user"]])
    with pytest.raises(ValueError, match="items: missing column item"):
        data.from_frames(EVENTS, items=pd.DataFrame({"id": [1]}))
    with pytest.raises(ValueError, match="items: id 10 stands in 2 rows"):
        data.from_frames(EVENTS, items=pd.DataFrame({"item": [10, 10, 20, 30]}))
    with pytest.raises(ValueError, match="events: item 30 is not in the table of items"):
        data.from_frames(EVENTS, items=pd.DataFrame({"item": [10, 20]}))
    with pytest.raises(ValueError, match="events: user 'u2' is not in the table of users"):
        data.from_frames(EVENTS, users=pd.DataFrame({"user": ["u1"]}))
    with pytest.raises(ValueError, match="items: missing column brand; needs brand"):
        data.from_frames(EVENTS, item_columns={"brand": "brand"})
    with pytest.raises(ValueError, match="items: missing column genres"):
        data.from_frames(EVENTS, item_sets={"genres": "genre"})


def test_an_event_without_an_id_is_named() -> None:
    events = pd.DataFrame({"user": ["a", None], "item": [1, 2]})
    with pytest.raises(ValueError, match="events: row 1 has no user; drop rows without an id"):
        data.from_frames(events)
    events = pd.DataFrame({"user": ["a", "b"], "item": [np.nan, 2]})
    with pytest.raises(ValueError, match="events: row 0 has no item"):
        data.from_frames(events)


def movielens_100k_like() -> data.Dataset:
    """Ratings with integer ids from 1, genres between bars, users with string ids."""
    rng = np.random.default_rng(0)
    users = [f"user-{n}" for n in range(1, 31)]
    rated = rng.random((30, 20)) < 0.4
    user, item = rated.nonzero()
    return data.from_frames(
        pd.DataFrame(
            {
                "user": [users[n] for n in user],
                "item": item + 1,
                "value": rng.integers(1, 6, len(user)),
                "time": rng.integers(1000, size=len(user)),
            }
        ),
        items=pd.DataFrame(
            {
                "item": range(1, 21),
                "title": [f"Film {n} (1997)" for n in range(1, 21)],
                "genres": rng.choice(["Action|Sci-Fi", "Drama", "Comedy|Drama", ""], 20),
            }
        ),
        users=pd.DataFrame({"user": users, "gender": rng.choice(["M", "F"], 30)}),
        item_sets={"genres": "genre"},
        user_columns={"gender": "gender"},
        name="ratings",
    )


def test_ratings_become_a_trained_model_and_an_explanation() -> None:
    dataset = movielens_100k_like()
    parts = data.split(data.implicit(dataset.interactions, threshold=3), seed=0)
    space = FeatureSpace.of(dataset, parts.train)
    model = RecoNet(space, d=8)
    history = fit(
        model,
        RemovedItems(parts.train, space, batch_size=16),
        cross_entropy,
        Optimisation(epochs=30, learning_rate=0.02),
    )
    assert history.loss[-1] < history.loss[0]
    profile = space.profiles(parts.train).rows(4, 5)
    items, activations = recommend(model, profile, k=3)
    assert not set(items.tolist()) & set(parts.train.history(4).tolist())
    explanation = explain(model, profile, int(items[0]))
    assert explanation.output == pytest.approx(float(activations[0]), rel=1e-4)
    assert explanation.table().relevance.sum() == pytest.approx(explanation.output, rel=1e-4)
    kinds = set(explanation.table().kind)
    assert kinds == {"item", "item attribute", "user attribute"}
