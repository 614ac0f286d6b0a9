"""One fit loop for every chapter: device, precision, many processes, checkpoints.

Devices and processes are Lightning Fabric's business: pass a `Fabric(accelerator=..., devices=...)`
and the same loop fills two CPU processes, a GPU or a cluster. The loop knows no chapter: a model,
batches and a loss come in. Not here: the choice of hyperparameters and of devices (`settings`).
"""

from __future__ import annotations

import io
import logging
import math
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from itertools import islice
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
from explainrec_lab.data.store import content_key, kept, seal, unsealed

# Tells each epoch: loss, speed and memory.
LOG = logging.getLogger(__name__)
# Steps after which the losses leave the device: to ask for each would make a GPU wait.
STEPS = 50


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
    checkpoint: Path | None = None,
) -> History:
    """Train `model` in place; it ends on the CPU, in eval mode.

    Args:
        batches: epoch -> the batches of that epoch. The same epoch must give the same batches in
            every process and after a restart: seed it with the epoch.
        losses: (model, batch) -> the losses, `[len(batch)]`; the loop takes their mean. What it
            remembers from batch to batch is kept too if it has `state_dict` and `load_state_dict`.
        fabric: device, precision and processes; default: one CPU process.
        after_epoch: (epoch, model) -> anything, kept in `History.notes`. The first process alone
            runs it, and tells the others.
        checkpoint: a file that is rewritten, whole, after each epoch. Where it exists, training
            goes on from it, on as many processes as there are now.

    Raises:
        ValueError: a loss that is not finite (names epoch and batch), a checkpoint that is damaged
            or of other settings, one process where a launcher started several, or batch norm in
            several processes without a GPU each.
    """
    fabric = fabric or processes()
    told = f"fabric: it has 1 process, but {started()} were started, and each would train alone"
    require(fabric.world_size > 1 or started() == 1, f"{told}: pass settings.fabric()")
    if fabric.world_size > 1 and any("BatchNorm" in type(m).__name__ for m in model.modules()):
        told = "model: its batch norm needs the means of all processes, which torch takes on GPUs"
        require(fabric.device.type == "cuda", f"{told} alone: train in one process")
        nn.SyncBatchNorm.convert_sync_batchnorm(model)
    optimiser = torch.optim.AdamW(_groups(model, optimisation), fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, optimisation.epochs)
    step, wrapped = fabric.setup(_Losses(model, losses), optimiser)
    parts = {"model": model, "optimiser": optimiser, "schedule": schedule, "losses": losses}
    run = {name: part for name, part in parts.items() if hasattr(part, "load_state_dict")}
    key = "" if checkpoint is None else _key(model, batches(0), optimisation)
    history = History() if checkpoint is None else _resumed(fabric, checkpoint, key, run)
    for epoch in range(len(history.loss), optimisation.epochs):
        model.train()
        history.loss.append(_epoch(fabric, step, batches(epoch), wrapped, epoch))
        schedule.step()
        model.eval()
        if after_epoch is not None:
            note = after_epoch(epoch, model) if fabric.is_global_zero else None
            history.notes.append(fabric.broadcast(note))
        if checkpoint is not None and fabric.is_global_zero:
            _save(checkpoint, {"key": key, **vars(history)}, run)
    model.cpu().eval()  # also where a checkpoint left nothing to learn
    return history


class _Losses(nn.Module):
    """A model and its losses as one module, so that whatever parts of the model the losses ask,
    processes exchange gradients and precision is as told.

    The batch comes in a function: Fabric would look for numbers to convert in anything else.
    """

    def __init__(self, model: nn.Module, losses: Callable[[nn.Module, Any], Tensor]) -> None:
        super().__init__()
        self.model, self.losses = model, losses
        # a shop's features: as large as the shop, and no step changes them; running means, which
        # are those of all processes anyway
        self._ddp_params_and_buffers_to_ignore = [name for name, _ in self.named_buffers()]

    def forward(self, batch: Callable[[], list[Any]]) -> Tensor:
        return self.losses(self.model, *batch())


def started() -> int:
    """Processes that torchrun, `fabric run`, srun or Fabric started, on all machines together."""
    return int(os.environ.get("WORLD_SIZE") or tasks() or 1)


def tasks() -> int:
    """Processes that srun started; 0 without it, and, as Fabric has it, for an interactive job."""
    by_hand = os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")
    stepped = "SLURM_STEP_ID" in os.environ and not by_hand
    return int(os.environ.get("SLURM_NTASKS") or 0) if stepped else 0


def summed(part: Tensor) -> Tensor:
    """The sum over the processes that train together, through which gradients pass."""
    several = torch.distributed.is_available() and torch.distributed.is_initialized()
    return _Sum.apply(part) if several else part


class _Sum(torch.autograd.Function):
    """The sum over processes; that of the gradients on the way back."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        torch.distributed.all_reduce(total := part.detach().clone())
        return total

    backward = forward


def processes(by: str = "", **how: Any) -> Fabric:
    """One CPU process, or others.

    Args:
        by: what started them; '' starts them now, by running the script again.
        how: for Fabric: `accelerator`, `devices` a machine, `num_nodes`, `precision`.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import LightningEnvironment

    one: dict[str, Any] = {"accelerator": "cpu", "devices": 1, "num_nodes": 1}
    how = one | how
    if several := how["devices"] * how["num_nodes"] > 1:
        how["strategy"] = "ddp"
    if not (by and several):
        how["plugins"] = LightningEnvironment()  # whatever SLURM is around
    fabric = Fabric(**how)
    if by != "fabric run":  # it launches by itself
        fabric.launch()
    return fabric


def fast_half(device: torch.device | str) -> torch.autocast:
    """Products in bfloat16 where the hardware multiplies it faster, else nothing changed.

    EXPLAINREC_PRECISION=32-true asks for none anywhere.
    """
    kind = torch.device(device).type
    if kind == "cpu":
        known: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
        fast = bool(known.get("avx512_bf16") or known.get("amx_bf16"))
    else:
        fast = kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    fast = fast and os.environ.get("EXPLAINREC_PRECISION") != "32-true"
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=fast)


def _epoch(
    fabric: Fabric, step: nn.Module, batches: Iterable[B], optimiser: Any, epoch: int
) -> float:
    """One pass over the batches; returns the mean loss over all processes."""
    begun, total, count = time.monotonic(), 0.0, 0
    steps = _steps(fabric, step, batches, optimiser)
    while some := list(islice(steps, STEPS)):
        means = fabric.all_reduce(torch.stack([loss for *_, loss in some]), reduce_op="mean")
        for (number, size, _), value in zip(some, cast(Tensor, means).tolist(), strict=True):
            told = f"loss is {value} in epoch {epoch}, batch {number}: lower learning_rate,"
            require(math.isfinite(value), f"{told} or look for inf or nan in the inputs")
            total, count = total + value * size, count + size
    if fabric.is_global_zero and LOG.isEnabledFor(logging.INFO):
        told = f"epoch {epoch + 1}: loss {total / max(count, 1):.5f}"
        LOG.info(f"{told}, {count / (time.monotonic() - begun):,.0f} examples/s, {_memory(fabric)}")
    return total / max(count, 1)


def _steps(
    fabric: Fabric, step: nn.Module, batches: Iterable[B], optimiser: Any
) -> Iterator[tuple[int, int, Tensor]]:
    """Learn from one batch after the other: its number, size and loss, which stays where it is."""
    for number, batch in enumerate(batches):
        if not len(batch):  # it asks for nothing, so it teaches nothing
            continue
        share = fabric.to_device(batch.part(fabric.global_rank, fabric.world_size))
        # Gradients are averaged over processes: scaled like this, the average is that of the
        # mean over the whole batch, however unequal the shares.
        loss = step([share].copy).sum() * (fabric.world_size / len(batch))
        optimiser.zero_grad(set_to_none=True)
        fabric.backward(loss)
        optimiser.step()
        yield number, len(batch), loss.detach()


def _memory(fabric: Fabric) -> str:
    """The most memory that the GPU, or else this process, has held so far."""
    if fabric.device.type == "cuda" or sys.platform == "win32":
        return f"{torch.cuda.max_memory_allocated() / 1e6:.0f} MB of the GPU"
    from resource import RUSAGE_SELF, getrusage

    unit = 1 if sys.platform == "darwin" else 1024
    return f"{getrusage(RUSAGE_SELF).ru_maxrss * unit / 1e6:.0f} MB"


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


# --------------------------------------------------------------------------- checkpoints


def _key(model: nn.Module, batches: Iterable[B], optimisation: Optimisation) -> str:
    """Changes with the settings, the model's parts and the first batch: data, size and seed."""
    shapes = {name: [*part.shape] for name, part in model.state_dict().items()}
    first = [repr(batch.part(0, 1)) for batch in islice(batches, 1)]
    return content_key(how=asdict(optimisation), shapes=shapes, first=first)


def _save(path: Path, told: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """Write the state of a run; the old file stays until the new one is whole.

    Raises:
        ValueError: `after_epoch` returned what could not be read again without executing code.
    """
    state = {name: part.state_dict() for name, part in run.items()}
    torch.save({**told, **state}, file := io.BytesIO())
    if len(told["loss"]) == 1:
        _loaded(path, file.getvalue())
    seal(path, file.getvalue())


def _loaded(path: Path, content: bytes | None) -> dict[str, Any]:
    """What a checkpoint holds, read without executing anything of it."""
    try:
        return torch.load(io.BytesIO(content or b""), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
        told = "is damaged, or holds more than tensors, numbers and text"
        raise ValueError(f"checkpoint: {path} {told}: delete it, and train again") from error


def _resumed(fabric: Fabric, path: Path, key: str, run: Mapping[str, Any]) -> History:
    """Go on from a checkpoint if there is one: the first process reads it for all."""
    found = (path.exists(), unsealed(path)) if fabric.is_global_zero else (False, None)
    there, content = fabric.broadcast(found)
    if not there:
        return History()
    state = _loaded(path, content)
    told = "is of other settings, data or parts: name another file, or delete it"
    require(state.get("key") == key, f"checkpoint: {path} {told}")
    for name, part in run.items():
        part.load_state_dict(state[name])
    return History(state["loss"], state["notes"])


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


def cached(
    path: Path, model: nn.Module, learn: Callable[[], float], fabric: Fabric | None = None
) -> float:
    """Fill `model` with the weights in `path`; where there are none, learn them and keep them.

    Of several processes the first looks and writes. It tells the others the weights, or first None:
    then they learn together.

    Args:
        path: a file in the cache, see `data.store.kept`.
        learn: trains `model` in place and returns the CPU seconds that it took.
        fabric: the processes that ask together; None where one asks alone.

    Returns:
        The CPU seconds of the training, also when it took place earlier.

    Raises:
        ValueError: the file holds a network of other parts or shapes.
    """
    tell: Callable[[Any], Any] = (lambda told: told) if fabric is None else fabric.broadcast

    def made() -> dict[str, ndarray]:
        tell(None)
        seconds = np.array(learn())
        own = {name: part.cpu().numpy() for name, part in model.state_dict().items()}
        return {SECONDS: seconds} | own

    first = fabric is None or fabric.is_global_zero
    arrays = tell(kept(path, made) if first else None)
    if arrays is None:  # which the first process never finds
        learn()
        arrays = tell(None)
    seconds = float(arrays.pop(SECONDS))
    try:
        model.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
    except RuntimeError as error:
        raise ValueError(f"{path} holds another network: delete it, and train again") from error
    return seconds
