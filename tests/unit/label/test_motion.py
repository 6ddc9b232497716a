import numpy as np
import pytest

from kerbstone.label.motion import StateIndex, has_wheels, predict_state, process_noise
from kerbstone.scene import Kind
from watched import drive


def states(seed, count=40):
    draw = np.random.default_rng(seed)
    state = draw.normal(size=(count, 5)) * [50, 50, 3, 10, 0.5]
    return state, draw.random(count) < 0.5


def test_a_car_follows_the_arc_of_its_turn_rate():
    arc = drive(12.0, 0.4, steps=51, start=(3.0, -2.0, 2.5))
    state = np.array([[3.0, -2.0, 2.5, 12.0, 0.4]])
    for _ in range(50):
        state, _ = predict_state(state, np.array([True]), 0.1)
    np.testing.assert_allclose(state[0, :3], arc[-1], atol=0.01)
    np.testing.assert_array_equal(state[0, 3:], [12.0, 0.4])


def test_a_car_that_reverses_moves_against_its_heading():
    after, _ = predict_state(np.array([[0.0, 0.0, 0.0, -3.0, 0.0]]), np.array([True]), 0.5)
    np.testing.assert_allclose(after[0], [-1.5, 0.0, 0.0, -3.0, 0.0])


def test_a_walker_keeps_its_velocity_whatever_its_heading():
    after, _ = predict_state(np.array([[0.0, 0.0, 1.0, 1.2, -0.5]]), np.array([False]), 2.0)
    np.testing.assert_allclose(after[0], [2.4, -1.0, 1.0, 1.2, -0.5])


@pytest.mark.parametrize("dt", [0.05, 0.5])
def test_derivatives_are_those_of_finite_differences(dt):
    state, wheeled = states(1)
    _, jacobian = predict_state(state, wheeled, dt)
    for column in StateIndex:
        step = np.zeros(5)
        step[column] = 1e-6
        ahead, _ = predict_state(state + step, wheeled, dt)
        behind, _ = predict_state(state - step, wheeled, dt)
        np.testing.assert_allclose(jacobian[:, :, column], (ahead - behind) / 2e-6, atol=1e-6)


def test_each_road_user_may_have_a_time_step_of_its_own():
    state, wheeled = states(2, 3)
    after, jacobian = predict_state(state, wheeled, np.array([0.1, 0.5, 2.0]))
    for row, dt in enumerate((0.1, 0.5, 2.0)):
        alone = predict_state(state[row : row + 1], wheeled[row : row + 1], dt)
        np.testing.assert_array_equal(after[row], alone[0][0])
        np.testing.assert_array_equal(jacobian[row], alone[1][0])


def test_the_state_before_is_left_as_it_was():
    state, wheeled = states(3)
    before = state.copy()
    predict_state(state, wheeled, 0.1)
    np.testing.assert_array_equal(state, before)


def test_process_noise_is_that_of_random_accelerations():
    draw = np.random.default_rng(4)
    dt, pulls = 0.5, draw.normal(size=(200_000, 3)) * [2.0, 2.0, 0.7]
    heading = 0.6
    ahead = np.array([np.cos(heading), np.sin(heading)])
    car = np.zeros((len(pulls), 5))
    car[:, :2] = pulls[:, :1] * dt**2 / 2 * ahead
    car[:, 2], car[:, 3], car[:, 4] = pulls[:, 2] * dt**2 / 2, pulls[:, 0] * dt, pulls[:, 2] * dt
    walker = np.column_stack([pulls[:, :2] * dt**2 / 2, pulls[:, 2] * dt**0.5, pulls[:, :2] * dt])
    state = np.array([[0.0, 0.0, heading, 5.0, 0.0]] * 2)
    found = process_noise(state, np.array([True, False]), np.full(2, 2.0), np.full(2, 0.7), dt)
    np.testing.assert_allclose(found[0], np.cov(car.T), atol=0.02)
    np.testing.assert_allclose(found[1], np.cov(walker.T), atol=0.02)


def test_process_noise_is_symmetric_and_never_negative():
    state, wheeled = states(5)
    noise = process_noise(state, wheeled, np.full(40, 2.5), np.ones(40), 0.1)
    np.testing.assert_array_equal(noise, noise.transpose(0, 2, 1))
    assert np.linalg.eigvalsh(noise).min() > -1e-12


def test_what_has_wheels_is_told_by_kind():
    kinds = np.array([Kind.CAR, Kind.CYCLIST, Kind.PEDESTRIAN, Kind.ANIMAL, Kind.UNKNOWN], np.uint8)
    assert has_wheels(kinds).tolist() == [True, True, False, False, False]


def test_nobody_is_no_trouble():
    after, jacobian = predict_state(np.zeros((0, 5)), np.zeros(0, bool), 0.1)
    assert after.shape == (0, 5)
    assert jacobian.shape == (0, 5, 5)
