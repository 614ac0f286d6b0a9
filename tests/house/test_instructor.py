"""The instructor's pages say what the course says: sessions, questions, minutes, rubrics."""

from __future__ import annotations

import re
from pathlib import Path

import build
import lessons
import nbformat
import pytest
import slides
import yaml
from machine import ROOT
from parts import parts

from explainrec_lab.exercises import exercises, questions

PACK = ROOT / "book" / "instructor"
SESSIONS = yaml.safe_load((ROOT / slides.WHERE).read_text(encoding="utf-8"))
OUT = build.left_out(ROOT)
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


def rows(name: str, heading: str) -> list[list[str]]:
    """The cells of the table's rows under a heading, without its head and its sum."""
    text = (PACK / name).read_text(encoding="utf-8").partition(f"## {heading}\n")[2]
    table = re.findall(r"^\|(.+)\|$", text.partition("\n## ")[0], re.MULTILINE)[2:]
    return [re.split(r" *\| *", row.strip()) for row in table]


def near(said: str, true: int) -> bool:
    """A page that grows by a sentence need not change the syllabus."""
    return abs(int(said.strip("*")) - true) <= max(3, true / 10)


def asked() -> dict[str, str]:
    """Label -> text of each exercise."""
    found: dict[str, str] = {}
    for name in build.notebooks():
        for part in parts(name, nbformat.read(ROOT / name, as_version=4).cells):
            if part.kind == "exercise":
                found[part.label] = found.get(part.label, "") + part.cell.source
    return found


def test_a_session_takes_90_minutes_and_asks_five_questions_of_its_pages() -> None:
    assert len(SESSIONS) == 9
    for session in SESSIONS:
        assert sum(minutes for minutes, _ in session["plan"]) == 90, session["title"]
        chosen = [(page, number) for page, number in session["quiz"]]
        assert len(set(chosen)) == 5, session["title"]
        for page, number in chosen:
            assert page in session["pages"]
            if not f"book/{page}".startswith(OUT):
                assert 1 <= number <= len(questions()[page]), (page, number)


def test_the_table_for_instructors_and_the_plans_say_what_the_sessions_are() -> None:
    table = (ROOT / "book/start/instructors.md").read_text(encoding="utf-8")
    plans = (PACK / "sessions.md").read_text(encoding="utf-8")
    for number, session in enumerate(SESSIONS, 1):
        row = f"| {number} · {session['title']} | {session['read']} | {session['do']} |"
        assert row in table
        plan = plans.partition(f"## {number} · {session['title']}\n")[2].partition("\n## ")[0]
        assert re.findall(r"^\| (\d+) \| (.+) \|$", plan, re.MULTILINE) == [
            (str(minutes), text) for minutes, text in session["plan"]
        ]
        if not any(f"book/{page}".startswith(OUT) for page in session["pages"]):
            said = re.findall(r"^1\. (.+)$", plan, re.MULTILINE)
            assert said == [questions()[page][n - 1]["asks"] for page, n in session["quiz"]]


def test_the_minutes_of_six_weeks_are_those_of_the_pages() -> None:
    *weeks, (_, _, *totals) = rows("syllabus.md", "Six weeks")
    assert len(weeks) == 6
    for _, pages, *said in weeks:
        found = [lessons.minutes(PACK / page) for page in LINK.findall(pages)]
        assert all(
            near(*each) for each in zip(said, map(sum, zip(*found, strict=True)), strict=True)
        ), pages
    for total, column in zip(totals, (2, 3), strict=True):
        assert int(total.strip("*")) == sum(int(week[column]) for week in weeks)


def test_the_minutes_of_one_day_are_those_of_the_pages() -> None:
    *day, total = rows("syllabus.md", "One day")
    texts = asked()
    for page, reading, label, minutes in day:
        assert near(reading, lessons.minutes(PACK / LINK.findall(page)[0])[0]), page
        assert f"*({minutes} minutes" in texts[label.strip("`")], label
    for column in (1, 3):
        assert int(total[column].strip("*")) == sum(int(row[column]) for row in day)
    assert sum(int(row[1]) + int(row[3]) for row in day) <= 6 * 60


def test_every_exercise_that_a_person_grades_has_a_rubric() -> None:
    text = (PACK / "rubrics.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| `([\w-]+)` \| (\d) \|", text, re.MULTILINE))
    checked = exercises().keys()
    lacking = asked().keys() - checked - table.keys()
    assert not lacking, f"no row in rubrics.md, and no checker: {sorted(lacking)}"
    assert not checked & table.keys(), "a checker grades these: take their rows out"
    assert all(1 <= int(points) <= 3 for points in table.values())


def test_every_link_of_the_pack_leads_to_a_page() -> None:
    for path in PACK.glob("*.md"):
        for link in LINK.findall(path.read_text(encoding="utf-8")):
            assert (PACK / link).resolve().is_file(), f"{path.name}: {link}"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pages": ["reconet/modell"]}, "session 3 names reconet/modell: no such page"),
        ({"pages": ["reference/ledger-saers"]}, "the pages of session 3 show no figure"),
        ({"quiz": [["reconet/model", 99]]}, "reconet/model has no question 99"),
        ({"quiz": [["reconet/modell", 1]]}, "reconet/modell has no question 1"),
    ],
)
def test_a_session_that_cannot_be_shown_says_why(change: dict[str, object], says: str) -> None:
    """On notebooks that are not executed: diagrams are figures, too."""
    session = {"title": "One", "pages": ["reconet/model"], "quiz": []} | change
    with pytest.raises(SystemExit, match=re.escape(says)):
        slides.deck(3, session, ROOT)


def test_a_deck_is_made_of_what_the_page_has(tmp_path: Path) -> None:
    made = slides.deck(2, {"title": "A title", "pages": ["reconet/model"], "quiz": []}, ROOT)
    for said in ("2 · A title", "Take-aways", 'class="fragment"', 'class="lab-diagram"', r"\hat"):
        assert said in made, said
    assert "solution" not in made.lower().replace("resolution", "")


def test_decks_follow_when_a_chapter_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "left_out", lambda _: ("book/saers/",))
    slides.decks("slides", ROOT, tmp_path)
    made = {int(path.stem) for path in tmp_path.glob("*.html")}
    assert made == {1, 2, 3, 4, 7, 8, 9}
    last = (tmp_path / "9.html").read_text(encoding="utf-8")
    assert "relation/recommendation.html" in last and "saers" not in last
    for name in ("revealjs/dist/reveal.js", "revealjs/LICENSE", "mathjax/tex-svg-full.js"):
        assert (tmp_path / name).is_file()
