"""A page without what leads to chapters that `course.toml` leaves out.

A row of a table, or an item of a list, all of whose links lead there goes; elsewhere such a link is
its words. A paragraph below `<!-- with ../saers/index.ipynb ... -->` goes unless all those stay.
"""

import json
import re
from pathlib import Path
from posixpath import dirname, join, normpath

LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!\w+:)([^)\s#]+)[^)\s]*\)")
ITEM = re.compile(r"^\|.*\|\n?|^( *)(?:[-*]|\d+\.) .*\n?(?:\1 +\S.*\n?)*", re.MULTILINE)
WITH = re.compile(r"^<!-- with (.*) -->\n(?:.+\n?)+", re.MULTILINE)


def prose(text: str, page: str, out: tuple[str, ...]) -> str:
    """Markdown of the page with this path from the root, where pages that begin so are out."""

    def gone(to: str) -> bool:
        return normpath(join(dirname(page), to)).startswith(out)

    def item(found: re.Match[str]) -> str:
        to = [link[1] for link in LINK.findall(found[0])]
        return "" if to and all(map(gone, to)) else found[0]

    text = WITH.sub(lambda found: "" if any(map(gone, found[1].split())) else found[0], text)
    return LINK.sub(lambda link: link[gone(link[2])], ITEM.sub(item, text))


def file(text: str, page: str, out: tuple[str, ...]) -> str:
    """A page's file: Markdown, or a notebook, of which the code stays."""
    if not out or page.endswith(".md"):
        return prose(text, page, out) if out else text
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = prose("".join(cell["source"]), page, out)
    return json.dumps(notebook, ensure_ascii=False)


def rewrite(tree: Path, out: tuple[str, ...]) -> None:
    """All pages of a copy of the book."""
    for path in sorted((tree / "book").rglob("*")):
        if out and path.suffix in (".md", ".ipynb"):
            text = file(path.read_text(encoding="utf-8"), path.relative_to(tree).as_posix(), out)
            path.write_text(text, encoding="utf-8")
