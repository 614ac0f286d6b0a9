"""Write the notebooks that Google Colab opens: each with a cell in front that sets Colab up.

`make colab` writes them to `_build/colab/`. Push that folder's content to the branch `colab`; the
page's Colab buttons lead there. The notebooks of the book itself install nothing.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from typing import Any

from build import ROOT, notebooks
from repository import repository_url

TARGET = ROOT / "_build" / "colab"
SETUP = """\
# Colab only: installs the course's package (about a minute). Then run the notebook from the top.
%pip install -q "explainrec-lab @ git+{url}"
"""


def with_setup(notebook: dict[str, Any], url: str) -> dict[str, Any]:
    """The notebook with Colab's set-up cell in front."""
    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "colab-set-up",
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": SETUP.format(url=url),
    }
    return {**notebook, "cells": [cell, *notebook["cells"]]}


def main() -> None:
    url = repository_url()
    if re.search(r"[<>]", url):
        sys.exit(f"The repository is still {url}: set `repository: url:` in _config.yml first.")
    shutil.rmtree(TARGET, ignore_errors=True)
    for name in notebooks():
        notebook = json.loads((ROOT / name).read_text(encoding="utf-8"))
        (TARGET / name).parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(with_setup(notebook, url), indent=1, ensure_ascii=False)
        (TARGET / name).write_text(text + "\n", encoding="utf-8")
    print(f"{len(notebooks())} notebooks are in {TARGET.relative_to(ROOT)}.")


if __name__ == "__main__":
    main()
