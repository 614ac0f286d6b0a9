"""The papers' tables and claims, and the record of what we got.

`python -m experiments reconet-table-1` runs an experiment and writes its results, with data, seed,
hardware class, version and date, to `book/reference/results/`. Nothing else writes there. The
results page puts them beside the papers' numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments import (
    reconet,
    reconet_cold,
    reconet_removal,
    reconet_truth,
    relation,
    saers,
    saers_boxes,
    saers_photos,
    saers_search,
    saers_siamese,
    search,
)
from experiments.record import Result, where
from explainrec_lab.data.store import whole_file

EXPERIMENTS: dict[str, Callable[[int], Iterator[Result]]] = {
    "reconet-search": search.reconet_search,
    "reconet-search-households": search.reconet_search_households,
    "reconet-table-1": reconet.reconet_table_1,
    "reconet-removal": reconet_removal.reconet_removal,
    "reconet-lime": reconet_removal.reconet_lime,
    "reconet-cold-start": reconet_cold.reconet_cold_start,
    "reconet-truth": reconet_truth.reconet_truth,
    "relation-table-1": relation.relation_table_1,
    "relation-truth": relation.relation_truth,
    "relation-feedback": relation.relation_feedback,
    "saers-boxes": saers_boxes.saers_boxes,
    "saers-search": saers_search.saers_search,
    "saers-auc": saers.saers_auc,
    "saers-ablation": saers.saers_ablation,
    "saers-siamese": saers_siamese.saers_siamese,
    "saers-truth": saers.saers_truth,
    "saers-photos": saers_photos.saers_photos,
}


def reproduce(name: str, folder: Path, seeds: int = 3) -> Path:
    """Run one experiment and write its results; each new result is written at once.

    Raises:
        ValueError: an unknown experiment.
    """
    if name not in EXPERIMENTS:
        raise ValueError(f"experiment: {name!r}; choose from {', '.join(EXPERIMENTS)}")
    target = folder / f"{name}.json"
    results: list[dict[str, Any]] = []
    for result in EXPERIMENTS[name](seeds):
        results.append(asdict(result))
        print(f"{result.method}, seed {result.seed}: {result.measure} {result.value:.4f}")
        record = {"experiment": name, **where(), "results": results}
        with whole_file(target) as part:
            part.write_text(json.dumps(record, indent=1) + "\n")
    return target
