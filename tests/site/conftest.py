"""A browser, a server and the list of pages for the tests of the built page."""

from __future__ import annotations

import functools
import os
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from machine import ROOT, lacking
from playwright.sync_api import Browser, sync_playwright

SITE = ROOT / "_build" / "html"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
QUIET = "--no-sandbox --disable-gpu --no-first-run --disable-background-networking"


def built_pages() -> list[str]:
    """Every HTML page of the site, as a path from its root; pages that only lead on are left out.

    Jupyter Book's `index.html` at the root is such a page.
    """
    found = (path.relative_to(SITE) for path in SITE.rglob("*.html"))
    kept = (page for page in found if not page.parts[0].startswith("_"))
    return sorted(page.as_posix() for page in kept if page != Path("index.html"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a page for every test that asks for `page_path`."""
    if "page_path" in metafunc.fixturenames:
        pages = built_pages() or ["(not built)"]
        metafunc.parametrize("page_path", pages, scope="session")


@pytest.fixture(scope="session", autouse=True)
def site() -> Path:
    if not (SITE / "index.html").exists():
        lacking("no page in _build/html: run `make book`")
    return SITE


def browser_binary(own: str) -> str | None:
    """Chromium or Chrome: `EXPLAINREC_CHROMIUM`, the PATH, macOS, or playwright's own."""
    given = os.environ.get("EXPLAINREC_CHROMIUM")
    on_path = filter(None, map(shutil.which, NAMES))
    candidates = [given] if given else [*on_path, str(MAC), own]
    return next((path for path in candidates if path and Path(path).exists()), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        binary = browser_binary(playwright.chromium.executable_path)
        if binary is None:
            lacking("no Chromium or Chrome here: install one, or name it in EXPLAINREC_CHROMIUM")
        opened = playwright.chromium.launch(executable_path=binary, args=QUIET.split())
        yield opened
        opened.close()


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def server(site: Path) -> Iterator[str]:
    """Address of the site served on this machine."""
    handler = functools.partial(Silent, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
