"""The room beside a line."""

import numpy as np
import pytest

from kerbstone.plan.roads import Road, Room, find_route
from kerbstone.plan.roads.rooms import measure_room
from kerbstone.scene import LaneKind, MapBuilder, PieceKind
from roads import WIDTH, crossing_road, curved_road, straight_road

LEFT = np.array([0.0, 1.0])


def measure(road, y, room, *, x=None, reach=8.0, heading=0.0):
    x = np.arange(-60.0, 60.0, 3.0) if x is None else x
    route = find_route(road, np.array([x[0], y]), heading, ahead=float(np.ptp(x)) + 5.0, behind=0.0)
    points = np.stack([x, np.full(len(x), y)], axis=-1)
    normal = np.tile(LEFT, (len(x), 1))
    return measure_room(road, route, x - x[0], points, normal, room=room, reach=reach)


STRAIGHT = Road(straight_road(lanes=4))


def test_ones_own_lane_is_as_wide_as_it_is():
    sides = measure(STRAIGHT, -1.0, Room.LANE)
    assert sides.left == pytest.approx(1.0)
    assert sides.right == pytest.approx(2.5)


def test_ones_direction_holds_the_lane_beside():
    sides = measure(STRAIGHT, -1.75, Room.DIRECTION)
    assert sides.left == pytest.approx(WIDTH / 2)
    assert sides.right == pytest.approx(1.5 * WIDTH)


def test_the_road_holds_the_other_direction_too():
    sides = measure(STRAIGHT, -1.75, Room.ROAD, reach=30.0)
    assert sides.left == pytest.approx(2.5 * WIDTH)
    assert sides.right == pytest.approx(1.5 * WIDTH)


def test_no_room_is_greater_than_the_reach():
    assert measure(STRAIGHT, -1.75, Room.ROAD, reach=4.0).left == pytest.approx(4.0)


def test_drivable_areas_are_part_of_the_road():
    sides = measure(Road(straight_road(drivable=True)), -1.75, Room.ROAD, reach=30.0)
    assert sides.right == pytest.approx(WIDTH / 2 + 2.5)


def test_room_ends_at_the_first_road_edge():
    town = straight_road(lanes=4)
    edge = MapBuilder()
    for piece in range(len(town)):
        edge.add_piece(PieceKind(int(town.kind[piece])), town.piece(piece)[:, :2])
    centre = edge.add_piece(PieceKind.LANE_CENTRE, [[-80, -1.75], [80, -1.75]])
    edge.add_lane("east", LaneKind.VEHICLE, centre, width=9.0)
    edge.add_piece(PieceKind.ROAD_EDGE, [[-100, -4.0], [100, -4.0]])
    sides = measure(Road(edge.build("kerb")), -1.75, Room.ROAD)
    assert sides.right == pytest.approx(2.25)
    assert sides.left == pytest.approx(4.5)


def test_a_sample_off_every_surface_gets_half_a_lane():
    x = np.array([0.0, 3.0, 6.0])
    road = Road(crossing_road())
    route = find_route(road, np.array([-60.0, -1.75]), 0.0, ahead=20.0)
    points = np.stack([x + 500.0, x], axis=-1)
    sides = measure_room(road, route, x, points, np.tile(LEFT, (3, 1)), room=Room.ROAD, reach=8.0)
    assert sides.left == pytest.approx(WIDTH / 2)
    assert sides.right == pytest.approx(WIDTH / 2)


def test_neighbours_in_a_curve_count_on_their_side():
    road = Road(curved_road())
    angle = np.linspace(0.3, 2.5, 20)
    points = 30.0 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    route = find_route(road, points[0], np.pi / 2 + 0.3, ahead=70.0, behind=0.0)
    sides = measure_room(
        road, route, 30.0 * (angle - 0.3), points, -points / 30.0, room=Room.DIRECTION, reach=8.0
    )
    assert sides.left == pytest.approx(WIDTH / 2, abs=0.05)
    assert sides.right == pytest.approx(1.5 * WIDTH, abs=0.05)


def test_seams_between_lanes_do_not_end_the_room():
    town = MapBuilder()
    for name, y in (("a", 0.0), ("b", 3.6)):
        centre = town.add_piece(PieceKind.LANE_CENTRE, [[-80, y], [80, y]])
        town.add_lane(name, LaneKind.VEHICLE, centre, width=3.4)
    assert measure(Road(town.build("seam")), 0.0, Room.ROAD).left == pytest.approx(5.3)
