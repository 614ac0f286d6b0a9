"""MyST as plain Markdown, for where nothing renders MyST: Colab.

A directive becomes what Markdown has for it; a role or a link beside the page leads to the
published book. Without its address a link becomes its words, a picture its description.
"""

import posixpath
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from pybtex.database import parse_file
from sphinx.directives.code import LiteralIncludeReader

from build import ROOT, notebooks
from identity import toml

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
WORDS = toml(Path(__file__).with_suffix(".toml"))


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
            raise SystemExit(f"{self.name}: {left[0]!r} has no plain form: add it to plain.toml")
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
        return str(WORDS["forms"].get(kind, "")).format(title=title, body=body, quoted=quoted)

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
