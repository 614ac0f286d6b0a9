"""Why she bought it, without a recommender: what her earlier purchases say about her taste.

    taste = counted(train.matrix, codes)                 # [user, attribute, class]
    scores = for_purchases(taste, test.user, test.item, codes)   # [event, attribute]

Two answers that any explanation should be put beside: counting, and fitting the choice model that
the boutique's shoppers follow, which is about the best that can be said from a history. A taste
has the shape of the true one (`data.Truth.preference`). Source: none of the papers.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import sparse

from explainrec_lab.data.contracts import DOES_NOT_APPLY

Codes = Int[np.ndarray, "item attribute"]
Taste = Float[np.ndarray, "user attribute class"]
Ids = Int[np.ndarray, " event"]
Scores = Float[np.ndarray, "event attribute"]


def one_hot(codes: Codes) -> Float[np.ndarray, "item attribute class"]:
    """1 where the item has the class of the attribute; all 0 where the attribute does not apply."""
    return (codes[:, :, None] == np.arange(codes.max() + 1)).astype(np.float32)


def for_purchases(taste: Taste, users: Ids, items: Ids, codes: Codes) -> Scores:
    """Her taste for each attribute of the item; -inf where the attribute does not apply."""
    code = codes[items]
    scores = taste[users[:, None], np.arange(codes.shape[1]), code]
    return np.where(code == DOES_NOT_APPLY, -np.inf, scores)


def counted(history: sparse.csr_array, codes: Codes) -> Taste:
    """How many standard deviations more often than by chance she took each class.

    Of her n purchases with the attribute, a share p would have the class if she drew blindly from
    the catalogue: (count - n p) / sqrt(n p (1 - p) + 1). The 1 keeps rare classes from shouting.
    """
    classes = one_hot(codes)
    count = np.tensordot(history.toarray(), classes, axes=1)
    n, p = count.sum(axis=2, keepdims=True), classes.sum(axis=0)
    p = p / np.maximum(p.sum(axis=1, keepdims=True), 1)
    return (count - n * p) / np.sqrt(n * p * (1 - p) + 1)


def fitted(history: sparse.csr_array, codes: Codes) -> Taste:
    """The most probable taste under multinomial choice: log p(item) = taste of its attributes +
    its popularity + constant, with a standard normal prior.
    """
    classes = one_hot(codes)
    X = torch.from_numpy(classes.reshape(len(codes), -1))
    taken = torch.from_numpy(history.toarray()).float()
    popularity = taken.sum(dim=0).add(1).log()
    taste = torch.zeros(len(taken), X.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([taste], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimiser.zero_grad()
        log_p = (taste @ X.T + popularity).log_softmax(dim=1)
        value = taste.square().sum() / 2 - (taken * log_p).sum()
        value.backward()
        return float(value.detach())

    optimiser.step(loss)
    return taste.detach().numpy().reshape(len(taken), *classes.shape[1:])
