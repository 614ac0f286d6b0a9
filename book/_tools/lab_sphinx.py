"""What this book adds to Sphinx: its own MathJax, two directives, run times, and labels.

- `{equations}` writes the equation index: LaTeX, section, function with its source, test.
- `{run-times}` writes the table of how long each notebook took.
- Each notebook page says under its title how long it took, on how many cores, in which settings.
- MathJax comes from the wheel `sphinx-mathjax-offline`; scripts that call a CDN are dropped.
- Buttons lead to the repository of this clone; roles that Sphinx gets wrong are mended.
"""

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from build import SETTINGS, copy, executed
from colab import BRANCH, repository_url
from equation_index import Equation, code, index, papers

MATHJAX_FILES = ("tex-svg-full.js", "a11y", "ui", "sre/mathmaps/base.json", "sre/mathmaps/en.json")


# ----------------------------------------------------------------------------- equation index


class Equations(SphinxDirective):
    """The equation index, one paper after the other, as MyST text that the page then parses."""

    def run(self) -> list[nodes.Node]:
        root = Path(self.env.srcdir)
        equations = index(root)
        text = []
        for paper, listed in papers(root).items():
            text += [f"## {listed['title']}\n"]
            text += [written(e, root) for key, e in equations.items() if key[0] == paper]
        return self.parse_text_to_nodes("\n".join(text), allow_section_headings=True)


def written(equation: Equation, root: Path) -> str:
    """One equation of the index in MyST, with the source of its functions to unfold."""
    functions = [code(dotted, root) for dotted in equation.functions]
    page = str(equation.page).rpartition(".")[0]
    lines = [f"### {equation.title}\n", f"{equation.says}\n", f"$$\n{equation.latex}\n$$\n"]
    lines += [f":In the paper: {equation.place}"]
    lines += [f":In the book: {{doc}}`/{page}`, equation {{eq}}`{equation.label}`"]
    for what, found in (("Function", functions), ("Test", equation.tests)):
        lines += [f":{what}: " + ", ".join(f"`{each.dotted}`" for each in found)]
    for each in functions:
        lines += [f"\n````{{dropdown}} Source of {each.name}"]
        lines += [f"```{{literalinclude}} /{each.file}\n:pyobject: {each.name}"]
        lines += [":language: python\n```\n````"]
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------------------- run times


def hardware(time: dict[str, Any]) -> str:
    """Hardware class in words: never a machine's name."""
    return f"{time['cores']} core" + "s" * (time["cores"] > 1) + " and a GPU" * time["gpu"]


def duration(seconds: float) -> str:
    """'0.4 s', '7 s', or '2 min 5 s' from one minute on."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class RunTimes(SphinxDirective):
    """A table: one row a notebook and settings, and a total for each settings."""

    def run(self) -> list[nodes.Node]:
        srcdir = Path(self.env.srcdir)
        rows = ["| Notebook | Settings | Time | Hardware |", "|---|---|---:|---|"]
        for settings in SETTINGS:
            times = executed(srcdir.with_name(settings))
            for notebook, time in times.items():
                page = f"{{doc}}`/{notebook.removesuffix('.ipynb')}`"
                took = f"{duration(time['seconds'])} | {hardware(time)}"
                rows += [f"| {page} | {settings} | {took} |"]
            total = duration(sum(time["seconds"] for time in times.values()))
            rows += [f"| **Together** | {settings} | **{total}** | |"] * bool(times)
        return self.parse_text_to_nodes("\n".join(rows))


def say_run_time(app: Sphinx, doctree: nodes.document) -> None:
    """Put 'Executed in 7 s on 2 cores, settings ci' under the title of a notebook page."""
    srcdir, source = Path(app.srcdir), Path(doctree["source"])
    time = executed(srcdir).get(source.relative_to(srcdir).as_posix())
    first = next(doctree.findall(nodes.section), None)
    if time is None or first is None:
        return
    took = f"Executed in {duration(time['seconds'])} on {hardware(time)}"
    first.insert(1, nodes.paragraph("", f"{took}, settings {srcdir.name}", classes=["run-time"]))


# ------------------------------------------------------------------------- scripts and buttons


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Copy the few files of MathJax that a page can ask for."""
    folder = Path(str(files("sphinx-mathjax-offline")), "static", "mathjax")
    copy(() if error else MATHJAX_FILES, folder, Path(app.outdir) / "_static" / "mathjax")


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
                branch = rf"/blob/{BRANCH}/"
                button["url"] = re.sub(r"/blob/[^/]+/", branch, button["url"], count=1)


def use_this_repository(app: Sphinx, config: Any) -> None:
    """Point the buttons at the repository of this clone."""
    config.html_theme_options["repository_url"] = repository_url()


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("equations", Equations)
    app.add_directive("run-times", RunTimes)
    app.connect("config-inited", use_this_repository)
    app.connect("doctree-read", say_run_time)
    app.connect("html-page-context", mend, priority=900)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
