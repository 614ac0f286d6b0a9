"""The model on the front page, driven as a reader drives it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

PAGE = "book/index.html"


@pytest.fixture
def page(browser: Browser, site) -> Page:
    opened = browser.new_page()
    opened.goto((site / PAGE).as_uri())
    opened.wait_for_selector(".lab-live .chips button")
    yield opened
    opened.close()


def state(page: Page) -> dict:
    """What the page has computed, and the numbers it computed from."""
    return page.evaluate(
        """() => { const live = document.querySelector('.lab-live').reconet;
        return {P: live.model.P, items: live.model.items, ticked: [...live.ticked],
                ranked: live.ranked().map(r => [r.feature, r.y]),
                shown: [...document.querySelectorAll('.lab-live ol li')].map(x => x.textContent),
                names: live.model.features}; }"""
    )


def expected(now: dict) -> list[tuple[int, float]]:
    """The same ranking, in Python."""
    scores = [
        (feature, sum(row[k] for k in now["ticked"]) / len(now["ticked"]))
        for feature, row in zip(now["items"], now["P"], strict=True)
        if feature not in now["ticked"]
    ]
    return sorted(scores, key=lambda score: -score[1])


@pytest.mark.parametrize("clicks", [[], [5], [7, 9, 0], [20]])
def test_the_page_computes_what_python_computes(page: Page, clicks: list[int]) -> None:
    for chip in clicks:
        page.locator(".lab-live .chips button").nth(chip).click()
    now = state(page)
    for (ours, y), (theirs, z) in zip(expected(now), now["ranked"], strict=True):
        assert ours == theirs and y == pytest.approx(z, abs=1e-5)
    assert now["shown"] == [now["names"][feature] for feature, _ in now["ranked"][:4]]


def test_reasons_shown_sum_to_the_lift_that_is_named(page: Page) -> None:
    page.locator(".lab-live .chips button").nth(5).click()
    values = page.locator(".lab-live .bars > span:nth-child(3n)").all_text_contents()
    total = sum(float(value.replace("\N{MINUS SIGN}", "-")) for value in values)
    assert total == pytest.approx(state(page)["ranked"][0][1], abs=0.005 * len(values) + 0.005)


def test_unticking_or_ticking_everything_says_what_to_do(page: Page) -> None:
    chips = page.locator(".lab-live .chips button")
    for chip in range(chips.count()):
        if chips.nth(chip).get_attribute("aria-pressed") == "true":
            chips.nth(chip).click()
    assert "Tick something" in page.locator(".lab-live .note").inner_text()
    for chip in range(chips.count()):
        chips.nth(chip).click()
    assert "Everything is ticked" in page.locator(".lab-live .note").inner_text()


def test_the_demo_works_from_the_keyboard_and_keeps_the_focus(page: Page) -> None:
    page.locator(".lab-live .chips button").nth(3).focus()
    page.keyboard.press("Space")
    focused = page.evaluate("document.activeElement.textContent")
    assert focused == state(page)["names"][3]
    assert 3 in state(page)["ticked"]
