"""The speed wanted along a line."""

import numpy as np
import pytest

from kerbstone.plan.roads.rooms import settle
from kerbstone.plan.roads.speeds import wish_speed

COMFORT = {"spacing": 2.0, "lateral": 2.5, "acceleration": 1.2, "braking": 1.6}


def change(speed):
    """Return the acceleration from sample to sample [m/s²]."""
    return np.diff(speed**2) / (2 * COMFORT["spacing"])


def test_on_a_straight_the_limit_is_wanted():
    assert wish_speed(np.full(50, 13.9), np.zeros(50), **COMFORT) == pytest.approx(13.9)


def test_in_a_curve_lateral_acceleration_is_comfortable():
    curvature = np.where((np.arange(80) > 30) & (np.arange(80) < 50), -1 / 20, 0.0)
    speed = wish_speed(np.full(80, 15.0), curvature, **COMFORT)
    assert (speed**2 * np.abs(curvature)).max() <= 2.5 + 1e-9
    assert speed[40] == pytest.approx(np.sqrt(50), rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_speeds_change_no_faster_than_is_comfortable(seed):
    random = np.random.default_rng(seed)
    limit = random.choice([5.0, 8.3, 13.9, 27.8], 100).repeat(2)
    curvature = random.normal(0, 0.03, 200)
    speed = wish_speed(limit, curvature, **COMFORT)
    cap = np.minimum(limit, np.sqrt(2.5 / np.abs(curvature)).clip(1.5))
    assert (speed <= cap + 1e-9).all()
    # The mean over three samples may add a little to what either side allows.
    assert change(speed).max() <= 1.3 * COMFORT["acceleration"]
    assert change(speed).min() >= -1.3 * COMFORT["braking"]


def test_a_hairpin_is_still_driven_through():
    assert wish_speed(np.full(20, 10.0), np.full(20, 5.0), **COMFORT) == pytest.approx(1.5)


def test_settled_values_are_nowhere_above_the_given_ones():
    values = np.random.default_rng(0).random(60)
    settled = settle(values)
    assert (settled <= values + 1e-12).all()
    assert (settled[1:] <= values[:-1] + 1e-12).all()
    assert (settled[:-1] <= values[1:] + 1e-12).all()
    assert np.abs(np.diff(settled)).max() < np.abs(np.diff(values)).max()


def test_beyond_what_is_known_the_last_value_holds():
    values = np.array([3.0, 3.0, 3.0, 9.0, 9.0, 9.0])
    assert settle(values, known=3).tolist() == [3.0] * 6
