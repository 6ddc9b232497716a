"""What is kept of a scene is exactly what would be derived, and is derived once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerbstone.lang import Facts, evaluate, facts, known_signals
from kerbstone.lang.bindings import CLOSEST, closest
from kerbstone.lang.leaders import leaders_of
from kerbstone.lang.library import prepare
from kerbstone.lang.ranges import key_of, measure_range
from kerbstone.lang.signals.changes import changes_of
from kerbstone.lang.signals.places import is_in_intersection
from kerbstone.mine import index_store, search_store
from kerbstone.mine.search.columns import (
    DERIVED,
    RANGES,
    SIGNALS,
    Columns,
    derive_columns,
    missing_columns,
)
from kerbstone.store import Store
from scenes import random_scene
from streets import damage_scene, put_scenes, street

PLACES = [
    "vehicle v, vehicle w: following(v, w) and gap(v, w) < 40 m",
    "vehicle v: changing_lane(v) or lane_offset(v) > -0.3 m",
    'any a: on_crosswalk(a) or lane_kind(a, "bicycle") or on_sidewalk(a)',
    "any a: distance_to_crosswalk(a) < 10 m and not off_road(a)",
    "any a: occluded(a) or visible_share(a) < 0.9",
    "vehicle v, vehicle w: following(v, w) and time_headway(w, v) < 4 s",
    "vehicle v, any w: time_to_collision(v, w) < 3 s and not touching(v, w)",
    "vehicle v: overtaking(v, ego) or distance(v, ego) < 10 m",
]


@pytest.fixture
def derived(monkeypatch):
    """Whose lanes are really derived."""
    count = []
    find = facts.find_stays

    def note(*arguments):
        count.append(1)
        return find(*arguments)

    monkeypatch.setattr(facts, "find_stays", note)
    return count


def parts_of(store: Store) -> dict[str, int]:
    rows = store.scenes(["id", "part"]).to_pylist()
    return {row["id"]: row["part"] for row in rows}


def assert_same_stays(one, other) -> None:
    for name in ("number", "agent", "lane", "first", "last"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for name in ("lane", "s", "d", "heading"):
        assert getattr(one.places, name).tobytes() == getattr(other.places, name).tobytes()
    for name in ("point", "lane", "s", "d", "heading", "half_width"):
        np.testing.assert_array_equal(
            getattr(one.candidates, name), getattr(other.candidates, name)
        )


def test_every_column_is_a_signal_of_one_road_user_or_of_two():
    signals = known_signals()
    for name in SIGNALS:
        assert (signals[name].agents, signals[name].texts) == (1, 0), name
    for name in RANGES:
        assert (signals[name].agents, signals[name].texts) == (2, 0), name


def test_an_index_makes_every_column_and_a_second_one_none(streets):
    first, told = index_store(streets), []
    assert (first.scenes, first.known, first.failed) == (6, 0, ())
    again = index_store(streets, on_start=told.append)
    assert (again.known, again.run, told) == (6, "", [0])
    assert missing_columns(streets, list(parts_of(streets).values())) == {}
    (run,) = [row for row in streets.runs().to_pylist() if row["command"] == "index"]
    assert (run["id"], run["outcome"]) == (first.run, "done")


def test_columns_hold_what_would_be_derived(streets):
    index_store(streets)
    parts = parts_of(streets)
    columns = Columns(streets, parts.values())
    for name, scene in streets.read(parts):
        kept, fresh = columns.facts(scene, parts[name]), Facts(scene)
        assert_same_stays(kept.stays, fresh.stays)
        for signal in SIGNALS:
            measure = known_signals()[signal].measure
            got = kept.keep((signal, ()), lambda: pytest.fail("it was not kept"))
            want = measure(fresh)
            np.testing.assert_array_equal(got, want, err_msg=signal)
        for key, derive in {
            "leaders": leaders_of,
            "in intersection": is_in_intersection,
            "lane changes": changes_of,
        }.items():
            got = kept.keep(key, lambda: pytest.fail("it was not kept"))
            np.testing.assert_array_equal(np.array(got), np.array(derive(fresh)))
            assert fresh.has(key)


def test_how_near_road_users_come_is_kept_exactly(streets):
    index_store(streets)
    parts = parts_of(streets)
    columns = Columns(streets, parts.values())
    for name, scene in streets.read(parts):
        kept = columns.facts(scene, parts[name]).keep(CLOSEST, lambda: pytest.fail("not kept"))
        everyone = np.arange(len(scene.agents))
        fresh = closest(Facts(scene), everyone, everyone)
        np.testing.assert_array_equal(np.stack([kept[row] for row in everyone.tolist()]), fresh)


def test_ranges_are_kept_rounded_outwards_and_by_little(streets):
    index_store(streets)
    parts = parts_of(streets)
    columns = Columns(streets, parts.values())
    scene = streets.scene("walk/0")
    kept = columns.facts(scene, parts["walk/0"])
    for name in RANGES:
        signal = known_signals()[name]
        known, exact = kept.keep(key_of(signal), lambda: None), measure_range(signal, Facts(scene))
        assert (known.low <= exact.low).all(), name
        assert (known.high >= exact.high).all(), name
        np.testing.assert_allclose(known.low, exact.low, rtol=3e-7, atol=1e-30)
        np.testing.assert_allclose(known.high, exact.high, rtol=3e-7, atol=1e-30)
        np.testing.assert_array_equal(known.is_known, exact.is_known)


@pytest.mark.parametrize("text", PLACES)
def test_a_query_answers_the_same_with_an_index_as_without(streets, text):
    query = prepare(text)
    without = search_store(query, streets).answers
    streets.forget("answers", "true")
    streets.forget("columns", "true")
    index_store(streets)
    found = search_store(query, streets).answers
    assert (without.robustness > 0).any()
    for name, values in vars(without).items():
        np.testing.assert_array_equal(getattr(found, name), values, err_msg=name)


def test_a_search_derives_lanes_once_and_an_index_spares_it_that(streets, derived):
    search_store(prepare(PLACES[0]), streets)
    assert len(derived) == 6
    search_store(prepare(PLACES[1]), streets)
    assert len(derived) == 6
    put_scenes(streets, "more", street("more/0", log="more"))
    assert index_store(streets).known == 0, "other columns were missing"
    derived.clear()
    search_store(prepare("vehicle v: lane_offset(v) > 0.1 m"), streets)
    assert derived == []


def test_workers_index_the_same_as_one_process(streets):
    index_store(streets, workers=2)
    two = {(row["scene_part"], row["name"]): row for row in streets.cached("columns", "true")}
    streets.forget("columns", "true")
    index_store(streets)
    one = {(row["scene_part"], row["name"]): row for row in streets.cached("columns", "true")}
    assert one.keys() == two.keys()
    assert all(one[key]["checksum"] == two[key]["checksum"] for key in one)


def test_columns_of_other_code_are_neither_used_nor_left(streets, monkeypatch):
    index_store(streets)
    monkeypatch.setattr("kerbstone.mine.search.columns.language_version", lambda: "another")
    assert index_store(streets).known == 0
    versions = {row["version"] for row in streets.cached("columns", "true")}
    assert [version.split("-")[0] for version in versions] == ["another"]


def test_a_condition_chooses_what_is_indexed(streets):
    assert index_store(streets, where="town = 'There'").scenes == 3
    assert index_store(streets).known == 3


def test_a_scene_without_a_map_has_nothing_to_keep_and_is_done(store):
    put_scenes(store, "plain", random_scene(1, has_map=False, has_sensors=False))
    index_store(store)
    assert index_store(store).known == 1
    assert search_store(prepare("any a: on_lane(a)"), store).answers.total.sum() == 0


def test_a_damaged_scene_is_listed_and_the_rest_is_indexed(streets):
    damage_scene(streets, "brake/0")
    report = index_store(Store.open(streets.uri))
    assert len(report.failed) == 1
    assert [row["outcome"] for row in streets.runs().to_pylist()] == ["partial"]
    assert len({row["scene_part"] for row in streets.cached("columns", "true")}) == 5


class Memory(Store):
    """A store that keeps the rows of its columns to itself."""

    pinned = None

    def __init__(self) -> None:
        self.rows = []
        self.read = set()

    def append(self, table, rows):  # noqa: ARG002
        self.rows += rows

    def cached(self, table, filter):  # noqa: A002, ARG002 - as the store calls it
        found = [row for row in self.rows if f"'{row['name']}'" in filter]
        self.read |= {row["name"] for row in found}
        return found


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_columns_of_any_scene_come_back_as_they_were(seed):
    scene = random_scene(seed, agents=4, steps=30, has_sensors=False)

    memory = Memory()
    columns = Columns(memory, [1])
    known = columns.facts(scene, 1)
    derive_columns(known)
    columns.take(known, 1)
    columns.write()
    kept = Columns(memory, [1]).facts(scene, 1)
    if known.stays is None:
        assert kept.stays is None
    else:
        assert_same_stays(kept.stays, known.stays)
    assert {row["name"] for row in memory.rows} == set(DERIVED)
    if known.routes is None:
        assert kept.routes is None
    else:
        for name in ("of_stay", "number", "lane", "ahead"):
            one, other = (getattr(facts.routes, name) for facts in (kept, known))
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
    for name, column in DERIVED.items():
        one, other = (facts.keep(column.key, lambda: None) for facts in (kept, known))
        if name in ("stays", "routes"):
            continue
        if one is None:
            # What is not kept for its fill, is derived again.
            assert not len(next(row for row in memory.rows if row["name"] == name)["shape"])
        else:
            np.testing.assert_array_equal(np.array(one), np.array(other))
    assert memory.read == set(DERIVED)


def test_evaluation_takes_what_is_stored_and_nothing_else():
    stored, plain = Facts(street("a"), stored=lambda _facts, _key: None), Facts(street("a"))
    query = prepare(PLACES[0])
    np.testing.assert_array_equal(
        evaluate(query, stored).robustness, evaluate(query, plain).robustness
    )
