import numpy as np
from scipy.integrate import solve_ivp

from kerbstone.plan.falsification.motion import body_centre, coast_points, drive_car
from kerbstone.plan.vehicle import StateIndex, Vehicle

CAR = Vehicle()


def _draw(rng, count):
    state = np.column_stack(
        [
            rng.uniform(-10, 10, (count, 2)),
            rng.uniform(-3, 3, count),
            rng.uniform(3, 20, count),
            rng.uniform(-2, 1, count),
            rng.uniform(-0.3, 0.3, count),
        ]
    )
    return state, np.column_stack([rng.uniform(-5, 5, count), rng.uniform(-0.5, 0.5, count)])


def test_car_moves_as_an_integrator_of_the_bicycle_says():
    state, control = _draw(np.random.default_rng(0), 20)
    ends = drive_car(state, control, CAR, 0.2, 40)[:, -1]

    def flow(_, s, jerk, rate):
        _x, _y, psi, v, a, delta = s
        return [v * np.cos(psi), v * np.sin(psi), v * np.tan(delta) / CAR.wheelbase, a, jerk, rate]

    for start, held, end in zip(state, control, ends, strict=True):
        exact = solve_ivp(flow, (0, 0.2), start, args=tuple(held), rtol=1e-11, atol=1e-12).y[:, -1]
        np.testing.assert_allclose(end, exact, atol=2e-5)


def test_car_that_brakes_stops_where_physics_says_and_stays():
    state = np.array([[0.0, 0.0, 0.0, 4.0, -8.0, 0.0]])
    states = drive_car(state, np.zeros((1, 2)), CAR, 2.0, 400)[0]
    assert (states[:, StateIndex.SPEED] >= 0).all()
    assert states[-1, StateIndex.SPEED] == 0
    assert abs(states[-1, StateIndex.X] - 4.0**2 / 16) < 1e-4
    assert (np.diff(states[101:, StateIndex.X]) == 0).all()


def test_car_that_stands_drives_off_as_its_jerk_says_whatever_it_braked_with():
    state = np.array([[0.0, 0.0, 0.0, 0.0, -4.0, 0.0]])
    states = drive_car(state, np.array([[6.0, 0.0]]), CAR, 1.0, 300)[0]
    assert abs(states[-1, StateIndex.SPEED] - 3.0) < 1e-9
    assert abs(states[-1, StateIndex.X] - 1.0) < 1e-9
    assert states[-1, StateIndex.ACCELERATION] == 6.0


def test_car_keeps_its_limits_whatever_the_control():
    state, control = _draw(np.random.default_rng(1), 50)
    states = drive_car(state, control * 100, CAR, 1.0, 100)
    assert states[..., StateIndex.ACCELERATION].min() >= CAR.acceleration[0] - 1e-9
    assert states[..., StateIndex.ACCELERATION].max() <= CAR.acceleration[1] + 1e-9
    assert np.abs(states[..., StateIndex.STEERING]).max() <= CAR.steering + 1e-9


def test_middle_of_the_box_lies_ahead_of_the_rear_axle():
    state = np.array([1.0, 2.0, np.pi / 2, 0, 0, 0])
    np.testing.assert_allclose(body_centre(state, CAR), [1.0, 2.0 + 4.9 / 2 - 1.0])


def test_points_follow_parabolas():
    place, velocity = coast_points(
        np.zeros((1, 2)), np.array([[3.0, 0.0]]), np.array([[0.0, 2.0]]), 2.0, 4
    )
    np.testing.assert_allclose(place[0, -1], [6.0, 4.0])
    np.testing.assert_allclose(velocity[0, -1], [3.0, 4.0])
