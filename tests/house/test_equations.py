"""Every equation has a section in the book, a function and a test; the index page is made of it.

A function that moved: change its name in `book/reference/equations.yml`.
"""

from __future__ import annotations

import pytest
from equation_index import code, index, labels, oracles, papers
from machine import ROOT

INDEX = index(ROOT)


@pytest.mark.parametrize("key", INDEX, ids="-".join)
def test_equation_has_a_section_in_the_book(key: tuple[str, str]) -> None:
    assert INDEX[key].page, f"no page carries the label ({INDEX[key].label})"


@pytest.mark.parametrize("key", INDEX, ids="-".join)
def test_equation_has_a_function(key: tuple[str, str]) -> None:
    assert INDEX[key].functions, f"equations.yml names no function for {key}"
    for dotted in INDEX[key].functions:
        assert code(dotted, ROOT).dotted == dotted


@pytest.mark.parametrize("key", INDEX, ids="-".join)
def test_equation_has_a_test(key: tuple[str, str]) -> None:
    assert INDEX[key].tests, f"no test carries @pytest.mark.oracle{key}"


def test_every_mark_and_label_names_a_known_equation() -> None:
    marked = {key for key, _ in oracles(ROOT)}
    known = {equation.label for equation in INDEX.values()}
    of_papers = tuple(f"eq-{paper}-" for paper in papers(ROOT))
    used = {label for label, _ in labels(ROOT) if label.startswith(of_papers)}
    assert marked <= set(INDEX)
    assert used <= known


def test_each_equation_is_labelled_once() -> None:
    used = [label for label, _ in labels(ROOT)]
    assert len(used) == len(set(used)), sorted(used)


def test_a_function_that_moved_is_refused_by_name_and_its_new_place_is_said() -> None:
    with pytest.raises(LookupError, match=r"gone\.RecoNet\.pool, which is not there"):
        code("explainrec_lab.reconet.gone.RecoNet.pool", ROOT)
