"""The lanes a car follows."""

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.plan.roads import Road, find_neighbours, find_route
from kerbstone.scene import LaneKind, MapBuilder, PieceKind, arc_length
from roads import (
    crossing_road,
    curved_road,
    merging_road,
    roundabout_road,
    straight_road,
    way_through,
)

CROSSING = Road(crossing_road())
STRAIGHT = Road(straight_road(lanes=4))
BEFORE = np.array([-40.0, -1.75])


def names(road, route):
    return [road.map.lanes.ids[lane] for lane in route.lanes]


def test_at_a_fork_one_goes_straight_on():
    route = find_route(CROSSING, BEFORE, 0.0, ahead=100.0)
    assert names(CROSSING, route) == ["west in", "west through", "east out"]


@pytest.mark.parametrize(
    ("way", "out"), [("left", "north"), ("right", "south"), ("through", "east")]
)
def test_at_a_fork_one_goes_where_the_record_went(way, out):
    future = way_through("west", way)[1:]
    route = find_route(CROSSING, BEFORE, 0.0, ahead=100.0, future=future)
    assert names(CROSSING, route) == ["west in", f"west {way}", f"{out} out"]


def test_a_record_that_ends_before_the_fork_leaves_it_to_the_straightest_way():
    future = np.stack([np.linspace(-39, -20, 10), np.full(10, -1.75)], axis=-1)
    route = find_route(CROSSING, BEFORE, 0.0, ahead=100.0, future=future)
    assert names(CROSSING, route)[1] == "west through"


def test_a_record_that_is_not_known_is_left_out():
    route = find_route(CROSSING, BEFORE, 0.0, ahead=60.0, future=np.full((5, 2), np.nan))
    assert names(CROSSING, route)[1] == "west through"


def test_a_car_in_the_crossing_keeps_to_the_movement_it_is_making():
    place, heading = np.array([-4.5, -0.5]), np.deg2rad(35)
    future = way_through("west", "left")[-1:]
    route = find_route(CROSSING, place, heading, ahead=40.0, future=future)
    assert names(CROSSING, route)[-2:] == ["west left", "north out"]


def test_the_route_reaches_as_far_as_asked_and_begins_behind_the_car():
    route = find_route(STRAIGHT, np.array([-30.0, -1.75]), 0.0, ahead=90.0, behind=12.0)
    assert route.start == pytest.approx(12.0)
    assert route.length == pytest.approx(102.0)
    assert route.line[0].tolist() == pytest.approx([-42.0, -1.75])
    assert arc_length(route.line)[-1] == pytest.approx(route.length)


def test_where_the_lanes_end_the_route_ends():
    route = find_route(STRAIGHT, np.array([150.0, -1.75]), 0.0, ahead=90.0)
    assert route.length - route.start == pytest.approx(50.0)


def test_lanes_begin_where_the_route_says():
    route = find_route(STRAIGHT, np.array([-30.0, -1.75]), 0.0, ahead=90.0)
    for lane, begin in zip(route.lanes, route.lane_start, strict=True):
        first = STRAIGHT.map.centre_line(int(lane))[0, 0]
        assert first - (-40.0) == pytest.approx(begin)


def test_the_way_back_follows_the_lanes_before():
    route = find_route(CROSSING, np.array([16.0, -1.75]), 0.0, ahead=30.0, behind=20.0)
    assert names(CROSSING, route) == ["west through", "east out"]


def test_both_lanes_of_a_merge_lead_onward():
    road = Road(merging_road())
    route = find_route(road, np.array([-60.0, -8.0]), 0.15, ahead=120.0)
    assert names(road, route) == ["slip", "onward"]


def test_a_roundabout_can_be_driven_round_and_round():
    road = Road(roundabout_road())
    ring = np.array([15.0, 0.0]) @ np.array([[0.966, 0.259], [-0.259, 0.966]])
    circle = 15.0 * np.column_stack([np.cos(t := np.linspace(0.3, 6.0, 60)), np.sin(t)])
    route = find_route(road, ring, np.pi / 2 + 0.26, ahead=85.0, future=circle)
    assert [name.split()[0] for name in names(road, route)[-4:]] == ["ring"] * 4


def test_a_given_route_is_taken():
    lanes = ["west in", "west right", "south out"]
    route = find_route(CROSSING, BEFORE, 0.0, ahead=80.0, lanes=lanes)
    assert names(CROSSING, route) == lanes


def test_a_goal_is_reached_by_the_lanes_that_lead_there():
    route = find_route(CROSSING, BEFORE, 0.0, ahead=80.0, goal="north out")
    assert names(CROSSING, route) == ["west in", "west left", "north out"]


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ({"lanes": ["west in", "north out"]}, "reference", "does not follow"),
        ({"lanes": ["west inn"]}, "name", "no lane 'west inn'"),
        ({"lanes": []}, "empty", "without lanes"),
        ({"goal": "west in"}, None, ""),
        ({"goal": "south in"}, "reference", "cannot be reached"),
    ],
)
def test_a_route_that_cannot_be_is_an_error(given, code, message):
    if code is None:
        assert find_route(CROSSING, BEFORE, 0.0, ahead=20.0, **given).lanes.size
        return
    with pytest.raises(InputError, match=message) as caught:
        find_route(CROSSING, BEFORE, 0.0, ahead=80.0, **given)
    assert caught.value.code == code
    assert caught.value.where


def test_a_misspelt_lane_is_offered_its_nearest_name():
    with pytest.raises(InputError) as caught:
        find_route(CROSSING, BEFORE, 0.0, ahead=80.0, goal="north outt")
    assert "'north out'" in caught.value.remedy


@pytest.mark.parametrize(
    ("place", "heading", "why"),
    [
        ([-40.0, -30.0], 0.0, "away"),
        ([-40.0, -5.25], np.pi, "another way"),
    ],
)
def test_a_car_on_no_lane_that_leads_its_way_is_an_error(place, heading, why):
    with pytest.raises(InputError, match="on no lane") as caught:
        find_route(STRAIGHT, np.array(place), heading, ahead=50.0)
    assert caught.value.code == "value"
    assert why in caught.value.why
    assert caught.value.remedy


def test_a_car_that_overtakes_on_the_other_side_still_has_its_own_lane():
    route = find_route(CROSSING, np.array([-40.0, 1.0]), 0.0, ahead=50.0)
    assert names(CROSSING, route)[0] == "west in"


def test_a_car_a_little_beside_its_lane_is_still_on_it():
    route = find_route(CROSSING, np.array([-40.0, -4.5]), 0.0, ahead=50.0)
    assert names(CROSSING, route)[0] == "west in"


@pytest.mark.parametrize("pose", [([np.nan, 0.0], 0.0), ([0.0, 0.0], np.nan), ([np.inf, 0.0], 0.0)])
def test_a_pose_that_is_not_finite_is_an_error(pose):
    with pytest.raises(InputError, match="where the car is") as caught:
        find_route(CROSSING, np.array(pose[0]), pose[1], ahead=50.0)
    assert caught.value.code == "geometry"


def test_a_map_with_areas_alone_has_no_lanes_to_follow():
    town = MapBuilder()
    town.add_piece(PieceKind.DRIVABLE_AREA, [[0, 0], [9, 0], [9, 9], [0, 0]])
    with pytest.raises(InputError, match="on no lane") as caught:
        find_route(Road(town.build("lot")), np.array([5.0, 2.0]), 0.0, ahead=5.0)
    assert "no lanes" in caught.value.why


def test_neighbours_are_those_that_lead_the_same_way():
    ids = STRAIGHT.map.lanes.ids
    left, right = find_neighbours(STRAIGHT, ids.index("east 1 1"))
    assert left.size == 0
    assert [ids[lane] for lane in right] == ["east 2 1"]
    left, right = find_neighbours(STRAIGHT, ids.index("east 2 1"))
    assert [ids[lane] for lane in left] == ["east 1 1"]


def test_neighbours_that_name_one_another_in_a_circle_are_told_once():
    town = MapBuilder()
    for name, y, left in (("a", 0.0, "b"), ("b", 3.5, "c"), ("c", 7.0, "a")):
        centre = town.add_piece(PieceKind.LANE_CENTRE, [[0, y], [50, y]])
        town.add_lane(name, LaneKind.VEHICLE, centre, left=left, width=3.5)
    left, right = find_neighbours(Road(town.build("odd")), 0)
    assert left.tolist() == [1, 2]
    assert right.size == 0


def test_a_curve_is_followed_on_its_own_lane():
    road = Road(curved_road())
    route = find_route(road, np.array([33.5, 0.5]), np.pi / 2, ahead=60.0)
    assert np.hypot(*route.line.T) == pytest.approx(33.5, abs=0.01)
