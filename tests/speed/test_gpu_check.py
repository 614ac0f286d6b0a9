"""What each chapter trains and explains a second on a card.

`EXPLAINREC_SETTINGS=gpu python -m experiments gpu-check` runs this at the size of a card, in some
eight minutes, and records it. The networks are those of the settings `gpu`; pictures and purchases
are as many as a few steps need. Speeds stand beside what the card can do: its fastest product of
matrices in bfloat16, and its fastest copy. Otherwise the same steps run on the CPU, small.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from experiments.record import Columns, row
from explainrec_lab import data, lrp, reconet, relation
from explainrec_lab.baselines.attribution import gradient_x_input
from explainrec_lab.data.boutique import RelationDials
from explainrec_lab.data.contracts import present
from explainrec_lab.settings import SIZES, Network, fabric
from explainrec_lab.training import fit
from explainrec_lab.vision import naming


@dataclass(frozen=True)
class Check:
    """How much is tried.

    Attributes:
        chosen: settings of the chapters.
        items: pictures of an epoch; together: pictures that are explained together.
        users, products: of RecoNet's generated shop, with twenty purchases each.
        explained: users whose explanation is asked for.
        side: of the square matrices; copied: numbers that are copied.
    """

    chosen: dict[str, Any]
    items: int = 1024
    together: int = 32
    users: int = 200_000
    products: int = 20_000
    explained: int = 8_192
    side: int = 8_192
    copied: int = 2**30

    def machine(self) -> Iterator[Columns]:
        """The fastest product in bfloat16, and the fastest copy: what is read and written."""
        a, b = (torch.randn(self.side, self.side, device=device()).bfloat16() for _ in range(2))
        rate = 2 * self.side**3 / seconds(lambda: a @ b, 20)
        yield {"method": "product in bfloat16", "measure": "FLOP a second", "value": rate}
        one, other = (torch.zeros(self.copied, device=device()) for _ in range(2))
        rate = 2 * one.nbytes / seconds(lambda: other.copy_(one), 20)
        yield {"method": "copy", "measure": "bytes a second", "value": rate}

    def networks(self) -> Iterator[Columns]:
        """Chapters 1 and 3: an epoch of the relation model, end to end, and one of the network that
        sees attributes. A step's work is three times that of the network forward."""
        settings = replace(self.chosen["relation"], epochs=1)
        network = replace(self.chosen["saers"].network, epochs=1)
        dials = RelationDials(pairs=self.items)
        shop = data.load("boutique", items=self.items, size=network.size, relating=dials)
        images, relations = shop.catalogue.images, present("relations", shop.relations)
        part = relation.split(relations, fractions=(1.0, 0.0, 0.0)).train
        paired, names = relation.untrained(settings, relations.n_groups), naming.untrained(network)
        learn = partial(relation.train, paired, part, present("images", images)[:], settings)
        yield from self._network("relation model", paired.network, learn)
        learn = partial(naming.train, names, shop.catalogue, network)
        yield from self._network("attributes", names.network, learn)

    def _network(self, name: str, network: Any, learn: Callable[[], Any]) -> Iterator[Columns]:
        with FlopCounterMode(display=False) as counter:
            network(self.pictures(1).cpu())
        rate = self.items / seconds(learn, 1)
        row = {"method": f"{name}, training"}
        yield row | {"measure": "pictures a second", "value": rate}
        yield row | {"measure": "FLOP a second", "value": 3 * counter.get_total_flops() * rate}

    def pictures(self, count: int) -> torch.Tensor:
        """Some noise, of the size of chapter 1's pictures."""
        side = self.chosen["relation"].network.size
        return torch.rand(count, 3, side, side, device=device())

    def reconet(self) -> Iterator[Columns]:
        """Chapter 2: an epoch, and explanations in bulk. An explanation need only read the vectors
        of its purchases and of its item."""
        settings, rng = self.chosen["reconet"], np.random.default_rng(0)
        user = np.repeat(np.arange(self.users), 20)
        bought = pd.DataFrame({"user": user, "item": rng.integers(self.products, size=len(user))})
        events = data.from_frames(bought.drop_duplicates()).interactions
        names = tuple(map(str, range(events.n_items)))
        model = reconet.RecoNet(reconet.FeatureSpace(names, events.item_features, ()), settings.d)
        examples = reconet.RemovedItems(events, model.space, batch_size=settings.batch_size)
        given = (model, examples, reconet.cross_entropy, settings.optimisation(1))
        rate = self.users / seconds(lambda: fit(*given, fabric=fabric()), 1)
        yield {"method": "RecoNet, training", "measure": "users a second", "value": rate}
        some = model.to(device()).space.profiles(events).rows(0, self.explained).to(device())
        items = torch.from_numpy(rng.integers(events.n_items, size=len(some))).to(device())
        rate = 1 / seconds(lambda: reconet.relevance(model, some, items))
        row = {"method": "RecoNet, explanations"}
        yield row | {"measure": "explanations a second", "value": len(some) * rate}
        read = (len(some.ids) + len(some)) * settings.d * model.W.element_size()
        yield row | {"measure": "bytes a second", "value": read * rate}

    def relevance(self) -> Iterator[Columns]:
        """LRP beside gradient x input, for a whole VGG-16 and ResNet-50."""
        x = self.pictures(self.together)
        for name in ("vgg16", "resnet50"):
            model = models.get_model(name, weights=None).eval().to(device())
            took = seconds(partial(lrp.relevance, model, x, 0))
            row = {"method": "LRP, epsilon", "variant": name}
            yield row | {"measure": "pictures a second", "value": self.together / took}
            times = took / seconds(partial(gradient_x_input, model, x, 0))
            yield row | {"measure": "times gradient x input", "value": times}


def device() -> torch.device:
    """The device of the settings in force."""
    return fabric().device


def seconds(action: Callable[[], Any], times: int = 5) -> float:
    """The middle of some times, after one that does not count."""
    found = []
    for _ in range(times + 1):
        start = time.perf_counter()
        action()
        if device().type == "cuda":
            torch.cuda.synchronize()
        found.append(time.perf_counter() - start)
    return median(found[1:])


SMALL = Network(size=64, backbone="vgg16", norm=None, stride=16, epochs=1, batch_size=8)


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Check:
    """At a card's size where one is asked for, else small."""
    chosen = {name: sizes["gpu"] for name, sizes in SIZES.items()}
    if os.environ.get("EXPLAINREC_SPEED") == "1":
        return Check(chosen)
    monkeypatch.setenv("EXPLAINREC_SETTINGS", "ci")
    chosen["relation"] = replace(chosen["relation"], network=SMALL, D=10, batch_size=8)
    other = replace(SMALL, backbone="resnet50", stride=32, head="pooled")
    chosen["saers"] = replace(chosen["saers"], network=other)
    small = {"items": 40, "together": 2, "users": 300, "products": 50, "explained": 64}
    return Check(chosen, **small, side=64, copied=2**12)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["machine", "networks", "reconet", "relevance"])
def test_every_step_runs_and_takes_time(
    part: str, check: Check, record_property: Callable[[str, Any], None]
) -> None:
    said = {"data": "boutique", "seed": 0, "settings": asdict(check.chosen["relation"])}
    found = [row(said | each) for each in getattr(check, part)()]
    if device().type == "cuda":
        most = torch.cuda.max_memory_allocated()
        told = {"method": f"{part}, so far", "measure": "bytes of memory", "value": most}
        found.append(row(said | told))
    for each in found:
        record_property("row", each)
    assert len(found) >= 2
    assert all(each["value"] > 0 for each in found)


def test_the_gpu_settings_are_the_papers() -> None:
    chosen: Any = {name: sizes["gpu"] for name, sizes in SIZES.items()}
    relation, saers = chosen["relation"], chosen["saers"]
    assert (relation.network.backbone, saers.network.backbone) == ("vgg16", "resnet50")
    assert relation.size == relation.network.size == saers.size == saers.network.size == 224
    assert relation.network.weights == saers.network.weights == "imagenet"
    assert (relation.features, relation.metric, relation.D) == ("projection", "full", 100)
    assert relation.end_to_end and saers.d == 100
