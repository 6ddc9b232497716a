"""The shield beneath a plan of a recorded scene, and where others may be, drawn."""

import dataclasses

import numpy as np
import pytest
import shapely

from kerbstone.plan.checking import roll_out
from kerbstone.plan.guard import Guard, follow_failsafe
from kerbstone.plan.problem import Horizon
from kerbstone.plan.shield import BRAKE, Assumptions, Road, build_failsafe
from kerbstone.plan.vehicle import StateIndex, Vehicle
from kerbstone.scene import Kind, box_corners_bev
from shielded import leader, seen, straight_road

HORIZON = Horizon()
VEHICLE = Vehicle()
ASSUMED = Assumptions(control_step=HORIZON.dt)
TIMES = np.array([0.0, 0.5, 1.0, 1.5, 2.0])


def state(speed, acceleration=0.0, steering=0.0):
    return np.array([0.0, 0.0, 0.0, speed, acceleration, steering])


def guard(surroundings, *, speed=10.0, road=None, **how):
    start = state(speed, **how)
    road = road or straight_road(1, 1)
    return Guard(
        start, surroundings, road, vehicle=VEHICLE, assumptions=ASSUMED, ids=("lead", "other")
    )


@pytest.mark.parametrize(
    ("speed", "acceleration"),
    [(0.0, 0.0), (0.05, 0.0), (0.7, 0.0), (0.7, -1.0), (3.0, -6.0), (3.0, 2.5), (8.0, -8.0)]
    + [(14.0, pull) for pull in (-6.0, 0.0, 2.5)]
    + [(30.0, 0.0)],
)
def test_the_planner_can_drive_the_failsafe_and_stands_a_little_later(speed, acceleration):
    start = state(speed, acceleration)
    route = np.zeros(1, np.int64)
    failsafe = build_failsafe(
        start[None], None, BRAKE, route, straight_road(), vehicle=VEHICLE, step=HORIZON.dt
    )
    controls = follow_failsafe(failsafe, start, VEHICLE, HORIZON)
    states = roll_out(start[None], controls[None, None], vehicle=VEHICLE, dt=HORIZON.dt)[0, 0]
    assert (states[1:, StateIndex.SPEED] >= VEHICLE.speed[0]).all()
    assert (states[:, StateIndex.ACCELERATION] >= VEHICLE.acceleration[0] - 1e-9).all()
    assert np.abs(controls[:, 0]).max() <= VEHICLE.jerk + 1e-9
    assert np.abs(states[-1, [StateIndex.SPEED, StateIndex.ACCELERATION]]).max() < 0.1
    later = states[-1, StateIndex.X] - failsafe.state[0, -1, StateIndex.X]
    assert -0.05 <= later < 1.2


def test_a_command_passes_while_there_is_room_and_not_without():
    judged = guard(leader([40.0], [10.0])).judge(np.zeros(2), shadow_times=TIMES)
    assert judged.is_ready
    assert judged.passes
    assert judged.cause == judged.who == ""
    assert judged.failsafe[-1, StateIndex.SPEED] == 0.0
    least = next(gap for gap in np.arange(1.0, 40.0, 0.25) if guard(leader([gap], [10.0])).is_ready)
    near = guard(leader([least], [10.0])).judge(np.array([20.0, 0.0]), shadow_times=TIMES)
    assert near.is_ready
    assert not near.passes
    assert near.who == "lead"
    assert "touch a road user" in near.cause


def test_without_a_failsafe_at_the_start_it_is_told_and_the_car_brakes():
    judged = guard(leader([2.0], [0.0])).judge(np.zeros(2), shadow_times=TIMES)
    assert not judged.is_ready
    assert not judged.passes
    assert judged.failsafe[5, StateIndex.SPEED] < 10.0


def test_a_car_that_creeps_stands():
    judged = guard(leader([0.3], [0.0]), speed=0.05, acceleration=0.3)
    assert judged.is_ready


def inside(area, boxes):
    return shapely.covers(area.buffer(0.05), shapely.polygons(box_corners_bev(boxes)))


def test_whoever_keeps_to_the_assumptions_stays_in_the_shadow():
    rng = np.random.default_rng(0)
    # The one ahead may change lanes, the oncoming one keeps to its own, the walker goes anywhere.
    place = np.array([[[45.0, 0.0], [70.0, 3.5], [20.0, -6.0]]])
    heading, speed = np.array([[0.0, np.pi, 1.0]]), np.array([[8.0, 10.0, 1.2]])
    size = (np.array([[4.5, 4.5, 0.6]]), np.array([[1.9, 1.9, 0.6]]))
    around = seen(
        place,
        heading,
        speed,
        kind=np.array([[Kind.CAR, Kind.CAR, Kind.PEDESTRIAN]]),
        size=size,
    )
    shadows = guard(around).judge(np.zeros(2), shadow_times=TIMES).shadows
    assert [(shadow.start, shadow.end) for shadow in shadows] == [
        (0.0, 0.5), (0.5, 1.0), (1.0, 1.5), (1.5, 2.0),
    ]  # fmt: skip
    pulls = {0: (-8.0, 3.5), 1: (-8.0, 3.5), 2: (-2.0, 2.0)}
    for agent, (low, high) in pulls.items():
        for _ in range(40):
            pull = rng.uniform(low, high)
            for shadow in shadows:
                time = rng.uniform(shadow.start, shadow.end)
                moving = min(time, speed[0, agent] / -pull) if pull < 0 else time
                way = speed[0, agent] * moving + pull * moving**2 / 2
                turn = heading[0, agent]
                centre = place[0, agent] + way * np.array([np.cos(turn), np.sin(turn)])
                box = np.array([[*centre, turn, size[0][0, agent], size[1][0, agent]]])
                assert inside(shadow.area, box).all()


def test_shadows_grow_with_time_and_followers_cast_none():
    shadows = guard(leader([40.0], [10.0])).judge(np.zeros(2), shadow_times=TIMES).shadows
    areas = [shadow.area.area for shadow in shadows]
    assert areas == sorted(areas)
    assert areas[0] > 4.5 * 1.9
    behind = seen(np.array([[[-30.0, 0.0]]]), 0.0, 10.0)
    nobody = guard(behind).judge(np.zeros(2), shadow_times=TIMES).shadows
    assert all(shadow.area.is_empty for shadow in nobody)


def test_off_all_lanes_only_the_plane_bounds():
    around = seen(np.array([[[30.0, 0.0]]]), 0.0, 5.0)
    shadows = guard(around, road=Road()).judge(np.zeros(2), shadow_times=TIMES).shadows
    last = shadows[-1]
    # Half a second of passing, and 10 m/s² in any direction for two seconds.
    reach = np.hypot(2.25, 0.95) + 0.2 + 5.0 * 0.25 + 0.5 * 10.0 * 4.0
    width = last.area.bounds[3] - last.area.bounds[1]
    assert width == pytest.approx(2 * reach, rel=0.1)


def test_nobody_casts_no_shadow():
    nobody = dataclasses.replace(leader([40.0], [10.0]), valid=np.zeros((1, 1), bool))
    judged = guard(nobody).judge(np.zeros(2), shadow_times=TIMES)
    assert judged.margin == np.inf
    assert all(shadow.area.is_empty for shadow in judged.shadows)
