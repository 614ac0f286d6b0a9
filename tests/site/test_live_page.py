"""The live model in the book: the trained one, in full on its own page, in short on two more."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from machine import taught
from playwright.sync_api import Browser, Page
from scipy import sparse

from explainrec_lab import live, reconet
from explainrec_lab.data.contracts import Features

CHAPTER, FRONT = "book/reconet/live.html", "book/index.html"
OPENING = "book/reconet/index.html"
FEW = 5
pytestmark = taught("book/reconet/live")

STATE = """() => { const {state, now} = document.querySelector('.lab-live').live;
  return {chosen: state.chosen, order: now.order.slice(0, 10), item: now.shown.item,
    relevance: now.relevances.map(({feature, z}) => [feature, z])} }"""

MEDIAN = """async (clicks) => { const times = [];
  for (let n = 0; n < 3 * clicks.length; n += 1) {
    const [group, place] = clicks[n % clicks.length];
    const buttons = document.querySelectorAll(`.lab-live ${group}`);
    const start = performance.now();
    buttons[place % buttons.length].click();
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] }"""


@pytest.fixture(params=[CHAPTER, OPENING, FRONT])
def page(browser: Browser, site: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    opened = browser.new_page()
    opened.goto((site / request.param).as_uri())
    opened.wait_for_selector(".lab-live .offers button")
    yield opened
    opened.close()


def shipped(page: Page) -> dict:
    """What the page was sent, not what it made of it."""
    selector = ".lab-live script[type='application/json']"
    return json.loads(page.locator(selector).text_content() or "")


def space_of(packed: dict) -> reconet.FeatureSpace:
    """The feature space, from names and what each item brings."""
    items, own, names = packed["items"], packed["own"], packed["names"]
    pairs = [(i, a - items) for i, brought in enumerate(packed["brings"]) for a in brought]
    owner, attribute = np.array(pairs).T
    ones = np.ones(len(pairs), np.int8)
    matrix = sparse.csr_array((ones, (owner, attribute)), shape=(items, own - items))
    features = Features(tuple(names[items:own]), matrix)
    return reconet.FeatureSpace(tuple(names[:items]), features, tuple(names[own:]))


def test_the_trained_model_answers_as_python_does(page: Page) -> None:
    packed = shipped(page)
    space = space_of(packed)
    model = live.unpack(packed, space).double()
    raw = np.frombuffer(base64.b64decode(packed["reference"]), "<f4")
    reference = torch.from_numpy(raw.astype(np.float64))
    rng = np.random.default_rng(0)
    for _ in range(FEW):
        page.get_by_role("button", name="clear").click()
        for k in rng.choice(packed["items"], rng.integers(1, 9), replace=False):
            page.locator("input[role=combobox]").fill(space.names[k])
            page.keyboard.press("Enter")
        page.locator(".offers button").nth(int(rng.integers(5))).click()
        now = page.evaluate(STATE)
        sets = space.profile([k for k in now["chosen"] if k < space.n_items])
        explained = reconet.explain(model, sets, now["item"], reference)
        ours = dict(zip(explained.features.tolist(), explained.relevance.tolist(), strict=True))
        assert dict(now["relevance"]) == pytest.approx(ours, abs=1e-5)
        for offer in now["order"]:
            output = reconet.explain(model, sets, offer["item"], reference).output
            assert offer["score"] == pytest.approx(output, abs=1e-5)


def test_the_model_is_light_enough(page: Page) -> None:
    assert len(live.written(shipped(page)).encode()) <= live.LARGEST


def test_its_own_page_has_all_controls_and_the_others_few(page: Page) -> None:
    asks = page.locator(".lab-live .ask").count()
    assert asks == (CHAPTER in page.url)


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_the_demo_opens_its_page(page: Page, width: int, height: int) -> None:
    """It begins in the upper half of the first screen, and no code comes before it."""
    page.set_viewport_size({"width": width, "height": height})
    first = page.locator(".bd-article :is(.lab-live, pre)").first
    assert "lab-live" in (first.get_attribute("class") or "")
    top = first.evaluate("e => e.getBoundingClientRect().top + scrollY")
    assert top < height / 2
    assert "dunnhumby" in page.locator(".bd-article").inner_text()


@pytest.mark.parametrize("page", [CHAPTER], indirect=True)
def test_the_hints_hold_for_every_household(page: Page) -> None:
    for n in range(page.locator(".starts button:not(.quiet)").count()):
        start = page.locator(".starts button:not(.quiet)").nth(n)
        start.click()
        for k in range(page.locator(".hints button").count()):
            start.click()
            page.locator(".hints button").nth(k).click()
            told = page.locator(".asking .status").inner_text()
            assert "I do not" not in told and "in the basket" not in told


@pytest.mark.parametrize("page", [CHAPTER], indirect=True)
def test_small_talk_finds_no_product(page: Page) -> None:
    for words in ("hello", "undo", "help", "thanks", "no", "good morning", "why is the sky blue"):
        page.get_by_label("Ask", exact=True).fill(words)
        page.keyboard.press("Enter")
        assert "Ask why a product" in page.locator(".asking .status").inner_text()
        assert page.locator(".nearest button").count() == 0


def test_a_click_is_answered_at_once(page: Page) -> None:
    """Recommendations, households and chips; two frames included. Generous, for busy machines."""
    groups = (".offers button", ".starts button:not(.quiet)", ".offers button", ".chips button")
    clicks = [[group, place] for place in range(3) for group in groups]
    assert page.evaluate(MEDIAN, clicks) < 250
