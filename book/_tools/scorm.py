"""The built pages as a SCORM 1.2 package, which learning platforms such as Moodle import.

`make scorm` writes `_build/explainrec-lab-scorm.zip` from `_build/html`, or from an edition's pages
(`scorm.py student`). The course's structure is `_toc.yml`; the schemas that its manifest keeps to
lie in the package. A page reports nothing back, so there are no grades. Same pages, same bytes.
"""

import sys
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import yaml
from jinja2 import Template

from build import ROOT
from parts import claim

BESIDE = Path(__file__).with_name("scorm")
FINAL = ROOT / "_build" / "explainrec-lab-scorm.zip"


def package(site: Path, final: Path) -> None:
    """Pack the pages in a folder, whole or not at all.

    Raises:
        SystemExit: they are not built, or the table of contents names one that is not.
    """
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    parts = [{"caption": "Welcome", "chapters": [{"file": toc["root"]}]}, *toc["parts"]]
    pages = [f"{each['file']}.html" for part in parts for each in part["chapters"]]
    for page in pages:
        claim((site / page).is_file(), f"{site.name}/{page}", "not built yet: run `make book`")
    held = {path.relative_to(site).as_posix(): path for path in site.rglob("*") if path.is_file()}
    shared = sorted(held.keys() - set(pages))
    texts = {page: held[page].read_text(encoding="utf-8") for page in pages}
    heads = {page: text.split("<title>")[1].split("</title>")[0] for page, text in texts.items()}
    made = Template((BESIDE / "imsmanifest.xml.jinja").read_text(encoding="utf-8"), autoescape=True)
    manifest = made.render(parts=parts, heads=heads, shared=shared)
    schemas = [(path.name, path) for path in BESIDE.glob("*.xsd")]
    part = final.with_suffix(".part")
    with ZipFile(part, "w", ZIP_DEFLATED) as packed:
        packed.writestr(ZipInfo("imsmanifest.xml"), manifest)
        for name, path in sorted([*held.items(), *schemas]):
            packed.writestr(ZipInfo(name), path.read_bytes(), ZIP_DEFLATED)
    part.replace(final)


if __name__ == "__main__":
    package(ROOT.joinpath("_build", *sys.argv[1:], "html"), FINAL)
    print(f"{FINAL.relative_to(ROOT)} is ready.")
