"""Reference lines."""

import numpy as np
import pytest

from kerbstone.plan.roads.lines import bend, normals, prolong, smooth_line
from kerbstone.scene import project

LOCK = 0.2


def circle(radius, turn=np.pi, count=200):
    angle = np.linspace(0, turn, count)
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def test_a_straight_line_stays_as_it_is():
    curve = smooth_line(np.array([[0.0, 0.0], [30.0, 40.0]]), curvature=LOCK)
    assert curve(25.0) == pytest.approx([15.0, 20.0], abs=1e-9)
    assert np.abs(bend(curve, np.linspace(0, 50, 20))).max() < 1e-9


@pytest.mark.parametrize("radius", [8.0, 15.0, 40.0])
def test_a_circle_hardly_shrinks(radius):
    curve = smooth_line(circle(radius), curvature=LOCK)
    s = np.linspace(8.0, curve.x[-1] - 8.0, 50)
    assert np.hypot(*curve(s).T) == pytest.approx(radius, abs=0.05)
    assert bend(curve, s) == pytest.approx(1 / radius, rel=0.05)


def test_the_parameter_is_the_arc_length():
    curve = smooth_line(circle(10.0), curvature=LOCK)
    s = np.linspace(1.0, curve.x[-1] - 1.0, 100)
    assert np.hypot(*curve(s, 1).T) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("turn", [30.0, 60.0, 90.0])
def test_a_kink_becomes_a_curve_that_can_be_driven(turn):
    turn = np.deg2rad(turn)
    line = np.array([[-60.0, 0], [0, 0], [60 * np.cos(turn), 60 * np.sin(turn)]])
    curve = smooth_line(line, curvature=LOCK)
    assert np.abs(bend(curve, np.linspace(*curve.x[[0, -1]], 500))).max() <= 1.02 * LOCK
    assert np.abs(project(curve(curve.x), line).d).max() < 2.5


def test_zigzag_of_a_coarse_map_is_smoothed_away():
    x = np.arange(0.0, 80.0, 3.0)
    line = np.stack([x, 0.1 * (-1.0) ** np.arange(len(x))], axis=-1)
    curve = smooth_line(line, curvature=LOCK)
    assert np.abs(bend(curve, np.linspace(10, 60, 200))).max() < 0.02


def test_a_line_of_hardly_any_length_is_smoothed_too():
    curve = smooth_line(np.array([[0.0, 0.0], [0.5, 0.0]]), curvature=LOCK)
    assert curve(0.25) == pytest.approx([0.25, 0.0])


def test_normals_point_to_the_left():
    curve = smooth_line(np.array([[0.0, 0.0], [20.0, 0.0]]), curvature=LOCK)
    assert normals(curve, np.array([3.0, 9.0])) == pytest.approx(np.array([[0.0, 1.0], [0, 1]]))


def test_a_line_goes_on_straight_beyond_its_ends():
    line = prolong(np.array([[0.0, 0.0], [20.0, 0.0]]), before=5.0, after=7.0)
    assert line[0] == pytest.approx([-5.0, 0.0])
    assert line[-1] == pytest.approx([27.0, 0.0])
    assert len(prolong(np.array([[0.0, 0.0], [20.0, 0.0]]), before=0.0, after=0.0)) == 21
