from dataclasses import replace

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.scene import LaneKind, Map, MapBuilder, Marking, PieceKind, Tristate


def two_lanes() -> Map:
    road = MapBuilder()
    left = road.add_piece(PieceKind.LANE_BOUNDARY, [[0, 2], [10, 2]], marking=Marking.SOLID)
    a = road.add_piece(PieceKind.LANE_CENTRE, [[0, 0], [10, 0]], id="a")
    b = road.add_piece(PieceKind.LANE_CENTRE, [[10, 0, 1], [20, 0, 1], [30, 1, 1]], id="b")
    road.add_lane(
        "a", LaneKind.VEHICLE, a, left_boundary=left, successors=["b", "b", "gone"], speed_limit=14
    )
    road.add_lane("b", LaneKind.BUS, b, left="a", right="gone", in_intersection=True, width=3.0)
    return road.build("town")


def test_pieces_keep_their_points_kind_and_marking():
    town = two_lanes()
    assert len(town) == 3
    assert town.piece(2).tolist() == [[10, 0, 1], [20, 0, 1], [30, 1, 1]]
    assert np.isnan(town.piece(0)[:, 2]).all()
    assert town.marking[0] == Marking.SOLID
    assert town.pieces_of(PieceKind.LANE_CENTRE).tolist() == [1, 2]
    assert town.bounds.tolist() == [0, 0, 30, 2]


def test_lanes_are_linked_and_what_lies_beyond_the_border_is_left_out():
    lanes = two_lanes().lanes
    assert lanes.successors(0).tolist() == [1]
    assert lanes.successors(1).tolist() == []
    assert lanes.predecessors(1).tolist() == [0]
    assert lanes.predecessors(0).tolist() == []
    assert lanes.left.tolist() == [-1, 0]
    assert lanes.right.tolist() == [-1, -1]
    assert lanes.in_intersection.tolist() == [Tristate.UNKNOWN, Tristate.YES]


def test_a_centre_line_is_found_by_lane():
    assert two_lanes().centre_line(0)[:, 0].tolist() == [0, 10]


@pytest.mark.parametrize(
    "points", [[], [[1.0]], [[0, 0], [np.nan, 1]], [[0, 0], [np.inf, 1]], [1.0, 2.0]]
)
@pytest.mark.usefixtures("unchecked")
def test_a_piece_without_usable_points_is_an_error(points):
    with pytest.raises(InputError) as caught:
        MapBuilder().add_piece(PieceKind.ROAD_EDGE, points, id="x")
    assert caught.value.code == "geometry"
    assert "'x'" in caught.value.what


def test_a_lane_that_appears_twice_is_an_error():
    road = MapBuilder()
    piece = road.add_piece(PieceKind.LANE_CENTRE, [[0, 0], [1, 0]])
    road.add_lane("a", LaneKind.VEHICLE, piece)
    with pytest.raises(InputError, match="twice"):
        road.add_lane("a", LaneKind.VEHICLE, piece)


def test_an_empty_map_is_an_error():
    with pytest.raises(InputError, match="no pieces"):
        MapBuilder().build("town")


@pytest.mark.usefixtures("unchecked")
def test_references_beyond_the_map_are_an_error():
    town = two_lanes()
    with pytest.raises(InputError, match=r"lanes\.left refers"):
        replace(town.lanes, left=np.array([5, -1]))
    with pytest.raises(InputError, match=r"lanes\.centre refers"):
        replace(town, lanes=replace(town.lanes, centre=np.array([0, 9])))
    with pytest.raises(InputError, match=r"lanes\.width"):
        replace(town.lanes, width=np.zeros(3))
    with pytest.raises(InputError, match="next_offsets"):
        replace(town.lanes, next_offsets=np.array([0, 1, 9]))
    with pytest.raises(InputError, match="do not fit"):
        replace(town, offsets=np.array([0, 2, 4, 5]))
