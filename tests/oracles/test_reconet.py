"""Every equation of RecoNet against a computation of its own: loops, autograd, torch, counting."""

from __future__ import annotations

import itertools
import math
import sys
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from torch import Tensor
from toys import model_of, profiles_of, shop

from explainrec_lab.evaluate.ranking import recall_at_k, top_k
from explainrec_lab.reconet import (
    RecoNet,
    Sets,
    closed_form,
    cross_entropy,
    explain,
    mean_profile,
    relevance,
)
from explainrec_lab.reconet.data import Examples, diminishing_removal, removal_survival
from explainrec_lab.reconet.explain import (
    EPSILON,
    epsilon_rule,
    explain_many,
    relevance_of_features,
    relevance_of_latent_factors,
    relevance_of_pooling,
    three_steps,
)

few = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 30)
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


def assert_close(ours: Tensor, oracle: Tensor, relative: float = 1e-12) -> None:
    """The largest difference, relative to the largest value."""
    ours, oracle = ours.detach(), oracle.detach()
    scale = float(oracle.abs().max()) if oracle.numel() else 0.0
    assert ours.shape == oracle.shape
    assert float((ours - oracle).abs().max() if oracle.numel() else 0.0) <= relative * scale


# --------------------------------------------------------------------------- §4.1


def indicator(model: RecoNet, profile: Sets) -> Tensor:
    """I_u, the paper's binary vector, `[user, m]`."""
    rows = torch.zeros(len(profile), model.space.m, dtype=model.W.dtype)
    for user in range(len(profile)):
        rows[user, profile[user]] = 1.0
    return rows


@few
@given(seeds)
@pytest.mark.oracle("reconet", "pooling")
def test_a_pooled_profile_is_q_times_the_indicator_over_its_size(seed: int) -> None:
    dataset = shop(seed)
    model, profiles = model_of(dataset, seed=seed), profiles_of(dataset)
    I_u = indicator(model, profiles)
    assert_close(model.pool(profiles), I_u @ model.Q / I_u.sum(dim=1, keepdim=True))


@few
@given(seeds)
@pytest.mark.oracle("reconet", "softmax")
def test_probabilities_are_the_exponentials_of_w_x_over_their_sum(seed: int) -> None:
    dataset = shop(seed)
    model, profiles = model_of(dataset, seed=seed), profiles_of(dataset)
    x = model.pool(profiles)
    for user in range(len(profiles)):
        powers = [math.exp(float(w @ x[user].detach())) for w in model.W.detach()]
        oracle = torch.tensor(powers, dtype=torch.float64) / sum(powers)
        assert_close(model.probabilities(profiles)[user].detach(), oracle)


def random_examples(model: RecoNet, profiles: Sets, seed: int) -> Examples:
    """A random target and a few random silenced items for each user; never the same ones."""
    rng = np.random.default_rng(seed)
    targets, silenced = [], []
    for _ in range(len(profiles)):
        order = rng.permutation(model.space.n_items)
        targets.append(order[: rng.integers(1, 3)])
        silenced.append(order[4 : 4 + rng.integers(0, 4)])
    return Examples(profiles, sets_of(targets), sets_of(silenced))


def sets_of(lists: list[np.ndarray]) -> Sets:
    offsets = np.cumsum([0, *(len(ids) for ids in lists)])
    return Sets(torch.from_numpy(np.concatenate(lists).astype(np.int64)), torch.from_numpy(offsets))


@few
@given(seeds)
@pytest.mark.oracle("reconet", "cross-entropy")
def test_cross_entropy_is_torch_s_on_masked_logits(seed: int) -> None:
    dataset = shop(seed)
    model, profiles = model_of(dataset, seed=seed), profiles_of(dataset)
    examples = random_examples(model, profiles, seed)
    oracle = []
    for user in range(len(profiles)):
        y = model(profiles)[user].clone()
        y[examples.silenced[user]] = -torch.inf
        for target in examples.targets[user]:
            oracle.append(torch.nn.functional.cross_entropy(y[None], target[None]))
    assert_close(cross_entropy(model, examples).detach(), torch.stack(oracle).detach())


@pytest.mark.oracle("reconet", "cross-entropy")
def test_the_loss_of_a_label_is_minus_the_log_of_its_probability() -> None:
    dataset = shop()
    model, profiles = model_of(dataset), profiles_of(dataset)
    labels = torch.arange(len(profiles)) % model.space.n_items
    nothing = sets_of([np.zeros(0)] * len(profiles))
    examples = Examples(profiles, sets_of([np.array([j]) for j in labels]), nothing)
    p = model.probabilities(profiles).gather(1, labels[:, None])[:, 0]
    assert_close(cross_entropy(model, examples).detach(), -p.log().detach())


# --------------------------------------------------------------------------- §4.2


def coin_after_coin(size: int, beta: float, rng: np.random.Generator) -> int:
    """The paper's words: given r removed, another goes with probability 1 / (r + 1)^beta."""
    r = 0
    while r < size and rng.random() < 1 / (r + 1) ** beta:
        r += 1
    return r


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.oracle("reconet", "removal")
def test_removals_are_as_frequent_as_coin_after_coin(beta: float) -> None:
    size, draws = 6, 20_000
    sizes = torch.full((draws,), size)
    draw = torch.rand(draws, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ours = diminishing_removal(sizes, beta, draw)
    rng = np.random.default_rng(2)
    coins = np.array([coin_after_coin(size, beta, rng) for _ in range(draws)])
    frequency = np.bincount(ours.numpy(), minlength=size + 1) / draws
    expected = np.bincount(coins, minlength=size + 1) / draws
    # five standard errors of the difference of two frequencies
    assert np.abs(frequency - expected).max() < 5 * math.sqrt(2 * 0.25 / draws)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.oracle("reconet", "removal-survival")
def test_survival_is_one_over_the_factorial_to_the_beta(beta: float) -> None:
    oracle = [1 / math.factorial(rank + 1) ** beta for rank in range(12)]
    np.testing.assert_allclose(removal_survival(beta, 12).numpy(), oracle, rtol=1e-12)


@pytest.mark.oracle("reconet", "removal-survival")
def test_the_share_of_sets_that_lose_an_item_of_rank_r_is_one_over_the_factorial() -> None:
    draws, beta = 40_000, 0.7
    draw = torch.rand(draws, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    removed = diminishing_removal(torch.full((draws,), 50), beta, draw).numpy()
    for rank in range(5):
        p = 1 / math.factorial(rank + 1) ** beta
        assert abs((removed > rank).mean() - p) <= 5 * math.sqrt(p * (1 - p) / draws) + 1e-12


# --------------------------------------------------------------------------- §4.3


def naive_three_steps(model: RecoNet, profile: Sets, item: int) -> Tensor:
    """The paper's formulas as loops over single numbers, for the one-layer model."""
    Q, W, ids = model.Q.detach(), model.W.detach(), profile.ids.tolist()
    Z = []
    for k in ids:
        Z_phi = 0.0
        for i in range(Q.shape[1]):
            x_i = sum(float(Q[p, i]) for p in ids) / len(ids)
            R_i = float(W[item, i]) * x_i
            total = sum(float(Q[p, i]) for p in ids)
            Z_phi += float(Q[k, i]) / total * R_i
        Z.append(Z_phi)
    return torch.tensor(Z, dtype=torch.float64)


def gradient_times_input(model: RecoNet, profile: Sets, item: int) -> Tensor:
    """I_u(k) dy_j / dI_u(k) by autograd, where |FS_u| is a constant."""
    I_u = torch.zeros(model.space.m, dtype=model.W.dtype)
    I_u[profile.ids] = 1
    I_u.requires_grad_()
    y_j = (I_u @ model.Q.detach() / len(profile.ids)) @ model.W[item].detach()
    (gradient,) = torch.autograd.grad(y_j, I_u)
    return (gradient * I_u)[profile.ids].detach()


@pytest.mark.parametrize("dtype", TOLERANCE)
@few
@given(seeds)
@pytest.mark.oracle("reconet", "relevance-feature")
def test_three_steps_closed_form_and_autograd_agree(dtype: torch.dtype, seed: int) -> None:
    dataset = shop(seed)
    model = model_of(dataset, seed=seed, dtype=dtype)
    user, item = seed % 12, seed % 9
    profile = profiles_of(dataset).rows(user, user + 1)
    steps = three_steps(model, profile, item).detach()
    closed = closed_form(model.Q[profile.ids], model.W[item]).detach()
    assert_close(steps, closed, TOLERANCE[dtype])
    assert_close(closed, gradient_times_input(model, profile, item), TOLERANCE[dtype])


@few
@given(seeds)
@pytest.mark.oracle("reconet", "relevance-feature")
def test_three_steps_are_the_paper_s_formulas_written_as_loops(seed: int) -> None:
    dataset = shop(seed)
    model, profile = model_of(dataset, seed=seed), profiles_of(dataset).rows(3, 4)
    assert_close(
        three_steps(model, profile, 2).detach(), naive_three_steps(model, profile, 2), 1e-11
    )


@few
@given(seeds)
@pytest.mark.oracle("reconet", "relevance-linear")
def test_the_relevance_of_a_pooled_dimension_is_its_own_term_of_the_score(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x, w = torch.randn(2, 6, dtype=torch.float64, generator=generator)
    oracle = []
    for i in range(6):  # what the score loses when dimension i is switched off
        without = x.clone()
        without[i] = 0
        oracle.append(float(w @ x - w @ without))
    R = relevance_of_pooling(x, w)
    assert_close(R, torch.tensor(oracle, dtype=torch.float64), 1e-11)
    assert float(R.sum()) == pytest.approx(float(w @ x), rel=1e-12)


def naive_epsilon(
    x: Tensor, w: Tensor, b: Tensor, R: Tensor, epsilon: float
) -> tuple[list[float], float]:
    """Relevance of the inputs and the share of the biases, unit by unit."""
    inputs, biases = [0.0] * len(x), 0.0
    for j in range(len(b)):
        z = [float(w[j, i] * x[i]) for i in range(len(x))]
        total = sum(z) + float(b[j])
        stabilised = total + epsilon * (1 if total >= 0 else -1)
        for i in range(len(x)):
            inputs[i] += z[i] / stabilised * float(R[j])
        biases += float(b[j]) / stabilised * float(R[j])
    return inputs, biases


@few
@given(seeds)
@pytest.mark.oracle("reconet", "relevance-epsilon")
def test_the_epsilon_rule_shares_each_unit_by_its_parts(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x, b, R = torch.randn(3, 4, dtype=torch.float64, generator=generator)
    w = torch.randn(4, 4, dtype=torch.float64, generator=generator)
    inputs, _ = naive_epsilon(x, w, b, R, epsilon=0.01)
    assert_close(epsilon_rule(x, w, b, R, 0.01), torch.tensor(inputs, dtype=torch.float64), 1e-10)


@few
@given(seeds)
@pytest.mark.oracle("reconet", "relevance-epsilon")
def test_behind_a_hidden_layer_the_inputs_and_the_biases_share_the_score(seed: int) -> None:
    dataset = shop(seed)
    model, profile = model_of(dataset, hidden=7, seed=seed), profiles_of(dataset).rows(1, 2)
    assert model.hidden is not None
    x = model.pool(profile)[0]
    pre_activation = model.hidden(x)
    R = torch.relu(pre_activation) * model.W[4]
    stabiliser = EPSILON * torch.where(pre_activation >= 0, 1.0, -1.0)
    share = (model.hidden.bias + stabiliser) * R / (pre_activation + stabiliser)
    y = float(model(profile)[0, 4].detach())
    Z = three_steps(model, profile, 4)
    assert float((Z.sum() + share.sum()).detach()) == pytest.approx(y, rel=1e-8, abs=1e-9)


@few
@given(seeds)
@pytest.mark.oracle("reconet", "relevance-latent")
def test_each_dimension_s_relevance_is_shared_among_the_profile_s_features(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    q = torch.randn(5, 3, dtype=torch.float64, generator=generator)
    R = torch.randn(3, dtype=torch.float64, generator=generator)
    Z = relevance_of_latent_factors(q, R)
    for k, i in itertools.product(range(5), range(3)):
        oracle = float(q[k, i]) / sum(float(q[p, i]) for p in range(5)) * float(R[i])
        assert float(Z[k, i]) == pytest.approx(oracle, rel=1e-10)
    assert_close(Z.sum(dim=0), R, 1e-10)
    assert_close(relevance_of_features(Z).sum(), R.sum(), 1e-9)


@pytest.mark.oracle("reconet", "relevance-latent")
def test_vectors_that_cancel_exactly_get_zero_and_not_nan() -> None:
    q = torch.tensor([[1.0, 2.0], [-1.0, 3.0]])
    R = relevance_of_pooling(q.mean(dim=0), torch.tensor([5.0, 1.0]))
    Z = relevance_of_latent_factors(q, R)
    assert Z[:, 0].tolist() == [0.0, 0.0]
    assert torch.isfinite(Z).all()
    assert float(relevance_of_features(Z).sum()) == pytest.approx(2.5)


# --------------------------------------------------------------------------- what is personal


def shapley(value, players: int) -> list[float]:  # type: ignore[no-untyped-def]
    """The Shapley value of each player by its definition: every coalition, weighed."""
    phi = [0.0] * players
    for player in range(players):
        others = [p for p in range(players) if p != player]
        for size in range(players):
            weight = math.factorial(size) * math.factorial(players - size - 1)
            for coalition in itertools.combinations(others, size):
                gain = value({*coalition, player}) - value(set(coalition))
                phi[player] += weight / math.factorial(players) * gain
    return phi


def test_personal_relevance_is_the_shapley_value_against_the_average_user() -> None:
    dataset = shop(3, users=5, items=3)
    model, profiles = model_of(dataset, d=3), profiles_of(dataset)
    m = model.space.m
    assert m <= 12  # every coalition is tried
    mean = mean_profile(profiles, m)
    own = indicator(model, profiles.rows(0, 1))[0] / len(profiles[0])

    def value(coalition: set[int]) -> float:
        """How far y_1 lies above the mean item's y, when the coalition's shares are the user's
        and the others the average's."""
        present = torch.tensor([k in coalition for k in range(m)])
        share = torch.where(present, own, mean.to(own.dtype))
        y = (share @ model.Q @ model.W.T).detach()
        return float(y[1] - y.mean())

    explanation = explain(model, profiles.rows(0, 1), 1, reference=mean)
    ours = dict(zip(explanation.features.tolist(), explanation.relevance.tolist(), strict=True))
    np.testing.assert_allclose([ours[k] for k in range(m)], shapley(value, m), atol=1e-12)


def test_personal_relevance_does_not_move_when_no_probability_does() -> None:
    dataset = shop(3)
    model, profiles = model_of(dataset, d=3), profiles_of(dataset)
    one, mean = profiles.rows(1, 2), mean_profile(profiles, model.space.m)
    before, p = explain(model, one, 4, mean), model.probabilities(one).detach()
    with torch.no_grad():
        model.W += torch.tensor([0.7, -1.3, 2.1], dtype=model.W.dtype)
    after = explain(model, one, 4, mean)
    torch.testing.assert_close(model.probabilities(one).detach(), p)
    np.testing.assert_allclose(after.output, before.output, atol=1e-6)
    np.testing.assert_allclose(
        after.relevance.sort().values, before.relevance.sort().values, atol=1e-6
    )


@few
@given(seeds)
def test_personal_relevance_sums_to_what_sets_the_user_apart(seed: int) -> None:
    dataset = shop(seed)
    model, profiles = model_of(dataset, seed=seed), profiles_of(dataset)
    explanation = explain(model, profiles.rows(2, 3), 5, mean_profile(profiles, model.space.m))
    y = model(profiles).detach()
    above = y[:, 5] - y.mean(dim=1)
    difference = float(above[2] - above.mean())  # the reference is float32
    assert float(explanation.relevance.sum()) == pytest.approx(difference, abs=1e-6)
    assert explanation.output == pytest.approx(difference, abs=1e-6)


# --------------------------------------------------------------------------- in bulk


@few
@given(seeds, st.sampled_from([None, 6]))
def test_relevances_of_many_profiles_are_the_three_steps_of_each(
    seed: int, hidden: int | None
) -> None:
    dataset = shop(seed)
    model, profiles = model_of(dataset, hidden=hidden, seed=seed), profiles_of(dataset)
    Z = relevance(model, profiles, torch.arange(len(profiles)) % 9)
    for user in range(12):
        steps = torch.zeros(model.space.m, dtype=Z.dtype)
        one = profiles.rows(user, user + 1)
        steps[one.ids] = three_steps(model, one, user % 9).detach()
        # small denominators of step 2 and of the epsilon rule cost the two routes a few digits
        torch.testing.assert_close(Z[user], steps, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", TOLERANCE)
@few
@given(seeds, st.integers(1, 12))
def test_explanations_in_bulk_are_those_of_one_at_a_time(
    dtype: torch.dtype, seed: int, best: int
) -> None:
    dataset = shop(seed)
    model, profiles = model_of(dataset, seed=seed, dtype=dtype), profiles_of(dataset)
    items = np.random.default_rng(seed).integers(model.space.n_items, size=(len(profiles), 2))
    with mock.patch.object(sys.modules["explainrec_lab.reconet.explain"], "AT_ONCE", 5):
        ids, Z = explain_many(model, profiles, items, best=best)
    for user, place in itertools.product(range(len(profiles)), range(2)):
        one = explain(model, profiles.rows(user, user + 1), int(items[user, place]))
        length = min(best, len(one.features))
        ours, theirs = Z[user, place], one.relevance.numpy()
        np.testing.assert_allclose(ours[:length], theirs[:length], rtol=1e-5, atol=1e-8)
        by_id = dict(zip(one.features.tolist(), theirs, strict=True))
        own = [by_id[k] for k in ids[user, place, :length].tolist()]
        np.testing.assert_allclose(own, ours[:length], rtol=1e-5, atol=1e-8)
        assert (ids[user, place, length:] == -1).all()
        assert (ours[length:] == 0).all()


# --------------------------------------------------------------------------- §5.1


@few
@given(seeds)
@pytest.mark.oracle("reconet", "recall")
def test_recall_counts_the_held_out_items_among_the_first_k(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, held_out = torch.from_numpy(rng.random((6, 10))), rng.random((6, 10)) < 0.3
    recall = recall_at_k(top_k(scores, 10), sparse.csr_array(held_out.astype(np.float32)))
    for user, k in itertools.product(range(6), range(1, 11)):
        wanted = set(held_out[user].nonzero()[0].tolist())
        best = sorted(range(10), key=lambda j: -float(scores[user, j]))[:k]
        if wanted:
            assert recall[user, k - 1] == pytest.approx(len(wanted & set(best)) / len(wanted))
        else:
            assert np.isnan(recall[user, k - 1])
