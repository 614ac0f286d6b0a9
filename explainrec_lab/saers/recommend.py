"""The best items of each user that she has not bought yet. Source: SAERS, §4.1 (top-N)."""

import numpy as np

from explainrec_lab.baselines.visual import Ranker
from explainrec_lab.data.contracts import require
from explainrec_lab.data.splits import Split
from explainrec_lab.evaluate.ranking import top_k


def recommend(model: Ranker, split: Split, k: int = 5) -> np.ndarray:
    """The k best items of each user, `[user, k]`, best first, without her training and development
    purchases; ties by lot (`evaluate.ranking.top_k`).

    A user without a training purchase is refused: her taste was never trained, so that her list
    would be that of the first weights. So is a k beyond the items that are left.

    Raises:
        ValueError: k is outside 1..items left, of any user, or a user has no training purchase.
    """
    untrained = np.bincount(split.train.user, minlength=split.train.n_users) == 0
    advice = "the model knows nothing of her; keep users with purchases enough for every part"
    require(not untrained.any(), f"split: user {untrained.argmax()} has none to train on, {advice}")
    return top_k(model.scores(), k, split.train.matrix + split.development.matrix).numpy()
