"""Times to a collision against arithmetic, and against stepping along time."""

from dataclasses import replace

import numpy as np
import pytest

from kerbstone.lang import Facts, known_signals
from kerbstone.scene import SE2, Agents, Clock, Scene, boxes_overlap
from meetings import facts_of, measure, measure_pairs, random_facts
from queries import moving_scene
from roads import EAST, Track, drive, moved, stage, straight_road

EXTRAPOLATED = (
    "time_to_collision",
    "time_to_collision_turning",
    "required_deceleration",
    "required_lateral_acceleration",
    "time_to_react",
)
BEHIND = (0, 0, 0, 15)
LEADER = (34, 0, 0, 5)  # 34 m less two halves of 4 m: a gap of 30 m that closes at 10 m/s
PAIRS = 1500
ODD, EVEN = np.arange(1, 2 * PAIRS, 2), np.arange(0, 2 * PAIRS, 2)


def step_along(facts: Facts, *, until: float, step: float) -> np.ndarray:
    """Return when the boxes of each pair first overlap, by looking at every step of time."""
    first = np.full(PAIRS, np.inf)
    for time in np.arange(0, until, step):
        boxes = [facts.boxes[rows, 1].copy() for rows in (EVEN, ODD)]
        for box, rows in zip(boxes, (EVEN, ODD), strict=True):
            turn = (facts.agents.heading[rows, 2] - facts.agents.heading[rows, 0]) / (2 * facts.dt)
            velocity = facts.agents.velocity[rows, 1]
            speed = np.hypot(*velocity.T)
            safe = np.where(turn == 0, 1.0, turn)
            begin, end = box[:, 2], box[:, 2] + turn * time
            # On a circle, or on a straight line.
            x = np.where(
                turn == 0, velocity[:, 0] * time, speed / safe * (np.sin(end) - np.sin(begin))
            )
            y = np.where(
                turn == 0, velocity[:, 1] * time, speed / safe * (np.cos(begin) - np.cos(end))
            )
            box[:, 0] += x
            box[:, 1] += y
            box[:, 2] = end
        first[np.isinf(first) & boxes_overlap(*boxes)] = time
    return first


def test_time_to_collision_is_the_gap_over_the_closing_speed():
    facts = facts_of(LEADER, BEHIND)
    assert measure("time_to_collision", facts) == pytest.approx(30 / 10)
    assert measure("time_to_collision_turning", facts) == pytest.approx(30 / 10)


@pytest.mark.parametrize("name", ["time_to_collision", "time_to_collision_turning"])
def test_it_is_0_while_boxes_touch_and_inf_where_they_never_do(name):
    assert measure(name, facts_of((3, 1, 30, 5), BEHIND)) == 0
    assert measure(name, facts_of((4, 0, 0, 20), BEHIND)) == 0, "they touch, and part"
    assert measure(name, facts_of((34, 0, 0, 15), BEHIND)) == np.inf, "as fast"
    assert measure(name, facts_of((34, 0, 0, 20), BEHIND)) == np.inf, "faster"
    assert measure(name, facts_of((34, 2.01, 0, 5), BEHIND)) == np.inf, "in the next lane"
    assert measure(name, facts_of((34, 0, 0, 0), (0, 0, 0, 0))) == np.inf, "both stand"


@pytest.mark.parametrize("name", ["time_to_collision", "time_to_collision_turning"])
def test_those_that_cross_collide_only_if_they_are_there_at_the_same_time(name):
    # b's front, 2 m ahead, is at the side of a's way (29 m) after 2.7 s. a, coming from the right
    # with half a length of 2 m, is in b's way (|y| < 1) from (s - 3) / 10 to (s + 3) / 10.
    b = (0, 0, 0, 10)
    assert measure(name, facts_of((30, -20, 90, 10), b)) == np.inf, "1.7 s to 2.3 s: a is gone"
    assert measure(name, facts_of((30, -26, 90, 10), b)) == pytest.approx(2.7, abs=1e-6)
    # b reaches 29 m at 2.7 s, a comes at 2.9 s, and b is gone only at (31 + 2) / 10 = 3.3 s.
    assert measure(name, facts_of((30, -32, 90, 10), b)) == pytest.approx(2.9, abs=1e-6)
    assert measure(name, facts_of((30, -40, 90, 10), b)) == np.inf, "3.7 s: b is gone"


def test_time_to_collision_is_what_stepping_along_time_finds():
    facts = random_facts(PAIRS, seed=1)
    found = measure_pairs("time_to_collision", facts, EVEN, ODD)[:, 1]
    stepped = step_along(facts, until=15.0, step=0.01)
    met = np.isfinite(stepped)
    assert met.sum() > 80
    late = stepped[met] - found[met]
    assert late.min() > -1e-9
    assert late.max() < 0.01 + 1e-9
    # What the steps missed is a corner that was touched for less than one of them.
    missed = ~met & (found < 14.9)
    assert missed.sum() <= 2
    np.testing.assert_array_equal(
        found == 0, boxes_overlap(*(facts.boxes[r, 1] for r in (EVEN, ODD)))
    )


def test_at_the_time_found_the_boxes_touch():
    facts = random_facts(PAIRS, seed=2)
    found = measure_pairs("time_to_collision", facts, EVEN, ODD)[:, 1]
    soon = np.flatnonzero(np.isfinite(found) & (found > 0))
    for delay, touch in ((-1e-6, False), (1e-6, True)):
        boxes = [facts.boxes[rows[soon], 1].copy() for rows in (EVEN, ODD)]
        for box, rows in zip(boxes, (EVEN, ODD), strict=True):
            box[:, :2] += facts.agents.velocity[rows[soon], 1] * (found[soon] + delay)[:, None]
        assert (boxes_overlap(*boxes) == touch).mean() > 0.99, "all but grazing corners"


@pytest.mark.parametrize("turn", [0.0, 0.5])
def test_turning_it_is_what_stepping_along_time_finds(turn):
    facts = random_facts(PAIRS, seed=3, turn=turn)
    slow = facts.agents.speed[:, 1] < 5  # tight turns of slow ones are limited, see below
    keep = ~(slow[EVEN] | slow[ODD])
    found = measure_pairs("time_to_collision_turning", facts, EVEN, ODD)[:, 1]
    stepped = step_along(facts, until=8.0, step=0.01)
    met = np.isfinite(stepped) & keep
    assert met.sum() > 40
    late = stepped[met] - found[met]
    assert late.min() > -0.005
    assert late.max() < 0.015
    missed = ~np.isfinite(stepped) & keep & (found < 7.9)
    assert missed.sum() <= 2


def test_without_a_turn_rate_turning_is_straight():
    facts = random_facts(PAIRS, seed=4)
    straight = measure_pairs("time_to_collision", facts, EVEN, ODD)[:, 1]
    turning = measure_pairs("time_to_collision_turning", facts, EVEN, ODD)[:, 1]
    np.testing.assert_allclose(turning, np.where(straight <= 8, straight, np.inf), atol=1e-6)


def test_on_a_bend_only_turning_sees_what_stands_on_it():
    # A circle of 20 m at 10 m/s: 0.5 rad/s. A quarter of it leads to (20, 20), heading north.
    facts = facts_of((20, 20, 90, 0), (0, 0, 0, 10, 0.5))
    assert measure("time_to_collision", facts) == np.inf
    # The quarter is 31.4 m long; half a length of either car is 2 m, and a bend is met aslant.
    assert measure("time_to_collision_turning", facts) == pytest.approx((31.4 - 4) / 10, abs=0.1)


def test_a_slow_road_user_goes_straight_and_none_turns_tighter_than_5_m():
    # At 0.9 m/s a heading turns by noise. (A curve of 0.9 m radius would never reach the other.)
    facts = facts_of((10, 0, 0, 0), (0, 0, 0, 0.9, 1.0))
    assert measure("time_to_collision_turning", facts) == pytest.approx(6 / 0.9, abs=0.01)
    # At 2 m/s, 4 rad/s count as 0.4: a circle of 5 m, whose far end is 10 m to the left.
    facts = facts_of((0, 10, 0, 0), (0, 0, 0, 2, 4.0))
    assert measure("time_to_collision_turning", facts) < 8
    facts = facts_of((0, 14, 0, 0), (0, 0, 0, 2, 4.0))
    assert measure("time_to_collision_turning", facts) == np.inf


@pytest.mark.parametrize("name", ["time_to_collision", "time_to_collision_turning"])
def test_it_is_the_same_for_either_of_the_two(name):
    facts = random_facts(200, seed=5, turn=0.3)
    even, odd = EVEN[:200], ODD[:200]
    both = measure_pairs(name, facts, np.r_[even, odd], np.r_[odd, even])
    np.testing.assert_array_equal(both[:200], both[200:])
    np.testing.assert_array_equal(both[:200], measure_pairs(name, facts, even, odd))


@pytest.mark.parametrize("name", EXTRAPOLATED)
def test_it_does_not_matter_where_the_world_begins(name):
    facts = random_facts(300, seed=6, turn=0.3)
    elsewhere = Facts(moved(facts.scene, SE2(np.array([5e5, -4e6]), np.array(2.3))))
    even, odd = EVEN[:300], ODD[:300]
    here, there = (measure_pairs(name, f, even, odd)[:, 1] for f in (facts, elsewhere))
    # A million metres away a coordinate is known to a nanometre only: it may take a corner along.
    same = np.isclose(here, there, rtol=1e-5, atol=2e-3)
    assert same.mean() > 0.99


@pytest.mark.parametrize("name", EXTRAPOLATED)
def test_it_is_undefined_where_one_is_not_there_or_has_no_size(name):
    points = np.zeros((3, 3, 2))
    points[0, :, 0] = 34
    points[2, :, 0] = -34
    points[1, 2] = np.nan
    velocity = np.zeros_like(points)
    velocity[1, :, 0] = 10.0
    scene = moving_scene(points, velocity=velocity, heading=np.zeros((3, 3)))
    size = scene.agents.size.copy()
    size[2] = np.nan
    facts = Facts(replace(scene, agents=replace(scene.agents, size=size)))
    found = measure_pairs(name, facts, [0, 2], [1, 1])
    np.testing.assert_array_equal(np.isnan(found), [[False, False, True], [True, True, True]])


@pytest.mark.parametrize("name", [*EXTRAPOLATED, "time_headway"])
def test_a_scene_without_road_users_has_none(name):
    empty = Scene(
        "made/empty", Clock(0, 10**8, 4), Agents.empty(4), None, facts_of(BEHIND).scene.source
    )
    rows = np.zeros(0, np.int64)
    assert known_signals()[name].measure(Facts(empty), rows, rows).shape == (0, 4)


def test_time_headway_is_the_gap_over_the_followers_speed():
    facts = facts_of(LEADER, BEHIND)
    assert measure("time_headway", facts) == pytest.approx(30 / 15)
    assert measure("time_headway", facts, a=1, b=0) == np.inf, "the leader has none ahead"


def test_who_stands_reverses_or_is_beside_has_no_headway():
    assert measure("time_headway", facts_of(LEADER, (0, 0, 0, 0))) == np.inf
    assert measure("time_headway", facts_of(LEADER, (0, 0, 0, -2))) == np.inf
    assert measure("time_headway", facts_of((3, 1, 0, 5), BEHIND)) == np.inf, "side by side"
    assert np.isnan(measure("time_headway", facts_of((34, 5, 0, 5), BEHIND))), "in no common lane"


def test_time_headway_is_along_the_lane():
    users = [
        Track("b", drive(EAST, start=100, speed=10.0)),
        Track("a", drive(EAST, start=135, speed=10.0)),
    ]
    facts = Facts(stage(straight_road(), users, ego=None))
    # 35 m less two halves of 4.5 m.
    assert measure("time_headway", facts, a=1, b=0) == pytest.approx(30.5 / 10)
