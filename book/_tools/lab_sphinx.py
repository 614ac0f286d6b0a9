"""What this book adds to Sphinx: its own MathJax, two directives, times, drawings and words.

- `{equations}` writes the equation index: LaTeX, section, function with its source, test.
- `{run-times}` writes the table of how long each notebook took.
- A page says under its title how long it takes to read and to solve, and how long it took to run.
- Figures and diagrams stand in the page as SVG: they take its font and the colours of its theme.
- A word of the glossary leads there where a page uses it first.
- MathJax comes from the wheel `sphinx-mathjax-offline`; scripts that call a CDN are dropped.
- Buttons lead to the repository of this clone; roles that Sphinx gets wrong are mended.
"""

import html
import re
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from docutils import nodes
from jinja2 import Template
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import lessons
from build import copy, executed, left_out
from colab import BRANCH
from equation_index import Equation, code, index, papers
from identity import file_without, toml

MATHJAX = Path(str(files("sphinx-mathjax-offline")), "static", "mathjax")
INDEXED = Template(Path(__file__).with_name("equation.md.jinja").read_text(encoding="utf-8"))
MATHJAX_FILES = ("tex-svg-full.js", "a11y", "ui", "sre/mathmaps/base.json", "sre/mathmaps/en.json")


# ----------------------------------------------------------------------------- equation index


class Equations(SphinxDirective):
    """The equation index, one paper after the other, as MyST text that the page then parses."""

    def run(self) -> list[nodes.Node]:
        root = Path(self.env.srcdir)
        equations, asked = index(root), self.config.asked
        text = []
        for paper, listed in papers(root).items():
            taught = [e for (of, _), e in equations.items() if of == paper and e.page]
            text += [f"## {listed['title']}\n"] * bool(taught)
            text += [written(equation, root, asked) for equation in taught]
        return self.parse_text_to_nodes("\n".join(text), allow_section_headings=True)


def written(equation: Equation, root: Path, asked: Collection[str] = ()) -> str:
    """One equation of the index in MyST, with its functions and its tests to unfold.

    Functions that an exercise asks for are named, not shown.
    """
    functions = [code(dotted, root) for dotted in equation.functions]
    shown = [each for each in functions + equation.tests if each.dotted not in asked]
    return INDEXED.render(equation=equation, functions=functions, shown=shown)


# ---------------------------------------------------------------------------------- run times


def hardware(time: dict[str, Any]) -> str:
    """Hardware class in words: never a machine's name."""
    return f"{time['cores']} core" + "s" * (time["cores"] > 1) + " and a GPU" * time["gpu"]


recorded = cache(executed)  # it reads and checks every notebook, and each page asks


def duration(seconds: float) -> str:
    """'0.4 s', '7 s', or '2 min 5 s' from one minute on."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class RunTimes(SphinxDirective):
    """A table: one row a notebook, and the total."""

    def run(self) -> list[nodes.Node]:
        times = recorded(Path(self.env.srcdir)).items()
        pages = {name.removesuffix(".ipynb"): time for name, time in times}
        there = {page: time for page, time in pages.items() if page in self.env.found_docs}
        rows = ["| Notebook | Time | Hardware |", "|---|---:|---|"]
        for page, time in there.items():
            rows += [f"| {{doc}}`/{page}` | {duration(time['seconds'])} | {hardware(time)} |"]
        total = duration(sum(time["seconds"] for time in there.values()))
        return self.parse_text_to_nodes("\n".join([*rows, f"| **Together** | **{total}** | |"]))


def say_times(app: Sphinx, doctree: nodes.document) -> None:
    """Put 'About 20 minutes, and 30 for the exercises. Executed in 7 s ...' under the title."""
    srcdir, source = Path(app.srcdir), Path(doctree["source"])
    first = next(doctree.findall(nodes.section), None)
    if first is None or source.parent.name in ("reference", "book"):
        return
    reading, exercises = lessons.minutes(source)
    said = f"About {reading} minutes" + f", and {exercises} for the exercises" * (exercises > 0)
    if time := recorded(srcdir).get(source.relative_to(srcdir).as_posix()):
        said += f". Executed in {duration(time['seconds'])} on {hardware(time)}"
        said += f", settings {srcdir.name}"
    first.insert(1, nodes.paragraph("", said, classes=["run-time"]))


# --------------------------------------------------------------------------- chapters left out


def leave_out(app: Sphinx, page: str, source: list[str]) -> None:
    """Read each page without what leads to chapters that `course.toml` leaves out."""
    name = Path(app.env.doc2path(page)).relative_to(app.srcdir).as_posix()
    source[0] = file_without(source[0], name, left_out(Path(app.srcdir)))


def name_only(app: Sphinx, env: Any, node: nodes.Element, words: nodes.Element) -> Any:
    """Where a chapter is left out, what is not found is taken for its own, and named in words."""
    if left_out(Path(app.srcdir)) and node.get("reftype") in ("eq", "ref", "doc"):
        return nodes.inline("", re.sub(r".*/|\beq-|-", " ", words.astext()).strip())
    return None


# ------------------------------------------------------------------------- drawings and words

THEMED: dict[str, str] = toml(Path(__file__).with_name("themed.toml"))
LISTS = {lessons.GLOSSARY, "book/reference/bibliography"}  # pages whose words need no link
NOT_WORDS = {nodes.reference, nodes.raw, nodes.literal, nodes.math}
NOT_PROSE = NOT_WORDS | {nodes.table, nodes.strong, nodes.citation}


def draw_in_page(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Replace each SVG picture by its source, so that it takes the page's font and colours."""
    for image in list(doctree.findall(nodes.image)):
        if image["uri"].endswith(".svg"):
            source = (Path(app.srcdir) / image["uri"]).read_text(encoding="utf-8")
            drawn = themed(source, image.get("alt", ""), "diagrams" in image["uri"])
            image.replace_self(nodes.raw("", drawn, format="html"))


def themed(source: str, alt: str, diagram: bool) -> str:
    """The SVG element of a file, named for screen readers; a wide figure scrolls on a phone."""
    svg = source[source.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[\w.]+_\d+">', "<g>", svg)
    for colour, theme in THEMED.items():
        svg = svg.replace(colour, theme)
    width = float(re.findall(r'viewBox="0 0 ([\d.]+)', svg)[0])
    look = "lab-diagram" if diagram else f'output lab-figure" style="--least: {width:.0f}px'
    name = f'<svg role="img" aria-label="{html.escape(alt)}"'
    return f'<div class="{look}">{svg.replace("<svg", name, 1)}</div>'


def link_words(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Lead to the glossary from the first place where the page's prose uses each of its words."""
    if page in LISTS:
        return
    words = lessons.glossary(Path(app.srcdir))
    used = any_of(words)
    to = app.builder.get_relative_uri(page, lessons.GLOSSARY)
    for text in list(doctree.findall(nodes.Text)):
        around = set(map(type, ancestors(text)))
        if nodes.paragraph in around and not around & NOT_PROSE:
            text.parent.replace(text, linked(str(text), used, words, to))


def ancestors(node: nodes.Node) -> Iterator[nodes.Node]:
    while node.parent is not None:
        yield (node := node.parent)


def any_of(words: Iterable[str]) -> re.Pattern[str]:
    """One of the words, or its plural; where two fit, the longer one."""
    named = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    return re.compile(rf"\b({named})(?:e?s)?\b", re.IGNORECASE)


def linked(text: str, used: re.Pattern[str], words: dict[str, str], to: str) -> list[nodes.Node]:
    """The text with links at words that no text before it used; those leave `words`.

    "Feature map" is one word also where it has its link already: its "feature" gets none.
    """
    pieces, end = [], 0
    for found in used.finditer(text):
        if means := words.pop(found[1].lower(), ""):
            look = {"reftitle": means, "classes": ["word"]}
            link = nodes.reference("", found[0], refuri=f"{to}#{nodes.make_id(found[1])}", **look)
            pieces += [nodes.Text(text[end : found.start()]), link]
            end = found.end()
    return [*pieces, nodes.Text(text[end:])]


# ------------------------------------------------------------------------- scripts and buttons


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Copy the few files of MathJax that a page can ask for."""
    copy(() if error else MATHJAX_FILES, MATHJAX, Path(app.outdir) / "_static" / "mathjax")


def mend(app: Sphinx, page: str, template: str, context: dict[str, Any], _: Any) -> None:
    """Mend what Sphinx and Jupyter Book write into every page."""
    # Sphinx calls a bibliography a list but its entries no list items: screen readers stumble.
    wrong, right = '<div role="list" class="citation-list">', '<div class="citation-list">'
    context["body"] = context.get("body", "").replace(wrong, right)
    # Jupyter Book always adds live-code scripts, which name a CDN.
    scripts = context.get("script_files", [])
    kept = [s for s in scripts if "thebe" not in f"{s} {getattr(s, 'attributes', '')}".lower()]
    context["script_files"] = kept
    # Colab opens the branch whose notebooks carry the set-up cell that it needs.
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button.get("text") == "Colab":
                button["url"] = re.sub(r"/blob/[^/]+/", f"/blob/{BRANCH}/", button["url"], count=1)


def use_this_repository(app: Sphinx, config: Any) -> None:
    """The book's title beside its logo; buttons lead to the repository, or there are none."""
    options = config.html_theme_options
    options["logo"] = options["logo"] | {"text": config.html_title}
    options["use_repository_button"] = bool(options["repository_url"])
    if not options["repository_url"]:
        del options["launch_buttons"]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("asked", [], "env")  # functions that students are to write
    app.add_directive("equations", Equations)
    app.add_directive("run-times", RunTimes)
    app.connect("config-inited", use_this_repository)
    app.connect("source-read", leave_out)
    app.connect("missing-reference", name_only)
    app.connect("doctree-read", say_times)
    app.connect("doctree-resolved", draw_in_page)
    app.connect("doctree-resolved", link_words)
    app.connect("html-page-context", mend, priority=900)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
