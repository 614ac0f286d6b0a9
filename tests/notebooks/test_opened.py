"""Colab's copies run in an empty folder with the wheel alone: the checkout cannot be imported.

Their code is the book's, cell by cell (`tests/house/test_colab.py`), which the build has executed
in the checkout. So by default those run here that read each kind of file of the package; under
EXPLAINREC_NIGHTLY=1 every one.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import colab
import nbformat
import pytest
from build import notebooks
from machine import NIGHTLY, ROOT
from wheels import run

# Quick ones, and what each reads of the package: found again in its code below.
READS = {
    "book/reference/ledger-reconet.ipynb": r"data\.results\(|results\(name\)",
    "book/start/boutique.ipynb": r"lab\.plots\.use_style\(",
    "book/reconet/live.ipynb": r"live\.recommender\(",
    "book/saers/attributes.ipynb": r"weights|trained\(",
    "book/relation/feedback.ipynb": r"exercises\.",
}
EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=300).execute()
print(notebook.cells[0].outputs[0].text)
"""
WHERE = "import explainrec_lab\nprint(explainrec_lab.__file__)"


def text_of(name: str) -> str:
    cells = nbformat.read(ROOT / name, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "code")


@pytest.mark.parametrize("name", READS)
def test_the_chosen_ones_read_what_they_are_chosen_for(name: str) -> None:
    assert re.search(READS[name], text_of(name))


@pytest.mark.parametrize("name", notebooks())
def test_no_notebook_reads_a_file_beside_itself(name: str) -> None:
    """A file that a notebook opens is one that it made, or the package's."""
    said = re.sub(r'"[^"\n]* [^"\n]*"', '""', text_of(name))  # strings that are sentences
    assert not re.search(r"\.\./|[\"'](?:book|experiments|tests)/|\bimport experiments", said)


@pytest.mark.slow
@pytest.mark.parametrize("name", notebooks() if NIGHTLY else READS)
def test_a_copy_runs_in_an_empty_folder_with_the_wheel_alone(
    name: str, beside_the_wheel: Path, tmp_path: Path
) -> None:
    copy = colab.copy_of(name, "https://github.com/someone/lab", "https://someone.example")
    assert copy.cells[0].source.startswith("# Colab only")
    copy.cells[0].source = WHERE  # instead of the installation
    nbformat.write(copy, tmp_path / "copy.ipynb")
    empty = tmp_path / "empty"
    empty.mkdir()
    settings = {
        "EXPLAINREC_SETTINGS": "ci",
        "EXPLAINREC_STATIC": "1",  # no widgets: nbclient can wait for their last word for ever
        "EXPLAINREC_DATA": "",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "JUPYTER_DATA_DIR": str(tmp_path / "jupyter"),  # no kernel of the user's
        "JUPYTER_PATH": "",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }
    command = (beside_the_wheel, "-c", EXECUTE, tmp_path / "copy.ipynb")
    place = Path(run(*command, cwd=str(empty), **settings).strip())
    assert place.is_relative_to(beside_the_wheel.parents[1])
