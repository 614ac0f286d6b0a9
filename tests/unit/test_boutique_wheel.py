"""The boutique is a package of its own: it builds, and works where the companion is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest
from machine import ROOT

SCRIPT = """
    import sys
    from importlib.abc import MetaPathFinder
    from pathlib import Path

    class Nobody(MetaPathFinder):
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in ("torch", "explainrec_lab", "scipy", "experiments"):
                raise ModuleNotFoundError(f"{name} is not needed here")

    sys.meta_path.insert(0, Nobody())
    import explainrec_boutique
    from explainrec_boutique.shop import load

    assert Path(explainrec_boutique.__file__).is_relative_to(sys.argv[1]), explainrec_boutique
    shop = load(items=20, shoppers=5, size=32, seed=1, cache=Path("cache"))
    assert shop.gallery[[3, 4]].shape == (2, 3, 32, 32) and shop.gallery[3].std() > 0
    assert len(shop.purchases) == 40 and len(shop.users) == 5
    assert (shop.relations["source_reason"] >= 0).any()
    assert not {"torch", "explainrec_lab"} & sys.modules.keys()
"""


def run(place: Path, *command: str) -> None:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=place,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_boutique_works_as_a_wheel_without_torch_and_without_the_companion(
    tmp_path: Path,
) -> None:
    pytest.importorskip("setuptools", "77")
    shutil.copytree(ROOT / "explainrec_boutique", tmp_path / "boutique")
    build = "from setuptools.build_meta import build_wheel; build_wheel('..')"
    run(tmp_path / "boutique", "-c", build)
    assert not list((tmp_path / "boutique").glob("build"))
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    shutil.unpack_archive(wheel, site, "zip")
    path = f"import sys; sys.path.insert(0, {str(site)!r}); sys.argv = ['', {str(site)!r}]\n"
    run(tmp_path, "-c", path + textwrap.dedent(SCRIPT))


def test_the_root_names_what_the_boutique_needs() -> None:
    root, own = (
        tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for folder in (".", "explainrec_boutique")
    )
    assert set(own["dependencies"]) <= set(root["dependencies"])
    assert own["requires-python"] == root["requires-python"]
