"""The experiment on real photos, on made-up archives: look-alikes stay together; counts by hand."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from experiments import photo_attributes, saers, saers_photos, saers_search
from explainrec_lab.data import (
    Catalogue,
    DataNotFound,
    Dataset,
    Interactions,
    Schema,
    fashion_products,
    hm,
)
from explainrec_lab.vision.naming import Question, _class_weights, naming_losses

SCHEMA = Schema(
    {"Neck": ("Round Neck", "V-Neck"), "Sleeve Length": ("Short Sleeves", "Sleeveless")}
)
TINY = replace(
    photo_attributes.SETTINGS,
    **{"size": 32, "backbone": "vgg11", "width": 0.1, "stride": 16, "weights": None},
    **{"epochs": 6, "learning_rate": 1e-2},
)


def shelf(titles: list[str], colours: list[str], shades: list[int]) -> Catalogue:
    """Products with a picture of one shade each."""
    n = len(titles)
    items = pd.DataFrame({"title": titles, "category": "-", "colour": colours})
    images = np.array(shades, np.uint8)[:, None, None, None] * np.ones((1, 3, 4, 4), np.uint8)
    return Catalogue(items, images, np.zeros((n, 2), np.int64), SCHEMA)


def test_a_name_loses_its_colour_wherever_it_stands() -> None:
    without = photo_attributes.without_colour
    assert without("Acme Men Navy Blue Polo", "Navy Blue") == "acme men polo"
    assert without("Acme Men Polo", "Red") == "acme men polo"
    assert without("Redwood Polo", "Red") == "redwood polo"
    assert without("Acme Polo", float("nan")) == "acme polo"


def test_products_look_alike_by_style_or_by_picture_and_through_a_third() -> None:
    catalogue = shelf(
        ["Acme Red Tee", "Acme Blue Tee", "Bolt Tee", "Cord Tee"],
        ["Red", "Blue", "Green", "Green"],
        [10, 20, 20, 30],
    )
    group = photo_attributes.look_alikes(catalogue)
    assert group[0] == group[1] == group[2] != group[3]


@pytest.mark.parametrize("seed", range(5))
def test_look_alikes_stay_on_one_side_and_every_product_has_a_side(seed: int) -> None:
    rng = np.random.default_rng(seed)
    titles = [f"Style {k}" for k in rng.integers(40, size=200)]
    catalogue = shelf(titles, ["Red"] * 200, rng.integers(250, size=200).tolist())
    catalogue = replace(catalogue, images=rng.integers(255, size=(200, 3, 4, 4)).astype(np.uint8))
    train, test = photo_attributes.divided(catalogue, seed)
    assert not set(train.items.title) & set(test.items.title)
    assert len(train) + len(test) == 200
    assert 150 < len(train) < 185


def test_products_that_all_look_alike_cannot_be_divided() -> None:
    with pytest.raises(ValueError, match="all products look alike"):
        photo_attributes.divided(shelf(["Tee"] * 3, ["Red"] * 3, [1, 2, 3]), 0)


def test_accuracy_counts_products_and_balanced_accuracy_counts_classes() -> None:
    labels = np.array([[0, 0], [0, -1], [0, -1], [1, -1]])
    predicted = np.array([[0, 1], [0, 0], [1, 0], [1, 0]])
    scores = photo_attributes.judged(predicted, labels, SCHEMA)
    assert scores.loc["Neck"].tolist() == [4, 2, 3 / 4, pytest.approx((2 / 3 + 1) / 2)]
    assert scores.loc["Sleeve Length"].tolist() == [1, 1, 0, 0]
    unlabelled = photo_attributes.judged(predicted, np.full((4, 2), -1), SCHEMA)
    assert unlabelled.empty


def test_the_majority_is_right_for_one_class_alone() -> None:
    labels = np.array([[0, -1], [0, -1], [1, -1]])
    assert photo_attributes.majority(labels).tolist() == [0, 0]
    guess = np.tile(photo_attributes.majority(labels), (3, 1))
    assert photo_attributes.judged(guess, labels, SCHEMA)["balanced accuracy"].tolist() == [0.5]


def test_weights_let_all_classes_of_a_question_count_alike() -> None:
    labels = np.array([[0, -1], [0, -1], [0, -1], [1, -1]])
    own, none = _class_weights(labels, [3, 2])
    assert own[:2].tolist() == pytest.approx([4 / 6, 4 / 2])  # the third has no example
    assert own[labels[:, 0]].mean() == pytest.approx(1)
    assert torch.isfinite(none).all()
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    asked = [Question("colour", ("red", "green", "blue"), optional=False)]
    losses = naming_losses([logits], torch.from_numpy(labels[:, :1]), asked, [own])
    log_p = logits.log_softmax(dim=1)
    by_hand = [-float(own[c] * log_p[row, c]) for row, c in enumerate(labels[:, 0])]
    assert losses.tolist() == pytest.approx(by_hand)


def said(*descriptions: str | None) -> Dataset:
    """Garments with these descriptions."""
    items = pd.DataFrame(
        {"title": "-", "category": "-", "group": "Garment Upper body"},
        index=range(len(descriptions)),
    )
    nothing = pd.DataFrame({"user": [], "item": []}, dtype=np.int64)
    events = Interactions.from_frame(
        nothing, users=pd.DataFrame({"original_id": []}), n_items=len(items)
    )
    return Dataset("hm", Catalogue(items.assign(description=descriptions)), events)


def test_descriptions_give_a_class_where_they_name_exactly_one() -> None:
    dataset = said(
        "Top with a V-neck and short sleeves.",
        "Sleeveless top, crew neck.",
        "Short, puffed sleeves.",
        "Short top. Long sleeves.",  # long sleeves are no class of this schema, nor is a short top
        "V-neck at the front and round neckline at the back.",
        None,
    )
    labels = saers_photos.spoken(dataset, SCHEMA)
    assert labels.tolist() == [[1, 0], [0, 1], [-1, -1], [-1, -1], [-1, -1], [-1, -1]]


def test_only_garments_are_asked_by_their_descriptions() -> None:
    dataset = said("V-neck.")
    bag = dataset.catalogue.items.assign(group="Bags")
    other = replace(dataset, catalogue=Catalogue(bag))
    assert (saers_photos.spoken(other, SCHEMA) == -1).all()


# --------------------------------------------------------------------------- all of it


def jpeg(rng: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(255, size=(16, 12, 3)).astype(np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """80 labelled products, and 45 articles of which 20 customers bought six each."""
    monkeypatch.setenv("EXPLAINREC_DATA", str(tmp_path))
    monkeypatch.setenv("EXPLAINREC_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    lines = [
        "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,"
        "productDisplayName"
    ]
    files: dict[str, bytes | str] = {}
    for id in range(80):
        lines.append(f"{id},Men,Apparel,Topwear,Tshirts,Red,Fall,2010,Casual,Style {id % 50}")
        named = {"Neck": SCHEMA.classes["Neck"][id % 2], "Waist Rise": ["Low-Rise", "NA"][id % 2]}
        files[f"fashion-dataset/styles/{id}.json"] = json.dumps(
            {"data": {"articleAttributes": named}}
        )
        files[f"fashion-dataset/images/{id}.jpg"] = jpeg(rng)
    files["fashion-dataset/styles.csv"] = "\n".join(lines)
    files["fashion-dataset/images/3.jpg"] = b"no photo"
    write(fashion_products.path(), files)
    articles = [
        "article_id,prod_name,product_type_name,product_group_name,colour_group_name,detail_desc"
    ]
    bought = ["t_dat,customer_id,article_id"]
    files = {}
    for k in range(45):
        articles.append(
            f"{k:010d},Top,Top,Garment Upper body,Red,{['V-neck.', 'Crew neck.'][k % 2]}"
        )
        files[f"images/000/{k:010d}.jpg"] = jpeg(rng)
    for user in range(20):
        for k in [*rng.choice(25, 5, replace=False), 25 + user]:  # one of them is hers alone
            bought.append(f"2020-01-01,{user},{k:010d}")
    bought.append("2020-01-01,once,0000000030")
    files |= {"articles.csv": "\n".join(articles), "transactions_train.csv": "\n".join(bought)}
    write(hm.path(), files)


def write(path: Path, files: dict[str, bytes | str]) -> None:
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as opened:
        for name, contents in files.items():
            opened.writestr(name, contents)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network, a grid and contests that take seconds."""
    monkeypatch.setattr(photo_attributes, "SETTINGS", TINY)
    monkeypatch.setattr(saers_photos, "SETTINGS", TINY)
    monkeypatch.setattr(
        saers_photos,
        "GRID",
        {"epochs": (2,), "learning_rate": (1e-2,), "regularizer": (1e-4, 1.0)},
    )
    monkeypatch.setattr(saers, "CUTS", (1, 2))
    monkeypatch.setattr(saers_search, "NEGATIVES", 4)
    monkeypatch.setattr(saers, "NEGATIVES", 4)
    monkeypatch.setattr(saers, "COLD_NEGATIVES", 4)
    monkeypatch.setattr(saers_photos, "SEARCHED_WITH", 50)


@pytest.mark.usefixtures("archives", "tiny")
def test_the_experiment_runs_from_archives_to_rankings() -> None:
    found = list(saers_photos.saers_photos(1))
    of_two = ("entropy", "personal")  # attributes at least, which no item here need have
    assert all(np.isfinite(each["value"]) for each in found if each["measure"] not in of_two)
    asked = ("data", "method", "measure", "attribute")
    said = {tuple(each.get(name, "") for name in asked) for each in found}
    for method in ("network", "majority"):
        assert ("fashion-product-images", method, "balanced accuracy", "Neck") in said
        assert ("hm", method, "balanced accuracy", "Neck") in said
    compared = {saers.VARIANTS.get(name, (name, "")) for name in saers_photos.COMPARED}
    for group in ("all items", "cold items"):
        aucs = [r for r in found if (r["measure"], r.get("group")) == ("AUC", group)]
        assert {(r["method"], r["variant"]) for r in aucs} == compared
    trials = [result for result in found if result.get("group") == "development"]
    assert len(trials) == 2 * (len(saers_photos.COMPARED) - 2)


def test_without_the_archives_the_experiment_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLAINREC_DATA", str(tmp_path))
    with pytest.raises(DataNotFound, match="hm: download the archive from"):
        next(saers_photos.saers_photos(1))
