"""python -m experiments NAME: run an experiment and record its results.

python -m experiments data       what data there is, and whether it is here
python -m experiments weights    train the networks that the pages load
python -m experiments train      train a chapter's model on one device, several, or a cluster
python -m experiments histories  a raw log of very many users as histories on disk; see its --help
"""

import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from experiments import histories, train, weights
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
PARSED = {"train": train, "histories": histories}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; bad input ends with one line on stderr and exit code 2."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        if given and (own := PARSED.get(given[0])):
            own.main(_asked(f" {given[0]}", own.__doc__, own.__file__, given[1:]))
        else:
            names = {"name": {"choices": [*COMMANDS, *EXPERIMENTS]}}
            _run(_asked("", __doc__, __file__, given, **names))
    except (ValueError, OSError) as error:
        print(f"experiments: {error}", file=sys.stderr)
        return 2
    return 0


def _asked(command: str, told: Any, file: Any, given: list[str], **more: Any) -> Namespace:
    """What a command line asks for; its arguments stand in the TOML beside the command's file."""
    parser = ArgumentParser(f"python -m experiments{command}", description=told)
    parser.formatter_class = RawDescriptionHelpFormatter
    for word, about in (more | table_beside(file)).items():
        parser.add_argument(word, type=type(about.get("default", "")), **about)
    return parser.parse_args(given)


def _run(asked: Namespace) -> None:
    check_least(**{"--seeds": asked.seeds, "--threads": asked.threads})
    if asked.name in COMMANDS:
        return COMMANDS[asked.name]()
    torch.set_num_threads(asked.threads)
    torch.set_float32_matmul_precision(asked.precision)
    found, folder = EXPERIMENTS[asked.name](asked.seeds), Path(asked.results or FOLDER)
    print("written to", record(asked.name, found, folder))


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):  # no letter that a terminal lacks stops a run
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(main())
