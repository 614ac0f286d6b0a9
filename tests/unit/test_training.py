"""The fit loop learns, fills several processes, and names faults."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from toys import shop

from explainrec_lab import training
from explainrec_lab.data import from_frames
from explainrec_lab.reconet import (
    FeatureSpace,
    RecoNet,
    RemovedItems,
    Sets,
    SingleLabel,
    cross_entropy,
)
from explainrec_lab.training import Optimisation, fit

TESTS = Path(__file__).resolve().parents[1]
EPOCHS = 12

SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import torch
from lightning_fabric import Fabric
from toys import shop
from explainrec_lab import training
from explainrec_lab.reconet import FeatureSpace, RecoNet, RemovedItems, cross_entropy
from explainrec_lab.training import Optimisation

def main():
    dataset = shop(1, users=13)
    space = FeatureSpace.of(dataset)
    model = RecoNet(space, d=4)
    {body}

if __name__ == "__main__":
    main()
"""

TWO_PROCESSES = """
    fabric = Fabric(accelerator="cpu", devices=2)
    fabric.launch()
    history = training.fit(
        model, RemovedItems(dataset.interactions, space, batch_size=4), cross_entropy,
        Optimisation(epochs=3, learning_rate=0.02), fabric=fabric,
    )
    if fabric.is_global_zero:
        torch.save({"loss": history.loss, "model": model.state_dict()}, sys.argv[1])
"""


def train(epochs: int = EPOCHS, **more: Any) -> tuple[RecoNet, training.History]:
    """The run of `SCRIPT`, in this process."""
    dataset = shop(1, users=13)
    space = FeatureSpace.of(dataset)
    model = RecoNet(space, d=4)
    batches = RemovedItems(dataset.interactions, space, batch_size=4)
    return model, fit(model, batches, cross_entropy, Optimisation(epochs, 0.02), **more)


def script(tmp_path: Path, body: str) -> Path:
    """The run of `train` with another ending, as a file."""
    path = tmp_path / "run.py"
    path.write_text(SCRIPT.format(tests=str(TESTS), body=body.strip()))
    return path


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


# --------------------------------------------------------------------------- learning


def test_the_loss_falls() -> None:
    user = np.repeat(np.arange(12), 4)
    events = pd.DataFrame({"user": user, "item": np.tile(range(4), 12) + 4 * (user % 2)})
    dataset = from_frames(events)  # even users share four items, odd ones four others
    space = FeatureSpace.of(dataset)
    batches = RemovedItems(dataset.interactions, space, batch_size=6)
    history = fit(RecoNet(space, d=4), batches, cross_entropy, Optimisation(40, 0.05))
    assert len(history.loss) == 40
    assert np.mean(history.loss[-5:]) < 0.6 * history.loss[0]


def test_the_same_run_gives_the_same_weights() -> None:
    (a, first), (b, second) = train(), train()
    assert first.loss == second.loss
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_the_loop_is_adam_with_a_cosine_written_by_hand() -> None:
    dataset = shop(1, users=13)
    space = FeatureSpace.of(dataset)
    ours, model = (RecoNet(space, d=4).double() for _ in range(2))
    batches = RemovedItems(dataset.interactions, space, batch_size=4)
    fit(ours, batches, cross_entropy, Optimisation(EPOCHS, 0.02))
    adam = torch.optim.Adam(model.parameters())
    for epoch in range(EPOCHS):
        adam.param_groups[0]["lr"] = 0.02 * 0.5 * (1 + np.cos(np.pi * epoch / EPOCHS))
        for batch in batches(epoch):
            if len(batch):
                adam.zero_grad()
                cross_entropy(model, batch).mean().backward()
                adam.step()
    for trained, oracle in zip(ours.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(trained, oracle, rtol=1e-4, atol=1e-6)


def test_what_after_epoch_returns_is_kept() -> None:
    _, history = train(epochs=3, after_epoch=lambda epoch, model: (epoch, model.training))
    assert history.notes == [(0, False), (1, False), (2, False)]


def test_parameters_named_in_own_decay_shrink_by_it_alone() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kept, self.faded = (nn.Parameter(torch.ones(3)) for _ in range(2))

        def forward(self, batch: Sized) -> Tensor:
            return 0 * (self.kept + self.faded).sum() * torch.ones(len(batch))

    model, plan = Two(), Optimisation(1, 0.1, own_decay={"faded": 0.5})
    fit(model, lambda epoch: [Sized(2)], lambda m, b: m(b), plan)
    assert model.kept.tolist() == [1.0] * 3
    assert model.faded.tolist() == pytest.approx([1 - 0.1 * 0.5] * 3)


def test_parameters_named_in_own_rate_move_by_their_share() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fast, self.slow = (nn.Parameter(torch.ones(3)) for _ in range(2))

        def forward(self, batch: Sized) -> Tensor:
            return (self.fast + self.slow).sum() * torch.ones(len(batch))

    model, plan = Two(), Optimisation(1, 0.1, own_rate={"slow": 0.25})
    fit(model, lambda epoch: [Sized(2)], lambda m, b: m(b), plan)
    assert model.fast.tolist() == pytest.approx([1 - 0.1] * 3)  # Adam's first step is the rate
    assert model.slow.tolist() == pytest.approx([1 - 0.025] * 3)


class Sized:
    """A batch with a length and nothing else."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def part(self, index: int, count: int) -> Sized:
        return self

    def to(self, device: Any) -> Sized:
        return self


def test_a_batch_without_targets_is_passed_over() -> None:
    dataset = shop(1, users=13)
    space = FeatureSpace.of(dataset)
    model = RecoNet(space, d=4)
    (batch,) = RemovedItems(dataset.interactions, space, batch_size=100)(0)
    nothing = batch.rows(0, 0)
    assert len(nothing) == 0
    history = fit(model, lambda epoch: [nothing, batch], cross_entropy, Optimisation(1, 0.01))
    assert np.isfinite(history.loss[0])


def test_users_whose_only_item_stays_ask_for_nothing() -> None:
    dataset = shop(2, users=12, items=4, share=0.0)
    assert (np.diff(dataset.interactions.matrix.indptr) == 1).all()
    space = FeatureSpace.of(dataset)
    batches = RemovedItems(dataset.interactions, space, share=0.5, batch_size=1)
    history = fit(RecoNet(space, d=2), batches, cross_entropy, Optimisation(5, 0.01))
    assert np.isfinite(history.loss).all()


# --------------------------------------------------------------------------- many processes


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_two_processes_give_the_losses_of_one(tmp_path: Path) -> None:
    result = tmp_path / "two.pt"
    run = script(tmp_path, TWO_PROCESSES)
    done = subprocess.run(
        [sys.executable, run, result], env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    two = torch.load(result, weights_only=True)
    dataset = shop(1, users=13)
    space = FeatureSpace.of(dataset)
    model = RecoNet(space, d=4)
    batches = RemovedItems(dataset.interactions, space, batch_size=4)
    one = fit(model, batches, cross_entropy, Optimisation(3, 0.02))
    assert two["loss"] == pytest.approx(one.loss, abs=1e-5)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(two["model"][name], weight, rtol=0, atol=1e-4)


# --------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_loss_that_is_not_finite_is_one_clear_error(bad: float) -> None:
    dataset = shop(1, users=13)
    space = FeatureSpace.of(dataset)
    model = RecoNet(space, d=4)
    batches = RemovedItems(dataset.interactions, space, batch_size=4)

    def losses(model: nn.Module, batch: Any) -> Tensor:
        return cross_entropy(model, batch) + bad

    with pytest.raises(ValueError, match=r"loss is (nan|inf) in epoch 0, batch 0: lower"):
        fit(model, batches, losses, Optimisation(2, 0.01))


def test_bad_optimisation_settings_are_named() -> None:
    with pytest.raises(ValueError, match="epochs: 0 must be at least 1"):
        Optimisation(0, 0.1)
    for rate in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match=r"learning_rate: .* must be above 0"):
            Optimisation(1, rate)


def test_a_share_without_users_has_no_losses() -> None:
    dataset = shop(1)
    space = FeatureSpace.of(dataset)
    (batch,) = RemovedItems(dataset.interactions, space, batch_size=100)(0)
    nobody = batch.rows(0, 1).part(0, 2)
    assert isinstance(nobody.inputs, Sets)
    losses = cross_entropy(RecoNet(space, d=4), nobody)
    losses.sum().backward()
    assert len(losses) == len(nobody.targets.ids)


def test_training_on_nothing_is_an_error() -> None:
    dataset = from_frames(pd.DataFrame({"user": ["a", "b"], "item": [1, 2]}))
    nothing = dataset.interactions.select(np.zeros(2, bool))
    space = FeatureSpace.of(dataset)
    for examples in (RemovedItems(nothing, space), SingleLabel(nothing, space)):
        with pytest.raises(ValueError, match="interactions: there are no events to learn from"):
            fit(RecoNet(space, 4), examples, cross_entropy, Optimisation(1, 1e-2))
