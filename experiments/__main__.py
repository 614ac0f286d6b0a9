"""python -m experiments NAME: run an experiment and record its results.

python -m experiments data       what data there is, and whether it is here
python -m experiments weights    train the networks that the pages load
python -m experiments train      train a chapter's model on one device, several, or a cluster
python -m experiments shards     a raw log of very many users as histories on disk; see its --help
"""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import torch

from experiments import shards, train, weights
from experiments.record import Rows, record
from explainrec_lab import data
from explainrec_lab.data.contracts import check_least
from explainrec_lab.data.store import FOLDER, table_beside

EXPERIMENTS: dict[str, Callable[[int], Rows]] = {
    name: getattr(import_module(f"experiments.{module}"), name.replace("-", "_"))
    for name, module in table_beside(Path(__file__).with_name("names")).items()
}
# What else `python -m experiments` does.
COMMANDS: dict[str, Callable[[], None]] = {
    "data": lambda: print(data.available().to_string()),
    "weights": weights.write,
}
# What has arguments of its own.
PARSED: dict[str, Callable[[list[str]], None]] = {"train": train.main, "shards": shards.main}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; bad input ends with one line on stderr and exit code 2."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        own = PARSED.get(given[0]) if given else None
        own(given[1:]) if own else _run(_parser().parse_args(given))
    except (ValueError, data.DataNotFound) as error:
        print(f"experiments: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    told = "Record our results. To train a model: python -m experiments train --help"
    parser = argparse.ArgumentParser("python -m experiments", description=told)
    parser.add_argument("name", choices=[*COMMANDS, *EXPERIMENTS])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=["highest", "medium"], default="highest")
    parser.add_argument("--results", type=Path, default=FOLDER)
    return parser


def _run(asked: argparse.Namespace) -> None:
    check_least(**{"--seeds": asked.seeds, "--threads": asked.threads})
    if asked.name in COMMANDS:
        return COMMANDS[asked.name]()
    torch.set_num_threads(asked.threads)
    torch.set_float32_matmul_precision(asked.precision)
    print("written to", record(asked.name, EXPERIMENTS[asked.name](asked.seeds), asked.results))


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):  # no letter that a terminal lacks stops a run
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(main())
