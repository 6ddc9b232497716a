import numpy as np
from scipy.integrate import solve_ivp

from kerbstone.plan.shield.motion import advance, time_to_stop
from shielded import VEHICLE, states


def drawn(count, seed):
    rng = np.random.default_rng(seed)
    state = states(
        rng.uniform(0, 30, count),
        heading=rng.uniform(-3, 3, count),
        acceleration=rng.uniform(-8, 3, count),
        steering=0.0,
    )
    # No more lateral acceleration than the car can have.
    most = np.arctan(6.0 * VEHICLE.wheelbase / np.maximum(state[:, 3], 1.0) ** 2)
    state[:, 5] = np.clip(most, 0, 0.6) * rng.uniform(-1, 1, count)
    control = np.stack([rng.uniform(-20, 20, count), rng.uniform(-0.8, 0.8, count)], axis=1)
    return state, control


def test_a_step_agrees_with_an_adaptive_integrator():
    state, control = drawn(40, 0)
    new = advance(state, control, 0.1, VEHICLE)
    for k in range(len(state)):
        if new[k, 3] == 0.0 or state[k, 3] < 1.0:
            continue

        def slope(time, y, row=k):
            speed = state[row, 3] + state[row, 4] * time + control[row, 0] * time**2 / 2
            angle = state[row, 5] + control[row, 1] * time
            return [speed * np.cos(y[2]), speed * np.sin(y[2]), speed * np.tan(angle) / 2.9]

        exact = solve_ivp(slope, (0, 0.1), state[k, :3], rtol=1e-12, atol=1e-12).y[:, -1]
        np.testing.assert_allclose(new[k, :3], exact, atol=1e-5)


def test_two_short_steps_are_the_same_as_a_long_one_even_over_a_standstill():
    state, control = drawn(4000, 1)
    state[:2000, 3] = np.random.default_rng(2).uniform(0, 0.6, 2000)
    once = advance(state, control, 0.1, VEHICLE)
    twice = advance(advance(state, control, 0.03, VEHICLE), control, 0.07, VEHICLE)
    np.testing.assert_allclose(once[:, 3:], twice[:, 3:], atol=1e-9)
    np.testing.assert_allclose(once[:, :3], twice[:, :3], atol=2e-5)


def test_a_car_that_brakes_to_a_standstill_does_not_reverse():
    state, control = states([0.3], acceleration=-8.0), np.zeros((1, 2))
    new = advance(state, control, 0.1, VEHICLE)
    assert new[0, 3] == 0.0
    assert new[0, 4] == 0.0
    np.testing.assert_allclose(new[0, 0], 0.3**2 / 16)


def test_a_straight_step_is_the_closed_form():
    new = advance(states([10.0], acceleration=2.0), np.array([[5.0, 0.0]]), 0.1, VEHICLE)
    np.testing.assert_allclose(new[0, 0], 10 * 0.1 + 2 * 0.005 + 5 * 0.001 / 6, atol=1e-14)


def test_time_to_stop_is_the_first_zero_of_the_speed():
    rng = np.random.default_rng(3)
    speed, pull, jerk = (
        rng.uniform(0.01, 5, 500),
        rng.uniform(-8, 3, 500),
        rng.uniform(-20, 20, 500),
    )
    time = np.linspace(0, 2, 4001)[:, None]
    below = speed + pull * time + jerk * time**2 / 2 <= 0
    first = np.where(below.any(axis=0), time[below.argmax(axis=0), 0], 2.0)
    np.testing.assert_allclose(time_to_stop(speed, pull, jerk, 2.0), first, atol=6e-4)
