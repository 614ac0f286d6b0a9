"""Real data keeps the contracts and has the sizes that its card says."""

from __future__ import annotations

import ast
import gzip
import os
from itertools import combinations, islice
from pathlib import Path

import numpy as np
import pytest

from experiments.relation_real import relations_of
from explainrec_lab import data
from explainrec_lab.data import amazon, movielens
from explainrec_lab.data.completejourney import _readable
from explainrec_lab.reconet import FeatureSpace


def needs(file: str) -> pytest.MarkDecorator:
    """Skip where the folder of real data lacks this file."""
    given = os.environ.get("EXPLAINREC_DATA", "")
    here = bool(given) and Path(given, file).is_file()
    return pytest.mark.skipif(not here, reason=f"EXPLAINREC_DATA is unset or has no {file}")


needs_movielens = needs("movielens-1m/ml-1m.zip")
needs_music = needs("amazon-2014/meta_Digital_Music.json.gz")
needs_hm = needs("hm/h-and-m-personalized-fashion-recommendations.zip")


@pytest.fixture(scope="module")
def films() -> data.Dataset:
    return data.load("movielens-1m")


@pytest.fixture(scope="module")
def groceries() -> data.Dataset:
    return data.load("completejourney")


@needs_movielens
def test_movielens_has_its_published_sizes(films: data.Dataset) -> None:
    events = films.interactions
    assert (events.n_users, events.n_items, len(events)) == (6040, 3883, 1_000_209)
    assert np.bincount(events.value.astype(int)).tolist()[1:] == [
        56_174, 107_557, 261_197, 348_971, 226_310,
    ]  # fmt: skip
    assert events.matrix.nnz == len(events)
    assert np.bincount(events.user).min() == 20


@needs_movielens
def test_a_known_rating_of_movielens_is_read_right(films: data.Dataset) -> None:
    events, items = films.interactions, films.catalogue.items
    assert (
        events.users.original_id[events.user[0]] == 1
    )  # the file's first line: 1::1193::5::978300760
    assert items.original_id[events.item[0]] == 1193
    assert items.title[events.item[0]] == "One Flew Over the Cuckoo's Nest (1975)"
    assert (events.value[0], events.time[0]) == (5, 978_300_760)
    assert events.item_features.of(int(events.item[0])) == ["genre: Drama"]
    assert events.user_features.of(0) == [
        "gender: woman", "age: under 18", "occupation: K-12 student",
    ]  # fmt: skip


@needs_movielens
def test_movielens_has_18_genres_and_every_user_three_features(films: data.Dataset) -> None:
    events = films.interactions
    assert len(events.item_features) == 18
    assert len(events.user_features) == 2 + 7 + 21
    assert set(np.diff(events.user_features.matrix.indptr)) == {3}
    assert np.diff(events.item_features.matrix.indptr).min() >= 1
    assert films.catalogue.items.title.str.contains("é").any()  # latin-1 was decoded


@needs_movielens
def test_the_paper_s_protocol_fits_movielens(films: data.Dataset) -> None:
    positive = data.implicit(films.interactions, threshold=3)
    assert len(positive) == 348_971 + 226_310 + 261_197
    parts = data.split(positive, seed=0)
    sizes = [len(part) / len(positive) for part in (parts.train, parts.development, parts.test)]
    assert sizes == pytest.approx([0.6, 0.2, 0.2], abs=1e-5)
    assert FeatureSpace.of(films).m == 3883 + 18 + 30
    cold = data.cold_start(parts)
    assert len(cold.cold_users) == round(0.1 * len(np.unique(parts.test.user)))


@needs_movielens
def test_movielens_is_read_from_where_the_environment_points() -> None:
    assert movielens.path() == Path(os.environ["EXPLAINREC_DATA"], "movielens-1m", "ml-1m.zip")
    assert data.available().loc["movielens-1m", "on this machine"]


@pytest.fixture(scope="module")
def fashion() -> data.Dataset:
    return data.load("hm", size=32)


@needs_hm
def test_customers_of_h_and_m_have_five_articles_or_more(fashion: data.Dataset) -> None:
    events = fashion.interactions
    assert np.bincount(events.user).min() >= 5
    assert events.matrix.nnz == len(events)
    assert events.value.min() >= 1
    days = events.time.astype("datetime64[D]")
    assert days.min() >= np.datetime64("2018-09-20") and days.max() <= np.datetime64("2020-09-22")
    parts = data.leave_one_out(events, least=5)
    assert len(parts.test) == len(parts.development) == events.n_users


@needs_hm
def test_articles_of_h_and_m_have_photos_words_and_groups(fashion: data.Dataset) -> None:
    items, images = fashion.catalogue.items, fashion.catalogue.images
    assert items.original_id.str.fullmatch(r"\d{10}").all()
    assert items.group.str.startswith("Garment").mean() > 0.5
    assert items.description.notna().mean() > 0.95
    assert isinstance(images, data.Photos)
    some = images[np.arange(0, len(items), len(items) // 40)]
    assert not images.unreadable and some.std(axis=(1, 2, 3)).min() > 1


@needs_hm
def test_the_relations_of_h_and_m_are_what_a_loop_over_its_customers_finds(
    fashion: data.Dataset,
) -> None:
    events, number = fashion.interactions, fashion.catalogue.items["original_id"]
    found = set[tuple[str, int, int]]()
    for user in range(events.n_users):
        own = events.user == user
        day = dict(zip(events.item[own].tolist(), events.time[own].tolist(), strict=True))
        days = sorted(set(day.values()))
        for i, j in combinations(sorted(day), 2):
            early, late = sorted((day[i], day[j]))
            if number[i][:-3] != number[j][:-3]:
                if early == late:
                    found.add(("bought_together", i, j))
                elif days.index(late) == days.index(early) + 1 and late - early <= 30:
                    found.add(("also_bought", i, j))
    relations = relations_of(fashion)
    kinds = np.array(data.RELATION_KINDS)[relations.kind].tolist()
    pairs = zip(kinds, relations.source.tolist(), relations.target.tolist(), strict=True)
    assert set(pairs) == found and len(relations) == len(found) > 10_000


def test_the_groceries_have_the_sizes_their_card_says(groceries: data.Dataset) -> None:
    events = groceries.interactions
    assert events.n_users == 2469
    assert 1_000 < events.n_items < 2_000
    assert 400_000 < len(events) < 460_000
    assert events.matrix.nnz == len(events)
    assert np.bincount(events.item, minlength=events.n_items).min() >= 20


def test_801_households_told_who_they_are(groceries: data.Dataset) -> None:
    told = np.diff(groceries.interactions.user_features.matrix.indptr) > 0
    assert told.sum() == 801


def test_every_grocery_has_a_department_and_a_category(groceries: data.Dataset) -> None:
    features = groceries.interactions.item_features
    assert set(np.diff(features.matrix.indptr)) == {2}
    assert {name.split(":")[0] for name in features.names} == {"department", "category"}


def test_no_two_groceries_share_a_title_that_people_read(groceries: data.Dataset) -> None:
    titles = groceries.catalogue.items.title
    assert titles.str.len().min() > 2
    assert not titles.str.isupper().any()
    assert titles.duplicated().mean() < 0.01


def test_purchases_lie_in_the_year_of_the_study(groceries: data.Dataset) -> None:
    days = groceries.interactions.time.astype("datetime64[D]")
    assert days.min() >= np.datetime64("2016-12-31")
    assert days.max() <= np.datetime64("2018-01-02")
    assert groceries.interactions.value.min() >= 1


@pytest.mark.parametrize(
    ("shout", "read"),
    [
        ("FRZN SS PREMIUM ENTREES/DNRS/N", "Frozen single-serve premium entrees/dinners"),
        ("POTATO CHIPS", "Potato chips"),
        ("CKN", "Chicken"),
    ],
)
def test_the_till_s_abbreviations_are_spelled_out(shout: str, read: str) -> None:
    assert _readable(shout) == read


# --------------------------------------------------------------------------- Amazon, 2014


@pytest.fixture(scope="module")
def music() -> data.Dataset:
    return data.load("amazon", category="Digital_Music")


@needs_music
def test_every_field_of_amazon_s_lines_is_what_python_reads() -> None:
    with gzip.open(amazon.path("Digital_Music"), "rt", encoding="utf-8") as lines:
        for line in islice(lines, 3000):
            whole = ast.literal_eval(line)
            wanted = {name: whole[name] for name in amazon.TABLE["fields"] if name in whole}
            assert amazon._fields(line) == wanted


@needs_music
def test_amazon_s_relations_join_different_products_of_the_file(music: data.Dataset) -> None:
    """Against a second reading, with sets."""
    assert music.relations is not None
    with gzip.open(amazon.path("Digital_Music"), "rt", encoding="utf-8") as lines:
        rows = [ast.literal_eval(line) for line in islice(lines, 3000)]
    if len(rows) < len(music.catalogue):
        pytest.skip("the whole file is here; this test reads the head of it")
    own, kinds = {row["asin"] for row in rows}, data.RELATION_KINDS
    expected = {
        (kind, row["asin"], other)
        for row in rows
        for kind in kinds
        for other in row.get("related", {}).get(kind, [])
        if other in own and other != row["asin"]
    }
    ids = music.catalogue.items.original_id.to_numpy()
    r = music.relations
    told = zip(r.kind.tolist(), ids[r.source], ids[r.target], strict=True)
    found = {(kinds[kind], *ends) for kind, *ends in told}
    assert found == expected and len(r) == len(expected) > 16_000
    assert not any("left out" in note for note in music.notes)


@needs_music
def test_amazon_s_reviews_have_one_to_five_stars_of_their_time(music: data.Dataset) -> None:
    events = music.interactions
    assert len(events) > 6_000 and set(events.value.tolist()) == {1, 2, 3, 4, 5}
    days = events.time.astype("datetime64[s]")
    assert days.min() > np.datetime64("1996-01-01") and days.max() < np.datetime64("2014-08-01")
    assert set(np.diff(events.item_features.matrix.indptr)) == {1}  # its category
