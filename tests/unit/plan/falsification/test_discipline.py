from dataclasses import replace

import numpy as np
import pytest

from kerbstone.plan.falsification.crowds import Crowd, Wish, move_crowd
from kerbstone.plan.falsification.discipline import begin_discipline
from kerbstone.plan.falsification.permits import cut_wish, look_up_permits
from kerbstone.plan.falsification.rails import Rails
from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.vehicle import StateIndex, Vehicle
from kerbstone.scene import Kind

ASSUMED, CAR, STEP = Assumptions(), Vehicle(), 0.1


def _one(along, left, speed):
    """One car on a lane that runs along x; ego drives on it at the origin."""
    rail = Rails(np.zeros((1, 1, 3)), np.zeros((1, 1)))
    place, heading = rail.place(np.full((1, 1), along), np.full((1, 1), left))
    return Crowd(
        np.full((1, 1), int(Kind.CAR)),
        np.full((1, 1), 4.0),
        np.full((1, 1), 1.8),
        np.ones((1, 1), bool),
        np.ones((1, 1), bool),
        rail,
        np.full((1, 1), 30.0),
        np.full((1, 1), along),
        np.full((1, 1), left),
        place,
        heading,
        np.full((1, 1), speed),
    )


def _follow(crowd, wish, ego_speed, seconds=3.0, *, verified_once=False):
    ego = np.zeros((1, 6))
    ego[0, StateIndex.SPEED] = ego_speed
    discipline = begin_discipline(crowd, ASSUMED, CAR)
    permits = look_up_permits(crowd, ASSUMED)
    yield crowd
    for number in range(round(seconds / STEP)):
        renewed = np.full(1, not (verified_once and number))
        asked = discipline.restrain(ego, crowd, wish, STEP, renewed=renewed)
        crowd = move_crowd(crowd, cut_wish(crowd, asked, permits, STEP), STEP, 10).after
        ego[0, StateIndex.X] += ego_speed * STEP
        yield crowd


def _wish(push, veer):
    return Wish(np.full((1, 1), push), np.full((1, 1), veer), np.zeros((1, 1, 2)))


@pytest.mark.parametrize("speed", [2.0, 10.0, 20.0])
def test_one_beside_ego_comes_no_further_aside_than_rss_lets_it(speed):
    states = list(_follow(_one(1.0, 3.5, speed), _wish(0.0, -2.0), speed))
    most = 0.5 * 0.2 + 0.2**2 / (2 * 0.8)
    shift = 3.5 - states[-1].left[0, 0]
    assert 0.3 * most < shift <= most + 1e-9


def test_one_far_ahead_cuts_in_as_fast_as_it_can():
    states = list(_follow(_one(80.0, 3.5, 10.0), _wish(0.0, -2.0), 10.0))
    assert states[-1].left[0, 0] < -1.0


def test_one_far_ahead_stays_in_its_lane_while_it_is_hidden_and_may_leave_it_then():
    # Ego drives as fast in the next lane, far behind: it may come over, and wants to.
    crowd, ego = _one(80.0, 0.0, 10.0), np.zeros((1, 6))
    ego[0, StateIndex.Y], ego[0, StateIndex.SPEED] = -3.5, 10.0
    discipline, permits = begin_discipline(crowd, ASSUMED, CAR), look_up_permits(crowd, ASSUMED)
    right = []
    for number in range(100):
        edges = np.array([[[-1.75, 1.75]]]) if number < 50 else np.array([[[-np.inf, np.inf]]])
        asked = discipline.restrain(
            ego, crowd, _wish(0.0, -2.0), STEP, renewed=np.ones(1, bool), edges=edges
        )
        crowd = move_crowd(crowd, cut_wish(crowd, asked, permits, STEP), STEP, 10).after
        ego[0, StateIndex.X] += 1.0
        breadth = (np.sin(abs(crowd.skew)) * 4.0 + np.cos(crowd.skew) * 1.8) / 2.0
        right.append((crowd.left - breadth)[0, 0])
    assert -1.75 <= min(right[:50]) < -1.5
    assert right[-1] < -3.0


def test_one_ahead_at_an_unsafe_gap_stays_beside():
    states = list(_follow(_one(15.0, 3.5, 10.0), _wish(0.0, -2.0), 20.0, seconds=1.5))
    assert states[-1].left[0, 0] > 3.3


def test_one_too_near_behind_brakes_after_its_response_and_not_before():
    states = list(_follow(_one(-12.0, 0.0, 12.0), _wish(100.0, 0.0), 10.0, seconds=2.0))
    speed = np.array([one.speed[0, 0] for one in states])
    gains = np.diff(speed) / STEP
    assert gains[0] == pytest.approx(3.5, abs=1e-6)
    assert (gains[11:] <= -4.0 + 1e-6).all()


@pytest.mark.parametrize("push", [-8.0, 0.0, 3.5])
@pytest.mark.parametrize("speed", [4.0, 9.0])
@pytest.mark.parametrize("skew", [0.0, 0.004])
def test_the_ends_of_a_long_one_that_turns_stay_in_its_band(push, speed, skew):
    # Beside ego for good: the truck of a colliding episode swung its rear out while it braked.
    truck = replace(
        _one(1.0, 3.5, speed),
        kind=np.full((1, 1), int(Kind.TRUCK)),
        length=np.full((1, 1), 10.4),
        heading=np.full((1, 1), skew),
    )
    states = list(_follow(truck, _wish(push, 1.0), 0.0, verified_once=True))

    def sides(one):
        turned = abs(one.skew[0, 0])
        reach = (np.sin(turned) * 10.4 + np.cos(turned) * 1.8) / 2.0
        return one.left[0, 0] - reach, one.left[0, 0] + reach

    (right, left), way = sides(truck), speed * np.sin(skew)
    least = right - max(_way(-way), 0.0)
    most = left + max(_way(way), 0.0)
    bound = [one for one in states if one.along[0, 0] < 4.0]
    assert len(bound) > 3
    assert all(least - 1e-3 <= sides(one)[0] and sides(one)[1] <= most + 1e-3 for one in bound)
    assert max(abs(one.skew[0, 0]) for one in bound) > skew


def _way(speed):
    faster = speed + 0.2
    return (speed + faster) / 2.0 + max(faster, 0.0) ** 2 / (2 * 0.8)


@pytest.mark.parametrize(
    ("gap", "wait", "veer", "speed"),
    [(0.0, 3, -0.6, 5.0), (2.0, 0, -1.0, 5.0), (5.0, 0, -0.4, 5.0), (6.0, 3, -0.2, 5.0)],
)
def test_one_that_came_over_at_a_safe_gap_answers_for_it_when_ego_brakes(gap, wait, veer, speed):
    # Ego is faster, so a short gap is safe; soon it brakes as hard as it may.
    ego = np.zeros((1, 6))
    ego[0, StateIndex.SPEED] = 16.0
    crowd = _one(-CAR.rear_overhang - 2.0 - gap, 3.5, speed)
    discipline, permits = begin_discipline(crowd, ASSUMED, CAR), look_up_permits(crowd, ASSUMED)
    came_in = False
    for number in range(60):
        renewed = np.full(1, number == 0)
        asked = discipline.restrain(ego, crowd, _wish(3.5, veer), STEP, renewed=renewed)
        crowd = move_crowd(crowd, cut_wish(crowd, asked, permits, STEP), STEP, 10).after
        before = ego[0, StateIndex.SPEED]
        after = max(before - (number >= wait) * ASSUMED.ego.hardest * STEP, 0.0)
        ego[0, StateIndex.X] += (before + after) / 2.0 * STEP
        ego[0, StateIndex.SPEED] = after
        overlaps = abs(crowd.left[0, 0]) < (CAR.width + 1.8) / 2.0
        # It may also pass ego before it comes over.
        is_behind = crowd.along[0, 0] < ego[0, StateIndex.X]
        came_in |= overlaps & is_behind
        front, rear = crowd.along[0, 0] + 2.0, ego[0, StateIndex.X] - CAR.rear_overhang
        assert not (overlaps and is_behind and front > rear)
    assert came_in
