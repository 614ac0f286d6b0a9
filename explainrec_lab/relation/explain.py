"""Why are two pictures near each other, for this user? Relevance of both, at two levels.

A distance d = delta M(u) delta^T is homogeneous of degree 2 in delta = x_i - x_j: component a holds
R_a = delta_a (M delta)_a, and these sum to d. A split (`lrp.SPLITS`) divides each R_a between the
two pictures: that is the level of the *units*, the features of the two pictures, and where features
have names (`Shares`) it can be read as a sentence. A composite takes the shares on through the
network to the *pixels*. Some units can be followed alone (`only`), so that a heatmap shows where
one reason is; the maps of all questions sum to the whole one.

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
and so does q. It is positive where both pictures depart from their kind in the same direction. At
the level of units each picture holds half of it: unit a of i has (x_i - r_i)_a (M (x_j - r_j))_a,
and of j the same with the roles exchanged. No pixel carries a reference: at the level of pixels
the share of -r_i in each unit goes to the named sink 'references'.

Nothing here starts at the probability sigma(q - d). It is no sum of terms that pictures could hold:
the factor p / (q - d) that would carry it to the logit grows without limit at q = d and changes its
sign there, although nothing about the pictures does.

Source: LRP for explainable recommendations, §2.3 and §3.3; the head is our own derivation, and the
double difference is Gower's double centring (1966) of squared distances. Following the units of one
question alone is concept relevance propagation (Achtibat et al., 2023).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from explainrec_boutique.vocabulary import display
from explainrec_lab import lrp
from explainrec_lab.data.contracts import check_choice, require
from explainrec_lab.lrp import Composite, Rule, difference, homogeneous
from explainrec_lab.lrp.relevance import Ledger
from explainrec_lab.vision.homogeneous import default_rule
from explainrec_lab.vision.naming import Question

from .data import Features, Pictures, Values
from .model import NEW_USER, SCALE, Ids, RelationModel, check_pictures, placed, squared_length

# What may be explained, and how a sentence about it begins.
OF = {"distance": "apart", "logit": "related", "closeness": "related"}
OF |= {"personal": "farther for this user", "contrast": "rather than the rival"}
Given: TypeAlias = Tensor | None
Asked: TypeAlias = tuple[Any, Any]  # users and kinds


@dataclass(frozen=True)
class Explanation:
    """Relevance at one level, and where the rest of what was explained went.

    Attributes:
        of: what was explained.
        maps: of i, of j, and of the rival in a contrast: `[pair, 3, height, width]` at the level
            of pixels, `[pair, D]` at that of units.
        ledger: summed over the pairs.
        x: features of the pictures, `[pair, D]` each, at the level of units.
        questions: that the units answer; empty where they have no names.
    """

    of: str
    maps: tuple[Float[Tensor, "pair ..."], ...]
    ledger: Ledger
    x: tuple[Features, ...] = ()
    questions: tuple[Question, ...] = ()

    def blocks(self) -> Float[Tensor, "picture pair question"]:
        """Relevance of the units, summed over the classes of each question.

        Raises:
            ValueError: relevance of pixels, or of units without names.
        """
        if self.maps[0].ndim != 2 or not self.questions:
            raise ValueError("blocks: needs level='units' and a model with features='classes'")
        sizes = [len(each.classes) for each in self.questions]
        parts = [torch.stack([b.sum(1) for b in m.split(sizes, 1)], 1) for m in self.maps]
        return torch.stack(parts)

    def table(self, pair: int = 0) -> pd.DataFrame:
        """One row a question, one column a picture, most relevant first.

        In shares of the total's size, so that what speaks against it is below zero.
        """
        blocks = self.blocks()[:, pair]
        names = [display(each.name) for each in self.questions]
        total = blocks.sum().abs().clamp(min=torch.finfo(blocks.dtype).tiny)
        table = pd.DataFrame((blocks / total).T.numpy(force=True), index=names)
        table.columns = pd.Index(["source", "target", "rival"][: len(blocks)])
        return table.loc[table.sum(axis=1).abs().sort_values(ascending=False).index]

    def sentence(self, pair: int = 0, least: float = 0.05) -> str:
        """What holds at least a share of `least`, in words: for, then against.

        Where a picture alone answers a question (a collar, and no skirt has one), its first one is
        told with the first of the other picture.
        """
        shares = self.table(pair).sum(axis=1)
        shares = shares[shares.abs() >= least]
        seen = self._seen(pair)
        words = {name: _said(name, seen[name]) for name in shares.index}
        for_it, shown = shares.index[shares > 0], ([True, False], [False, True])
        alone = [[n for n in for_it if [bool(c) for c in seen[n]] == each] for each in shown]
        if all(alone):
            one, other = alone[0][0], alone[1][0]
            words[one] += f" with {words[other]}"
            shares[one] += shares.pop(other)
        shares = shares.sort_values(ascending=False, key=abs)
        share = {name: f"{words[name]} ({share:.0%})" for name, share in shares.items()}
        said = [", ".join(share[n] for n in shares.index[s]) for s in (shares > 0, shares < 0)]
        against = f", against: {said[1]}" if said[1] else ""
        return f"{OF[self.of]}: {said[0] or 'nothing stands out'}{against}"

    def _seen(self, pair: int) -> dict[str, list[str]]:
        """Question -> the class that each picture shows most strongly, '' where none stands out."""
        sizes = [len(each.classes) for each in self.questions]
        parts = zip(*(each[pair].split(sizes) for each in self.x), strict=True)
        asked = zip(self.questions, parts, strict=True)
        return {display(q.name): [_shown(q.classes, x) for x in own] for q, own in asked}


def _shown(classes: Sequence[str], x: Float[Tensor, " class"]) -> str:
    return display(classes[int(x.argmax())]) if x.max() > SCALE / 3 else ""


def _said(question: str, classes: Sequence[str]) -> str:
    """A question and what the pictures show, in words: 'both have a V neckline'."""
    thing = re.sub(" (length|height|style|family)$", "", question)
    shown = " and ".join(dict.fromkeys(filter(None, classes))).replace("sleeveless", "no")
    if "" in classes or len(set(classes)) > 1:
        return f"{shown} {thing}".strip()
    if thing in ("colour", "category"):
        return f"same {thing}"
    article = "" if thing.endswith("s") else "an " if shown[0] in "aeiou" else "a "
    return f"{'both' if len(classes) == 2 else 'all'} have {article}{shown} {thing}"


def explain(
    model: RelationModel,
    images_i: Pictures,
    images_j: Pictures,
    user: Ids,
    kind: Ids | str,
    *,
    of: str = "distance",
    level: str = "pixels",
    only: str | None = None,
    rivals: Pictures | None = None,
    references: Float[Tensor, "group D"] | None = None,
    rule: Rule | Composite | None = None,
    split: str = "proportional",
) -> Explanation:
    """Relevance of both pictures, of their pixels or of their units.

    Args:
        images_i, images_j: floats in 0..1, see `pixels`.
        user, kind: one for all pairs or one a pair.
        of: one of `OF` (above).
        level: 'pixels' or 'units'.
        only: the question whose units alone are followed to the pixels, or 'attributes' for all
            that may not apply, or 'main attribute' for the one of these that holds most in each
            picture; the rest goes to the named sink 'other units'.
        rivals: pictures of the items n of a contrast.
        references: of the closeness, see `mean_features`.
        rule: as in `lrp.relevance`; by default `default_rule(model)`.
        split: how the relevance of a difference is divided, one of `lrp.SPLITS`.

    Raises:
        ValueError: a model in training mode, an unknown user, kind, question, level or split,
            pictures that are no floats or do not pair up, 'personal' for `NEW_USER`, a contrast
            without rivals or a closeness without references.

    Source: LRP for explainable recommendations, §2.3 and §3.3.
    """
    images = {"images_i": images_i, "images_j": images_j}
    images |= {} if rivals is None else {"rivals": rivals}
    check_pictures(**images)
    require(len(images_i), f"{', '.join(images)}: no pictures")
    check_choice("level", level, ("pixels", "units"))
    if only is not None and level != "pixels":
        raise ValueError(f"only: {only!r} is followed to the pixels; leave it out of level='units'")
    require(not model.training, "model: it is in training mode; call model.eval() first")
    program = _program(model, of, rivals, references, (_plain(user), _plain(kind)), len(images_i))
    rule = default_rule(model) if rule is None else rule
    shown = tuple(images.values())
    propagated = partial(lrp.relevance, rule=rule, split=split, ledger=True)
    if level == "pixels" and only is None:
        return Explanation(of, *propagated(program.of_pictures, shown))
    with torch.no_grad():
        x = tuple(model.features(each) for each in shown)
        u = tuple(map(program.units, x))
    R_u, ledger = propagated(program.of_units, u)
    units = Explanation(of, R_u, ledger, x, getattr(model.head, "questions", ()))
    if level == "units":
        return units
    kept = [R * flags for R, flags in zip(units.maps, _kept(units, only), strict=True)]
    per_unit = [torch.where(own == 0, 0.0, R / own) for R, own in zip(kept, u, strict=True)]
    weights = torch.cat(per_unit, dim=1)[..., None]

    def of_kept(*pictures: Tensor) -> Values:
        return placed(torch.cat([model.features(p) for p in pictures], dim=1), weights)[:, 0]

    maps, below = propagated(of_kept, shown)
    return Explanation(of, maps, _joined(units.ledger, below, float(sum(R.sum() for R in kept))))


def _kept(units: Explanation, only: str | None) -> Float[Tensor, "picture pair D"]:
    """One for the units that are followed, zero for the others."""
    questions = units.questions
    optional = torch.tensor([each.optional for each in questions], device=units.maps[0].device)
    wanted = torch.tensor([each.name == only for each in questions], device=optional.device)
    if questions and only == "main attribute":
        best = units.blocks().masked_fill(~optional, -torch.inf).argmax(dim=-1)
        wanted = torch.arange(len(questions), device=best.device) == best[..., None]
    elif only == "attributes":
        wanted = optional
    names = ", ".join(each.name for each in questions) or "none: its units have no names"
    require(wanted.any(), f"only: {only!r} is no question of this model ({names})")
    sizes = torch.tensor([len(each.classes) for each in questions], device=optional.device)
    flags = wanted.repeat_interleave(sizes, dim=-1).to(units.maps[0])
    return flags.expand(len(units.maps), *units.maps[0].shape)


def _joined(above: Ledger, below: Ledger, followed: float) -> Ledger:
    """The books of the units and of what was followed from there to the pixels."""
    sinks = above.sinks | below.sinks
    sinks |= {"other units": above.inputs - followed, "references": followed - below.output}
    biases, epsilon = above.biases + below.biases, above.epsilon + below.epsilon
    return Ledger(above.output, below.inputs, biases, epsilon, sinks)


# --------------------------------------------------------------------------- what is explained


class Closeness(nn.Module):
    """closeness(images_i, images_j, user, kind): how much nearer than the average of their kinds.

    Args:
        model: in eval mode.
        references: `[group, D]`, mean features of groups of items (`mean_features`). A picture is
            compared with the nearest one; a single row is the average of all items.

    Raises:
        ValueError: references that do not have the model's D.
    """

    def __init__(self, model: RelationModel, references: Float[Tensor, "group D"]) -> None:
        super().__init__()
        shape, D = tuple(references.shape), model.dimensions
        require(shape[1:] == (D,), f"references: shape {shape}; needs [group, {D}]")
        self.model = model
        self.references = nn.Parameter(references.detach().clone(), requires_grad=False)
        self.train(model.training)

    def forward(self, images_i: Pictures, images_j: Pictures, user: Ids, kind: Ids | str) -> Values:
        """2 (x_i - r_i) M(u) (x_j - r_j)^T."""
        a, b = map(self.units, self.model.both(images_i, images_j))
        return _twice_product(a, b, self.model.factor(user, kind, len(images_i)))

    def units(self, x: Float[Tensor, "item D"]) -> Float[Tensor, "item D"]:
        """x - r: how the features of each picture depart from the nearest reference."""
        return x - self.nearest(x)

    def nearest(self, x: Float[Tensor, "item D"]) -> Float[Tensor, "item D"]:
        """The nearest reference of each feature vector, whoever looks.

        |x - r|^2 is least where x r^T - |r|^2 / 2 is greatest.
        """
        towards = x @ self.references.T - self.references.square().sum(dim=1) / 2
        return self.references[towards.argmax(dim=1)]


class _Program(nn.Module):
    """What is explained, a value of the units of some pictures; q and references keep their names.

    Args:
        close: what makes the units of x; without it, they are x.
    """

    def __init__(self, model: RelationModel, value: Any, close: Closeness | None = None) -> None:
        super().__init__()
        self.q, self.references = model.q, close and close.references
        self.features, self.units = model.features, close.units if close else lambda x: x
        self.value, self.training = value, False

    def of_units(self, *units: Features) -> Values:
        return self.value(*units)

    def of_pictures(self, *pictures: Pictures) -> Values:
        return self.value(*(self.units(self.features(each)) for each in pictures))


def _program(
    model: RelationModel, of: str, rivals: Given, references: Given, asked: Asked, pairs: int
) -> _Program:
    """What to explain, as a function of the units of the pictures."""
    if (of == "contrast") != (rivals is not None):
        raise ValueError(f"rivals: of={of!r} with{'out' if rivals is None else ''} rivals")
    if of == "distance":
        return _Program(model, lambda i, j: model.distance(i, j, *asked))
    if of == "logit":
        return _Program(model, lambda i, j: model.logit(i, j, *asked))
    factor = model.factor(*asked, pairs).detach()
    if of == "closeness" and references is not None:
        close = Closeness(model, references)
        return _Program(model, lambda a, b: _twice_product(a, b, factor), close)
    if of == "contrast":
        gap = partial(_length_gap, factor=factor)
        return _Program(model, lambda i, j, n: gap(difference(i, n), difference(i, j)))
    if of == "personal":
        M = _personal_M(model, *asked, pairs)
        return _Program(model, lambda i, j: _quadratic_form(difference(i, j), M))
    require(of != "closeness", "references: none, but closeness needs them; see `mean_features`")
    why = "; it cannot be shared among pictures: explain the logit" if of == "probability" else ""
    raise ValueError(f"of: {of!r}; choose from {', '.join(OF)}{why}")


def _plain(ids: Any) -> Any:
    """Users or kinds as Python's own numbers, which `lrp` hands on and does not explain."""
    return ids if isinstance(ids, str) else torch.as_tensor(ids).tolist()


@homogeneous(2)
def _length_gap(delta_n: Tensor, delta_j: Tensor, factor: Tensor) -> Values:
    """|delta_n L|^2 - |delta_j L|^2: one function of both, so that equal distances do no harm."""
    return squared_length(delta_n, factor) - squared_length(delta_j, factor)


@homogeneous(2)
def _twice_product(a: Tensor, b: Tensor, factor: Tensor) -> Values:
    """2 a M b^T, with M = L L^T."""
    return 2 * (placed(a, factor) * placed(b, factor)).sum(-1)


@homogeneous(2)
def _quadratic_form(delta: Tensor, M: Tensor) -> Values:
    """delta M delta^T, for a symmetric M of any sign, one for all or one a pair."""
    return (placed(delta, M) * delta).sum(-1)


@torch.no_grad()
def _personal_M(model: RelationModel, user: Any, kind: Any, n: int) -> Float[Tensor, "pair D D"]:
    """M(u) - the mean M of all users, one for each of n pairs."""
    users, kinds = (ids.expand(n).tolist() for ids in (model.users(user), model.kinds(kind)))
    if NEW_USER in users:
        raise ValueError("user: NEW_USER has the average factor, nothing of it is personal")
    M = {k: torch.stack([model.M(u, k) for u in range(model.n_users)]) for k in set(kinds)}
    own = {k: each - each.mean(dim=0) for k, each in M.items()}
    return torch.stack([own[k][u] for u, k in zip(users, kinds, strict=True)])
