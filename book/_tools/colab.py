"""Where the repository is, and the notebooks that Google Colab opens from there.

Each has a cell in front that sets Colab up. `make colab` writes them to `_build/colab/`. Push that
folder's content to the branch `colab`; the page's Colab buttons lead there. The notebooks of the
book itself install nothing.
"""

import json
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from typing import Any

import yaml
from nbformat.v4 import new_code_cell

from build import ROOT, notebooks

BRANCH = "colab"  # `make colab` writes what belongs on it
TARGET = ROOT / "_build" / "colab"
GITHUB = re.compile(r"github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?\s*$")
SETUP = """\
# Colab only: installs the course's package (about a minute). Then run the notebook from the top.
%pip install -q "explainrec-lab @ git+{url}"
"""


def repository_url() -> str:
    """`https://github.com/owner/repository`; a fork's page so leads to the fork."""
    command = ["git", "-C", str(ROOT), "remote", "get-url", "origin"]
    with suppress(OSError):  # no git
        origin = subprocess.run(command, capture_output=True, check=False).stdout
        if found := GITHUB.search(origin.decode("utf-8", "replace")):
            return f"https://github.com/{found[1]}"
    config = (ROOT / "_config.yml").read_text(encoding="utf-8")
    return str(yaml.safe_load(config)["repository"]["url"])


def with_setup(notebook: dict[str, Any], url: str) -> dict[str, Any]:
    """The notebook with Colab's set-up cell in front."""
    cell = new_code_cell(SETUP.format(url=url), id="colab-set-up")
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
