"""Routes where there is no map."""

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.plan.roads import follow_record
from kerbstone.scene import interpolate

NOWHERE = np.zeros((0, 2))
HERE = np.array([10.0, 5.0])


def along_x(first, last, step=1.0):
    x = np.arange(first, last, step)
    return np.stack([x, np.full(len(x), 5.0)], axis=-1)


def test_the_recorded_path_is_the_route():
    route = follow_record(along_x(-20, 10), HERE, 0.0, along_x(11, 60))
    assert route.origin == "record"
    assert interpolate(route.line, route.start) == pytest.approx(HERE)
    assert route.line[-1].tolist() == [59.0, 5.0]
    assert route.start == pytest.approx(10.0, abs=1.0)
    assert route.lanes.size == 0


def test_a_car_that_stands_goes_straight_on():
    still = HERE + np.random.default_rng(0).normal(0, 0.05, (30, 2))
    route = follow_record(still, HERE, np.pi / 2, still)
    assert route.origin == "straight"
    way = route.line[-1] - route.line[0]
    assert np.arctan2(way[1], way[0]) == pytest.approx(np.pi / 2)


def test_where_a_car_sets_back_its_path_ends():
    future = np.concatenate([along_x(11, 21), along_x(5, 20)[::-1]])
    route = follow_record(along_x(0, 10), HERE, 0.0, future)
    assert (np.diff(route.line[:, 0]) > 0).all()
    assert route.line[-1, 0] == 20.0


def test_cells_that_are_missing_are_passed_over():
    future = along_x(11, 40)
    future[5:9] = np.nan
    route = follow_record(NOWHERE, HERE, 0.0, future)
    assert np.isfinite(route.line).all()
    assert route.line[-1, 0] == 39.0


def test_without_a_record_one_goes_straight():
    route = follow_record(NOWHERE, HERE, 0.0, NOWHERE)
    assert route.origin == "straight"
    way = route.line[-1] - route.line[0]
    assert way[0] > 0.0
    assert way[1] == pytest.approx(0.0)
    assert interpolate(route.line, route.start) == pytest.approx(HERE)


def test_a_place_that_is_not_known_is_an_error():
    with pytest.raises(InputError, match="where the car is"):
        follow_record(NOWHERE, np.array([np.nan, 1.0]), 0.0, NOWHERE)
