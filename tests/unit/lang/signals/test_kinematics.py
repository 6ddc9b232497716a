import numpy as np
import pytest

from kerbstone.lang import Facts, known_signals
from queries import moving_scene

DT = 0.1
T = np.arange(0, 4, DT)


def measure(name, points, **given):
    facts = Facts(moving_scene(np.asarray(points)[None], dt=DT, **given))
    return known_signals()[name].measure(facts)[0]


def along_x(x):
    return np.stack([x, np.zeros_like(x)], axis=-1)


def circle(radius, rate):
    angle = rate * T
    return radius * np.stack([np.sin(angle), 1 - np.cos(angle)], axis=-1)


def test_acceleration_and_jerk_are_derivatives_of_the_forward_speed():
    # x = t³: speed 3 t², acceleration 6 t, jerk 6, with the exact velocity given.
    velocity = along_x(3 * T**2)[None]
    given = {"velocity": velocity, "heading": np.zeros((1, len(T)))}
    inside = slice(2, -2)
    np.testing.assert_allclose(measure("speed", along_x(T**3), **given), 3 * T**2)
    found = measure("acceleration", along_x(T**3), **given)
    np.testing.assert_allclose(found[inside], 6 * T[inside], atol=1e-9)
    np.testing.assert_allclose(measure("jerk", along_x(T**3), **given)[inside], 6.0, atol=1e-9)
    np.testing.assert_array_equal(measure("deceleration", along_x(T**3), **given), -found)


def test_in_reverse_the_forward_speed_is_negative_and_braking_is_an_acceleration():
    given = {"heading": np.full((1, len(T)), np.pi)}
    x = 3 * T
    np.testing.assert_allclose(measure("forward_speed", along_x(x), **given), -3.0)
    assert (measure("reversing", along_x(x), **given) > 0).all()
    assert (measure("reversing", along_x(x)) < 0).all()


def test_on_a_circle_rate_curvature_and_lateral_acceleration_fit_together():
    points = circle(20.0, 0.3)
    inside = slice(2, -2)
    np.testing.assert_allclose(measure("yaw_rate", points)[inside], 0.3, atol=1e-3)
    np.testing.assert_allclose(measure("curvature", points)[inside], 1 / 20, rtol=1e-2)
    np.testing.assert_allclose(
        measure("lateral_acceleration", points)[inside], 0.3**2 * 20, rtol=1e-2
    )
    # To the right everything is negative.
    mirrored = points * [1, -1]
    assert (measure("yaw_rate", mirrored)[inside] < 0).all()
    assert (measure("lateral_acceleration", mirrored)[inside] < 0).all()


def test_the_yaw_rate_knows_that_angles_go_round():
    heading = np.linspace(np.pi - 0.2, np.pi + 0.2, len(T))
    wrapped = (heading + np.pi) % (2 * np.pi) - np.pi
    found = measure("yaw_rate", along_x(T), heading=wrapped[None])
    np.testing.assert_allclose(found, 0.4 / (len(T) - 1) / DT, rtol=1e-9)


def test_what_stands_has_no_curvature():
    assert np.isnan(measure("curvature", along_x(0.05 * T))).all()


def test_lateral_speed_is_across_the_heading():
    found = measure("lateral_speed", along_x(2 * T), heading=np.full((1, len(T)), -np.pi / 2))
    np.testing.assert_allclose(found, 2.0)


def test_stopped_and_moving_leave_a_gap_for_creeping():
    for speed, stopped, moving in ((0.1, True, False), (0.4, False, False), (0.8, False, True)):
        assert (measure("stopped", along_x(speed * T)) > 0).all() == stopped
        assert (measure("moving", along_x(speed * T)) > 0).all() == moving


def test_time_stopped_counts_from_the_last_motion():
    speed = np.where((T >= 1) & (T < 3), 0.0, 5.0)
    velocity = along_x(speed)[None]
    found = measure("time_stopped", along_x(np.cumsum(speed) * DT), velocity=velocity)
    assert found[9] == found[10] == 0
    assert found[29] == pytest.approx(1.9)
    assert found[31] == 0


def test_displacement_is_the_farthest_from_the_first_place_in_the_whole_scene():
    there_and_back = along_x(3 * np.sin(np.pi * T / T[-1]))
    np.testing.assert_allclose(measure("displacement", there_and_back), 3.0, rtol=1e-2)
    assert (measure("stationary", there_and_back) < 0).all()
    assert (measure("stationary", 0.3 * there_and_back) > 0).all()


def test_a_gap_in_the_record_is_unknown_and_does_not_reach_beyond_its_neighbours():
    points = along_x(2 * T)
    points[10] = np.nan
    for name in ("speed", "acceleration", "yaw_rate", "displacement", "time_stopped"):
        given = {"velocity": np.where(np.isnan(points), np.nan, [2.0, 0.0])[None]}
        found = measure(name, points, **given)
        assert np.flatnonzero(np.isnan(found)).tolist() == [10], name
