"""MyST as plain Markdown, for where nothing renders MyST: Colab.

A directive becomes what Markdown has for it; a role or a link beside the page leads to the
published book. Without its address a link becomes its words, a picture its description.
"""

import posixpath
import re
from dataclasses import dataclass
from types import SimpleNamespace

from pybtex.database import parse_file
from sphinx.directives.code import LiteralIncludeReader

from build import ROOT, notebooks

DIRECTIVE = re.compile(
    r"^(`{3,}|:{3,})\{([\w:-]+)\} *(.*)\n((?::[\w-]+:.*\n)*)((?:.*\n)*?)\1 *$", re.MULTILINE
)
INLINE = re.compile(
    r"\{(?P<role>[\w:]+)\}`(?P<target>[^`]+)`"
    r"|\$\$(?P<latex>[^$]+)\$\$ *\((?P<label>[\w-]+)\)"
    r"|(?P<kept>^(`{3,}).*?^\6|\$\$.*?\$\$|\$[^$\n]+\$|`[^`\n]+`)"
    r"|(?P<mark>!?)\[(?P<words>(?:[^\[\]]|\[[^\]]*\])*)\]\((?!\w+:)(?P<to>[^)\s]+)\)",
    re.MULTILINE | re.DOTALL,
)
RAW = re.compile(r"^[ >]*(`{3,}|:{3,})\{[\w:-]+\}|\{[\w:]+\}`(?=\w)", re.MULTILINE)
BIBLIOGRAPHY = "/book/reference/bibliography.md"
CITED = {"cite:t": ("{} ({})", "{}"), "cite:p": ("{}, {}", "({})")}
# What a directive becomes; `quoted` is its title and body as a quotation.
FORMS = {
    **dict.fromkeys(("admonition", "note", "tip", "warning", "hint", "important"), "{quoted}"),
    **dict.fromkeys(("exercise", "exercise-start"), "**{title}**\n\n{body}"),
    "exercise-end": "",
    "grid": "{body}",
    "grid-item-card": "**{title}**\n\n{body}",
    "dropdown": "<details><summary>{title}</summary>\n\n{body}\n\n</details>",
}


@dataclass(frozen=True)
class Page:
    """A page by its path from the root, and the address of the published book, or ""."""

    name: str
    address: str

    def plain(self, text: str) -> str:
        """The text without directives, roles and links beside the page.

        Raises:
            SystemExit: a directive or role that has no plain form; names it and the page.
        """
        pieces, end = [], 0
        for found in DIRECTIVE.finditer(text):
            before = INLINE.sub(self._inline, text[end : found.start()])
            pieces += [before, self._directive(*found.groups()[1:])]
            end = found.end()
        made = "".join([*pieces, INLINE.sub(self._inline, text[end:])])
        if left := RAW.search(made):
            raise SystemExit(f"{self.name}: {left[0]!r} has no plain form: add it to plain.py")
        return made

    def _directive(self, kind: str, title: str, said: str, body: str) -> str:
        options = {k: v.strip('" ') for k, v in re.findall(r"^:([\w-]+):(.*)$", said, re.MULTILINE)}
        if kind == "math":
            return _equation(body.strip(), options.get("label", ""))
        if kind == "literalinclude":
            return _source(title.strip("/ "), options)
        title, body = self.plain(title or kind.split("-")[0].capitalize()), self.plain(body).strip()
        title = self._link(title, f"{options['link']}.md") if "link" in options else title
        quoted = re.sub("^", "> ", f"**{title}**\n\n{body}", flags=re.MULTILINE)
        return FORMS.get(kind, f"```{{{{{kind}}}}}").format(title=title, body=body, quoted=quoted)

    def _inline(self, found: re.Match[str]) -> str:
        role, target = found["role"], found["target"]
        if found["label"]:
            return _equation(found["latex"].strip(), found["label"])
        if found["to"]:
            return self._link(found["words"], found["to"], found["mark"])
        if role in CITED:
            each, together = CITED[role]
            said = (_cited(key.strip(), each) for key in target.split(","))
            return self._link(together.format("; ".join(said)), BIBLIOGRAPHY)
        if role in ("eq", "ref"):
            words, label = re.findall(r"(?:(.+) <)?([\w-]+)>?$", target)[0]
            anchor = f"equation-{label}" if role == "eq" else label
            return self._link(words or f"({_name(label)})", f"/{_page_of(label)}#{anchor}")
        return found[0]

    def _link(self, words: str, to: str, mark: str = "") -> str:
        """The words, leading to a path beside this page or from the root."""
        path, _, anchor = to.partition("#")
        place = posixpath.normpath(posixpath.join("/", self.name, *(["..", path] if path else [])))
        place = re.sub(r"\.(ipynb|md)$", ".html", place).replace("/book/assets/", "/_static/")
        lead = f"{self.address}{place}#{anchor}".removesuffix("#")
        return f"{mark}[{words}]({lead})" if self.address else words


def _equation(latex: str, label: str) -> str:
    if "\\\\" in latex and "\\begin" not in latex:
        latex = f"\\begin{{split}}\n{latex}\n\\end{{split}}"
    return f"$$\n{latex}" + f" \\tag{{{_name(label)}}}" * bool(label) + "\n$$"


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


def _cited(key: str, form: str) -> str:
    """Who and when, such as Fusco et al. (2019)."""
    entry = parse_file(ROOT / "references.bib").entries[key]
    names = [" ".join(map(str, one.rich_last_names)) for one in entry.persons["author"]]
    who = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
    return form.format(who, entry.fields.get("year", "n.d."))
