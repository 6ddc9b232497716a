"""Turns of road users whose headings are given."""

import numpy as np
import pytest

from measures import holds, measure
from roads import Track, crossing_road, drive, ramp, stage, stand, way_through

CIRCLE = 20.0 * np.column_stack([np.sin(np.arange(0, 7, 0.05)), 1 - np.cos(np.arange(0, 7, 0.05))])


def test_turn_is_the_change_of_heading_within_3_seconds_on_either_side():
    # 4 m/s on a circle of 20 m: 0.2 rad/s, to the left.
    scene = stage(None, [Track("a", drive(CIRCLE, start=5, speed=4))])
    found = measure("turn", scene, "a")
    np.testing.assert_allclose(found[35:65], 0.2 * 6, atol=0.03)
    # Nearer to its ends than 3 s it is what is there.
    np.testing.assert_allclose(found[0], 0.2 * 3, atol=0.03)


def test_turn_does_not_jump_where_the_heading_passes_west():
    scene = stage(None, [Track("a", drive(CIRCLE, start=40, speed=4))])
    assert np.abs(np.diff(scene.agents.heading[0])).max() > 6
    assert np.abs(np.diff(measure("turn", scene, "a"))).max() < 0.1


def test_a_standing_car_that_jitters_does_not_turn():
    rng = np.random.default_rng(0)
    points = stand(0, 0) + rng.normal(scale=0.003, size=(100, 2))
    scene = stage(None, [Track("a", points, heading=rng.uniform(-3, 3, 100))])
    assert (measure("turn", scene, "a") == 0).all()
    for name in ("turning_left", "turning_right", "u_turn"):
        assert not holds(name, scene, "a").any()


def test_a_gap_in_the_record_hides_no_turn():
    points = drive(CIRCLE, start=5, speed=4)
    points[45:55] = np.nan
    scene = stage(None, [Track("a", points)])
    found = measure("turn", scene, "a")
    assert np.isnan(found[45:55]).all()
    np.testing.assert_allclose(found[[40, 60]], 1.2, atol=0.05)


@pytest.mark.parametrize("arm", ["west", "south", "east", "north"])
def test_turning_at_a_crossing_holds_on_the_bend_alone(arm):
    for way, side in (("left", "turning_left"), ("right", "turning_right")):
        line = way_through(arm, way)
        scene = stage(crossing_road(), [Track("a", drive(line, start=50, speed=6, steps=180))])
        inside = holds("in_intersection", scene, "a")
        turns = holds(side, scene, "a")
        assert turns[inside][10:-10].all()
        assert not turns[: np.argmax(inside) - 10].any()
        other = {"turning_left", "turning_right"} - {side}
        assert not holds(other.pop(), scene, "a").any()
        assert not holds("u_turn", scene, "a").any()


def test_going_straight_or_changing_lanes_is_no_turn():
    line = np.array([[-100.0, 0], [100, 0]])
    offset = ramp(0, 3.5, first=30, last=60)
    scene = stage(None, [Track("a", drive(line, start=0, speed=10, offset=offset))])
    for name in ("turning_left", "turning_right", "u_turn"):
        assert not holds(name, scene, "a").any()


def test_a_u_turn_is_held_while_its_middle_is_near():
    angle = np.linspace(-np.pi / 2, np.pi / 2, 40)
    bend = 6 * np.column_stack([np.cos(angle), np.sin(angle)])
    line = np.concatenate([[[-80.0, -6]], bend, [[-80.0, 6]]])
    scene = stage(None, [Track("a", drive(line, start=60, speed=4, steps=150))])
    found = holds("u_turn", scene, "a")
    first = 20 / 4 / 0.1
    during = np.arange(150)[found]
    assert first < during.min() < first + 15
    assert during.max() < first + 6 * np.pi / 4 / 0.1
    assert (measure("turn", scene, "a")[found] > 0).all()


def test_half_a_turn_is_no_u_turn():
    scene = stage(
        crossing_road(), [Track("a", drive(way_through("west", "left"), start=50, speed=6))]
    )
    assert not holds("u_turn", scene, "a").any()
    assert holds("turning_left", scene, "a").any()


def test_a_single_step_is_no_turn():
    scene = stage(None, [Track("a", stand(0, 0, steps=1))])
    assert measure("turn", scene, "a").tolist() == [0.0]
    assert not holds("turning_left", scene, "a").any()
