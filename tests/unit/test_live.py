"""What the page computes is what Python computes."""

from __future__ import annotations

import ipywidgets
import pytest
import torch
from IPython.display import HTML

from explainrec_lab import live, reconet
from explainrec_lab.data.contracts import Features


@pytest.fixture(scope="module")
def model() -> reconet.RecoNet:
    names = ("tea", "jam", "<b>bread</b>", "milk")
    return reconet.RecoNet(reconet.FeatureSpace(names, Features.none(4), ("old",)), d=3)


REFERENCE = torch.tensor([0.4, 0.3, 0.1, 0.1, 0.1])


def test_exported_numbers_are_relevances_relative_to_the_reference(model: reconet.RecoNet) -> None:
    exported = live.basket(model, [0, 1, 2, 4], [0], REFERENCE).model
    ticked, item = [0, 3], 1  # positions of tea and 'old' among the offered, and of jam
    ours = sum(exported["P"][item][k] for k in ticked) / len(ticked)
    with torch.no_grad():
        y = model(reconet.Sets.of([0, 4]))[0] - model.W @ (REFERENCE @ model.Q)
    assert ours == pytest.approx(float(y[1] - y.mean()), abs=1e-4)


def test_attributes_can_be_ticked_but_not_recommended(model: reconet.RecoNet) -> None:
    exported = live.basket(model, [4, 0, 1], [4], REFERENCE).model
    assert exported["items"] == [1, 2] and exported["start"] == [0]


def test_a_name_cannot_end_the_script(model: reconet.RecoNet) -> None:
    page = live.basket(model, [0, 1], [0], REFERENCE, ["</script>", "jam"])._repr_html_()
    assert page.count("</script>") == 2


def test_a_start_that_is_not_offered_is_named(model: reconet.RecoNet) -> None:
    with pytest.raises(ValueError, match="start"):
        live.basket(model, [0, 1], [2], REFERENCE)


def test_controls_leave_a_sentence_in_a_page_and_widgets_in_a_notebook(
    model: reconet.RecoNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    profiles = model.space.profile(items=[0, 1])
    monkeypatch.setenv("EXPLAINREC_STATIC", "1")
    assert isinstance(live.explore(model, profiles), HTML)
    monkeypatch.delenv("EXPLAINREC_STATIC")
    box = live.explore(model, profiles, k=2)
    assert isinstance(box, ipywidgets.VBox)
    _, keep, item, _ = box.children
    assert {i for _, i in item.options} == {2, 3}
    keep.value = (0,)
    assert item.value not in (None, 0)
