"""Lane signals on hand-made roads."""

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.lang import Facts
from kerbstone.scene import DrivingSide, Kind, LaneKind, MapBuilder, PieceKind
from measures import holds, measure
from roads import (
    EAST,
    EAST_OUTER,
    RADIUS,
    STOP,
    WEST,
    WIDTH,
    Track,
    crossing_road,
    curved_road,
    drive,
    merging_road,
    ramp,
    roundabout_road,
    stage,
    stand,
    straight_road,
    walk,
    way_through,
)


def two(a, b, road=None, **options):
    return stage(road or straight_road(lanes=4), [Track("a", a), Track("b", b)], **options)


def test_on_a_lane_is_whose_centre_is_on_one():
    scene = stage(
        straight_road(),
        [
            Track("car", drive(EAST, start=50, speed=10)),
            Track("parked", stand(0, 4.7)),
            Track("walker", walk((0, 8), (0, -8)), Kind.PEDESTRIAN),
        ],
    )
    assert holds("on_lane", scene, "car").all()
    assert not holds("on_lane", scene, "parked").any()
    walks = scene.agents.centre[2, :, 1]
    assert (holds("on_lane", scene, "walker") == (np.abs(walks) <= WIDTH)).all()


def test_lane_kind_knows_bus_lanes_and_refuses_what_is_no_kind():
    town = MapBuilder()
    for name, kind, y in (("road", LaneKind.VEHICLE, 0.0), ("bus", LaneKind.BUS, 4.0)):
        line = town.add_piece(PieceKind.LANE_CENTRE, [[0, y], [100, y]])
        town.add_lane(name, kind, line, width=WIDTH)
    scene = stage(town.build("buses"), [Track("a", stand(5, 0)), Track("b", stand(5, 4))])
    assert holds("lane_kind", scene, "b", texts=("bus",)).all()
    assert not holds("lane_kind", scene, "a", texts=("bus",)).any()
    assert not holds("lane_kind", scene, "a", texts=("pedestrian",)).any()
    with pytest.raises(InputError, match="vehicle"):
        measure("lane_kind", scene, "a", texts=("vehicel",))


def test_a_lane_for_pedestrians_is_no_lane_to_drive_on():
    town = MapBuilder()
    line = town.add_piece(PieceKind.LANE_CENTRE, [[0, 0], [100, 0]])
    town.add_lane("path", LaneKind.PEDESTRIAN, line, width=WIDTH)
    line = town.add_piece(PieceKind.LANE_CENTRE, [[0, 10], [100, 10]])
    town.add_lane("road", LaneKind.VEHICLE, line, width=WIDTH)
    scene = stage(town.build("path"), [Track("a", stand(5, 0), Kind.PEDESTRIAN)])
    assert holds("lane_kind", scene, "a", texts=("pedestrian",)).all()
    assert holds("on_sidewalk", scene, "a").all()
    assert not holds("on_lane", scene, "a").any()


def test_lane_offset_is_positive_on_the_left_of_the_centre_line():
    scene = two(drive(EAST, start=50, speed=10, offset=0.6), drive(WEST, start=50, speed=10))
    np.testing.assert_allclose(measure("lane_offset", scene, "a"), 0.6)
    np.testing.assert_allclose(measure("lane_offset", scene, "b"), 0.0, atol=1e-9)


def test_lane_angle_is_the_heading_against_the_lane():
    scene = stage(straight_road(), [Track("a", stand(0, 1.75), heading=np.pi - 0.2)])
    np.testing.assert_allclose(measure("lane_angle", scene, "a"), -0.2)


def test_speed_limit_is_that_of_the_lane_and_undefined_beside_it():
    scene = two(drive(EAST, start=50, speed=10), stand(0, 12), straight_road(speed_limit=8.3))
    assert (measure("speed_limit", scene, "a") == 8.3).all()
    assert np.isnan(measure("speed_limit", scene, "b")).all()


def test_in_an_intersection_one_is_on_the_lane_that_it_follows():
    for way in ("through", "left", "right"):
        line = way_through("west", way)
        scene = stage(crossing_road(), [Track("a", drive(line, start=70, speed=8))])
        places = Facts(scene).places
        assert places is not None
        passed = [scene.map.lanes.ids[lane] for lane in dict.fromkeys(places.lane[0].tolist())]
        assert passed[:2] == ["west in", f"west {way}"]
        assert len(passed) == 3


def test_same_lane_reaches_across_the_borders_of_lanes_and_100_metres_along():
    a = drive(EAST, start=120, speed=10)
    assert holds("same_lane", two(a, drive(EAST, start=30, speed=10)), "a", "b").all()
    assert holds("same_lane", two(a, drive(EAST, start=30, speed=10)), "b", "a").all()
    assert not holds("same_lane", two(a, drive(EAST, start=15, speed=10)), "a", "b").any()
    assert not holds("same_lane", two(a, drive(EAST_OUTER, start=110, speed=10)), "a", "b").any()
    assert not holds("same_lane", two(a, drive(WEST, start=210, speed=10)), "a", "b").any()


def test_where_lanes_fork_the_way_that_is_taken_counts():
    waits = drive(way_through("west", "left"), start=120, speed=0)
    for way, is_same in (("left", True), ("through", False)):
        scene = two(waits, drive(way_through("west", way), start=60, speed=8), crossing_road())
        assert holds("same_lane", scene, "a", "b")[:20].all() == is_same


def test_left_and_right_lanes_run_in_the_same_direction():
    inner, outer = drive(EAST, start=120, speed=10), drive(EAST_OUTER, start=90, speed=10)
    scene = two(inner, outer)
    assert holds("left_lane", scene, "a", "b").all()
    assert not holds("right_lane", scene, "a", "b").any()
    assert holds("right_lane", scene, "b", "a").all()
    assert holds("adjacent_lane", scene, "a", "b").all()
    assert not holds("opposite_lane", scene, "a", "b").any()
    oncoming = two(inner, drive(WEST, start=200, speed=10))
    assert not holds("left_lane", oncoming, "b", "a").any()
    assert not holds("adjacent_lane", oncoming, "b", "a").any()


def test_the_opposite_lane_is_any_of_the_other_carriageway():
    for own in (EAST, EAST_OUTER):
        scene = two(drive(own, start=120, speed=10), drive(WEST, start=200, speed=5))
        assert holds("opposite_lane", scene, "b", "a").all()
        assert holds("opposite_lane", scene, "a", "b").all()
        assert not holds("same_road_side", scene, "a", "b").any()


def test_left_hand_traffic_has_its_oncoming_lane_on_the_right():
    inner = drive(WEST[::-1], start=120, speed=10)
    outer = drive(WEST[::-1], start=120, speed=10, offset=WIDTH)
    road = straight_road(lanes=4, left_hand=True)
    scene = two(inner, outer, road, side=DrivingSide.LEFT)
    assert holds("left_lane", scene, "b", "a").all()
    assert holds("right_lane", scene, "a", "b").all()
    oncoming = two(inner, drive(EAST[::-1], start=200, speed=5), road, side=DrivingSide.LEFT)
    assert holds("opposite_lane", oncoming, "b", "a").all()
    assert not holds("wrong_way", oncoming, "a").any()
    assert not holds("wrong_way", oncoming, "b").any()


def test_lanes_lie_beside_each_other_within_100_metres():
    a = drive(EAST, start=150, speed=10)
    for start, near in ((51, True), (49, False)):
        scene = two(a, drive(EAST_OUTER, start=start, speed=10))
        assert holds("left_lane", scene, "a", "b").all() == near
        assert holds("right_lane", scene, "b", "a").all() == near
        assert holds("same_road_side", scene, "a", "b").all() == near


def test_neighbours_are_found_where_the_map_names_none():
    town = MapBuilder()
    for name, ends, y in (("one", (0, 100), 0.0), ("two", (0, 100), 3.5), ("back", (100, 0), 7.0)):
        line = town.add_piece(PieceKind.LANE_CENTRE, [[ends[0], y], [ends[1], y]])
        town.add_lane(name, LaneKind.VEHICLE, line, width=WIDTH)
    tracks = [stand(50, 0), stand(40, 3.5), stand(50, 7)]
    scene = stage(town.build("bare"), [Track(n, p) for n, p in zip("abc", tracks, strict=True)])
    assert holds("left_lane", scene, "b", "a").all()
    assert holds("opposite_lane", scene, "c", "b").all()


def test_merging_lanes_are_different_ones_that_lead_into_one():
    a = drive(np.array([[-150.0, 0], [0, 0]]), start=130, speed=1)
    b = drive(np.array([[-60.0, -8], [-20, -1.5], [0, 0]]), start=15, speed=1)
    scene = two(a, b, merging_road())
    assert holds("merging_lanes", scene, "a", "b").all()
    assert holds("merging_lanes", scene, "b", "a").all()
    assert not holds("same_lane", scene, "a", "b").any()
    far = drive(np.array([[-150.0, 0], [0, 0]]), start=80, speed=1)
    assert not holds("merging_lanes", two(far, b, merging_road()), "a", "b").any()
    behind = drive(np.array([[0.0, 0], [150, 0]]), start=20, speed=1)
    assert not holds("merging_lanes", two(a, behind, merging_road()), "a", "b").any()
    assert holds("same_lane", two(a, behind, merging_road()), "a", "b").all()


@pytest.mark.parametrize("offset", [0.0, 0.7])
def test_gap_on_a_curve_is_the_arc_less_the_lengths(offset):
    def arc(first):
        angle = first + 0.01 * np.arange(100)
        return (RADIUS + offset) * np.column_stack([np.cos(angle), np.sin(angle)])

    scene = two(arc(1.0), arc(0.4), curved_road())
    # The centre line is a polygon of 60 vertices a piece.
    np.testing.assert_allclose(measure("gap", scene, "a", "b"), RADIUS * 0.6 - 4.5, atol=0.01)
    np.testing.assert_allclose(measure("gap", scene, "b", "a"), RADIUS * 0.6 - 4.5, atol=0.01)


def test_gap_is_negative_while_two_overlap_along_the_lane():
    scene = two(drive(EAST, start=52, speed=5, offset=1), drive(EAST, start=50, speed=5, offset=-1))
    np.testing.assert_allclose(measure("gap", scene, "a", "b"), -2.5)


def test_gap_is_the_same_on_both_sides_of_a_border_of_lanes():
    a = drive(EAST, start=95, speed=10)
    np.testing.assert_allclose(
        measure("gap", two(a, drive(EAST, start=60, speed=10)), "a", "b"), 35 - 4.5, atol=1e-6
    )


def test_gap_is_undefined_between_lanes():
    scene = two(drive(EAST, start=50, speed=5), drive(EAST_OUTER, start=50, speed=5))
    assert np.isnan(measure("gap", scene, "a", "b")).all()


def test_gap_without_a_map_is_straight_ahead_in_the_strip():
    scene = stage(
        None,
        [
            Track("b", drive(EAST, start=0, speed=5)),
            Track("a", drive(EAST, start=20, speed=5, offset=1.7)),
            Track("c", drive(EAST, start=20, speed=5, offset=1.9)),
        ],
    )
    np.testing.assert_allclose(measure("gap", scene, "a", "b"), 20 - 4.5, atol=1e-6)
    assert np.isnan(measure("gap", scene, "c", "b")).all()


def test_gap_around_a_roundabout_goes_the_shorter_way():
    angle = np.deg2rad([10, -10])
    places = 15 * np.column_stack([np.cos(angle), np.sin(angle)])
    scene = two(stand(*places[0]), stand(*places[1]), roundabout_road())
    np.testing.assert_allclose(
        measure("gap", scene, "a", "b"), 15 * np.deg2rad(20) - 4.5, atol=0.02
    )


def test_following_is_behind_the_next_ahead():
    starts = {"a": 50, "b": 75, "c": 90}
    tracks = [Track(name, drive(EAST, start=s, speed=10)) for name, s in starts.items()]
    scene = stage(straight_road(), tracks)
    assert holds("following", scene, "a", "b").all()
    assert holds("following", scene, "b", "c").all()
    assert not holds("following", scene, "a", "c").any()
    assert not holds("following", scene, "b", "a").any()


@pytest.mark.parametrize(
    ("start", "speed", "kind", "follows"),
    [
        (50 + 4.5 + 44, 10, Kind.CAR, True),
        (50 + 4.5 + 46, 10, Kind.CAR, False),
        (60, 0, Kind.CAR, False),
        (60, 10, Kind.PEDESTRIAN, False),
    ],
)
def test_following_needs_a_driver_who_moves_within_four_seconds(start, speed, kind, follows):
    size = (4.5, 1.8, 1.5)
    ahead = Track("b", drive(EAST, start=start, speed=speed), kind, size=size)
    scene = stage(straight_road(), [Track("a", drive(EAST, start=50, speed=10)), ahead])
    assert holds("following", scene, "a", "b")[0] == follows


def test_nobody_follows_who_reverses():
    backs = Track("b", drive(EAST, start=90, speed=-2.0), heading=0.0)
    scene = stage(straight_road(), [Track("a", drive(EAST, start=50, speed=10)), backs])
    assert not holds("following", scene, "a", "b").any()


def test_a_trailer_follows_nobody_but_is_followed():
    scene = stage(
        straight_road(),
        [
            Track("truck", drive(EAST, start=80, speed=10), Kind.TRUCK),
            Track("trailer", drive(EAST, start=71, speed=10), Kind.TRAILER),
            Track("car", drive(EAST, start=55, speed=10)),
        ],
    )
    assert not holds("following", scene, "trailer", "truck").any()
    assert holds("following", scene, "car", "trailer").all()


def test_following_without_a_map_is_straight_ahead():
    starts = {"a": 20, "b": 0}
    tracks = [Track(name, drive(EAST, start=s, speed=10)) for name, s in starts.items()]
    bare = stage(None, tracks)
    assert holds("following", bare, "b", "a").all()
    assert not holds("following", bare, "a", "b").any()


def test_wrong_way_is_driving_against_the_lane():
    scene = stage(
        straight_road(),
        [
            Track("right", drive(EAST, start=50, speed=10)),
            Track("wrong", drive(WEST[::-1], start=50, speed=10)),
            Track("slow", drive(WEST[::-1], start=150, speed=0.8)),
            Track("back", drive(EAST[::-1], start=50, speed=3), heading=0.0),
            Track("walker", drive(WEST[::-1], start=200, speed=2), Kind.PEDESTRIAN),
            Track("beside", drive(np.array([[0.0, 4.5], [100, 4.5]]), start=0, speed=5)),
        ],
    )
    found = {name: holds("wrong_way", scene, name).all() for name in scene.agents.ids}
    assert found == {name: name == "wrong" for name in found}


def test_nobody_goes_the_wrong_way_within_an_intersection():
    line = np.array([[-1.75, -10], [-1.75, 10]])
    scene = stage(crossing_road(), [Track("a", drive(line, start=0, speed=2))])
    assert not holds("wrong_way", scene, "a").any()


def change(first, last, *, before=0.0, after=WIDTH, speed=10.0):
    return drive(
        EAST_OUTER, start=20, speed=speed, offset=ramp(before, after, first=first, last=last)
    )


def test_a_lane_change_lasts_from_the_middle_of_one_lane_to_that_of_the_other():
    scene = stage(straight_road(lanes=4), [Track("a", change(30, 60))])
    offset = scene.agents.centre[0, :, 1] + 5.25
    between = (offset > WIDTH / 4) & (offset < WIDTH * 3 / 4)
    assert (holds("changing_lane", scene, "a") == between).all()
    assert (holds("changing_lane_left", scene, "a") == between).all()
    assert not holds("changing_lane_right", scene, "a").any()


def test_a_lane_change_to_the_right_is_one_to_the_right():
    scene = stage(straight_road(lanes=4), [Track("a", change(30, 60, before=WIDTH, after=0.0))])
    assert holds("changing_lane_right", scene, "a").sum() > 5
    assert not holds("changing_lane_left", scene, "a").any()


def test_a_lane_change_lasts_at_most_4_seconds_on_either_side():
    offset = np.where(np.arange(200) < 100, 1.6, 1.9)
    points = drive(EAST_OUTER, start=20, speed=1.0, offset=offset, steps=200)
    scene = stage(straight_road(lanes=4), [Track("a", points)])
    assert holds("changing_lane", scene, "a").sum() == 2 * 40


def test_touching_the_next_lane_for_an_instant_is_no_lane_change():
    offset = np.where((np.arange(100) >= 50) & (np.arange(100) < 54), 1.9, 1.5)
    scene = stage(
        straight_road(lanes=4), [Track("a", drive(EAST_OUTER, start=20, speed=10, offset=offset))]
    )
    assert not holds("changing_lane", scene, "a").any()


def test_going_on_to_the_next_lane_or_turning_is_no_lane_change():
    for way in ("through", "left", "right"):
        line = way_through("south", way)
        scene = stage(crossing_road(), [Track("a", drive(line, start=50, speed=8))])
        assert not holds("changing_lane", scene, "a").any()


def test_crossing_the_lanes_of_a_road_is_no_lane_change():
    line = np.array([[0.0, -20], [0, 20]])
    scene = stage(straight_road(lanes=4), [Track("a", drive(line, start=5, speed=3), Kind.CYCLIST)])
    assert not holds("changing_lane", scene, "a").any()


def test_driving_into_the_oncoming_lane_is_a_lane_change_to_the_left():
    scene = stage(
        straight_road(),
        [Track("a", drive(EAST, start=20, speed=10, offset=ramp(0, WIDTH, first=30, last=60)))],
    )
    assert holds("changing_lane_left", scene, "a").sum() > 5
    assert holds("wrong_way", scene, "a")[70:].all()


def test_returning_from_the_oncoming_lane_is_a_lane_change_to_the_right():
    offset = ramp(WIDTH, 0, first=30, last=60)
    scene = stage(straight_road(), [Track("a", drive(EAST, start=20, speed=10, offset=offset))])
    assert holds("changing_lane_right", scene, "a").sum() > 5
    assert not holds("changing_lane_left", scene, "a").any()


def test_taking_a_branch_where_a_lane_forks_is_no_lane_change():
    town = MapBuilder()
    lines = {
        "in": [[0, 0], [50, 0]],
        "on": [[50, 0], [150, 0]],
        "new": [[50, 2], [60, 3.5], [150, 3.5]],
    }
    for name, line in lines.items():
        centre = town.add_piece(PieceKind.LANE_CENTRE, line)
        town.add_lane(
            name,
            LaneKind.VEHICLE,
            centre,
            successors=["on", "new"] if name == "in" else [],
            left="new" if name == "on" else None,
            right="on" if name == "new" else None,
            width=WIDTH,
        )
    points = drive(
        np.array([[0.0, 0], [150, 0]]), start=20, speed=8, offset=ramp(0, 3.5, first=35, last=65)
    )
    scene = stage(town.build("fork"), [Track("a", points)])
    assert not holds("changing_lane", scene, "a").any()


def test_lane_signals_are_undefined_without_a_map_or_lanes():
    tracks = [Track("a", drive(EAST, start=20, speed=5)), Track("b", drive(EAST, start=0, speed=5))]
    town = MapBuilder()
    town.add_piece(PieceKind.CROSSWALK, [[0, 0], [4, 0], [4, 4], [0, 0]])
    for road in (None, town.build("no lanes")):
        scene = stage(road, tracks)
        for name in ("on_lane", "lane_offset", "wrong_way", "changing_lane", "speed_limit"):
            assert np.isnan(measure(name, scene, "a")).all()
        for name in ("same_lane", "left_lane", "opposite_lane", "merging_lanes"):
            assert np.isnan(measure(name, scene, "a", "b")).all()


def test_the_stop_line_ends_the_approach_lane():
    road = crossing_road()
    lane = road.lanes.ids.index("west in")
    assert road.centre_line(lane)[-1, 0] == -STOP
