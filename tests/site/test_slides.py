"""The decks of slides: every session has one, it asks no other host, and no slide is cut off.

Reads `_build/slides`, which `make slides` writes.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from machine import ROOT, lacking
from playwright.sync_api import Browser

DECKS = ROOT / "_build" / "slides"
SESSIONS = yaml.safe_load((ROOT / "book/instructor/sessions.yml").read_text(encoding="utf-8"))
WIDTH, HEIGHT, SMALLEST = 1280, 720, 24
# right and bottom, left and top of all that is seen on this slide; its letters; its heading
SEEN = """() => {
  const slide = Reveal.getCurrentSlide();
  const seen = [...slide.querySelectorAll("h1, h2, p, li, svg, mjx-container, td, .fragment")]
    .filter((one) => !one.closest("aside, mjx-assistive-mml") && !one.parentElement.closest("svg"))
    .map((one) => one.getBoundingClientRect()).filter((box) => box.width);
  return [
    Math.max(...seen.map((box) => box.right)), Math.max(...seen.map((box) => box.bottom)),
    Math.min(...seen.map((box) => box.left)), Math.min(...seen.map((box) => box.top)),
    parseFloat(getComputedStyle(slide).fontSize), slide.querySelector("h1, h2").textContent,
  ];
}"""


@pytest.fixture(params=range(1, len(SESSIONS) + 1), ids=lambda number: f"session {number}")
def deck(request: pytest.FixtureRequest) -> Path:
    path = DECKS / f"{request.param}.html"
    if not path.exists():
        lacking("no slides in _build/slides: run `make slides`")
    return path


def test_a_deck_is_quiet_and_no_slide_is_cut_off(deck: Path, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(deck.as_uri())
    page.wait_for_selector("body[data-ready]")
    count = page.evaluate("Reveal.getTotalSlides()")
    for number in range(count):
        page.evaluate(f"Reveal.slide({number}, 0, 99)")
        right, bottom, left, top, letters, heading = page.evaluate(SEEN)
        assert left >= 0 and right <= WIDTH and top >= 0 and bottom <= HEIGHT, heading
        assert letters >= SMALLEST, heading
    page.close()
    assert count >= 15
    assert not said
    assert all(url.startswith(("file:", "data:")) for url in asked)


def test_a_deck_holds_figures_questions_answers_and_sources(deck: Path) -> None:
    text = deck.read_text(encoding="utf-8")
    session = SESSIONS[int(deck.stem) - 1]
    assert session["title"] in text.replace("&#39;", "'")
    assert text.count('role="img"') >= 1
    assert [f"Question {n}" in text for n in range(1, 7)] == [True] * 5 + [False]
    assert text.count('class="fragment"') >= 5
    assert '<aside class="notes">' in text
    sources = text.rpartition("Sources")[2]
    for page in session["pages"]:
        assert f"/book/{page}.html" in sources
        assert (ROOT / "_build" / "html" / "book" / f"{page}.html").exists()


def test_a_deck_shows_no_markup_and_no_solution(deck: Path) -> None:
    text = re.sub(r"<style.*?</style>|<script.*?</script>", "", deck.read_text(), flags=re.DOTALL)
    assert not re.search(r"\{(?:cite|eq|ref|math|exercise|solution)[\w:-]*\}|```|:::", text)


def test_a_deck_prints_a_page_for_each_slide(browser: Browser) -> None:
    if not (DECKS / "2.html").exists():
        lacking("no slides in _build/slides: run `make slides`")
    page = browser.new_page()
    page.goto((DECKS / "2.html").as_uri() + "?print-pdf")
    page.wait_for_selector(".pdf-page")
    count = page.evaluate("Reveal.getTotalSlides()")
    assert page.locator(".pdf-page").count() == count
    page.close()
