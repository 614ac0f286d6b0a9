"""SIGKILL at random moments: no broken file under a final name, and the next run is right.

Each work goes on and on in a process of its own until that is killed. 3 kills a work; 50 under
EXPLAINREC_NIGHTLY=1.
"""

from __future__ import annotations

import hashlib
import http.server
import itertools
import json
import multiprocessing
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import build
import numpy as np
import pooch
import pytest
import torch
from machine import NIGHTLY

from experiments.record import Columns, record
from explainrec_boutique import gallery
from explainrec_boutique.design import sample
from explainrec_boutique.render import render
from explainrec_lab import training
from explainrec_lab.data import store

KILLS = 50 if NIGHTLY else 3
FORK = multiprocessing.get_context("fork")  # starts at once, where spawn imports for seconds


def killed(work: Callable[[], None], seconds: float) -> None:
    process = FORK.Process(target=work)
    process.start()
    time.sleep(seconds)
    process.kill()
    process.join()
    assert process.exitcode == -9, "it ended by itself"


def moments(longest: float = 0.3) -> Iterator[float]:
    yield from np.random.default_rng(7).uniform(0.01, longest, KILLS).tolist()


@pytest.fixture(autouse=True)
def whole(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No warning of a damaged file, and one thread, which a fork needs."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*damaged.*")
        yield
    torch.set_num_threads(threads)


CONTENT = np.random.default_rng(1).bytes(400_000)


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serves CONTENT in pieces, which takes a tenth of a second."""
    fetch = pooch.HTTPDownloader()  # without a bar: who is killed would keep its lock from a fork
    monkeypatch.setattr(pooch, "HTTPDownloader", lambda **_: fetch)

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            for start in range(0, len(CONTENT), 20_000):
                try:
                    self.wfile.write(CONTENT[start : start + 20_000])
                except OSError:  # who asked was killed
                    return
                time.sleep(0.005)

        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/a.zip"
    server.shutdown()
    server.server_close()


def test_a_download(tmp_path: Path, url: str) -> None:
    def check(path: Path) -> None:
        assert path.read_bytes() == CONTENT

    def work() -> None:
        for number in itertools.count():
            store.download(url, tmp_path / f"{number}.zip", check)

    for moment in moments():
        killed(work, moment)
        for path in tmp_path.glob("*.zip"):
            check(path)
            path.unlink()
        store.download(url, tmp_path / "0.zip", check)
        check(tmp_path / "0.zip")


def test_a_drawing_of_several_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "FEW", 0)
    monkeypatch.setattr(gallery, "CPUS", 3)
    designs = [sample(0, item) for item in range(60)]
    some = [0, 7, 30, 59]
    right = np.stack([render(designs[item], 32).image for item in some])

    def work() -> None:
        for number in itertools.count():
            gallery.Gallery(designs, 32, tmp_path / str(number))[:]

    for moment in moments():
        killed(work, moment)
        first = gallery.Gallery(designs, 32, tmp_path / "0")
        np.testing.assert_array_equal(first[some], right)
        first.path.unlink()
    deadline = time.monotonic() + 10
    while orphans(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not orphans(tmp_path)


def orphans(folder: Path) -> list[str]:
    """Processes that hold a file below the folder open."""
    found = []
    for handle in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(handle.readlink()).startswith(str(folder)) and handle.parts[2] != str(
                os.getpid()
            ):
                found.append(handle.parts[2])
        except OSError:
            continue
    return found


def learned(model: torch.nn.Linear) -> float:
    """A training of some steps: the same weights each time."""
    with torch.no_grad():
        model.weight.zero_()
        for step in range(20):
            model.weight.add_(
                torch.arange(float(model.weight.numel())).view_as(model.weight) * step
            )
    return 1.0


def test_a_training_that_is_kept(tmp_path: Path) -> None:
    def model_of(number: int) -> torch.nn.Linear:
        model = torch.nn.Linear(300, 300, bias=False)
        training.cached(tmp_path / f"{number}.kept", model, lambda: learned(model))
        return model

    def work() -> None:
        for number in itertools.count():
            model_of(number)

    right = torch.nn.Linear(300, 300, bias=False)
    learned(right)
    for moment in moments():
        killed(work, moment)
        for number in range(1 + len(list(tmp_path.glob("*.kept")))):
            assert torch.equal(model_of(number).weight, right.weight)
        for path in tmp_path.glob("*.kept"):
            path.unlink()


def test_a_recording(tmp_path: Path) -> None:
    def rows(run: int) -> Iterator[Columns]:
        for n in range(8):
            yield Columns(data="toy", method="a", measure="auc", value=run + n, seed=n)

    def work() -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # its lines
        for run in itertools.count():
            record("toy", rows(run), tmp_path)

    record("toy", rows(0), tmp_path)
    for moment in moments():
        killed(work, moment)
        found = json.loads((tmp_path / "toy.json").read_bytes())["results"]
        run = found[0]["value"]
        assert [each["value"] for each in found] == [run + n for n in range(8)]
    record("toy", rows(5), tmp_path)
    assert json.loads((tmp_path / "toy.json").read_bytes())["results"][0]["value"] == 5
    assert not list(tmp_path.glob("toy.part.json"))


def test_a_build_that_takes_its_place(tmp_path: Path) -> None:
    final = tmp_path / "ci"

    def built(version: int) -> None:
        with build.alone(final) as tree:
            for n in range(20):
                (tree / f"{n}.ipynb").write_bytes(b"%d" % version)
            build.take_place(tree, final)

    def work() -> None:
        for version in itertools.count(1):
            built(version)

    built(0)
    for moment in moments():
        killed(work, moment)
        with build.alone(final) as tree:  # what stood there before is there again
            versions = {path.read_bytes() for path in final.iterdir()}
            assert len(versions) == 1 and len(list(final.iterdir())) == 20
            assert [path for path in tmp_path.glob("[!.]*") if path != final] == [tree]
        built(0)
        assert {path.read_bytes() for path in final.iterdir()} == {b"0"}


def test_what_was_served_is_what_was_kept(tmp_path: Path, url: str) -> None:
    """Else the first test says nothing: a check that fails leaves nothing."""

    def refuse(path: Path) -> None:
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(CONTENT).digest()
        raise ValueError("another")

    with pytest.raises(ValueError, match="another"):
        store.download(url, tmp_path / "a.zip", refuse)
    assert not list(tmp_path.iterdir())
