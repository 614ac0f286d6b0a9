"""The repository's web address: this clone's `origin` on GitHub, else what `_config.yml` says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
GITHUB = re.compile(r"github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?\s*$")


def repository_url() -> str:
    """`https://github.com/owner/repository`; a fork's page so leads to the fork."""
    found = GITHUB.search(origin())
    if found:
        return f"https://github.com/{found[1]}"
    return str(yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"])


def origin() -> str:
    """Address of the git remote `origin`; empty without git or without a remote."""
    command = ["git", "-C", str(ROOT), "remote", "get-url", "origin"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ""
