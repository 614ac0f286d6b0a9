"""The notebooks for Colab are the book's, with one cell in front that sets Colab up."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import colab


def test_the_setup_cell_installs_the_package_from_this_repository() -> None:
    notebook = {"cells": [{"id": "first"}], "metadata": {}}
    made = colab.with_setup(notebook, "https://github.com/someone/lab")
    assert "git+https://github.com/someone/lab" in made["cells"][0]["source"]
    assert made["cells"][1:] == notebook["cells"]


def test_the_origin_on_github_names_the_repository(monkeypatch) -> None:
    for address in ("git@github.com:someone/lab.git\n", "https://github.com/someone/lab\n"):
        monkeypatch.setattr(colab.subprocess, "run", saying(address))
        assert colab.repository_url() == "https://github.com/someone/lab"


def test_without_github_the_configured_address_stays(monkeypatch) -> None:
    monkeypatch.setattr(colab.subprocess, "run", saying("ssh://example.org/lab.git"))
    assert colab.repository_url().startswith("https://github.com/")


def saying(address: str) -> Callable[..., SimpleNamespace]:
    """A git whose remote has this address."""
    return lambda *_, **options: SimpleNamespace(stdout=address.encode())
