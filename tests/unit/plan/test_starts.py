"""The state a plan starts from."""

import dataclasses

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.plan.starts import check_start, estimate_start, lateral_acceleration
from kerbstone.plan.vehicle import StateIndex, Vehicle
from roads import EAST, Track, drive, ramp, stage, stand

CAR = Vehicle()


def circle_of(radius, speed, *, steps=100):
    """Return the middle of a car whose rear axle goes round a circle, and its heading."""
    turned = speed / radius * 0.1 * np.arange(steps)
    rear = radius * np.stack([np.sin(turned), 1 - np.cos(turned)], axis=-1)
    way = np.stack([np.cos(turned), np.sin(turned)], axis=-1)
    return rear + CAR.centre_offset * way, np.angle(np.exp(1j * turned))


def changed(scene, **columns):
    return dataclasses.replace(scene, agents=dataclasses.replace(scene.agents, **columns))


def test_the_rear_axle_lies_behind_the_middle_of_the_box():
    scene = stage(None, [Track("ego", drive(EAST, start=50, speed=8.0))])
    state = estimate_start(scene, 0, 20, CAR).state
    middle = scene.agents.centre[0, 20, :2]
    assert state[:2] == pytest.approx(middle - [CAR.length / 2 - CAR.rear_overhang, 0.0])
    assert state[StateIndex.SPEED] == pytest.approx(8.0)
    assert state[StateIndex.ACCELERATION] == pytest.approx(0.0, abs=1e-9)
    assert state[StateIndex.STEERING] == pytest.approx(0.0, abs=1e-9)


def test_braking_is_seen():
    speed = np.maximum(15.0 - 0.3 * np.arange(100), 0.0)
    scene = stage(None, [Track("ego", drive(EAST, start=50, speed=speed))])
    state = estimate_start(scene, 0, 20, CAR).state
    assert state[StateIndex.ACCELERATION] == pytest.approx(-3.0, abs=0.01)
    assert state[StateIndex.SPEED] == pytest.approx(9.15, abs=0.02)


@pytest.mark.parametrize("radius", [12.0, -25.0])
def test_steering_is_that_of_the_circle_driven(radius):
    points, heading = circle_of(abs(radius), 6.0)
    sign = np.sign(radius)
    track = Track("ego", points * [1, sign], heading=sign * heading)
    start = estimate_start(stage(None, [track]), 0, 30, CAR)
    assert start.state[StateIndex.STEERING] == pytest.approx(
        np.arctan(CAR.wheelbase / radius), rel=0.01
    )
    assert start.state[StateIndex.SPEED] == pytest.approx(6.0, rel=0.01)
    assert start.clipped == ()


def test_noise_of_a_few_centimetres_hardly_matters():
    noise = np.random.default_rng(0).normal(0, 0.02, (100, 2))
    scene = stage(None, [Track("ego", drive(EAST, start=50, speed=8.0) + noise, heading=0.0)])
    states = np.stack([estimate_start(scene, 0, step, CAR).state for step in range(10, 90)])
    assert np.std(states[:, StateIndex.SPEED]) < 0.05
    assert np.std(states[:, StateIndex.ACCELERATION]) < 0.3


def test_a_standing_car_has_no_speed_and_wheels_straight():
    scene = stage(None, [Track("ego", stand(3, 4), heading=1.0)])
    assert estimate_start(scene, 0, 50, CAR).state[2:] == pytest.approx([1, 0, 0, 0], abs=1e-9)


def test_the_first_and_the_last_step_have_a_state_too():
    scene = stage(None, [Track("ego", drive(EAST, start=50, speed=ramp(5, 9, first=0, last=99)))])
    for step in (0, 99):
        assert np.isfinite(estimate_start(scene, 0, step, CAR).state).all()


def test_a_car_seen_once_has_its_recorded_velocity():
    track = drive(EAST, start=50, speed=8.0)
    track[np.arange(100) != 40] = np.nan
    scene = stage(None, [Track("ego", track, heading=0.0)])
    velocity = np.where(scene.agents.valid[..., None], [8.0, 0.0], np.nan)
    state = estimate_start(changed(scene, velocity=velocity), 0, 40, CAR).state
    assert state[StateIndex.SPEED] == 8.0


def test_a_heading_that_is_missing_comes_from_the_motion():
    scene = stage(None, [Track("ego", drive(EAST, start=50, speed=8.0))])
    scene = changed(scene, heading=np.full((1, 100), np.nan))
    assert estimate_start(scene, 0, 40, CAR).state[StateIndex.HEADING] == pytest.approx(0.0)


def test_a_standing_car_without_a_heading_is_an_error():
    scene = changed(stage(None, [Track("ego", stand(3, 4))]), heading=np.full((1, 100), np.nan))
    with pytest.raises(InputError, match="faces is not known") as caught:
        estimate_start(scene, 0, 40, CAR)
    assert caught.value.remedy


def test_a_car_that_is_not_there_is_an_error_that_says_when_it_is():
    track = drive(EAST, start=50, speed=8.0)
    track[:30] = np.nan
    with pytest.raises(InputError, match="not there") as caught:
        estimate_start(stage(None, [Track("ego", track)]), 0, 10, CAR)
    assert caught.value.why == "it is there from 3.0 s to 9.9 s"
    assert "1.0 s" in caught.value.where


def test_what_is_a_little_beyond_the_limits_is_clipped_and_told():
    speed = np.minimum(2.0 + 0.4 * np.arange(100), 30.0)
    scene = stage(None, [Track("ego", drive(EAST, start=10, speed=speed))])
    start = estimate_start(scene, 0, 20, CAR)
    assert start.state[StateIndex.ACCELERATION] == pytest.approx(0.98 * CAR.acceleration[1])
    assert "acceleration from 4.000 to 2.940 m/s²" in start.clipped


def test_a_sharp_turn_is_clipped_to_what_tyres_can_hold():
    points, heading = circle_of(30.0, 15.0)
    start = estimate_start(stage(None, [Track("ego", points, heading=heading)]), 0, 30, CAR)
    assert len(start.clipped) == 1
    assert lateral_acceleration(start.state, CAR) == pytest.approx(
        CAR.lateral_acceleration, rel=0.03
    )
    check_start(start.state, CAR)


@pytest.mark.parametrize(
    ("speed", "heading", "name"),
    [(5.0, np.pi, "speed"), (60.0, 0.0, "speed"), (np.r_[np.full(50, 1.0), np.full(50, 30.0)], 0.0, "acceleration")],
)  # fmt: skip
def test_a_state_far_beyond_the_limits_is_an_error_that_names_it(speed, heading, name):
    scene = stage(None, [Track("ego", drive(EAST, start=0, speed=speed), heading=heading)])
    with pytest.raises(InputError, match=f"impossible: its {name} is") as caught:
        estimate_start(scene, 0, 50, CAR)
    assert caught.value.code == "value"
    assert "limits" in caught.value.why
    assert caught.value.where
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("column", "value", "name"),
    [
        (StateIndex.SPEED, 36.0, "speed"),
        (StateIndex.SPEED, -0.2, "speed"),
        (StateIndex.ACCELERATION, 3.1, "acceleration"),
        (StateIndex.STEERING, -0.7, "steering"),
        (StateIndex.STEERING, 0.3, "lateral acceleration"),
        (StateIndex.X, np.nan, "not finite"),
    ],
)
def test_a_given_state_is_held_to_the_limits(column, value, name):
    state = np.array([0.0, 0.0, 0.0, 15.0, 0.0, 0.0])
    check_start(state, CAR)
    state[column] = value
    with pytest.raises(InputError, match=name):
        check_start(state, CAR)
