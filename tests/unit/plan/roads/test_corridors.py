"""Corridors along routes."""

import dataclasses

import numpy as np
import pytest
import shapely
from scipy.interpolate import BSpline

from kerbstone.errors import InputError
from kerbstone.plan.checking import place_discs, project_points, roll_out
from kerbstone.plan.corridor import Corridor
from kerbstone.plan.problem import Horizon
from kerbstone.plan.roads import (
    KNOTS,
    CorridorRules,
    Road,
    Room,
    count_knots,
    find_route,
    follow_record,
    join_surfaces,
    lay_corridor,
    length_ahead,
    pad_corridor,
)
from kerbstone.plan.vehicle import Vehicle
from roads import WIDTH, crossing_road, straight_road, way_through

CAR = Vehicle()
STRAIGHT, CROSSING = Road(straight_road(lanes=4)), Road(crossing_road())


def lay(
    road, rear, heading, *, speed=0.0, steering=0.0, knots=64, rules=None, vehicle=CAR, **choice
):
    rules = rules or CorridorRules()
    way = np.array([np.cos(heading), np.sin(heading)])
    route = find_route(
        road,
        np.array(rear) + vehicle.centre_offset * way,
        heading,
        ahead=length_ahead(knots, rules) + 5.0,
        behind=15.0,
        **choice,
    )
    state = np.array([*rear, heading, speed, 0.0, steering])
    return lay_corridor(route, state, road=road, vehicle=vehicle, knots=knots, rules=rules)


def batch(corridor):
    names = [field.name for field in dataclasses.fields(Corridor)]
    return Corridor(**{name: np.asarray(getattr(corridor, name))[None] for name in names})


def samples(coefficients):
    return (coefficients[:-2] + 4 * coefficients[1:-1] + coefficients[2:]) / 6


def bends(corridor):
    """Return the curvature of the corridor's line at five places on each piece [1/m]."""
    line, found = np.asarray(corridor.line), []
    for t in np.linspace(0, 1, 5):
        first = np.array([-((1 - t) ** 2), 3 * t**2 - 4 * t, -3 * t**2 + 2 * t + 1, t**2]) / 2
        second = np.array([1 - t, 3 * t - 2, -3 * t + 1, t])
        v = sum(first[i] * line[i : len(line) - 3 + i] for i in range(4))
        a = sum(second[i] * line[i : len(line) - 3 + i] for i in range(4))
        found.append((v[:, 0] * a[:, 1] - v[:, 1] * a[:, 0]) / np.hypot(*v.T) ** 3)
    return np.concatenate(found)


def test_a_corridor_lies_along_the_lane():
    laid = lay(STRAIGHT, [-50.0, -1.75], 0.0)
    line = samples(laid.corridor.line)
    assert line[:, 1] == pytest.approx(-1.75, abs=1e-9)
    assert line[0, 0] == pytest.approx(-60.0)
    assert np.diff(line[:, 0]) == pytest.approx(2.0)
    assert laid.rear == 10.0
    assert samples(laid.corridor.left) == pytest.approx(WIDTH / 2)
    assert samples(laid.corridor.right) == pytest.approx(1.5 * WIDTH)
    assert samples(laid.corridor.speed) == pytest.approx(13.9)
    assert laid.widened == 0.0


@pytest.mark.parametrize("knots", KNOTS)
def test_a_corridor_has_the_knots_asked_for(knots):
    laid = lay(STRAIGHT, [-150.0, -1.75], 0.0, knots=knots)
    for field in (laid.corridor.left, laid.corridor.right, laid.corridor.speed, laid.corridor.line):
        assert len(field) == knots


@pytest.mark.parametrize("way", ["left", "right", "through"])
@pytest.mark.parametrize("room", list(Room))
def test_between_its_samples_a_corridor_stays_on_the_road(way, room):
    laid = lay(
        CROSSING,
        [-45.0, -1.75],
        0.0,
        future=way_through("west", way)[1:],
        rules=CorridorRules(room=room, reach=12.0),
    )
    line, fine = np.asarray(laid.corridor.line), np.arange(0, 59 * 2, 0.25)
    spline = BSpline(np.arange(-3.0, len(line) + 1), line, 3)
    points, tangent = spline(fine / 2), spline(fine / 2, 1)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], -1) / np.hypot(*tangent.T)[:, None]
    knots = np.arange(-3.0, len(line) + 1)
    left = BSpline(knots, np.asarray(laid.corridor.left), 3)(fine / 2)
    right = BSpline(knots, np.asarray(laid.corridor.right), 3)(fine / 2)
    area = join_surfaces(CROSSING)
    edges = np.concatenate([points + left[:, None] * normal, points - right[:, None] * normal])
    # Lanes that begin beside the line have corners, which samples two metres apart may cut.
    assert shapely.distance(area, shapely.points(edges)).max() < 0.35


@pytest.mark.parametrize("way", ["left", "right", "through"])
def test_a_turn_can_be_driven_and_is_slowed_down_for(way):
    future = way_through("west", way)[1:]
    laid = lay(CROSSING, [-40.0, -1.75], 0.0, future=future)
    sharpest = np.abs(bends(laid.corridor)).max()
    assert sharpest < np.tan(CAR.steering) / CAR.wheelbase
    speed = samples(laid.corridor.speed)
    slowest = 13.9 if way == "through" else np.sqrt(2.5 / sharpest)
    assert speed.min() == pytest.approx(slowest, rel=0.15)
    assert (speed <= 13.9 + 1e-9).all()


def test_the_end_of_the_known_road_is_told_and_the_corridor_goes_on_straight():
    laid = lay(STRAIGHT, [150.0, -1.75], 0.0)
    assert laid.known == pytest.approx(50.0, abs=0.5)
    line = samples(laid.corridor.line)
    assert line[-1] == pytest.approx([262.0, -1.75], abs=0.1)
    assert samples(laid.corridor.right)[-1] == pytest.approx(1.5 * WIDTH)


@pytest.mark.parametrize("room", list(Room))
@pytest.mark.parametrize("offset", [-1.6, -0.9, 0.0, 0.7, 1.6])
@pytest.mark.parametrize("turn", [-0.2, 0.0, 0.2])
def test_a_corridor_holds_the_car_where_it_is(room, offset, turn):
    rules = CorridorRules(room=room)
    laid = lay(STRAIGHT, [-50.0, -1.75 + offset], turn, rules=rules)
    state = np.array([[[[-50.0, -1.75 + offset, turn, 8.0, 0.0, 0.0]]]])
    discs = place_discs(state, CAR).reshape(1, -1, 2)
    place = project_points(batch(laid.corridor), discs)
    assert (place.left - place.distance - CAR.disc_radius >= 0.0).all()
    assert (place.right + place.distance - CAR.disc_radius >= 0.0).all()
    if laid.widened == 0.0:
        assert samples(laid.corridor.left) == pytest.approx(samples(laid.corridor.left)[0])
    else:
        # Far ahead the room is as it would be.
        plain = lay(STRAIGHT, [-50.0, -1.75], 0.0, rules=rules)
        assert samples(laid.corridor.left)[-8:] == pytest.approx(
            samples(plain.corridor.left)[-8:], abs=1e-6
        )


@pytest.mark.parametrize("speed", [3.0, 8.0, 14.0])
@pytest.mark.parametrize("turn", [-0.12, 0.12])
def test_a_car_that_drifts_out_of_its_lane_has_room_to_steer_back(speed, turn):
    rules = CorridorRules(room=Room.LANE)
    laid = lay(STRAIGHT, [-50.0, -1.75], turn, speed=speed, rules=rules)
    start = np.array([[-50.0, -1.75, turn, speed, 0.0, 0.0]])
    # It steers against it as hard as is comfortable, then holds that.
    steering = min(np.arctan(2.5 * CAR.wheelbase / speed**2), 0.2)
    rate = np.zeros((1, 1, 10, 2))
    rate[..., 0:3, 1] = -np.sign(turn) * steering / 0.3
    states = roll_out(start, rate, vehicle=CAR, dt=0.1)
    place = project_points(batch(laid.corridor), place_discs(states, CAR).reshape(1, -1, 2))
    assert (place.left - place.distance - CAR.disc_radius >= 0.0).all()
    assert (place.right + place.distance - CAR.disc_radius >= 0.0).all()


def test_room_on_the_inside_of_a_curve_is_less_than_its_radius():
    rules = CorridorRules(room=Room.ROAD, reach=20.0)
    laid = lay(CROSSING, [-30.0, -1.75], 0.0, rules=rules, future=way_through("west", "right")[1:])
    line, right = samples(laid.corridor.line), samples(laid.corridor.right)
    way = np.gradient(line, axis=0)
    turned = np.gradient(np.unwrap(np.arctan2(way[:, 1], way[:, 0]))) / 2.0
    inside = turned < -0.02
    assert inside.any()
    assert (right[inside] < 1.0 / -turned[inside]).all()


def test_without_a_map_the_half_width_is_the_room():
    x = np.arange(0.0, 80.0)
    future = np.stack([x, 0 * x], axis=-1)
    route = follow_record(future[:0], np.array([0.0, 0.0]), 0.0, future[1:])
    laid = lay_corridor(
        route,
        np.array([-CAR.centre_offset, 0.0, 0.0, 5.0, 0.0, 0.0]),
        road=None,
        vehicle=CAR,
        knots=64,
        rules=CorridorRules(half_width=2.2, speed=9.0),
    )
    assert samples(laid.corridor.left) == pytest.approx(2.2)
    assert samples(laid.corridor.speed) == pytest.approx(9.0)
    assert laid.known == pytest.approx(79.0 + CAR.centre_offset, abs=0.5)


def test_a_car_that_is_not_on_its_route_is_an_error():
    route = find_route(STRAIGHT, np.array([-50.0, -1.75]), 0.0, ahead=120.0)
    for rear, heading in (([-50.0, 9.0], 0.0), ([-50.0, -1.75], np.pi)):
        with pytest.raises(InputError, match="not on its route") as caught:
            lay_corridor(
                route,
                np.array([*rear, heading, 5.0, 0.0, 0.0]),
                road=STRAIGHT,
                vehicle=CAR,
                knots=64,
            )
        assert caught.value.why


def test_a_corridor_reaches_as_far_as_the_car_can_come():
    horizon, rules = Horizon(), CorridorRules()
    for speed in (0.0, 5.0, 14.0, 30.0):
        knots = count_knots(speed, CAR, horizon, rules)
        way = min(speed * 6.0 + 0.5 * CAR.acceleration[1] * 36.0, CAR.speed[1] * 6.0)
        front = CAR.length - CAR.rear_overhang
        assert length_ahead(knots, rules) >= way + front + rules.margin - 1.0
    with pytest.raises(InputError, match="too long"):
        count_knots(30.0, CAR, Horizon(400, 0.1), rules)


def test_a_padded_corridor_is_the_same_where_it_was_and_straight_beyond():
    laid = lay(CROSSING, [-40.0, -1.75], 0.0, future=way_through("west", "left")[1:])
    longer = pad_corridor(laid.corridor, 96)
    assert np.array_equal(longer.line[:64], laid.corridor.line)
    assert np.array_equal(longer.left[:64], laid.corridor.left)
    assert np.abs(np.diff(longer.line[62:], n=2, axis=0)).max() < 1e-9
    assert (longer.speed[64:] == laid.corridor.speed[-1]).all()
    assert pad_corridor(longer, 96) is longer
    with pytest.raises(InputError, match="more knots"):
        pad_corridor(longer, 64)


@pytest.mark.parametrize("change", [{"reach": 0.0}, {"speed": -1.0}, {"spacing": np.nan}])
def test_rules_that_make_no_sense_are_an_error(change):
    with pytest.raises(InputError, match="not above zero"):
        CorridorRules(**change)
