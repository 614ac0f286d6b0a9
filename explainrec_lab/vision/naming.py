"""Naming what is on a picture: one network, many questions, learned from labels.

A backbone gives the last feature map F, a head the scores of the classes of each question: every
attribute (with one more class, 'does not apply'), the category, the colour family. Chapter 1 starts
from this network and takes its answers as features; chapter 3 asks it for attributes. It learns on
*another* boutique than those whose items it then sees (another seed: no item in common).

Source: SAERS, §3.1, Eq. 1 (the classes of one attribute, a softmax each). That paper does not say
what an attribute that a picture lacks is taught; the class for it, and weights with which rare
questions count as much as common ones, are ours.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from explainrec_boutique.design import ItemFacts
from explainrec_boutique.vocabulary import CATEGORIES, DOES_NOT_APPLY, FAMILIES, SCHEMA
from explainrec_lab import data, weights
from explainrec_lab.data.contracts import Catalogue, Schema, check_choice, present, require
from explainrec_lab.settings import Network, fabric
from explainrec_lab.training import Batch, History, Optimisation, fast_half, fit, summed, timed
from explainrec_lab.vision.backbone import Backbone, backbone, half_mirrored, held, pixels
from explainrec_lab.vision.homogeneous import ScaleNorm, has_additive_terms

# From F to the scores: linear on its mean (a ResNet's own), or a hidden layer on all cells.
HEADS = ("pooled", "hidden")

# Of the network's file in `weights`.
NAME = "attributes"

# Part of the recipe: raise it when the same settings give another network.
RECIPE_VERSION = 2

# Added to the seed: the shop whose labels are learned.
LABELLED_SHOP = 1000

# In the loss: what nobody labelled.
NOT_LABELLED = -2

# What 'does not apply' weighs in the loss, beside a question's other classes together.
ABSENT = 0.3

# Questions that weigh more than others in the loss.
EMPHASIS = {"colour family": 2.0}


# F, the last feature map.
Maps = Float[Tensor, "item channel row column"]


@dataclass(frozen=True)
class Question:
    """One question about a picture; under `optional` its answer may be that it does not apply."""

    name: str
    classes: tuple[str, ...]
    optional: bool = True

    @property
    def size(self) -> int:
        """How many answers it has."""
        return len(self.classes) + self.optional


Questions = Sequence[Question]
Classes = Float[Tensor, "item class"]
Answers = Float[Tensor, "item answer"]


def questions_of(schema: Schema) -> tuple[Question, ...]:
    """One question an attribute."""
    return tuple(Question(name, tuple(found)) for name, found in schema.classes.items())


# What there is to ask about a picture of the boutique.
QUESTIONS = (
    *questions_of(SCHEMA),
    Question("category", tuple(CATEGORIES), optional=False),
    Question("colour family", tuple(FAMILIES), optional=False),
)

# --------------------------------------------------------------------------- the network


class Naming(nn.Module):
    """Pixels in 0..1 -> the last feature map F -> scores of the classes of all questions.

    On a network without additive terms the head has none either.

    Args:
        network: gives F; its `grid` is the side of F.
        head: one of `HEADS`; hidden: units of a hidden layer.

    Attributes:
        n_classes: classes of each question, without 'does not apply'.
        n_attributes: how many questions come first and may not apply.
        seconds: CPU seconds of training, once trained.
    """

    def __init__(
        self,
        network: Backbone,
        questions: Questions = QUESTIONS,
        head: str = "hidden",
        hidden: int = 128,
    ) -> None:
        super().__init__()
        self.network, self.questions = network, tuple(questions)
        self.n_classes = [len(each.classes) for each in self.questions]
        self.n_attributes = sum(each.optional for each in self.questions)
        self.head = _head(head, network, hidden, sum(each.size for each in self.questions))
        self.seconds = 0.0

    def maps(self, images: Float[Tensor, "item 3 h w"]) -> Maps:
        """F, the last feature map."""
        return self.network.maps(images)

    def scores(self, maps: Maps) -> tuple[Answers, ...]:
        """Scores of all answers to each question, 'does not apply' being the last."""
        return self.head(maps).split([each.size for each in self.questions], dim=1)

    def answers(self, maps: Maps) -> tuple[Classes, Float[Tensor, "item question"]]:
        """Scores of all classes, one question after the other, and of 'it applies'.

        The score of a class says how far it stands above the mean of the question's classes: why
        this one rather than the others. A question applies where its best class beats the answer
        'does not apply'.
        """
        classes, applies = [], []
        for own, count in zip(self.scores(maps), self.n_classes, strict=True):
            best = own[:, :count].amax(dim=1)
            applies.append(best - (own[:, count] if own.shape[1] > count else best - 1))
            classes.append(above_mean(own, count)[:, :count])
        return torch.cat(classes, dim=1), torch.stack(applies, dim=1)

    def classes(self, maps: Maps) -> Classes:
        """Scores of all classes, one question after the other, above each question's mean."""
        return self.answers(maps)[0]

    def forward(self, images: Float[Tensor, "item 3 h w"]) -> Classes:
        """The scores of `classes`."""
        return self.classes(self.maps(images))

    def predicted(self, classes: Classes) -> Int[Tensor, "item question"]:
        """The most likely class of each question, whether it applies or not."""
        own = classes.split(self.n_classes, dim=1)
        return torch.stack([each.argmax(dim=1) for each in own], dim=1)

    def columns(self, codes: Int[Tensor, "item question"]) -> Int[Tensor, "item question"]:
        """Where the scores of these classes of the first questions stand among all.

        Raises:
            ValueError: a code that is no class of its question.
        """
        limits = torch.tensor(self.n_classes[: codes.shape[1]], device=codes.device)
        for item, question in ((codes < 0) | (codes >= limits)).nonzero()[:1].tolist():
            code, last = int(codes[item, question]), self.n_classes[question] - 1
            raise ValueError(f"codes: item {item}, question {question}: {code} is not in 0..{last}")
        return codes + (limits.cumsum(0) - limits)


def above_mean(scores: Answers, classes: int) -> Answers:
    """How far the score of each answer to a question stands above the mean of its classes."""
    return scores - scores[:, :classes].mean(dim=1, keepdim=True)


def _head(kind: str, network: Backbone, hidden: int, answers: int) -> nn.Sequential:
    """From F to the scores. Raises ValueError for an unknown kind."""
    bias = has_additive_terms(network)
    if kind == "pooled":
        mean = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return nn.Sequential(*mean, nn.Linear(network.channels, answers, bias))
    check_choice("head", kind, HEADS)
    norm = nn.BatchNorm1d(hidden) if bias else ScaleNorm(hidden)
    layers = (nn.Linear(network.size, hidden, bias), norm, nn.ReLU())
    if not bias:
        nn.init.kaiming_normal_(layers[0].weight, nonlinearity="relu")
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(hidden, answers, bias))


# --------------------------------------------------------------------------- learning


@dataclass(frozen=True)
class _Labelled(Batch):
    """A batch of pictures, uint8 `[item, 3, h, w]`, and what is on them, `[item, question]`."""

    pictures: Tensor
    labels: Int[Tensor, "item question"]


def naming_losses(
    scores: Sequence[Answers],
    labels: Int[Tensor, "item question"],
    questions: Questions,
    weights: Sequence[Float[Tensor, " class"]] | None = None,
) -> Float[Tensor, " item"]:
    """-log p of the true answers, summed over questions; rare questions weigh as much as common.

    Where a question does not apply (label -1), 'does not apply' is the answer of an optional one,
    at `ABSENT` of the weight; another costs nothing. What nobody labelled (`NOT_LABELLED`) costs
    nothing either: the double sum of Eq. 1 goes over the labels that there are.

    Args:
        weights: of the classes of each question; all 1 by default.

    Source: SAERS, Eq. 1, with weights and one more class.
    """
    losses = torch.zeros(len(labels), device=labels.device, dtype=scores[0].dtype)
    for number, (own, truth, question) in enumerate(zip(scores, labels.T, questions, strict=True)):
        there, absent = truth >= 0, truth == DOES_NOT_APPLY
        counts = torch.stack([torch.ones_like(there).sum(), there.sum(), absent.sum()])
        items, of_there, of_absent = summed(counts).clamp(min=1)
        rarity = torch.where(there, items / of_there, 0.0)
        if question.optional:
            rarity[absent] = ABSENT * items / of_absent
        counting = None
        if weights is not None:
            counting = F.pad(weights[number].to(own), (0, int(question.optional)), value=1.0)
        answer = torch.where(there, truth, own.shape[1] - 1)
        loss = F.cross_entropy(own, answer, counting, reduction="none")
        losses = losses + EMPHASIS.get(question.name, 1.0) * rarity * loss
    return losses


def _class_weights(
    labels: Int[ndarray, "item question"], n_classes: Sequence[int]
) -> list[Float[Tensor, " class"]]:
    """Weights with which the classes of a question count alike; 1 on average over its labels."""
    weights = []
    for column, count in zip(labels.T, n_classes, strict=True):
        found = np.bincount(column[column >= 0], minlength=count)
        there = np.maximum(found, 1)  # a class without examples has no loss to weigh
        weights.append(torch.from_numpy(found.sum() / (max((found > 0).sum(), 1) * there)).float())
    return weights


def train(
    naming: Naming, catalogue: Catalogue, settings: Network, seed: int = 0, balanced: bool = False
) -> History:
    """Fit in place by Adam, on the device of the settings in force; it comes back to the CPU.

    Args:
        balanced: all classes of a question count alike, however rare they are.

    Raises:
        ValueError: a catalogue without pictures or labels, or with labels of other questions.
    """
    labels = _labels_of(catalogue, naming.questions)
    images = held(present("pictures of the catalogue", catalogue.images))

    def batches(epoch: int) -> Iterator[_Labelled]:
        """All pictures once in random order, half of them mirrored."""
        rng = np.random.default_rng([seed, 3, epoch])
        order = rng.permutation(len(labels))
        for ids in np.array_split(order, max(1, len(order) // settings.batch_size)):
            pictures = half_mirrored(torch.as_tensor(images[ids]), rng)
            yield _Labelled(pictures, torch.from_numpy(labels[ids]))

    counting = _class_weights(labels, naming.n_classes) if balanced else None

    def losses(_: nn.Module, batch: _Labelled) -> Float[Tensor, " item"]:
        with fast_half(batch.pictures.device):
            scores = naming.scores(naming.maps(pixels(batch.pictures)))
        full = [each.float() for each in scores]
        return naming_losses(full, batch.labels, naming.questions, counting)

    optimisation = Optimisation(settings.epochs, settings.learning_rate)
    return fit(naming, batches, losses, optimisation, fabric=fabric())


def _labels_of(catalogue: Catalogue, questions: Questions) -> Int[ndarray, "item question"]:
    """The answers for every item: its attributes, then category and colour family if asked for;
    `NOT_LABELLED` where there is none.

    Raises:
        ValueError: attributes of another number than questions.
    """
    labels = present("attributes of the catalogue", catalogue.attributes)
    known, given = catalogue.labelled, labels.shape[1]
    answers = labels if known is None else np.where(known, labels, NOT_LABELLED)
    if len(questions) == len(QUESTIONS) and given == len(SCHEMA.attributes):
        facts = ItemFacts.of(catalogue.items, labels)
        return np.column_stack([answers, facts.category, facts.colour_family])
    require(given == len(questions), f"catalogue: {given} labels for {len(questions)} questions")
    return answers


# --------------------------------------------------------------------------- trained once


def untrained(settings: Network, seed: int = 0, questions: Questions = QUESTIONS) -> Naming:
    """The network of the settings with random weights, or ImageNet's if they ask for them."""
    grid = settings.size // settings.stride
    how: dict[str, Any] = {"stride": settings.stride, "norm": settings.norm, "seed": seed}
    network = backbone(settings.backbone, settings.width, settings.weights, grid=grid, **how)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Naming(network, questions, settings.head, settings.hidden)


def recipe(settings: Network, seed: int = 0, origin: str = "scratch") -> dict[str, Any]:
    """What the weights of the network depend on, besides the boutique's drawing."""
    return {"version": RECIPE_VERSION, "seed": seed, "origin": origin, **asdict(settings)}


def trained(settings: Network, seed: int = 0) -> Naming:
    """The network of the settings: from the package or the cache, else trained and kept there."""
    naming = untrained(settings, seed)

    def learn() -> float:
        asked = {"items": settings.photos, "size": settings.size, "seed": LABELLED_SHOP + seed}
        shop = data.load("boutique", **asked).catalogue
        held(present("pictures", shop.images))  # drawing is not training, if they fit
        return timed(lambda: train(naming, shop, settings, seed))[1]

    chosen = recipe(settings, seed, naming.network.origin)
    naming.seconds = weights.trained(naming, NAME, chosen, learn)
    return naming.eval()
