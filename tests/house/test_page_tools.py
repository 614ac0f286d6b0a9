"""What the book adds to Sphinx: times of a page, links to the glossary, drawings in the theme."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import lab_sphinx
import lessons
import nbformat
import pytest
from docutils import nodes
from equation_index import index
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

FIGURE = """<?xml version="1.0"?><!DOCTYPE svg>
<svg width="504pt" viewBox="0 0 504 259" xmlns="http://www.w3.org/2000/svg">
<metadata>when</metadata><style>text {fill: red}</style><g id="figure_1"><g id="axes.1_2">
<path style="fill: #20262d; stroke: #1b6ca8"/></g></g></svg>"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A notebook of 359 words, two cells that are seen, and an exercise with its solution.

    Words of the lesson stand before, between and behind the gates, in the same cells.
    """
    exercise = "```{exercise-start}\n:label: a\n```\n" + "word " * 99 + "\n```{exercise-end}\n```\n"
    held = [
        cell("markdown", "word " * 180 + "$a + b$\n\n```python\nnot words\n```"),
        cell("code", "x = 1"),
        cell("code", "plot(x)", "hide-input"),
        cell("code", "assert x", "remove-cell"),
        cell("markdown", "word " * 100 + "*(25 minutes)*"),
        cell("code", "x"),
        cell("markdown", "word " * 30 + "\n" + exercise),
        cell("code", "x = ...", "answer"),
        cell("markdown", "word " * 8 + "\n```{solution-start} a\n```\n" + "word " * 999),
        cell("code", "x = 2"),
        cell("markdown", "word " * 99 + "\n```{solution-end}\n```\n" + "word " * 40),
    ]
    path = tmp_path / "page.ipynb"
    path.write_text(nbformat.writes(new_notebook(cells=held)), encoding="utf-8")
    return path


def cell(kind: str, source: str, *tags: str) -> nbformat.NotebookNode:
    make = {"code": new_code_cell, "markdown": new_markdown_cell}[kind]
    return make(source, metadata={"tags": list(tags)})


def test_a_page_takes_its_words_its_cells_and_its_exercises(page: Path) -> None:
    assert lessons.words(page) == 359  # 'minutes' is one
    assert lessons.seen_code(page) == ["x = 1", "x"]
    assert lessons.minutes(page) == (4, 25)


def test_a_word_leads_to_the_glossary_once() -> None:
    words = {"hit rate": "A share.", "rate": "Per time."}
    text, used = "The Hit rates, hit rate and rate.", lab_sphinx.any_of(words)
    found = lab_sphinx.linked(text, used, words, "glossary.html")
    links = [
        (n.astext(), n["refuri"], n["reftitle"])
        for n in found
        if "refuri" in vars(n).get("attributes", {})
    ]
    assert links == [
        ("Hit rates", "glossary.html#hit-rate", "A share."),
        ("rate", "glossary.html#rate", "Per time."),
    ]
    assert "".join(node.astext() for node in found) == text
    assert not words


def test_a_word_within_another_is_not_the_word() -> None:
    words = {"hit rate": "A share.", "rate": "Per time."}
    used = lab_sphinx.any_of(words)
    lab_sphinx.linked("a hit rate", used, words, "glossary.html")
    for text in ("operate rater", "another hit rate"):
        found = lab_sphinx.linked(text, used, words, "glossary.html")
        assert [type(node) for node in found] == [nodes.Text]


def test_every_word_of_the_glossary_has_a_meaning(root: Path) -> None:
    words = lessons.glossary(root)
    titles = (root / f"{lessons.GLOSSARY}.md").read_text(encoding="utf-8").count("\n## ")
    assert len(words) == titles > 0
    assert all(len(means.split()) > 3 for means in words.values())


def test_a_figure_takes_the_colours_of_the_page_and_a_name() -> None:
    drawn = lab_sphinx.themed(FIGURE, 'Two "lines"', diagram=False)
    assert drawn.startswith('<div class="output lab-figure" style="--least: 504px"><svg role="img"')
    assert 'aria-label="Two &quot;lines&quot;"' in drawn
    assert "fill: currentColor; stroke: var(--lab-blue)" in drawn
    assert not any(gone in drawn for gone in ("metadata", "<style", "figure_1", "axes.1_2"))


def test_every_colour_of_the_style_sheet_has_one_in_the_theme(root: Path) -> None:
    sheet = (root / "explainrec_lab/lab.mplstyle").read_text(encoding="utf-8")
    css = (root / "book/assets/lab.css").read_text(encoding="utf-8")
    (cycle,) = [line for line in sheet.splitlines() if "cycler" in line]
    for colour in cycle.split('"')[1::2]:
        assert f"#{colour}" in lab_sphinx.THEMED
    for name in set(lab_sphinx.THEMED.values()) - {"currentColor"}:
        assert css.count(f"{name[4:-1]}: #") == 2, f"{name}: once for light and once for dark"


def test_the_index_names_but_does_not_show_a_function_that_students_are_to_write(
    root: Path,
) -> None:
    equation = index(root)["reconet", "pooling"]
    (pool,) = equation.functions
    shown, asked = (lab_sphinx.written(equation, root, given) for given in ([], [pool]))
    assert pool in asked
    assert "Source of RecoNet.pool" in shown
    assert "Source of RecoNet.pool" not in asked
    assert "Source of test_" in asked


@pytest.mark.parametrize("buttons", [True, False], ids=["public", "student"])
def test_a_student_s_pages_have_no_buttons_to_notebooks(
    buttons: bool,
) -> None:
    options = {"logo": {}, "launch_buttons": {"colab_url": "https://colab.research.google.com"}}
    options["repository_url"] = "https://github.com/someone/lab" if buttons else ""
    config = SimpleNamespace(html_theme_options=options, html_title="Lab")
    lab_sphinx.use_this_repository(None, config)
    assert ("launch_buttons" in options) == options["use_repository_button"] == buttons
