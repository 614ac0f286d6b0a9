"""The speed of RecoNet's explanations on MovieLens 1M.

    python benchmarks/reconet.py explanations  # latency, bulk, agreement of the three routes
    python benchmarks/reconet.py removal       # how fast removal curves of all users are

One JSON line a result. Recall, LIME and their costs are recorded by `python -m experiments
reconet-table-1` and `reconet-lime`.
"""

import argparse
import statistics

import numpy as np
import torch
from measure import Action, say, wall_seconds

from experiments.reconet import Version, likes
from experiments.reconet_removal import recommended
from explainrec_lab import reconet
from explainrec_lab.evaluate.ranking import top_k
from explainrec_lab.reconet import removal


def explanations() -> None:
    """Latency of one explanation, explanations a second in bulk, agreement of three routes."""
    parts = likes(0, attributes=False)
    model, _ = Version().trained(parts.train, 0)
    sets = model.space.profiles(parts.train)
    latency(model, sets)
    with torch.inference_mode():
        items = top_k(model(sets), 10, parts.train.matrix).numpy()
    for threads in (1, 2):
        bulk(model, sets, items, threads)
    agreement(model, sets)


def latency(model: reconet.RecoNet, sets: reconet.Sets) -> None:
    """One recommendation (all items scored, the best new one taken) and its ranked explanation,
    through the functions that a reader calls."""
    one = sets.rows(100, 101)

    def answer() -> None:
        (item,) = reconet.recommend(model, one, k=1)[0].tolist()
        reconet.explain(model, one, item)

    say("inference + explanation", 1e3 * median_seconds(answer, 500), "ms", d=model.W.shape[1])


def bulk(model: reconet.RecoNet, sets: reconet.Sets, items: np.ndarray, threads: int) -> None:
    """Top ten features for every user and each of her ten items, P = W Q^T included."""
    torch.set_num_threads(threads)
    median = median_seconds(lambda: reconet.explain_many(model, sets, items, threads=threads), 15)
    say("explanations in bulk", items.size / median, "1/s", threads=threads)


def agreement(model: reconet.RecoNet, sets: reconet.Sets) -> None:
    """Largest difference between three steps, closed form and gradient, relative to max |Z|."""
    for dtype in (torch.float64, torch.float32):
        worst = max(_difference(model.to(dtype), sets.rows(u, u + 1)) for u in range(0, 600, 3))
        say("three routes differ by", worst, "relative", dtype=str(dtype))


def _difference(model: reconet.RecoNet, one: reconet.Sets) -> float:
    item = int(model(one)[0].argmax())
    I = torch.ones(len(one.ids), dtype=model.W.dtype, requires_grad=True)  # noqa: E741
    y = model.W[item] @ (I @ model.Q[one.ids]) / len(one.ids)
    (by_gradient,) = torch.autograd.grad(y, I)
    with torch.no_grad():
        closed = reconet.closed_form(model.Q[one.ids], model.W[item])
        steps = reconet.three_steps(model, one, item)
    largest = float(closed.abs().max())
    return max(float((closed - other).abs().max()) for other in (by_gradient, steps)) / largest


def removals() -> None:
    """Curves of all users, k = 0..50, for the one-layer model: relevances, turns, changes."""
    model, sets, items, _ = recommended(("RecoNet", "attributes"), 0)

    def curve() -> None:
        Z = reconet.relevance(model, sets, items)
        removal.remove(model, sets, items, removal.turns(sets, Z))

    say("removal curve", median_seconds(curve, 5), "s", users=len(sets))


def median_seconds(action: Action, repeats: int) -> float:
    return statistics.median(wall_seconds(action) for _ in range(repeats))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["explanations", "removal"])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # its first use imports for seconds
    {"explanations": explanations, "removal": removals}[asked.what]()


if __name__ == "__main__":
    main()
