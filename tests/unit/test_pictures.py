"""Pictures as the world has them: modes, turns, spellings; and a data set of one's own folder."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from explainrec_lab import data
from explainrec_lab.data import photos as room
from explainrec_lab.data.photos import _decoded


def stored(picture: Image.Image, kind: str = "PNG", **how: Any) -> io.BytesIO:
    file = io.BytesIO()
    picture.save(file, kind, **how)
    file.seek(0)
    return file


def framed(*values: int) -> np.ndarray:
    """32 x 32: the values in the middle, zeros around."""
    pixels = np.zeros((32, 32, len(values)), np.uint8)
    pixels[8:24, 8:24] = values
    return pixels


def mean(picture: np.ndarray) -> list[int]:
    """Of each channel, in the middle."""
    return picture[:, 12:20, 12:20].mean(axis=(1, 2)).round().astype(int).tolist()


# ----------------------------------------------------------------------- what is transparent


def palette_with_hole() -> Image.Image:
    """Index 0 is black and transparent, index 1 red."""
    picture = Image.fromarray(framed(1)[..., 0], "P")
    picture.putpalette([0, 0, 0, 200, 0, 0])
    picture.info["transparency"] = 0
    return picture


@pytest.mark.parametrize(
    ("picture", "kind", "middle"),
    [
        (Image.fromarray(framed(200, 0, 0, 255)), "PNG", [200, 0, 0]),
        (Image.fromarray(framed(200, 0, 0, 255)), "WEBP", [200, 0, 0]),
        (Image.fromarray(framed(200, 0, 0, 255)), "TIFF", [200, 0, 0]),
        (Image.fromarray(framed(200, 0, 0, 255)), "GIF", [200, 0, 0]),
        (Image.fromarray(framed(120, 255), "LA"), "PNG", [120, 120, 120]),
        (palette_with_hole(), "PNG", [200, 0, 0]),
        (palette_with_hole(), "GIF", [200, 0, 0]),
        (Image.fromarray(framed(0, 0, 0, 128)), "PNG", [127, 127, 127]),  # half of black on white
    ],
)
def test_what_is_transparent_shows_white(picture: Image.Image, kind: str, middle: list) -> None:
    how = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    found = _decoded(stored(picture, kind, **how), 32)
    assert (found[:, :6, :6] == 255).all()
    assert mean(found) == pytest.approx(middle, abs=2)


def test_one_colour_of_a_grey_or_of_three_channels_may_be_transparent() -> None:
    for picture, clear in (
        (Image.fromarray(framed(120)[..., 0]), 0),
        (Image.fromarray(framed(120, 120, 120)), (0, 0, 0)),
        (Image.fromarray(framed(120)[..., 0].astype(np.uint16) * 257), 0),
    ):
        found = _decoded(stored(picture, transparency=clear), 32)
        assert (found[:, :6, :6] == 255).all() and mean(found) == [120] * 3


# ------------------------------------------------------------------------ values of any scale


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_greys_of_sixteen_bits_are_scaled(kind: str) -> None:
    ramp = np.linspace(0, 65535, 1024).reshape(32, 32).astype(np.uint16)
    found = _decoded(stored(Image.fromarray(ramp), kind), 32)
    np.testing.assert_array_equal(found[1], np.round(ramp / 257))


@pytest.mark.parametrize("white", [1, 255, 65535])
def test_floats_are_scaled_by_the_white_that_holds_them(white: int) -> None:
    ramp = np.linspace(0, white, 1024, dtype=np.float32).reshape(32, 32)
    found = _decoded(stored(Image.fromarray(ramp), "TIFF"), 32)
    np.testing.assert_allclose(found[2], ramp * (255 / white), atol=0.51)


@pytest.mark.parametrize("value", [np.nan, -1.0, np.inf, 1e6])
def test_floats_without_a_scale_are_unreadable(tmp_path: Path, value: float) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.full((4, 4), value, np.float32)).save(path)
    photos = data.Photos([path], 8, tolerated=1)
    with pytest.warns(UserWarning, match="greys from .* save it with eight bits"):
        assert (photos[0] == 255).all()


def test_a_tiff_whose_zero_is_white_is_not_inverted() -> None:
    dark = stored(Image.fromarray(np.full((8, 8), 60000, np.uint16)), "TIFF", tiffinfo={262: 0})
    assert _decoded(dark, 8).max() == round(255 - 60000 / 257)


@pytest.mark.parametrize(
    ("mode", "kind", "colour", "seen"),
    [
        ("1", "PNG", 1, [255, 255, 255]),
        ("1", "TIFF", 0, [0, 0, 0]),
        ("L", "JPEG", 90, [90, 90, 90]),
        ("P", "GIF", 0, [0, 0, 0]),
        ("CMYK", "JPEG", (0, 255, 255, 0), [255, 0, 0]),
        ("CMYK", "TIFF", (255, 0, 0, 0), [0, 255, 255]),
        ("YCbCr", "JPEG", (76, 85, 255), [254, 0, 0]),
        ("RGB", "BMP", (1, 2, 3), [1, 2, 3]),
        ("RGB", "AVIF", (200, 0, 0), [200, 0, 0]),
    ],
)
def test_every_mode_becomes_three_channels(mode: str, kind: str, colour: Any, seen: list) -> None:
    found = _decoded(stored(Image.new(mode, (32, 32), colour), kind), 32)
    assert mean(found) == pytest.approx(seen, abs=4)


# ------------------------------------------------------------------------------------ shapes


@pytest.mark.parametrize("shape", [(1, 1), (1, 10_000), (10_000, 1), (3, 2), (513, 511)])
def test_pictures_of_any_shape_lie_in_the_middle_of_a_square(shape: tuple[int, int]) -> None:
    found = _decoded(stored(Image.new("RGB", shape)), 16)
    dark = (found == 0).all(axis=0)
    rows, columns = dark.any(axis=1).sum(), dark.any(axis=0).sum()
    wide, high = (max(1, round(16 * side / max(shape))) for side in shape)
    assert (columns, rows) == (wide, high) and dark.sum() == wide * high
    places = np.flatnonzero(dark.any(axis=1))
    assert abs(places[0] - (15 - places[-1])) <= 1


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_frames_the_first_is_shown(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    file = stored(frames[0], kind, save_all=True, append_images=frames[1:])
    assert _decoded(file, 8)[:, 4, 4].tolist() == pytest.approx([255, 0, 0], abs=3)


def test_a_picture_of_too_many_pixels_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_PIXELS", 1000)
    with pytest.raises(ValueError, match="1024 pixels, more than 1000: make it smaller"):
        _decoded(stored(Image.new("RGB", (32, 32))), 8)
    large = stored(Image.new("RGB", (80, 80), (9, 9, 9)), "JPEG")
    assert _decoded(large, 8).max() == pytest.approx(9, abs=2)  # read at a fraction of its size


def test_a_page_in_postscript_starts_no_other_program() -> None:
    with pytest.raises(OSError, match="cannot identify"):
        _decoded(stored(Image.new("RGB", (8, 8)), "EPS"), 8)


# ------------------------------------------------------------------------------------- EXIF


def entry(tag: int, kind: int, count: int, value: bytes) -> bytes:
    return struct.pack("<HHI", tag, kind, count) + value


def turned(orientation: int, *more: bytes, tail: bytes = b"", cut: int | None = None) -> bytes:
    """EXIF that says how the photo is turned, and more."""
    entries = [entry(0x0112, 3, 1, struct.pack("<HH", orientation, 0)), *more]
    head = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries))
    return (head + b"".join(entries) + struct.pack("<I", 0) + tail)[:cut]


CORNER = np.zeros((8, 8, 3), np.uint8)
CORNER[:4, :4] = 255  # white where the photo's top and left are


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [
        *[(1, "top left"), (2, "top right"), (3, "bottom right"), (4, "bottom left")],
        *[(5, "top left"), (6, "top right"), (7, "bottom right"), (8, "bottom left")],
        *[(0, "top left"), (9, "top left"), (65535, "top left")],
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_photo_stands_upright(orientation: int, corner: str, kind: str) -> None:
    how: dict[str, Any] = {"exif": turned(orientation)}
    if kind == "TIFF":
        how = {"tiffinfo": {0x0112: orientation}}
    found = _decoded(stored(Image.fromarray(CORNER), kind, **how), 8)[0]
    quarters = {"top left": found[:2, :2], "top right": found[:2, 6:]}
    quarters |= {"bottom left": found[6:, :2], "bottom right": found[6:, 6:]}
    assert [name for name, pixels in quarters.items() if pixels.mean() > 128] == [corner]


DAMAGED = {
    "text for a number": turned(6, entry(0x011A, 2, 4, b"72\0\0")),
    "a number for text": turned(6, entry(0x010F, 11, 1, struct.pack("<f", 1.5))),
    "a fraction for a width": turned(
        6, entry(0x0100, 5, 1, struct.pack("<I", 38)), tail=struct.pack("<II", 3, 2)
    ),
    "an offset beyond the end": turned(6, entry(0x8769, 4, 1, struct.pack("<I", 10**9))),
    "a kind that is none": turned(6, entry(0x9999, 99, 7, b"abcd")),
    "cut": turned(6, entry(0x011A, 5, 1, struct.pack("<I", 38)), cut=-8),
}


@pytest.mark.parametrize("exif", DAMAGED.values(), ids=list(DAMAGED))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_photo_with_damaged_exif_comes_and_is_turned(exif: bytes, kind: str) -> None:
    found = _decoded(stored(Image.fromarray(CORNER), kind, exif=exif), 8)[0]
    assert found[:2, 6:].mean() > 200 and found[6:].mean() < 60  # white at the top, on the right


@pytest.mark.parametrize("seed", range(20))
def test_a_photo_comes_whatever_its_exif_holds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    exif = np.frombuffer(turned(6, entry(0x010F, 2, 4, b"abc\0"), tail=bytes(40)), np.uint8).copy()
    places = rng.integers(6, len(exif), 6)
    exif[places] = rng.integers(0, 256, 6)
    for kind in ("JPEG", "PNG", "WEBP"):
        file = stored(Image.new("RGB", (8, 8), (0, 0, 200)), kind, exif=exif.tobytes())
        assert _decoded(file, 8)[:, 4, 4].tolist() == pytest.approx([0, 0, 200], abs=3)


# --------------------------------------------------------------------- paths, counts, words


@pytest.mark.parametrize("asked", ["a/Photo.JPG", "a/Photo.jpg", r"a\Photo.JPG", r"a\Photo.jpg"])
def test_a_path_is_found_with_backslashes_and_with_another_ending(
    tmp_path: Path, asked: str
) -> None:
    (tmp_path / "a").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "a" / "Photo.JPG")
    assert (data.Photos([f"{tmp_path}/{asked}"], 8)[0] == 0).all()


@pytest.mark.parametrize("stored_as", ["Images\\A.JPG", "images/a.jpg", "IMAGES/A.jpg"])
def test_a_member_of_an_archive_is_found_in_another_spelling(
    tmp_path: Path, stored_as: str
) -> None:
    content = stored(Image.new("RGB", (8, 8)), "JPEG").getvalue()
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(stored_as, content)
    for asked in ("images/a.jpg", "Images/A.jpg"):
        assert (data.Photos([asked], 8, archive=archive)[0] == 0).all()


def test_no_more_pictures_may_be_unreadable_than_tolerated(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "good.png")
    paths = [tmp_path / name for name in ["good.png"] * 7 + ["bad.png"] * 3]
    with pytest.raises(ValueError, match=r"3 of 10 .* \(row 7, .*bad.png: no such file; .*20%"):
        data.Photos(paths, 8, tolerated=0.2)[:]
    photos = data.Photos(paths, 8, tolerated=0.3)
    with pytest.warns(UserWarning, match="3 of 10 pictures cannot be read") as told:
        photos[:]
        photos[:]
    assert len(told) == 1 and list(photos.unreadable) == [7, 8, 9]
    Image.new("RGB", (8, 8)).save(tmp_path / "bad.png")
    photos[8]
    assert list(photos.unreadable) == [7, 9]  # once it is there, it is read


def test_a_few_first_pictures_do_not_condemn_a_large_catalogue(tmp_path: Path) -> None:
    photos = data.Photos([tmp_path / f"{n}.png" for n in range(300)], 2)
    with pytest.warns(UserWarning, match="2 of 2"):
        photos[:2]
    with pytest.raises(ValueError, match="100 of 100"):
        photos[:100]


@pytest.mark.parametrize("path", [None, np.nan, "", " ", 7])
def test_an_item_without_a_path_is_named(path: Any) -> None:
    with pytest.raises(ValueError, match=r"paths: row 1 has .* no path"):
        data.Photos(["a.jpg", path], 8)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Two sub-folders of two pictures each, and files of other kinds."""
    for colour in ("blue", "red"):
        (tmp_path / colour).mkdir()
        for n in range(2):
            Image.new("RGB", (8, 8), colour).save(tmp_path / colour / f"{n}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "red" / "._0.png").write_text("what another system leaves behind")
    return tmp_path


def listed(**columns: list) -> pd.DataFrame:
    paths = ["red/0.png", "blue/0.png", "red/1.png"]
    return pd.DataFrame({"path": paths, "colour": ["Red", "blue ", "red"], **columns})


def test_a_folder_becomes_a_data_set_with_its_sub_folders_as_categories(shop: Path) -> None:
    found = data.from_pictures(shop, "category", size=4)
    catalogue = found.catalogue
    assert catalogue.items.original_id.tolist() == [
        *("blue/0.png", "blue/1.png", "red/0.png", "red/1.png"),
    ]
    assert catalogue.items.category.tolist() == ["blue", "blue", "red", "red"]
    assert catalogue.schema == data.Schema({"category": ("blue", "red")})
    assert catalogue.attributes is not None and catalogue.attributes.T.tolist() == [[0, 0, 1, 1]]
    assert catalogue.images is not None and catalogue.images[2][:, 0, 0].tolist() == [255, 0, 0]
    assert len(found.interactions) == 0 and found.interactions.n_items == 4


def test_words_become_codes_by_a_mapping_that_the_schema_prints(shop: Path) -> None:
    table = listed(neck=["V", "-", "round"])
    catalogue = data.from_pictures(table, ["colour", "neck"], folder=shop, size=4).catalogue
    assert catalogue.attributes is not None and catalogue.schema is not None
    assert catalogue.attributes.tolist() == [[1, 1], [0, -1], [1, 0]]
    assert "'colour': ('blue', 'Red'), 'neck': ('round', 'V')" in str(catalogue.schema)
    given = {"colour": ["red", "green", "Red", "blue"]}
    catalogue = data.from_pictures(table, given, folder=shop, size=4).catalogue
    assert catalogue.attributes is not None and catalogue.attributes.T.tolist() == [[0, 2, 0]]
    assert catalogue.schema == data.Schema({"colour": ("red", "green", "blue")})


def test_a_csv_file_keeps_its_ids_and_reads_its_purchases(shop: Path) -> None:
    listed(item=["007", "07", "7"], title=["A", None, "C"]).to_csv(shop / "a.csv", index=False)
    bought = pd.DataFrame({"user": ["ann", "ann", "bo"], "item": ["7", "007", "07"]})
    found = data.from_pictures(shop / "a.csv", "colour", events=bought, size=4)
    assert found.interactions.item.tolist() == [2, 0, 1]
    assert found.catalogue.items.title.tolist()[::2] == ["A", "C"]


@pytest.mark.parametrize(
    ("changed", "asked", "told"),
    [
        ({"colour": ["red", None, "red"]}, "colour", "row 1 has no colour; write '-' where"),
        ({"colour": ["red", " ", "red"]}, "colour", "row 1 has no colour"),
        ({}, {"colour": ["red"]}, "row 1 has colour 'blue'; choose from red, or '-'"),
        ({}, "color", "missing column color"),
        ({"path": ["red/0.png", None, "a"]}, "colour", "row 1 has no path"),
        ({"path": ["red/0.png", "red/0.png", "red/1.png"]}, "colour", "red/0.png"),
        ({"path": ["red/0.png", "b", "c"]}, "colour", "2 of 3 .*row 1, .*b: no such file"),
    ],
    ids=["missing", "blank", "unknown", "column", "no path", "twice", "not there"],
)
def test_what_is_wrong_in_a_table_of_pictures_is_named(
    shop: Path, changed: dict, asked: Any, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        data.from_pictures(listed().assign(**changed), asked, folder=shop, size=4)


def test_some_missing_pictures_are_told_by_row(shop: Path) -> None:
    table = listed().assign(path=["red/0.png", "lost.png", "red/1.png"])
    with pytest.warns(UserWarning, match=r"1 of 3 pictures .*row 1, .*lost.png: no such file"):
        data.from_pictures(table, folder=shop, size=4)


@pytest.mark.parametrize("empty", ["", "nowhere"])
def test_a_folder_without_pictures_is_named(tmp_path: Path, empty: str) -> None:
    with pytest.raises(ValueError, match="is no folder with pictures"):
        data.from_pictures(tmp_path / empty)


def test_no_warning_is_given_where_all_is_well(shop: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert data.from_pictures(shop, size=4).catalogue.images is not None


@pytest.mark.parametrize("kind", [np.uint16, np.int32])
def test_greys_of_eight_bits_in_a_wider_file_keep_their_brightness(
    kind: type, tmp_path: Path
) -> None:
    path = tmp_path / ("a.png" if kind is np.uint16 else "a.tif")
    Image.fromarray(np.linspace(0, 200, 1024).reshape(32, 32).astype(kind)).save(path)
    assert 95 < data.Photos([path], 32)[0].mean() < 105


def test_a_table_in_another_encoding_or_without_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("path,colour\n0.png,röd\n".encode("cp1252"))
    with pytest.raises(ValueError, match="not in UTF-8"):
        data.from_pictures(path)
    with pytest.raises(ValueError, match="no rows"):
        data.from_pictures(pd.DataFrame({"path": []}))
