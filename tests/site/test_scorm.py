"""The SCORM package is what a learning platform expects: its manifest, its files, its bytes."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote
from xml.etree import ElementTree
from zipfile import ZipFile

import pytest
import scorm
import yaml
from machine import ROOT, lacking

XML = "{http://www.imsproject.org/xsd/imscp_rootv1p1p2}"
RESERVED = ' xmlns="http://www.w3.org/XML/1998/namespace"'


@pytest.fixture(scope="module")
def packed(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    final = tmp_path_factory.mktemp("scorm") / "course.zip"
    scorm.package(site, final)
    return final


def test_the_manifest_keeps_to_the_schema(packed: Path, tmp_path: Path) -> None:
    try:
        import xmlschema
    except ImportError:
        lacking("no xmlschema here: `make env` installs what pyproject.toml names")
    with ZipFile(packed) as archive:
        for name in archive.namelist():
            if re.search(r"^[^/]+\.(xsd|xml)$", name):
                archive.extract(name, tmp_path)
    # As published, this one gives a reserved name as its default: most readers refuse that.
    reserved = tmp_path / "ims_xml.xsd"
    reserved.write_text(reserved.read_text(encoding="utf-8").replace(RESERVED, ""))
    schema = xmlschema.XMLSchema10(
        str(tmp_path / "imscp_rootv1p1p2.xsd"),
        locations=[
            ("http://www.adlnet.org/xsd/adlcp_rootv1p2", str(tmp_path / "adlcp_rootv1p2.xsd"))
        ],
    )
    manifest = tmp_path / "imsmanifest.xml"
    schema.validate(str(manifest), use_location_hints=False)
    broken = manifest.read_text(encoding="utf-8").replace("<resources>", "<sources>")
    broken = broken.replace("</resources>", "</sources>")
    assert not schema.is_valid(broken, use_location_hints=False)


def test_every_file_is_named_and_every_name_is_a_file(packed: Path) -> None:
    with ZipFile(packed) as archive:
        held = archive.namelist()
        manifest = ElementTree.fromstring(archive.read("imsmanifest.xml"))
    named = [unquote(each.attrib["href"]) for each in manifest.iter(f"{XML}file")]
    assert len(held) == len(set(held))
    assert sorted(named) == sorted(set(held) - {"imsmanifest.xml", *schemas()})
    for name in held:
        path = PurePosixPath(name)
        assert not path.is_absolute() and ".." not in path.parts and "\\" not in name


def schemas() -> set[str]:
    return {path.name for path in scorm.BESIDE.glob("*.xsd")}


def test_the_items_are_the_table_of_contents(packed: Path) -> None:
    with ZipFile(packed) as archive:
        manifest = ElementTree.fromstring(archive.read("imsmanifest.xml"))
    hrefs = {
        each.attrib["identifier"]: each.get("href") for each in manifest.iter(f"{XML}resource")
    }
    items = [each for each in manifest.iter(f"{XML}item") if "identifierref" in each.attrib]
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [toc["root"], *(each["file"] for part in toc["parts"] for each in part["chapters"])]
    assert [hrefs[each.attrib["identifierref"]] for each in items] == [f"{f}.html" for f in files]
    titles = [each.findtext(f"{XML}title") or "" for each in items]
    assert all(titles) and not any("—" in title or "&" in title for title in titles)


def test_the_same_pages_make_the_same_bytes(packed: Path, tmp_path: Path, site: Path) -> None:
    scorm.package(site, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["again.zip"]


def test_pages_that_are_not_built_are_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"book/index\.html: not built yet: run `make book`"):
        scorm.package(tmp_path, tmp_path / "none.zip")
