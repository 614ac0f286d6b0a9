"""Every equation has a section in the book, a function and a test; the index page is made of it."""

from __future__ import annotations

import pytest
from equation_index import decorated, index, labels
from machine import ROOT

from explainrec_lab.equations import EQUATIONS, IMPLEMENTATIONS, PAPERS, implements

INDEX = index(ROOT)


@pytest.mark.parametrize("key", EQUATIONS, ids="-".join)
def test_equation_has_a_section_in_the_book(key: tuple[str, str]) -> None:
    assert INDEX[key].page, f"no page carries the label ({EQUATIONS[key].label})"


@pytest.mark.parametrize("key", EQUATIONS, ids="-".join)
def test_equation_has_a_function(key: tuple[str, str]) -> None:
    assert INDEX[key].functions, f"no function carries @implements{key}"


@pytest.mark.parametrize("key", EQUATIONS, ids="-".join)
def test_equation_has_a_test(key: tuple[str, str]) -> None:
    assert INDEX[key].tests, f"no test carries @pytest.mark.oracle{key}"


def test_every_mark_and_label_names_a_known_equation() -> None:
    marked = [key for key, _ in decorated(ROOT / "tests", ROOT, "mark.oracle")]
    marked += [key for key, _ in decorated(ROOT / "explainrec_lab", ROOT, "implements")]
    known = {equation.label for equation in EQUATIONS.values()}
    of_papers = tuple(f"eq-{paper}-" for paper in PAPERS)
    used = {label for label, _, _ in labels(ROOT) if label.startswith(of_papers)}
    assert set(marked) <= set(EQUATIONS)
    assert used <= known


def test_each_equation_is_labelled_once() -> None:
    used = [label for label, _, _ in labels(ROOT)]
    assert len(used) == len(set(used)), sorted(used)


def test_implements_registers_a_function_and_leaves_it_unchanged() -> None:
    key = ("reconet", "pooling")
    before = list(IMPLEMENTATIONS.get(key, []))

    def average() -> None: ...

    try:
        assert implements(*key)(average) is average
        assert IMPLEMENTATIONS[key] == [*before, average]
    finally:
        IMPLEMENTATIONS[key] = before


def test_an_unknown_equation_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'reconet', 'poling'.*pooling, softmax"):
        implements("reconet", "poling")
