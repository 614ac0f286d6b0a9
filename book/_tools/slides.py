"""A deck of slides for each session of a class, from the executed pages' own figures and questions.

`make slides` writes `_build/slides/<number>.html`, which ask no other host: nbconvert's template
for Reveal.js over a notebook of slides. A slide is a heading and one figure, one equation, one
question or three take-aways; the prose around it is the speaker's notes. What a session holds
stands in `book/instructor/sessions.yml`.
"""

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import nbformat
import yaml
from explainrec_lab.exercises import options, questions
from nbconvert import SlidesExporter
from nbformat import NotebookNode as Cell
from nbformat.v4 import new_markdown_cell, new_notebook

import build
from colab import Page, page_address
from lab_sphinx import MATHJAX, MATHJAX_FILES, themed
from parts import claim, parts

WHERE = "book/instructor/sessions.yml"
REVEAL_FILES = ("LICENSE", "dist/reveal.css", "dist/reveal.js", "plugin/notes")
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]*\.svg)\)")
EQUATION = re.compile(r"(\$\$\n[^$]*)\\tag\{[^}]*\}(\s*\$\$)")
CHECK = re.compile(
    r"(?s)(\*\*[A-Z]\w+\.\*\*(?:(?!\*\*[A-Z]\w+\.\*\*|</details>).){,600})\n\n"
    r'<details class="check"><summary>[^\n]*</summary>\n(.{,600}?)</details>'
)


def slide(heading: str, body: str, answer: str = "", notes: str = "") -> list[Cell]:
    """A slide with a heading, what appears at the next key, and what the speaker alone sees."""
    body = re.sub(r"\n\s*\n(?=.*</svg>)", "\n", body, flags=re.DOTALL)  # one block of HTML
    texts = ("slide", f"## {heading}\n\n{body}"), ("fragment", answer), ("notes", notes)
    said = [(text, {"slideshow": {"slide_type": kind}}) for kind, text in texts if text]
    return [new_markdown_cell(text, metadata=kind) for text, kind in said]


def of_page(path: Path, cells: list[Cell]) -> Iterator[list[Cell]]:
    """The slides of a page: its figures, labelled equations, checkpoints and take-aways."""
    heading, prose = "", ""
    for cell in (part.cell for part in parts(path.name, cells) if part.kind == "lesson"):
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        for output in cell.get("outputs", []):
            if drawn := output.get("data", {}).get("image/svg+xml"):
                yield slide(heading, themed(drawn, alt, False), notes=prose or alt)
        pieces = re.split(r"^##? (.+)$", cell.source, flags=re.MULTILINE)
        for head, text in zip(["", *pieces[1::2]], pieces[::2], strict=True):
            if cell.cell_type == "markdown":
                heading, prose = head or heading, Page(path.name, "").plain(PICTURE.sub("", text))
                yield from of_text(heading, prose, PICTURE.findall(text), path.parent)


def of_text(heading: str, prose: str, pictures: list[Any], folder: Path) -> Iterator[list[Cell]]:
    """The slides of what stands under a heading."""
    for alt, name in pictures:
        drawn = themed((folder / name).read_text(encoding="utf-8"), alt, True)
        yield slide(heading, drawn, notes=prose)
    for equation in EQUATION.findall(prose):
        yield slide(heading, "".join(equation), notes=prose)
    for question, answer in CHECK.findall(prose):
        yield slide(heading, question, answer)
    points = re.findall(r"^- .+", prose, re.MULTILINE) if heading == "Take-aways" else []
    step = 2 if len(points) % 3 == 1 else 3  # no slide with one
    for first in range(0, len(points), step):
        yield slide(heading, "\n".join(points[first : first + step]))


def asked(number: int, page: str, which: int) -> list[Cell]:
    """A question of a page's quiz, and its answer with the reason."""
    claim(len(questions().get(page, [])) >= which > 0, WHERE, f"{page} has no question {which}")
    listed = options(question := questions()[page][which - 1])
    letter = next("ABCDEFGH"[n] for n, option in enumerate(listed) if option[2] == "Right.")
    body = "\n".join([f"{question['asks']}\n", *(f"1. {option[0]}" for option in listed)])
    return slide(f"Question {number}", body, f"**{letter}.** {question['right'][1]}")


def deck(number: int, session: dict[str, Any], tree: Path) -> str:
    """The slides of a session as one page of HTML.

    Raises:
        SystemExit: it names a page or question that there is not, or its pages show no figure.
    """
    shown, sources = [], []
    for page in session["pages"]:
        name = f"book/{page}.ipynb"
        claim((tree / name).exists(), WHERE, f"session {number} names {page}: no such page")
        cells = nbformat.read(tree / name, as_version=4).cells
        shown += list(of_page(tree / name, cells))
        title = cells[0].source.partition("\n")[0].strip("# ")
        sources += [f"- [{title}]({page_address() or '../html'}/book/{page}.html)"]
    drawn = any("<svg" in cells[0].source for cells in shown)
    claim(drawn, WHERE, f"the pages of session {number} show no figure: name one that does")
    shown += [asked(n, *each) for n, each in enumerate(session["quiz"], 1)]
    shown += [slide("Sources", "\n".join(sources))]
    made = new_notebook(cells=[cell for cells in shown for cell in cells])
    made.metadata["title"] = f"{number} · {session['title']}"
    beside = [str(Path(__file__).parent)]
    exporter = SlidesExporter(template_name="deck", extra_template_basedirs=beside)
    return str(exporter.from_notebook_node(made)[0])


def decks(_: str, tree: Path, ready: Path) -> None:
    """A deck for each session, and what decks load."""
    reveal = Path(str(files("sphinx_revealjs")), "_static/revealjs")
    build.copy(MATHJAX_FILES, MATHJAX, ready / "mathjax")
    build.copy(REVEAL_FILES, reveal, ready / "revealjs")
    build.copy(["lab.css", "fonts"], tree / "book/assets", ready)
    build.copy(["deck.css"], Path(__file__).with_name("deck"), ready)
    out = build.left_out(tree)
    listed = yaml.safe_load((tree / WHERE).read_text(encoding="utf-8"))
    for number, session in enumerate(listed, 1):
        for kind in ("pages", "quiz"):  # of chapters that the course has
            named = [(each, each if kind == "pages" else each[0]) for each in session[kind]]
            session[kind] = [each for each, page in named if not f"book/{page}".startswith(out)]
        if session["pages"]:
            (ready / f"{number}.html").write_text(deck(number, session, tree), encoding="utf-8")
