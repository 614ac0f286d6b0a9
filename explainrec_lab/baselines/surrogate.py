"""Explainers that only call the model: they ask what becomes of the score as features are left out.

Source: RecoNet, §5.5 (LIME, Ribeiro et al. 2016); Shapley values as a second school. A black box
takes masks `[sample, n]`, 1 = the feature is there, and gives one score a sample. All functions
return one number a feature. captum does the sampling where it can; the package `lime` (extra
`benchmark`) is there to compare with. Explainers that look inside are in `attribution.py`.

    lime(black_box, n=40, samples=5000, seed=0)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor
from torch.utils.data import DataLoader

BlackBox = Callable[[Float[Tensor, "sample n"]], Float[Tensor, " sample"]]
"""Masks of features -> scores."""

AT_ONCE = 500
"""Masks that go through the black box together."""

MOST_FEATURES = 20
"""Exact Shapley values need 2^n scores."""


# --------------------------------------------------------------------------- LIME


def lime(
    black_box: BlackBox,
    n: int,
    *,
    samples: int = 5000,
    width: float = 1.0,
    ridge: float = 1e-3,
    seed: int = 0,
) -> Float[Tensor, " n"]:
    """Slopes of a linear model that imitates the black box on random masks; captum's LIME.

    Each feature is kept by the toss of a coin. Masks close to the full profile count more.

    Args:
        width: of the exponential kernel over the cosine distance to the full mask.
        ridge: of the linear model; captum's own default, the lasso, would need scikit-learn.

    Raises:
        ValueError: fewer than one feature or sample.

    Source: Ribeiro et al. 2016, Eq. 2 and Algorithm 1.
    """
    from captum.attr import Lime  # a second to import, which only this should cost
    from captum.attr._core.lime import get_exp_kernel_similarity_function

    _check_counts(n, samples=samples)
    generator = torch.Generator().manual_seed(seed)

    def coin_tosses(original: Tensor, **_: object) -> Iterator[Float[Tensor, "1 n"]]:
        yield from torch.randint(0, 2, (samples, 1, n), generator=generator)

    explainer = Lime(
        black_box,
        interpretable_model=WeightedRidge(ridge),
        similarity_func=get_exp_kernel_similarity_function("cosine", width),
        perturb_func=coin_tosses,
    )
    full = torch.ones(1, n)
    return explainer.attribute(full, n_samples=samples, perturbations_per_eval=AT_ONCE)[0]


def lime_at_once(
    black_box: BlackBox,
    n: int,
    *,
    samples: int = 5000,
    width: float = 1.0,
    ridge: float = 1e-3,
    seed: int = 0,
) -> Float[Tensor, " n"]:
    """The same LIME, with all masks drawn, scored and weighed together.

    Raises:
        ValueError: fewer than one feature or sample.
    """
    _check_counts(n, samples=samples)
    generator = torch.Generator().manual_seed(seed)
    masks = torch.randint(0, 2, (samples, n), generator=generator).double()
    distance = 1 - (masks.sum(dim=1) / n).sqrt()  # cosine distance to the full mask
    weights = torch.exp(-(distance**2) / (2 * width**2))
    return weighted_ridge(masks, black_box(masks), weights, ridge)[0].float()


class WeightedRidge:
    """The linear model of LIME, in the form that captum asks for."""

    def __init__(self, ridge: float) -> None:
        self.ridge = ridge
        self.slopes = torch.zeros(0)

    def fit(self, samples: DataLoader) -> None:
        """Fit to the (masks, scores, weights) of all batches."""
        masks, scores, weights = (torch.cat(part) for part in zip(*samples, strict=True))
        self.slopes, _ = weighted_ridge(masks, scores, weights, self.ridge)

    def representation(self) -> Float[Tensor, "1 n"]:
        return self.slopes[None].float()


def weighted_ridge(
    masks: Float[Tensor, "sample n"],
    scores: Float[Tensor, " sample"],
    weights: Float[Tensor, " sample"],
    ridge: float = 0.0,
) -> tuple[Float[Tensor, " n"], float]:
    """Slopes b and intercept of the line that minimises, in double precision,
    sum w (score - intercept - b . mask)^2 + ridge |b|^2.
    """
    masks, scores, weights = masks.double(), scores.double(), weights.double()
    share = weights / weights.sum()
    middle, mean = share @ masks, share @ scores
    centred = masks - middle
    gram = (centred.T * weights) @ centred + ridge * torch.eye(masks.shape[1]).to(masks)
    right = (centred.T * weights) @ (scores - mean)
    slopes = torch.linalg.lstsq(gram, right[:, None], driver="gelsd").solution[:, 0]
    return slopes, float(mean - slopes @ middle)


def lime_tabular(
    black_box: BlackBox,
    n: int,
    *,
    samples: int = 5000,
    seed: int = 0,
    row: Float[ndarray, " n"] | None = None,
    table: Float[ndarray, "rows n"] | None = None,
) -> Float[Tensor, " n"]:
    """The package `lime` on one row of a table with n binary columns.

    Args:
        row: what is explained; by default a row of ones.
        table: each column is drawn as often 1 as it is there; by default in half of the rows.

    Raises:
        ValueError: fewer than one feature or sample.
        ImportError: the package is not there.
    """
    from lime.lime_tabular import LimeTabularExplainer

    _check_counts(n, samples=samples)
    explainer = LimeTabularExplainer(
        np.repeat([[0.0], [1.0]], n, axis=1) if table is None else table,
        mode="regression",
        categorical_features=list(range(n)),
        discretize_continuous=False,
        random_state=seed,
    )
    found = explainer.explain_instance(
        np.ones(n) if row is None else row,
        _on_arrays(black_box),
        num_features=n,
        num_samples=samples,
    )
    return _in_order(found.as_map()[1], n)


def lime_text(
    black_box: BlackBox, n: int, *, samples: int = 5000, seed: int = 0
) -> Float[Tensor, " n"]:
    """The package `lime` on a text of n words, one a feature; how many go is drawn evenly.

    Raises:
        ValueError: fewer than one feature or sample.
        ImportError: the package is not there.
    """
    from lime.lime_text import LimeTextExplainer

    _check_counts(n, samples=samples)
    score = _on_arrays(black_box)

    def of_texts(texts: list[str]) -> Float[ndarray, "sample 1"]:
        masks = np.zeros((len(texts), n))
        for mask, text in zip(masks, texts, strict=True):
            mask[[int(word) for word in text.split()]] = 1
        return score(masks)[:, None]

    found = LimeTextExplainer(random_state=seed).explain_instance(
        " ".join(map(str, range(n))), of_texts, labels=(0,), num_features=n, num_samples=samples
    )
    # words are numbered by their first appearance, which is our order
    return _in_order(found.as_map()[0], n)


def _on_arrays(black_box: BlackBox) -> Callable[[ndarray], ndarray]:
    return lambda masks: black_box(torch.from_numpy(masks)).double().numpy()


def _in_order(pairs: list[tuple[int, float]], n: int) -> Float[Tensor, " n"]:
    slopes = torch.zeros(n)
    for place, slope in pairs:
        slopes[place] = float(slope)
    return slopes


# --------------------------------------------------------------------------- leaving out, Shapley


def leave_one_out(black_box: BlackBox, n: int) -> Float[Tensor, " n"]:
    """How far the score falls when one feature goes, for each feature."""
    _check_counts(n)
    scores = black_box(torch.cat([torch.ones(1, n), 1 - torch.eye(n)]))
    return scores[0] - scores[1:]


def shapley_sampling(
    black_box: BlackBox, n: int, *, permutations: int = 25, seed: int = 0
) -> Float[Tensor, " n"]:
    """Mean gain of each feature over random orders of arrival; captum's.

    Raises:
        ValueError: fewer than one feature or permutation.

    Source: Castro et al. 2009; Strumbelj & Kononenko 2010.
    """
    from captum.attr import ShapleyValueSampling

    _check_counts(n, permutations=permutations)
    with torch.random.fork_rng(devices=[]):  # captum draws from torch's global generator
        torch.manual_seed(seed)
        return ShapleyValueSampling(black_box).attribute(
            torch.ones(1, n), n_samples=permutations, perturbations_per_eval=AT_ONCE
        )[0]


def shapley_exact(black_box: BlackBox, n: int) -> Float[Tensor, " n"]:
    """Shapley values by their definition: the gain in every coalition, weighed.

    Raises:
        ValueError: more than `MOST_FEATURES` features.

    Source: Shapley 1953.
    """
    _check_counts(n)
    if n > MOST_FEATURES:
        raise ValueError(f"n: {n} features make 2^{n} coalitions; at most {MOST_FEATURES}")
    masks = all_masks(n)
    scores = torch.cat([black_box(part) for part in masks.split(1 << 14)]).double()
    sizes = masks.sum(dim=1).long()
    counts = torch.tensor([n * math.comb(n - 1, size) for size in range(n)])
    weights = 1 / counts.double()
    gains = []
    for k in range(n):
        without = (masks[:, k] == 0).nonzero()[:, 0]
        gain = scores[without + (1 << k)] - scores[without]
        gains.append((weights[sizes[without]] * gain).sum())
    return torch.stack(gains)


def all_masks(n: int) -> Float[Tensor, "mask n"]:
    """All 2^n masks; mask i holds feature k if bit k of i is set."""
    return (torch.arange(1 << n)[:, None] >> torch.arange(n) & 1).double()


def _check_counts(n: int, **counts: int) -> None:
    for name, count in {"n": n, **counts}.items():
        if count < 1:
            raise ValueError(f"{name}: {count} must be at least 1")
