"""python -m experiments NAME: run an experiment and record its results.

python -m experiments data       what data there is, and whether it is here
python -m experiments weights    train the networks that the pages load
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from experiments import weights
from experiments.reconet import reconet_table_1
from experiments.reconet_cold import reconet_cold_start
from experiments.reconet_removal import reconet_lime, reconet_removal
from experiments.reconet_truth import reconet_truth
from experiments.record import Result, record
from experiments.relation import relation_feedback, relation_recommendation, relation_table_1
from experiments.relation_perturbation import relation_perturbation
from experiments.relation_truth import relation_truth
from experiments.saers import saers_ablation, saers_auc, saers_truth
from experiments.saers_boxes import saers_boxes
from experiments.saers_photos import saers_photos
from experiments.saers_search import saers_living, saers_search
from experiments.saers_siamese import saers_siamese
from experiments.search import reconet_search, reconet_search_households
from explainrec_lab import data

EXPERIMENTS: dict[str, Callable[[int], Iterator[Result]]] = {
    each.__name__.replace("_", "-"): each
    for each in (
        *(reconet_search, reconet_search_households, reconet_table_1, reconet_removal),
        *(reconet_lime, reconet_cold_start, reconet_truth),
        *(relation_table_1, relation_truth, relation_perturbation),
        *(relation_recommendation, relation_feedback),
        *(saers_boxes, saers_search, saers_auc, saers_ablation, saers_siamese, saers_truth),
        *(saers_photos, saers_living),
    )
}
# What else `python -m experiments` does.
COMMANDS: dict[str, Callable[[], None]] = {
    "data": lambda: print(data.available().to_string()),
    "weights": weights.write,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; bad input ends with one line on stderr and exit code 2."""
    asked = _parser().parse_args(arguments)
    try:
        _run(asked)
    except (ValueError, data.DataNotFound) as error:
        print(f"experiments: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m experiments", description="Record our results.")
    parser.add_argument("name", choices=[*COMMANDS, *EXPERIMENTS])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=["highest", "medium"], default="highest")
    parser.add_argument("--results", type=Path, default=Path("book/reference/results"))
    return parser


def _run(asked: argparse.Namespace) -> None:
    for option in ("seeds", "threads"):
        if getattr(asked, option) < 1:
            raise ValueError(f"--{option}: {getattr(asked, option)}; must be at least 1")
    if asked.name in COMMANDS:
        return COMMANDS[asked.name]()
    torch.set_num_threads(asked.threads)
    torch.set_float32_matmul_precision(asked.precision)
    print("written to", record(asked.name, EXPERIMENTS[asked.name](asked.seeds), asked.results))


if __name__ == "__main__":
    sys.exit(main())
