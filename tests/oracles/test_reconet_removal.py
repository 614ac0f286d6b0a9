"""Removal of features: the model run again, every subset tried, profiles built anew."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from toys import model_of, profiles_of, shop

from experiments.reconet import compare
from explainrec_lab.reconet import RecoNet, Sets, closed_form, relevance, removal
from explainrec_lab.reconet.explain import three_steps

few = settings(max_examples=10, deadline=None)
seeds = st.integers(0, 40)
averages = st.sampled_from(removal.AVERAGES)
layers = st.sampled_from([None, 6])


def score(model: RecoNet, ids: list[int], item: int, divisor: int) -> float:
    """y by loops over numbers: the sum of the latent vectors over `divisor`, then the layers."""
    Q, W = model.Q.detach().numpy(), model.W.detach().numpy()
    x = np.zeros(Q.shape[1])
    for k in ids:
        x = x + Q[k]
    x = x / divisor
    if model.hidden is not None:
        H, b = model.hidden.weight.detach().numpy(), model.hidden.bias.detach().numpy()
        x = np.maximum(H @ x + b, 0)
    return float(W[item] @ x)


def naive_change(
    model: RecoNet, profile: Sets, item: int, removed: set[int], average: str
) -> float:
    ids = profile.ids.tolist()
    left = [k for k in ids if k not in removed]
    divisor = len(left) if average == "renormalised" else len(ids)
    return score(model, left, item, divisor) - score(model, ids, item, len(ids))


@few
@given(seeds, averages, layers)
@pytest.mark.oracle("reconet", "removal-change")
def test_the_change_is_the_score_without_minus_the_score_with(
    seed: int, average: str, hidden: int | None
) -> None:
    dataset = shop(seed)
    model, profile = model_of(dataset, hidden=hidden, seed=seed), profiles_of(dataset).rows(2, 3)
    rng = np.random.default_rng(seed)
    n = len(profile.ids)
    removed = rng.permutation(n)[: rng.integers(1, n)]
    black_box = removal.score_of_masks(model, profile, 4, average)
    ours = removal.change_of_output(black_box, n, removed)
    gone = set(profile.ids[removed].tolist())
    assert ours == pytest.approx(naive_change(model, profile, 4, gone, average), abs=1e-12)


@few
@given(seeds, averages)
def test_one_layer_the_change_follows_from_the_relevances(seed: int, average: str) -> None:
    dataset = shop(seed)
    model, profile = model_of(dataset, seed=seed), profiles_of(dataset).rows(1, 2)
    Z = closed_form(model.Q[profile.ids], model.W[3]).detach()
    n = len(Z)
    for k in range(1, n):
        removed = np.random.default_rng([seed, k]).permutation(n)[:k]
        lost = Z[removed].sum()
        ours = -lost if average == "held" else (k * Z.sum() - n * lost) / (n - k)
        gone = set(profile.ids[removed].tolist())
        oracle = naive_change(model, profile, 3, gone, average)
        assert float(ours) == pytest.approx(oracle, abs=1e-12)


@few
@given(seeds, averages)
def test_one_layer_no_k_features_lower_the_score_further_than_the_most_relevant(
    seed: int, average: str
) -> None:
    dataset = shop(seed, items=6)
    model, profiles = model_of(dataset, seed=seed), profiles_of(dataset)
    user = int(profiles.sizes.argmin())
    profile = profiles.rows(user, user + 1)
    Z = closed_form(model.Q[profile.ids], model.W[1]).detach()
    ranked = profile.ids[Z.argsort(descending=True)].tolist()
    for k in range(1, len(ranked)):
        ours = naive_change(model, profile, 1, set(ranked[:k]), average)
        best = min(
            naive_change(model, profile, 1, set(some), average)
            for some in itertools.combinations(ranked, k)
        )
        assert ours <= best + 1e-12


def test_with_a_hidden_layer_the_most_relevant_can_be_the_wrong_ones() -> None:
    beaten = 0
    for seed in range(20):
        dataset = shop(seed, items=6)
        model, profiles = model_of(dataset, hidden=6, seed=seed), profiles_of(dataset)
        with torch.no_grad():
            model.Q_items *= 8  # far from zero the units switch on and off
        profile = profiles.rows(0, 1)
        Z = three_steps(model, profile, 1).detach()
        ranked = profile.ids[Z.argsort(descending=True)].tolist()
        top, *others = (
            naive_change(model, profile, 1, set(two), "renormalised")
            for two in itertools.combinations(ranked, 2)  # the most relevant two come first
        )
        beaten += min(others) < top - 1e-9
    assert beaten > 0


@few
@given(seeds, averages, layers, st.sampled_from(["most", "least", "random"]))
def test_many_profiles_at_once_change_as_one_at_a_time(
    seed: int, average: str, hidden: int | None, order: str
) -> None:
    dataset = shop(seed)
    model, profiles = model_of(dataset, hidden=hidden, seed=seed), profiles_of(dataset)
    items = torch.from_numpy(np.random.default_rng(seed).integers(9, size=len(profiles)))
    Z = relevance(model, profiles, items)
    ranked = {"most": Z, "least": -Z, "random": None}[order]
    turn = removal.turns(profiles, ranked, seed)
    curve = removal.remove(model, profiles, items, turn, steps=7, average=average)
    for user in range(len(profiles)):
        one = profiles.rows(user, user + 1)
        own = turn[profiles.owners.numpy() == user]
        assert sorted(own) == list(range(len(own)))
        if ranked is not None:
            assert (ranked[user, one.ids[np.argsort(own)]].diff() <= 0).all()
        for k in range(8):
            gone = set(one.ids[own < k].tolist())
            if len(gone) == len(one.ids):
                assert np.isnan(curve.changes[k, user])
                continue
            oracle = naive_change(model, one, int(items[user]), gone, average)
            assert curve.changes[k, user] == pytest.approx(oracle, abs=1e-6)


# --------------------------------------------------------------------------- two distributions


@few
@given(
    st.lists(st.integers(-4, 4), min_size=1, max_size=12),
    st.lists(st.integers(-4, 4), min_size=1, max_size=12),
)
def test_the_effect_size_counts_pairs(first: list[int], second: list[int]) -> None:
    wins = sum(Fraction(a < b) + Fraction(a == b, 2) for a, b in itertools.product(first, second))
    effect, _ = compare(np.array(first, float), np.array(second, float))
    assert effect == pytest.approx(float(wins / (len(first) * len(second))))


@pytest.mark.parametrize("seed", range(4))
def test_the_p_value_is_scipy_s(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.random(40) - 0.1 * seed, rng.random(50)
    oracle = mannwhitneyu(first, second, method="asymptotic", use_continuity=False).pvalue
    assert compare(first, second)[1] == pytest.approx(np.log10(oracle), abs=1e-9)


def test_a_p_value_too_small_for_a_float_still_has_a_logarithm() -> None:
    first, second = np.arange(5000.0), np.arange(5000.0) + 6000
    assert mannwhitneyu(first, second, method="asymptotic").pvalue == 0
    assert -4000 < compare(first, second)[1] < -1000
