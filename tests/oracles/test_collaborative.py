"""The recommenders beside RecoNet against computations of their own: loops, brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import shop

from explainrec_lab.baselines import collaborative
from explainrec_lab.baselines.collaborative import (
    _against_all_draws,
    _comparisons,
    _FactorizationMachine,
    _improved,
    _inside_ball,
    _MetricSpace,
    _Pairs,
    _weighted_hinge,
    _with_attributes,
)
from explainrec_lab.data import Interactions

few = settings(max_examples=10, deadline=None)
seeds = st.integers(0, 30)


@few
@given(seeds)
def test_popularity_counts_the_users_of_each_item(seed: int) -> None:
    events = shop(seed).interactions
    counts = [len({u for u, i in zip(events.user, events.item, strict=True) if i == item})
              for item in range(events.n_items)]  # fmt: skip
    for row in collaborative.Popularity().scores(events):
        assert row.tolist() == counts


@few
@given(seeds, st.sampled_from([1.0, 20.0]), st.sampled_from([0.3, 1.0]))
def test_demographic_popularity_against_counting(seed: int, strength: float, trust: float) -> None:
    events = shop(seed).interactions
    events = events.select(events.user != 0)
    taken = events.matrix.toarray()
    active = taken.sum(axis=1) > 0
    found = collaborative.DemographicPopularity(strength, trust).scores(events)
    for user in range(events.n_users):
        for item in range(events.n_items):
            p = (taken[:, item].sum() + 0.5) / (active.sum() + 1)
            log_score = math.log(p)
            for name in events.user_features.of(user):
                alike = [
                    v
                    for v in range(events.n_users)
                    if active[v] and name in events.user_features.of(v)
                ]
                among = sum(taken[v, item] for v in alike)
                log_score += trust * math.log((among + strength * p) / (len(alike) + strength) / p)
            assert found[user, item] == pytest.approx(log_score, rel=1e-4, abs=1e-5)


# --------------------------------------------------------------------------- neighbours


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return a @ b / math.sqrt((a @ a) * (b @ b)) if a.any() and b.any() else 0.0


@few
@given(seeds, st.sampled_from([1.0, 2.0]))
def test_item_neighbours_against_brute_force(seed: int, power: float) -> None:
    events = shop(seed).interactions
    taken = events.matrix.toarray()
    found = collaborative.ItemNeighbours(k=events.n_items, power=power).scores(events)
    for user, item in itertools.product(range(events.n_users), range(events.n_items)):
        near = [
            cosine(taken[:, item], taken[:, j]) ** power
            for j in events.history(user).tolist()
            if j != item
        ]
        assert found[user, item] == pytest.approx(sum(near), rel=1e-5, abs=1e-6)


@few
@given(seeds, st.sampled_from([1.0, 2.0]))
def test_user_neighbours_against_brute_force(seed: int, power: float) -> None:
    events = shop(seed).interactions
    taken = events.matrix.toarray()
    found = collaborative.UserNeighbours(k=events.n_users, power=power).scores(events)
    for user, item in itertools.product(range(events.n_users), range(events.n_items)):
        near = [
            cosine(taken[user], taken[v]) ** power
            for v in range(events.n_users)
            if v != user and taken[v, item]
        ]
        assert found[user, item] == pytest.approx(sum(near), rel=1e-5, abs=1e-6)


@few
@given(seeds)
def test_only_the_nearest_neighbours_count(seed: int) -> None:
    events = shop(seed, users=30).interactions
    taken = events.matrix.toarray()
    found = collaborative.UserNeighbours(k=3).scores(events)
    for user in range(events.n_users):
        alike = np.array([cosine(taken[user], taken[v]) if v != user else -1 for v in range(30)])
        third, fourth = np.sort(alike)[::-1][2:4]
        if third > fourth + 1e-9:  # with ties either neighbour would be right
            expected = (alike * (alike >= third)) @ taken
            np.testing.assert_allclose(found[user].numpy(), expected, rtol=1e-5, atol=1e-6)


@few
@given(seeds)
def test_an_item_is_scored_by_its_own_nearest_items(seed: int) -> None:
    events = shop(seed, users=40, items=12).interactions
    taken = events.matrix.toarray()
    found = collaborative.ItemNeighbours(k=3).scores(events)
    for item in range(events.n_items):
        alike = np.array(
            [cosine(taken[:, item], taken[:, j]) if j != item else -1 for j in range(12)]
        )
        third, fourth = np.sort(alike)[::-1][2:4]
        if third > fourth + 1e-9:
            expected = taken @ (alike * (alike >= third))
            np.testing.assert_allclose(found[:, item].numpy(), expected, rtol=1e-5, atol=1e-6)


# --------------------------------------------------------------------------- least squares


@few
@given(seeds, st.sampled_from([0.5, 5.0]))
def test_ease_is_the_ridge_regression_of_each_item_on_the_others(seed: int, ridge: float) -> None:
    events = shop(seed).interactions
    taken = events.matrix.toarray().astype(float)
    scores = collaborative.EASE(ridge).scores(events).numpy()
    for item in range(events.n_items):
        others = np.arange(events.n_items) != item
        X = taken[:, others]
        weights = np.linalg.solve(X.T @ X + ridge * np.eye(X.shape[1]), X.T @ taken[:, item])
        np.testing.assert_allclose(scores[:, item], X @ weights, atol=1e-5)


@few
@given(seeds)
def test_ials_solves_each_user_given_the_items(seed: int) -> None:
    """After many sweeps one more exact solution of the users, given the items, gives the same.

    The vectors come out of the scores alone: where the objective is stationary, both sides have
    the same Gram matrix, so the halves of a singular value decomposition are they, but for a
    rotation that leaves lengths as they are. So no second training, which could end in another
    optimum, is compared with.
    """
    events = shop(seed).interactions
    scores = collaborative.IALS(4, 5.0, 2.0, 200).scores(events).numpy().astype(float)
    _, size, v = np.linalg.svd(scores, full_matrices=False)
    y, taken = v[:4].T * np.sqrt(size[:4]), events.matrix.toarray()
    for user in range(events.n_users):
        # the library's weights: alpha for what was taken, 1 for the rest
        w = np.where(taken[user] > 0, 5.0, 1.0)
        x = np.linalg.solve(y.T @ (w[:, None] * y) + 2.0 * np.eye(4), y.T @ (w * taken[user]))
        # float32: 2e-7 in 120 trainings; after 15 sweeps up to .06
        np.testing.assert_allclose(scores[user], y @ x, atol=1e-4)


# --------------------------------------------------------------------------- co-clusters


@few
@given(seeds)
def test_an_improvement_maximises_what_the_expected_reasons_say(seed: int) -> None:
    """n_k log f_k - t_k f_k - ridge f_k^2, maximised on a fine grid."""
    events = shop(seed).interactions
    rng = np.random.default_rng(seed)
    F, G = rng.random((events.n_users, 2)), rng.random((events.n_items, 2))
    ridge = 0.7
    new = _improved(torch.from_numpy(F), torch.from_numpy(G), _Pairs(events.matrix), ridge)
    grid = np.linspace(1e-4, 6, 60_001)
    for user, k in itertools.product(range(events.n_users), range(2)):
        reasons = sum(
            F[user, k] * G[i, k] / (1 - math.exp(-F[user] @ G[i]))
            for i in events.history(user).tolist()
        )
        value = reasons * np.log(grid) - G[:, k].sum() * grid - ridge * grid**2
        assert float(new[user, k]) == pytest.approx(grid[value.argmax()], abs=2e-4)


def test_attributes_are_further_columns_and_rows() -> None:
    events = shop(1).interactions
    matrix = _with_attributes(events).toarray()
    n_users, n_items = events.n_users, events.n_items
    np.testing.assert_array_equal(matrix[:n_users, :n_items], events.matrix.toarray())
    np.testing.assert_array_equal(matrix[:n_users, n_items:], events.user_features.matrix.toarray())
    np.testing.assert_array_equal(
        matrix[n_users:, :n_items], events.item_features.matrix.toarray().T
    )
    assert not matrix[n_users:, n_items:].any()


# --------------------------------------------------------------------------- sampled comparisons


def ones(events: Interactions, user: int, item: int) -> tuple[list[int], list[int]]:
    """Positions of the user's features, and of the item's."""
    return (
        events.user_features.matrix[[user]].indices.tolist(),
        events.item_features.matrix[[item]].indices.tolist(),
    )


@few
@given(seeds)
def test_a_factorization_machine_sums_over_all_pairs_of_what_is_known(seed: int) -> None:
    """Rendle's equation term by term; the terms of the user alone cancel between two items."""
    events = shop(seed).interactions
    model = _FactorizationMachine(events, d=3, seed=seed).double()
    with torch.no_grad():
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(seed))
        y = model(torch.arange(events.n_users))
        for user in range(0, events.n_users, 4):
            full = torch.stack([_in_full(model, events, user, i) for i in range(events.n_items)])
            torch.testing.assert_close(y[user] - y[user, 0], full - full[0])


def _in_full(
    model: _FactorizationMachine, events: Interactions, user: int, item: int
) -> torch.Tensor:
    of_user, of_item = ones(events, user, item)
    vectors = [model.users.own[user], model.items.own[item]]
    vectors += [model.users.shared[a] for a in of_user] + [model.items.shared[a] for a in of_item]
    linear = model.w_own[item] + sum(model.w_shared[a] for a in of_item)
    return linear + sum(v @ w for v, w in itertools.combinations(vectors, 2))


@few
@given(seeds)
def test_the_metric_space_measures_squared_distances_in_the_ball(seed: int) -> None:
    events = shop(seed).interactions
    model = _MetricSpace(events, d=3, seed=seed).double()
    with torch.no_grad():
        model.users.own.mul_(20)  # some inside the ball, some outside
        y = model(torch.arange(events.n_users))
        for user, item in itertools.product(range(events.n_users), range(events.n_items)):
            of_user, of_item = ones(events, user, item)
            p = model.users.own[user] + model.users.shared[of_user].sum(0)
            q = model.items.own[item] + model.items.shared[of_item].sum(0)
            p, q = (x / max(1.0, float(x.norm())) for x in (p, q))
            assert float(y[user, item]) == pytest.approx(-float((p - q).square().sum()))


class Table(torch.nn.Module):
    """Fixed scores in place of a model."""

    def __init__(self, y: torch.Tensor) -> None:
        super().__init__()
        self.y = y

    def forward(self, users: torch.Tensor) -> torch.Tensor:
        return self.y[users]


@few
@given(seeds)
def test_both_losses_comparison_by_comparison(seed: int) -> None:
    events = shop(seed).interactions
    y = torch.randn(events.matrix.shape, generator=torch.Generator().manual_seed(seed))
    (draws,) = _comparisons(events.matrix, negatives=4, batch_size=100, seed=seed, epoch=0)
    softmax = _against_all_draws(Table(y), draws)
    hinge = _weighted_hinge(Table(y), draws, margin=0.5)
    for n in range(len(draws)):
        user, item = int(draws.users[draws.rows[n]]), int(draws.items[n])
        bought = set(events.history(user).tolist())
        fresh = [i for i in draws.drawn[n].tolist() if i not in bought]
        expected = math.log1p(sum(math.exp(y[user, i] - y[user, item]) for i in fresh))
        assert float(softmax[n]) == pytest.approx(expected, rel=1e-4, abs=1e-6)
        gaps = [0.5 + float(y[user, i] - y[user, item]) for i in fresh]
        rank = events.n_items * sum(gap > 0 for gap in gaps) / 4
        expected = math.log1p(rank) * max([0.0, *gaps])
        assert float(hinge[n]) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_with_one_draw_the_softmax_is_the_pairwise_comparison_of_bpr() -> None:
    events = shop(3).interactions
    y = torch.randn(events.matrix.shape, generator=torch.Generator().manual_seed(1))
    (draws,) = _comparisons(events.matrix, negatives=1, batch_size=100, seed=0, epoch=0)
    taken, drawn = draws.of(y[draws.users])
    bpr = -torch.nn.functional.logsigmoid(taken - drawn[:, 0])
    bpr[~draws.usable[:, 0]] = 0
    torch.testing.assert_close(_against_all_draws(Table(y), draws), bpr)


def test_vectors_outside_the_ball_are_cut_and_others_left() -> None:
    cut = _inside_ball(torch.tensor([[3.0, 4.0], [0.3, 0.4]]))
    torch.testing.assert_close(cut, torch.tensor([[0.6, 0.8], [0.3, 0.4]]))
