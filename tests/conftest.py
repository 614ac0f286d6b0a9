"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from machine import ROOT


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root folder."""
    return ROOT
