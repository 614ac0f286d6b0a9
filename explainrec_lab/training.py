"""One fit loop for every chapter: device, precision, many processes.

Devices and processes are Lightning Fabric's business: pass a `Fabric(accelerator=..., devices=...)`
and the same loop fills two CPU processes, a GPU or a cluster. The loop knows no chapter: a model,
batches and a loss come in. Not here: the choice of hyperparameters (see `settings`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from threading import RLock, get_ident
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast
from unittest.mock import patch

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor, nn
from torch.autograd import graph
from torch.utils import checkpoint

from explainrec_lab.data.contracts import check_least, require
from explainrec_lab.data.store import kept


@dataclass(frozen=True)
class Tensors:
    """Tensors, or dataclasses like this one, that move to a device as one."""

    def to(self, device: torch.device | str) -> Self:
        """The same on another device."""
        return type(self)(*(getattr(self, each.name).to(device) for each in fields(self)))


class Batch(Tensors):
    """Tensors that a step learns from, and that processes share; the last has a row a loss."""

    def __len__(self) -> int:
        """Number of losses."""
        return len(getattr(self, fields(self)[-1].name))

    def part(self, index: int, count: int) -> Self:
        """The share of process `index` of `count`; the shares together are the batch."""
        return type(self)(*(each[index::count] for each in vars(self).values()))


if TYPE_CHECKING:  # importing Fabric takes seconds, which only training should cost
    from lightning_fabric import Fabric

B = TypeVar("B", bound=Batch)
T = TypeVar("T")


@dataclass(frozen=True)
class Optimisation:
    """Settings of the optimiser: Adam with a cosine schedule from `learning_rate` to zero.

    Attributes:
        weight_decay: decoupled (AdamW); 0 gives plain Adam.
        own_decay: parameters whose name starts with a key get that weight decay instead.
        own_rate: parameters whose name starts with a key get that multiple of the learning rate.
    """

    epochs: int
    learning_rate: float
    weight_decay: float = 0.0
    own_decay: Mapping[str, float] = field(default_factory=dict)
    own_rate: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_least(epochs=self.epochs)
        require(self.learning_rate > 0, f"learning_rate: {self.learning_rate} must be above 0")


@dataclass
class History:
    """Mean training loss of each epoch, and whatever `after_epoch` returned."""

    loss: list[float] = field(default_factory=list)
    notes: list[Any] = field(default_factory=list)


def fit(
    model: nn.Module,
    batches: Callable[[int], Iterable[B]],
    losses: Callable[[nn.Module, B], Tensor],
    optimisation: Optimisation,
    *,
    fabric: Fabric | None = None,
    after_epoch: Callable[[int, nn.Module], Any] | None = None,
) -> History:
    """Train `model` in place; it ends on the CPU, in eval mode.

    Args:
        batches: epoch -> the batches of that epoch. The same epoch must give the same batches in
            every process: seed it with the epoch.
        losses: (model, batch) -> the losses, `[len(batch)]`; the loop takes their mean.
        fabric: device, precision and processes; default: one CPU process.
        after_epoch: (epoch, model) -> anything, kept in `History.notes`.

    Raises:
        ValueError: a loss that is not finite (names epoch and batch).
    """
    fabric = fabric or on_one("cpu")
    groups = list(_groups(model, optimisation))
    optimiser = torch.optim.AdamW(groups, lr=optimisation.learning_rate, fused=True)
    half_turn = torch.pi / optimisation.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda epoch: 0.5 * (1 + float(torch.cos(torch.tensor(epoch * half_turn))))
    )
    wrapped, optimiser = fabric.setup(model, optimiser)
    history = History()
    for epoch in range(optimisation.epochs):
        model.train()
        history.loss.append(_epoch(fabric, wrapped, batches(epoch), losses, optimiser, epoch))
        schedule.step()
        model.eval()
        if after_epoch is not None:
            history.notes.append(after_epoch(epoch, model))
    model.cpu()
    return history


def on_one(accelerator: str) -> Fabric:
    """One process on one device: 'cpu' or 'cuda'."""
    from lightning_fabric import Fabric

    return Fabric(accelerator=accelerator, devices=1)


def fast_half(device: torch.device | str) -> torch.autocast:
    """Products in bfloat16 where the hardware multiplies it faster, else nothing changed."""
    kind = torch.device(device).type
    if kind == "cpu":
        known: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
        fast = bool(known.get("avx512_bf16") or known.get("amx_bf16"))
    else:
        fast = kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=fast)


def _epoch(
    fabric: Fabric,
    model: nn.Module,
    batches: Iterable[B],
    losses: Callable[[nn.Module, B], Tensor],
    optimiser: Any,
    epoch: int,
) -> float:
    """One pass over the batches; returns the mean loss over all processes."""
    total, count = 0.0, 0
    for number, batch in enumerate(batches):
        if not len(batch):  # it asks for nothing, so it teaches nothing
            continue
        share = fabric.to_device(batch.part(fabric.global_rank, fabric.world_size))
        # Gradients are averaged over processes: scaled like this, the average is that of the
        # mean over the whole batch, however unequal the shares.
        loss = losses(model, share).sum() * (fabric.world_size / len(batch))
        optimiser.zero_grad(set_to_none=True)
        fabric.backward(loss)
        optimiser.step()
        value = float(cast(Tensor, fabric.all_reduce(loss.detach(), reduce_op="mean")))
        told = "lower learning_rate, or look for inf or nan in the inputs"
        require(math.isfinite(value), f"loss is {value} in epoch {epoch}, batch {number}: {told}")
        total, count = total + value * len(batch), count + len(batch)
    return total / max(count, 1)


def _groups(model: nn.Module, optimisation: Optimisation) -> Iterator[dict[str, Any]]:
    """Parameters with the weight decay and the learning rate that their names ask for."""

    def own(table: Mapping[str, float], name: str, otherwise: float) -> float:
        return next((table[key] for key in table if name.startswith(key)), otherwise)

    for name, parameter in model.named_parameters():
        yield {
            "params": [parameter],
            "weight_decay": own(optimisation.own_decay, name, optimisation.weight_decay),
            "lr": optimisation.learning_rate * own(optimisation.own_rate, name, 1.0),
        }


# ------------------------------------------------------------------------ without checkpoints


LOCK = RLock()


@contextmanager
def run_once() -> Iterator[None]:
    """Let no hook of the program exchange what the graph keeps: each part runs once, watched.

    `torch.utils.checkpoint` would run its function again in the backward pass, where nobody
    watches (`lrp.relevance` runs a model so). Other threads keep their hooks.
    """
    mine, hooks, again = get_ident(), graph.saved_tensors_hooks, checkpoint.CheckpointFunction

    def elsewhere(usual: Any, plainly: Any = lambda *args: None) -> Any:
        return lambda *args: (plainly if get_ident() == mine else usual)(*args)

    ways = {name: elsewhere(getattr(hooks, name)) for name in ("__enter__", "__exit__")}
    once = SimpleNamespace(apply=elsewhere(again.apply, lambda run, _, *args: run(*args)))
    with LOCK, patch.multiple(hooks, **ways), patch.object(checkpoint, "CheckpointFunction", once):
        yield


# --------------------------------------------------------------------------- trained once


def timed(action: Callable[[], T]) -> tuple[T, float]:
    """What an action gives, and its CPU seconds."""
    start = time.process_time()
    found = action()
    return found, time.process_time() - start


# Beside the weights of a kept model: the CPU seconds that they took.
SECONDS = "cpu seconds"


def cached(path: Path, model: nn.Module, learn: Callable[[], float]) -> float:
    """Fill `model` with the weights in `path`; where there are none, learn them and keep them.

    Args:
        path: a file in the cache, see `data.store.kept`.
        learn: trains `model` in place and returns the CPU seconds that it took.

    Returns:
        The CPU seconds of the training, also when it took place earlier.

    Raises:
        ValueError: the file holds a network of other parts or shapes.
    """

    def made() -> dict[str, ndarray]:
        seconds = {SECONDS: np.array(learn())}
        return seconds | {name: part.cpu().numpy() for name, part in model.state_dict().items()}

    arrays = kept(path, made)
    seconds = float(arrays.pop(SECONDS))
    try:
        model.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
    except RuntimeError as error:
        raise ValueError(f"{path} holds another network: delete it, and train again") from error
    return seconds
