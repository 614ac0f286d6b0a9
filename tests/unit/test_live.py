"""What is exported for the page: small, complete, deterministic, and true to the model."""

from __future__ import annotations

import dataclasses
import json

import ipywidgets
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import model_of, shop

from explainrec_lab import data, evaluate, live, reconet
from explainrec_lab.settings import SIZES


@pytest.fixture(scope="module")
def model() -> reconet.RecoNet:
    return model_of(shop(), d=3, dtype=torch.float32)


@pytest.fixture(scope="module")
def reference(model: reconet.RecoNet) -> torch.Tensor:
    return torch.full((model.space.m,), 1 / model.space.m)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(1e-6, 1e6))
def test_each_number_is_off_by_half_a_step_at_most(seed: int, size: float) -> None:
    rows = size * torch.randn(5, 7, generator=torch.Generator().manual_seed(seed))
    packed = live._packed_rows(rows)
    step = rows.abs().amax(dim=1, keepdim=True) / live.TOP
    error = (live._read_rows(packed, 7) - rows).abs()
    assert (error <= 0.501 * step + 1e-6 * rows.abs()).all()


def test_a_row_of_zeros_stays_one() -> None:
    back = live._read_rows(live._packed_rows(torch.zeros(1, 4)), 4)
    assert back.shape == (1, 4) and (back == 0).all()


def test_the_export_holds_names_and_what_each_item_brings(model, reference) -> None:
    space, packed = model.space, live.pack(model, reference)
    assert packed["names"] == list(space.names)
    for item, brought in enumerate(packed["brings"]):
        own = space.profile([item]).ids.tolist()
        assert [item, *brought] == sorted(own)


def test_packing_and_unpacking_lose_the_rounding_only(model, reference) -> None:
    back = live.unpack(live.pack(model, reference), model.space)
    assert torch.allclose(back.Q, model.Q, atol=1e-4) and torch.allclose(back.W, model.W, atol=1e-4)
    assert live.pack(back, reference)["Q"] == live.pack(model, reference)["Q"]


def test_the_same_model_gives_the_same_text(model, reference) -> None:
    texts = {live.recommender(model, reference)._repr_html_() for _ in range(2)}
    assert len(texts) == 1


def test_a_notebook_without_html_gets_a_short_line(model, reference) -> None:
    assert len(repr(live.recommender(model, reference))) < 120


def test_a_household_is_written_as_features(model, reference) -> None:
    names = model.space.names
    told = model.space.user_feature_names[1]
    packed = live.pack(model, reference, {"me": [names[2], names[0], told]})
    assert packed["households"] == [{"name": "me", "features": [2, 0, names.index(told)]}]


@pytest.mark.parametrize("name", ["</script><b>", "<!--<script>", "caf\u00e9 \u2028"])
def test_a_name_cannot_end_the_script(model, reference, name: str) -> None:
    space = dataclasses.replace(model.space, item_names=(name, *model.space.item_names[1:]))
    odd = reconet.RecoNet(space, d=2)
    shown = live.recommender(odd, reference)
    text = live.written(live.pack(odd, reference))
    assert "<" not in text and json.loads(text)["names"][0] == name
    assert shown._repr_html_().count("</script>") == 2


def test_what_a_page_cannot_compute_is_refused(model, reference) -> None:
    deep = reconet.RecoNet(model.space, d=3, hidden=4)
    with pytest.raises(ValueError, match="hidden=None"):
        live.pack(deep, reference)
    with pytest.raises(ValueError, match=r"reference: shape \(3,\)"):
        live.pack(model, reference[:3])
    with pytest.raises(ValueError, match=r"households: \['age: 7'\] are unknown"):
        live.pack(model, reference, {"x": ["age: 7"]})
    broken = reconet.RecoNet(model.space, d=3)
    broken.W.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match="not finite"):
        live.pack(broken, reference)


def test_a_model_too_large_for_a_page_is_refused(model, reference) -> None:
    large = reconet.RecoNet(model.space, d=20_000)
    with pytest.raises(ValueError, match=r"at most 600,000; train it with fewer than d=20000"):
        live.pack(large, reference)


@pytest.mark.slow
def test_recommendations_keep_their_order_over_all_households() -> None:
    """Of the model as the page ships it; the chapter's page measures it at full length."""
    dataset = data.load("completejourney")
    likes = data.implicit(dataset.interactions, threshold=3)
    space = reconet.FeatureSpace.of(dataset)
    model = reconet.RecoNet(space, d=48)
    settings_ = dataclasses.replace(SIZES["reconet"]["ci"], epochs=5)
    reconet.train(model, reconet.RemovedItems(likes, space), settings_)
    everyone = space.profiles(likes)
    packed = live.pack(model, reconet.mean_profile(everyone, space.m))
    with torch.no_grad():
        tops = [
            evaluate.ranking.top_k(one(everyone), 10, likes.matrix)
            for one in (model, live.unpack(packed, space))
        ]
    same = (tops[0] == tops[1]).all(dim=1)[everyone.sizes > 0]
    assert same.double().mean() >= 0.99
    assert len(live.written(packed).encode()) <= live.LARGEST


def test_controls_show_their_first_picture_in_a_page_and_widgets_in_a_notebook(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[tuple[int, str]] = []
    choices = {"user": (0, 8), "how": ["for", "against"]}

    def draw(user: int, how: str) -> None:
        drawn.append((user, how))

    monkeypatch.setenv("EXPLAINREC_STATIC", "1")
    assert live.controls(draw, **choices) is None
    assert drawn == [(4, "for")]
    monkeypatch.delenv("EXPLAINREC_STATIC")
    box = live.controls(draw, **choices)
    assert isinstance(box, ipywidgets.VBox)
    box.children[1].value = "against"
    assert drawn[-1] == (4, "against")
