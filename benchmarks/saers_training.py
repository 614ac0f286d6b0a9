"""What a training step of each ranker costs over VBPR's, by the same loop on the same triples.

Random features of the boutique's shape: items have the attributes that the boutique gives them.
All are measured in one process, taking turns, in CPU time; the median is printed, one JSON line a
ranker.

    python benchmarks/saers_training.py
    python benchmarks/saers_training.py --d 100
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np
import torch
from explainrec_lab.saers.learning import ranking_losses
from explainrec_lab.saers.sampling import Batch, Triples

from explainrec_lab import data, saers
from explainrec_lab.baselines.visual import BPRMF, VBPR, DeepStyle, Ranker

ITEMS, SHOPPERS = 2500, 1500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--d", type=int, default=32)
    parser.add_argument("--m", type=int, default=128, help="length of a feature")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    shop = data.load("boutique", items=ITEMS, shoppers=SHOPPERS)
    assert shop.catalogue.attributes is not None
    models = rankers(shop.catalogue.attributes >= 0, asked.d, asked.m)
    batches = list(Triples(data.leave_one_out(shop.interactions).train, asked.batch)(0))
    optimisers = {
        name: torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
        for name, model in models.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(asked.repeats + 1):
        for name, model in models.items():
            start = time.process_time()
            epoch(model, batches, optimisers[name])
            seconds[name].append((time.process_time() - start) / len(batches))
    medians = {name: statistics.median(each[1:]) for name, each in seconds.items()}
    for name, median in medians.items():
        result = {
            "benchmark": name,
            "milliseconds a step": round(1e3 * median, 3),
            "over VBPR": round(median / medians["VBPR"], 2),
        }
        print(json.dumps(result | vars(asked)))


def rankers(applies: np.ndarray, d: int, m: int) -> dict[str, Ranker]:
    """Untrained rankers on random features."""
    rng = torch.Generator().manual_seed(0)
    vectors = torch.randn(ITEMS, m, generator=rng)
    has = torch.from_numpy(applies)
    features = torch.randn(*has.shape, m, generator=rng) * has[..., None]
    whole = [saers.LinearFeature(vectors, d) for _ in range(2)]
    category = torch.arange(ITEMS) % 3
    return {
        "BPR-MF": BPRMF(SHOPPERS, ITEMS, d),
        "VBPR": VBPR(SHOPPERS, vectors, d),
        "DeepStyle": DeepStyle(SHOPPERS, vectors, category, d),
        "SAERS": saers.SAERS(SHOPPERS, features, has, whole[0], d),
        "SAERS, a sum": saers.SAERS(SHOPPERS, features, has, whole[1], d, fusion="sum", bias=True),
    }


def epoch(model: Ranker, batches: list[Batch], optimiser: torch.optim.Optimizer) -> None:
    losses = ranking_losses(1e-4)
    for batch in batches:
        loss = losses(model, batch).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


if __name__ == "__main__":
    main()
