"""The best items of each user that she has not bought yet. Source: SAERS, §4.1 (top-N)."""

from jaxtyping import Int
from numpy import ndarray

from explainrec_lab.baselines.visual import Ranker
from explainrec_lab.data.splits import Split
from explainrec_lab.evaluate.ranking import top_k


def recommend(model: Ranker, split: Split, k: int = 5) -> Int[ndarray, "user k"]:
    """The k best items of each user, best first, without her training and development purchases.

    Raises:
        ValueError: k is larger than the number of items left.
    """
    known = split.train.matrix + split.development.matrix
    return top_k(model.scores(), k, known).numpy()
