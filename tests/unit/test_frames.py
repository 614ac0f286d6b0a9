"""Any shop's tables become a data set: original ids of any type in, contiguous ids out."""

from __future__ import annotations

import json
import warnings
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explainrec_lab import data, live
from explainrec_lab.data.contracts import BLANK
from explainrec_lab.reconet import (
    FeatureSpace,
    RecoNet,
    RemovedItems,
    cross_entropy,
    explain,
    mean_profile,
    recommend,
)
from explainrec_lab.training import Optimisation, fit

EVENTS = pd.DataFrame({"user": ["u1", "u2", "u1"], "item": [10, 20, 30]})

# Text that is an id: what stands for a missing one is refused.
NAMES = st.text(max_size=4).filter(lambda text: text.strip() not in BLANK)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(NAMES, st.integers(-9, 9)), min_size=1, max_size=20))
def test_original_ids_come_back(pairs: list[tuple[str, int]]) -> None:
    events = pd.DataFrame(pairs, columns=["user", "item"])
    dataset = data.from_frames(events)
    found = dataset.interactions
    users = dataset.interactions.users["original_id"].to_numpy()[found.user]
    items = dataset.catalogue.items["original_id"].to_numpy()[found.item]
    assert list(zip(users, items, strict=True)) == pairs
    assert set(found.user) == set(range(found.n_users))


def test_items_that_nobody_took_are_part_of_the_catalogue() -> None:
    items = pd.DataFrame({"item": [30, 40, 20, 10], "title": list("cdba")})
    dataset = data.from_frames(EVENTS, items=items)
    assert dataset.interactions.n_items == 4
    assert dataset.interactions.item.tolist() == [3, 2, 0]


def test_sets_give_one_feature_for_each_member() -> None:
    features = data.Features.from_sets(pd.Series(["Action|Sci-Fi", None, "Action"]), "genre")
    assert features.names == ("genre: Action", "genre: Sci-Fi")
    assert features.matrix.toarray().tolist() == [[1, 1], [0, 0], [1, 0]]


def test_sets_of_numbers_and_of_nothing_are_read() -> None:
    assert data.Features.from_sets(pd.Series([1, 2]), "g").names == ("g: 1", "g: 2")
    assert data.Features.from_sets(pd.Series([np.nan, np.nan]), "g").names == ()


def test_bad_tables_are_named() -> None:
    with pytest.raises(ValueError, match="events: missing column item; needs user, item"):
        data.from_frames(EVENTS[["user"]])
    with pytest.raises(ValueError, match="items: missing column item"):
        data.from_frames(EVENTS, items=pd.DataFrame({"id": [1]}))
    with pytest.raises(ValueError, match="items: id 10 stands in 2 rows"):
        data.from_frames(EVENTS, items=pd.DataFrame({"item": [10, 10, 20, 30]}))
    with pytest.raises(ValueError, match="events: item 30 is not in the table of items"):
        data.from_frames(EVENTS, items=pd.DataFrame({"item": [10, 20]}))
    with pytest.raises(ValueError, match="events: user 'u2' is not in the table of users"):
        data.from_frames(EVENTS, users=pd.DataFrame({"user": ["u1"]}))
    with pytest.raises(ValueError, match="items: missing column brand; needs brand"):
        data.from_frames(EVENTS, item_columns={"brand": "brand"})
    with pytest.raises(ValueError, match="items: missing column genres"):
        data.from_frames(EVENTS, item_sets={"genres": "genre"})


def test_an_event_without_an_id_is_named() -> None:
    events = pd.DataFrame({"user": ["a", None], "item": [1, 2]})
    with pytest.raises(ValueError, match="events: row 1 has no user; drop rows without an id"):
        data.from_frames(events)
    events = pd.DataFrame({"user": ["a", "b"], "item": [np.nan, 2]})
    with pytest.raises(ValueError, match="events: row 0 has no item"):
        data.from_frames(events)


# ------------------------------------------------------------------ what files call their columns


FILES = {
    "MovieLens": (["userId", "movieId", "rating", "timestamp"], [1, 31, 2.5, 1260759144]),
    "a till": (["CustomerID", "StockCode", "Quantity", "InvoiceDate"],
               [17850, "85123A", 6, "2010-12-01 08:26:00"]),
    "Amazon": (["reviewerID", "asin", "overall", "unixReviewTime"], ["A1", "B0", 5, 1397520000]),
    "H&M": (["customer_id", "article_id", "t_dat"], ["0fd3", "0108775015", "2018-09-20"]),
}  # fmt: skip


def one(**columns: object) -> pd.DataFrame:
    """Two events; columns replace or join `user` and `item`."""
    return pd.DataFrame({"user": ["a", "b"], "item": [1, 2]} | columns)


@pytest.mark.filterwarnings("ignore:events")
@pytest.mark.parametrize("file", FILES)
def test_columns_with_a_usual_name_are_found_and_said(file: str) -> None:
    columns, row = FILES[file]
    dataset = data.from_frames(pd.DataFrame([row], columns=columns))
    events, note = dataset.interactions, dataset.notes[0]
    assert events.users.original_id.tolist() == [row[0]]
    assert dataset.catalogue.items.original_id.tolist() == [row[1]]
    assert events.time[0] > 1e9
    assert events.value[0] == (1 if columns[2] in ("overall", "t_dat") else row[2])
    assert all(repr(column) in note for column in columns if column != "overall")
    assert note in repr(dataset)


def test_a_column_that_is_not_used_is_named_once_and_kept_in_the_notes() -> None:
    with pytest.warns(UserWarning, match="events: no value.*; not used: stars given, shop") as told:
        dataset = data.from_frames(one(**{"stars given": [5, 1], "shop": "x", "time": [1, 2]}))
    assert len(told) == 1 and told[0].filename == __file__
    assert str(told[0].message) in dataset.notes
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        items = pd.DataFrame({"item": [1, 2], "year": 1999})
        assert data.from_frames(one(), items=items).notes[1] == "items: no features from year"
        assert not data.from_frames(one(time=[1, 2], value=[1, 2])).notes


def test_columns_of_any_name_can_be_given() -> None:
    events = pd.DataFrame([["a", 7, 4.5, 12]])
    found = data.from_frames(events, user=0, item=1, value=2, time=3).interactions
    assert (found.value.tolist(), found.time.tolist()) == ([4.5], [12])
    with pytest.raises(ValueError, match="value: events: missing column rating"):
        data.from_frames(one(), value="rating")
    with pytest.raises(ValueError, match="one column was named for two things"):
        data.from_frames(one(), user="item")


def test_where_two_columns_may_be_meant_nobody_guesses() -> None:
    events = one(rating=[1, 2], quantity=[3, 4])
    with pytest.raises(ValueError, match="'rating' and 'quantity' may be the value; rename the"):
        data.from_frames(events)
    assert data.from_frames(one(), value=None).interactions.value.tolist() == [1, 1]
    both = pd.DataFrame({"product": ["Tea"], "product_id": [3], "user": ["a"]})
    with pytest.warns(UserWarning, match="item is 'product_id'; .*not used: product"):
        assert data.from_frames(both).catalogue.items.original_id.tolist() == [3]


# ----------------------------------------------------------------------- what a cell may hold

A_DAY = 86_400
TIMES: dict[str, tuple[object, list[int]]] = {
    "whole numbers": ([978300760, 978300761], [978300760, 978300761]),
    "as text": (["978300760", "978300761"], [978300760, 978300761]),
    "floats that are whole": ([1.0, 2.0], [1, 2]),
    "nanoseconds": ([10**18 + 1, 10**18 + 2], [10**18 + 1, 10**18 + 2]),
    "ISO dates": (["1970-01-02", "1970-01-03"], [A_DAY, 2 * A_DAY]),
    "before 1970": (["1969-12-31", "1970-01-01"], [-A_DAY, 0]),
    "zones": (["1970-01-01T02:00:00+02:00", "1970-01-01T00:00:01Z"], [0, 1]),
    "milliseconds": (["1970-01-01 00:00:01.5", "1970-01-01"], [1500, 0]),
    "pandas": (pd.to_datetime(["1970-01-02", "1970-01-03"]), [A_DAY, 2 * A_DAY]),
    "Python": ([date(1970, 1, 2), date(1970, 1, 3)], [A_DAY, 2 * A_DAY]),
    "in Paris": (pd.to_datetime(["1970-01-01"] * 2).tz_localize("Europe/Paris"), [-3600] * 2),
}
NO_TIMES: dict[str, object] = {
    "a fraction": [0.5, 1],
    "inf": [np.inf, 1],
    "beyond int64": [1e30, 1],
    "beyond int64, unsigned": np.array([2**63, 1], np.uint64),
    "floats too large to count": [2.0**53, 1],
    "NaT": ["2024-01-01", "NaT"],
    "no such day": ["2024-01-01", "2024-02-30"],
    "which is the month?": ["01/02/2024", "01/03/2024"],
    "a word": ["now", "2024-01-01"],
    "with and without a zone": ["2024-01-01T10:00:00Z", "2024-01-01T10:00:00"],
    "numbers and dates": [1, "2024-01-01"],
    "nothing": [None, "2024-01-01"],
    "durations": pd.to_timedelta([1, 2]),
    "flags": [True, False],
}


@pytest.mark.parametrize("kind", TIMES)
def test_times_are_read_to_the_second_or_finer(kind: str) -> None:
    given, right = TIMES[kind]
    assert data.from_frames(one(time=given)).interactions.time.tolist() == right


def test_no_events_with_dates_are_no_interactions() -> None:
    nothing = EVENTS.assign(time=pd.Timestamp("2024-03-31"))[:0]
    assert len(data.from_frames(nothing, items=pd.DataFrame({"item": [10]})).interactions) == 0


def test_the_unit_of_dates_is_said() -> None:
    assert "time in ms since 1970" in data.from_frames(one(time=TIMES["milliseconds"][0])).notes[0]


@pytest.mark.parametrize("kind", NO_TIMES)
def test_what_is_no_time_is_refused_and_not_cut(kind: str) -> None:
    with pytest.raises(ValueError, match=r"events: (column 'when' must hold|row 0 has no when)"):
        data.from_frames(one(when=NO_TIMES[kind]), time="when")


@pytest.mark.parametrize("bad", [np.inf, -np.inf, 1e300, "NaN", "inf", "four", [4], date.today()])
def test_what_is_no_finite_value_is_refused(bad: object) -> None:
    with pytest.raises(ValueError, match="events: column 'stars' must hold"):
        data.from_frames(one(stars=pd.Series([bad, 1], dtype=object)))


IDS: dict[str, tuple[object, str]] = {
    "numbers and text": ([1, "a"], "type mixed-integer"),
    "1 and True": ([1, True], "type mixed-integer"),
    "fractions": ([1.5, 2.0], "must hold whole numbers below .*; row 0 is 1.5"),
    "inf": ([np.inf, 2.0], "must hold whole numbers below .*; row 0 is inf"),
    "floats that merge": ([2.0**53, 2.0**53 + 1], "whole numbers below 9007199254740992; row 0"),
    "small floats that merge": (
        np.array([2**24, 1], np.float32),
        "whole numbers below 16777216; row 0",
    ),
    "missing": ([None, "a"], "row 0 has no user; drop rows without an id"),
    "missing, as text": (["a", "nan"], "row 1 has no id but 'nan'"),
    "blank": (["a", " "], "row 1 has no id but ' '"),
    "lists": ([[1], [2]], "type mixed"),
}


@pytest.mark.parametrize("kind", IDS)
def test_ids_that_would_merge_or_mix_are_refused(kind: str) -> None:
    given, told = IDS[kind]
    with pytest.raises(ValueError, match=f"events: .*{told}"):
        data.from_frames(one(user=given))
    with pytest.raises(ValueError, match=told.replace("user", "item")):
        data.from_frames(one(), items=pd.DataFrame({"item": given}))


def test_large_ids_stay_apart() -> None:
    ids = [2**62 + 1, 2**62 + 2]
    assert data.from_frames(one(user=ids)).interactions.users.original_id.tolist() == ids
    whole = data.from_frames(one(user=[3.0, 4.0])).interactions.users.original_id
    assert whole.tolist() == [3, 4] and whole.dtype == np.int64
    with pytest.raises(
        ValueError, match=r"item 1 is not in the table of items \(of (str|object), "
    ):
        data.from_frames(one(), items=pd.DataFrame({"item": ["1", "2"]}))


def test_two_columns_of_one_name_and_what_is_no_table_are_refused() -> None:
    twice = pd.DataFrame([[1, "a", "b"]], columns=["item", "title", "title"])
    with pytest.raises(ValueError, match="items: two columns are called 'title'"):
        data.from_frames(one(), items=twice)
    with pytest.raises(ValueError, match="events: needs a pandas DataFrame, got dict"):
        data.from_frames({"user": [1], "item": [2]})  # type: ignore[arg-type]


@pytest.mark.parametrize("title", [None, np.nan, "nan", "  "])
def test_an_item_without_a_title_is_called_by_its_id_everywhere(title: object) -> None:
    table = pd.DataFrame({"item": [1, 2], "title": pd.Series(["Tea", title], dtype=object)})
    dataset = data.from_frames(one(), items=table)
    space = FeatureSpace.of(dataset)
    assert space.names == ("Tea", "2")
    model = RecoNet(space, 4)
    told = explain(model, space.profile(items=[0, 1]), 1).table()
    assert sorted(told.feature) == ["2", "Tea"]
    packed = live.pack(model, mean_profile(space.profiles(dataset.interactions), space.m))
    assert json.loads(live.written(packed))["names"] == ["Tea", "2"]


def test_a_page_s_model_is_json_or_an_error() -> None:
    with pytest.raises(ValueError, match="Out of range float values are not JSON"):
        live.written({"names": [float("nan")]})
    with pytest.raises(ValueError, match="items: row 1 has no title"):
        data.Catalogue(pd.DataFrame({"title": ["Tea", None], "category": "-"}))


SETS: dict[str, tuple[list[object], list[set[str]]]] = {
    "bars": (["Action|Drama", " Drama "], [{"Action", "Drama"}, {"Drama"}]),
    "bars with spaces": (["Action | War, old", "War"], [{"Action", "War, old"}, {"War"}]),
    "semicolons": (["Action; Drama", ""], [{"Action", "Drama"}, set()]),
    "commas": (["Action, Drama", None], [{"Action", "Drama"}, set()]),
    "no genres": (["(no genres listed)", "Drama"], [set(), {"Drama"}]),
    "lists": ([["Action", " Drama"], ["Drama"]], [{"Action", "Drama"}, {"Drama"}]),
    "sets and tuples": ([{"Action"}, ("Drama", None)], [{"Action"}, {"Drama"}]),
    "arrays": ([np.array(["Action"]), np.nan], [{"Action"}, set()]),
    "Python in text": (["['Action', 'Drama']", "[]"], [{"Action", "Drama"}, set()]),
    "JSON in text": (['["Action", null]', '["Drama"]'], [{"Action"}, {"Drama"}]),
    "objects in text": (["[{'id': 18, 'name': 'Drama'}]", "[]"], [{"Drama"}, set()]),
    "numbers": ([1.0, 2.0], [{"1"}, {"2"}]),
}  # fmt: skip


@pytest.mark.parametrize("kind", SETS)
def test_cells_of_several_are_read_as_files_write_them(kind: str) -> None:
    cells, right = SETS[kind]
    items = pd.DataFrame({"item": [1, 2], "genres": pd.Series(cells, dtype=object)})
    found = data.from_frames(one(), items=items, item_sets={"genres": "g"}).interactions
    names = [set(found.item_features.of(item)) for item in range(2)]
    assert names == [{f"g: {each}" for each in members} for members in right]
    assert set(found.item_features.names) == {f"g: {each}" for each in set.union(*right)}


@pytest.mark.parametrize("cells", [["a|b", "c;d"], [{"a": 1}, "b"], [[["a"]], ["b"]]])
def test_cells_that_can_be_read_in_two_ways_are_refused(cells: list[object]) -> None:
    with pytest.raises(
        ValueError, match=r"genres: ('c;d' has no '\|'|a cell holds .*, no list of)"
    ):
        data.Features.from_sets(pd.Series(cells, name="genres"), "g")


@pytest.mark.parametrize("zero, unit", [(0, 1), (False, True), ("0", "1"), (0.0, 1.0)])
def test_columns_of_nought_and_one_are_flags(zero: object, unit: object) -> None:
    table = pd.DataFrame({"Action": [unit, zero, None], "Drama": [unit, unit, zero]}, dtype=object)
    features = data.Features.from_columns(table, {"Action": "genre", "Drama": "Drama"})
    assert features.names == ("genre: Action", "Drama")
    assert features.matrix.toarray().tolist() == [[1, 1], [0, 1], [0, 0]]


def test_features_of_one_name_are_one_feature() -> None:
    table = pd.DataFrame({"first": ["Action", " Drama"], "second": ["Drama", ""]})
    features = data.Features.from_columns(table, {"first": "genre", "second": "genre"})
    assert features.names == ("genre: Action", "genre: Drama")
    assert features.matrix.toarray().tolist() == [[1, 1], [0, 1]]
    with pytest.raises(ValueError, match=r"'first' holds no single values .*belong in item_sets"):
        data.Features.from_columns(pd.DataFrame({"first": [("a",), ("b",)]}), {"first": "genre"})


# ------------------------------------------------------------------------- from table to reason


def movielens_100k_like() -> data.Dataset:
    """Ratings with integer ids from 1, genres between bars, users with string ids."""
    rng = np.random.default_rng(0)
    users = [f"user-{n}" for n in range(1, 31)]
    rated = rng.random((30, 20)) < 0.4
    user, item = rated.nonzero()
    return data.from_frames(
        pd.DataFrame(
            {
                "user": [users[n] for n in user],
                "item": item + 1,
                "value": rng.integers(1, 6, len(user)),
                "time": rng.integers(1000, size=len(user)),
            }
        ),
        items=pd.DataFrame(
            {
                "item": range(1, 21),
                "title": [f"Film {n} (1997)" for n in range(1, 21)],
                "genres": rng.choice(["Action|Sci-Fi", "Drama", "Comedy|Drama", ""], 20),
            }
        ),
        users=pd.DataFrame({"user": users, "gender": rng.choice(["M", "F"], 30)}),
        item_sets={"genres": "genre"},
        user_columns={"gender": "gender"},
        name="ratings",
    )


def test_ratings_become_a_trained_model_and_an_explanation() -> None:
    dataset = movielens_100k_like()
    parts = data.split(data.implicit(dataset.interactions, threshold=3), seed=0)
    space = FeatureSpace.of(dataset, parts.train)
    model = RecoNet(space, d=8)
    history = fit(
        model,
        RemovedItems(parts.train, space, batch_size=16),
        cross_entropy,
        Optimisation(epochs=30, learning_rate=0.02),
    )
    assert history.loss[-1] < history.loss[0]
    profile = space.profiles(parts.train).rows(4, 5)
    items, activations = recommend(model, profile, k=3)
    assert not set(items.tolist()) & set(parts.train.history(4).tolist())
    explanation = explain(model, profile, int(items[0]))
    assert explanation.output == pytest.approx(float(activations[0]), rel=1e-4)
    assert explanation.table().relevance.sum() == pytest.approx(explanation.output, rel=1e-4)
    kinds = set(explanation.table().kind)
    assert kinds == {"item", "item attribute", "user attribute"}


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (["['Action' 'Drama']", "['Drama']", "[]"], ["g: Action", "g: Drama"]),  # NumPy's spelling
        (["set()", "{'Drama'}", "Action"], ["g: Action", "g: Drama"]),
        ([r"\N", "Drama", "N/A"], ["g: Drama"]),
    ],
)
def test_lists_are_read_as_other_programs_write_them(cells: list[str], names: list[str]) -> None:
    events = pd.DataFrame({"user": ["u"] * 3, "item": list("xyz")})
    items = pd.DataFrame({"item": list("xyz"), "g": cells})
    features = data.from_frames(
        events, items=items, item_sets={"g": "g"}
    ).interactions.item_features
    assert sorted(features.names) == names


def test_a_list_that_is_cut_off_is_refused() -> None:
    events = pd.DataFrame({"user": ["u"], "item": ["x"]})
    items = pd.DataFrame({"item": ["x"], "g": ["['Action', 'Dra"]})
    with pytest.raises(ValueError, match="a list that is cut off"):
        data.from_frames(events, items=items, item_sets={"g": "g"})


@pytest.mark.parametrize("words", [("no", "yes"), ("FALSE", "TRUE"), ("0.0", "1.0")])
def test_a_flag_has_a_feature_for_its_ones_however_it_is_spelled(words: tuple[str, str]) -> None:
    events = pd.DataFrame({"user": ["u", "u"], "item": ["x", "y"]})
    items = pd.DataFrame({"item": ["x", "y"], "vegan": list(words)})
    features = data.from_frames(events, items=items, item_columns={"vegan": "vegan"}).interactions
    assert features.item_features.names == ("vegan",)
    assert features.item_features.of(1) == ["vegan"] and not features.item_features.of(0)


def test_what_else_is_known_of_the_items_goes_to_the_catalogue() -> None:
    found = data.from_frames(one(), images=np.zeros((2, 3, 2, 2), np.uint8), notes=["a day"])
    assert found.catalogue.images is not None and found.catalogue.images[0].shape == (3, 2, 2)
    assert found.notes[0] == "a day" and found.notes[1].startswith("events:")
    with pytest.raises(ValueError, match="images: 3 pictures for 2 items"):
        data.from_frames(one(), images=np.zeros((3, 3, 2, 2), np.uint8))
