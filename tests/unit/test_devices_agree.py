"""What runs on the CPU runs on a GPU and says the same. Without one, half of these are skipped:
the other half shows that the tests themselves are right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models
from toys import model_of, profiles_of, shop

from explainrec_lab import data, lrp, reconet, relation, saers
from explainrec_lab.settings import SIZES, Network
from explainrec_lab.vision import naming
from explainrec_lab.vision.homogeneous import default_rule

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
NETWORK = Network(size=32, backbone="vgg11", width=0.1, norm=None, stride=8, epochs=2)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, GPU])])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("EXPLAINREC_SETTINGS", "cpu" if request.param == "cpu" else "gpu")
    return request.param


@pytest.mark.parametrize("name", ["vgg11", "resnet18", "resnet50"])
def test_relevance_is_that_of_the_cpu_in_double_precision(name: str, device: str) -> None:
    torch.manual_seed(0)
    model = models.get_model(name, weights=None).eval()
    pictures = torch.rand(2, 3, 64, 64)
    rule = default_rule(model)
    found = lrp.relevance(model.to(device), pictures.to(device), 3, rule).cpu()
    right = lrp.relevance(model.cpu().double(), pictures.double(), 3, rule)
    assert (found - right).abs().max() < 1e-3 * right.abs().max()


def test_a_relation_model_learns_end_to_end(device: str) -> None:
    settings = replace(
        SIZES["relation"]["gpu"], network=NETWORK, D=8, epochs=6, network_rate=0.3, batch_size=32
    )
    goods = data.load("boutique", items=120, size=32)
    part = relation.split(goods.relations).train
    model = relation.untrained(settings, goods.relations.n_groups)
    history = relation.train(model, part, goods.catalogue.images, settings)
    # in the first epoch the loss does not know all items yet: it compares with fewer
    assert history.loss[-1] < 0.95 * history.loss[1]
    assert {each.device.type for each in model.parameters()} == {"cpu"}


def test_a_network_learns_to_name_attributes(device: str) -> None:
    goods = data.load("boutique", items=120, size=32).catalogue
    model = naming.untrained(NETWORK)
    history = naming.train(model, goods, replace(NETWORK, epochs=4))
    assert history.loss[-1] < history.loss[0]


def test_preferences_are_learned(device: str) -> None:
    events = shop().interactions
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.random((events.n_items, 3, 4), np.float32))
    model = saers.model.SAERS(
        events.n_users, features, torch.ones(events.n_items, 3, dtype=torch.bool), d=4
    )
    how = {"epochs": 20, "learning_rate": 0.02, "regularizer": 0.0}
    history = saers.train(model, events, **how)
    assert history.loss[-1] < history.loss[0]


@pytest.mark.parametrize("hidden", [None, 6])
def test_explanations_of_reconet_are_those_of_the_cpu(hidden: int | None, device: str) -> None:
    goods = shop()
    model, profiles = model_of(goods, hidden=hidden), profiles_of(goods)
    items = torch.arange(len(profiles)) % goods.interactions.n_items
    right = reconet.relevance(model, profiles, items)
    moved = nn.Module.to(model, device)
    found = reconet.relevance(moved, profiles.to(device), items.to(device)).cpu()
    assert torch.allclose(found, right, atol=1e-9)
