"""Laws of the recommenders beside RecoNet, on random shops."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from toys import shop

from explainrec_lab.baselines import collaborative
from explainrec_lab.baselines.collaborative import _comparisons, _improved, _Pairs
from explainrec_lab.data import Interactions

few = settings(max_examples=10, deadline=None)
seeds = st.integers(0, 30)

METHODS: list[Any] = [
    collaborative.Popularity(),
    collaborative.DemographicPopularity(),
    collaborative.ItemNeighbours(5),
    collaborative.UserNeighbours(5),
    collaborative.OCuLaR(4, 0.5, 5),
    collaborative.IALS(4, 5.0, 1.0, 3),
    collaborative.EASE(5.0),
    collaborative.FM(4, epochs=2, negatives=3),
    collaborative.CML(4, epochs=2, negatives=3),
]
named = pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)


def newcomer(events: Interactions, user: int = 0) -> Interactions:
    """The same events without those of one user."""
    return events.select(events.user != user)


@named
def test_every_user_gets_a_finite_score_for_every_item(method: Any) -> None:
    events = newcomer(shop(4).interactions)
    for train in (events, events.without_features()):
        scores = method.scores(train, seed=1)
        assert scores.shape == (train.n_users, train.n_items)
        assert scores.dtype == torch.float32
        assert scores.isfinite().all()
        assert not scores.requires_grad


@named
def test_the_seed_decides_the_scores(method: Any) -> None:
    events = shop(5).interactions
    torch.testing.assert_close(method.scores(events, seed=3), method.scores(events, seed=3))


@named
def test_repeated_events_change_nothing(method: Any) -> None:
    events = shop(6).interactions
    twice = events.select(np.concatenate([np.arange(len(events)), np.arange(len(events))]))
    torch.testing.assert_close(method.scores(events), method.scores(twice))


@pytest.mark.parametrize(
    "method",
    [
        METHODS[0],
        METHODS[1],
        METHODS[6],
        collaborative.ItemNeighbours(50),
        collaborative.UserNeighbours(50),
    ],
    ids=lambda method: type(method).__name__,
)
def test_the_names_of_users_do_not_matter_to_methods_without_randomness(method: Any) -> None:
    events = shop(7).interactions
    order = np.random.default_rng(0).permutation(events.n_users)
    features = replace(events.user_features, matrix=events.user_features.matrix[order])
    renamed = replace(events, user=np.argsort(order)[events.user], user_features=features)
    torch.testing.assert_close(method.scores(renamed), method.scores(events)[order])


@pytest.mark.parametrize(
    "method",
    [METHODS[1], collaborative.OCuLaR(4, 0.1, 30), METHODS[7], METHODS[8]],
    ids=lambda method: type(method).__name__,
)
def test_newcomers_are_told_apart_by_their_features_alone(method: Any) -> None:
    events = shop(8, users=40).interactions
    owned = events.user_features.matrix.toarray()
    different = next(u for u in range(1, 40) if (owned[u] != owned[0]).any())
    alike = next(u for u in range(1, 40) if (owned[u] == owned[0]).all())
    for user in (0, different, alike):
        events = newcomer(events, user)
    scores = method.scores(events)
    if not isinstance(method, collaborative.OCuLaR):  # whose memberships start at random
        torch.testing.assert_close(scores[0], scores[alike])
    assert (scores[0] - scores[different]).abs().max() > 1e-4


def objective(
    F: torch.Tensor, G: torch.Tensor, taken: sparse.csr_array, ridge: float
) -> torch.Tensor:
    """log P of all pairs under P = 1 - exp(-<f, g>), less ridge times the squared memberships."""
    s = (F @ G.T).clamp(min=1e-12)
    likely = torch.where(torch.from_numpy(taken.toarray()) > 0, (-torch.expm1(-s)).log(), -s)
    return likely.sum() - ridge * (F.square().sum() + G.square().sum())


@few
@given(seeds, st.sampled_from([0.01, 0.5, 20.0]), st.integers(1, 5))
def test_no_step_of_coclusters_lowers_the_objective(seed: int, ridge: float, k: int) -> None:
    events = shop(seed).interactions
    taken = _Pairs(events.matrix)
    taken_by = _Pairs(events.matrix.T.tocsr())
    generator = torch.Generator().manual_seed(seed)
    F, G = (torch.rand(n, k, generator=generator, dtype=torch.float64) for n in events.matrix.shape)
    before = objective(F, G, events.matrix, ridge)
    for _ in range(15):
        F = _improved(F, G, taken, ridge)
        between = objective(F, G, events.matrix, ridge)
        G = _improved(G, F, taken_by, ridge)
        after = objective(F, G, events.matrix, ridge)
        slack = 1e-9 * abs(before)
        assert before <= between + slack <= after + 2 * slack
        before = after
    assert (F >= 0).all() and (G >= 0).all()


@few
@given(seeds, st.sampled_from([1e-9, 1e-6, 1e-3]), st.sampled_from([1.0, 60.0]))
def test_memberships_that_fade_never_fall_below_zero(seed: int, faded: float, ridge: float) -> None:
    """In single precision the root of a small n beside a large t is lost if it is a difference."""
    events = shop(seed).interactions
    generator = torch.Generator().manual_seed(seed)
    F, G = (torch.rand(n, 3, generator=generator) for n in events.matrix.shape)
    F[:, 0] *= faded
    new = _improved(F, 100 * G, _Pairs(events.matrix), ridge)
    assert (new[np.diff(events.matrix.indptr) > 0] > 0).all()


@few
@given(seeds, st.integers(1, 5), st.integers(1, 3))
def test_an_epoch_compares_every_pair_once_however_it_is_dealt_out(
    seed: int, batch: int, processes: int
) -> None:
    events = shop(seed).interactions
    seen = []
    for draws in _comparisons(events.matrix, 3, batch, seed, epoch=2):
        for index in range(processes):
            part = draws.part(index, processes)
            seen += list(zip(part.users[part.rows].tolist(), part.items.tolist(), strict=True))
    assert sorted(seen) == sorted(
        zip(*map(np.ndarray.tolist, events.matrix.nonzero()), strict=True)
    )
