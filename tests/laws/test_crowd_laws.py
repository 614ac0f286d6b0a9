"""Laws of training examples of very many users: each process makes its own, and all see the same.

A crowd of two users stands for one of thousands, so that small shops are large.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
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
from explainrec_lab.reconet import data as module
from explainrec_lab.reconet.data import Examples, _Drawn

few = settings(max_examples=12, deadline=None)
seeds, counts = st.integers(0, 30), st.integers(1, 5)
samplers = st.sampled_from([SingleLabel, RemovedItems])
Sampler = type[SingleLabel] | type[RemovedItems]


@pytest.fixture(autouse=True, scope="module")
def small_crowds() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CROWD", 4)
        patch.setattr(module, "BLOCK", 2)
        yield


def drawn(dataset: Dataset, sampler: Sampler, seed: int, size: int = 5, epoch: int = 1) -> Any:
    space = FeatureSpace.of(dataset)
    batches = list(sampler(dataset.interactions, space, batch_size=size, seed=seed)(epoch))
    assert all(isinstance(batch, _Drawn) for batch in batches)
    return batches


def same(a: Examples, b: Examples) -> None:
    for name in ("inputs", "targets", "silenced"):
        one, other = getattr(a, name), getattr(b, name)
        assert torch.equal(one.sizes, other.sizes)
        for user in range(len(one)):
            assert set(one[user].tolist()) == set(other[user].tolist())


def together(batch: Any, count: int) -> Examples:
    whole, *more = (batch.part(index, count) for index in range(count))
    for part in more:
        whole = whole.joined(part)
    return whole


@few
@given(seeds, samplers, counts)
def test_processes_make_the_same_examples_however_many_they_are(
    seed: int, sampler: Sampler, count: int
) -> None:
    for batch in drawn(shop(seed), sampler, seed):
        same(together(batch, count), batch.part(0, 1))


@few
@given(seeds, samplers, st.integers(1, 13))
def test_the_number_of_targets_is_known_before_they_are_made(
    seed: int, sampler: Sampler, size: int
) -> None:
    for batch in drawn(shop(seed), sampler, seed, size):
        assert len(batch) == len(batch.part(0, 1).targets.ids)


@few
@given(seeds, samplers, st.integers(1, 13))
def test_every_user_comes_once_an_epoch_in_batches_of_one_size(
    seed: int, sampler: Sampler, size: int
) -> None:
    batches = drawn(shop(seed), sampler, seed, size)
    users = np.concatenate([batch.users for batch in batches])
    assert sorted(users.tolist()) == list(range(12))
    assert [batch.n_users for batch in batches[:-1]] == [size] * (len(batches) - 1)


@few
@given(seeds)
def test_targets_and_kept_items_together_are_the_history_of_their_user(seed: int) -> None:
    dataset = shop(seed)
    n_items = len(dataset.catalogue)
    for batch in drawn(dataset, RemovedItems, seed):
        found = batch.part(0, 1)
        for row, user in enumerate(batch.users):
            kept = {k for k in found.inputs[row].tolist() if k < n_items}
            removed = set(found.targets[row].tolist())
            assert not kept & removed
            assert kept | removed == set(dataset.interactions.history(user).tolist())


@few
@given(seeds, samplers)
def test_an_epoch_is_the_same_each_time_and_unlike_the_next(seed: int, sampler: Sampler) -> None:
    once, again, other = (
        [batch.part(0, 1) for batch in drawn(shop(seed), sampler, seed, epoch=epoch)]
        for epoch in (1, 1, 2)
    )
    for a, b in zip(once, again, strict=True):
        same(a, b)
    ids = [torch.cat([batch.inputs.ids for batch in batches]) for batches in (once, other)]
    assert not torch.equal(*ids)


@few
@given(seeds, samplers, counts)
def test_newcomers_are_shared_out_too(seed: int, sampler: Sampler, count: int) -> None:
    dataset = shop(seed)
    examples = sampler(dataset.interactions, FeatureSpace.of(dataset), batch_size=5, seed=seed)
    for batch in WithNewcomers(examples, share=0.7)(0):
        whole = together(batch, count)
        assert whole.n_users == batch.n_users
        assert len(whole) == len(batch)
        told = sorted(map(sorted, (whole.inputs[u].tolist() for u in range(whole.n_users))))
        one = batch.part(0, 1)
        assert told == sorted(map(sorted, (one.inputs[u].tolist() for u in range(one.n_users))))


@few
@given(seeds, counts)
def test_the_losses_of_the_shares_add_up(seed: int, count: int) -> None:
    dataset = shop(seed)
    model = model_of(dataset, seed=seed)
    for batch in drawn(dataset, RemovedItems, seed):
        shares = [cross_entropy(model, batch.part(index, count)) for index in range(count)]
        whole = cross_entropy(model, batch.part(0, 1))
        torch.testing.assert_close(torch.cat(shares), whole)


def crowd(users: int, items: int = 1000, each: int = 20) -> RemovedItems:
    """Many users with histories of the same length."""
    rng = np.random.default_rng(0)
    step = items // each
    ids = rng.integers(0, step, (users, each), np.int32) + step * np.arange(each, dtype=np.int32)
    ends = np.arange(0, users * each + 1, each, np.int32)
    matrix = sparse.csr_array((np.ones(ids.size, np.float32), ids.ravel(), ends), (users, items))
    told, brought = Features.none(users), Features.none(items)
    events: Any = SimpleNamespace(
        matrix=matrix, user_features=told, item_features=brought, n_users=users
    )
    space = FeatureSpace(tuple(map(str, range(items))), brought, ())
    return RemovedItems(events, space, share=0.3, batch_size=1024)


def test_memory_does_not_grow_with_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CROWD", 2**13)
    monkeypatch.setattr(module, "BLOCK", 2**8)
    peaks = []
    for users in (20_000, 100_000):
        examples = crowd(users)
        tracemalloc.start()
        made = sum(len(batch.part(1, 8).inputs) for batch in examples(0))
        peaks.append(tracemalloc.get_traced_memory()[1] / 2**20)
        tracemalloc.stop()
        assert made == pytest.approx(users / 8, rel=0.01)
    assert peaks[1] < peaks[0] + 2
    assert peaks[1] < 20


def test_items_are_removed_as_often_as_they_should_be_at_every_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CROWD", 2**13)
    examples = crowd(20_000)
    step = 1000 // 20
    removed = torch.cat([batch.part(0, 1).targets.ids for batch in examples(0)])
    shares = torch.bincount(removed // step, minlength=20) / 20_000
    assert shares.numpy() == pytest.approx(0.3, abs=0.02)  # six standard errors
    first, second = ({(u, i) for batch in examples(e) for u, i in places(batch)} for e in (0, 1))
    both = len(first & second) / (20_000 * 20)
    assert both == pytest.approx(0.09, abs=0.01)  # epochs are independent


def places(batch: Any) -> Iterator[tuple[int, int]]:
    targets = batch.part(0, 1).targets
    yield from zip(batch.users[targets.owners].tolist(), targets.ids.tolist(), strict=True)
