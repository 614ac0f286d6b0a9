"""`explainrec`: what the package does from a terminal.

explainrec data                        what data there is, and whether it is here
python -m experiments reconet-table-1   run an experiment and record its results
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from explainrec_lab import data


def main(arguments: list[str] | None = None) -> int:
    """Run one command; bad input ends with one line on stderr and exit code 2."""
    asked = _parser().parse_args(arguments)
    try:
        asked.run(asked)
    except (ValueError, data.DataNotFound) as error:
        print(f"experiments: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="explainrec", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="command")
    listing = commands.add_parser("data", help="what data there is, and whether it is here")
    listing.set_defaults(run=lambda _: print(data.available().to_string()))
    files = commands.add_parser("weights", help="train and write the networks of the package")
    files.set_defaults(run=_weights)
    again = commands.add_parser("reproduce", help="run an experiment and record its results")
    again.add_argument("experiment")
    again.add_argument("--seeds", type=int, default=3)
    again.add_argument("--threads", type=int, default=1)
    again.add_argument("--precision", choices=["highest", "medium"], default="highest")
    again.add_argument("--results", type=Path, default=Path("book/reference/results"))
    again.set_defaults(run=_reproduce)
    return parser


def _reproduce(asked: argparse.Namespace) -> None:
    import torch

    from experiments import reproduce

    torch.set_num_threads(asked.threads)
    torch.set_float32_matmul_precision(asked.precision)
    print(f"written to {reproduce(asked.experiment, asked.results, asked.seeds)}")


def _weights(asked: argparse.Namespace) -> None:
    from experiments import weights

    weights.write()


if __name__ == "__main__":
    sys.exit(main())
