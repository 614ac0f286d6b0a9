"""Links inside the site lead somewhere, and pictures have words. No browser needed."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

Attributes = list[tuple[str, str | None]]


@dataclass
class Content(HTMLParser):
    """Links, anchors, pictures and whatever else one page loads."""

    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    pictures: list[dict[str, str | None]] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attributes: Attributes) -> None:
        values = dict(attributes)
        self.anchors |= {value for key in ("id", "name") if (value := values.get(key))}
        self.links += [value for key in ("href", "src") if (value := values.get(key))]
        if tag != "a":
            self.loads += [value for key in ("href", "src") if (value := values.get(key))]
        if tag == "img":
            self.pictures.append(values)


@functools.cache
def content(path: Path) -> Content:
    parsed = Content()
    parsed.feed(path.read_text(encoding="utf-8"))
    return parsed


def test_internal_links_resolve(site: Path, page_path: str) -> None:
    page = site / page_path
    broken = []
    for link in content(page).links:
        if urlsplit(link).scheme or link.startswith("//"):
            continue
        address, anchor = urldefrag(link)
        target = (page.parent / unquote(urlsplit(address).path)).resolve() if address else page
        target = target / "index.html" if target.is_dir() else target
        if not target.exists() or (
            anchor and target.suffix == ".html" and unquote(anchor) not in content(target).anchors
        ):
            broken.append(link)
    assert not broken, broken


def test_pictures_have_alt_text(site: Path, page_path: str) -> None:
    silent = [p.get("src") for p in content(site / page_path).pictures if p.get("alt") is None]
    assert not silent


def test_every_asset_is_local(site: Path, page_path: str) -> None:
    loaded = content(site / page_path).loads
    assert not [link for link in loaded if urlsplit(link).netloc]


def test_the_front_door_leads_to_the_first_page(site: Path) -> None:
    door = (site / "index.html").read_text(encoding="utf-8")
    assert "url=book/index.html" in door.replace(" ", "").replace("./", "")
    assert (site / "book" / "index.html").exists()
