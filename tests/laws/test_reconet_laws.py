"""Laws of RecoNet's examples, profiles and explanations, on random shops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import model_of, profiles_of, shop

from explainrec_lab.data import Dataset, from_frames
from explainrec_lab.reconet import (
    FeatureSpace,
    RecoNet,
    RemovedItems,
    Sets,
    SingleLabel,
    cross_entropy,
    explain,
    mean_profile,
    recommend,
    relevance,
)
from explainrec_lab.reconet.data import Examples, diminishing_removal, removal_survival
from explainrec_lab.reconet.explain import explain_many, three_steps

few = settings(max_examples=12, deadline=None)
seeds = st.integers(0, 30)
samplers = st.sampled_from([SingleLabel, RemovedItems])
Sampler = type[SingleLabel] | type[RemovedItems]


def sampled(dataset: Dataset, sampler: Sampler, seed: int = 0, **more: float) -> Examples:
    """One epoch of examples as one batch."""
    space = FeatureSpace.of(dataset)
    (batch,) = sampler(dataset.interactions, space, batch_size=1000, seed=seed, **more)(0)  # type: ignore[arg-type]
    return batch


def split_profile(space: FeatureSpace, ids: torch.Tensor) -> tuple[set[int], set[int]]:
    """(items, attributes) of a set of features."""
    found = set(ids.tolist())
    items = {k for k in found if k < space.n_items}
    return items, found - items


# --------------------------------------------------------------------------- training examples


@few
@given(seeds, samplers)
def test_a_target_never_is_in_its_own_input(seed: int, sampler: Sampler) -> None:
    batch = sampled(shop(seed), sampler, seed)
    for user in range(len(batch.inputs)):
        assert not set(batch.targets[user].tolist()) & set(batch.inputs[user].tolist())


@few
@given(seeds, samplers)
def test_an_input_holds_only_attributes_of_items_it_kept(seed: int, sampler: Sampler) -> None:
    dataset = shop(seed)
    space, batch = FeatureSpace.of(dataset), sampled(dataset, sampler, seed)
    genres = space.item_features.matrix.toarray()
    users_start = space.n_items + len(space.item_features)
    for user in range(len(batch.inputs)):
        items, attributes = split_profile(space, batch.inputs[user])
        of_items = {a - space.n_items for a in attributes if a < users_start}
        assert of_items <= set(genres[sorted(items)].sum(axis=0).nonzero()[0])


@few
@given(seeds)
def test_targets_and_kept_items_together_are_the_history(seed: int) -> None:
    dataset = shop(seed)
    space, batch = FeatureSpace.of(dataset), sampled(dataset, RemovedItems, seed)
    histories = sorted(sorted(dataset.interactions.history(u).tolist()) for u in range(12))
    rebuilt = []
    for user in range(len(batch.inputs)):
        kept, _ = split_profile(space, batch.inputs[user])
        targets = set(batch.targets[user].tolist())
        assert set(batch.silenced[user].tolist()) == kept
        rebuilt.append(sorted(kept | targets))
    assert sorted(rebuilt) == histories


@few
@given(seeds)
def test_the_paper_s_examples_have_one_label_a_user_from_the_removed_items(seed: int) -> None:
    dataset = shop(seed)
    space, batch = FeatureSpace.of(dataset), sampled(dataset, SingleLabel, seed, beta=0.5)
    histories = [set(dataset.interactions.history(u).tolist()) for u in range(12)]
    assert batch.targets.sizes.tolist() == [1] * 12
    assert batch.silenced.sizes.tolist() == [0] * 12
    for user in range(12):
        kept, _ = split_profile(space, batch.inputs[user])
        whole = kept | set(batch.targets[user].tolist())
        assert any(whole <= history for history in histories)


@few
@given(seeds, samplers, st.integers(1, 13))
def test_the_same_epoch_gives_the_same_batches(seed: int, sampler: Sampler, size: int) -> None:
    dataset = shop(seed)
    examples = sampler(dataset.interactions, FeatureSpace.of(dataset), batch_size=size, seed=seed)
    once, again = list(examples(3)), list(examples(3))
    for a, b in zip(once, again, strict=True):
        for name in ("inputs", "targets", "silenced"):
            assert torch.equal(getattr(a, name).ids, getattr(b, name).ids)
            assert torch.equal(getattr(a, name).offsets, getattr(b, name).offsets)
    other = torch.cat([batch.inputs.ids for batch in examples(4)])
    assert not torch.equal(torch.cat([batch.inputs.ids for batch in once]), other)


@few
@given(seeds, samplers, st.integers(1, 5))
def test_the_shares_of_the_processes_add_up_to_the_batch(
    seed: int, sampler: Sampler, count: int
) -> None:
    batch = sampled(shop(seed), sampler, seed)
    parts = [batch.part(index, count) for index in range(count)]
    assert sum(len(part) for part in parts) == len(batch)
    for name in ("inputs", "targets", "silenced"):
        whole = getattr(batch, name)
        assert torch.equal(torch.cat([getattr(part, name).ids for part in parts]), whole.ids)
        assert torch.equal(torch.cat([getattr(part, name).sizes for part in parts]), whole.sizes)


@few
@given(seeds, st.integers(1, 5))
def test_the_losses_of_the_shares_are_the_losses_of_the_batch(seed: int, count: int) -> None:
    dataset = shop(seed)
    model, batch = model_of(dataset, seed=seed), sampled(dataset, RemovedItems, seed)
    shares = [cross_entropy(model, batch.part(index, count)) for index in range(count)]
    torch.testing.assert_close(torch.cat(shares), cross_entropy(model, batch))


@few
@given(seeds)
def test_silenced_items_take_no_part_in_the_softmax(seed: int) -> None:
    dataset = shop(seed)
    model, batch = model_of(dataset, seed=seed), sampled(dataset, RemovedItems, seed)
    for user in range(len(batch.inputs)):
        one = batch.rows(user, user + 1)
        expected = cross_entropy(model, one).detach()
        with torch.no_grad():
            model.W[one.silenced.ids] += 100.0
        torch.testing.assert_close(cross_entropy(model, one).detach(), expected)


@few
@given(st.lists(st.integers(0, 8), min_size=1, max_size=40), st.floats(0, 3), seeds)
def test_removal_takes_at_least_one_and_never_more_than_the_set_holds(
    sizes: list[int], beta: float, seed: int
) -> None:
    held = torch.tensor(sizes)
    draw = torch.rand(len(sizes), generator=torch.Generator().manual_seed(seed))
    removed = diminishing_removal(held, beta, draw)
    assert (removed <= held).all()
    assert (removed >= held.clamp(max=1)).all()


def test_nobody_loses_nothing() -> None:
    nobody = torch.zeros(0, dtype=torch.int64)
    assert diminishing_removal(nobody, 1.0, torch.zeros(0)).tolist() == []


def test_bad_sampling_settings_are_named() -> None:
    dataset = shop()
    space = FeatureSpace.of(dataset)
    with pytest.raises(ValueError, match=r"share: 1\.0 must lie between 0 and 1"):
        RemovedItems(dataset.interactions, space, share=1.0)
    with pytest.raises(ValueError, match="attribute_share: 0 must lie"):
        RemovedItems(dataset.interactions, space, attribute_share=0)
    with pytest.raises(ValueError, match="beta: -1"):
        removal_survival(-1, 3)
    with pytest.raises(ValueError, match="beta: -2"):
        next(SingleLabel(dataset.interactions, space, beta=-2)(0))


# --------------------------------------------------------------------------- profiles


@few
@given(seeds)
def test_a_profile_by_hand_is_the_profile_of_the_user(seed: int) -> None:
    dataset = shop(seed)
    space, events = FeatureSpace.of(dataset), dataset.interactions
    for user in range(events.n_users):
        by_hand = space.profile(events.history(user), events.user_features.of(user))
        assert set(by_hand.ids.tolist()) == set(profiles_of(dataset)[user].tolist())


@few
@given(seeds)
def test_the_order_of_a_profile_does_not_matter(seed: int) -> None:
    dataset = shop(seed)
    model, space = model_of(dataset, seed=seed), FeatureSpace.of(dataset)
    forth, back = space.profile([1, 4, 7]), space.profile([7, 4, 1, 4])
    torch.testing.assert_close(model(forth), model(back), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("count", [127, 128, 255, 256, 512])
def test_a_genre_of_many_films_stays_in_the_profile(count: int) -> None:
    events = pd.DataFrame({"user": 0, "item": range(count)})
    items = pd.DataFrame({"item": range(count), "genres": "drama"})
    dataset = from_frames(events, items=items, item_sets={"genres": "genre"})
    space = FeatureSpace.of(dataset)
    assert space.names[count] == "genre: drama"
    assert count in space.profile(range(count)).ids
    assert count in space.profiles(dataset.interactions)[0]


def test_every_feature_has_a_name_and_a_kind() -> None:
    space = FeatureSpace.of(shop())
    assert len(space.names) == space.m
    assert space.kind(0) == space.kind(space.n_items - 1) == "item"
    assert space.kind(space.n_items) == "item attribute"
    assert space.kind(space.m - 1) == "user attribute"


def test_bad_profiles_are_named() -> None:
    space = FeatureSpace.of(shop())
    with pytest.raises(ValueError, match=r"items: item 9 is not in this dataset \(0\.\.8\)"):
        space.profile([1, 9])
    with pytest.raises(ValueError, match="items: item -1"):
        space.profile([-1])
    with pytest.raises(ValueError, match="user_features: 'tall' is unknown; there are"):
        space.profile([1], ["tall"])
    with pytest.raises(ValueError, match="profile: it is empty"):
        space.profile()
    with pytest.raises(ValueError, match="items: ids must be integers"):
        space.profile(["Film 1"])  # type: ignore[list-item]


def test_a_space_without_events_has_the_features_of_those_events() -> None:
    dataset = shop()
    nothing = dataset.interactions.without_features().select([])
    assert FeatureSpace.of(dataset, nothing).m == dataset.interactions.n_items


def test_a_model_without_dimensions_is_refused() -> None:
    with pytest.raises(ValueError, match="d: 0 must be at least 1"):
        RecoNet(FeatureSpace.of(shop()), d=0)
    with pytest.raises(ValueError, match="hidden: 0 must be at least 1"):
        RecoNet(FeatureSpace.of(shop()), hidden=0)


def test_the_same_seed_gives_the_same_model() -> None:
    space = FeatureSpace.of(shop())
    a, b, c = (RecoNet(space, d=4, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(a.Q, b.Q) and torch.equal(a.W, b.W)
    assert not torch.equal(a.Q, c.Q)


@few
@given(seeds, st.lists(st.integers(0, 11), max_size=6))
def test_the_profiles_of_some_users_are_theirs_in_their_order(seed: int, users: list[int]) -> None:
    profiles = profiles_of(shop(seed))
    some = profiles.of_users(np.array(users, np.int64))
    assert [some[n].tolist() for n in range(len(some))] == [profiles[u].tolist() for u in users]


# --------------------------------------------------------------------------- recommendation


@few
@given(seeds)
def test_recommendations_are_the_best_items_that_the_user_has_not(seed: int) -> None:
    dataset = shop(seed)
    model, profile = model_of(dataset, seed=seed), profiles_of(dataset).rows(0, 1)
    y = model(profile)[0].tolist()
    left = [j for j in range(9) if j not in dataset.interactions.history(0)]
    best = sorted(left, key=lambda j: -y[j])
    items, activations = recommend(model, profile, k=len(left))
    assert items.tolist() == best
    assert activations.tolist() == pytest.approx([y[j] for j in best])
    with pytest.raises(ValueError, match=rf"k: 10 is outside 1\.\.{len(left)}"):
        recommend(model, profile, k=10)
    with pytest.raises(ValueError, match="k: 0 is outside"):
        recommend(model, profile, k=0)


def blank(dataset: Dataset) -> RecoNet:
    """A model to which everything is alike."""
    model = model_of(dataset)
    with torch.no_grad():
        model.W.zero_()
    return model


def test_a_model_that_knows_nothing_favours_no_id() -> None:
    """It recommends, and gives as reasons, what the lot says: all there is, not the first ones."""
    dataset = shop(4, items=30)
    model, profile = blank(dataset), profiles_of(dataset).rows(0, 1)
    left = 30 - len(dataset.interactions.history(0))
    items = recommend(model, profile, left)[0].tolist()
    assert sorted(items) == sorted(set(range(30)) - set(dataset.interactions.history(0).tolist()))
    assert recommend(model, profile, 3)[0].tolist() == items[:3] != sorted(items)[:3]
    reasons = explain(model, profile, 1).features.tolist()
    assert sorted(reasons) == sorted(profile.ids.tolist()) not in (reasons, reasons[::-1])
    ids, _ = explain_many(model, profile, np.array([[1]]), best=len(reasons))
    assert sorted(ids[0, 0].tolist()) == sorted(reasons) != ids[0, 0].tolist()


def test_a_model_that_diverged_recommends_nothing() -> None:
    model, profile = model_of(shop()), profiles_of(shop()).rows(0, 1)
    with torch.no_grad():
        model.W.fill_(torch.nan)
    with pytest.raises(ValueError, match="are nan; did the training diverge"):
        recommend(model, profile, 1)


# --------------------------------------------------------------------------- explanation


@few
@given(seeds, st.integers(0, 8), st.integers(0, 11))
def test_relevance_of_a_profile_sums_to_the_activation(seed: int, item: int, user: int) -> None:
    dataset = shop(seed)
    model, profile = model_of(dataset, seed=seed), profiles_of(dataset).rows(user, user + 1)
    y = float(model(profile)[0, item].detach())
    explanation = explain(model, profile, item)
    assert float(explanation.relevance.sum()) == pytest.approx(y, rel=1e-11, abs=1e-13)
    assert explanation.output == pytest.approx(y, rel=1e-11, abs=1e-13)
    assert float(three_steps(model, profile, item).sum().detach()) == pytest.approx(
        y, rel=1e-10, abs=1e-12
    )


@few
@given(seeds)
def test_an_explanation_lists_its_profile_most_supporting_first(seed: int) -> None:
    dataset = shop(seed)
    model, profile = model_of(dataset, seed=seed), profiles_of(dataset).rows(0, 1)
    explanation = explain(model, profile, 3)
    assert sorted(explanation.features.tolist()) == sorted(profile.ids.tolist())
    table = explanation.table()
    assert table.relevance.is_monotonic_decreasing
    assert table.feature.tolist() == [model.space.names[k] for k in explanation.features]
    assert explanation.present.all()


@few
@given(seeds)
def test_what_everybody_has_is_not_personal(seed: int) -> None:
    dataset = shop(seed)
    model, profile = model_of(dataset, seed=seed), profiles_of(dataset).rows(0, 1)
    alone = mean_profile(profile, model.space.m)
    assert explain(model, profile, 3, reference=alone).relevance.abs().max() < 1e-6


def test_a_feature_that_the_profile_lacks_is_called_no_such_feature() -> None:
    dataset = shop()
    model, profiles = model_of(dataset), profiles_of(dataset)
    table = explain(model, profiles.rows(0, 1), 3, mean_profile(profiles, model.space.m)).table()
    own = {model.space.names[k] for k in profiles[0].tolist()}
    said = {name.removeprefix("no ") for name in table.feature if name.startswith("no ")}
    assert said == set(model.space.names) - own


def test_a_feature_with_a_smaller_share_than_the_reference_is_called_less() -> None:
    dataset = shop()
    model, profile = model_of(dataset), profiles_of(dataset).rows(0, 1)
    share, held = 1 / len(profile.ids), profile.ids.tolist()
    reference = torch.full((model.space.m,), 0.5 * share)
    reference[held[0]] = 2 * share
    explanation = explain(model, profile, 3, reference)
    names = dict(zip(explanation.features.tolist(), explanation.table().feature, strict=True))
    for k, name in enumerate(model.space.names):
        word = "less " if k == held[0] else "" if k in held else "no "
        assert names[k] == word + name
    pull = (model.Q @ (model.W[3] - model.W.mean(dim=0))).detach()
    for k, z in zip(explanation.features.tolist(), explanation.relevance.tolist(), strict=True):
        turned = names[k].startswith(("less ", "no "))
        assert z * float(pull[k]) * (-1 if turned else 1) >= 0
    assert not explain(model, profile, 3).below.any()


def test_an_empty_profile_still_has_a_personal_explanation() -> None:
    dataset = shop()
    model, profiles = model_of(dataset), profiles_of(dataset)
    nobody = profiles.rows(0, 0)
    nobody = type(nobody)(nobody.ids, torch.tensor([0, 0]))
    Z = explain(model, nobody, 2, mean_profile(profiles, model.space.m)).relevance
    mean_y = model(profiles).detach().mean(dim=0)
    assert float(Z.sum()) == pytest.approx(float(mean_y.mean() - mean_y[2]), abs=1e-6)
    with pytest.raises(ValueError, match="profile: it is empty"):
        explain(model, nobody, 2)


def test_bad_questions_to_an_explanation_are_named() -> None:
    dataset = shop()
    model, deep, profiles = model_of(dataset), model_of(dataset, hidden=3), profiles_of(dataset)
    one, mean = profiles.rows(0, 1), mean_profile(profiles, model.space.m)
    with pytest.raises(ValueError, match=r"item: item 9 is not in this dataset \(0\.\.8\)"):
        explain(model, one, 9)
    with pytest.raises(ValueError, match="profile: got 12 profiles; explain one at a time"):
        explain(model, profiles, 1)
    with pytest.raises(ValueError, match="profile: got 12 profiles; recommend"):
        recommend(model, profiles, 1)
    with pytest.raises(ValueError, match="reference: only the one-layer model"):
        explain(deep, one, 1, reference=mean)
    with pytest.raises(ValueError, match=r"reference: shape \(3,\); needs a number for each of"):
        explain(model, one, 1, reference=mean[:3])
    items = np.zeros((12, 1), np.int64)
    with pytest.raises(ValueError, match="model: only the one-layer model"):
        explain_many(deep, profiles, items)
    with pytest.raises(ValueError, match="items: item 9 is not"):
        explain_many(model, profiles, items + 9)
    with pytest.raises(ValueError, match="items: shape"):
        explain_many(model, profiles, items[:3])
    with pytest.raises(ValueError, match="best: 0 must be at least 1"):
        explain_many(model, profiles, items, best=0)
    with pytest.raises(ValueError, match=r"items: shape \(3,\); needs one for each profile"):
        relevance(model, profiles, items[:3, 0])
    with pytest.raises(ValueError, match="items: item -1 is not"):
        relevance(model, profiles, items[:, 0] - 1)


@pytest.mark.parametrize("hidden", [None, 3])
def test_profiles_without_or_with_unknown_features_are_named(hidden: int | None) -> None:
    model = model_of(shop(), hidden=hidden)
    m = model.space.m
    for ask in (lambda p: recommend(model, p, 3), lambda p: explain(model, p, 1)):
        with pytest.raises(ValueError, match="profile: it is empty, and all items score alike"):
            ask(Sets.of([]))
        for bad in (m, -1):
            with pytest.raises(
                ValueError, match=rf"profile: feature {bad} is not .* \(0\.\.{m - 1}"
            ):
                ask(Sets.of([0, bad]))


def test_without_users_or_without_features_there_are_no_reasons() -> None:
    dataset = shop()
    model = model_of(dataset)
    ids, Z = explain_many(
        model, profiles_of(dataset).rows(0, 0), np.zeros((0, 2), np.int64), best=4
    )
    assert ids.shape == Z.shape == (0, 2, 4)
    ids, Z = explain_many(model, Sets.of([]), np.array([[0, 1]]), best=4)
    assert (ids == -1).all() and (Z == 0).all()
    assert ids.shape == Z.shape == (1, 2, 4)
