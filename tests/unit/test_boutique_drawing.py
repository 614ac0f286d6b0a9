"""Claims about the boutique's designs, their pictures, the truth about pixels, and the gallery."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from explainrec_boutique import gallery as gallery_module
from explainrec_boutique.design import Pose, sample
from explainrec_boutique.dials import Dials
from explainrec_boutique.drawing.geometry import Frame, join, wave
from explainrec_boutique.gallery import Gallery
from explainrec_boutique.render import _kind, counterfactual_mask, render
from explainrec_boutique.vocabulary import (
    APPLIES,
    CATEGORIES,
    COLOURS,
    FAMILIES,
    FAMILY_OF,
    MARKS,
    NECK,
    PATTERNS,
    SCHEMA,
    display,
)

GOLDEN = "548bc46cd7969591f56cf39956052ca9d22a4e4680f13b3ad2215c034d4f2bf7"
"""Checksum of the 24 pictures below, with Pillow 11.2 or later. Change it only together with
`DRAWING_VERSION`, after looking at the new pictures."""

EVERY_CLASS = [(name, value) for name in SCHEMA.attributes for value in SCHEMA.classes[name]]


@pytest.fixture(scope="module")
def designs():
    return [sample(0, item) for item in range(300)]


@pytest.fixture(scope="module")
def wearers(designs):
    """Attribute -> a few designs that have it, drawn from a wilder shop too."""
    wild = [sample(1, item, Dials(nuisance=2)) for item in range(200)]
    return {
        name: [design for design in [*designs[:120], *wild] if name in design.attributes][:6]
        for name in SCHEMA.attributes
    }


@pytest.fixture()
def cache(tmp_path, monkeypatch):
    """A folder for pictures, which this process draws alone."""
    monkeypatch.setattr(gallery_module, "CPUS", 1)
    return tmp_path


# ------------------------------------------------------------------ words


def test_there_are_twelve_attributes_and_forty_five_classes():
    assert len(SCHEMA.attributes) == 12
    assert len(EVERY_CLASS) == 45
    assert sorted(name for names in APPLIES.values() for name in names) == sorted(SCHEMA.attributes)


def test_each_colour_belongs_to_one_family():
    assert len(COLOURS) == 20
    assert set(FAMILY_OF) == set(COLOURS)
    assert set(FAMILY_OF.values()) == set(FAMILIES)


def test_names_are_shown_as_words():
    assert display("three_quarter") == "three-quarter"
    assert display("sleeves_length") == "sleeves length"
    assert not any("_" in display(value) for _, value in EVERY_CLASS)


# ------------------------------------------------------------------ designs


def test_an_item_does_not_depend_on_the_others_or_their_order():
    forwards = [sample(5, item) for item in range(20)]
    backwards = [sample(5, item) for item in reversed(range(20))]
    assert forwards == backwards[::-1]
    assert len(set(forwards)) == 20


def test_each_category_has_the_attributes_it_should(designs):
    for design in designs:
        has = set(design.attributes)
        assert has <= set(APPLIES[design.category])
        if design.category == "top":
            assert len(has & set(NECK)) == 1 and {"sleeves_length", "body_length"} <= has
        elif design.category == "bottom":
            assert len(has) == 1
        else:
            assert {"heel_height", "closure", "toe_style"} <= has


def test_every_class_and_colour_and_pattern_and_mark_is_sold(designs):
    sold = {(name, value) for design in designs for name, value in design.attributes.items()}
    assert sold == set(EVERY_CLASS)
    assert {design.colour for design in designs} == set(COLOURS)
    assert {design.pattern for design in designs} == set(PATTERNS)
    assert {design.mark for design in designs} == {None, *MARKS}
    assert {design.category for design in designs} == set(CATEGORIES)


def test_a_title_says_what_can_be_seen():
    design = next(
        design
        for design in (sample(0, item) for item in range(2000))
        if design.attributes.get("neckline") == "v" and design.attributes["body_length"] == "long"
    )
    plain = replace(design.switched("sleeves_length", "long"), colour="navy", pattern="striped")
    assert plain.title == "navy striped V-neck top, long sleeves, long body"
    assert plain.colour_family == "cool"


def test_dials_change_what_they_name_and_nothing_else():
    for item in range(30):
        usual = sample(3, item)
        assert replace(usual, mark=None) == sample(3, item, Dials(marks=0))
        still = sample(3, item, Dials(nuisance=0))
        assert replace(usual, pose=still.pose, scene=still.scene) == still
        assert still.pose == Pose(0, 1, 0, 0, usual.pose.flip)


def test_a_shortcut_ties_the_mark_to_the_class():
    tied = [sample(0, item, Dials(shortcut=("sleeves_length", 1.0))) for item in range(60)]
    tops = [design for design in tied if "sleeves_length" in design.attributes]
    others = [design for design in tied if "sleeves_length" not in design.attributes]
    position = SCHEMA.attribute("sleeves_length")
    assert tops and all(design.mark == MARKS[design.codes[position]] for design in tops)
    assert any(design.mark is None for design in others)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda: sample(-1, 0), "seed: -1 is not a whole number in 0..4294967295"),
        (lambda: sample(0, 1.5), "item: 1.5 is not a whole number in 0..2147483647"),
        (lambda: Dials(nuisance=3), "nuisance: 3 is not a number in 0.0..2.0"),
        (lambda: Dials(marks=float("nan")), "marks: nan is not a number in 0.0..1.0"),
        (lambda: Dials(noise="loud"), "noise: 'loud' is not a number in 0.0..0.2"),
        (lambda: Dials(shortcut=("sleeve", 0.5)), "attribute: 'sleeve' is not in the schema"),
        (lambda: Dials(shortcut="closure"), "shortcut: 'closure' is neither None nor a pair"),
        (lambda: Dials(shortcut=("closure", 2)), "shortcut's probability: 2 is not a number in"),
        (lambda: render(sample(0, 0), 8), "size: 8 is not a whole number in 32..512"),
        (lambda: Gallery([], 8, Path()), "size: 8 is not a whole number in 32..512"),
    ],
)
def test_bad_input_is_named_at_the_door(bad, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        bad()


def test_switching_an_attribute_that_does_not_apply_is_refused(designs):
    shoe = next(design for design in designs if design.category == "shoes")
    with pytest.raises(ValueError, match="'lapel' does not apply to this item, which has heel"):
        shoe.switched("lapel", "shawl")
    with pytest.raises(ValueError, match="'lapel' does not apply"):
        counterfactual_mask(shoe, "lapel", 64)


# ------------------------------------------------------------------ geometry


def test_the_wave_is_a_sine_without_a_sine():
    turns = np.linspace(-2, 2, 401)
    assert np.abs(wave(turns) - np.sin(2 * np.pi * turns)).max() < 0.06


def test_a_frame_holds_its_room_at_any_pose():
    room = join((-90, 20), (90, 20), (100, 230), (-100, 230))
    for rotation in (-14, 0, 9):
        for across in (-1, 1):
            frame = Frame.fit(room, Pose(rotation, 1.0, across, -across, across > 0), 64)
            pixels = frame.to_pixels(room)
            assert pixels.min() > 1 and pixels.max() < 63


def test_a_frame_gives_back_the_cloth_under_a_pixel():
    frame = Frame.fit(join((-50, 20), (50, 200)), Pose(7, 0.9, 0.5, -0.5, True), 32)
    x, y = frame.cloth_grid()
    there = frame.to_pixels(np.array([[x[10, 20], y[10, 20]]], dtype=np.float64))
    np.testing.assert_allclose(there, [[20.5, 10.5]], atol=1e-4)


# ------------------------------------------------------------------ pictures


def test_the_same_design_gives_the_same_bytes_everywhere():
    checksum = hashlib.sha256()
    for item in range(24):
        picture = render(sample(2024, item), 64)
        checksum.update(picture.image.tobytes())
        for name, mask in sorted(picture.parts.items()):
            checksum.update(name.encode() + np.packbits(mask).tobytes())
    assert checksum.hexdigest() == GOLDEN


@pytest.mark.parametrize(("attribute", "value"), EVERY_CLASS)
def test_no_class_is_cropped_and_each_carries_its_part(wearers, attribute, value):
    for design in wearers[attribute]:
        picture = render(design.switched(attribute, value), 64)
        edges = [picture.silhouette[edge] for edge in (0, -1)]
        edges += [picture.silhouette[:, edge] for edge in (0, -1)]
        assert not np.any(edges)
        assert set(picture.parts) == set(design.attributes)
        part = picture.parts[attribute]
        assert 0.006 < part.mean() < 0.14
        assert (part & picture.silhouette).sum() > 0.35 * part.sum()


def test_the_frame_tells_nothing_about_a_class(designs):
    for design in designs[:60]:
        frame = Frame.fit(_kind(design)[0], design.pose, 64)
        for attribute, own in design.attributes.items():
            for value in SCHEMA.classes[attribute]:
                room = _kind(design.switched(attribute, value))[0]
                other = Frame.fit(room, design.pose, 64)
                same = map(np.array_equal, vars(other).values(), vars(frame).values())
                assert all(same), (attribute, own, value)


def _centre(mask):
    rows, columns = np.nonzero(mask)
    return np.array([rows.mean(), columns.mean()]) / mask.shape[0]


@pytest.mark.parametrize(
    ("attribute", "where"),
    [(name, "top") for name in NECK]
    + [(name, "bottom") for name in ("body_length", "skirt_length", "trousers_length")]
    + [("heel_height", "bottom"), ("boots_height", "top"), ("toe_style", "bottom")],
)
def test_a_part_lies_where_its_name_says(wearers, attribute, where):
    for design in wearers[attribute]:
        picture = render(design, 64)
        row = _centre(picture.parts[attribute])[0] - _centre(picture.silhouette)[0]
        assert row < 0 if where == "top" else row > 0


def test_heel_and_toe_lie_at_opposite_ends_whichever_way_a_shoe_points(wearers):
    for design in wearers["heel_height"]:
        for flip in (False, True):
            turned = replace(design, pose=design.pose._replace(flip=flip))
            parts = render(turned, 64).parts
            gap = _centre(parts["heel_height"])[1] - _centre(parts["toe_style"])[1]
            assert gap < -0.3 if flip else gap > 0.3


def test_every_class_looks_different_from_its_neighbours(wearers):
    for attribute, (design, *_) in wearers.items():
        images = [
            render(design.switched(attribute, value), 64).image.astype(int)
            for value in SCHEMA.classes[attribute]
        ]
        for one in range(len(images)):
            for other in range(one):
                changed = (np.abs(images[one] - images[other]).max(axis=0) >= 16).mean()
                assert changed > 0.004, (attribute, one, other)


def test_a_brand_mark_is_big_enough_to_be_seen(designs):
    for design in designs[:80]:
        bare = render(replace(design, mark=None), 64).image.astype(int)
        changed = np.abs(render(design, 64).image - bare).max(axis=0) >= 16
        assert changed.sum() >= 5 if design.mark else not changed.any()


def test_noise_is_as_strong_as_the_dial_says():
    quiet = render(sample(0, 0, Dials(noise=0)), 64).image.astype(float)
    loud = render(sample(0, 0, Dials(noise=0.1)), 64).image.astype(float)
    unclipped = (quiet > 90) & (quiet < 165)
    assert np.std((loud - quiet)[unclipped]) == pytest.approx(25.5, rel=0.1)


# ------------------------------------------------------------------ counterfactual masks


def test_a_counterfactual_is_the_union_of_what_other_classes_change(designs):
    design = next(design for design in designs if "neckline" in design.attributes)
    own = render(design, 64).image.astype(int)
    brute = np.zeros((64, 64), dtype=bool)
    for value in SCHEMA.classes["neckline"]:
        other = render(design.switched("neckline", value), 64).image.astype(int)
        brute |= np.abs(own - other).max(axis=0) >= 16
    np.testing.assert_array_equal(counterfactual_mask(design, "neckline", 64), brute)


def test_a_neck_changes_nothing_below_the_chest(wearers):
    for design in wearers["neckline"][:3]:
        upright = replace(design, pose=Pose(0, 1, 0, 0, False))
        assert not counterfactual_mask(upright, "neckline", 64)[36:].any()


def test_a_length_changes_nothing_above_the_shortest_hem(wearers):
    for name in APPLIES["bottom"]:
        for design in wearers[name][:3]:
            upright = replace(design, pose=Pose(0, 1, 0, 0, False))
            changed = counterfactual_mask(upright, name, 64)
            assert changed[30:].any() and not changed[:15].any()


def test_for_heels_the_part_mask_stands_in(wearers):
    design = wearers["heel_height"][0]
    part = render(design, 64).parts["heel_height"]
    np.testing.assert_array_equal(counterfactual_mask(design, "heel_height", 64), part)


# ------------------------------------------------------------------ the gallery


def test_one_two_and_three_processes_give_the_same_bytes(designs, cache, monkeypatch):
    monkeypatch.setattr(gallery_module, "FEW", 0)
    files = []
    for processes in (1, 2, 3):
        monkeypatch.setattr(gallery_module, "CPUS", processes)
        drawn = Gallery(designs[:14], 32, cache / str(processes))
        drawn[:]
        files.append({path.name: path.read_bytes() for path in drawn.path.parent.iterdir()})
    assert files[0] == files[1] == files[2]
    assert len(files[0]) == 1


def test_a_gallery_indexes_like_an_array(designs, cache):
    drawn = Gallery(designs[:11], 32, cache)
    array = np.stack([render(design, 32).image for design in designs[:11]])
    assert len(drawn) == 11 and drawn[:].shape == array.shape
    np.testing.assert_array_equal(drawn[3], array[3])
    np.testing.assert_array_equal(drawn[-1], array[-1])
    np.testing.assert_array_equal(drawn[2:9:3], array[2:9:3])
    np.testing.assert_array_equal(drawn[np.array([9, 0, 9])], array[[9, 0, 9]])
    np.testing.assert_array_equal(drawn[[]], array[:0])
    odd = np.arange(11) % 2 == 1
    np.testing.assert_array_equal(drawn[odd], array[odd])
    assert drawn[:].dtype == np.uint8


def test_pictures_are_copies_that_can_be_written_to(designs, cache):
    drawn = Gallery(designs[:3], 32, cache)
    for items in (1, [1], slice(1, 2)):
        drawn[items][...] = 0
    np.testing.assert_array_equal(drawn[1], render(designs[1], 32).image)


def test_a_gallery_keeps_the_masks_that_were_drawn(designs, cache):
    drawn = Gallery(designs[:6], 33, cache)
    for item in range(6):
        picture = render(designs[item], 33)
        for attribute in SCHEMA.attributes:
            expected = picture.parts.get(attribute, np.zeros((33, 33), dtype=bool))
            np.testing.assert_array_equal(drawn.mask(item, attribute), expected)
        np.testing.assert_array_equal(drawn.silhouette(item), picture.silhouette)
    attribute = next(iter(designs[0].attributes))
    np.testing.assert_array_equal(
        drawn.mask(0, attribute, "counterfactual"), counterfactual_mask(designs[0], attribute, 33)
    )


@pytest.fixture()
def written(monkeypatch):
    """Items whose rows were drawn and written since."""
    items, keep = [], Gallery._keep
    monkeypatch.setattr(
        Gallery, "_keep", lambda self, item, row: items.append(item) or keep(self, item, row)
    )
    return items


def test_only_what_is_looked_at_is_drawn(designs, cache, written):
    drawn = Gallery(designs[:12], 32, cache)
    assert not list(cache.iterdir())
    drawn[5]
    assert list(cache.iterdir()) == [drawn.path]
    assert written == [5]
    drawn[[7, 5, 7, 4]]
    drawn[4:8]
    assert written == [5, 4, 7, 6]


def test_a_killed_rendering_goes_on_with_the_missing_rows(designs, cache, written):
    first = Gallery(designs[:12], 32, cache)
    expected = first[:].copy()
    row = first.path.stat().st_size // 12
    with first.path.open("r+b") as file:  # as if killed while it wrote its ninth row
        file.truncate(9 * row)
        file.seek(8 * row)
        file.write(bytes(4))
    written.clear()
    np.testing.assert_array_equal(Gallery(designs[:12], 32, cache)[:], expected)
    assert written == [8, 9, 10, 11]


@pytest.mark.parametrize("harm", ["truncated", "flipped"])
def test_damage_is_reported_once_and_drawn_again(designs, cache, harm):
    first = Gallery(designs[:8], 32, cache)
    expected = first[:].copy()
    content = first.path.read_bytes()
    flipped = content[:500] + bytes([content[500] ^ 1]) + content[501:]
    first.path.write_bytes({"truncated": content[:-900], "flipped": flipped}[harm])
    again = Gallery(designs[:8], 32, cache)
    message = f"damaged pictures of items [{0 if harm == 'flipped' else 7}] in {again.path}"
    with pytest.warns(UserWarning, match=re.escape(message)) as caught:
        np.testing.assert_array_equal(again[:], expected)
    again[:]
    assert len(caught) == 1
    assert again.path.read_bytes() == content


def test_a_helper_that_fails_is_told_and_the_next_call_goes_on(designs, cache, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(gallery_module, "FEW", 0)
        patch.setattr(gallery_module, "CPUS", 2)
        patch.setattr(gallery_module, "_stop_with_parent", partial(os._exit, 1))
        with pytest.raises(BrokenProcessPool):
            Gallery(designs[:8], 32, cache)[:]
    drawn = Gallery(designs[:8], 32, cache)[:]
    np.testing.assert_array_equal(drawn, np.stack([render(d, 32).image for d in designs[:8]]))


def test_a_gallery_can_be_read_where_nothing_can_be_written(designs, cache, monkeypatch):
    expected = Gallery(designs[:4], 32, cache)[:]
    original = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, mode="r", **how: (mode == "rb" or 1 / 0) and original(path, mode)
    )
    np.testing.assert_array_equal(Gallery(designs[:4], 32, cache)[:], expected)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills a process")
def test_a_killed_drawing_leaves_no_workers(tmp_path):
    """Its helpers see that nobody waits for them, and stop."""
    script = f"""
        import multiprocessing, os, sys
        from pathlib import Path
        from explainrec_boutique import gallery
        from explainrec_boutique.design import sample
        gallery.FEW, gallery.CPUS = 0, 3
        if __name__ == "__main__":
            start = multiprocessing.Process.start
            def noted(process):
                start(process)
                print(process.pid, flush=True)
            multiprocessing.process.BaseProcess.start = noted
            designs = [sample(0, item) for item in range(3000)]
            gallery.Gallery(designs, 64, Path({str(tmp_path)!r}))[:]
    """
    path = tmp_path / "draw.py"
    path.write_text(textwrap.dedent(script))
    root = Path(gallery_module.__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    ) as parent:
        helpers = [int(parent.stdout.readline()) for _ in range(3)]
        parent.kill()
    deadline = time.monotonic() + 20
    while any(_runs(helper) for helper in helpers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_runs(helper) for helper in helpers)


def _runs(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_the_key_of_the_cache_covers_designs_size_and_code(designs, cache, monkeypatch):
    usual = Gallery(designs[:8], 32, cache)
    assert usual.path == Gallery(designs[:8], 32, cache).path
    others = [
        Gallery(designs[:7], 32, cache),
        Gallery([*designs[:7], sample(0, 7, Dials(noise=0.02))], 32, cache),
        Gallery(designs[:8], 64, cache),
    ]
    copy = cache / "copy"
    shutil.copytree(Path(gallery_module.__file__).parent, copy)
    monkeypatch.setattr(gallery_module, "__file__", str(copy / "gallery.py"))
    assert usual.path == Gallery(designs[:8], 32, cache).path
    for name in ("drawing/necks.py", "words.toml"):
        with (copy / name).open("a") as file:
            file.write("# another")
        others.append(Gallery(designs[:8], 32, cache))
    monkeypatch.setattr(gallery_module.PIL, "__version__", "0")
    others.append(Gallery(designs[:8], 32, cache))
    assert len({usual.path, *(other.path for other in others)}) == 7


def test_looking_for_an_item_that_is_not_there_says_so(designs, cache):
    drawn = Gallery(designs[:4], 32, cache)
    for look in (lambda: drawn[4], lambda: drawn.silhouette(4), lambda: drawn.mask(4, "closure")):
        with pytest.raises(IndexError, match="index 4 is out of bounds for axis 0 with size 4"):
            look()
    with pytest.raises(IndexError, match="index 9 is out of bounds"):
        drawn[[0, 9]]
    with pytest.raises(ValueError, match="kind: 'whole'; choose 'part' or 'counterfactual'"):
        drawn.mask(0, "closure", "whole")
