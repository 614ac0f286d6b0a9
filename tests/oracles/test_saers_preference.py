"""SAERS's Eq. 4 to 9 and its explanations against numpy loops, torch and counting."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy import ndarray
from saers_toys import N_ITEMS, N_USERS, SCHEMA, A, M, model_of, toy_extracted, toy_features

from explainrec_lab.saers import answers, average_features, bpr, explain
from explainrec_lab.saers.model import SAERS

few = settings(max_examples=10, deadline=None)
seeds = st.integers(0, 30)


def by_hand(
    model: SAERS, user: int, item: int, *, swapped: int | None = None
) -> dict[str, ndarray]:
    """The paper's formulas for one user and item, attribute by attribute, in numpy."""
    features, applies = toy_features()
    own = {k: v.detach().double().numpy() for k, v in model.named_parameters()}
    f = features[item].double().numpy()
    if swapped is not None:
        f = f.copy()
        f[swapped] = average_features(model)[swapped].double().numpy()
    u, has = own["user"][user], applies[item].numpy()
    moved = np.stack([own["E"][k].T @ f[k] for k in range(A)]) * has[:, None]
    alpha = np.ones(A) * has
    if model.fusion == "average":
        alpha = has / A
    if model.fusion == "attention":
        W = np.concatenate([own["D_user"], own["D_attribute"]], axis=1)
        hidden = [np.maximum(W @ np.concatenate([u, e]) + own["D_bias"], 0) for e in moved]
        power = np.exp(np.stack(hidden) @ own["D_out"])
        total = (power * has).sum()
        alpha = power * has / total if total else np.zeros(A)
    whole = np.zeros(model.d)
    if model.whole is not None:
        whole = own["whole.W"] @ model.whole.vectors[item].double().numpy()
    bias = own["b"][item] if "b" in own else 0.0
    fused = (alpha[:, None] * moved).sum(axis=0)
    y = u @ (fused + whole) + bias
    return {"alpha": alpha, "contribution": alpha * (moved @ u), "fused": fused, "y": y}


KINDS = {
    "attention": {},
    "average": {"fusion": "average"},
    "sum": {"fusion": "sum", "bias": True},
}


@pytest.mark.oracle("saers", "fusion")
@pytest.mark.oracle("saers", "attended")
@pytest.mark.oracle("saers", "embedding")
@pytest.mark.oracle("saers", "prediction")
@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_the_paper_s_formulas_item_by_item(kind: str) -> None:
    model = model_of(**KINDS[kind])
    scores = model.scores()
    users, items = torch.arange(N_USERS), torch.arange(N_ITEMS).expand(N_USERS, -1)
    paired = model(users, items).detach()
    for user in range(N_USERS):
        for item in range(N_ITEMS):
            y = by_hand(model, user, item)["y"]
            assert float(scores[user, item]) == pytest.approx(y, rel=1e-9, abs=1e-12)
            assert float(paired[user, item]) == pytest.approx(y, rel=1e-9, abs=1e-12)


@pytest.mark.oracle("saers", "attention")
def test_attention_is_the_softmax_of_a_perceptron_on_user_and_attribute() -> None:
    model = model_of()
    users, items = torch.arange(N_USERS), torch.arange(N_USERS)[:, None]
    alpha = model.weights(model.user[users], model.parts(items))[:, 0].detach()
    for user in range(N_USERS):
        oracle = by_hand(model, user, user)["alpha"]
        for value, expected in zip(alpha[user].tolist(), oracle, strict=True):
            assert value == pytest.approx(expected, rel=1e-9)


@few
@given(seeds, st.floats(0, 1))
@pytest.mark.oracle("saers", "bpr")
def test_bpr_is_the_surprise_at_the_right_order_and_the_squares(seed: int, weight: float) -> None:
    rng = np.random.default_rng(seed)
    y, theta = rng.normal(size=(5, 2)), [rng.normal(size=(3, 2)), rng.normal(size=4)]
    ours = bpr(torch.from_numpy(y), [torch.from_numpy(t) for t in theta], weight)
    squares = sum(float(v) ** 2 for t in theta for v in t.ravel())
    for n in range(5):
        p = 1 / (1 + math.exp(-(y[n, 0] - y[n, 1])))
        assert float(ours[n]) == pytest.approx(-math.log(p) + weight * squares)


@pytest.mark.parametrize("kind", KINDS)
def test_a_swap_is_the_fall_of_the_score_by_hand(kind: str) -> None:
    model = model_of(**KINDS[kind])
    _, applies = toy_features()
    falls = answers(model, [1] * N_ITEMS, range(N_ITEMS), "swap")
    for item in range(N_ITEMS):
        before = by_hand(model, 1, item)["y"]
        for k in range(A):
            if applies[item, k]:
                after = by_hand(model, 1, item, swapped=k)["y"]
                assert falls[item, k] == pytest.approx(before - after, rel=1e-5, abs=1e-7)
            else:
                assert np.isnan(falls[item, k])


@pytest.mark.parametrize("kind", KINDS)
def test_contributions_whole_picture_and_bias_add_up_to_the_score(kind: str) -> None:
    model = model_of(**KINDS[kind])
    added = answers(model, [2] * N_ITEMS, range(N_ITEMS), "contribution")
    parts = model.parts(torch.arange(N_ITEMS)[:, None])
    rest = (parts.whole[:, 0] @ model.user[2] + parts.bias[:, 0]).detach().numpy()
    assert np.allclose(np.nansum(added, axis=1) + rest, model.scores([2])[0], atol=1e-6)
    for item in range(N_ITEMS):
        oracle = by_hand(model, 2, item)["contribution"]
        has = ~np.isnan(added[item])
        assert np.allclose(added[item][has], oracle[has], atol=1e-6)


def test_in_a_sum_the_swap_is_the_contribution_against_the_average_s() -> None:
    model = model_of(fusion="sum", bias=True)
    users = np.arange(N_USERS)
    average = average_features(model)
    of_average = torch.einsum("km,kmd,ud->uk", average, model.E, model.user).detach().numpy()
    swap, added = (answers(model, users, users, how) for how in ("swap", "contribution"))
    assert np.allclose(swap, added - of_average, atol=1e-6, equal_nan=True)


def test_the_average_feature_is_over_the_items_that_have_it() -> None:
    features, applies = toy_features()
    found = average_features(model_of())
    for k in range(A):
        expected = features[applies[:, k], k].mean(0) if applies[:, k].any() else torch.zeros(M)
        torch.testing.assert_close(found[k], expected.to(found.dtype))


def test_an_explanation_has_the_paper_s_three_parts_strongest_first() -> None:
    model, found = model_of(fusion="sum"), toy_extracted()
    for item in range(N_ITEMS):
        told = explain(model, 3, item, found)
        applies = found.applies[item]
        assert sorted(told.attribute) == np.flatnonzero(applies).tolist()
        assert (np.diff(told.weight) <= 0).all()
        for k, box, code in zip(told.attribute, told.box, told.predicted, strict=True):
            assert (box == found.boxes[item, k]).all()
            assert code == found.predicted[item, k]
        assert len(told.table(SCHEMA)) == applies.sum()
