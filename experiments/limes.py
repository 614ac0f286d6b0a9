"""Other people's LIMEs, to be compared with `baselines.surrogate.lime`: captum's, and the package
`lime` (extra `benchmark`) on a table row and on a text. All return one slope a feature, `[n]`.

Source: RecoNet, §5.5; Ribeiro et al. 2016.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor
from torch.utils.data import DataLoader

from explainrec_lab.baselines.surrogate import RIDGE, BlackBox, weighted_ridge


class WeightedRidge:
    """The linear model of LIME, in the form that captum asks for; its own default, the lasso,
    would need scikit-learn."""

    slopes: Tensor

    def fit(self, samples: DataLoader) -> None:
        """Fit to the (masks, scores, weights) of all batches."""
        masks, scores, weights = (torch.cat(part) for part in zip(*samples, strict=True))
        self.slopes, _ = weighted_ridge(masks, scores, weights, RIDGE)

    def representation(self) -> Tensor:
        return self.slopes[None].float()


def captum(black_box: BlackBox, n: int, *, samples: int = 5000, seed: int = 0) -> Tensor:
    """captum's LIME on the same masks, with the same kernel and linear model as the package's."""
    from captum.attr import Lime

    generator = torch.Generator().manual_seed(seed)

    def coin_tosses(original: Tensor, **_: object) -> Iterator[Tensor]:
        yield from torch.randint(0, 2, (samples, 1, n), generator=generator)

    explainer = Lime(black_box, interpretable_model=WeightedRidge(), perturb_func=coin_tosses)
    return explainer.attribute(torch.ones(1, n), n_samples=samples, perturbations_per_eval=500)[0]


def tabular(
    black_box: BlackBox, n: int, *, row: ndarray | None = None, table: ndarray | None = None
) -> Tensor:
    """The package `lime` on one row of a table with n binary columns.

    Args:
        row: what is explained, `[n]`; by default a row of ones.
        table: `[rows, n]`; each column is drawn as often 1 as it is there; by default in half of
            the rows.
    """
    from lime.lime_tabular import LimeTabularExplainer

    table = np.repeat([[0.0], [1.0]], n, axis=1) if table is None else table
    how = {"mode": "regression", "discretize_continuous": False, "random_state": 0}
    explainer = LimeTabularExplainer(table, categorical_features=[*range(n)], **how)
    row, ask = np.ones(n) if row is None else row, lambda masks: _scored(black_box, masks)
    # on 5,000 samples, as it likes
    return _in_order(explainer.explain_instance(row, ask, num_features=n).as_map()[1])


def text(black_box: BlackBox, n: int) -> Tensor:
    """The package `lime` on a text of n words, one a feature; how many go is drawn evenly."""
    from lime.lime_text import LimeTextExplainer

    def of_texts(texts: list[str]) -> ndarray:
        masks = np.zeros((len(texts), n))
        for mask, words in zip(masks, texts, strict=True):
            mask[[int(word) for word in words.split()]] = 1
        return _scored(black_box, masks)[:, None]

    numbers = " ".join(map(str, range(n)))
    explainer = LimeTextExplainer(random_state=0)
    found = explainer.explain_instance(numbers, of_texts, labels=(0,), num_features=n)
    # words are numbered by their first appearance, which is our order
    return _in_order(found.as_map()[0])


def _scored(black_box: BlackBox, masks: ndarray) -> ndarray:
    return black_box(torch.from_numpy(masks)).double().numpy()


def _in_order(pairs: list[tuple[int, float]]) -> Tensor:
    return torch.tensor([slope for _, slope in sorted(pairs)], dtype=torch.float32)
