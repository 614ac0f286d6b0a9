"""The notebooks that Google Colab opens from the repository.

Each has a cell in front that installs the release: the repository's tag `v<version>`. Its text is
plain Markdown with links to the published page; its solutions are folded. `make colab` writes them
to `_build/colab/`. Push that folder's content to the branch `colab`; the page's Colab buttons lead
there. The notebooks of the book itself install nothing.
"""

import sys

import nbformat
from explainrec_lab import __version__
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

import lessons
import without
from build import ROOT, alone, left_out, notebooks, take_place
from identity import course
from parts import parts
from plain import WORDS, Page

BRANCH = "colab"  # `make colab` writes what belongs on it
TARGET = ROOT / "_build" / "colab"
SAID = WORDS["colab"]


def page_address() -> str:
    """Where the book is published; "" where nobody has said so."""
    return str(course(ROOT)["pages"]).rstrip("/")


def copy_of(name: str, url: str, address: str) -> NotebookNode:
    """A notebook as Colab opens it: set up, in plain Markdown, its solutions folded.

    Args:
        name: path from the root.
        url: of the repository, whose release the set-up cell installs.
        address: of the published page, where links lead; without it they are plain words.
    """
    notebook, page = nbformat.read(ROOT / name, as_version=4), Page(name, address)
    setup = new_code_cell(SAID["setup"].format(url=url, version=__version__), id="colab-set-up")
    found = parts(name, notebook.cells)
    notebook.cells = [setup, *(opened(p.cell, page, p.kind == "solution") for p in found)]
    return notebook


def opened(cell: NotebookNode, page: Page, solution: bool) -> NotebookNode:
    """The cell as Colab shows it: of a solution, and of what the page hides, only a title."""
    if cell.cell_type == "markdown":
        text = page.plain(without.prose(cell.source, page.name, left_out(ROOT)))
        cell.source = SAID["solution"].format(text=text) if solution else text
    elif solution or lessons.UNSEEN - {"answer"} & set(cell.metadata.get("tags", ())):
        cell.source = SAID["solution-code" if solution else "hidden-code"] + cell.source
        cell.metadata["cellView"] = "form"
    return cell


def main() -> None:
    if not (url := course(ROOT)["address"]):
        sys.exit("Colab installs from the repository: set its `address` in course.toml first.")
    with alone(TARGET) as work:
        for name in notebooks():
            (work / "colab" / name).parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(copy_of(name, url, page_address()), work / "colab" / name)
        take_place(work / "colab", TARGET)
    print(f"{len(notebooks())} notebooks are in {TARGET.relative_to(ROOT)}.")


if __name__ == "__main__":
    main()
