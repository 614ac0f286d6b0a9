"""Why are two pictures near each other, for this user? Relevance of the pixels of both.

A distance d = delta M(u) delta^T is homogeneous of degree 2 in delta = x_i - x_j: component a holds
R_a = delta_a (M delta)_a, and these sum to d. A split (`lrp.SPLITS`) divides each R_a between the
two pictures, and a composite takes the shares through the network to the pixels.

Four questions:

| `of` | starts at | what the pictures get |
|---|---|---|
| 'distance' | d | what keeps the two apart |
| 'logit' | q - d | the same with a minus; the named sink 'q' gets q |
| 'personal' | d with M(u) minus d with the mean M | what only this user sees |
| `contrast` | d(i, n) - d(i, j) | why j rather than n: q cancels, three pictures |

Nothing here starts at the probability sigma(q - d). It is no sum of terms that pictures could hold:
the factor p / (q - d) that would carry it to the logit grows without limit at q = d and changes its
sign there, although nothing about the pictures does.

Source: LRP for explainable recommendations, §2.3 and §3.3; the head is our own derivation.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from explainrec_lab import lrp
from explainrec_lab.lrp import Composite, Rule, difference, homogeneous
from explainrec_lab.relation.metric import NEW_USER, placed, squared_length
from explainrec_lab.relation.model import Ids, Kinds, RelationModel, check_images

OF = ("distance", "logit", "personal")


def explain(
    model: RelationModel,
    images_i: Float[Tensor, "pair 3 height width"],
    images_j: Float[Tensor, "pair 3 height width"],
    user: Ids,
    kind: Kinds,
    *,
    of: str = "distance",
    rule: Rule | Composite | None = None,
    split: str = "proportional",
    ledger: bool = False,
) -> Any:
    """Relevance of the pixels of both pictures.

    Args:
        images_i, images_j: floats in 0..1, see `pixels`.
        user, kind: one for all pairs or one a pair.
        of: 'distance', 'logit' or 'personal' (above).
        rule: as in `lrp.relevance`; by default `default_rule(model)`.
        split: how the relevance of a difference is divided, one of `lrp.SPLITS`.
        ledger: also return where the relevance went.

    Returns:
        `(R_i, R_j)`, each `[pair, 3, height, width]`; with `ledger`, that and the ledger.

    Raises:
        ValueError: a model in training mode, an unknown user, kind, question or split, pictures
            that are no floats or do not pair up, 'personal' for `NEW_USER`.

    Source: LRP for explainable recommendations, §2.3 and §3.3.
    """
    _check_pictures(images_i=images_i, images_j=images_j)
    program = _program(model, user, kind, of, len(images_i))
    rule = default_rule(model) if rule is None else rule
    return lrp.relevance(program, (images_i, images_j), rule=rule, split=split, ledger=ledger)


def contrast(
    model: RelationModel,
    images_i: Float[Tensor, "pair 3 height width"],
    images_n: Float[Tensor, "pair 3 height width"],
    images_j: Float[Tensor, "pair 3 height width"],
    user: Ids,
    kind: Kinds,
    *,
    rule: Rule | Composite | None = None,
    split: str = "proportional",
    ledger: bool = False,
) -> Any:
    """Why item j rather than item n goes with item i: relevance for d(i, n) - d(i, j).

    This is also the difference of the two logits, since both have the same q.

    Returns:
        `(R_i, R_n, R_j)`, each `[pair, 3, height, width]`; with `ledger`, that and the ledger.

    Raises:
        ValueError: as in `explain`.
    """
    _check_pictures(images_i=images_i, images_n=images_n, images_j=images_j)
    program = Contrast(model, _factor(model, user, kind, len(images_i)))
    images = (images_i, images_n, images_j)
    rule = default_rule(model) if rule is None else rule
    return lrp.relevance(program, images, rule=rule, split=split, ledger=ledger)


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


class Distance(nn.Module):
    """d of both pictures, or q - d: the model's own functions, with q under its name.

    Args:
        q: `[1]` or `[pair]`, for the logit.
    """

    def __init__(
        self, model: RelationModel, user: Ids, kind: Kinds, q: Tensor | None = None
    ) -> None:
        super().__init__()
        self.model, self.user, self.kind = model, user, kind
        self.q = None if q is None else nn.Parameter(q.detach().clone(), requires_grad=False)
        self.training = False  # the model's own mode counts

    def forward(self, images_i: Tensor, images_j: Tensor) -> Float[Tensor, " pair"]:
        x_i, x_j = self.model.features(images_i), self.model.features(images_j)
        d = self.model.distance(x_i, x_j, self.user, self.kind)
        return d if self.q is None else self.q - d


class Personal(nn.Module):
    """delta (M(u) - mean M) delta^T of both pictures.

    Args:
        M: `[pair, D, D]` or `[D, D]`, symmetric; it need not be positive.
    """

    def __init__(self, model: RelationModel, M: Tensor) -> None:
        super().__init__()
        self.model, self.M = model, M
        self.training = False

    def forward(self, images_i: Tensor, images_j: Tensor) -> Float[Tensor, " pair"]:
        delta = difference(self.model.features(images_i), self.model.features(images_j))
        return quadratic_form(delta, self.M)


class Contrast(nn.Module):
    """d(i, n) - d(i, j) of three pictures."""

    def __init__(self, model: RelationModel, factor: Tensor) -> None:
        super().__init__()
        self.model, self.factor = model, factor
        self.training = False

    def forward(
        self, images_i: Tensor, images_n: Tensor, images_j: Tensor
    ) -> Float[Tensor, " pair"]:
        x_i, x_n, x_j = (self.model.features(x) for x in (images_i, images_n, images_j))
        return length_gap(difference(x_i, x_n), difference(x_i, x_j), self.factor)


class Places(nn.Module):
    """z = x L of pictures: in this space the distance of a user is the ordinary squared one.

    What `lrp.bilrp` takes as an embedding. Raises ValueError for an unknown user or kind.
    """

    def __init__(self, model: RelationModel, user: int, kind: int | str) -> None:
        super().__init__()
        self.model, self.factor = model, _factor(model, user, kind, 1)
        self.training = False

    def forward(self, images: Float[Tensor, "item 3 h w"]) -> Float[Tensor, "item r"]:
        return placed(self.model.features(images), self.factor)


@homogeneous(2)
def quadratic_form(delta: Tensor, M: Tensor) -> Float[Tensor, " pair"]:
    """delta M delta^T, for a symmetric M of any sign, one for all or one a pair."""
    return (torch.matmul(delta[:, None], M)[:, 0] * delta).sum(-1)


@homogeneous(2)
def length_gap(delta_n: Tensor, delta_j: Tensor, factor: Tensor) -> Float[Tensor, " pair"]:
    """|delta_n L|^2 - |delta_j L|^2: one function of both, so that equal distances do no harm."""
    return squared_length(delta_n, factor) - squared_length(delta_j, factor)


def mean_M(model: RelationModel, kind: int) -> Float[Tensor, "D D"]:
    """The mean of M(u) over the users of the model."""
    users = range(model.n_users)
    return torch.stack([model.M(user, kind) for user in users]).mean(dim=0)


def _program(model: RelationModel, user: Ids, kind: Kinds, of: str, pairs: int) -> nn.Module:
    if of == "distance":
        return Distance(model, user, kind)
    if of == "logit":
        return Distance(model, user, kind, model.q[model.kinds(kind)])
    if of == "personal":
        return Personal(model, _personal_M(model, user, kind, pairs))
    why = "; it cannot be shared among pictures: explain the logit" if of == "probability" else ""
    raise ValueError(f"of: {of!r}; choose from {', '.join(OF)}{why}")


@torch.no_grad()
def _personal_M(model: RelationModel, user: Ids, kind: Kinds, pairs: int) -> Tensor:
    """M(u) - mean M, one a pair."""
    model.factor(user, kind, pairs)  # refuses what does not fit the pairs
    users = model.users(user).expand(pairs).tolist()
    kinds = model.kinds(kind).expand(pairs).tolist()
    if NEW_USER in users:
        raise ValueError("user: NEW_USER has the average factor, nothing of it is personal")
    means = {kind: mean_M(model, kind) for kind in set(kinds)}
    own = {each: model.M(*each) - means[each[1]] for each in set(zip(users, kinds, strict=True))}
    return torch.stack([own[each] for each in zip(users, kinds, strict=True)])


@torch.no_grad()
def _factor(model: RelationModel, user: Ids, kind: Kinds, pairs: int) -> Tensor:
    return model.factor(user, kind, pairs)


def _check_pictures(**images: Tensor) -> None:
    for name, tensor in images.items():
        check_images(name, tensor)
    if len({tensor.shape for tensor in images.values()}) > 1:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in images.values())
        raise ValueError(f"{', '.join(images)}: different shapes {shapes}")
    if not len(next(iter(images.values()))):
        raise ValueError(f"{', '.join(images)}: no pictures")
