"""Devices by flags: several processes learn what one learns, broken off or not; wrong wishes are
named before anything starts."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from learners import EPOCHS, LEARNERS, learned
from torch import nn

from explainrec_lab import training
from explainrec_lab.data.store import seal

settings = importlib.import_module("explainrec_lab.settings")

TESTS = Path(__file__).resolve().parents[1]
SCRIPT = str(TESTS / "learners.py")
OURS = ("EXPLAINREC_", "SLURM_", "LT_", "TORCHELASTIC", "LOCAL_", "WORLD_SIZE", "MASTER_", "RANK")


def free_port() -> int:
    """A port that nobody listens on: the usual one may be another run's."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


# How to start two processes.
STARTS = {
    "itself": [sys.executable, SCRIPT],
    "torchrun": [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", SCRIPT],
    "fabric run": [
        *(sys.executable, "-c", "from lightning_fabric.cli import _main; _main()", "run"),
        *("--accelerator=cpu", "--devices=2", f"--main-port={free_port()}", SCRIPT),
    ],
}


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked for, and 32 bits everywhere: halves round otherwise in other batches."""
    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)
    # a worker of pytest-xdist has no file, as a console has none
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "script.py", raising=False)
    monkeypatch.setenv("EXPLAINREC_SETTINGS", "ci")
    monkeypatch.setenv("EXPLAINREC_PRECISION", "32-true")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small products: more threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def started(by: str, to: Path, *more: str, devices: int = 2) -> subprocess.Popen[str]:
    own = {"EXPLAINREC_DEVICES": str(devices)} if by == "itself" else {}
    own |= {"EXPLAINREC_CACHE": str(to.parent / "cache"), "OMP_NUM_THREADS": "1"}
    own |= {"PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([*STARTS[by], str(to), *more], env={**os.environ, **own}, **pipes)


def ended(run: subprocess.Popen[str]) -> str:
    told, _ = run.communicate(timeout=500)
    assert run.returncode == 0, told[-3000:]
    return told


def broken_off(run: subprocess.Popen[str], when: Path, victim: int) -> None:
    """Kill one of its processes as soon as a checkpoint is there, and wait for all to end."""
    assert run.stdout is not None
    pids: list[int] = []
    while len(pids) <= victim:
        line = run.stdout.readline()
        assert line, "it ended by itself"
        pids += [int(line.split()[1])] if line.startswith("process ") else []
    others = {pid for pid in pids if pid != run.pid}
    chosen = run.pid if victim == 0 else others.pop()
    while not when.exists():
        assert run.poll() is None, run.stdout.read()[-3000:]
        time.sleep(0.002)
    os.kill(chosen, signal.SIGKILL)
    run.communicate(timeout=500)
    assert run.returncode != 0


def assert_same(found: dict[str, Any], one: dict[str, Any]) -> None:
    for name in LEARNERS:
        assert len(found[name]["loss"]) == EPOCHS
        assert found[name]["loss"] == pytest.approx(one[name]["loss"], abs=1e-5), name
        for part, weight in one[name]["weights"].items():
            torch.testing.assert_close(found[name]["weights"][part], weight, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("by", ["torchrun", "fabric run"])
def test_two_processes_learn_what_one_learns(by: str, tmp_path: Path) -> None:
    """All chapters, fifty steps each; and a network that is kept is trained by both, once."""
    ended(started(by, tmp_path / "two"))
    one = learned()
    for rank in range(2):
        two = torch.load(tmp_path / f"two.{rank}", weights_only=True)
        assert two["processes"] == 2
        assert two["kept"]["weight"].item() == 3.0  # (0 + 1) + (1 + 1), told to both
        assert_same(two, one)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("devices", "victim"), [(1, 0), (2, 1)])
def test_a_killed_run_goes_on_where_it_was(devices: int, victim: int, tmp_path: Path) -> None:
    """Killed in the third of five trainings; the same command then reads two and ends the third."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    third = folder / f"{list(LEARNERS)[2]}.checkpoint"
    run = started("itself", tmp_path / "out", str(folder), devices=devices)
    broken_off(run, third, victim)
    assert not (tmp_path / "out.0").exists()
    before = third.stat().st_mtime_ns
    ended(started("itself", tmp_path / "out", str(folder), devices=devices))
    assert third.stat().st_mtime_ns > before
    one = learned()
    for rank in range(devices):
        again = torch.load(tmp_path / f"out.{rank}", weights_only=True)
        assert again["processes"] == devices
        assert_same(again, one)


# --------------------------------------------------------------------------- checkpoints


def test_a_checkpoint_ends_as_an_unbroken_run(tmp_path: Path) -> None:
    """Broken off in this process, by an error of the page; what the loss remembers goes on too."""
    one = learned()

    class Broken(Exception):
        pass

    def error(epoch: int, model: nn.Module) -> float:
        if epoch == 3:
            raise Broken
        return epoch / 2

    for name, learner in LEARNERS.items():
        file = tmp_path / f"{name}.checkpoint"
        with pytest.raises(Broken):
            learner(checkpoint=file, after_epoch=error)
        model, history = learner(checkpoint=file, after_epoch=lambda epoch, model: epoch / 2)
        assert history.notes == [epoch / 2 for epoch in range(EPOCHS)]
        assert history.loss == pytest.approx(one[name]["loss"], abs=1e-6)
        for part, weight in model.state_dict().items():
            torch.testing.assert_close(weight, one[name]["weights"][part], rtol=0, atol=1e-6)
        again, told = learner(checkpoint=file)  # nothing is left to learn
        assert told.loss == history.loss
        assert not again.training


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    file, examples = tmp_path / "x.checkpoint", LEARNERS["reconet"]
    examples(checkpoint=file)
    content = file.read_bytes()
    with pytest.raises(ValueError, match=r"x\.checkpoint is of other settings, data or parts"):
        LEARNERS["reconet, attributes"](checkpoint=file)
    with pytest.raises(ValueError, match=r"x\.checkpoint is of other settings, data or parts"):
        LEARNERS["saers"](checkpoint=file)
    assert file.read_bytes() == content


def test_a_damaged_checkpoint_is_refused_and_nothing_of_it_executed(tmp_path: Path) -> None:
    file, learner = tmp_path / "x.checkpoint", LEARNERS["reconet"]
    learner(checkpoint=file)
    whole, planted = file.read_bytes(), tmp_path / "planted"

    class Planted:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(planted),)

    torch.save({"key": Planted()}, tmp_path / "evil")
    for bad in (b"", whole[:-1], whole[:100], whole[:-40] + b"12345678" + whole[-32:]):
        file.write_bytes(bad)
        with pytest.raises(ValueError, match=r"checkpoint: .* is damaged, or holds more than"):
            learner(checkpoint=file)
    seal(file, (tmp_path / "evil").read_bytes())
    with pytest.raises(ValueError, match=r"checkpoint: .* is damaged, or holds more than"):
        learner(checkpoint=file)
    assert not planted.exists()


def test_notes_that_could_not_be_read_again_are_refused_at_once(tmp_path: Path) -> None:
    file = tmp_path / "x.checkpoint"
    with pytest.raises(ValueError, match="holds more than tensors, numbers and text"):
        LEARNERS["reconet"](checkpoint=file, after_epoch=lambda epoch, model: Path("x"))
    assert not file.exists()


# --------------------------------------------------------------------------- wishes


def asked(monkeypatch: pytest.MonkeyPatch, **names: str) -> Any:
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    return settings.fabric()


TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2",
    "RANK": "0", "LOCAL_RANK": "0",
}  # fmt: skip
SRUN = {
    "SLURM_STEP_ID": "0", "SLURM_NTASKS": "4", "SLURM_NNODES": "2", "SLURM_PROCID": "0",
    "SLURM_NTASKS_PER_NODE": "2",
}  # fmt: skip
LESS = {name: value for name, value in SRUN.items() if name != "SLURM_NTASKS_PER_NODE"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"EXPLAINREC_DEVICES": "two"}, "EXPLAINREC_DEVICES: 'two' must be a whole number from 1"),
        ({"EXPLAINREC_DEVICES": "0"}, "EXPLAINREC_DEVICES: '0' must be a whole number from 1"),
        ({"EXPLAINREC_DEVICES": "-1"}, "EXPLAINREC_DEVICES: '-1' must be a whole number"),
        ({"EXPLAINREC_DEVICES": "\u0662"}, "must be a whole number from 1"),
        ({"EXPLAINREC_NODES": "all"}, "EXPLAINREC_NODES: 'all' must be a whole number from 1"),
        ({"EXPLAINREC_DEVICES": "99999"}, "EXPLAINREC_DEVICES is 99999, but this machine has"),
        ({"EXPLAINREC_PRECISION": "bf8"}, "EXPLAINREC_PRECISION: 'bf8'; choose from 32-true"),
        ({"EXPLAINREC_NODES": "2"}, "EXPLAINREC_NODES is 2: let torchrun or srun start it, or set"),
        (
            TORCHRUN | {"EXPLAINREC_DEVICES": "4"},
            "torchrun started 2 processes on each of 2 machines, but 4 on 2",
        ),
        (
            TORCHRUN | {"EXPLAINREC_NODES": "1"},
            "torchrun started 2 .* but 2 on 1 are asked for: unset it",
        ),
        (
            SRUN | {"EXPLAINREC_DEVICES": "4"},
            "srun started 2 processes on each of 2 machines, but 4 on 2",
        ),
        (LESS, "SLURM_NTASKS_PER_NODE: '' must be a whole number from 1"),
        (TORCHRUN | SRUN, "srun and torchrun both start processes: give srun one task a machine"),
    ],
)
def test_a_wrong_wish_is_named(
    names: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=message):
        asked(monkeypatch, **names)


def test_a_notebook_is_told_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sys.modules["__main__"], "__file__")
    with pytest.raises(ValueError, match="a notebook or console trains in one process: unset it"):
        asked(monkeypatch, EXPLAINREC_DEVICES="2")


def test_gpus_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match="EXPLAINREC_DEVICES is 2, but this machine has 1 cuda"):
        asked(monkeypatch, EXPLAINREC_SETTINGS="gpu", EXPLAINREC_DEVICES="2")


@pytest.mark.parametrize("names", [TORCHRUN, SRUN], ids=["torchrun", "srun"])
def test_training_alone_among_several_is_an_error(
    names: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    one, plan = training.processes(), training.Optimisation(1, 0.1)
    with pytest.raises(ValueError, match="it has 1 process, but 4 were started, and each would"):
        training.fit(nn.Linear(1, 1), lambda epoch: [], lambda m, b: b, plan, fabric=one)


def test_batch_norm_sees_all_processes_or_is_refused() -> None:
    """Its means would be those of one share; torch takes them over processes on GPUs alone."""
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    how: Any = model, lambda epoch: [], lambda model, batch: batch, training.Optimisation(1, 0.1)
    two: Any = SimpleNamespace(world_size=2, device=torch.device("cpu"))
    with pytest.raises(ValueError, match="its batch norm needs the means of all processes"):
        training.fit(*how, fabric=two)
    assert type(model[1]) is nn.BatchNorm1d
    two.device = torch.device("cuda")
    with pytest.raises(AttributeError, match="setup"):  # this one can do no more
        training.fit(*how, fabric=two)
    assert type(model[1]) is nn.SyncBatchNorm


def test_an_interactive_job_of_a_cluster_trains_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, **SRUN, SLURM_JOB_NAME="bash").world_size == 1
    assert asked(monkeypatch, EXPLAINREC_DEVICES="auto").world_size == 1


# --------------------------------------------------------------------------- precision


@pytest.mark.parametrize("name", LEARNERS)
def test_mixed_precision_learns_as_much(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half the digits a product: the losses of all epochs within a few per cent."""
    _, usual = LEARNERS[name]()
    monkeypatch.setenv("EXPLAINREC_PRECISION", "bf16-mixed")
    model, mixed = LEARNERS[name]()
    assert all(part.dtype == torch.float32 for part in model.parameters())
    assert mixed.loss == pytest.approx(usual.loss, rel=0.1)
    assert mixed.loss != usual.loss
