"""Laws of the sampled softmax, against the softmax over all items."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import model_of, shop

from explainrec_lab.reconet import (
    FeatureSpace,
    RemovedItems,
    SingleLabel,
    cross_entropy,
    sampled_cross_entropy,
    train,
)
from explainrec_lab.reconet.data import Examples
from explainrec_lab.settings import SIZES

few = settings(max_examples=12, deadline=None)
seeds = st.integers(0, 30)
samplers = st.sampled_from([SingleLabel, RemovedItems])


def example(seed: int, sampler: Any = RemovedItems, items: int = 9) -> tuple[Any, Examples]:
    dataset = shop(seed, items=items)
    (batch,) = sampler(dataset.interactions, FeatureSpace.of(dataset), batch_size=99, seed=seed)(0)
    return model_of(dataset, seed=seed), batch


@few
@given(seeds, samplers, st.integers(9, 30))
def test_when_all_items_are_drawn_it_is_the_softmax(seed: int, sampler: Any, more: int) -> None:
    model, batch = example(seed, sampler)
    sampled = sampled_cross_entropy(model, batch, negatives=more, seed=seed)
    torch.testing.assert_close(sampled, cross_entropy(model, batch), rtol=1e-6, atol=1e-7)


@few
@given(seeds, samplers, st.integers(1, 8))
def test_the_same_batch_draws_the_same_items(seed: int, sampler: Any, negatives: int) -> None:
    model, batch = example(seed, sampler)
    once, again = (sampled_cross_entropy(model, batch, negatives, seed) for _ in range(2))
    assert torch.equal(once, again)
    assert torch.isfinite(once).all()


@few
@given(seeds)
def test_silenced_items_take_no_part(seed: int) -> None:
    """However large their activation is: each user by herself, for others may ask for them."""
    model, batch = example(seed)
    for user in range(len(batch.inputs)):
        one = batch.rows(user, user + 1)
        if len(one):
            before = sampled_cross_entropy(model, one, 5).detach()
            raised = dict.fromkeys(one.silenced.ids.tolist(), 50.0)

            class Raised(torch.nn.Module):
                space = model.space

                def forward(self, inputs: Any, items: Any, raised: Any = raised) -> Any:
                    more = torch.tensor([raised.get(item, 0.0) for item in items.tolist()])
                    return model(inputs, items) + more

            after = sampled_cross_entropy(Raised(), one, 5)  # type: ignore[arg-type]
            torch.testing.assert_close(after, before)


def gradients(model: Any, losses: Any) -> torch.Tensor:
    return torch.cat([g.flatten() for g in torch.autograd.grad(losses.mean(), [model.W])])


def test_the_sum_below_the_fraction_is_right_on_average() -> None:
    """p of each target is target / sum: the mean of 1 / p over draws is that of all items."""
    model, batch = example(1, items=60)
    batch = batch.rows(0, 2)  # few targets, so that the others weigh
    whole = cross_entropy(model, batch).detach().exp()
    draws = [sampled_cross_entropy(model, batch, 20, seed).detach().exp() for seed in range(2000)]
    error = torch.stack(draws).std(dim=0) / 2000**0.5
    assert ((torch.stack(draws).mean(dim=0) - whole).abs() < 5 * error).all()


def test_the_gradient_comes_nearer_with_more_negatives() -> None:
    model, batch = example(2, items=200)
    whole = gradients(model, cross_entropy(model, batch.rows(0, 3)))
    far = []
    for negatives in (10, 40, 160):
        found = [
            gradients(model, sampled_cross_entropy(model, batch.rows(0, 3), negatives, seed))
            for seed in range(100)
        ]
        far.append(float((torch.stack(found) - whole).norm(dim=1).mean() / whole.norm()))
    assert far[0] > 1.3 * far[1] > 1.69 * far[2]


def test_it_is_never_switched_on_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    module = __import__("sys").modules[train.__module__]
    dataset = shop(users=3, items=60, share=0.1)
    space, short = FeatureSpace.of(dataset), replace(SIZES["reconet"]["ci"], d=4, epochs=1)
    examples = RemovedItems(dataset.interactions, space)

    def learned(**how: Any) -> torch.Tensor:
        model = model_of(dataset, dtype=torch.float32)
        train(model, examples, short, **how)  # type: ignore[arg-type]
        return model.W.detach()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = learned()
        monkeypatch.setattr(module, "MOST_ITEMS", 8)
        monkeypatch.setattr(module, "NEGATIVES", 3)
        assert torch.equal(learned(negatives=0), whole)
        forced = learned(negatives=3)
    with pytest.warns(UserWarning, match="60 items: the softmax is over the targets and 3 drawn"):
        assert torch.equal(learned(), forced)
    assert not torch.equal(forced, whole)
    with pytest.raises(ValueError, match="negatives: -1 must be at least 1"):
        learned(negatives=-1)
