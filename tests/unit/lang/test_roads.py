"""What is derived from a map."""

import numpy as np
import pytest

from kerbstone.lang.roads import are_paired, road_of
from kerbstone.scene import LaneKind, Map, MapBuilder, PieceKind, Tristate, arc_length
from roads import WIDTH, crossing_road, curved_road, roundabout_road, straight_road


def bare(lines, **options) -> Map:
    town = MapBuilder()
    for name, line in lines.items():
        centre = town.add_piece(PieceKind.LANE_CENTRE, line)
        town.add_lane(name, LaneKind.VEHICLE, centre, width=WIDTH, **options)
    return town.build("bare")


def beside(road, side):
    row, column = getattr(road.sides, side).toarray().nonzero()
    ids = road.lanes.ids
    return {(ids[a], ids[b]) for a, b in zip(row, column, strict=True)}


def test_a_road_is_derived_once_for_a_map():
    town = crossing_road()
    assert road_of(town) is road_of(town)
    assert road_of(crossing_road()) is not road_of(town)


@pytest.mark.parametrize("make", [straight_road, crossing_road, curved_road, roundabout_road])
def test_lengths_are_those_of_the_centre_lines(make):
    town = make()
    expected = [arc_length(town.centre_line(lane))[-1] for lane in range(len(town.lanes))]
    np.testing.assert_allclose(road_of(town).length, expected)


def test_lanes_named_as_neighbours_are_told_apart_by_direction():
    road = road_of(straight_road(lanes=4))
    assert ("east 2 0", "east 1 0") in beside(road, "left")
    assert ("east 1 0", "east 2 0") in beside(road, "right")
    assert ("east 1 0", "west 1 3") in beside(road, "opposite")
    assert not any(a[:4] != b[:4] for a, b in beside(road, "left") | beside(road, "right"))


def test_lanes_that_lie_side_by_side_are_found_without_names():
    lines = {
        "a": [[0, 0], [100, 0]],
        "b": [[0, WIDTH], [100, WIDTH]],
        "c": [[100, 2 * WIDTH], [0, 2 * WIDTH]],
        "far": [[0, -20], [100, -20]],
        "across": [[50, -60], [50, -40]],
    }
    road = road_of(bare(lines, in_intersection=Tristate.NO))
    assert beside(road, "left") == {("a", "b")}
    assert beside(road, "right") == {("b", "a")}
    assert beside(road, "opposite") == {("b", "c"), ("c", "b")}
    assert road.groups[0] == road.groups[1]
    assert len(set(road.groups.tolist())) == 4


def test_lanes_through_an_intersection_are_no_neighbours_by_where_they_lie():
    lines = {"a": [[0, 0], [20, 0]], "b": [[0, WIDTH], [20, WIDTH]]}
    road = road_of(bare(lines, in_intersection=Tristate.YES))
    assert not beside(road, "left")


def test_lanes_that_cross_lead_through_an_intersection_if_the_map_leaves_it_open():
    lines = {"a": [[-20, 0], [20, 0]], "b": [[0, -20], [0, 20]], "c": [[20, 0], [50, 0]]}
    assert road_of(bare(lines)).is_inside.tolist() == [True, True, False]
    told = bare(lines, in_intersection=Tristate.NO)
    assert road_of(told).is_inside.tolist() == [False] * 3


def test_reach_is_the_shortest_way_along_the_lanes():
    town = crossing_road()
    road, ids = road_of(town), town.lanes.ids
    start = np.array([ids.index("west in")])
    ahead = road.reach(start, limit=300.0)[0]
    expected = road.length[start[0]] + road.length[ids.index("west left")]
    assert ahead[ids.index("north out")] == pytest.approx(expected)
    assert np.isinf(ahead[ids.index("west out")])
    back = road.reach(np.array([ids.index("north out")]), limit=300.0, is_backward=True)[0]
    assert back[start[0]] == pytest.approx(expected)
    assert np.isinf(road.reach(start, limit=50.0)[0][ids.index("north out")])


def test_a_lane_change_leads_to_a_neighbour_or_to_one_next_to_it():
    town = straight_road(lanes=4)
    road, ids = road_of(town), town.lanes.ids
    old = np.array([ids.index("east 1 1")] * 4)
    new = np.array([ids.index(f"east 2 {part}") for part in (0, 1, 2, 3)])
    assert are_paired(road.changes, old, new).tolist() == [True, True, True, False]


def test_a_map_without_lanes_has_none():
    town = MapBuilder()
    town.add_piece(PieceKind.CROSSWALK, [[0, 0], [4, 0], [4, 4], [0, 0]])
    road = road_of(town.build("empty"))
    assert not road.is_driven.any()
    assert road.crosswalks.holds(np.array([[3.0, 1.0], [9, 9]])).tolist() == [True, False]
    assert not road.sidewalks


def test_what_is_kept_of_the_way_ahead_is_what_would_be_searched():
    road = road_of(crossing_road())
    for lanes in ([0, 3, 5], [5, 1, 3, 2], []):
        rows = np.array(lanes, np.int64)
        for limit in (40.0, 200.0):
            expected = road.reach(rows, limit=limit)
            np.testing.assert_array_equal(road.onward(rows, limit=limit), expected)
