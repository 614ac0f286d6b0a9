"""A page is a lesson: light cells, little plumbing, something to do, few words, a way on.

What is measured is the notebook as it stands in git; folded cells and solutions apart.
"""

from __future__ import annotations

import ast
import re
import statistics
from pathlib import Path

import lessons
import pytest
import yaml
from build import left_out
from machine import ROOT

MEDIAN, NINETIETH, LONGEST = 5, 10, 15
MOST_WORDS, MOST_CELLS = 1_500, 20
MOST_HELPERS, MOST_PLUMBING = 25, 0.20
FEWEST_CHECKPOINTS, FEWEST_DIAGRAMS = 40, 10
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
ORDER = [each["file"] for part in TOC["parts"] for each in part["chapters"]]
PAGES = [ROOT / name for name in ("book/index", *ORDER)]
PAGES = [path.with_suffix(kind) for path in PAGES for kind in (".md", ".ipynb")]
PAGES = [path for path in PAGES if path.exists()]
# Pages that teach, and pages on which one looks something up.
LOOKED_UP = ("reference", "book")
LESSONS = [
    path
    for path in PAGES
    if path.suffix == ".ipynb" and path.parent.name not in LOOKED_UP and path.stem != "index"
]
IDS = {"ids": lambda path: path.relative_to(ROOT / "book").with_suffix("").as_posix()}

OUT = left_out(ROOT)  # how the names of pages begin that course.toml leaves out
whole = pytest.mark.skipif(bool(OUT), reason="counted in the whole course; a chapter is left out")

SHOWS = re.compile(
    r"\b(print|display|Markdown|HTML|DataFrame|to_frame|use_style|subplots|results)\(|"
    r"\b(plots|plt|axes?)\.|\.(style|rename|pivot_table|set_axis|round)\b"
)
DIAGRAM = re.compile(r"!\[[^\]]+\]\([^)]*diagrams/[\w-]+\.svg\)")
POINTER = re.compile(
    r"\b(?:the )?(?:last|next|previous) (?:number|page|cell|row|column|figure|table)\b"
    r"|\b(?:number|cell|table|figure|row)s? (?:just )?(?:above|below)\b"
    r"|\bprinted (?:above|below)\b",
    re.IGNORECASE,
)


def prose(page: Path) -> str:
    found = (source for kind, source, _ in lessons.cells(page) if kind == "markdown")
    return "\n".join(lessons.SILENT.sub(" ", source) for source in found)


def lines(source: str) -> int:
    return sum(bool(line.strip()) for line in source.splitlines())


def tree_of(source: str) -> ast.Module:
    return ast.parse(re.sub(r"^\s*%.*$", "", source, flags=re.MULTILINE))


def plumbing(source: str) -> int:
    """Lines of statements that import, print, tabulate or draw."""
    count = 0
    for node in tree_of(source).body:
        text = ast.get_source_segment(source, node) or ""
        leads = isinstance(node, ast.Import | ast.ImportFrom)
        shows = not isinstance(node, ast.FunctionDef | ast.ClassDef) and SHOWS.search(text)
        count += lines(text) if leads or shows else 0
    return count


def checkpoints(page: Path) -> int:
    """Answers that fold open, choices, and results that wait for a prediction."""
    count = 0
    for kind, source, tags in lessons.cells(page):
        if kind == "markdown":
            count += len(re.findall(r'<details class="check">', source))
            # One choice is several options in a row.
            merged = re.sub(r"</details>\s*<details class=\"option\">", "", source)
            count += merged.count('<details class="option">')
        else:
            count += "hide-output" in tags
    return count


def test_code_cells_are_light() -> None:
    sizes = sorted(lines(code) for page in LESSONS for code in lessons.seen_code(page))
    assert statistics.median(sizes) <= MEDIAN
    assert sizes[int(0.9 * len(sizes))] <= NINETIETH
    assert sizes[-1] <= LONGEST


@pytest.mark.parametrize("page", LESSONS, **IDS)
def test_a_page_has_few_words_and_few_cells(page: Path) -> None:
    code = lessons.seen_code(page)
    long = [source for source in code if lines(source) > LONGEST]
    assert not long, f"at most {LONGEST} lines:\n{long[0]}"
    assert lessons.words(page) <= MOST_WORDS
    assert len(code) <= MOST_CELLS


def test_helpers_in_cells_are_few() -> None:
    found = [
        f"{page.parent.name}/{page.stem}: {node.name}"
        for page in LESSONS
        for code in lessons.seen_code(page)
        for node in tree_of(code).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]
    assert len(found) <= MOST_HELPERS, "\n".join(found)


def test_plumbing_is_little() -> None:
    code = [source for page in LESSONS for source in lessons.seen_code(page)]
    share = sum(map(plumbing, code)) / sum(map(lines, code))
    assert share <= MOST_PLUMBING, f"{share:.2f} of the visible lines import, print or draw"


@pytest.mark.parametrize("page", LESSONS, **IDS)
def test_a_page_asks_its_reader_at_least_twice(page: Path) -> None:
    assert checkpoints(page) >= 2


@whole
def test_there_are_many_checkpoints_and_diagrams() -> None:
    assert sum(map(checkpoints, PAGES)) >= FEWEST_CHECKPOINTS
    drawn = {each for page in PAGES for each in DIAGRAM.findall(page.read_text(encoding="utf-8"))}
    assert len(drawn) >= FEWEST_DIAGRAMS


@pytest.mark.parametrize("page", LESSONS, **IDS)
def test_a_page_has_its_frame(page: Path) -> None:
    """What you build, can explain and need; how hard it is; where to read on."""
    text = page.read_text(encoding="utf-8")
    for part in ("**You will", "**You need**", "**Difficulty**", "## Further reading"):
        assert part in text, f"no {part}"


@pytest.mark.parametrize("page", PAGES, **IDS)
def test_no_reference_to_a_place_that_moves(page: Path) -> None:
    """ "The last number" or "the table below" is wrong as soon as a cell moves: name the thing."""
    found = [match[0] for match in POINTER.finditer(prose(page))]
    assert not found, f"name what is meant instead of {sorted(set(found))}"


@pytest.mark.parametrize(
    "drawing", sorted((ROOT / "book/assets/diagrams").glob("*.svg")), ids=lambda path: path.stem
)
def test_a_diagram_has_the_look_of_all(drawing: Path) -> None:
    svg = drawing.read_text(encoding="utf-8")
    style = re.compile(r"<style>.*?</style>", re.DOTALL)
    first = min((ROOT / "book/assets/diagrams").glob("*.svg")).read_text(encoding="utf-8")
    assert style.findall(svg) == style.findall(first), "one style block for all"
    width = float(re.findall(r'viewBox="0 0 ([\d.]+)', svg)[0])
    assert width <= 520, "a phone shows it without scrolling"


# Pieces of LaTeX: a letter in its dress (`\mathbf{x}`, `\bar{\mathbf W}`), a command, a sign.
DRESS = r"\\(?:mathbf|boldsymbol|mathcal|bar|hat|text|operatorname\*?)\s*"
PIECE = re.compile(
    rf"(?:{DRESS})+(?:\{{[^{{}}]*\}}|\\?\w)|(?:{DRESS}\{{)+[^{{}}]*\}}+|\\[A-Za-z]+|\S"
)
MATH = re.compile(r"\$\$(.+?)\$\$|`{3,}\{math\}\n(.+?)`{3,}|\$([^$\n]+)\$", re.DOTALL)
SYMBOL = re.compile(r"^\| (\$[^|]+\$) \|.*\((\S+)\.ipynb\) \|$", re.MULTILINE)
CHAPTERS = [c for c in ("reconet", "saers", "relation") if not f"book/{c}/".startswith(OUT)]


def pieces(latex: str) -> list[str]:
    """'\\mathbf W_j' -> ['\\mathbfW', '_', 'j']: spaces, braces and sub before super are one."""
    latex = re.sub(r"^:label:.*$|\\(begin|end)\{\w+\*?\}", "", latex, flags=re.MULTILINE)
    latex = re.sub(r"(\^(?:\{[^{}]*\}|\\?\w))(_(?:\{[^{}]*\}|\\?\w+))", r"\2\1", latex)
    found = (re.sub(r"[{}\s]", "", piece) for piece in PIECE.findall(latex))
    return [piece for piece in found if piece and piece != r"\,"]


def has(formula: str, symbol: str) -> bool:
    """Whether a formula has the symbol: '$d_u$' has no '$d$'."""
    had, sought = pieces(formula), pieces(symbol)
    starts = (n for n in range(len(had)) if had[n : n + len(sought)] == sought)
    return any(had[n + len(sought) :][:1] != ["_"] for n in starts)


def uses(page: Path, symbol: str) -> bool:
    source = "\n".join(text for kind, text, _ in lessons.cells(page) if kind == "markdown")
    return any(has("".join(formula), symbol) for formula in MATH.findall(source))


def notation(chapter: str) -> list[tuple[str, str]]:
    """(symbol, page that introduces it) of a chapter's table."""
    text = (ROOT / f"book/{chapter}/notation.md").read_text(encoding="utf-8")
    rows = [(symbol, page) for cell, page in SYMBOL.findall(text) for symbol in cell.split("$, $")]
    assert len(SYMBOL.findall(text)) == text.count("\n| $"), "a row without symbol or page"
    return [(symbol.strip("$ "), page) for symbol, page in rows]


def test_a_symbol_is_found_in_any_dress_and_only_whole() -> None:
    assert has(r"\mathbf W_j\cdot\mathbf{q}_{k}", r"\mathbf{W}_j")
    assert has(r"\sum_t \alpha_t F^t_{mn}", "F_{mn}^t")
    assert not has(r"\begin{aligned} \mathbf{d} + d_u \end{aligned}", "d")
    assert not has(r"\mathcal{D}_S", r"\mathcal{D}")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_no_symbol_comes_before_the_page_that_introduces_it(chapter: str) -> None:
    """Each symbol of the table is in a formula of the page that the table names, and of none
    before it."""
    order = [page for page in LESSONS if page.parent.name == chapter]
    assert len(notation(chapter)) >= 20
    for symbol, named in notation(chapter):
        first = next((page.stem for page in order if uses(page, symbol)), None)
        assert first == named, f"${symbol}$ is first used by {first}, the table says {named}"


def test_the_glossary_is_one_list() -> None:
    """In order, a definition of a line and an example each."""
    text = (ROOT / f"{lessons.GLOSSARY}.md").read_text(encoding="utf-8")
    terms = re.findall(r"^## (.+)\n\n(\S.+)\n\n\*Example\.\* \S", text, re.MULTILINE)
    assert len(terms) == text.count("\n## ") == len(lessons.glossary(ROOT)) >= 60
    names = [name for name, _ in terms]
    assert names == sorted(names, key=str.lower)
    assert max(len(lessons.WORD.findall(means)) for _, means in terms) <= 60


@whole
def test_pages_use_nearly_all_words_of_the_glossary() -> None:
    names = list(lessons.glossary(ROOT))
    everything = "\n".join(prose(page) for page in PAGES if page.stem != "glossary")
    unused = [
        name
        for name in names
        if "(" not in name and not re.search(rf"\b{re.escape(name)}", everything, re.IGNORECASE)
    ]
    assert len(unused) <= len(names) // 8, f"no page uses {unused}: take them out"


def test_there_is_one_reading_order() -> None:
    """Sidebar, students' page, sessions of a class and README: from exact and small to pixels."""
    order = ["boutique", *CHAPTERS]
    pages = [next(n for n, name in enumerate(ORDER) if chapter in name) for chapter in order]
    assert pages == sorted(pages)
    for name, start in (
        ("book/start/students.md", "## The order"),
        ("book/start/instructors.md", "| session"),
        ("README.md", "| Chapter"),
    ):
        text = (ROOT / name).read_text(encoding="utf-8").partition(start)[2].lower()
        text = re.sub("<!--.*?-->", "", text)
        places = [text.find(chapter) for chapter in order]
        assert -1 not in places and places == sorted(places), name
