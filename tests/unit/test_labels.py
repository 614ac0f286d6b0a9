"""UT-Zap50K, FashionAI and Fashionpedia in their layouts: what is labelled, and what is not."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import label_files
import numpy as np
import pytest
from label_files import archive, jpeg
from PIL import Image

from explainrec_lab import data
from explainrec_lab.data import DataNotFound, labels

SHOES = [
    "100627-72,Shoes,Oxfords,Under 1in,,Lace up,Men,Leather,Capped Toe;Round Toe",
    "100627-73,Boots,Knee High,5IN  &  over,,Zipper,Women,Suede,pointed toe",
    "7-1,Boots,Prewalker Boots,,,,Girls,,Snoot",
    "7-2,Sandals,Flat,Flat,,Buckle;Slip-On,Women,,Open Toe",
]
CLOTHES = [
    ("neckline_design_labels", "nnnnynnnnm"),
    ("collar_design_labels", "ynnnn"),
    ("pant_length_labels", "nmmnny"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder."""
    monkeypatch.setenv("EXPLAINREC_DATA", str(tmp_path))
    return tmp_path


def said(found: data.Dataset, item: int) -> dict[str, str]:
    """The labels of an item, in words."""
    catalogue = found.catalogue
    assert catalogue.schema and catalogue.labelled is not None and catalogue.attributes is not None
    return {
        name: catalogue.schema.name(name, int(catalogue.attributes[item, column]))
        for column, name in enumerate(catalogue.schema.attributes)
        if catalogue.labelled[item, column]
    }


def test_the_tables_speak_of_the_twelve_attributes() -> None:
    from explainrec_boutique.vocabulary import SCHEMA

    assert set(labels.SCHEMA.attributes) == set(SCHEMA.attributes)


# ------------------------------------------------------------------------- UT-Zap50K


def test_shoes_have_the_labels_of_their_row_and_no_others(folder: Path) -> None:
    label_files.zappos(folder, SHOES)
    found = data.load("ut-zap50k", size=16)
    assert [said(found, n) for n in range(4)] == [
        {"heel_height": "under_1_in", "boots_height": "does not apply", "closure": "lace_up"},
        {"heel_height": "5_in_and_over", "boots_height": "knee_high", "closure": "zipper",
         "toe_style": "pointed"},
        {},
        {"heel_height": "flat", "boots_height": "does not apply", "toe_style": "open"},
    ]  # fmt: skip
    told = repr(found)
    assert "closure: no label for words of 1 photos: 'several classes' (1)" in told
    both = "2 photos: 'several classes' (1), 'snoot' (1)"
    assert f"toe_style: no label for words of {both}" in told
    assert "boots_height: no label for words of 1 photos: 'prewalker boots' (1)" in told
    assert "heel_height:" not in told
    assert found.catalogue.images is not None
    shades = [int(found.catalogue.images[n][:, 8, 8].mean()) for n in range(4)]
    np.testing.assert_allclose(shades, [40, 60, 80, 100], atol=4)  # by number, not by place


def test_photos_are_found_by_number_and_rows_without_one_are_counted(folder: Path) -> None:
    photos = {"a/b/7.1.jpg": jpeg(200), "a/c/100627.73.jpg": jpeg(100), "a/x/1.1.jpg": jpeg()}
    label_files.zappos(folder, SHOES, photos)
    found = data.load("ut-zap50k", size=16)
    assert found.catalogue.items["title"].tolist() == ["100627-73", "7-1"]
    assert "2 of 4 labelled photos are in no archive: left out" in repr(found)
    label_files.zappos(folder, SHOES, {"else.jpg": jpeg()})
    with pytest.raises(ValueError, match=r"ut-zap50k: no archive has any of 4 labelled photos"):
        data.load("ut-zap50k")


def test_another_or_a_damaged_archive_of_shoes_is_named(folder: Path) -> None:
    with pytest.raises(DataNotFound, match=r"ut-zap50k: download .*utzap50k/ .no account"):
        data.load("ut-zap50k")
    label_files.zappos(folder, SHOES)
    home = labels.path("ut-zap50k", "labels")
    archive(home, {"articles.csv": "a,b\n"})
    with pytest.raises(ValueError, match=r"has no meta-data\.csv: another archive"):
        data.load("ut-zap50k")
    archive(home, {"meta-data.csv": "CID,Category\n1-1,Shoes\n"})
    with pytest.raises(ValueError, match="missing column HeelHeight"):
        data.load("ut-zap50k")
    archive(home, {"meta-data.csv": label_files.META + "\n" + "1-1,Shoes,,,,,,,\n" * 400_000})
    with pytest.raises(ValueError, match="inflates to more than"):
        data.load("ut-zap50k")
    home.write_bytes(home.read_bytes()[:-30])
    with pytest.raises(ValueError, match="is not a whole zip archive"):
        data.load("ut-zap50k")


# ------------------------------------------------------------------------- FashionAI


@pytest.mark.parametrize("above", ["", "base/", "fashionAI_attributes_train/inner/"])
def test_letters_are_classes_at_any_depth_of_an_archive(folder: Path, above: str) -> None:
    label_files.fashionai(folder / "fashionai/train.zip", CLOTHES, above)
    found = data.load("fashionai", size=16)
    assert [said(found, n) for n in range(3)] == [
        {"neckline": "v"}, {"collar": "does not apply"}, {"trousers_length": "full"},
    ]  # fmt: skip
    assert found.catalogue.images is not None
    assert [int(each[:, 8, 8].mean()) // 2 for each in found.catalogue.images[:]] == [15, 15, 16]


def test_several_archives_are_one_catalogue(folder: Path) -> None:
    label_files.fashionai(folder / "fashionai/b.zip", CLOTHES[:1])
    label_files.fashionai(folder / "fashionai/a.zip", CLOTHES[1:], photos=[jpeg(150), jpeg(200)])
    found = data.load("fashionai", size=16)
    assert [list(said(found, n)) for n in range(3)] == [
        ["collar"],
        ["trousers_length"],
        ["neckline"],
    ]
    shown = found.catalogue.images
    assert shown is not None and len(shown) == 3
    order = [2, 0, 2, 1]
    np.testing.assert_array_equal(shown[order], np.stack([shown[n] for n in order]))
    assert shown[[]].shape == (0, 3, 16, 16) and shown[1].shape == (3, 16, 16)
    assert shown[np.int64(1)].mean() > shown[0].mean() > shown[2].mean()


def test_a_table_may_lie_in_another_archive_than_its_photos_and_twice_is_once(
    folder: Path,
) -> None:
    home = label_files.fashionai(folder / "fashionai/a.zip", CLOTHES)
    with zipfile.ZipFile(home) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    table = "Annotations/label.csv"
    archive(folder / "fashionai/b.zip", {f"base/{name}": files[name] for name in files})
    archive(home, {table: files[table]})
    found = data.load("fashionai", size=16)
    assert [list(said(found, n)) for n in range(len(found.catalogue))] == [
        ["neckline"], ["collar"], ["trousers_length"],
    ]  # fmt: skip
    items, images = found.catalogue.items, found.catalogue.images
    assert items["original_id"].is_unique and items["title"].nunique() == 3
    assert isinstance(images, data.Photos)
    assert images[:].shape == (3, 3, 16, 16)
    assert not images.unreadable


def test_what_a_mac_puts_beside_a_table_is_no_table(folder: Path) -> None:
    home = label_files.fashionai(folder / "fashionai/a.zip", CLOTHES)
    with zipfile.ZipFile(home, "a") as opened:
        opened.writestr("__MACOSX/Annotations/._label.csv", b"\0\5\x16\7Mac OS X")
    assert len(data.load("fashionai", size=16).catalogue) == 3


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (("neckline_design_labels", "nnnnqnnnnn"), "row 1 has 'nnnnqnnnnn' for 'neckline"),
        (("neckline_design_labels", "nnnn?nnnnn"), "y once and n or m"),
        (("neckline_design_labels", "nyn"), "row 1 has 'nyn'"),
        (("neckline_design_labels", "nynnnynnnn"), "row 1 has 'nynnnynnnn'"),
        (("neckline_design_labels", "?"), "row 1 has '[?]'"),
        (("shoe_size_labels", "ny"), "row 1 has 'ny' for 'shoe_size_labels'"),
    ],
)
def test_other_letters_are_refused_with_file_and_row(
    folder: Path, row: tuple[str, str], told: str
) -> None:
    label_files.fashionai(folder / "fashionai/train1.zip", [CLOTHES[0], row])
    with pytest.raises(ValueError, match=rf"train1.zip, Annotations/label.csv: .*{told}"):
        data.load("fashionai")


def test_photos_that_are_missing_or_lie_outside_are_counted(folder: Path) -> None:
    home = label_files.fashionai(folder / "fashionai/a.zip", CLOTHES)
    (folder / "secret.jpg").write_bytes(jpeg())
    with zipfile.ZipFile(home) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    table = files["Annotations/label.csv"].decode()
    table += "../../secret.jpg,collar_design_labels,nynnn\n/etc/hosts,collar_design_labels,nynnn\n"
    archive(home, files | {"Annotations/label.csv": table.encode()})
    found = data.load("fashionai", size=16)
    assert len(found.catalogue) == 3
    assert "2 of 5 labelled photos are in no archive: left out" in repr(found)


def test_another_or_a_damaged_archive_of_clothes_is_named(folder: Path) -> None:
    with pytest.raises(DataNotFound, match=r"fashionai: download .*needs an account"):
        data.load("fashionai")
    home = archive(folder / "fashionai/a.zip", {"Images/x.jpg": jpeg()})
    with pytest.raises(ValueError, match="no archive has a table in a folder Annotations"):
        data.load("fashionai")
    archive(home, {"Annotations/label.csv": bytes(40 * 2**20)})
    with pytest.raises(ValueError, match="inflates to"):
        data.load("fashionai")
    archive(home, {"Annotations/label.csv": b"\xff\xfe\x00"})
    with pytest.raises(ValueError, match=r"a.zip, Annotations/label.csv: no table of photo"):
        data.load("fashionai")
    label_files.fashionai(home, CLOTHES)
    encrypted = bytearray(home.read_bytes())
    for at in range(len(encrypted) - 4):
        if encrypted[at : at + 4] == b"PK\x01\x02":
            encrypted[at + 8] |= 1
    home.write_bytes(encrypted)
    with pytest.raises(ValueError, match="encrypted"):
        data.load("fashionai")
    label_files.fashionai(home, CLOTHES)
    for name in ("a.tar", "b.tar.gz"):
        tar = label_files.archive(folder / "fashionai/a.tar", {"x": "y"})
        tar = tar.rename(tar.with_name(name))
        with pytest.raises(ValueError, match=rf"{name}: only zip archives are read; pack"):
            data.load("fashionai")
        tar.unlink()
    assert len(data.load("fashionai", size=16).catalogue) == 3


# ------------------------------------------------------------------------- Fashionpedia


def test_boxes_are_masks_of_the_square_that_photos_are_padded_to(folder: Path) -> None:
    wide, high = jpeg(90, size=(64, 32)), jpeg(90, size=(30, 60))
    boxes = [
        {"collar": [(32, 8, 16, 8)], "shirt, blouse": [(0, 0, 64, 32)]},
        {"sleeve": [(0, 0, 3, 60), (27, 0, 3, 60)], "neckline": [(10, 0, 0.1, 0.1)]},
        {"shirt, blouse": [(0, 0, 5, 5)]},
    ]
    label_files.fashionpedia(folder, boxes, [wide, high, wide])
    found = data.load("fashionpedia", size=32)
    catalogue = found.catalogue
    assert len(catalogue) == 2 and catalogue.images is not None
    assert catalogue.images[:].shape == (2, 3, 32, 32)
    rows, columns = np.nonzero(catalogue.mask(0, "collar"))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (12, 15, 16, 23)
    sleeves = catalogue.mask(1, "sleeves_length")
    assert sleeves.any(axis=0).nonzero()[0].tolist() == [8, 9, 22, 23]
    assert catalogue.mask(1, "neckline").sum() == 1  # a tiny box is one pixel
    assert not catalogue.mask(0, "lapel").any()
    assert catalogue.labelled is not None and not catalogue.labelled.any()
    with pytest.raises(ValueError, match="kind: 'counterfactual' is not known of Fashionpedia"):
        catalogue.mask(0, "collar", "counterfactual")


def test_masks_lie_where_the_photos_show_it(folder: Path) -> None:
    """Against what is seen: a dark box on white, in photos of many shapes."""
    shapes = [(61, 200), (200, 61), (97, 103), (31, 17), (200, 1)]
    boxes = [(w // 4, h // 5, max(1, w // 2), max(1, h // 3)) for w, h in shapes]
    photos = []
    for size, (x, y, w, h) in zip(shapes, boxes, strict=True):
        picture = Image.new("L", size, "white")
        picture.paste(0, (x, y, x + w, y + h))
        picture.save(buffer := io.BytesIO(), "PNG")
        photos.append(buffer.getvalue())
    label_files.fashionpedia(folder, [{"collar": [box]} for box in boxes], photos)
    catalogue = data.load("fashionpedia", size=64).catalogue
    assert catalogue.images is not None
    for item, picture in enumerate(catalogue.images[:]):
        for axis in (0, 1):
            ends = [np.flatnonzero(mask.any(axis=axis))[[0, -1]] for mask in
                    (picture[0] < 128, catalogue.mask(item, "collar"))]  # fmt: skip
            np.testing.assert_allclose(*ends, atol=1)


def test_other_labels_than_fashionpedia_s_are_named(folder: Path) -> None:
    with pytest.raises(DataNotFound, match="fashionpedia: download"):
        data.load("fashionpedia")
    label_files.fashionpedia(folder, [{"collar": [(1, 1, 5, 5)]}], [jpeg()])
    told = labels.path("fashionpedia", "labels")
    whole = told.read_bytes()
    harms = {
        b'"image_id": 100': b'"image_id": 9', b'"category_id": 1': b'"category_id": 77',
        b"[1, 1, 5, 5]": b"[1, 1, 5]", b"1, 1, 5,": b"1, NaN, 5,", b'"width": 24': b'"width": "x"',
    }  # fmt: skip
    others = [whole.replace(right, wrong) for right, wrong in harms.items()]
    assert whole not in others
    for other in (b"<html>", b"[]", b'{"images": []}', whole[:-40], b"[" * 10**6, *others):
        told.write_bytes(other)
        with pytest.raises(ValueError, match="is not Fashionpedia's"):
            data.load("fashionpedia")
    label_files.fashionpedia(folder, [{"collar": [(1, 1, 5, 5)]}], [jpeg()])
    archive(labels.path("fashionpedia"), {"else.jpg": jpeg()})
    with pytest.raises(ValueError, match="fashionpedia: no archive has any of 1 labelled photos"):
        data.load("fashionpedia")
