"""Coverage: occurrences, exposures, groups and what could not be searched."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerbstone.errors import InputError, UsageError
from kerbstone.lang.library import parse_library
from kerbstone.mine import coverage as module
from kerbstone.mine.coverage import measure_coverage
from kerbstone.mine.occurrences import Occurrences, merge_by_witness
from kerbstone.mine.rates import poisson_interval
from streets import put_scenes, street

LIBRARY = {
    scenario.name: scenario
    for scenario in parse_library(
        """
        scenario braking_hard(vehicle v): "Brakes." deceleration(v) > 4 m/s2
        scenario close_to_ego(vehicle v): "Close to ego." distance(v, ego) < 30 m
        scenario two_cars(vehicle a, vehicle b): "Two near." distance(a, b) < 26 m
        scenario flying(vehicle v): "Never." speed(v) > 300 m/s
        """
    )
}


def measure(store, *names, **options):
    found = measure_coverage(store, names, scenarios=LIBRARY, **options)
    return found, {(row.scenario, row.group): row for row in found.rows}


def test_occurrences_are_counted_over_the_time_and_way_of_their_group(streets):
    found, rows = measure(streets, "braking_hard")
    assert found.distance == "ego"
    assert list(rows) == [("braking_hard", group) for group in ("all", "Here", "There")]
    one = rows["braking_hard", "all"]
    # The leader of one scene brakes once; there are six scenes of ten seconds.
    assert (one.count, one.scenes) == (1, 6)
    assert one.per_hour.exposure == pytest.approx(60 / 3600)
    assert one.per_hour.rate == pytest.approx(60.0)
    assert one.per_hour.high == pytest.approx(poisson_interval(1)[1] * 60)
    table = streets.scenes(["ego_distance"]).column("ego_distance").to_pylist()
    assert one.per_1000_km.exposure == pytest.approx(sum(table) / 1e6)
    assert rows["braking_hard", "There"].count == 0
    assert rows["braking_hard", "There"].per_hour.high == pytest.approx(3.689 * 120, rel=1e-3)


def test_groups_add_up_to_everything(streets):
    _, rows = measure(streets)
    for name in LIBRARY:
        parts = [rows[name, group] for group in ("Here", "There")]
        assert sum(row.count for row in parts) == rows[name, "all"].count
        hours = sum(row.per_hour.exposure for row in parts)
        assert hours == pytest.approx(rows[name, "all"].per_hour.exposure)


def test_pairs_count_once_for_each_main_witness(streets):
    crowd = street("crowd/0", lead=20.0, oncoming=0, log="crowd")
    put_scenes(streets, "crowd", crowd, dataclasses.replace(crowd, id="crowd/1"))
    _, rows = measure(streets, "two_cars", where="log = 'crowd'")
    # In each scene ego is near the leader, and the leader near ego, all the time.
    assert (rows["two_cars", "all"].scenes, rows["two_cars", "all"].count) == (2, 4)


def test_a_scenario_about_ego_has_no_exposure_where_there_is_none(streets):
    blind = dataclasses.replace(street("blind/0", log="blind", town="Blind"), ego=None)
    put_scenes(streets, "blind", blind)
    found, rows = measure(streets, "close_to_ego", "braking_hard")
    assert found.distance == "agents"
    blind_row = rows["close_to_ego", "Blind"]
    assert (blind_row.scenes, blind_row.per_hour.rate, blind_row.per_hour.high) == (0, None, None)
    assert rows["close_to_ego", "all"].scenes == 6
    assert rows["braking_hard", "all"].scenes == 7


@pytest.mark.parametrize(
    ("by", "groups"),
    [("town", ["all", "Here", "There"]), ("dataset", ["all", "made"]), ("none", ["all"])],
)
def test_scenes_are_grouped_as_asked(streets, by, groups):
    found, _ = measure(streets, "flying", by=by)
    assert [row.group for row in found.rows] == groups


def test_a_scene_without_a_town_is_of_an_unknown_one(store):
    put_scenes(store, "a", street("a", town=""))
    found, _ = measure(store, "flying")
    assert [row.group for row in found.rows] == ["all", "unknown"]


def test_a_scene_that_cannot_be_searched_is_listed_and_does_not_count(streets, monkeypatch):
    real = module.find_occurrences

    def fail(query, store, **options):
        found = real(query, store, **options)
        error = InputError("store-damaged", "rows of a scene are gone")
        left = {scene: spans for scene, spans in found.spans.items() if scene != "brake/0"}
        return Occurrences(left, (("brake/0", error),))

    monkeypatch.setattr(module, "find_occurrences", fail)
    found, rows = measure(streets, "braking_hard")
    assert [(name, scene) for name, scene, _ in found.failed] == [("braking_hard", "brake/0")]
    assert (rows["braking_hard", "all"].scenes, rows["braking_hard", "all"].count) == (5, 0)
    assert found.to_dict()["failed"][0]["code"] == "store-damaged"


def test_what_is_not_known_is_told(streets):
    with pytest.raises(InputError, match="no scenario 'breaking_hard'") as caught:
        measure(streets, "breaking_hard")
    assert "braking_hard" in caught.value.remedy
    with pytest.raises(UsageError, match="grouped"):
        measure(streets, "flying", by="country")
    with pytest.raises(InputError, match="no scene"):
        measure(streets, "flying", where="town = 'Nowhere'")


def test_progress_tells_the_scenarios(streets):
    told = []
    measure(streets, on_start=told.append, on_result=told.append)
    assert told == [4, *sorted(LIBRARY)]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(1, 5)), max_size=10)
)
def test_merged_occurrences_of_a_witness_lie_more_than_a_second_apart(given_matches):
    matches = [(name, float(start), float(start + length)) for name, start, length in given_matches]
    merged = merge_by_witness(matches)
    assert merged == sorted(merged)
    assert len(merged) <= len(matches)
    for name in "ab":
        own = merge_by_witness([match for match in matches if match[0] == name])
        assert all(later[0] - earlier[1] > 1.0 for earlier, later in pairwise(own))
    total = sum(end - start for start, end in merged)
    assert total >= max((end - start for _, start, end in matches), default=0.0)
    assert np.isfinite(total)
