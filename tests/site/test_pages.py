"""Every page in a browser: quiet, self-contained, legible on a phone, and in the dark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import axe_playwright_python
import lessons
import pytest
from docutils.nodes import make_id
from lab_sphinx import any_of
from machine import ROOT
from playwright.sync_api import Browser, Page

AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
DESKTOP, PHONE = (1280, 900), (390, 844)
LEAST_WORDS = 9.0  # pixels
SETTLED = "() => !window.MathJax?.startup?.promise || MathJax.startup.promise.then(() => true)"

# Elements that stick out of the screen and lie in no container that scrolls or clips.
STICKING_OUT = """() => {
  const boxed = e => { for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
    if (getComputedStyle(p).overflowX !== 'visible') return true; return false };
  return [...document.querySelectorAll('.bd-main *')]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !boxed(e))
    .slice(0, 5).map(e => `${e.tagName}.${e.className}: ${e.textContent.trim().slice(0, 60)}`) }"""

# Code, results, tables and equations that are wider than the box they scroll in.
CLIPPED = """() => {
  const boxes = 'pre, .output, .pst-scrollable-table-container, div.math';
  return [...document.querySelectorAll('.bd-article :is(' + boxes + ')')]
    .filter(e => e.clientWidth && e.scrollWidth > e.clientWidth + 1)
    .map(e => `${e.scrollWidth - e.clientWidth} px: ${e.textContent.trim().slice(0, 60)}`) }"""

# Words of drawings, in pixels of the screen.
SMALL_WORDS = """least => {
  const size = e => parseFloat(getComputedStyle(e).fontSize) * e.getScreenCTM().a;
  return [...document.querySelectorAll('.bd-article svg:not(mjx-container *) text')]
    .filter(e => e.textContent.trim() && e.getScreenCTM()?.a && size(e) < least)
    .map(e => `${size(e).toFixed(1)} px: ${e.textContent.trim()}`) }"""

# Plain prose of a page, one text a piece: no code, links, tables, mathematics or bold words.
PROSE = """() => {
  const left = 'code, a, strong, table, .math, mjx-container, script, svg, .lab-live, .widget';
  const walk = document.createTreeWalker(document.querySelector('article'), NodeFilter.SHOW_TEXT);
  const found = [];
  for (let n = walk.nextNode(); n; n = walk.nextNode())
    if (n.parentElement.closest('p') && !n.parentElement.closest(left)) found.push(n.data);
  return found }"""

VIOLATIONS = """async () => {
  const found = await axe.run(document, {resultTypes: ['violations']});
  return found.violations.filter(v => ['serious', 'critical'].includes(v.impact))
    .map(v => `${v.id}: ${v.help}: ` + v.nodes.slice(0, 4).map(n => n.html).join(' | ')) }"""


@dataclass
class Visit:
    """A page that was opened, and what it complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)


@contextmanager
def visit(
    browser: Browser, address: str, size: tuple[int, int] = DESKTOP, mode: str = "light"
) -> Iterator[Visit]:
    """Open `address`, wait for its mathematics, and keep errors and requests to other hosts."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    context.add_init_script(f"localStorage.mode = localStorage.theme = {mode!r}")
    page = context.new_page()
    seen = Visit(page)
    home = address.split("/")[2]
    own = ("file:", "data:", "blob:") if not home else (f"http://{home}/", "data:", "blob:")

    def watch_request(request) -> None:
        if not request.url.startswith(own):
            seen.complaints.append(f"asks another host: {request.url}")

    def watch_console(message) -> None:
        if message.type in ("error", "warning"):
            seen.complaints.append(f"console {message.type}: {message.text}")

    page.on("request", watch_request)
    page.on("requestfailed", lambda request: seen.complaints.append(f"failed: {request.url}"))
    page.on("console", watch_console)
    page.on("pageerror", lambda error: seen.complaints.append(f"error: {error}"))
    page.goto(address, wait_until="load")
    page.wait_for_function(SETTLED)
    page.wait_for_timeout(150)
    yield seen
    context.close()


@pytest.fixture(scope="session")
def desktop(browser: Browser, server: str, page_path: str) -> Iterator[Visit]:
    with visit(browser, f"{server}/{page_path}") as seen:
        yield seen


@pytest.fixture(scope="session")
def dark_desktop(browser: Browser, server: str, page_path: str) -> Iterator[Visit]:
    with visit(browser, f"{server}/{page_path}", mode="dark") as seen:
        yield seen


@pytest.fixture(scope="session", params=["light", "dark"])
def phone(
    browser: Browser, server: str, page_path: str, request: pytest.FixtureRequest
) -> Iterator[Visit]:
    with visit(browser, f"{server}/{page_path}", PHONE, request.param) as seen:
        yield seen


def test_page_is_self_contained_and_quiet(desktop: Visit) -> None:
    assert not desktop.complaints, "\n".join(desktop.complaints)


def test_page_works_from_a_file(browser: Browser, site: Path, page_path: str) -> None:
    with visit(browser, (site / page_path).as_uri()) as seen:
        assert not seen.complaints, "\n".join(seen.complaints)


def test_page_fits_a_phone(phone: Visit) -> None:
    width = phone.page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE[0], f"{width} px: {phone.page.evaluate(STICKING_OUT)}"
    assert not phone.complaints, "\n".join(phone.complaints)


def test_nothing_is_clipped_on_a_desktop(desktop: Visit) -> None:
    assert not (clipped := desktop.page.evaluate(CLIPPED)), "\n".join(clipped)


def test_words_of_drawings_are_readable_on_a_phone(phone: Visit) -> None:
    small = phone.page.evaluate(SMALL_WORDS, LEAST_WORDS)
    assert not small, "\n".join(small)


def test_a_word_of_the_glossary_leads_there(desktop: Visit, page_path: str) -> None:
    if page_path.endswith(("glossary.html", "bibliography.html", "search.html")):
        return
    page = desktop.page
    links = page.locator("article a.word").evaluate_all("all => all.map(a => a.hash.slice(1))")
    words = any_of(lessons.glossary(ROOT))
    found = [each for text in page.evaluate(PROSE) for each in words.finditer(text)]
    used = {make_id(each[1]) for each in found}
    assert len(links) == len(set(links)), "a word is linked at its first use alone"
    assert used <= set(links), f"no link to the glossary from {sorted(used - set(links))}"


def test_every_equation_is_set(desktop: Visit) -> None:
    written = desktop.page.locator("span.math, div.math").count()
    assert desktop.page.locator("mjx-container").count() >= written
    wrong = desktop.page.locator("mjx-merror, [data-mjx-error], .MathJax_Error")
    assert wrong.count() == 0, wrong.first.inner_html()


def findings(seen: Visit) -> list[str]:
    """Serious and critical findings of axe-core: names, contrast, roles, structure."""
    seen.page.add_script_tag(path=str(AXE))
    return seen.page.evaluate(VIOLATIONS)


def test_page_is_accessible(desktop: Visit) -> None:
    assert not (found := findings(desktop)), "\n".join(found)


def test_dark_page_is_accessible(dark_desktop: Visit) -> None:
    assert dark_desktop.page.locator("html").get_attribute("data-theme") == "dark"
    assert not (found := findings(dark_desktop)), "\n".join(found)


INK = "e => [getComputedStyle(e).color, getComputedStyle(document.body).color]"
FONT = "e => getComputedStyle(e).fontFamily.split(',')[0]"


def test_figures_take_the_theme_s_ink_and_the_book_s_font(dark_desktop: Visit) -> None:
    for figure in dark_desktop.page.locator(".lab-figure, .lab-diagram").all():
        own, page = figure.evaluate(INK)
        assert own == page
        for text in figure.locator("text").all()[:1]:
            assert text.evaluate(FONT) == '"Source Sans 3"'


def test_no_picture_of_a_page_is_a_white_card(dark_desktop: Visit) -> None:
    kept = dark_desktop.page.locator(".cell_output img").all()
    assert not kept, "figures are SVG: call `lab.plots.use_style()` before the first one"
