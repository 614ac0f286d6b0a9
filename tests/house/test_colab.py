"""The notebooks for Colab: the book's code, in front what sets Colab up, and plain Markdown."""

from __future__ import annotations

import re

import colab
import nbformat
import pytest
from build import ROOT, notebooks

import explainrec_lab

NOTEBOOKS = notebooks()
REPOSITORY, ADDRESS = "https://github.com/someone/lab", "https://someone.example/lab"
# What Colab would show as it is written, or look for beside a notebook that has nothing beside it.
DIRECTIVE = re.compile(r"^[ >]*(`{3,}|:{3,})", re.MULTILINE)
ROLE = re.compile(r"\{[\w:+-]+\}`")
BESIDE = re.compile(r"\]\((?!https://)|(?:src|href)=[\"'](?!https://)|\]\[|^\(\w+\)=", re.MULTILINE)


def without_code(text: str) -> str:
    return re.sub(r"^```\w*\n.*?^```$|(?<!\})`[^`\n]+`", "", text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("address", [ADDRESS, ""], ids=["published", "no address"])
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_copy_is_plain_markdown_and_leads_nowhere_beside_it(name: str, address: str) -> None:
    for cell in colab.copy_of(name, REPOSITORY, address).cells:
        if cell.cell_type == "markdown":
            text = without_code(cell.source)
            for left in (DIRECTIVE, ROLE, BESIDE):
                found = left.search(text)
                assert not found, text[max(0, found.start() - 80) : found.end() + 80]
            assert address or "](" not in text.replace("](https://", "")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_copy_has_the_code_of_the_book_and_nothing_else(name: str) -> None:
    original = [c.source for c in nbformat.read(ROOT / name, 4).cells if c.cell_type == "code"]
    copy = colab.copy_of(name, REPOSITORY, ADDRESS)
    setup, *cells = [cell for cell in copy.cells if cell.cell_type == "code"]
    release = f"git+{REPOSITORY}@v{explainrec_lab.__version__}"
    assert release in setup.source and copy.cells[0] == setup
    assert [re.sub(r"\A#@title .*\n", "", cell.source) for cell in cells] == original
    nbformat.validate(copy)


def test_solutions_are_folded_and_answers_are_open() -> None:
    copies = [colab.copy_of(name, REPOSITORY, ADDRESS) for name in NOTEBOOKS]
    code = [cell for copy in copies for cell in copy.cells if cell.cell_type == "code"]
    solved = [cell for cell in code if cell.source.startswith("#@title Solution")]
    assert solved and all(cell.metadata["cellView"] == "form" for cell in solved)
    asked = [cell for cell in code if "answer" in cell.metadata.get("tags", ())]
    assert all("cellView" not in cell.metadata for cell in asked)


MYST = r"""
:::{admonition} This page
**You need** [the model](model.ipynb#by-hand), and {cite:t}`fusco2019`.

```{math}
:label: eq-reconet-toy
a &= b \\\\ c &= d
```
:::
````{exercise-start} Two
:label: two
````
![A bar](../assets/diagrams/bar.svg) `[x](y)` {cite:p}`hu2008, bach2015`
```{literalinclude} /explainrec_lab/reconet/model.py
:pyobject: RecoNet.pool
```
"""


def test_each_form_becomes_what_markdown_has_for_it() -> None:
    made = colab.Page("book/reconet/lime.ipynb", ADDRESS).plain(MYST)
    for piece in (
        "> **This page**\n",
        f"[the model]({ADDRESS}/book/reconet/model.html#by-hand)",
        f"[Fusco et al., 2019]({ADDRESS}/book/reference/bibliography.html)",
        "\\tag{toy}\n> $$",
        "**Two**",
        f"![A bar]({ADDRESS}/_static/diagrams/bar.svg)",
        "`[x](y)` [(Hu et al., 2008; Bach et al., 2015)](",
        "```python\n    def pool(",
    ):
        assert piece in made, made


def test_without_an_address_a_link_is_its_words() -> None:
    made = colab.Page("book/reconet/lime.ipynb", "").plain(MYST)
    assert "**You need** the model, and Fusco et al., 2019." in made
    assert "\nA bar `[x](y)`" in made


@pytest.mark.parametrize("text", ["```{tableofcontents}\n```\n", "see {numref}`figure-1`"])
def test_what_has_no_plain_form_is_named_with_its_page(text: str) -> None:
    with pytest.raises(SystemExit, match=r"lime.ipynb: .* has no plain form: add it to colab.toml"):
        colab.Page("book/reconet/lime.ipynb", ADDRESS).plain(text)


def test_without_an_address_nothing_is_faked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colab, "course", lambda root: {"address": "", "pages": ""})
    with pytest.raises(SystemExit, match=r"set its `address` in course.toml"):
        colab.main()
