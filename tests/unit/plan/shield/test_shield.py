from dataclasses import replace

import numpy as np
import pytest
import shapely

from kerbstone.errors import InputError, UsageError
from kerbstone.plan.shield.failsafe import BRAKE
from kerbstone.plan.shield.motion import advance
from kerbstone.plan.shield.road import Lane, Road
from kerbstone.plan.shield.shield import Shield
from shielded import (
    FRONT,
    SHARP,
    VEHICLE,
    chase,
    leader,
    seen,
    states,
    straight_road,
)

FULL_THROTTLE = np.array([[20.0, 0.0]])


def nobody(count):
    return seen(np.zeros((count, 0, 2)), 0.0, 0.0)


def test_full_throttle_behind_a_car_that_brakes_hard_never_hits_it(unchecked):
    least, hits, _ = chase(500, 1)
    assert not hits.any()
    assert least.min() > 0.0
    # Nor is it bought by distance: ego ends up close behind what stands.
    assert np.median(least) < 0.1


def test_random_commands_behind_a_car_that_drives_at_random_never_hit_it(unchecked):
    def commands(rng, state):
        return np.stack([rng.choice([20.0, -20.0, 0.0], len(state)), np.zeros(len(state))], axis=1)

    def lead(rng, step, speed, pull):
        return np.where(speed < 36.0, rng.choice([3.5, -8.0, 0.0], len(speed)), -8.0)

    least, hits, _ = chase(400, 2, planner=commands, lead=lead, seconds=8.0)
    assert not hits.any()
    assert least.min() > 0.0


@pytest.mark.parametrize("braking", [6.0, 7.8])
def test_believing_in_milder_braking_than_there_is_ends_in_collisions(unchecked, braking):
    believed = replace(SHARP, default=replace(SHARP.default, braking=braking))
    _, hits, _ = chase(200, 1, believed=believed)
    assert hits.any()


def drive(shield, state, planner, view, seconds):
    """Drive, and return all states, and where the shield intervened."""
    track, intervened = [state], []
    for k in range(round(seconds * 10)):
        decision = shield.step(state, planner(state), view(k * 0.1))
        state = advance(state, decision.control, 0.1, VEHICLE)
        np.testing.assert_allclose(state, decision.expected)
        track.append(state)
        intervened.append(decision.intervened)
    return np.stack(track, axis=1), np.stack(intervened, axis=1)


def cruise(wanted):
    """A planner that holds a speed and keeps y = 0."""

    def plan(state):
        pull = np.clip(0.8 * (wanted - state[:, 3]), -2.0, 1.5)
        jerk = np.clip((pull - state[:, 4]) / 0.1, -5.0, 5.0)
        angle = np.clip(-0.01 * state[:, 1] - 0.15 * state[:, 2], -0.1, 0.1)
        return np.stack([jerk, np.clip((angle - state[:, 5]) / 0.1, -0.2, 0.2)], axis=1)

    return plan


@pytest.mark.parametrize("headway", [1.5, 2.0])
def test_following_at_a_usual_gap_is_left_alone(headway):
    speed = np.linspace(10.0, 25.0, 7)
    shield = Shield(straight_road())
    view = lambda time: leader(headway * speed + speed * time, speed)
    assert shield.start(states(speed), view(0.0)).all()
    _, intervened = drive(shield, states(speed), cruise(speed), view, 4.0)
    assert not intervened.any()


def test_oncoming_traffic_and_parked_cars_and_neighbours_are_left_alone():
    speed = np.array([10.0, 14.0, 20.0])
    shield = Shield(straight_road(2, 1))

    def view(time):
        oncoming = [[x - 15.0 * time, 7.0] for x in (40.0, 80.0, 140.0)]
        parked = [[x, -2.6] for x in (12.0, 30.0, 48.0)]
        position = np.array([oncoming + parked] * 3)
        beside = np.stack([4.0 + speed * time, np.full(3, 3.5)], axis=-1)[:, None]
        heading = np.array([[np.pi] * 3 + [0.0] * 4] * 3)
        moving = np.concatenate([np.full((3, 3), 15.0), np.zeros((3, 3)), speed[:, None]], axis=1)
        return seen(np.concatenate([position, beside], axis=1), heading, moving, size=(4.5, 1.8))

    assert shield.start(states(speed), view(0.0)).all()
    track, intervened = drive(shield, states(speed), cruise(speed), view, 4.0)
    assert not intervened.any()
    np.testing.assert_allclose(track[:, -1, 0], 4.0 * speed, atol=0.1)


def test_keeping_the_lane_on_a_bend_beside_oncoming_traffic_is_left_alone(unchecked):
    radius, speed = 60.0, 11.0
    angle = np.linspace(0, 3.0, 180)
    arc = lambda r: np.stack([r * np.sin(angle), 60.0 - r * np.cos(angle)], axis=1)
    road = Road((Lane(arc(60.0), speed_limit=13.9), Lane(arc(56.5)[::-1], speed_limit=13.9)))
    steering = np.arctan(VEHICLE.wheelbase / radius)
    state = states([speed], steering=steering)

    def view(time):
        turn = 1.0 - speed * time / 56.5
        position = [[[56.5 * np.sin(turn), 60.0 - 56.5 * np.cos(turn)]]]
        return seen(position, turn + np.pi, speed)

    shield = Shield(road)
    assert shield.start(state, view(0.0)).all()
    hold = lambda _: np.zeros((1, 2))
    track, intervened = drive(shield, state, hold, view, 6.0)
    assert not intervened.any()
    np.testing.assert_allclose(np.hypot(track[0, :, 0], track[0, :, 1] - 60.0), radius, atol=0.1)


def test_ego_drives_off_again_when_the_way_is_clear(unchecked):
    shield = Shield(straight_road(), candidates=(BRAKE,))
    wall = lambda time: seen([[[60.0 if time < 8 else 300.0, 0.0]]], 0.0, 0.0)
    shield.start(states([10.0]), wall(0.0))
    track, intervened = drive(shield, states([10.0]), lambda _: FULL_THROTTLE, wall, 12.0)
    stopped = track[0, 80]
    assert stopped[3] < 0.5
    assert 0 < 57.75 - stopped[0] - FRONT < 0.5
    assert intervened[0, 40:80].any()
    assert not intervened[0, 90:100].any()
    assert track[0, -1, 0] > stopped[0] + 10


def test_ego_stays_on_the_road_whatever_the_wheel_is_asked_for(unchecked):
    road = straight_road(drivable=shapely.box(-50, -2.0, 900, 2.0))
    rng = np.random.default_rng(0)
    state = states(rng.uniform(3, 20, 40))
    shield = Shield(road, assumptions=SHARP)
    assert shield.start(state, nobody(40)).all()

    def swing(now):
        return np.stack([rng.uniform(-5, 20, 40), rng.choice([-0.8, 0.8], 40)], axis=1)

    track, intervened = drive(shield, state, swing, lambda _: nobody(40), 4.0)
    flat = track.reshape(-1, 6)
    ahead = np.stack([np.cos(flat[:, 2]), np.sin(flat[:, 2])], axis=1)
    for along in (-1.0, 3.9):
        for aside in (-0.95, 0.95):
            y = flat[:, 1] + along * ahead[:, 1] + aside * ahead[:, 0]
            assert np.abs(y).max() <= 2.0
    assert intervened.any()


def test_ego_never_stands_where_it_must_not(unchecked):
    area = shapely.box(60, -5, 80, 5)
    shield = Shield(straight_road(no_stopping=area), assumptions=SHARP)
    rng = np.random.default_rng(1)
    state = states(rng.uniform(2, 20, 60))
    assert shield.start(state, nobody(60)).all()
    brakes_after = rng.uniform(20, 75, 60)

    def stop_inside(now):
        return np.stack([np.where(now[:, 0] < brakes_after, 5.0, -20.0), np.zeros(60)], axis=1)

    track, _ = drive(shield, state, stop_inside, lambda _: nobody(60), 9.0)
    stands = track[..., 3] == 0.0
    inside = (track[..., 0] + 3.9 > 60) & (track[..., 0] - 1.0 < 80)
    assert stands.any()
    assert not (stands & inside).any()


def test_there_is_no_failsafe_right_before_a_wall():
    shield = Shield(straight_road())
    view = leader(np.array([5.0, 50.0]), np.zeros(2))
    np.testing.assert_array_equal(shield.start(states([20.0, 20.0]), view), [False, True])
    # It brakes as hard as it can all the same.
    decision = shield.step(states([20.0, 20.0]), np.zeros((2, 2)), view)
    assert decision.intervened[0]
    assert decision.control[0, 0] == -20.0


def test_a_command_that_is_not_a_number_does_not_pass():
    shield = Shield(straight_road())
    shield.start(states([10.0] * 3), nobody(3))
    wish = np.array([[np.nan, 0.0], [0.0, np.inf], [0.0, 0.0]])
    decision = shield.step(states([10.0] * 3), wish, nobody(3))
    np.testing.assert_array_equal(decision.intervened, [True, True, False])
    assert np.isinf(decision.amount[:2]).all()
    assert decision.amount[2] == 0.0
    assert np.isfinite(decision.control).all()


def test_a_command_beyond_the_limits_is_cut_to_them():
    shield = Shield(straight_road())
    state = states([10.0], acceleration=2.9)
    shield.start(state, nobody(1))
    decision = shield.step(state, np.array([[1e6, -1e6]]), nobody(1))
    assert decision.control[0, 0] == pytest.approx(1.0)
    assert decision.control[0, 1] >= -VEHICLE.steering_rate
    assert decision.amount[0] > 1.0


def test_a_short_plan_is_asked_for_its_first_control():
    shield = Shield(straight_road())
    shield.start(states([10.0]), nobody(1))
    plan = np.zeros((1, 5, 2))
    plan[0, 0, 0], plan[0, 1:, 0] = 1.0, np.nan
    assert shield.step(states([10.0]), plan, nobody(1)).control[0, 0] == 1.0


def test_episodes_do_not_disturb_each_other():
    rng = np.random.default_rng(3)
    speed, gap = rng.uniform(0, 30, 50), rng.uniform(5, 60, 50)
    together = Shield(straight_road())
    together.start(states(speed), leader(gap, speed))
    whole = together.step(states(speed), np.tile(FULL_THROTTLE, (50, 1)), leader(gap, speed))
    for k in range(0, 50, 7):
        alone = Shield(straight_road())
        view = leader(gap[k : k + 1], speed[k : k + 1])
        alone.start(states(speed[k : k + 1]), view)
        decision = alone.step(states(speed[k : k + 1]), FULL_THROTTLE, view)
        assert decision.intervened[0] == whole.intervened[k]
        np.testing.assert_allclose(decision.control[0], whole.control[k], atol=1e-12)


def test_wrong_use_is_told():
    shield = Shield(straight_road())
    with pytest.raises(UsageError, match="not been started"):
        shield.step(states([1.0]), np.zeros((1, 2)), nobody(1))
    with pytest.raises(InputError, match="not finite"):
        shield.start(states([np.nan]), nobody(1))
    with pytest.raises(InputError, match="as many surroundings"):
        shield.start(states([1.0]), nobody(2))
    shield.start(states([1.0]), nobody(1))
    with pytest.raises(UsageError, match="another number"):
        shield.step(states([1.0, 2.0]), np.zeros((2, 2)), nobody(2))
    with pytest.raises(UsageError, match="no fail-safe"):
        Shield(straight_road(), candidates=())
