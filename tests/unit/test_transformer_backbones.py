"""Vision transformers see for chapters 1 and 3: patches are the cells of a map."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from explainrec_lab import lrp, relation, saers, vision
from explainrec_lab.relation.model import Projection
from explainrec_lab.saers import regions
from explainrec_lab.vision.backbone import Backbone, _Patches
from explainrec_lab.vision.homogeneous import default_rule
from explainrec_lab.vision.naming import Naming, Question

QUESTIONS = [Question("neck", ("round", "square")), Question("cuff", ("none", "wide", "slim"))]


def tiny() -> models.VisionTransformer:
    torch.manual_seed(0)
    return models.VisionTransformer(32, 8, 2, 2, 12, 24).eval()


def network() -> Backbone:
    return Backbone(_Patches(tiny()), grid=4)


def pictures(size: int = 32, count: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, size, size), generator=generator, dtype=torch.uint8)


def test_patches_are_the_network_s_own_tokens_but_for_that_of_the_class() -> None:
    own, x = tiny(), torch.rand(2, 3, 32, 32)
    tokens = torch.cat([own.class_token.expand(2, -1, -1), own._process_input(x)], 1)
    expected = own.encoder(tokens)[:, 1:]
    found = _Patches(own)(x)
    for row in range(4):
        for column in range(4):
            torch.testing.assert_close(found[:, :, row, column], expected[:, 4 * row + column])


def test_a_picture_of_another_size_gets_positions_in_between() -> None:
    own = _Patches(tiny())
    assert own(torch.rand(2, 3, 64, 48)).shape == (2, 12, 8, 6)


def test_relevance_reaches_both_pictures_and_its_ledger_closes() -> None:
    own = network()
    head = Projection(own.size, 5)
    model = relation.RelationModel(own, head, 2, rank=2).double().eval()
    i, j = vision.pixels(pictures()).double(), vision.pixels(pictures().flip(0)).double()
    for rule in (None, lrp.Composite(attention="CP-LRP")):
        found = relation.explain(model, i, j, 0, 1, rule=rule)
        assert abs(found.ledger.gap) <= 1e-9 * abs(found.ledger.output)
        assert all(bool(maps.any()) for maps in found.maps)


def test_attributes_are_found_in_a_map_of_patches() -> None:
    own = Naming(network(), QUESTIONS, "pooled").eval()
    found = saers.extract(own, pictures(), applies=np.ones((3, 2), bool))
    assert found.features.shape == (3, 2, 12)
    seen = regions.look(own, pictures(), torch.ones(3, 2, dtype=torch.bool))
    for maps in (regions.grad_aam_maps(seen), regions.relevance_maps(seen)):
        assert maps.shape == (6, 32, 32)
        assert bool(maps.flatten(1).any(1).any())
    x, rule = vision.pixels(pictures()).double(), default_rule(own)
    _, ledger = lrp.relevance(own.double(), x, 3, rule, ledger=True)
    assert abs(ledger.gap) <= 1e-9 * abs(ledger.output)


@pytest.mark.parametrize(("name", "channels", "side"), [("vit_b_16", 768, 4), ("swin_t", 768, 2)])
def test_torchvision_s_transformers_come_by_name(name: str, channels: int, side: int) -> None:
    own = vision.backbone(name, grid=side).eval()
    assert own.channels == channels
    with torch.no_grad():
        assert own.convolutions(torch.rand(1, 3, 64, 64)).shape == (1, channels, side, side)
    assert not any(
        isinstance(part, nn.Linear) and part.out_features == 1000 for part in own.modules()
    )
