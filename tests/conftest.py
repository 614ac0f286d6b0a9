"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from machine import ROOT

# `pytest --hypothesis-profile=nightly`: what no one waits for.
settings.register_profile("nightly", max_examples=2000)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root folder."""
    return ROOT
