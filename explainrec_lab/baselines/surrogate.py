"""Explainers that only call the model: they ask what becomes of the score as features are left out.

Source: RecoNet, §5.5 (LIME, Ribeiro et al. 2016); Shapley values as a second school. A black box
takes masks `[sample, n]`, 1 = the feature is there, and gives one score a sample. All functions
return one number a feature. What other LIMEs cost is in the record `reconet-lime`. Explainers that
look inside are in `attribution.py`.

    lime(black_box, n=40, samples=5000, seed=0)
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from explainrec_lab.data.contracts import check_least

# Masks of features -> scores.
BlackBox = Callable[[Float[Tensor, "sample n"]], Float[Tensor, " sample"]]

# Penalty on the squared slopes of LIME's linear model.
RIDGE = 1e-3


def lime(black_box: BlackBox, n: int, *, samples: int = 5000, seed: int = 0) -> Float[Tensor, " n"]:
    """Slopes of a linear model that imitates the black box on random masks.

    Each feature is kept by the toss of a coin. Masks close to the full profile count more, by the
    exponential kernel of width 1 over the cosine distance to the full mask. All masks are drawn,
    scored and weighed together.

    Raises:
        ValueError: fewer than one feature or sample.

    Source: Ribeiro et al. 2016, Eq. 2 and Algorithm 1.
    """
    check_least(n=n, samples=samples)
    generator = torch.Generator().manual_seed(seed)
    masks = torch.randint(0, 2, (samples, n), generator=generator).double()
    distance = 1 - (masks.sum(dim=1) / n).sqrt()  # cosine distance to the full mask
    weights = torch.exp(-(distance**2) / 2)
    return weighted_ridge(masks, black_box(masks), weights, RIDGE)[0].float()


def weighted_ridge(
    masks: Float[Tensor, "sample n"],
    scores: Float[Tensor, " sample"],
    weights: Float[Tensor, " sample"],
    ridge: float = 0.0,
) -> tuple[Float[Tensor, " n"], float]:
    """Slopes b and intercept of the line that minimises, in double precision,
    sum w (score - intercept - b . mask)^2 + ridge |b|^2.
    """
    root, n = weights.double().sqrt()[:, None], masks.shape[1]
    rows = root * torch.nn.functional.pad(masks.double(), (0, 1), value=1.0)
    penalty = ridge**0.5 * torch.eye(n, n + 1).to(rows)  # of the slopes, not of the intercept
    right = torch.cat([root * scores.double()[:, None], penalty.new_zeros(n, 1)])
    found = torch.linalg.lstsq(torch.cat([rows, penalty]), right).solution[:, 0]
    return found[:-1], float(found[-1])


def leave_one_out(black_box: BlackBox, n: int) -> Float[Tensor, " n"]:
    """How far the score falls when one feature goes, for each feature."""
    check_least(n=n)
    scores = black_box(torch.cat([torch.ones(1, n), 1 - torch.eye(n)]))
    return scores[0] - scores[1:]


def shapley_sampling(
    black_box: BlackBox, n: int, *, permutations: int = 25, seed: int = 0
) -> Float[Tensor, " n"]:
    """Mean gain of each feature over random orders of arrival; captum's. Over all orders, for a
    few features: `captum.attr.ShapleyValues`.

    Raises:
        ValueError: fewer than one feature or permutation.

    Source: Castro et al. 2009; Strumbelj & Kononenko 2010.
    """
    from captum.attr import ShapleyValueSampling

    check_least(n=n, permutations=permutations)
    with torch.random.fork_rng(devices=[]):  # captum draws from torch's global generator
        torch.manual_seed(seed)
        how = {"n_samples": permutations, "perturbations_per_eval": 500}
        return ShapleyValueSampling(black_box).attribute(torch.ones(1, n), **how)[0]


def all_masks(n: int) -> Float[Tensor, "mask n"]:
    """All 2^n masks; mask i holds feature k if bit k of i is set."""
    return (torch.arange(1 << n)[:, None] >> torch.arange(n) & 1).double()
