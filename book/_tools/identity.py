"""Whose course this is and which chapters it has: `course.toml`, written where it has a say.

`make course` renders the marked blocks of `_config.yml`, `README.md` and `CITATION.cff` from the
templates in `course/`, sets the front page's title, and puts a `#` before each line of `_toc.yml`
that belongs to a chapter left out. What is written by hand beside that stays.

Of a page, what leads to chapters left out goes: a row of a table, or an item of a list, all of
whose links lead there; elsewhere such a link is its words. A paragraph below
`<!-- with ../saers/index.ipynb ... -->` goes unless all those stay.
"""

import json
import re
import tomllib
from functools import partial
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any

import jsonschema
from explainrec_lab import __version__
from jinja2 import Template

from build import CHAPTERS, ROOT, left_out

BESIDE = Path(__file__).with_name("course")
FRONT, TOC = "book/index.ipynb", "_toc.yml"
BLOCKED = ("_config.yml", "README.md", "CITATION.cff")
BLOCK = re.compile(r"^( *(#|<!--) from course\.toml.*\n)(?:.*\n)*?(?= *\2 end of it)", re.MULTILINE)
FILE = re.compile(r"file: (\S+)")
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!\w+:)([^)\s#]+)[^)\s]*\)")
ITEM = re.compile(r"^\|.*\|\n?|^( *)(?:[-*]|\d+\.) .*\n?(?:\1 +\S.*\n?)*", re.MULTILINE)
WITH = re.compile(r"^<!-- with (.*) -->\n(?:.+\n?)+", re.MULTILINE)


def toml(path: Path) -> dict[str, Any]:
    """What a TOML file says.

    Raises:
        SystemExit: its syntax is wrong; names file and line.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SystemExit(f"{path.name}: {error}.") from error


ROWS = toml(ROOT / CHAPTERS)
SCHEMA = toml(BESIDE / "schema.toml")
SCHEMA["properties"]["chapters"]["items"]["enum"] = list(ROWS)


def course(root: Path) -> dict[str, Any]:
    """What `course.toml` says.

    Raises:
        SystemExit: it says something else than it may; names the key, and all keys and chapters.
    """
    said = toml(root / "course.toml")
    for wrong in jsonschema.Draft202012Validator(SCHEMA).iter_errors(said):
        raise SystemExit(
            f"course.toml{wrong.json_path[1:]}: {wrong.message}. "
            f"Its keys are {', '.join(SCHEMA['required'])}; "
            f"its chapters, each at most once, {', '.join(ROWS)}."
        )
    return said


def blocks(name: str, text: str, said: dict[str, Any]) -> str:
    """A file with its marked blocks rendered anew."""
    template = (BESIDE / f"{name}.jinja").read_text(encoding="utf-8")
    rows = [row["row"] for chapter, row in ROWS.items() if chapter in said["chapters"]]
    quoted = partial(json.dumps, ensure_ascii=False)
    made = Template(template).render(**said, rows=rows, version=__version__, quoted=quoted)
    new = made.split("<!-- next block -->\n")
    if len(BLOCK.findall(text)) != len(new):
        raise SystemExit(f"{name}: it needs {len(new)} blocks `from course.toml` ... `end of it`.")
    return BLOCK.sub(lambda mark: mark[1] + new.pop(0).rstrip("\n") + "\n", text)


def contents(text: str, out: tuple[str, ...]) -> str:
    """The table of contents; a `#` before each line of a chapter left out, and only there."""
    parts = re.split(r"^(?=  - )", re.sub(r"^#(?=  )", "", text, flags=re.M), flags=re.M)

    def stays(line: str, part: str) -> bool:
        files = FILE.findall(line) or FILE.findall(part) or [""]
        return any(not file.startswith(out) for file in files)

    lines = ((line, part) for part in parts for line in part.splitlines(keepends=True))
    return "".join(("" if stays(*each) else "#") + each[0] for each in lines)


def written(root: Path) -> dict[str, str]:
    """Name -> text of each file in which `course.toml` has a say."""
    said = course(root)
    old = {n: (root / n).read_text(encoding="utf-8") for n in (*BLOCKED, TOC, FRONT)}
    new = {name: blocks(name, old[name], said) for name in BLOCKED}
    title = json.dumps(f"# {said['title']}", ensure_ascii=False)[:-1]
    front = re.sub(r'"# .*?(?=\\n)', lambda _: title, old[FRONT], count=1)
    return new | {TOC: contents(old[TOC], left_out(root)), FRONT: front}


# ------------------------------------------------------------------- pages without chapters


def without(text: str, page: str, out: tuple[str, ...]) -> str:
    """Markdown of the page with this path from the root, where pages that begin so are out."""

    def gone(to: str) -> bool:
        return normpath(join(dirname(page), to)).startswith(out)

    def item(found: re.Match[str]) -> str:
        to = [link[1] for link in LINK.findall(found[0])]
        return "" if to and all(map(gone, to)) else found[0]

    text = WITH.sub(lambda found: "" if any(map(gone, found[1].split())) else found[0], text)
    return LINK.sub(lambda link: link[gone(link[2])], ITEM.sub(item, text))


def file_without(text: str, page: str, out: tuple[str, ...]) -> str:
    """A page's file: Markdown, or a notebook, of which the code stays."""
    if not out or page.endswith(".md"):
        return without(text, page, out) if out else text
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = without("".join(cell["source"]), page, out)
    return json.dumps(notebook, ensure_ascii=False)


def rewrite_without(tree: Path, out: tuple[str, ...]) -> None:
    """All pages of a copy of the book."""
    for path in sorted((tree / "book").rglob("*")):
        if out and path.suffix in (".md", ".ipynb"):
            page, text = path.relative_to(tree).as_posix(), path.read_text(encoding="utf-8")
            path.write_text(file_without(text, page, out), encoding="utf-8")


def main() -> None:
    for name, text in written(ROOT).items():
        if (ROOT / name).read_text(encoding="utf-8") != text:
            part = ROOT / f"{name}.part"
            part.write_text(text, encoding="utf-8")
            part.replace(ROOT / name)
            print(f"{name} now says what course.toml says.")


if __name__ == "__main__":
    main()
