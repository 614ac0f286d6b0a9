"""What tests need from this machine: where the repository is, and one rule for what is missing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[1]


def lacking(reason: str) -> NoReturn:
    """Skip a test that needs something this machine lacks; in CI (`CI=true`), fail it instead."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{reason} (CI=true: this may not be skipped)")
    pytest.skip(reason)
