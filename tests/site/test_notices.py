"""Nothing of others is in the pages without a name, a licence and the licence's text."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

from machine import ROOT, taught

TABLE = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8").split("\n## ")[0]
ROWS = [line.split("|")[1:-1] for line in TABLE.splitlines() if line.startswith("| ")][1:]
PATTERNS = [name for row in ROWS for name in re.findall(r"`([^`]+)`", row[1])]


def test_every_file_in_the_page_is_ours_or_in_the_list(site: Path) -> None:
    static = site / "_static"
    ours = {path.relative_to(ROOT / "book/assets") for path in (ROOT / "book/assets").rglob("*")}
    for path in static.rglob("*"):
        name = path.relative_to(static)
        if path.is_file() and name not in ours:
            text = name.as_posix()
            known = any(fnmatch(text, p + "*" if p.endswith("/") else p) for p in PATTERNS)
            assert known, f"{text}: name it and its licence in THIRD_PARTY.md"


def test_every_licence_s_text_is_in_the_page(site: Path) -> None:
    for row in ROWS:
        texts = re.findall(r"`([^`]+)`", row[3])
        assert texts, row
        for name in texts:
            assert (site / "_static" / "licences" / name).resolve().stat().st_size > 500, name


@taught("book/reconet/live")
def test_pages_with_a_model_of_households_name_whose_data_they_are(site: Path) -> None:
    for page in ("index", "reconet/index", "reconet/live"):
        text = (site / "book" / f"{page}.html").read_text(encoding="utf-8")
        assert "lab-live" not in text or "dunnhumby" in text, page
