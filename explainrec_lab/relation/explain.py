"""Why are two pictures near each other, for this user? Relevance of the pixels of both.

A distance d = delta M(u) delta^T is homogeneous of degree 2 in delta = x_i - x_j: component a holds
R_a = delta_a (M delta)_a, and these sum to d. A split (`lrp.SPLITS`) divides each R_a between the
two pictures, and a composite takes the shares through the network to the pixels.

| `of` | starts at | what the pictures get |
|---|---|---|
| 'distance' | d | what keeps the two apart |
| 'logit' | q - d | the same with a minus; the named sink 'q' gets q |
| 'personal' | d with M(u) minus d with the mean M | what only this user sees |
| 'contrast' | d(i, n) - d(i, j) | why j rather than a rival n: q cancels, three pictures |
| 'closeness' | 2 (x_i - r_i) M(u) (x_j - r_j)^T | what the two have in common |

A relation is predicted because d is *small*. Relevance of d, or of the logit, divides what little
distance is left, and the threshold q, which no pixel carries, holds all the evidence in favour.
*Closeness* asks for the evidence itself: by how much is d(i, j) below what i has to other items and
j to other items?

    closeness = mean over n, m of  d(n, j) + d(i, m) - d(n, m) - d(i, j)

for items n of i's kind and m of j's kind, whose mean features are r_i and r_j: the squares cancel,
and so does q. It is positive where both pictures depart from their kind in the same direction.

Nothing here starts at the probability sigma(q - d). It is no sum of terms that pictures could hold:
the factor p / (q - d) that would carry it to the logit grows without limit at q = d and changes its
sign there, although nothing about the pictures does.

Source: LRP for explainable recommendations, §2.3 and §3.3; the head is our own derivation, and the
double difference is Gower's double centring (1966) of squared distances.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from explainrec_lab import lrp
from explainrec_lab.data.contracts import Images
from explainrec_lab.lrp import Composite, Rule, difference, homogeneous
from explainrec_lab.relation.metric import NEW_USER, placed, squared_length
from explainrec_lab.relation.model import Ids, Kinds, RelationModel, check_pictures, features_of

OF = ("distance", "logit", "personal", "contrast", "closeness")

Program = Callable[..., Tensor]
"""(pictures, ..., user, kind) -> one value a pair."""


@dataclass(frozen=True)
class Explanation:
    """Relevance of the pixels, and where the rest of what was explained went.

    Attributes:
        maps: `[pair, 3, height, width]` each, of i and j, and of the rival in a contrast.
        ledger: summed over the pairs.
    """

    maps: tuple[Float[Tensor, "pair 3 height width"], ...]
    ledger: lrp.Ledger


def explain(
    model: RelationModel,
    images_i: Float[Tensor, "pair 3 height width"],
    images_j: Float[Tensor, "pair 3 height width"],
    user: Ids | ndarray,
    kind: Kinds | ndarray,
    *,
    of: str = "distance",
    rivals: Float[Tensor, "pair 3 height width"] | None = None,
    references: Float[Tensor, "group D"] | None = None,
    rule: Rule | Composite | None = None,
    split: str = "proportional",
) -> Explanation:
    """Relevance of the pixels of both pictures.

    Args:
        images_i, images_j: floats in 0..1, see `pixels`.
        user, kind: one for all pairs or one a pair.
        of: one of `OF` (above).
        rivals: pictures of the items n of a contrast.
        references: of the closeness, see `mean_features`.
        rule: as in `lrp.relevance`; by default `default_rule(model)`.
        split: how the relevance of a difference is divided, one of `lrp.SPLITS`.

    Raises:
        ValueError: a model in training mode, an unknown user, kind, question or split, pictures
            that are no floats or do not pair up, 'personal' for `NEW_USER`, a contrast without
            rivals or a closeness without references.

    Source: LRP for explainable recommendations, §2.3 and §3.3.
    """
    images = {"images_i": images_i, "images_j": images_j}
    images |= {} if rivals is None else {"rivals": rivals}
    check_pictures(**images)
    if not len(images_i):
        raise ValueError(f"{', '.join(images)}: no pictures")
    if model.training:
        raise ValueError("model: it is in training mode; call model.eval() first")
    asked = (_plain(user), _plain(kind))
    program = _program(model, of, rivals, references, asked, len(images_i))
    rule = default_rule(model) if rule is None else rule
    inputs = (*images.values(), *asked)
    maps, ledger = lrp.relevance(program, inputs, rule=rule, split=split, ledger=True)
    return Explanation(maps[: len(images)], ledger)


def default_rule(model: nn.Module) -> Composite:
    """w² at the pixels, gamma up to half of the convolutions, relative epsilon above.

    Low layers see edges and textures that cancel wildly: they are smoothed. High layers see what
    tells one attribute, and one user, from another: they are left sharp.
    """
    half = convolutions(model) // 2
    return Composite(
        [(lrp.first_layer, lrp.WSquare()), (lrp.depth(1, half), lrp.Gamma(0.25))],
        lrp.Epsilon(0.3, relative=True),
    )


def convolutions(model: nn.Module) -> int:
    """How many convolutions the model has."""
    return sum(isinstance(part, nn.Conv2d) for part in model.modules())


# --------------------------------------------------------------------------- what is explained


def _program(
    model: RelationModel,
    of: str,
    rivals: Tensor | None,
    references: Tensor | None,
    asked: tuple[Any, Any],
    pairs: int,
) -> Program:
    """What to explain, as a function of the pictures, the user and the kind."""
    if (of == "contrast") != (rivals is not None):
        raise ValueError(f"rivals: of={of!r} with{'out' if rivals is None else ''} rivals")
    if of == "distance":
        return lambda i, j, *context: model.distance(model.features(i), model.features(j), *context)
    if of == "logit":
        return model
    if of == "closeness" and references is not None:
        return Closeness(model, references)
    with torch.no_grad():
        factor = model.factor(*asked, pairs)
    if of == "contrast":

        def contrast(i: Tensor, j: Tensor, n: Tensor, *_: Any) -> Float[Tensor, " pair"]:
            x_i, x_j, x_n = map(model.features, (i, j, n))
            return _length_gap(difference(x_i, x_n), difference(x_i, x_j), factor)

        return contrast
    if of == "personal":
        M = _personal_M(model, *asked, pairs)
        return lambda i, j, *_: _quadratic_form(difference(model.features(i), model.features(j)), M)
    if of == "closeness":
        raise ValueError("references: none, but closeness needs them; see `mean_features`")
    why = "; it cannot be shared among pictures: explain the logit" if of == "probability" else ""
    raise ValueError(f"of: {of!r}; choose from {', '.join(OF)}{why}")


def _plain(ids: Any) -> Any:
    """Users or kinds as Python's own numbers, which `lrp` hands on and does not explain."""
    return ids if isinstance(ids, str) else torch.as_tensor(ids).tolist()


class Closeness(nn.Module):
    """closeness(images_i, images_j, user, kind): how much nearer than the average of their kinds.

    Args:
        model: in eval mode.
        references: `[group, D]`, mean features of groups of items (`mean_features`). A picture is
            compared with the nearest one; a single row is the average of all items.

    Raises:
        ValueError: references that do not have the model's D.
    """

    references: Tensor

    def __init__(self, model: RelationModel, references: Float[Tensor, "group D"]) -> None:
        super().__init__()
        if references.ndim != 2 or references.shape[1] != model.dimensions:
            raise ValueError(
                f"references: shape {tuple(references.shape)}; needs [group, {model.dimensions}]"
            )
        self.model = model
        self.register_buffer("references", references.detach().clone())
        self.train(model.training)

    def forward(
        self,
        images_i: Float[Tensor, "pair 3 height width"],
        images_j: Float[Tensor, "pair 3 height width"],
        user: Ids,
        kind: Kinds,
    ) -> Float[Tensor, " pair"]:
        """2 (x_i - r_i) M(u) (x_j - r_j)^T."""
        x_i, x_j = self.model.both(images_i, images_j)
        return self.of_features(x_i, x_j, user, kind)

    def of_features(
        self, x_i: Float[Tensor, "pair D"], x_j: Float[Tensor, "pair D"], user: Ids, kind: Kinds
    ) -> Float[Tensor, " pair"]:
        """The closeness from what the model sees in the pictures."""
        factor = self.model.factor(user, kind, len(x_i))
        return _twice_product(x_i - self.nearest(x_i), x_j - self.nearest(x_j), factor)

    def nearest(self, x: Float[Tensor, "item D"]) -> Float[Tensor, "item D"]:
        """The nearest reference of each feature vector, whoever looks.

        |x - r|^2 is least where x r^T - |r|^2 / 2 is greatest.
        """
        towards = x @ self.references.T - self.references.square().sum(dim=1) / 2
        return self.references[towards.argmax(dim=1)]


def mean_features(
    model: RelationModel, images: Images, items: Int[ndarray, " item"], group: ndarray
) -> Float[Tensor, "group D"]:
    """The mean feature vector of each group of items, in the order of the groups' names.

    Args:
        items: ids; training items, so that tested ones stay unseen.
        group: `[item]`, what kind each of them is: a category, say.

    Raises:
        ValueError: no items, or not one group an item.
    """
    if len(items) != len(group) or not len(items):
        raise ValueError(f"group: {len(group)} for {len(items)} items; needs one each, and items")
    x = features_of(model, images, items)
    place = torch.from_numpy(np.unique(group, return_inverse=True)[1].reshape(-1)).to(x.device)
    return torch.stack([x[place == number].mean(dim=0) for number in place.unique()])


class Places(nn.Module):
    """z = x L of pictures: in this space the distance of a user is the ordinary squared one.

    What `lrp.bilrp` takes as an embedding. Raises ValueError for an unknown user or kind.
    """

    def __init__(self, model: RelationModel, user: int, kind: int | str) -> None:
        super().__init__()
        self.model, self.factor = model, model.factor(user, kind, 1).detach()
        self.training = False

    def forward(self, images: Float[Tensor, "item 3 h w"]) -> Float[Tensor, "item r"]:
        return placed(self.model.features(images), self.factor)


@homogeneous(2)
def _length_gap(delta_n: Tensor, delta_j: Tensor, factor: Tensor) -> Float[Tensor, " pair"]:
    """|delta_n L|^2 - |delta_j L|^2: one function of both, so that equal distances do no harm."""
    return squared_length(delta_n, factor) - squared_length(delta_j, factor)


@homogeneous(2)
def _twice_product(a: Tensor, b: Tensor, factor: Tensor) -> Float[Tensor, " pair"]:
    """2 a M b^T, with M = L L^T."""
    return 2 * (placed(a, factor) * placed(b, factor)).sum(-1)


@homogeneous(2)
def _quadratic_form(delta: Tensor, M: Tensor) -> Float[Tensor, " pair"]:
    """delta M delta^T, for a symmetric M of any sign, one for all or one a pair."""
    return (placed(delta, M) * delta).sum(-1)


def _mean_M(model: RelationModel, kind: int) -> Float[Tensor, "D D"]:
    """The mean of M(u) over the users of the model."""
    return torch.stack([model.M(user, kind) for user in range(model.n_users)]).mean(dim=0)


@torch.no_grad()
def _personal_M(
    model: RelationModel, user: Any, kind: Any, pairs: int
) -> Float[Tensor, "pair D D"]:
    """M(u) - mean M, one a pair, `[pair, D, D]`."""
    users, kinds = (ids.expand(pairs).tolist() for ids in (model.users(user), model.kinds(kind)))
    if NEW_USER in users:
        raise ValueError("user: NEW_USER has the average factor, nothing of it is personal")
    means = {each: _mean_M(model, each) for each in set(kinds)}
    return torch.stack([model.M(u, k) - means[k] for u, k in zip(users, kinds, strict=True)])
