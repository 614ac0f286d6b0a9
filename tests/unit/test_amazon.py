"""Amazon's files of 2014: lines that look like other lines, cut files, and what is left out."""

from __future__ import annotations

import ast
import gzip
import json
import random
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from machine import NIGHTLY, ROOT
from PIL import Image

from explainrec_lab import data, relation
from explainrec_lab.data import DataNotFound, amazon
from explainrec_lab.relation.data import Batches

# Text that a reader which looks for keys, quotes or brackets takes for something else.
TRAPS = [
    "'related': {'also_bought': ['B000000000']}",
    "\"related\": {'also_viewed': ['B000000000']}, 'asin': 'B999999999'",
    "it's", '"quoted"', "\\", "\\'", "\\\\", "'}", "{'", "], [", "', '", "\n", "\r", "\t", "\0",
    "'''", '"""', "# no", "\x85\xa0\u2028", "é", "日本", "😀", "\\x41", "\\N{BULLET}", "None", "{}",
]  # fmt: skip
TEXT = some.lists(some.sampled_from(TRAPS) | some.text(max_size=6), max_size=5).map("".join)
ASIN = some.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=10, max_size=10)
ANYTHING = some.recursive(
    TEXT | some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(TEXT, inner, max_size=3)
        | some.tuples(inner)
    ),
    max_leaves=8,
)
RECORD = some.fixed_dictionaries(
    {},
    optional={
        "asin": ASIN,
        "title": TEXT,
        "price": some.floats(),
        "imUrl": TEXT,
        "related": some.dictionaries(
            some.sampled_from(data.RELATION_KINDS), some.lists(ASIN | TEXT, max_size=3)
        ),
        "salesRank": some.dictionaries(TEXT, some.integers(), max_size=2),
        "brand": TEXT,
        "categories": some.lists(some.lists(TEXT, max_size=3), max_size=2),
        "description": TEXT,
        "unheard of": ANYTHING,
        "rank": ANYTHING,
    },
)


def wanted(record: dict[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in amazon.TABLE["fields"] if name in record}


@settings(deadline=None)
@given(RECORD, some.randoms(use_true_random=False))
def test_every_field_is_what_python_reads(record: dict[str, Any], chance: random.Random) -> None:
    """Except `nan` and `inf`, which Python writes but does not read as literals."""
    keys = list(record)
    chance.shuffle(keys)
    line = repr({key: record[key] for key in keys})
    try:
        expected = wanted(ast.literal_eval(line))
    except ValueError:
        return
    assert amazon._fields(line + "\n") == expected


LINE = repr(
    {
        "asin": "B000000001",
        "title": "It's",
        "imUrl": "http://a/b.jpg",
        "related": {"also_bought": ["B000000002"], "bought_together": []},
        "description": "'asin': 'B000000003' \\ \"x\"",
        "categories": [["Music", "Pop"]],
        "salesRank": {"Music": 7},
    }
)


@pytest.mark.filterwarnings("ignore:invalid")  # escapes and numbers, as Python reads them
@settings(deadline=None, max_examples=2000 if NIGHTLY else 300)
@given(
    some.lists(
        some.tuples(
            some.integers(0, len(LINE)),
            some.integers(0, 3),
            some.sampled_from([*"'\"\\{}[]():, #bru\n1", "''", "None", "'x'", "u'y'"]),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_a_mutated_line_is_read_as_python_reads_it_or_not_at_all(
    changes: list[tuple[int, int, str]],
) -> None:
    line = LINE
    for at, cut, put in changes:
        line = line[:at] + put + line[at + cut :]
    try:
        whole = ast.literal_eval(line)
    except (ValueError, SyntaxError, TypeError):
        return
    if isinstance(whole, dict):
        assert amazon._fields(line) == wanted(whole)


# --------------------------------------------------------------------------- files


def packed(file: Path, rows: Iterable[str | bytes]) -> Path:
    """A file of lines as Amazon's."""
    file.parent.mkdir(exist_ok=True)
    with gzip.open(file, "wb", compresslevel=1) as to:
        for row in rows:
            to.write((row.encode() if isinstance(row, str) else row) + b"\n")
    return file


def asin(number: int) -> str:
    return f"B{number:09}"


def product(number: int, **more: Any) -> str:
    return repr({"asin": asin(number), "title": f"No. {number}", **more})


def related(**kinds: list[int]) -> dict[str, list[str]]:
    return {kind: [asin(each) for each in them] for kind, them in kinds.items()}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXPLAINREC_DATA", str(tmp_path))
    return tmp_path / "amazon-2014"


def test_relations_have_both_ends_inside_and_their_kind(home: Path) -> None:
    rows = [
        product(0, related=related(also_bought=[1, 2, 99], also_viewed=[2])),
        product(1, related=related(bought_together=[0, 1, 0], buy_after_viewing=[])),
        product(2, categories=[["Shop", "Shoes", "Boots"], ["Other"]], imUrl="http://a/no-img.gif"),
    ]
    packed(home / "meta_Books.json.gz", rows)
    found = data.load("amazon", category="Books")
    pairs, kinds = found.relations, data.RELATION_KINDS
    assert pairs is not None and (pairs.n_groups, pairs.n_items) == (1, 3)
    told = zip(pairs.source.tolist(), pairs.target.tolist(), pairs.kind.tolist(), strict=True)
    assert {(s, t, kinds[k]) for s, t, k in told} == {
        (0, 1, "also_bought"), (0, 2, "also_bought"), (0, 2, "also_viewed"),
        (1, 0, "bought_together"),
    }  # fmt: skip
    assert len(pairs) == 4  # once each, none to itself
    items = found.catalogue.items
    assert items.category.tolist() == ["-", "-", "Shoes"]
    assert items.path[2] == "Shop / Shoes / Boots"
    assert "3 products in 3 lines, 1 without photo" in found.notes[0]
    assert "reviews (no file of them): 0" in found.notes[1]
    assert len(found.interactions) == 0


def test_reviews_of_known_products_are_interactions_and_others_are_counted(home: Path) -> None:
    packed(home / "meta_Books.json.gz", [product(0), product(1)])
    usual = {"reviewerID": "u", "asin": asin(0), "overall": 4.0, "unixReviewTime": 7}
    rows = [usual, usual | {"asin": asin(1), "reviewText": "it's\n"}, usual | {"asin": asin(5)}]
    wrong = ['{"asin": 1}', *(json.dumps(usual | {"reviewerID": no}) for no in ("", "\ud800", 3))]
    packed(home / "reviews_Books_5.json.gz", [*map(json.dumps, 2 * rows), *wrong])
    found = data.load("amazon", category="Books")
    events = found.interactions
    assert (events.item.tolist(), events.value.tolist(), events.time.tolist()) == (
        [0, 1, 0, 1], [4] * 4, [7] * 4,
    )  # fmt: skip
    notes = " ".join(found.notes)
    assert "4 of 10 lines cannot be read, first 7 (KeyError), 8 (ValueError), 9" in notes
    assert "reviews (reviews_Books_5.json.gz): 6, of which 2 of no product here" in notes


def test_lines_that_cannot_be_read_are_counted_and_named(home: Path) -> None:
    rows: list[str | bytes] = [product(n) for n in range(9)]
    rows[2], rows[4] = rows[2][:-5], b"\xff\xfe"
    rows += ["[" * 5000, repr({"title": "no asin"}), repr({"asin": "../../etc/x"})]
    packed(home / "meta_Books.json.gz", [*rows, product(0, title="again")])
    found = data.load("amazon", category="Books")
    assert found.catalogue.items.original_id.tolist() == [asin(n) for n in (0, 1, 3, 5, 6, 7, 8)]
    assert found.catalogue.items.title[0] == "No. 0"
    told = (
        "left out 5 of 13 lines cannot be read, first 3 (SyntaxError), 5 (UnicodeDecodeError), 10"
    )
    assert told in found.notes[0]
    assert "7 products in 8 lines" in found.notes[1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": 7},
        {"title": "\ud800"},
        {"imUrl": None},
        {"categories": [[1, 2]]},
        {"related": None},
        {"related": {"also_bought": asin(0)}},
        {"related": {"also_bought": [5]}},
        {"related": {"also_bought": [[asin(0)]]}},
        {"related": {"also_bought": [asin(0)[1:]]}},
        {"related": {"also_bought": [f"{asin(0)} {asin(0)}"]}},
    ],
    ids=str,
)
def test_a_line_with_something_else_in_a_field_is_left_out_and_counted(
    home: Path, wrong: dict[str, Any]
) -> None:
    packed(home / "meta_Books.json.gz", [product(0), product(1), product(2, **wrong)])
    found = data.load("amazon", category="Books")
    assert len(found.catalogue) == 2 and "left out 1 of 3 lines" in found.notes[0]


def test_a_second_line_of_a_product_adds_its_relations_alone(home: Path) -> None:
    more = product(0, related=related(also_viewed=[1], also_bought=[1]))
    rows = [product(0, related=related(also_viewed=[1, 2])), product(1), product(2), more]
    packed(home / "meta_Books.json.gz", rows)
    pairs = data.load("amazon", category="Books").relations
    assert pairs is not None
    assert sorted(zip(pairs.kind.tolist(), pairs.target.tolist(), strict=True)) == sorted(
        (data.RELATION_KINDS.index(kind), target)
        for kind, target in [("also_viewed", 1), ("also_viewed", 2), ("also_bought", 1)]
    )


def test_nothing_in_a_line_is_run(home: Path, tmp_path: Path) -> None:
    planted = f"{{'asin': open({str(tmp_path / 'ran')!r}, 'w').name}}"
    packed(home / "meta_Books.json.gz", [product(0), product(1), planted])
    assert (
        "1 of 3 lines cannot be read, first 3 (ValueError)"
        in data.load("amazon", category="Books").notes[0]
    )
    assert not (tmp_path / "ran").exists()


def damaged(file: Path, change: Any) -> Path:
    file.write_bytes(change(file.read_bytes()))
    return file


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda whole: whole[: len(whole) // 2], "it breaks off after line"),
        (lambda whole: whole[:-4] + b"\0\0\0\0", r"it breaks off after line 500"),
        (lambda whole: whole[:40] + bytes(90) + whole[130:], "it breaks off after line"),
        (lambda whole: b"<html>Not found</html>", "it breaks off after line 0"),
        (lambda whole: gzip.compress(b""), "0 of 0 lines cannot be read"),
        (lambda whole: gzip.compress(b"{'a': 1}\n" * 9), "9 of 9 lines cannot be read, first 1"),
    ],
    ids=["cut", "wrong sum", "bits turned", "a page", "empty", "something else"],
)
def test_a_damaged_file_is_named_with_the_way_out(home: Path, change: Any, told: str) -> None:
    rng = np.random.default_rng(0)
    rows = [product(n, description=rng.bytes(50).hex()) for n in range(500)]
    file = damaged(packed(home / "meta_Books.json.gz", rows), change)
    with pytest.raises(ValueError, match=f"delete it and fetch it again; {told}") as error:
        data.load("amazon", category="Books")
    assert str(file) in str(error.value)


def test_what_is_not_here_is_told_with_its_steps(home: Path) -> None:
    with pytest.raises(DataNotFound, match=r"download meta_Books\.json\.gz .* EXPLAINREC_DATA"):
        data.load("amazon", category="Books")
    with pytest.raises(DataNotFound, match=r"download meta_\*\.json\.gz"):
        data.load("amazon")
    for wrong in ("Films", "../secret", ""):
        with pytest.raises(ValueError, match=r"category: .*; choose from Books, Cell_Phones"):
            data.load("amazon", category=wrong)
    assert not data.available().loc["amazon", "on this machine"]
    packed(home / "meta_Beauty.json.gz", [product(0)])  # not one of the paper's
    assert len(data.load("amazon", category="Beauty").catalogue) == 1
    assert data.available().loc["amazon", "on this machine"]


def test_only_products_with_a_photo_stay_if_photos_are_asked_for(home: Path) -> None:
    rows = [product(n, related=related(also_bought=[0, 1, 2, 3])) for n in range(4)]
    packed(home / "meta_Books.json.gz", rows)
    with pytest.raises(DataNotFound, match=r"photos: none of a product in .* as <asin>\.jpg"):
        data.load("amazon", category="Books", photos=True)
    (home / "images").mkdir()
    for number in (1, 3):
        Image.new("RGB", (30, 40), (number, 0, 0)).save(home / "images" / f"{asin(number)}.jpg")
    assert len(data.load("amazon", category="Books", photos=False).catalogue) == 4
    found = data.load("amazon", size=32)
    assert found.catalogue.items.original_id.tolist() == [asin(1), asin(3)]
    assert found.relations is not None and found.catalogue.images is not None
    pairs = zip(found.relations.source.tolist(), found.relations.target.tolist(), strict=True)
    assert [*pairs] == [(0, 1), (1, 0)]
    assert found.catalogue.images[[0, 1]].shape == (2, 3, 32, 32)
    assert any("images: left out 2 of 4 products, without a photo" in note for note in found.notes)


# --------------------------------------------------------------------------- image features


def features(file: Path, numbers: list[int]) -> Path:
    file.parent.mkdir(exist_ok=True)
    table = np.zeros(len(numbers), amazon.RECORD)
    table["asin"], table["x"] = [asin(n) for n in numbers], np.array(numbers)[:, None]
    table.tofile(file)
    return file


def test_a_product_s_features_are_found_by_its_asin(home: Path) -> None:
    file = features(home / "image_features_Books.b", [5, 1, 3])
    assert file.stat().st_size == 3 * 16_394
    x = amazon.ImageFeatures(file, [asin(n) for n in (1, 2, 3)])
    assert x.rows.tolist() == [1, -1, 2] and len(x) == 3
    assert x[[0, 2]].shape == (2, 4096) and x[[2, 0, 2]][:, 7].tolist() == [3, 1, 3]
    assert x[0].dtype == np.float32
    with pytest.raises(ValueError, match="items: 1 have no features; see `rows`"):
        x[:]


def test_the_relation_model_s_batches_take_features_for_pictures(home: Path) -> None:
    file = features(home / "image_features_Books.b", [2, 0, 1, 3])
    numbers = np.arange(4)
    ring = data.Relations(numbers * 0, numbers, (numbers + 1) % 4, numbers * 0, 4, 1)
    part = relation.split(ring, fractions=(1.0, 0.0, 0.0)).train
    batches = [*Batches(part, amazon.ImageFeatures(file, [asin(n) for n in range(4)]), size=2)(0)]
    assert sum(len(batch.cell) for batch in batches) >= len(ring)
    for batch in batches:
        assert batch.pictures[:, 9].tolist() == batch.items.tolist()


def test_a_damaged_file_of_features_is_refused(home: Path) -> None:
    file = features(home / "image_features_Books.b", [5, 1, 3])
    damaged(file, lambda whole: whole[:-100])
    with pytest.raises(ValueError, match="49,082 bytes are no whole records of 16,394; fetch it"):
        amazon.ImageFeatures(file, [asin(1)])
    with pytest.raises(DataNotFound, match=r"download image_features_Toys\.b"):
        amazon.ImageFeatures(home / "image_features_Toys.b", [asin(1)])


# --------------------------------------------------------------------------- size and speed


SPEED = """
import gzip, resource, sys, time
from explainrec_lab.data import amazon
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start, count = time.process_time(), 0
try:
    for found in amazon._lines(amazon.Path(sys.argv[1]), amazon._fields, []):
        count += 1
except ValueError as error:
    print(error, file=sys.stderr)
seconds = time.process_time() - start
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(count, after - before, seconds)
"""


def read_apart(file: Path) -> tuple[int, float, float, str]:
    """Lines read in a process of its own, megabytes that it grew by, seconds, and an error."""
    done = subprocess.run(
        [sys.executable, "-c", SPEED, str(file)],
        capture_output=True, encoding="utf-8", check=True, cwd=ROOT,
    )  # fmt: skip
    count, kilobytes, seconds = map(float, done.stdout.split())
    return int(count), kilobytes / 1024, seconds, done.stderr


def long_line(number: int) -> str:
    """About 1.6 KB, as Amazon's are on average."""
    some = [number * 7 + n for n in range(90)]
    return product(number, description="It's 'quoted'" * 9, related=related(also_bought=some))


@pytest.mark.skipif(sys.platform != "linux", reason="memory is told in kilobytes on Linux")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    rows = [long_line(n).encode() for n in range(500)]
    file = packed(tmp_path / "meta.json.gz", (row for _ in range(40) for row in rows))
    count, grown, _, error = read_apart(file)
    assert count == 20_000 and grown < 20 and not error


@pytest.mark.skipif(sys.platform != "linux", reason="memory is told in kilobytes on Linux")
def test_a_line_without_end_is_refused_and_not_held(tmp_path: Path) -> None:
    """The zeros are packed a thousand times as small: it is a bomb, too."""
    member = gzip.compress(bytes(10**7), 1)
    file = tmp_path / "meta.json.gz"
    file.write_bytes(gzip.compress(product(0).encode() + b"\n") + member * 30)
    count, grown, _, error = read_apart(file)
    assert count == 1 and grown < 20
    assert "fetch it again; line 2 is over 1,048,576 bytes" in error
