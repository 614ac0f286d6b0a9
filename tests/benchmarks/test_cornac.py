"""VBPR against a maintained implementation, `cornac` (extra `benchmark`); skipped without it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from explainrec_lab import data
from explainrec_lab.baselines.visual import BPRMF, VBPR, Ranker
from explainrec_lab.evaluate.ranking import auc
from explainrec_lab.saers.train import train

USERS, ITEMS, D = 400, 300, 16


@pytest.fixture(scope="module")
def shop() -> tuple[data.Split, Tensor]:
    """A small boutique and one vector an item: its classes, mixed at random."""
    boutique = data.load("boutique", items=ITEMS, shoppers=USERS)
    codes = boutique.catalogue.attributes
    assert codes is not None
    classes = np.concatenate([np.eye(6)[codes[:, k]][:, :5] for k in range(12)], axis=1)
    mixed = classes @ np.random.default_rng(0).normal(size=(60, 32)) / 32**0.5
    return data.leave_one_out(boutique.interactions), torch.from_numpy(mixed).float()


@pytest.fixture(scope="module")
def theirs(shop: tuple[data.Split, Tensor]) -> Any:
    """cornac's VBPR, trained on the same purchases and vectors."""
    cornac = pytest.importorskip("cornac", reason="pip install 'explainrec-lab[benchmark]'")
    parts, vectors = shop
    # ids in order of first sight: every user and item is seen at its own place
    events = [(u, i, 1.0) for u, i in zip(parts.train.user, parts.train.item, strict=True)]
    users = {u: u for u in range(USERS)}
    items = {i: i for i in range(ITEMS)}
    train = cornac.data.Dataset.build(events, global_uid_map=users, global_iid_map=items)
    picture = cornac.data.ImageModality(features=vectors.numpy(), ids=list(items))
    train.add_modalities(item_image=picture.build(id_map=items))
    model = cornac.models.VBPR(
        k=D // 2, k2=D // 2, n_epochs=15, learning_rate=0.01, lambda_w=0.01, verbose=False, seed=0
    )
    return model.fit(train)


def test_the_same_parameters_give_cornac_s_scores(shop: tuple[data.Split, Tensor], theirs) -> None:
    ours = VBPR(USERS, shop[1], D)
    found = {
        "bias": theirs.beta_item,
        "user": theirs.gamma_user,
        "item": theirs.gamma_item,
        "visual_user": theirs.theta_user,
        "E": theirs.emb_matrix.T,
        "visual_bias": theirs.beta_prime.ravel(),
    }
    with torch.no_grad():
        for name, values in found.items():
            getattr(ours, name).copy_(torch.as_tensor(values))
    expected = np.stack([theirs.score(user) for user in range(USERS)])
    assert np.allclose(ours.scores().numpy(), expected, atol=1e-4)


def test_ours_ranks_as_well_as_cornac_s(shop: tuple[data.Split, Tensor], theirs) -> None:
    parts, vectors = shop
    known = parts.train.matrix + parts.development.matrix

    def held_out(scores: Tensor) -> float:
        return float(np.nanmean(auc(scores, parts.test.matrix, known)))

    def trained(model: Ranker) -> float:
        train(model, parts.train, epochs=20, learning_rate=0.01, regularizer=1e-4)
        return held_out(model.scores())

    other = held_out(torch.from_numpy(np.stack([theirs.score(u) for u in range(USERS)])))
    ours, without = trained(VBPR(USERS, vectors, D)), trained(BPRMF(USERS, ITEMS, D))
    assert ours > without, "pictures must help"
    assert ours > other - 0.03  # neither is tuned; they regularise differently
