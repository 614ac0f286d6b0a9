"""RecoNet's reasons against the boutique's truth: is the preference named that made her buy?"""

from collections.abc import Iterator
from dataclasses import asdict

from numpy import ndarray

from experiments.reconet import Version
from experiments.record import Columns, Result, results, rows_by
from explainrec_lab import data, reconet
from explainrec_lab.baselines import taste
from explainrec_lab.data.boutique import ShopperDials
from explainrec_lab.data.contracts import present
from explainrec_lab.evaluate import truth
from explainrec_lab.reconet.explain import attribute_features, favoured

# Name -> scores of the attributes of each held-out purchase.
Answers = dict[str, ndarray]  # `[event, attribute]`

# Purchases a shopper; a fifth of them is asked about.
PURCHASES = (4, 8, 16, 32, 64)

SHOP = {"items": 600, "shoppers": 1500}
MODEL = Version(64, epochs=40, weight_decay=0.1, attribute_decay=0.1, attribute_share=0.5)


def reconet_truth(seeds: int = 3) -> Iterator[Result]:
    """How often each explanation names the true reason of a held-out purchase.

    No setting was tuned on these shops: the model and its training are the chapter's.
    """
    for seed in range(seeds):
        for purchases in PURCHASES:
            dials = ShopperDials(purchases=purchases)
            shop = data.load("boutique", **SHOP, seed=seed, shopping=dials)
            parts = data.split(shop.interactions, seed, fractions=(0.8, 0.0, 0.2))
            settings = {**SHOP, **asdict(MODEL)}
            shared = {"purchases": purchases, "seed": seed, "d": MODEL.d, "settings": settings}
            yield from results(_scored(shop, parts, seed), data="boutique", **shared)


def _scored(shop: data.Dataset, parts: data.Split, seed: int) -> Iterator[Columns]:
    """The hit rates for one shop, and how alike the answers for two shoppers are."""
    model, cost = MODEL.trained(parts.train, seed)
    blank = reconet.RecoNet(model.space, MODEL.d, seed=seed + 100)
    reason, applies = truth.purchase_reasons(shop, parts.test), truth.applies_to(shop, parts.test)
    answers, random = (from_model(each, shop, parts) for each in (model, blank))
    row = {"measure": "true reason named"}
    for variant, own in ("", answers | from_history(shop, parts)), ("random weights", random):
        rates = {name: truth.hit_rate(shop, parts.test, each) for name, each in own.items()}
        yield from rows_by("method", rates, variant=variant, cost=cost, **row)
    yield from rows_by("method", truth.references(shop, parts), **row)
    counted = truth.explainable(reason, applies)
    for method, named in (answers | {"the truth": reason}).items():
        same = truth.agreement(*(each[counted] for each in (parts.test.item, named, applies)))
        yield {"method": method, "measure": "same answer for two buyers", "value": same}
    share = model.space.profiles(parts.train).of_users(parts.test.user).shares(model.space.m)
    features = attribute_features(shop.catalogue, model.space)[parts.test.item]
    held = float((reconet.looked_up(share, features)[applies] > 0).mean())
    yield {"method": "the bought item's attributes", "measure": "in the profile", "value": held}


def from_model(model: reconet.RecoNet, shop: data.Dataset, parts: data.Split) -> Answers:
    """What the model's explanations say of each held-out purchase."""
    codes, events = present("attributes", shop.catalogue.attributes), parts.test
    profiles = model.space.profiles(parts.train)
    hers = profiles.of_users(events.user)
    share, mean = hers.shares(model.space.m), reconet.mean_profile(profiles, model.space.m)
    features = attribute_features(shop.catalogue, model.space)
    Z = reconet.relevance(model, hers, events.item)
    personal = reconet.relevance(model, hers, events.item, mean)
    own = features[events.item]
    classes = favoured(model, profiles.shares(model.space.m), mean, codes)
    return {
        "Z": reconet.looked_up(Z, own, share),
        "personal": reconet.looked_up(personal, own),
        "Z, passed on": reconet.passed_on(Z, events.item, codes, features, share),
        "personal, passed on": reconet.passed_on(personal, events.item, codes, features, share),
        "favoured class": taste.for_purchases(classes, events.user, events.item, codes),
    }


def from_history(shop: data.Dataset, parts: data.Split) -> Answers:
    """What the purchases say without RecoNet."""
    codes = present("attributes", shop.catalogue.attributes)
    asked = (parts.test.user, parts.test.item, codes)
    methods = {"counting": taste.counted, "choice model": taste.fitted}
    tastes = {name: method(parts.train.matrix, codes) for name, method in methods.items()}
    return {name: taste.for_purchases(each, *asked) for name, each in tastes.items()}
