"""Photos and tables in zip archives from outside: damaged, missing, swollen, of another layout."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from explainrec_lab import data
from explainrec_lab.data import DataNotFound, archives, hm

ARTICLES = "article_id,product_code,prod_name,product_type_name,product_group_name,"
ARTICLES += "colour_group_name,detail_desc\n"


def jpeg(shade: int = 90) -> bytes:
    """A small photo, higher than wide."""
    buffer = io.BytesIO()
    Image.new("RGB", (12, 16), (shade, shade, shade)).save(buffer, "JPEG")
    return buffer.getvalue()


def zipped(path: Path, files: Mapping[str, bytes | str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, contents in files.items():
            opened.writestr(name, contents)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder."""
    monkeypatch.setenv("EXPLAINREC_DATA", str(tmp_path))
    return tmp_path


def some_purchases(**changed: str | None) -> dict[str, bytes | str]:
    """Ann buys three articles, one of them twice; Bo buys one."""
    articles = [f"010000000{k},1,Top {k},Top,Garment Upper body,Red,Has a v-neck." for k in (1, 2)]
    articles += ["0200000003,2,Sock,Socks,Socks & Tights,Blue,"]
    bought = ["2018-09-20,ann,0100000001", "2018-09-22,ann,0100000001"]
    bought += ["2018-09-21,ann,0100000002", "2018-09-21,ann,0200000003"]
    bought += ["2018-09-21,bo,0100000002"]
    files: dict[str, bytes | str | None] = {
        "articles.csv": ARTICLES + "\n".join(articles),
        "transactions_train.csv": "t_dat,customer_id,article_id\n" + "\n".join(bought),
        "images/010/0100000001.jpg": jpeg(),
    }
    return {name: value for name, value in (files | changed).items() if value is not None}


# --------------------------------------------------------------------------- photos


def test_photos_of_an_archive_are_the_photos_in_files(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(40))
    archive = zipped(tmp_path / "shop.zip", {"images/a.jpg": jpeg(40)})
    in_archive = data.Photos(["images/a.jpg"], 20, archive=archive)
    np.testing.assert_array_equal(in_archive[:], data.Photos([tmp_path / "a.jpg"], 20)[:])
    again = pickle.loads(pickle.dumps(in_archive))
    np.testing.assert_array_equal(again[0], in_archive[0])


def bomb() -> bytes:
    """A picture that says it has ten thousand million pixels."""
    whole = bytearray(jpeg())
    start = whole.index(b"\xff\xc0") + 5  # height and width stand here
    whole[start : start + 4] = b"\xff\xff\xff\xff"
    return bytes(whole)


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (jpeg()[:-200], "Truncated File Read|truncated"),
        (b"", "cannot identify"),
        (b"<html>", "cannot identify"),
        (bomb(), "decompression bomb"),
        (None, "not in the archive"),
    ],
    ids=["cut", "empty", "no picture", "bomb", "missing"],
)
def test_a_bad_photo_is_blank_and_told_and_its_neighbours_are_read(
    tmp_path: Path, stored: bytes | None, why: str
) -> None:
    files = {"good.jpg": jpeg()} | ({} if stored is None else {"bad.jpg": stored})
    archive = zipped(tmp_path / "shop.zip", files)
    photos = data.Photos(["bad.jpg", "good.jpg"], 16, archive=archive)
    with pytest.warns(UserWarning, match=r"1 of 2 pictures cannot be read \(row 0, bad.jpg: "):
        pictures = photos[:]
    assert (pictures[0] == 255).all() and (pictures[1] != 255).any()
    assert list(photos.unreadable) == [0]
    assert photos.unreadable[0].startswith("bad.jpg: ")
    assert re.search(why, photos.unreadable[0])


def test_a_member_that_would_swell_is_not_inflated(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "shop.zip", {"huge.jpg": bytes(40 * archives.MEGABYTE)})
    photos = data.Photos(["huge.jpg"], 16, archive=archive, tolerated=1)
    assert (photos[0] == 255).all()
    assert "inflates to 41943040 bytes" in photos.unreadable[0]


def test_a_member_whose_bytes_were_turned_is_told(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "shop.zip", {"a.jpg": jpeg()})
    whole = bytearray(archive.read_bytes())
    whole[60:90] = bytes(255 - byte for byte in whole[60:90])
    archive.write_bytes(whole)
    photos = data.Photos(["a.jpg"], 16, archive=archive, tolerated=1)
    assert (photos[0] == 255).all() and "damaged" in photos.unreadable[0]


def test_an_archive_is_opened_once_a_process_and_again_when_it_was_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = zipped(tmp_path / "shop.zip", {"a.jpg": jpeg(40), "b.jpg": jpeg(90)})
    photos, times = data.Photos(["a.jpg", "b.jpg"], 16, archive=archive), list[Path]()

    def counting(path: Path, steps: str) -> Any:
        times.append(path)
        return archives.opened(path, steps)

    monkeypatch.setattr("explainrec_lab.data.photos.opened", counting)
    first = photos[0]
    photos[:]
    assert len(times) == 1
    again = pickle.loads(pickle.dumps(photos))  # without the handle, which no pickle holds
    np.testing.assert_array_equal(again[0], first)
    assert len(times) == 2
    photos._opened[1][archive].close()
    np.testing.assert_array_equal(photos[0], first)
    assert len(times) == 3 and not photos.unreadable


def test_photos_may_lie_in_several_archives(tmp_path: Path) -> None:
    shades = [20, 90, 160, 230]
    homes = [tmp_path / f"{n % 2}.zip" for n in range(4)]
    for home in homes[:2]:
        own = [n for n in range(4) if homes[n] == home]
        zipped(home, {f"{n}.jpg": jpeg(shades[n]) for n in own})
    photos = data.Photos([f"{n}.jpg" for n in range(4)], 16, archive=homes)
    for asked in (slice(None), [3, 0, 3, 2], [1]):
        found = photos[asked][:, 0, 8, 8].astype(int)
        np.testing.assert_allclose(found, np.array(shades)[asked], atol=4)
    assert photos[[]].shape == (0, 3, 16, 16) and photos[2].shape == (3, 16, 16)
    assert not photos.unreadable and set(photos._opened[1]) == set(homes)
    homes[1].unlink()
    with pytest.raises(DataNotFound, match=r"1\.zip is not in the folder"):
        pickle.loads(pickle.dumps(photos))[[0, 1]]
    with pytest.raises(ValueError, match="archive: 3 archives for 2 items; give one, or one an"):
        data.Photos(["a.jpg", "b.jpg"], archive=homes[:3])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_processes_read_one_archive_at_the_same_time(tmp_path: Path) -> None:
    shades = [20 * n for n in range(1, 12)]
    files = {f"{n}.jpg": jpeg(shade) for n, shade in enumerate(shades)}
    photos = data.Photos(list(files), 16, archive=zipped(tmp_path / "shop.zip", files))
    right = photos[:]  # opened before the fork
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map(photos.__getitem__, [list(range(11))] * 8)
    for each in found:
        np.testing.assert_array_equal(each, right)
    np.testing.assert_array_equal(photos[:], right)


def test_an_archive_that_is_gone_or_cut_stops_the_run(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "shop.zip", {"a.jpg": jpeg()})
    photos = data.Photos(["a.jpg"], 16, archive=archive)
    archive.write_bytes(archive.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"shop\.zip is not a whole zip archive"):
        photos[0]
    archive.unlink()
    with pytest.raises(DataNotFound, match=r"shop\.zip is not in the folder"):
        photos[0]


# --------------------------------------------------------------------------- purchases


def load_purchases(folder: Path, files: Mapping[str, bytes | str], **size: int) -> data.Dataset:
    zipped(hm.path(), files)
    return data.load("hm", **({"size": 16, "min_purchases": 1} | size))


def test_purchases_are_distinct_pairs_with_the_first_day_and_how_often(folder: Path) -> None:
    found = load_purchases(folder, some_purchases())
    events = found.interactions
    assert (events.n_users, events.n_items, len(events)) == (2, 3, 4)
    assert events.users.original_id.tolist() == ["ann", "bo"]
    assert events.value.tolist() == [2, 1, 1, 1]
    assert events.time[0] == np.datetime64("2018-09-20").astype(int)
    items = found.catalogue.items
    assert items.original_id.tolist()[0] == "0100000001"  # the zero in front stays
    assert items.category.tolist() == ["Top", "Top", "Socks"]
    assert events.item_features.of(2) == ["group: Socks & Tights", "colour: Blue"]


def test_an_article_without_a_photo_is_blank_and_told(folder: Path) -> None:
    photos = load_purchases(folder, some_purchases()).catalogue.images
    assert isinstance(photos, data.Photos)
    with pytest.raises(ValueError, match=r"2 of 3 .*row 1, images/010/0100000002.jpg: not in the"):
        photos[:]
    photos.tolerated = 0.7
    assert (photos[:][1:] == 255).all()
    assert photos.unreadable == {
        1: "images/010/0100000002.jpg: not in the archive",
        2: "images/020/0200000003.jpg: not in the archive",
    }


def test_a_customer_with_one_purchase_is_left_out_or_only_learned_from(folder: Path) -> None:
    few = load_purchases(folder, some_purchases(), min_purchases=3).interactions
    assert few.users.original_id.tolist() == ["ann"]
    parts = data.leave_one_out(load_purchases(folder, some_purchases()).interactions)
    assert parts.train.history(1).tolist() == [1]
    assert set(parts.test.user) == {0}


def test_a_bar_that_no_customer_reaches_is_named(folder: Path) -> None:
    with pytest.raises(ValueError, match="min_purchases: 4 leaves no user; the most is 3"):
        load_purchases(folder, some_purchases(), min_purchases=4)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"articles.csv": None}, r"articles\.csv cannot be read .*not in the archive"),
        ({"articles.csv": "article_id,prod_name\n1,a"}, "missing column product_type_name"),
        ({"transactions_train.csv": "t_dat,article_id\n"}, "missing column customer_id"),
        (
            {"transactions_train.csv": "t_dat,customer_id,article_id\nmonday,ann,0100000001"},
            r"t_dat: 'monday' is no date such as 2020-09-22",
        ),
        (
            {"transactions_train.csv": "t_dat,customer_id,article_id\nNaT,ann,0100000001"},
            r"t_dat: 'NaT' is no date",
        ),
        ({"articles.csv": ARTICLES + ",1,Top,Top,Upper,Red,-"}, r"row 0 has no item"),
        (
            {"transactions_train.csv": "t_dat,customer_id,article_id\n2020-01-01,ann,7"},
            "events: item '0000000007' is not in the table of items",
        ),
        ({"transactions_train.csv": "t_dat,customer_id,article_id\n"}, "leaves no user"),
        (
            {"transactions_train.csv": "t_dat,customer_id,article_id\n2020-01-01,,0100000001"},
            "row 0 has no user",
        ),
        (
            {"transactions_train.csv": "t_dat,customer_id,article_id\n,ann,0100000001"},
            "row 0 has no day",
        ),
    ],
    ids=[
        *(
            "no articles",
            "article column",
            "customer column",
            "date",
            "no time",
            "no number",
            "unknown article",
        ),
        *("nothing", "no customer", "no day"),
    ],
)
def test_bad_tables_of_a_shop_are_named(
    folder: Path, changed: dict[str, str | None], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        load_purchases(folder, some_purchases(**changed))


# --------------------------------------------------------------------------- not here


@pytest.mark.parametrize("name", ["hm"])
def test_a_missing_archive_is_answered_with_the_steps(folder: Path, name: str) -> None:
    with pytest.raises(DataNotFound, match=rf"{name}: download the archive from https://www\.k"):
        data.load(name)
    assert not data.available().loc[name, "on this machine"]


@pytest.mark.parametrize("name", ["hm"])
def test_something_else_under_the_archive_s_name_is_told(folder: Path, name: str) -> None:
    hm.path().parent.mkdir()
    hm.path().write_bytes(b"<html>Please log in</html>")
    with pytest.raises(ValueError, match="is not a whole zip archive: delete it and load again"):
        data.load(name)


# --------------------------------------------------------------------------- more than is wanted


def test_a_table_of_very_many_columns_is_refused_before_it_is_read(folder: Path) -> None:
    more = ",".join(f"c{n}" for n in range(100_000))
    table = f"t_dat,customer_id,article_id,{more}\n2020-01-01,ann,0100000001\n"
    with pytest.raises(ValueError, match=r"transactions_train\.csv .*its first line does not end"):
        load_purchases(folder, some_purchases(**{"transactions_train.csv": table}))


def test_a_small_archive_of_a_huge_table_is_refused_before_it_is_read(folder: Path) -> None:
    table = "t_dat,customer_id,article_id\n" + "2020-01-01,ann,0100000001\n" * 500_000
    with pytest.raises(ValueError, match=r"transactions_train\.csv .*inflates to more than"):
        load_purchases(folder, some_purchases(**{"transactions_train.csv": table}))


def test_a_row_of_very_many_cells_keeps_those_that_are_asked_for(folder: Path) -> None:
    wide = ",".join(str(n) for n in range(100_000))
    rows = f"t_dat,customer_id,article_id\n2020-01-01,ann,0100000001,{wide}\n"
    found = load_purchases(folder, some_purchases(**{"transactions_train.csv": rows}))
    assert found.interactions.users.original_id.tolist() == ["ann"]


@pytest.mark.parametrize("spoilt", ["100000001", "100000001.0", "0100000001"])
def test_numbers_get_their_zeros_back_in_both_tables(folder: Path, spoilt: str) -> None:
    files = some_purchases()
    for name in ("articles.csv", "transactions_train.csv"):
        files[name] = str(files[name]).replace("0100000001", spoilt)
    found = load_purchases(folder, files)
    assert found.catalogue.items.original_id[0] == "0100000001"
    assert found.catalogue.images is not None and (found.catalogue.images[0] != 255).any()
    assert found.interactions.history(0).tolist() == [0, 1, 2]


def test_an_archive_that_windows_wrote_is_read(folder: Path) -> None:
    files = {name.replace("/", "\\").upper(): value for name, value in some_purchases().items()}
    found = load_purchases(folder, files)
    assert len(found.interactions) == 4
    assert found.catalogue.images is not None and (found.catalogue.images[0] != 255).any()
