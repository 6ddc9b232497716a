from dataclasses import replace

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.scene import LaneIndex, LaneKind, Map, MapBuilder, PieceKind


def crossing() -> Map:
    """A lane to the east and one to the north that cross, and a cycle lane beside the first."""
    road = MapBuilder()
    east = road.add_piece(PieceKind.LANE_CENTRE, [[-20, 0], [0, 0], [20, 0]])
    north = road.add_piece(PieceKind.LANE_CENTRE, [[0, -20], [0, 20]])
    beside = road.add_piece(PieceKind.LANE_CENTRE, [[-20, -3], [20, -3]])
    left = road.add_piece(PieceKind.LANE_BOUNDARY, [[20, 2], [-20, 2]])  # runs the other way
    right = road.add_piece(PieceKind.LANE_BOUNDARY, [[-20, -2], [20, -2]])
    area = road.add_piece(
        PieceKind.LANE_AREA, [[-20, -4], [20, -4], [20, -2], [-20, -2], [-20, -4]]
    )
    road.add_lane("east", LaneKind.VEHICLE, east, left_boundary=left, right_boundary=right, width=4)
    road.add_lane("north", LaneKind.VEHICLE, north)
    road.add_lane("cycle", LaneKind.BICYCLE, beside, area=area, width=2)
    return road.build("crossing")


EAST, NORTH, CYCLE = 0, 1, 2


def test_a_point_is_in_every_lane_whose_surface_holds_it():
    point, lane = LaneIndex(crossing()).lanes_at(
        np.array([[0.0, 0.0], [10, 1], [10, -3], [10, 10], [np.nan, 0]])
    )
    assert list(zip(point.tolist(), lane.tolist(), strict=True)) == [
        (0, EAST),
        (0, NORTH),
        (1, EAST),
        (2, CYCLE),
    ]


def test_heading_decides_where_lanes_cross():
    index = LaneIndex(crossing())
    points = np.array([[0.2, 0.5], [0.2, 0.5]])
    found = index.locate(points, np.array([0.1, 1.4]))
    assert found.lane.tolist() == [EAST, NORTH]
    np.testing.assert_allclose(found.heading, [0, np.pi / 2])


def test_without_a_heading_the_nearest_centre_decides():
    index = LaneIndex(crossing())
    points = np.array([[0.1, 1.0], [1.0, 0.1]])
    assert index.locate(points).lane.tolist() == [NORTH, EAST]
    assert index.locate(points, np.full(2, np.nan)).lane.tolist() == [NORTH, EAST]


def test_positions_are_along_and_beside_the_centre_line():
    found = LaneIndex(crossing()).locate(np.array([[[10.0, 1.0], [-20, -1.5]]]))
    assert found.lane.shape == (1, 2)
    np.testing.assert_allclose(found.s, [[30, 0]])
    np.testing.assert_allclose(found.d, [[1, -1.5]])


def test_a_point_off_the_road_is_on_no_lane():
    found = LaneIndex(crossing()).locate(np.array([[10.0, 10.0]]))
    assert found.lane.tolist() == [-1]
    assert np.isnan([found.s, found.d, found.heading]).all()


def test_no_points_have_no_lanes():
    assert LaneIndex(crossing()).locate(np.zeros((0, 2))).lane.shape == (0,)


def test_only_lanes_of_the_kinds_asked_for_count():
    index = LaneIndex(crossing(), kinds={LaneKind.BICYCLE})
    assert index.locate(np.array([[10.0, -3.0], [10, 0]])).lane.tolist() == [CYCLE, -1]


def test_a_lane_without_boundaries_has_its_width():
    town = crossing()
    wide = replace(town, lanes=replace(town.lanes, width=np.array([4.0, 10, 2])))
    points = np.array([[4.9, 10.0], [5.1, 10]])
    assert LaneIndex(wide).locate(points).lane.tolist() == [NORTH, -1]
    assert LaneIndex(town).locate(points - [3.3, 0]).lane.tolist() == [NORTH, -1]


def test_positions_move_with_the_world():
    town = crossing()
    turn = 0.7
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shift = np.array([500_000.0, 4_000_000.0])
    points = town.points.copy()
    points[:, :2] = points[:, :2] @ rotation.T + shift
    moved = replace(town, points=points)
    rng = np.random.default_rng(0)
    where = rng.uniform(-25, 25, (500, 2))
    heading = rng.uniform(-3, 3, 500)
    before = LaneIndex(town).locate(where, heading)
    after = LaneIndex(moved).locate(where @ rotation.T + shift, heading + turn)
    assert (before.lane == after.lane).mean() > 0.995  # a border point may fall either way
    same = (before.lane == after.lane) & (before.lane >= 0)
    np.testing.assert_allclose(before.s[same], after.s[same], atol=1e-6)
    np.testing.assert_allclose(before.d[same], after.d[same], atol=1e-6)


@pytest.mark.usefixtures("unchecked")
def test_headings_that_do_not_fit_are_an_error():
    with pytest.raises(InputError, match="headings"):
        LaneIndex(crossing()).locate(np.zeros((2, 2)), np.zeros(3))
