"""What leads to a chapter left out: rows and items go, links become words, all else stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from identity import file_without, rewrite_without, without

OUT = ("book/saers/", "book/reference/ledger-saers")
PAGE = "book/start/students.md"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            "See [its `page`](../saers/model.ipynb#a), [this](boutique.ipynb).",
            "See its `page`, [this](boutique.ipynb).",
        ),
        ("a [link over\nlines](../saers/index.ipynb)", "a link over\nlines"),
        (
            "| a | b |\n|---|---|\n| [S](../saers/i.ipynb) | x |\n| [R](../lrp/i.ipynb) | y |\n",
            "| a | b |\n|---|---|\n| [R](../lrp/i.ipynb) | y |\n",
        ),
        ("| [S](../saers/a.ipynb), [B](boutique.ipynb) | x |", "| S, [B](boutique.ipynb) | x |"),
        ("- one\n- [S](../saers/a.ipynb), long\n  as two lines\n- three\n", "- one\n- three\n"),
        ("1. [S](../reference/ledger-saers.ipynb)\n2. two\n", "2. two\n"),
        (
            "<!-- with ../saers/index.ipynb boutique.ipynb -->\n![All\nchapters](m.svg)\n\nNext",
            "\nNext",
        ),
        ("<!-- with boutique.ipynb -->\nStays\n", "<!-- with boutique.ipynb -->\nStays\n"),
        ("![a picture](../saers/p.svg), [far](https://saers.example/book/saers/)", None),
        ("[no chapter of that name](../saers2/index.ipynb), saers in words", None),
    ],
)
def test_each_way_to_lead_there(text: str, left: str | None) -> None:
    assert without(text, PAGE, OUT) == (text if left is None else left)


def test_a_notebook_keeps_its_code_and_outputs(tmp_path: Path) -> None:
    code = {"cell_type": "code", "source": ["x = '[a](../saers/b.ipynb)'"], "outputs": ["kept"]}
    prose = {"cell_type": "markdown", "source": ["An é, [a\\n", "b](../saers/b.ipynb)"]}
    path = tmp_path / "book" / "start" / "one.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"cells": [code, prose]}), encoding="utf-8")
    rewrite_without(tmp_path, OUT)
    made = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert made[0] == code and made[1]["source"] == "An é, a\\nb"


def test_a_whole_course_is_left_as_it_is(tmp_path: Path) -> None:
    text = '{"cells": []}  as it was'
    assert file_without(text, "book/one.ipynb", ()) == text
