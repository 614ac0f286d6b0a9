"""Figure 3 of the LRP paper over several seeds, with what the figure leaves out.

The target of each pair is spoiled patch by patch, the most relevant first, and the logit watched.
Beside the paper's rule stand other rules, gradients, maps that look at no model, and a random
order; beside its uniform noise stands the background of the picture itself.

Source: LRP paper, §2.3 and §3.3, Figure 3.
"""

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from experiments.record import Columns, Result, results
from experiments.relation import CPU, shop_of
from experiments.relation_truth import Tested, tested
from explainrec_lab import lrp
from explainrec_lab.data.contracts import Dataset, present
from explainrec_lab.evaluate import faithfulness, localisation
from explainrec_lab.relation.truth_table import METHODS, Explainer, explained, propagated

STABILISERS = {
    f"LRP epsilon {value:g}": propagated(lrp.Epsilon(value)) for value in (1e-6, 0.01, 1.0)
}
RIVALS = (
    *("LRP w²-gamma-epsilon", "LRP through the main attribute", "LRP epsilon-gamma-box"),
    *("gradient x input", "Grad-CAM"),
)
CHOSEN: dict[str, Explainer] = STABILISERS | {name: METHODS[name] for name in RIVALS}
PATCHES = 16  # along the side of a picture


def relation_perturbation(seeds: int = 3) -> Iterator[Result]:
    """Areas over the curve on 50 right pairs of each kind, in units of the logit.

    Beside them each map's mass over area in the part masks, and the rank correlation of the two
    over all maps that do not know the truth.
    """
    dataset = shop_of(CPU)
    for seed in range(seeds):
        found = tested(CPU, dataset, seed, 50)
        shared = {"data": "boutique", "seed": seed, "cost": found.model.seconds}
        yield from results(_areas(found, dataset), settings=asdict(CPU), **shared)


def _maps(found: Tested, dataset: Dataset) -> dict[str, Tensor]:
    """Relevance of the targets: by the explainers, and without any model."""
    first = next(iter(CHOSEN))
    asked: list[tuple[str, Explainer, nn.Module]] = [
        (f"{first}, of the logit", CHOSEN[first], found.model),
        *((name, each, found.close) for name, each in CHOSEN.items()),
    ]
    maps = {name: explained(each, of, dataset, found.right)[1] for name, each, of in asked}
    shape = localisation.reference_maps(dataset, found.right.target)["silhouette"]
    maps["silhouette"] = torch.from_numpy(shape).float()
    return maps


def _areas(found: Tested, dataset: Dataset) -> Iterator[Columns]:
    """Mass over area of all maps, the areas over their curves, and how the two agree."""
    truth = torch.from_numpy(localisation.relation_masks(dataset, found.right.rows)[:, 1])
    maps = _maps(found, dataset) | {"true region": truth.float()}
    mass = {name: np.nanmean(localisation.mass_ratio(each, truth)) for name, each in maps.items()}
    source, target = found.right.pictures(present("images", dataset.catalogue.images))
    with torch.no_grad():
        x, n = found.model.features(source), len(found.right)
    for name, value in mass.items():
        yield {"method": name, "measure": "mass_ratio", "value": value, "n": n}
    orders = [(name, order) for name in maps for order in ("most", "least")]
    for how in ("noise", "background"):
        areas = {}
        for name, order in [*orders, ("random", "random")]:
            area = _area(found, x, target, maps.get(name), order, how)
            row = {"method": name, "measure": "area over the curve", "how": how, "order": order}
            yield row | {"value": area, "n": n}
            areas[name, order] = area
        blind = [name for name in maps if name != "true region"]
        alike = spearmanr([areas[name, "most"] for name in blind], [mass[name] for name in blind])
        row = {"method": "all maps", "measure": "rank correlation with mass_ratio", "how": how}
        yield row | {"value": alike.statistic, "n": len(blind)}


def _area(
    found: Tested, x: Tensor, target: Tensor, relevance: Tensor | None, order: str, how: str
) -> float:
    """The area over one curve: the sources, with features x, stay whole; the targets suffer."""

    def logit(image: Tensor, x: Tensor, user: Tensor, kind: Tensor) -> Tensor:
        return found.model.logit(x, found.model.features(image), user, kind)

    curve = faithfulness.perturb(
        logit,
        target,
        relevance,
        order=order,
        patch=target.shape[-1] // PATCHES,
        steps=10,
        per_step=6,
        context=(x, *map(torch.from_numpy, (found.right.user, found.right.kind))),
        instead=faithfulness.background(target) if how == "background" else None,
    )
    return float(faithfulness.aopc(curve).mean())
