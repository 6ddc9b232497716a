"""Places on hand-made maps, against their outlines."""

import numpy as np
import pytest
import shapely

from kerbstone.lang import Facts
from kerbstone.scene import Kind, LaneKind, MapBuilder, PieceKind, Tristate, box_corners_bev
from measures import holds, measure
from roads import (
    EAST,
    STOP,
    WEST,
    Track,
    crossing_road,
    drive,
    stage,
    stand,
    straight_road,
    walk,
    way_through,
)

WALKER = Kind.PEDESTRIAN


def places_of(scene, name):
    claims = ("on_road", "in_drivable_area", "off_road", "on_sidewalk", "in_parking")
    return {claim for claim in claims if holds(claim, scene, name).all()}


@pytest.mark.parametrize("drivable", [False, True])
def test_each_strip_of_a_street_is_what_it_is(drivable):
    scene = stage(
        straight_road(drivable=drivable),
        [Track(str(y), stand(0, y)) for y in (-1.0, 3.0, 4.5, 6.4, 7.5, 9.5)],
    )
    assert places_of(scene, "-1.0") == {"on_road", "in_drivable_area"}
    assert places_of(scene, "3.0") == {"on_road", "in_drivable_area"}
    assert places_of(scene, "4.5") == {"in_drivable_area", "in_parking"}
    assert places_of(scene, "6.4") == {"on_sidewalk"}  # less than half a metre off
    assert places_of(scene, "7.5") == {"off_road", "on_sidewalk"}
    assert places_of(scene, "9.5") == {"off_road"}


def test_the_drivable_area_of_a_map_may_reach_beyond_its_lanes():
    town = MapBuilder()
    line = town.add_piece(PieceKind.LANE_CENTRE, [[0, 0], [100, 0]])
    town.add_lane("road", LaneKind.VEHICLE, line, width=3.5)
    town.add_piece(PieceKind.DRIVABLE_AREA, [[0, -9], [100, -9], [100, 9], [0, 9], [0, -9]])
    scene = stage(town.build("wide"), [Track("a", stand(50, 8)), Track("b", stand(50, 0))])
    assert places_of(scene, "a") == {"in_drivable_area"}
    assert places_of(scene, "b") == {"on_road", "in_drivable_area"}


def test_a_driveway_is_no_place_off_the_road():
    town = MapBuilder()
    line = town.add_piece(PieceKind.LANE_CENTRE, [[0, 0], [100, 0]])
    town.add_lane("road", LaneKind.VEHICLE, line, width=3.5)
    town.add_piece(PieceKind.DRIVEWAY, [[50, 2], [50, 20], [56, 20], [56, 2]])
    scene = stage(town.build("drive"), [Track("a", stand(53, 10)), Track("b", stand(60, 10))])
    assert not holds("off_road", scene, "a").any()
    assert holds("off_road", scene, "b").all()


def test_an_intersection_is_its_lanes_or_what_the_map_draws():
    scene = stage(
        crossing_road(), [Track("a", drive(way_through("west", "through"), start=60, speed=8))]
    )
    inside = np.abs(scene.agents.centre[0, :, 0]) <= STOP
    assert (holds("in_intersection", scene, "a") == inside).all()
    assert holds("on_road", scene, "a").all()

    town = MapBuilder()
    town.add_piece(PieceKind.INTERSECTION, [[0, 0], [20, 0], [20, 20], [0, 20], [0, 0]])
    scene = stage(town.build("drawn"), [Track("a", stand(5, 5)), Track("b", stand(25, 5))])
    assert holds("in_intersection", scene, "a").all()
    assert holds("on_road", scene, "a").all()
    assert not holds("in_intersection", scene, "b").any()
    np.testing.assert_allclose(measure("distance_to_intersection", scene, "b"), 5 - 2.25)


def test_lanes_that_cross_make_an_intersection_where_the_map_leaves_it_open():
    town = MapBuilder()
    for name, ends in (("east", [[-50, 0], [50, 0]]), ("north", [[0, -50], [0, 50]])):
        line = town.add_piece(PieceKind.LANE_CENTRE, ends)
        town.add_lane(name, LaneKind.VEHICLE, line, width=3.5)
    line = town.add_piece(PieceKind.LANE_CENTRE, [[50, 0], [90, 0]])
    town.add_lane("on", LaneKind.VEHICLE, line, width=3.5, in_intersection=Tristate.UNKNOWN)
    scene = stage(town.build("open"), [Track("a", stand(0, 0)), Track("b", stand(70, 0))])
    assert holds("in_intersection", scene, "a").all()
    assert not holds("in_intersection", scene, "b").any()


def test_a_crosswalk_is_occupied_by_any_part_of_a_box():
    scene = stage(
        straight_road(crosswalk=0.0),
        [Track("a", stand(-4.2, -1.75)), Track("b", stand(-4.3, -1.75)), Track("c", stand(1, 0))],
    )
    assert holds("on_crosswalk", scene, "a").all()
    assert not holds("on_crosswalk", scene, "b").any()
    assert holds("on_crosswalk", scene, "c").all()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("distance_to_crosswalk", PieceKind.CROSSWALK),
        ("distance_to_stop_line", PieceKind.STOP_LINE),
        ("distance_to_stop_sign", PieceKind.STOP_SIGN),
    ],
)
def test_distances_are_from_the_box_to_the_nearest_of_all(name, kind):
    line = way_through("west", "left")
    scene = stage(crossing_road(stop_signs=True), [Track("a", drive(line, start=40, speed=9))])
    road = scene.map
    make = shapely.Polygon if kind == PieceKind.CROSSWALK else shapely.LineString
    shapes = [make(road.piece(int(i))[:, :2]) for i in road.pieces_of(kind)]
    boxes = shapely.polygons(box_corners_bev(Facts(scene).boxes[0]))
    expected = np.min([shapely.distance(shape, boxes) for shape in shapes], axis=0)
    np.testing.assert_allclose(measure(name, scene, "a"), expected, atol=0.011)


def test_a_distance_to_what_the_map_lacks_is_infinite():
    scene = stage(straight_road(), [Track("a", stand(0, 0))])
    for what in ("crosswalk", "stop_line", "stop_sign", "intersection"):
        assert np.isposinf(measure(f"distance_to_{what}", scene, "a")).all()


def test_a_box_of_unknown_size_counts_as_a_point():
    scene = stage(
        straight_road(crosswalk=0.0), [Track("a", stand(-4, 0), size=(np.nan, np.nan, np.nan))]
    )
    np.testing.assert_allclose(measure("distance_to_crosswalk", scene, "a"), 2.0)


def test_crossing_is_moving_across_the_road_on_it():
    scene = stage(
        straight_road(),
        [
            Track("across", walk((0, -12), (0, 12)), WALKER),
            Track("slanted", walk((0, -12), (20, 12)), WALKER),
            Track("along", walk((0, -2), (14, -3)), WALKER),
            Track("waits", stand(0, -3), WALKER),
            Track("car", drive(EAST, start=100, speed=8)),
            Track("cyclist", drive(WEST, start=100, speed=4), Kind.CYCLIST),
        ],
    )
    on_road = np.abs(scene.agents.centre[0, :, 1]) <= 3.5
    assert (holds("crossing", scene, "across") == on_road).all()
    assert holds("crossing", scene, "slanted").any()
    for name in ("along", "waits", "car", "cyclist"):
        assert not holds("crossing", scene, name).any()


def test_driving_through_an_intersection_is_not_crossing_but_walking_there_is():
    scene = stage(
        crossing_road(),
        [
            Track("car", drive(way_through("west", "through"), start=60, speed=6)),
            Track("bike", drive(way_through("south", "left"), start=60, speed=6), Kind.CYCLIST),
            Track("walker", walk((-11, -8), (-11, 8)), WALKER),
        ],
    )
    assert not holds("crossing", scene, "car").any()
    assert not holds("crossing", scene, "bike").any()
    on_road = np.abs(scene.agents.centre[2, :, 1]) <= 3.5
    assert holds("crossing", scene, "walker")[on_road].all()


def test_the_same_side_of_the_road_is_the_same_carriageway():
    scene = stage(
        straight_road(lanes=4),
        [
            Track("a", drive(EAST, start=100, speed=8)),
            Track("b", drive(EAST, start=50, speed=8, offset=-3.5)),
            Track("c", drive(WEST, start=200, speed=8)),
            Track("walker", stand(0, 9.5), WALKER),
        ],
    )
    assert holds("same_road_side", scene, "a", "b").all()
    assert holds("same_road_side", scene, "b", "a").all()
    assert not holds("same_road_side", scene, "a", "c").any()
    assert not holds("same_road_side", scene, "a", "walker").any()


def test_all_places_are_undefined_without_a_map():
    scene = stage(None, [Track("a", stand(0, 0)), Track("b", stand(5, 0))])
    for name in ("on_road", "off_road", "on_crosswalk", "in_intersection", "crossing"):
        assert np.isnan(measure(name, scene, "a")).all()
    assert np.isnan(measure("distance_to_crosswalk", scene, "a")).all()
    assert np.isnan(measure("same_road_side", scene, "a", "b")).all()
