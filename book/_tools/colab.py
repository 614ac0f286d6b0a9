"""The notebooks that Google Colab opens from the repository, in plain Markdown.

Each has a cell in front that installs the release: the repository's tag `v<version>`. Its solutions
are folded. `make colab` writes them to `_build/colab/`. Push that folder's content to the branch
`colab`; the page's Colab buttons lead there. The notebooks of the book itself install nothing.

Nothing renders MyST there, so a directive becomes what Markdown has for it; a role or a link beside
the page leads to the published book. Without its address a link becomes its words, a picture its
description.
"""

import posixpath
import re
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import nbformat
from explainrec_lab import __version__
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from pybtex.database import parse_file
from sphinx.directives.code import LiteralIncludeReader

import lessons
from build import ROOT, alone, left_out, notebooks, take_place
from identity import course, toml, without
from parts import parts

BRANCH = "colab"  # `make colab` writes what belongs on it
TARGET = ROOT / "_build" / "colab"
MYST = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{(?P<kind>[\w:-]+)\} *(?P<title>[^\n]*)\n"
    r"(?P<options>(?::[\w-]+:[^\n]*\n)*)(?P<body>.*?)^(?P=fence) *$"
    r"|\{(?P<role>[\w:]+)\}`(?P<target>[^`]+)`"
    r"|\$\$(?P<latex>[^$]+)\$\$ *\((?P<label>[\w-]+)\)"
    r"|(?P<mark>!?)\[(?P<words>(?:[^\[\]]|\[[^\]]*\])*)\]\((?!\w+:)(?P<to>[^)\s]+)\)"
    r"|^(?P<code>`{3,})[^{].*?^(?P=code)|\$\$.*?\$\$|\$[^$\n]+\$|`[^`\n]+`",  # stay as they are
    re.MULTILINE | re.DOTALL,
)
RAW = re.compile(r"^[ >]*(`{3,}|:{3,})\{[\w:-]+\}|\{[\w:]+\}`(?=\w)", re.MULTILINE)
FORMS, SAID = toml(Path(__file__).with_suffix(".toml")).values()


class Page(NamedTuple):
    """A page by its path from the root, and the address of the published book, or ""."""

    name: str
    address: str

    def plain(self, text: str) -> str:
        """The text without directives, roles and links beside the page.

        Raises:
            SystemExit: a directive or role that has no plain form; names it and the page.
        """
        made = MYST.sub(self._form, text)
        if left := RAW.search(made):
            raise SystemExit(f"{self.name}: {left[0]!r} has no plain form: add it to colab.toml")
        return made

    def _form(self, found: re.Match[str]) -> str:
        if found["kind"]:
            return self._directive(*found.group("kind", "title", "options", "body")) or found[0]
        if found["label"]:
            return _equation(found["latex"], found["label"])
        if found["to"]:
            return self._link(found["words"], found["to"], found["mark"])
        return self._role(found["role"], found["target"]) or found[0]

    def _directive(self, kind: str, title: str, said: str, body: str) -> str:
        options = {k: v.strip('" ') for k, v in re.findall(r"^:([\w-]+):(.*)$", said, re.MULTILINE)}
        if kind == "math":
            return _equation(body, options.get("label", ""))
        if kind == "literalinclude":
            return _source(title.strip("/ "), options)
        title, body = self.plain(title or kind.split("-")[0].capitalize()), self.plain(body).strip()
        title = self._link(title, f"{options['link']}.md") if "link" in options else title
        quoted = re.sub("^", "> ", f"**{title}**\n\n{body}", flags=re.MULTILINE)
        return str(FORMS.get(kind, "")).format(title=title, body=body, quoted=quoted)

    def _role(self, role: str | None, target: str) -> str:
        if role in ("cite:t", "cite:p"):
            said = "; ".join(_cited(key.strip()) for key in target.split(","))
            said = f"({said})" if role == "cite:p" else said
            return self._link(said, "/book/reference/bibliography.md")
        if role in ("eq", "ref"):
            words, label = re.findall(r"(?:(.+) <)?([\w-]+)>?$", target)[0]
            anchor = f"equation-{label}" if role == "eq" else label
            return self._link(words or f"({_name(label)})", f"/{_page_of(label)}#{anchor}")
        return ""

    def _link(self, words: str, to: str, mark: str = "") -> str:
        """The words, leading to a path beside this page or from the root."""
        path, _, anchor = to.partition("#")
        place = posixpath.normpath(posixpath.join("/", self.name, *(["..", path] if path else [])))
        place = re.sub(r"\.(ipynb|md)$", ".html", place).replace("/book/assets/", "/_static/")
        lead = f"{self.address}{place}#{anchor}".removesuffix("#")
        return f"{mark}[{words}]({lead})" if self.address else words


def _equation(latex: str, label: str) -> str:
    return f"$$\n{latex.strip()}" + f" \\tag{{{_name(label)}}}" * bool(label) + "\n$$"


def _name(label: str) -> str:
    """What an equation is called here: its label without the room."""
    return re.sub(r"^(eq-)?\w+?-", "", label)


def _page_of(label: str) -> str:
    said = re.compile(rf"(:label: *|\$\$ *\(){label}(?![\w-])")
    return next(n for n in notebooks() if said.search((ROOT / n).read_text(encoding="utf-8")))


def _source(path: str, options: dict[str, str]) -> str:
    """The part of a file that Sphinx would include."""
    config = SimpleNamespace(source_encoding="utf-8")
    text, _ = LiteralIncludeReader(str(ROOT / path), options, config).read()  # type: ignore[arg-type]
    return f"```{options.get('language', 'python')}\n{text.rstrip()}\n```"


@cache  # each reads the whole bibliography
def _cited(key: str) -> str:
    """Who and when, such as Fusco et al., 2019."""
    entry = parse_file(ROOT / "references.bib").entries[key]
    names = [" ".join(map(str, one.rich_last_names)) for one in entry.persons["author"]]
    who = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
    return f"{who}, {entry.fields['year']}" if "year" in entry.fields else who


# ------------------------------------------------------------------------------ copies


def page_address() -> str:
    """Where the book is published; "" where nobody has said so."""
    return str(course(ROOT)["pages"]).rstrip("/")


def copy_of(name: str, url: str, address: str) -> NotebookNode:
    """A notebook as Colab opens it: set up, in plain Markdown, its solutions folded.

    Args:
        name: path from the root.
        url: of the repository, whose release the set-up cell installs.
        address: of the published page, where links lead; without it they are plain words.
    """
    notebook, page = nbformat.read(ROOT / name, as_version=4), Page(name, address)
    setup = new_code_cell(SAID["setup"].format(url=url, version=__version__), id="colab-set-up")
    found = parts(name, notebook.cells)
    notebook.cells = [setup, *(opened(p.cell, page, p.kind == "solution") for p in found)]
    return notebook


def opened(cell: NotebookNode, page: Page, solution: bool) -> NotebookNode:
    """The cell as Colab shows it: of a solution, and of what the page hides, only a title."""
    if cell.cell_type == "markdown":
        text = page.plain(without(cell.source, page.name, left_out(ROOT)))
        cell.source = SAID["solution"].format(text=text) if solution else text
    elif solution or lessons.UNSEEN - {"answer"} & set(cell.metadata.get("tags", ())):
        cell.source = SAID["solution-code" if solution else "hidden-code"] + cell.source
        cell.metadata["cellView"] = "form"
    return cell


def main() -> None:
    if not (url := course(ROOT)["address"]):
        sys.exit("Colab installs from the repository: set its `address` in course.toml first.")
    with alone(TARGET) as work:
        for name in notebooks():
            (work / "colab" / name).parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(copy_of(name, url, page_address()), work / "colab" / name)
        take_place(work / "colab", TARGET)
    print(f"{len(notebooks())} notebooks are in {TARGET.relative_to(ROOT)}.")


if __name__ == "__main__":
    main()
