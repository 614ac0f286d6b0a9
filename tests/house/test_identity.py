"""`course.toml` is the one place for title, authors, address and chapters: the files follow it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import build
import identity
import pytest
import yaml
from machine import ROOT

FILES = (*identity.BLOCKED, identity.TOC, identity.FRONT, build.COURSE, build.CHAPTERS)
OURS = {
    "title": 'title = "Warum \\"das\\"? Ana\'s <Lab>"',
    "authors": 'authors = ["Ana Ríos", "Bo"]',
    "term": 'term = "Autumn 2027"',
    "year": "year = 2027",
    "address": 'address = "https://github.com/ana/course"',
    "pages": 'pages = "https://ana.example/course"',
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files that `course.toml` has a say in, with all chapters."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    every = "".join(f'  "{chapter}",\n' for chapter in identity.ROWS)
    change(tmp_path, (r"^chapters = \[(?s:.*?)\]", f"chapters = [\n{every}]"))
    write(tmp_path)
    return tmp_path


def change(copy: Path, *edits: tuple[str, str]) -> None:
    """Replace patterns in the copy's `course.toml`."""
    text = (copy / "course.toml").read_text(encoding="utf-8")
    for pattern, value in edits:
        text, found = re.subn(pattern, lambda _: value, text, flags=re.M)  # noqa: B023
        assert found == 1, pattern
    (copy / "course.toml").write_text(text, encoding="utf-8")


def write(copy: Path) -> dict[str, str]:
    """What `make course` writes there."""
    made = identity.written(copy)
    for name, text in made.items():
        (copy / name).write_text(text, encoding="utf-8")
    return made


def test_the_files_say_what_course_toml_says() -> None:
    for name, text in identity.written(ROOT).items():
        same = (ROOT / name).read_text(encoding="utf-8") == text
        assert same, f"{name} says something else than course.toml: run `make course`"


def test_title_authors_term_and_addresses_stand_where_they_should(copy: Path) -> None:
    change(copy, *((rf"^{key} = .*$", line) for key, line in OURS.items()))
    made = write(copy)
    title = 'Warum "das"? Ana\'s <Lab>'
    config, citation = (yaml.safe_load(made[name]) for name in ("_config.yml", "CITATION.cff"))
    assert (config["title"], config["author"]) == (title, "Ana Ríos, Bo")
    assert config["copyright"] == "2027 · Autumn 2027"
    assert (
        config["repository"]["url"]
        == citation["repository-code"]
        == "https://github.com/ana/course"
    )
    assert config["html"]["baseurl"] == citation["url"] == "https://ana.example/course"
    assert citation["title"] == title
    assert citation["authors"] == [{"name": "Ana Ríos"}, {"name": "Bo"}]
    assert str(citation["date-released"]).startswith("2027-")
    assert f"# {title}\n" in made["README.md"]
    assert "(https://ana.example/course)" in made["README.md"]
    assert "](https://github.com/ana/course/actions)" in made["README.md"]
    assert '# Warum \\"das\\"? Ana\'s <Lab>' in made[identity.FRONT]


def test_what_is_written_by_hand_stays_and_the_way_back_is_exact(copy: Path) -> None:
    before = {name: (copy / name).read_text(encoding="utf-8") for name in FILES}
    edits = [(rf"^{key} = .*$", line) for key, line in OURS.items()]
    change(copy, *edits, (r'^  "saers",\n', ""), (r'^  "own-data",\n', ""))
    made = write(copy)
    assert "myst_enable_extensions" in made["_config.yml"]
    assert all(line in made["_toc.yml"] for line in before["_toc.yml"].splitlines())
    (copy / "course.toml").write_text(before["course.toml"], encoding="utf-8")
    again = write(copy)
    assert again == {name: before[name] for name in again}


@pytest.mark.parametrize("chapter", identity.ROWS)
def test_without_its_line_a_chapter_has_no_page_and_no_row(copy: Path, chapter: str) -> None:
    change(copy, (rf'^  "{chapter}",\n', ""))
    made = write(copy)
    starts = tuple(identity.ROWS[chapter]["pages"])
    toc = yaml.safe_load(made["_toc.yml"])
    assert all(part["chapters"] for part in toc["parts"])
    listed = {page["file"] for part in toc["parts"] for page in part["chapters"]}
    assert not [page for page in listed if page.startswith(starts)]
    assert "book/reference/glossary" in listed
    everything = {p for part in whole()["parts"] for p in (c["file"] for c in part["chapters"])}
    assert {page for page in everything if not page.startswith(starts)} == listed
    assert identity.ROWS[chapter]["row"] not in made["README.md"]


def whole() -> dict:
    text = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    return yaml.safe_load(re.sub(r"^#(?=  )", "", text, flags=re.M))


def test_every_page_of_a_chapter_is_known_by_its_name() -> None:
    """A part of the table of contents belongs to one chapter, or to none."""
    for part in whole()["parts"]:
        owners = {owner(page["file"]) for page in part["chapters"]}
        assert len(owners - {""}) == 1 or "" in owners, part["caption"]


def owner(page: str) -> str:
    rows = identity.ROWS.items()
    return next((key for key, row in rows if page.startswith(tuple(row["pages"]))), "")


@pytest.mark.parametrize(
    ("pattern", "value", "says"),
    [
        (r'^  "saers",$', '  "saer",', r"chapters\[\d\]: 'saer' is not one of .*'relation'"),
        (r'^  "saers",$', '  "reconet",', "has non-unique elements.*each at most once, reconet"),
        (r"^year = .*\n", "", "'year' is a required property.*title, description, authors"),
        (r"^year = .*", 'year = "MMXXVI"', "year: 'MMXXVI' is not of type 'integer'"),
        (r"^title = .*", 'title = ""', "title: "),
        (r"^title = ", "titel = 3\ntitle = ", "'titel' was unexpected"),
        (r"^address = .*", 'address = "github.com/<owner>/x"', "address: 'github.com/<owner>/x'"),
        (r"^year = .*", "year = ", r"course.toml: Invalid value \(at line"),
    ],
)
def test_what_it_may_not_say_is_told_in_a_sentence(
    copy: Path, pattern: str, value: str, says: str
) -> None:
    change(copy, (pattern, value))
    with pytest.raises(SystemExit, match=says):
        identity.written(copy)


def test_a_file_without_its_block_is_named(copy: Path) -> None:
    text = (copy / "CITATION.cff").read_text(encoding="utf-8")
    (copy / "CITATION.cff").write_text(text.replace("# end of it\n", ""), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"CITATION.cff: it needs 1 blocks"):
        identity.written(copy)
