import numpy as np
import pytest

from kerbstone.plan.shield.failsafe import (
    BRAKE,
    DEFAULT_CANDIDATES,
    Candidate,
    build_failsafe,
    build_failsafes,
    choose_route,
)
from kerbstone.plan.shield.road import Lane, Road
from shielded import VEHICLE, states, straight_road


def build(state, candidate=BRAKE, first=None, road=None, route=0):
    route = np.full(len(state), route)
    road = road or straight_road(1, 1)
    return build_failsafe(state, first, candidate, route, road, vehicle=VEHICLE, step=0.1)


def test_braking_ends_at_a_standstill_within_the_limits():
    rng = np.random.default_rng(0)
    state = states(rng.uniform(0, 35, 200), acceleration=rng.uniform(-8, 3, 200))
    for candidate in (BRAKE, Candidate(braking=0.6), Candidate(hold=1.0)):
        made = build(state, candidate)
        assert (made.state[:, -1, 3] == 0.0).all()
        assert made.state[..., 4].min() >= -8.0 - 1e-9
        assert np.abs(made.control[..., 0]).max() <= VEHICLE.jerk
        assert np.abs(made.control[..., 1]).max() <= VEHICLE.steering_rate


def test_the_first_control_is_the_command():
    command = np.array([[7.0, 0.3]])
    made = build(states([12.0]), first=command)
    np.testing.assert_array_equal(made.control[:, 0], command)
    assert made.state[0, 1, 4] == pytest.approx(0.7)


def test_steering_goes_back_to_the_middle_of_the_lane():
    made = build(states([20.0], y=0.8, heading=0.02), Candidate(braking=0.3))
    assert abs(made.state[0, -1, 1]) < 0.1
    assert abs(made.state[0, -1, 2]) < 0.02


def test_without_a_route_the_wheels_stay():
    made = build(states([10.0], steering=0.05), route=-1)
    np.testing.assert_allclose(made.state[0, :, 5], 0.05)


def test_a_bend_is_followed():
    angle = np.linspace(0, 1.5, 80)
    road = Road((Lane(np.stack([60 * np.sin(angle), 60 - 60 * np.cos(angle)], axis=1)),))
    made = build(states([13.0]), Candidate(hold=2.0), road=road)
    off = np.hypot(made.state[0, :, 0], made.state[0, :, 1] - 60.0) - 60.0
    assert np.abs(off).max() < 0.4


def test_evading_goes_aside():
    made = build(states([20.0]), Candidate(braking=0.3, aside=2.0))
    assert made.state[0, -1, 1] > 1.5


def test_the_nearest_route_in_egos_direction_is_chosen_and_kept():
    road = straight_road(2, 1)
    state = states([10.0] * 5, y=[0.2, 3.0, 6.9, 60.0, 1.9])
    np.testing.assert_array_equal(choose_route(state, road, aligned=0.8), [0, 1, 1, -1, 1])
    kept = choose_route(state, road, aligned=0.8, present=np.zeros(5, dtype=int))
    np.testing.assert_array_equal(kept, [0, 1, 1, -1, 0])


def test_settling_turns_ego_along_its_lane_and_never_back():
    rng = np.random.default_rng(3)
    speed, heading = rng.uniform(8.0, 25.0, 60), rng.uniform(-0.06, 0.06, 60)
    made = build(
        states(speed, y=rng.uniform(-1.5, 1.5, 60), heading=heading), Candidate(settles=True)
    )
    aside = made.state[..., 1] * np.sign(heading)[:, None]
    assert (np.maximum.accumulate(aside, axis=1) - aside).max() < 0.05
    assert np.abs(made.state[:, -1, 2]).max() < np.abs(heading).max()


def test_failsafes_in_parts_are_those_of_each_candidate_by_itself():
    rng = np.random.default_rng(5)
    count, candidates = 400, DEFAULT_CANDIDATES
    state = states(rng.uniform(0, 25, count), acceleration=rng.uniform(-8, 3, count))
    state[::7, 3:5] = 0.0
    command = np.stack([rng.uniform(-20, 20, count), rng.uniform(-0.8, 0.8, count)], axis=1)
    which, route = rng.integers(len(candidates), size=count), rng.integers(-1, 2, size=count)
    road = straight_road(2, 1)
    seen = np.zeros(count, dtype=int)
    for rows, part in build_failsafes(
        state, command, candidates, which, route, road, vehicle=VEHICLE, step=0.1
    ):
        seen[rows] += 1
        assert (part.state[:, -1, 3:5] == 0.0).all()
        for row, got in zip(rows, range(len(part)), strict=True):
            one = build_failsafe(
                state[[row]], command[[row]], candidates[which[row]], route[[row]], road,
                vehicle=VEHICLE, step=0.1,
            )  # fmt: skip
            steps = one.steps
            assert part.steps >= steps
            np.testing.assert_allclose(part.state[got, : steps + 1], one.state[0], atol=1e-9)
            still = np.repeat(one.state[0, -1:], part.steps + 1 - steps, axis=0)
            np.testing.assert_allclose(part.state[got, steps:], still, atol=1e-9)
    np.testing.assert_array_equal(seen, 1)
