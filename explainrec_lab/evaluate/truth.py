"""Explanations against the known truth: did they name the attribute that did it?

Only a source that knows why each purchase happened can be scored here (the boutique does). The
question is not which item, as in `ranking.py`, but which *attribute*: of those that the item has,
the explanation points at one, the truth names one. Two `references` stand beside every hit rate: a
blind guess among the attributes that apply, and the attribute that is most often the reason.
Nothing here knows a model.

An event counts when it has a reason (not -1) and its item has at least two attributes: with one
attribute there is nothing to explain.
"""

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from explainrec_boutique.design import ItemFacts
from explainrec_boutique.relations import NO_REASON, group_rule
from explainrec_boutique.vocabulary import DOES_NOT_APPLY, RELATION_KINDS
from explainrec_lab.data import Dataset, Interactions
from explainrec_lab.data.contracts import check_ids, present, require

# One attribute an event, -1 where there is no single one.
Reasons = Int[ndarray, " event"]
# Of each attribute of each event's item: whether it applies, and how much it has to do with it.
Applies = Bool[ndarray, "event attribute"]
Scores = Float[ndarray, "event attribute"]


def reason_hit_rate(
    predicted_attribute: Reasons | Scores, true_reason: Reasons, applies: Applies
) -> float:
    """Share of explainable events whose explanation names the true attribute.

    Args:
        predicted_attribute: one attribute an event (integers), or the explanation's own scores of
            all attributes (floats; higher = more to do with it). Of the scores only those of
            attributes that apply compete, and a tie is shared: of m attributes at the top, each
            is a hit for 1/m, so that an explanation without an opinion gets the chance rate.
        true_reason: the attribute behind each event, -1 = none (left out).
        applies: whether the event's item has each attribute.

    Returns:
        The rate in 0..1; nan when no event counts.

    Raises:
        ValueError: shapes that do not agree, nan scores, a reason that does not apply.
    """
    true_reason, applies = _checked(true_reason, applies)
    guess = _shares(np.asarray(predicted_attribute), applies)
    counted = explainable(true_reason, applies)
    return float(pd.Series(guess[counted, true_reason[counted]]).mean())  # nan of nothing


def hit_rate(dataset: Dataset, events: Interactions, predicted: Reasons | Scores) -> float:
    """`reason_hit_rate` of these explanations of a data set's own purchases."""
    reason, applies = purchase_reasons(dataset, events), applies_to(dataset, events)
    return reason_hit_rate(predicted, reason, applies)


def references(dataset: Dataset, events: Interactions, earlier: Interactions) -> dict[str, float]:
    """What stands beside the hit rates of explanations of purchases: a blind guess among the
    attributes that apply, and that one of them which is most often the reason of `earlier`
    purchases, such as the training's."""
    applies = applies_to(dataset, events)
    reasons = purchase_reasons(dataset, earlier)
    often = np.bincount(reasons[reasons != NO_REASON], minlength=applies.shape[1])
    said = {"guessing": np.zeros_like(often), "most frequent reason": often}
    wide = {name: np.broadcast_to(each, applies.shape) for name, each in said.items()}
    return {name: hit_rate(dataset, events, each) for name, each in wide.items()}


def agreement(items: Int[ndarray, " event"], named: Reasons | Scores, applies: Applies) -> float:
    """Mean over items of the chance that two of its buyers are given the same attribute.

    Args:
        named: one attribute an event (-1 = none, an answer too), or the scores of all. Each buyer
            has a lot of her own among the attributes that tie at the top, of those that apply.
    """
    one = pd.get_dummies(named, dtype=float).to_numpy() if np.ndim(named) == 1 else None
    guess = _shares(np.asarray(named), applies) if one is None else one
    votes, alone = (pd.DataFrame(each).groupby(items).sum() for each in (guess, guess**2))
    n = np.unique(items, return_counts=True)[1]
    alike = (votes**2 - alone).sum(axis=1).to_numpy()
    return float(pd.Series((alike / np.maximum(n * (n - 1), 1))[n > 1]).mean())


def explainable(true_reason: Reasons, applies: Applies) -> Bool[ndarray, " event"]:
    """Which events count: those with a reason, on items with at least two attributes."""
    return (np.asarray(true_reason) != NO_REASON) & (np.asarray(applies).sum(axis=1) > 1)


def applies_to(dataset: Dataset, events: Interactions) -> Applies:
    """Whether the item of each event has each attribute.

    Raises:
        ValueError: the data set knows no attributes.
    """
    known = present(f"attributes of {dataset.name!r}", dataset.catalogue.attributes)
    return known[events.item] != DOES_NOT_APPLY


def purchase_reasons(dataset: Dataset, events: Interactions) -> Reasons:
    """The true reason of each event of a split, looked up by (user, item).

    Raises:
        ValueError: the data set knows no reasons, or did not have one of the events.
    """
    truth = present(f"reasons of purchases of {dataset.name!r}", dataset.truth)
    pairs = (dataset.interactions, events)
    known, asked = (each.user * each.n_items + each.item for each in pairs)
    order = np.argsort(known, kind="stable")
    place = order[np.searchsorted(known, asked, sorter=order).clip(max=len(known) - 1)]
    for bad in np.flatnonzero(known[place] != asked):
        stranger = f"user {events.user[bad]} never took item {events.item[bad]}"
        raise ValueError(f"events: {stranger} in dataset {dataset.name!r}")
    return truth.purchase_reason[place]


def _checked(true_reason: ndarray, applies: ndarray) -> tuple[ndarray, ndarray]:
    """Both as arrays, once they agree: every reason is an attribute that applies, or -1."""
    true_reason, applies = np.asarray(true_reason), np.asarray(applies, dtype=bool)
    shapes = f"{true_reason.shape} and {applies.shape}; need [event] and [event, attribute]"
    right = applies.ndim == 2 and true_reason.shape == applies.shape[:1]
    require(right, f"true_reason and applies: shapes {shapes}")
    events = np.flatnonzero(true_reason != NO_REASON)
    reasons = check_ids("true_reason", true_reason[events], applies.shape[1], "attribute")
    for bad in events[~applies[events, reasons]]:
        has = f"event {bad} has reason {true_reason[bad]}, which does not apply"
        raise ValueError(f"true_reason: {has}")
    return true_reason, applies


def _shares(predicted: ndarray, applies: ndarray) -> Scores:
    """One guess an event, spread evenly over the attributes tied at the top."""
    if predicted.ndim == 1 and len(predicted) == len(applies):
        named = check_ids("predicted_attribute", predicted, applies.shape[1], "attribute")
        return np.eye(applies.shape[1])[named]
    shapes = f"{predicted.shape}; needs {applies.shape[:1]} or {applies.shape}"
    require(predicted.shape == applies.shape, f"predicted_attribute: shape {shapes}")
    known = not np.isnan(predicted[applies]).any()
    require(known, "predicted_attribute: nan among the scores of attributes that apply")
    scores = np.where(applies, predicted, -np.inf)
    top = applies & (scores == scores.max(axis=1, keepdims=True))
    return top / np.maximum(top.sum(axis=1, keepdims=True), 1)


# --------------------------------------------------------------------------- relations


def rule_holds(dataset: Dataset, pairs: Any, seed: int = 0) -> Bool[ndarray, " pair"]:
    """Whether pairs obey the boutique's definition of their kind, whatever was recorded.

    Args:
        pairs: has `user` (a group of shoppers), `kind`, `source` and `target`, int64 `[pair]`.
        seed: what the boutique was loaded with.

    Raises:
        ValueError: a data set that is no boutique, another seed than its own, or an unknown user,
            kind or item.
    """
    require(dataset.name == "boutique", f"dataset: {dataset.name!r} has no rule; the boutique has")
    relations, truth = present("relations", dataset.relations), present("truth", dataset.truth)
    check_ids("pairs.user", pairs.user, relations.n_groups, "group")
    check_ids("pairs.kind", pairs.kind, len(RELATION_KINDS), "kind")
    for name in ("source", "target"):
        check_ids(f"pairs.{name}", getattr(pairs, name), relations.n_items, "item")
    attributes = present("attributes", dataset.catalogue.attributes)
    facts = ItemFacts.of(dataset.catalogue.items, attributes)
    holds = np.zeros(len(pairs.source), dtype=bool)
    for user in range(relations.n_groups):
        rule = group_rule(user, facts, seed)
        for number, kind in enumerate(RELATION_KINDS):
            known = (relations.group == user) & (relations.kind == number)
            known &= truth.relation_reason[:, 0] != NO_REASON
            if not rule.related(kind, relations.source[known], relations.target[known]).all():
                raise ValueError(f"seed: {seed} is not what this boutique was loaded with")
            rows = (pairs.user == user) & (pairs.kind == number)
            holds[rows] = rule.related(kind, pairs.source[rows], pairs.target[rows])
    return holds
