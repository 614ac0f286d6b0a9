"""Laws of training examples without a history, on random shops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import model_of, shop

from explainrec_lab.data import Dataset
from explainrec_lab.data.contracts import Features
from explainrec_lab.reconet import (
    FeatureSpace,
    RemovedItems,
    SingleLabel,
    WithNewcomers,
    cross_entropy,
)
from explainrec_lab.reconet.data import Examples

few = settings(max_examples=12, deadline=None)
seeds = st.integers(0, 30)
samplers = st.sampled_from([SingleLabel, RemovedItems])
Sampler = type[SingleLabel] | type[RemovedItems]


def both(
    dataset: Dataset, sampler: Sampler, seed: int, size: int = 1000, **more: float
) -> tuple[list[Examples], list[Examples]]:
    """The batches of one epoch without and with newcomers."""
    examples = sampler(dataset.interactions, FeatureSpace.of(dataset), batch_size=size, seed=seed)
    return list(examples(2)), list(WithNewcomers(examples, **more)(2))  # type: ignore[arg-type]


@few
@given(seeds, samplers, st.integers(1, 13))
def test_the_examples_that_newcomers_join_stay_as_they_were(
    seed: int, sampler: Sampler, size: int
) -> None:
    for plain, mixed in zip(*both(shop(seed), sampler, seed, size, share=0.7), strict=True):
        kept = mixed.rows(0, len(plain.inputs))
        for name in ("inputs", "targets", "silenced"):
            assert torch.equal(getattr(kept, name).ids, getattr(plain, name).ids)
            assert torch.equal(getattr(kept, name).offsets, getattr(plain, name).offsets)


@few
@given(seeds, samplers, st.integers(1, 4))
def test_a_newcomer_is_known_by_her_own_features_and_asked_for_items_of_one_user(
    seed: int, sampler: Sampler, labels: int
) -> None:
    dataset = shop(seed)
    ((plain,), (mixed,)) = both(dataset, sampler, seed, share=2.0, labels=labels)
    copies = mixed.rows(len(plain.inputs), len(mixed.inputs))
    first = FeatureSpace.of(dataset).n_items + len(FeatureSpace.of(dataset).item_features)
    own, events = dataset.interactions.user_features.matrix.toarray(), dataset.interactions
    users = [(set(np.flatnonzero(own[u])), set(events.history(u))) for u in range(12)]
    assert len(copies.inputs) == 24
    assert len(copies.silenced.ids) == 0
    assert (copies.inputs.ids >= first).all()
    for row in range(len(copies.inputs)):
        told = {k - first for k in copies.inputs[row].tolist()}
        asked = set(copies.targets[row].tolist())
        assert any(
            told <= features and asked <= took and len(asked) == min(labels, len(took))
            for features, took in users
        )


@few
@given(seeds, samplers)
def test_the_same_epoch_gives_the_same_newcomers(seed: int, sampler: Sampler) -> None:
    _, once = both(shop(seed), sampler, seed, share=1.0)
    _, again = both(shop(seed), sampler, seed, share=1.0)
    assert torch.equal(once[0].inputs.ids, again[0].inputs.ids)
    assert torch.equal(once[0].targets.ids, again[0].targets.ids)


def test_a_share_of_a_user_comes_as_often_as_it_should() -> None:
    batches = [both(shop(), RemovedItems, seed, size=1, share=0.25) for seed in range(60)]
    added = sum(len(m.inputs) - 1 for _, mixed in batches for m in mixed)
    assert added / (60 * 12) == pytest.approx(0.25, abs=0.06)


def test_losses_of_newcomers_are_finite_even_when_all_they_told_is_left_out() -> None:
    dataset = shop()
    ((plain,), (mixed,)) = both(dataset, RemovedItems, 0, share=5.0, attribute_share=0.9)
    copies = mixed.rows(len(plain.inputs), len(mixed.inputs))
    assert (copies.inputs.sizes == 0).any()
    assert torch.isfinite(cross_entropy(model_of(dataset), mixed)).all()


@pytest.mark.parametrize(
    "bad", [{"share": -0.1}, {"attribute_share": 1.0}, {"attribute_share": -0.5}, {"labels": 0}]
)
def test_bad_settings_of_newcomers_are_named(bad: dict[str, float]) -> None:
    examples = RemovedItems(shop().interactions, FeatureSpace.of(shop()))
    with pytest.raises(ValueError, match=next(iter(bad))):
        WithNewcomers(examples, **bad)  # type: ignore[arg-type]


def test_only_users_who_told_something_are_copied_and_there_must_be_one() -> None:
    dataset = shop()
    own = dataset.interactions.user_features
    matrix = own.matrix.toarray()
    matrix[1:] = 0
    told = replace(
        dataset.interactions, user_features=Features(own.names, type(own.matrix)(matrix))
    )
    space = FeatureSpace.of(dataset, told)
    (batch,) = WithNewcomers(RemovedItems(told, space, batch_size=1000), share=1.0, labels=99)(0)
    for row in range(12, 24):
        assert batch.targets[row].tolist() == told.history(0).tolist()
    nobody = replace(told, user_features=Features.none(12))
    with pytest.raises(ValueError, match="no user"):
        WithNewcomers(RemovedItems(nobody, FeatureSpace.of(dataset, nobody)))
